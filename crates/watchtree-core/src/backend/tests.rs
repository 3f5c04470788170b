//! Sessions: what the manager's and the host's own tests do not reach.

use super::*;
use crate::fixture::{self, name, subject};
use crate::id::{AgentEpoch, BootId, Tier};
use crate::message::{Digest, Report};
use crate::subject::{SubjectId, SubjectKind};
use crate::tree::unknown;
use crate::verdict::{State, Verdict};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

mod names;
mod sessions;

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn identity(text: &str, tier: Tier) -> NodeIdentity {
    fixture::identity(text, tier, 3)
}

/// The header of a frame of h1, in its first known life.
fn header(now: Moment, seq: u64) -> Header {
    Header::new(&identity("h1", Tier::Host), seq, now)
}

fn backend() -> Backend {
    let policy = BackendPolicy {
        admission: Admission::Hosts,
        beat: Duration::from_millis(500),
        margin: Duration::from_secs(1),
        ack_every: 2,
        parent_silence: Duration::from_secs(5),
        term: 9,
    };
    Backend::new(identity("manager", Tier::Manager), policy, 1)
}

fn hello(identity: NodeIdentity) -> Message {
    Message::Hello(Hello {
        scope: SubjectId::of_node(&identity.name),
        identity,
        minor_min: 0,
        minor_max: 3,
        capabilities: Capabilities(0),
        digest: Digest::default(),
        beat_wanted: Duration::from_millis(500),
        look_at: Vec::new(),
    })
}

fn beat(number: u64, digest: u64) -> Message {
    let algorithm = crate::report::DIGEST_ALGORITHM.to_string();
    Message::Beat(Beat {
        number,
        digest: Digest {
            algorithm,
            value: digest,
        },
        ..Beat::default()
    })
}

fn snapshot(chunk: u32, last: bool, names: &[&str]) -> Message {
    let verdict = |text: &&str| Verdict {
        state: State::Ok,
        ..unknown(subject(text), SubjectKind::Container, name("h1"), Moment::ZERO)
    };
    let verdicts = names.iter().map(verdict).collect();
    Message::Snapshot {
        scope: subject("h1"),
        chunk,
        last,
        verdicts,
        digest: Digest::default(),
    }
}

struct Script {
    backend: Backend,
    seq: u64,
    connection: u64,
}

impl Script {
    fn joined() -> Self {
        let mut script = Self {
            backend: backend(),
            seq: 0,
            connection: 1,
        };
        assert_eq!(script.says(ms(0), hello(identity("h1", Tier::Host))), ["welcome"]);
        script
    }

    /// h1 says this; what it is answered, in short.
    fn says(&mut self, now: Moment, message: Message) -> Vec<String> {
        self.seq += 1;
        let header = header(now, self.seq);
        self.frame(now, "h1", Envelope { header, message })
    }

    fn frame(&mut self, now: Moment, key: &str, envelope: Envelope) -> Vec<String> {
        let peer = Peer {
            name: name(key),
            connection: self.connection,
        };
        self.backend.handle(now, BackendInput::Received { peer, envelope });
        let mut answers = Vec::new();
        while let Some((_, envelope)) = self.backend.poll_outgoing() {
            answers.push(match envelope.message {
                Message::Welcome(_) => "welcome".to_string(),
                Message::BeatAck(ack) => format!("ack {}", ack.number),
                Message::ReHello { .. } => "rehello".to_string(),
                Message::SnapshotRequest => "snapshot?".to_string(),
                Message::Refused { reason, .. } => reason,
                other => format!("{other:?}"),
            });
        }
        answers
    }

    fn book(&self) -> Vec<String> {
        let child = self.backend.child(&name("h1")).unwrap();
        child.book().iter().map(|verdict| verdict.subject.to_string()).collect()
    }
}

