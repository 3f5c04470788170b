//! Limits hold on the way out and on the way in; whatever keeps them fits a frame.

use super::{kinds, samples};
use crate::limits::*;
use crate::pb::{self, MessageKind};
use crate::{DecodeError, EncodeError, decode, encode, encode_order, seq_of};
use prost::Message as _;
use watchtree_core::message::{Digest, Message, Report, Welcome};
use watchtree_core::order::SignedOrder;
use watchtree_core::subject::Incarnation;
use watchtree_core::time::Duration;
use watchtree_core::verdict::{EvidenceKind, Verdict};

fn encoded(kind: MessageKind, message: Message) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut envelope = samples::envelope(kind);
    envelope.message = message;
    encode(&envelope)
}

fn frame(kind: MessageKind, body: Vec<u8>) -> Vec<Vec<u8>> {
    let mut parts = encode(&samples::envelope(kind)).expect("within limits");
    parts[2] = body;
    parts
}

fn reason(parts: &[Vec<u8>]) -> &'static str {
    let error = decode(parts).expect_err("must be refused");
    assert!(
        error.to_string().starts_with(&format!("{}: ", error.reason())),
        "{error}"
    );
    error.reason()
}

#[test]
fn what_is_full_to_every_limit_fits_a_frame_with_evidence_shed() {
    let mut large = 0;
    for kind in kinds() {
        let Some(message) = samples::full(kind) else { continue };
        large += 1;
        let parts = encoded(kind, message).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert!(parts[2].len() <= BODY_BYTES_MAX);
        decode(&parts).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
    assert_eq!(large, 3);
}

#[test]
fn shedding_keeps_the_newest_evidence_and_every_verdict() {
    let Some(Message::Report(mut report)) = samples::full(MessageKind::Report) else {
        panic!("there is one")
    };
    for verdict in &mut report.verdicts {
        verdict.evidence.last_mut().expect("full").kind = EvidenceKind::Exited;
    }
    let parts = encoded(MessageKind::Report, Message::Report(report.clone())).expect("fits");
    let Ok(Message::Report(back)) = decode(&parts).map(|envelope| envelope.message) else {
        panic!("a report")
    };
    assert_eq!((back.verdicts.len(), &back.gone), (report.verdicts.len(), &report.gone));
    assert!(
        back.verdicts
            .iter()
            .all(|v| v.evidence.last().is_some_and(|e| e.kind == EvidenceKind::Exited))
    );
}

#[test]
fn texts_for_people_are_cut_at_a_character() {
    let message = Message::ReHello {
        why: "ä".repeat(TEXT_BYTES_MAX),
    };
    let parts = encoded(MessageKind::ReHello, message).expect("cut");
    let Ok(Message::ReHello { why }) = decode(&parts).map(|envelope| envelope.message) else {
        panic!("a ReHello")
    };
    assert_eq!(why, "ä".repeat(TEXT_BYTES_MAX / 2));
}

#[test]
fn what_must_not_be_cut_is_not_written() {
    let Some(Message::Report(full)) = samples::full(MessageKind::Report) else {
        panic!("there is one")
    };
    let one = |change: fn(&mut Verdict)| {
        let mut verdict = full.verdicts[0].clone();
        change(&mut verdict);
        Message::Report(Report {
            number: 1,
            verdicts: vec![verdict],
            gone: vec![],
            digest: Digest::default(),
        })
    };
    let too_many = |verdicts: usize, gone: usize| {
        Message::Report(Report {
            verdicts: vec![full.verdicts[0].clone(); verdicts],
            gone: vec![full.gone[0].clone(); gone],
            ..full.clone()
        })
    };
    for (message, field) in [
        (
            one(|verdict| verdict.incarnation = Incarnation("i".repeat(INCARNATION_BYTES_MAX + 1))),
            "incarnation",
        ),
        (
            one(|verdict| verdict.subject = verdict.subject.child("one-more")),
            "subject",
        ),
        (too_many(VERDICTS_MAX + 1, 0), "verdicts"),
        (too_many(0, GONE_MAX + 1), "gone"),
    ] {
        match encoded(MessageKind::Report, message) {
            Err(EncodeError::OverLimit { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let unsigned = SignedOrder {
        bytes: vec![],
        key_id: "0123456789abcdef".to_owned(),
        signature: vec![0; 63],
    };
    assert!(encoded(MessageKind::Order, Message::Order(unsigned)).is_err());
    let Message::Welcome(welcome) = samples::envelope(MessageKind::Welcome).message else {
        panic!("a Welcome")
    };
    let busy = Welcome {
        beat_every: Duration::ZERO,
        ..welcome
    };
    assert!(encoded(MessageKind::Welcome, Message::Welcome(busy)).is_err());
    let mut order = samples::order();
    order.incarnation = Incarnation("i".repeat(INCARNATION_BYTES_MAX + 1));
    assert!(encode_order(&order).is_err());
    let mut envelope = samples::envelope(MessageKind::Ping);
    envelope.header.hops_left = 9;
    assert!(encode(&envelope).is_err());
    envelope.header.hops_left = 8;
    envelope.header.seq = 0;
    assert!(encode(&envelope).is_err());
}

#[test]
fn a_frame_of_the_wrong_shape_is_refused_by_name() {
    let good = encode(&samples::envelope(MessageKind::Beat)).expect("within limits");
    let part = |index: usize, bytes: &[u8]| {
        let mut parts = good.clone();
        parts[index] = bytes.to_vec();
        parts
    };
    assert_eq!(reason(&[]), "bad_part_count");
    assert_eq!(reason(&good[..2]), "bad_part_count");
    assert_eq!(reason(&[good.clone(), good.clone()].concat()), "bad_part_count");
    assert_eq!(reason(&part(0, b"")), "bad_magic");
    assert_eq!(reason(&part(0, b"GET")), "bad_magic");
    assert_eq!(reason(&part(0, b"WT2")), "unsupported_version");
    assert_eq!(reason(&part(1, b"\xff")), "bad_header");
    assert_eq!(reason(&part(1, &vec![0; HEADER_BYTES_MAX + 1])), "too_large");
    assert_eq!(reason(&part(2, &vec![0; BODY_BYTES_MAX + 1])), "too_large");
    assert_eq!(reason(&part(2, b"\x0a\xff")), "bad_body");
    // The seq of a frame whose body is bad can still be named; of one whose header is bad it cannot.
    assert_eq!(seq_of(&part(2, b"\x0a\xff")), 1001);
    assert_eq!(seq_of(&part(1, b"\xff")), 0);
}

#[test]
fn a_message_over_a_limit_is_refused_by_name() {
    let figures = vec![
        pb::Figure {
            name: "load1_milli".to_owned(),
            value: 1
        };
        FIGURES_MAX + 1
    ];
    assert_eq!(
        reason(&frame(
            MessageKind::Beat,
            pb::Beat {
                figures,
                ..pb::Beat::default()
            }
            .encode_to_vec()
        )),
        "over_limit"
    );
    let why = "w".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(
        reason(&frame(MessageKind::ReHello, pb::ReHello { why }.encode_to_vec())),
        "over_limit"
    );
    let gone = vec!["h1/../x y".to_owned()];
    assert_eq!(
        reason(&frame(
            MessageKind::Report,
            pb::Report {
                gone,
                ..pb::Report::default()
            }
            .encode_to_vec()
        )),
        "bad_name"
    );
    assert_eq!(reason(&frame(MessageKind::Hello, vec![])), "missing_field");
    assert_eq!(reason(&frame(MessageKind::Welcome, vec![])), "bad_value");
    assert_eq!(reason(&frame(MessageKind::Order, vec![])), "bad_value");
    let hello = encode(&samples::envelope(MessageKind::Hello)).expect("within limits");
    // A Hello of h1 under a header of h2.
    let mut header = pb::Header::decode(hello[1].as_slice()).expect("a header");
    header.origin = "h2".to_owned();
    assert_eq!(
        reason(&[hello[0].clone(), header.encode_to_vec(), hello[2].clone()]),
        "identity_mismatch"
    );
}

#[test]
fn a_frame_cannot_make_us_allocate_a_hundred_times_its_size() {
    // Two bytes per empty verdict: 100,000 of them in 200 kB would become structs of more than 20 MB.
    let body: Vec<u8> = [0x12, 0x00].repeat(100_000);
    assert_eq!(decode(&frame(MessageKind::Report, body)), Err(DecodeError::BadBody));
}
