//! The child's side of a session: what the roles' own tests do not reach.

use super::*;
use crate::fixture::{identity, name, subject};
use crate::id::Tier;
use crate::message::Capabilities;
use crate::subject::SubjectKind;
use alloc::string::ToString;

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

struct Script {
    frontend: Frontend,
    parent_seq: u64,
    /// What it welcomes with.
    beat_every: Duration,
}

impl Script {
    fn greeting() -> Self {
        let settings = FrontendSettings {
            identity: identity("h1", Tier::Host, 1),
            capabilities: Capabilities(0),
            scope: subject("h1"),
            beat_wanted: Duration::from_millis(500),
            look_at: Vec::new(),
        };
        let mut frontend = Frontend::new(settings, ms(0));
        frontend.handle(ms(0), FrontendInput::Up);
        Self {
            frontend,
            parent_seq: 0,
            beat_every: Duration::from_millis(500),
        }
    }

    fn joined() -> Self {
        let mut script = Self::greeting();
        script.welcomed(ms(1));
        assert_eq!(script.notices(), ["Joined"]);
        script
    }

    fn welcomed(&mut self, now: Moment) {
        let welcome = Welcome {
            identity: identity("manager", Tier::Manager, 1),
            minor: 0,
            capabilities: Capabilities(0),
            beat_every: self.beat_every,
            ack_every: 1,
            parent_silence: Duration::from_secs(5),
            term: 1,
            digest: Digest::default(),
        };
        self.hears(now, Message::Welcome(welcome));
    }

    fn hears(&mut self, now: Moment, message: Message) {
        self.parent_seq += 1;
        let header = Header::new(&identity("manager", Tier::Manager, 1), self.parent_seq, now);
        self.frontend
            .handle(now, FrontendInput::Received(Envelope { header, message }));
    }

    fn acks(&mut self, now: Moment) {
        let ack = BeatAck {
            number: 0,
            sent_echo: ms(0),
            held: Duration::ZERO,
        };
        self.hears(now, Message::BeatAck(ack));
    }

    /// Runs until then, as a driver would; the kinds of frames that went out.
    fn runs_until(&mut self, end: Moment) -> Vec<&'static str> {
        while let Some(due) = self.frontend.next_deadline().filter(|due| *due <= end) {
            self.frontend.handle_timeout(due);
        }
        core::iter::from_fn(|| self.frontend.poll_envelope())
            .map(|envelope| match envelope.message {
                Message::Hello(_) => "hello",
                Message::Beat(_) => "beat",
                _ => "other",
            })
            .collect()
    }

    /// The names of the notices since.
    fn notices(&mut self) -> Vec<String> {
        core::iter::from_fn(|| self.frontend.poll_notice())
            .map(|notice| {
                let text = alloc::format!("{notice:?}");
                text.split([' ', '(']).next().unwrap_or_default().to_string()
            })
            .collect()
    }
}

#[test]
fn a_refusal_is_over_when_frames_are_taken_again_and_not_while_it_is_repeated() {
    let mut script = Script::joined();
    let refused = || Message::Refused {
        seq: 3,
        reason: "out_of_scope".to_string(),
        detail: String::new(),
    };
    for second in [1, 4, 7, 12] {
        script.hears(ms(1000 * second), refused());
        assert_eq!(script.notices(), ["Refused"]);
        script.acks(ms(1000 * second + 500));
        assert!(script.notices().is_empty(), "it may be repeated");
    }
    script.acks(ms(21_999));
    assert!(script.notices().is_empty());
    script.acks(ms(22_000));
    assert_eq!(script.notices(), ["Accepted"]);
    script.acks(ms(40_000));
    assert!(script.notices().is_empty(), "once");
}

#[test]
fn the_silence_of_the_parent_is_a_notice_and_nothing_else() {
    let mut script = Script::joined();
    script.runs_until(ms(5000));
    assert!(script.notices().is_empty());
    let sent = script.runs_until(ms(60_000));
    assert_eq!(script.notices(), ["ParentSilent"], "once");
    assert!(
        sent.iter().all(|kind| *kind == "beat"),
        "it beats on, no more: {sent:?}"
    );
    script.acks(ms(60_001));
    assert_eq!(script.notices(), ["ParentBack"]);
}

#[test]
fn a_parent_that_answers_no_hello_is_silent_too() {
    let mut script = Script::greeting();
    let sent = script.runs_until(ms(6000));
    assert_eq!(
        sent.iter().filter(|kind| **kind == "hello").count(),
        4,
        "every 2 s: {sent:?}"
    );
    assert_eq!(script.notices(), ["ParentSilent"]);
}