#[test]
fn beats_are_acknowledged_as_often_as_was_said() {
    let mut script = Script::joined();
    let answers: Vec<_> = (1..=4).flat_map(|n| script.says(ms(500 * n), beat(n, 0))).collect();
    assert_eq!(answers, ["ack 2", "ack 4"]);
    script.backend.policy.ack_every = 0;
    assert!(script.says(ms(3000), beat(0, 0)).is_empty(), "0 is never");
}

/// The frame that tells of a new term may be lost.
#[test]
fn a_new_term_is_told_until_it_was_heard() {
    let mut script = Script::joined();
    script.says(ms(500), beat(1, 0));
    script.backend.tell_term(ms(600), 10);
    let told = script.backend.poll_outgoing().unwrap().1.message;
    assert!(
        matches!(told, Message::Welcome(welcome) if welcome.term == 10),
        "at once"
    );
    assert_eq!(script.says(ms(1000), beat(2, 0)), ["ack 2", "rehello"]);
    assert_eq!(script.says(ms(1500), beat(3, 0)), ["rehello"]);
    assert_eq!(script.says(ms(1501), hello(identity("h1", Tier::Host))), ["welcome"]);
    assert!(script.says(ms(2000), beat(5, 0)).is_empty());
}

#[test]
fn three_beats_with_another_digest_ask_for_a_snapshot_and_it_replaces_all() {
    let mut script = Script::joined();
    let answers: Vec<_> = [1, 3, 5, 7]
        .into_iter()
        .flat_map(|n| script.says(ms(500 * n), beat(n, 42)))
        .collect();
    assert_eq!(answers, ["snapshot?"]);
    script.says(ms(5000), snapshot(0, false, &["h1", "h1/d/a"]));
    assert!(script.book().is_empty(), "a snapshot counts when it is whole");
    script.says(ms(5001), snapshot(1, true, &["h1/d/b"]));
    assert_eq!(script.book(), ["h1", "h1/d/a", "h1/d/b"]);
    script.says(ms(6000), snapshot(0, true, &["h1/d/b", "h1/d/c"]));
    assert_eq!(script.book(), ["h1/d/b", "h1/d/c"]);
}

#[test]
fn a_snapshot_with_a_lost_chunk_changes_nothing() {
    let mut script = Script::joined();
    script.says(ms(1), snapshot(0, true, &["h1/d/a"]));
    script.says(ms(2), snapshot(0, false, &["h1/d/b"]));
    script.says(ms(3), snapshot(2, true, &["h1/d/c"]));
    assert_eq!(script.book(), ["h1/d/a"]);
}

#[test]
fn a_digest_of_another_algorithm_proves_nothing() {
    let mut script = Script::joined();
    for n in 1..10 {
        let digest = Digest {
            algorithm: "newer".to_string(),
            value: 7,
        };
        let answers = script.says(
            ms(500 * n),
            Message::Beat(Beat {
                number: n,
                digest,
                ..Beat::default()
            }),
        );
        assert!(!answers.contains(&"snapshot?".to_string()));
    }
}

#[test]
fn an_unknown_life_is_asked_for_a_hello_but_not_at_every_frame() {
    let mut script = Script {
        backend: backend(),
        seq: 0,
        connection: 1,
    };
    let answers: Vec<_> = (1..=10).flat_map(|n| script.says(ms(50 * n), beat(n, 0))).collect();
    assert_eq!(answers, ["rehello", "rehello", "rehello"]);
}

#[test]
fn who_is_not_expected_is_refused() {
    let cases: Vec<(&str, Message)> = vec![
        ("not_admitted", hello(identity("h1", Tier::Container))),
        ("stolen_name", hello(identity("h2", Tier::Host))),
        (
            "bad_header",
            hello(NodeIdentity {
                agent_epoch: AgentEpoch(4),
                ..identity("h1", Tier::Host)
            }),
        ),
    ];
    for (reason, message) in cases {
        let mut script = Script {
            backend: backend(),
            seq: 0,
            connection: 1,
        };
        assert_eq!(script.says(ms(0), message), [reason]);
        assert!(script.backend.child(&name("h1")).is_none());
    }
    let mut script = Script {
        backend: backend(),
        seq: 0,
        connection: 1,
    };
    let Message::Hello(own) = hello(identity("h1", Tier::Host)) else {
        unreachable!()
    };
    let greedy = Message::Hello(Hello {
        scope: subject("h2"),
        ..own.clone()
    });
    assert_eq!(script.says(ms(0), greedy), ["out_of_scope"]);
    let newer = Message::Hello(Hello { minor_min: 1, ..own });
    assert_eq!(script.says(ms(1000), newer), ["no_common_version"]);
}

