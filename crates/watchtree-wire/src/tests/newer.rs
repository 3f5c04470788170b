//! What a newer version may send: fields, values and words that we do not know change nothing that we do know.

use super::{kinds, samples};
use crate::pb::{self, MessageKind};
use crate::{DecodeError, decode, decode_header, decode_order, encode};
use prost::Message as _;
use watchtree_core::decision::{ActionKind, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::message::{Envelope, Goodbye, Look, Message};
use watchtree_core::order::OrderRefusal;
use watchtree_core::subject::SubjectKind;
use watchtree_core::verdict::{EvidenceKind, Level, State};

/// Field 1000, five bytes long.
const UNKNOWN_FIELD: &[u8] = b"\xc2\x3e\x05newer";

fn with_body(kind: MessageKind, body: &impl prost::Message) -> Message {
    let mut parts = encode(&samples::envelope(kind)).expect("within limits");
    parts[2] = body.encode_to_vec();
    decode(&parts)
        .unwrap_or_else(|error| panic!("{kind:?}: {error}"))
        .message
}

#[test]
fn unknown_fields_are_skipped_in_header_and_body() {
    for kind in kinds() {
        let envelope = samples::envelope(kind);
        let mut parts = encode(&envelope).expect("within limits");
        parts[1].extend_from_slice(UNKNOWN_FIELD);
        parts[2].extend_from_slice(UNKNOWN_FIELD);
        assert_eq!(decode(&parts), Ok(envelope), "{kind:?}");
    }
}

#[test]
fn an_unknown_kind_is_named_and_a_relay_still_forwards_it() {
    let mut parts = encode(&samples::envelope(MessageKind::Ping)).expect("within limits");
    parts[1].extend_from_slice(b"\x08\x63"); // kind = 99: the last value of a field wins
    assert_eq!(decode(&parts), Err(DecodeError::UnknownKind { kind: 99, known: 18 }));
    assert_eq!(decode(&parts).expect_err("unknown").reason(), "unknown_kind");
    assert_eq!(decode_header(&parts).expect("routable").kind, 99);
}

#[test]
fn unknown_enum_values_cause_the_least() {
    let verdict = pb::Verdict {
        subject: "h1/docker/web".to_owned(),
        observer: "h1".to_owned(),
        state: 77,
        level: 77,
        kind: 77,
        evidence: vec![pb::Evidence {
            kind: "smelled".to_owned(),
            detail: "smoke".to_owned(),
            at_us: 5,
        }],
        ..pb::Verdict::default()
    };
    let report = pb::Report {
        number: 1,
        verdicts: vec![verdict],
        ..pb::Report::default()
    };
    let Message::Report(report) = with_body(MessageKind::Report, &report) else {
        panic!("a report")
    };
    let verdict = &report.verdicts[0];
    assert_eq!(
        (verdict.state, verdict.level, verdict.kind),
        (State::Unknown, Level::None, SubjectKind::Container)
    );
    assert_eq!(verdict.evidence[0].kind, EvidenceKind::BadInput);
    assert!(verdict.evidence[0].detail.contains("smelled") && verdict.evidence[0].detail.contains("smoke"));

    let goodbye = with_body(
        MessageKind::Goodbye,
        &pb::Goodbye {
            reason: 77,
            back_within_us: 0,
        },
    );
    assert!(matches!(goodbye, Message::Goodbye(Goodbye::Restart { back_within }) if !back_within.is_zero()));

    let probe = pb::ProbeResult {
        target: "h2".to_owned(),
        outcome: 77,
        ..pb::ProbeResult::default()
    };
    let probe = with_body(MessageKind::ProbeResult, &probe);
    assert!(
        matches!(
            probe,
            Message::ProbeResult {
                look: Look::NotPossible(_),
                ..
            }
        ),
        "{probe:?}"
    );

    let result = pb::OrderResult {
        id: vec![1; 16],
        outcome: 77,
        refusal: "bored".to_owned(),
        ..Default::default()
    };
    let Message::OrderResult(answer) = with_body(MessageKind::OrderResult, &result) else {
        panic!("an answer")
    };
    assert_eq!(answer.result, Err(OrderRefusal::NotApplicable));
    assert!(answer.detail.contains("bored"));

    let ill = with_body(
        MessageKind::Pong,
        &pb::Pong {
            nonce: 1,
            health: 4_000_000_000,
        },
    );
    assert!(matches!(ill, Message::Pong { health, .. } if health.0 == 8));
}

#[test]
fn all_verdicts_of_a_guard_travel_and_an_older_peer_says_them_by_pass() {
    let envelope = samples::envelope(MessageKind::Events);
    let Message::Events { mut decisions, dropped } = envelope.message.clone() else {
        panic!("events")
    };
    let guards = GuardVerdict::ALL.map(|verdict| GuardAnswer::new(Guard::Hold, verdict, "words"));
    decisions[0].guards = guards.to_vec();
    let message = Message::Events { decisions, dropped };
    let parts = encode(&Envelope { message, ..envelope }).expect("within limits");
    let sent = pb::Events::decode(parts[2].as_slice()).expect("events");
    let plain: Vec<_> = sent.decisions[0]
        .guards
        .iter()
        .map(|it| (it.pass, it.verdict.as_str()))
        .collect();
    assert_eq!(plain, [(true, ""), (false, ""), (true, "waived"), (true, "not_asked")]);
    let Message::Events { decisions, .. } = decode(&parts).expect("readable").message else {
        panic!("events")
    };
    assert_eq!(decisions[0].guards, guards);
    // A verdict of a newer version, or one that contradicts `pass`, is read as `pass` says.
    assert_eq!(
        GuardVerdict::from_word_or_pass("postponed", false),
        GuardVerdict::Blocked
    );
    assert_eq!(GuardVerdict::from_word_or_pass("waived", false), GuardVerdict::Blocked);
}

#[test]
fn unknown_words_of_a_decision_are_shown_and_claim_nothing() {
    let decision = pb::Decision {
        id: Some(pb::DecisionId {
            node: "h1".to_owned(),
            epoch: 1,
            count: 1,
        }),
        subject: "h1".to_owned(),
        action: "fence".to_owned(),
        outcome: "half_done".to_owned(),
        guards: vec![pb::GuardAnswer {
            guard: "moon".to_owned(),
            pass: false,
            verdict: String::new(),
            detail: "full".to_owned(),
        }],
        ..pb::Decision::default()
    };
    let events = pb::Events {
        decisions: vec![decision],
        dropped: 0,
    };
    let Message::Events { decisions, .. } = with_body(MessageKind::Events, &events) else {
        panic!("events")
    };
    let decision = &decisions[0];
    assert_eq!(
        (decision.action, decision.outcome),
        (ActionKind::None, Outcome::UnderWay)
    );
    assert!(decision.guards.is_empty());
    let said: Vec<_> = decision.evidence.iter().map(|fact| fact.detail.as_str()).collect();
    for word in ["fence", "half_done", "moon"] {
        assert!(
            said.iter().any(|detail| detail.contains(word)),
            "{word} is not shown in {said:?}"
        );
    }
}

#[test]
fn an_order_with_an_unknown_verb_or_another_purpose_is_none() {
    let bytes = crate::encode_order(&samples::order()).expect("within limits");
    let mut unknown = pb::Order::decode(bytes.as_slice()).expect("an order");
    unknown.verb = None;
    let mut unknown = unknown.encode_to_vec();
    unknown.extend_from_slice(b"\x6a\x00"); // field 13: a verb of a newer version
    assert_eq!(decode_order(&unknown), Err(DecodeError::MissingField { field: "verb" }));
    let mut other = pb::Order::decode(bytes.as_slice()).expect("an order");
    other.purpose = "somebody.else.v1.Order".to_owned();
    assert_eq!(
        decode_order(&other.encode_to_vec())
            .expect_err("another purpose")
            .reason(),
        "bad_value"
    );
}