impl Script {
    /// The frames that wait to be sent.
    fn sent(&mut self) -> Vec<Message> {
        core::iter::from_fn(|| self.frontend.poll_envelope())
            .map(|envelope| envelope.message)
            .collect()
    }
}

fn verdict(path: &str) -> Verdict {
    crate::tree::unknown(subject(path), SubjectKind::Container, name("h1"), ms(0))
}

#[test]
fn a_hello_says_who_it_is_and_what_it_reports() {
    let settings = FrontendSettings {
        look_at: (0..6).map(|i| i.to_string()).collect(),
        ..Script::greeting().frontend.settings
    };
    let mut frontend = Frontend::new(settings, ms(0));
    assert!(frontend.report(ms(0), verdict("h1/d/a")));
    assert!(!frontend.report(ms(0), verdict("h1/d/a")), "it is known");
    assert!(frontend.poll_envelope().is_none(), "the link is down");
    frontend.handle(ms(3), FrontendInput::Up);
    let envelope = frontend.poll_envelope().unwrap();
    assert_eq!((envelope.header.seq, envelope.header.slot), (1, ms(3)));
    let Message::Hello(hello) = envelope.message else {
        panic!("{envelope:?}");
    };
    assert_eq!((hello.look_at.len(), &hello.digest), (4, &frontend.digest()));
    assert_ne!(hello.digest.value, 0);
    assert_eq!(frontend.verdict(&subject("h1/d/a")), Some(&verdict("h1/d/a")));
    assert_eq!(frontend.verdicts().count(), 1);
    frontend.report_gone(ms(4), &subject("h1/d/a"));
    assert_eq!((frontend.verdicts().count(), frontend.digest().value), (0, 0));
}

#[test]
fn a_beat_says_how_it_is_in_its_own_slot() {
    let mut script = Script::joined();
    script.runs_until(ms(0));
    let figures = (0..20).map(|i| (i.to_string(), i)).collect();
    script.frontend.set_health(ObserverHealth(3), figures);
    assert_eq!(script.frontend.health(), ObserverHealth(3));
    script.sent();
    script.frontend.handle_timeout(ms(1700));
    let envelope = script.frontend.poll_envelope().unwrap();
    assert_eq!((envelope.header.sent, envelope.header.slot), (ms(1700), ms(1500)));
    let Message::Beat(beat) = envelope.message else {
        panic!("{envelope:?}");
    };
    assert_eq!(
        (beat.number, beat.health, beat.figures.len()),
        (4, ObserverHealth(3), 16)
    );
}

#[test]
fn only_a_true_acknowledgement_measures_the_round_trip() {
    // Number, echoed sending and holding, in ms; heard at 100 after beat 1; the round trip.
    let cases = [
        (1, 90, 4, 6),
        (0, 100, 0, 0),
        (1, 99, 5, 0),
        (2, 90, 0, 77),
        (1, 101, 0, 77),
        (2, 101, 0, 77),
    ];
    for (number, echo, held, round_trip) in cases {
        let mut script = Script::joined();
        script.runs_until(ms(1));
        let ack = |number, echo, held| {
            let (sent_echo, held) = (ms(echo), Duration::from_millis(held));
            Message::BeatAck(BeatAck {
                number,
                sent_echo,
                held,
            })
        };
        script.hears(ms(80), ack(1, 3, 0));
        script.hears(ms(100), ack(number, echo, held));
        assert_eq!(
            script.frontend.round_trip(),
            Duration::from_millis(round_trip),
            "{number} {echo}"
        );
    }
}

#[test]
fn a_replay_is_counted_and_does_nothing() {
    let mut script = Script::joined();
    script.sent();
    script.hears(ms(2), Message::Ping { nonce: 5 });
    let health = ObserverHealth(0);
    assert_eq!(script.sent(), [Message::Pong { nonce: 5, health }]);
    script.parent_seq -= 1;
    script.hears(ms(3), Message::Ping { nonce: 5 });
    script.hears(ms(4), Message::Pong { nonce: 5, health });
    assert!(script.sent().is_empty());
    assert_eq!(
        script.frontend.counters(),
        (2, 0),
        "a replay, and what only a child says"
    );
}