#[test]
fn a_slot_in_the_future_buys_no_life() {
    let mut script = Script::joined();
    script.seq += 1;
    let header = Header {
        slot: ms(1_000_000),
        ..header(ms(500), script.seq)
    };
    assert_eq!(
        script.frame(
            ms(500),
            "h1",
            Envelope {
                header,
                message: beat(1, 0)
            }
        ),
        ["bad_header"]
    );
    assert!(!script.backend.child(&name("h1")).unwrap().is_fresh(ms(2000)));
}

#[test]
fn a_message_of_parents_is_refused_from_a_child() {
    let mut script = Script::joined();
    assert_eq!(script.says(ms(1), Message::Ping { nonce: 1 }), ["wrong_direction"]);
}

#[test]
fn a_refused_frame_is_no_sign_of_life_and_moves_no_route() {
    let verdicts = |names: &[&str]| match snapshot(0, true, names) {
        Message::Snapshot { verdicts, .. } => verdicts,
        _ => unreachable!(),
    };
    let report = Message::Report(Report {
        number: 1,
        verdicts: verdicts(&["h1/d/a", "h2/d/a"]),
        gone: Vec::new(),
        digest: Digest::default(),
    });
    let gone = Message::Report(Report {
        number: 1,
        verdicts: Vec::new(),
        gone: vec![subject("h2")],
        digest: Digest::default(),
    });
    let strange_snapshot = Message::Snapshot {
        scope: subject("h2"),
        chunk: 0,
        last: true,
        verdicts: Vec::new(),
        digest: Digest::default(),
    };
    let cases = [
        ("wrong_direction", Message::Ping { nonce: 1 }),
        ("wrong_direction", Message::SnapshotRequest),
        ("out_of_scope", report),
        ("out_of_scope", gone),
        ("out_of_scope", snapshot(0, true, &["h1/d/a", "h2/d/a"])),
        ("out_of_scope", strange_snapshot),
    ];
    for (reason, message) in cases {
        let mut script = Script::joined();
        while script.backend.poll_happening().is_some() {}
        let before = script.backend.child(&name("h1")).unwrap().clone();
        script.connection = 2;
        assert_eq!(script.says(ms(500), message), [reason]);
        let after = script.backend.child(&name("h1")).unwrap();
        assert_eq!(after.fresh_until(), before.fresh_until(), "{reason}");
        assert_eq!(
            (after.newest(), after.peer()),
            (before.newest(), before.peer()),
            "{reason}"
        );
        assert_eq!(script.backend.poll_happening(), None, "{reason}");
        assert!(script.book().is_empty(), "{reason}");
        // The next good frame counts, and under the same seq.
        script.seq -= 1;
        assert!(script.says(ms(1000), beat(2, 0)).contains(&"ack 2".to_string()));
        assert!(before.fresh_until() < script.backend.child(&name("h1")).unwrap().fresh_until());
    }
}

#[test]
fn a_refused_clone_gets_its_refusal_and_the_node_its_orders() {
    let mut script = Script::joined();
    let copied = NodeIdentity {
        boot_id: BootId([2; 16]),
        agent_epoch: AgentEpoch(4),
        ..identity("h1", Tier::Host)
    };
    let header = Header::new(&copied, 1, ms(9));
    let peer = Peer {
        name: name("h1"),
        connection: 2,
    };
    let message = hello(copied);
    let envelope = Envelope { header, message };
    script.backend.handle(ms(10), BackendInput::Received { peer, envelope });
    let (to, answer) = script.backend.poll_outgoing().unwrap();
    assert!(
        matches!(&answer.message, Message::Refused { reason, .. } if reason == "clone"),
        "{answer:?}"
    );
    assert_eq!(to.connection, 2);
    assert!(script.backend.ping(ms(11), &name("h1")));
    assert_eq!(script.backend.poll_outgoing().unwrap().0.connection, 1);
}