#[test]
fn reports_and_events_wait_for_the_welcome_and_are_repeated() {
    let mut script = Script::greeting();
    script.frontend.report(ms(0), verdict("h1/d/a"));
    script.frontend.event(ms(0), crate::fixture::decision("h1/d/a", 1));
    assert!(!script.frontend.is_joined() && script.runs_until(ms(0)) == ["hello", "beat"]);
    script.welcomed(ms(1));
    assert!(script.frontend.is_joined());
    let sent = script.sent();
    assert!(
        matches!(&sent[..], [Message::Report(_), Message::Events { .. }]),
        "{sent:?}"
    );
    // The events got lost: frame 4, after Hello, a beat and the report.
    script.frontend.handle(ms(2), FrontendInput::NotSent { seq: 4 });
    assert_eq!(script.frontend.next_deadline(), Some(ms(21)));
    script.frontend.handle_timeout(ms(21));
    let sent = script.sent();
    assert!(matches!(&sent[..], [Message::Events { .. }]), "{sent:?}");
    // The report is not acknowledged: again with the beat at 1 s, and then no more.
    assert_eq!(script.runs_until(ms(1001)), ["beat", "beat", "other"]);
    script.hears(ms(1002), Message::ReportAck { number: 2 });
    assert_eq!(script.runs_until(ms(3999)), ["beat"; 5]);
    let goodbye = Goodbye::Leaving;
    script.frontend.goodbye(ms(3999), goodbye);
    assert_eq!(script.sent(), [Message::Goodbye(goodbye)]);
}

#[test]
fn a_slow_parent_gets_repeats_after_two_of_its_beats() {
    let mut script = Script::greeting();
    script.frontend.report(ms(0), verdict("h1/d/a"));
    script.runs_until(ms(0));
    script.beat_every = Duration::from_secs(3);
    script.welcomed(ms(1));
    assert_eq!(script.runs_until(ms(6000)), ["other", "beat", "beat"]);
    assert_eq!(script.runs_until(ms(6001)), ["other"]);
}

#[test]
fn a_snapshot_comes_in_chunks_of_which_the_last_says_so() {
    for (subjects, sizes) in [
        (0, &[0][..]),
        (1, &[1]),
        (64, &[64]),
        (65, &[64, 1]),
        (130, &[64, 64, 2]),
    ] {
        let mut script = Script::joined();
        for i in 0..subjects {
            script.frontend.report(ms(1), verdict(&alloc::format!("h1/d/{i}")));
        }
        script.sent();
        script.hears(ms(2), Message::SnapshotRequest);
        let (mut seen, mut expected) = (Vec::new(), Vec::new());
        for message in script.sent() {
            let Message::Snapshot {
                chunk, last, verdicts, ..
            } = message
            else {
                panic!("{message:?}");
            };
            seen.push((chunk, last, verdicts.len()));
        }
        for (chunk, size) in sizes.iter().enumerate() {
            expected.push((chunk as u32, chunk + 1 == sizes.len(), *size));
        }
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_a_parent_asks_for_is_handed_on() {
    let mut script = Script::joined();
    let asked = Message::ProbeRequest {
        nonce: 1,
        target: name("h2"),
        address: String::new(),
        within: Duration::ZERO,
    };
    script.hears(ms(2), asked);
    let order = crate::order::SignedOrder {
        bytes: Vec::new(),
        key_id: String::new(),
        signature: Vec::new(),
    };
    script.hears(ms(3), Message::Order(order));
    assert_eq!(script.notices(), ["ProbeRequest", "Order"]);
    script.sent();
    script.frontend.probe_result(ms(4), 1, name("h2"), Look::StillTrying);
    let answer = OrderAnswer {
        id: [1; 16],
        result: Ok(()),
        detail: String::new(),
    };
    script.frontend.order_result(ms(4), answer.clone());
    let sent = script.sent();
    assert!(matches!(&sent[0], Message::ProbeResult { nonce: 1, .. }), "{sent:?}");
    assert_eq!(sent[1..], [Message::OrderResult(answer)]);
}

#[test]
fn a_link_that_is_down_sends_nothing_and_hears_no_welcome() {
    let mut script = Script::joined();
    let why = "gone".to_string();
    script.frontend.handle(ms(10), FrontendInput::Down { why });
    script.sent();
    script.welcomed(ms(11));
    assert!(!script.frontend.is_joined());
    assert_eq!(script.notices(), ["Lost"]);
    script.frontend.goodbye(ms(11), Goodbye::Leaving);
    assert!(script.runs_until(ms(9000)).is_empty());
    script.frontend.handle(ms(9100), FrontendInput::Up);
    assert_eq!(script.runs_until(ms(9100)), ["hello", "beat"], "the grid begins anew");
}