#[test]
fn a_child_with_too_many_subjects_is_told_so_and_asked_for_no_snapshot_without_end() {
    let mut script = Script::joined();
    let names: Vec<String> = (0..=SUBJECTS_PER_CHILD_MAX)
        .map(|number| format!("h1/d/c{number}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = |number: u64, names: &[&str]| match snapshot(0, true, names) {
        Message::Snapshot { verdicts, .. } => Message::Report(Report {
            number,
            verdicts,
            gone: Vec::new(),
            digest: Digest::default(),
        }),
        _ => unreachable!(),
    };
    // What has room is taken, and acknowledged: else one report would be repeated for ever and hold up all others.
    assert_eq!(
        script.says(ms(1), report(1, &names)),
        ["ReportAck { number: 1 }", "too_many_subjects"]
    );
    assert_eq!(script.book().len(), SUBJECTS_PER_CHILD_MAX);
    let answers: Vec<_> = [1, 3, 5, 7, 9, 11]
        .into_iter()
        .flat_map(|n| script.says(ms(500 * n), beat(n, 42)))
        .collect();
    assert_eq!(answers, ["too_many_subjects", "too_many_subjects"]);
    // One goes: there is room, and a snapshot may bring the rest.
    let gone = Message::Report(Report {
        number: 2,
        verdicts: Vec::new(),
        gone: vec![subject("h1/d/c0")],
        digest: Digest::default(),
    });
    assert_eq!(script.says(ms(6000), gone), ["ReportAck { number: 2 }"]);
    let answers: Vec<_> = [13, 15, 17]
        .into_iter()
        .flat_map(|n| script.says(ms(500 * n), beat(n, 42)))
        .collect();
    assert_eq!(answers, ["snapshot?"]);
    assert_eq!(script.says(ms(9000), snapshot(0, true, &names)), ["too_many_subjects"]);
    assert_eq!(script.backend.refused().get(&Refusal::TooManySubjects), Some(&4));
}

#[test]
fn a_frame_that_cannot_be_read_is_refused_under_its_own_number() {
    let mut backend = backend();
    let peer = Peer {
        name: name("h1"),
        connection: 1,
    };
    let why = "bad_body: it is garbage".to_string();
    backend.handle(ms(1), BackendInput::Undecodable { peer, seq: 77, why });
    let (_, envelope) = backend.poll_outgoing().unwrap();
    let Message::Refused { seq, reason, detail } = envelope.message else {
        panic!("{envelope:?}");
    };
    assert_eq!((seq, reason.as_str()), (77, "undecodable"));
    assert_eq!(detail, "bad_body: it is garbage");
}

#[test]
fn a_wrong_nonce_is_no_answer() {
    let mut script = Script::joined();
    assert!(script.backend.ping(ms(1), &name("h1")));
    while script.backend.poll_happening().is_some() {}
    let health = crate::verdict::ObserverHealth(0);
    script.says(ms(2), Message::Pong { nonce: 5, health });
    let pong = core::iter::from_fn(|| script.backend.poll_happening()).any(|it| matches!(it, Happening::Pong(_)));
    assert!(!pong);
}

#[test]
fn an_older_epoch_of_the_same_boot_is_refused() {
    let mut script = Script::joined();
    let old = NodeIdentity {
        agent_epoch: AgentEpoch(2),
        ..identity("h1", Tier::Host)
    };
    let header = Header::new(&old, 1, ms(10_000));
    assert_eq!(
        script.frame(
            ms(10_000),
            "h1",
            Envelope {
                header,
                message: hello(old)
            }
        ),
        ["stale_epoch"]
    );
}
