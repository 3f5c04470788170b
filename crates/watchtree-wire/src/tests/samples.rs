//! One typical message per kind, one filled to every limit, and random ones from a seed.

use crate::limits;
use crate::pb::MessageKind;
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use watchtree_core::message::{
    Beat, BeatAck, Capabilities, Digest, Envelope, Goodbye, Header, Hello, Look, Message, Report, Welcome,
};
use watchtree_core::order::{Order, OrderAnswer, OrderRefusal, SignedOrder, Verb};
use watchtree_core::subject::{Incarnation, SubjectId, SubjectKind};
use watchtree_core::time::{Duration, Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind, Level, ObserverHealth, State, Verdict};

pub(super) fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

pub(super) fn subject(text: &str) -> SubjectId {
    SubjectId::new(text).expect("a subject")
}

fn digest(value: u64) -> Digest {
    Digest {
        algorithm: "fnv1a64-xor".to_owned(),
        value,
    }
}

/// From a child for what children say, from the manager for what parents say.
pub(super) fn envelope(kind: MessageKind) -> Envelope {
    let from_parent = matches!(
        kind,
        MessageKind::Welcome
            | MessageKind::ReHello
            | MessageKind::BeatAck
            | MessageKind::Ping
            | MessageKind::ReportAck
            | MessageKind::Order
            | MessageKind::SnapshotRequest
            | MessageKind::ProbeRequest
            | MessageKind::Refused
    );
    let identity = if from_parent { manager() } else { host() };
    let slot = Moment::from_micros(if kind == MessageKind::Beat {
        99_500_000
    } else {
        99_500_123
    });
    Envelope {
        header: Header {
            origin: identity.name,
            target: from_parent.then(|| name("h1")),
            boot_id: identity.boot_id,
            agent_epoch: identity.agent_epoch,
            seq: 1000 + kind as u64,
            sent: Moment::from_micros(99_500_123),
            slot,
            hops_left: 8,
            trace: 0,
        },
        message: sample(kind),
    }
}

fn host() -> NodeIdentity {
    NodeIdentity {
        name: name("h1"),
        tier: Tier::Host,
        node_id: NodeId([0x11; 16]),
        machine_id: MachineId([0x22; 16]),
        boot_id: BootId([0x33; 16]),
        agent_epoch: AgentEpoch(7),
        version: "0.1.0".to_owned(),
    }
}

fn manager() -> NodeIdentity {
    NodeIdentity {
        name: name("manager"),
        tier: Tier::Manager,
        node_id: NodeId([0x44; 16]),
        machine_id: MachineId([0x55; 16]),
        boot_id: BootId([0x66; 16]),
        agent_epoch: AgentEpoch(3),
        version: "0.1.0".to_owned(),
    }
}

fn sample(kind: MessageKind) -> Message {
    match kind {
        MessageKind::Unspecified => unreachable!("no message has this kind"),
        MessageKind::Hello => Message::Hello(Hello {
            identity: host(),
            minor_min: 0,
            minor_max: 0,
            capabilities: Capabilities(Capabilities::REPORTS | Capabilities::ORDERS | Capabilities::EVENTS),
            scope: subject("h1"),
            digest: digest(0x0123_4567_89ab_cdef),
            beat_wanted: Duration::from_millis(500),
            look_at: vec!["192.0.2.7:22".to_owned()],
        }),
        MessageKind::Welcome => Message::Welcome(Welcome {
            identity: manager(),
            minor: 0,
            capabilities: Capabilities(Capabilities::ORDERS),
            beat_every: Duration::from_millis(500),
            ack_every: 4,
            parent_silence: Duration::from_secs(10),
            term: 2,
            digest: Digest::default(),
        }),
        MessageKind::ReHello => Message::ReHello {
            why: "the manager has just started".to_owned(),
        },
        MessageKind::Beat => Message::Beat(Beat {
            number: 199,
            health: ObserverHealth(1),
            figures: vec![("load1_milli".to_owned(), 420), ("loop_lag_ms".to_owned(), 0)],
            digest: digest(0x0123_4567_89ab_cdef),
            round_trip: Duration::from_micros(345),
        }),
        MessageKind::BeatAck => Message::BeatAck(BeatAck {
            number: 199,
            sent_echo: Moment::from_micros(99_500_123),
            held: Duration::from_micros(80),
        }),
        MessageKind::Ping => Message::Ping { nonce: 0xfeed_f00d },
        MessageKind::Pong => Message::Pong {
            nonce: 0xfeed_f00d,
            health: ObserverHealth(0),
        },
        MessageKind::Report => Message::Report(Report {
            number: 12,
            verdicts: vec![verdict()],
            gone: vec![subject("h1/docker/old")],
            digest: digest(1),
        }),
        MessageKind::ReportAck => Message::ReportAck { number: 12 },
        MessageKind::Events => Message::Events {
            decisions: vec![decision()],
            dropped: 3,
        },
        MessageKind::Order => Message::Order(SignedOrder {
            bytes: crate::encode_order(&order()).expect("within limits"),
            key_id: "0123456789abcdef".to_owned(),
            signature: vec![0x77; 64],
        }),
        MessageKind::OrderResult => Message::OrderResult(OrderAnswer {
            id: [0x88; 16],
            result: Err(OrderRefusal::Expired),
            detail: "2.1 s too late".to_owned(),
        }),
        MessageKind::SnapshotRequest => Message::SnapshotRequest,
        MessageKind::Snapshot => Message::Snapshot {
            scope: subject("h1"),
            chunk: 0,
            last: true,
            verdicts: vec![verdict()],
            digest: digest(1),
        },
        MessageKind::Goodbye => Message::Goodbye(Goodbye::Restart {
            back_within: Duration::from_secs(30),
        }),
        MessageKind::ProbeRequest => Message::ProbeRequest {
            nonce: 5,
            target: name("h2"),
            address: "192.0.2.8:22".to_owned(),
            within: Duration::from_secs(1),
        },
        MessageKind::ProbeResult => Message::ProbeResult {
            nonce: 5,
            target: name("h2"),
            look: Look::Answered("tcp refused".to_owned()),
            health: ObserverHealth(0),
        },
        MessageKind::Refused => Message::Refused {
            seq: 17,
            reason: "unknown_kind".to_owned(),
            detail: "message kind 99 is not known here, only 1 to 18".to_owned(),
        },
    }
}

pub(super) fn order() -> Order {
    Order {
        id: [0x88; 16],
        target: name("h1.docker.watchdog"),
        subject: subject("h1/docker/shop/web/1"),
        incarnation: Incarnation::default(),
        verb: Verb::Hold {
            lasts: Duration::from_secs(1800),
        },
        term: 2,
        boot_id: BootId([0x33; 16]),
        expires: Moment::from_micros(129_500_000),
        asked_by: "uid 1000 on manager".to_owned(),
    }
}

fn verdict() -> Verdict {
    Verdict {
        subject: subject("h1/docker/shop/web/1"),
        kind: SubjectKind::Container,
        incarnation: Incarnation::container(&"ab".repeat(32), "2026-01-02T03:04:05.678901234Z"),
        state: State::Repairing,
        level: Level::Certain,
        why: "crashed (exit 137), restart 1 of 5 now".to_owned(),
        evidence: vec![
            Evidence::new(EvidenceKind::Exited, Moment::from_micros(99_400_000), "exit code 137"),
            Evidence::new(
                EvidenceKind::NobodyStoppedIt,
                Moment::from_micros(99_400_000),
                "the stream was unbroken",
            ),
        ],
        observer: name("h1.docker.watchdog"),
        observer_health: ObserverHealth(0),
        since: Moment::from_micros(99_400_001),
        held: false,
        remarks: vec!["watchtree.grace=soon is no duration: 10s is used".to_owned()],
    }
}

fn decision() -> Decision {
    Decision {
        id: DecisionId {
            node: name("h1.docker.watchdog"),
            epoch: 7,
            count: 42,
        },
        at: Moment::from_micros(99_400_002),
        wall: WallTime(1_767_323_045_678),
        subject: subject("h1/docker/shop/web/1"),
        incarnation: Incarnation("ab@1".to_owned()),
        evidence: verdict().evidence,
        guards: vec![GuardAnswer {
            guard: Guard::Budget,
            verdict: GuardVerdict::Passed,
            detail: "5 of 5 left".to_owned(),
        }],
        action: ActionKind::Start,
        budget_left: Some(4),
        outcome: Outcome::UnderWay,
        why: "container exited with 137 and nobody stopped it: start it, attempt 1".to_owned(),
        result: String::new(),
    }
}

/// Every field as long and as often there as is allowed, in the kinds that can be large.
pub(super) fn full(kind: MessageKind) -> Option<Message> {
    let evidence = vec![
        Evidence::new(
            EvidenceKind::NobodyStoppedIt,
            Moment::FAR_FUTURE,
            "x".repeat(limits::TEXT_BYTES_MAX)
        );
        limits::EVIDENCE_MAX
    ];
    let path = vec!["s".repeat(79); limits::SUBJECT_SEGMENTS_MAX].join("/");
    let verdict = Verdict {
        subject: subject(&path),
        kind: SubjectKind::Container,
        incarnation: Incarnation("i".repeat(limits::INCARNATION_BYTES_MAX)),
        state: State::GivenUp,
        level: Level::Certain,
        why: "w".repeat(limits::TEXT_BYTES_MAX),
        evidence: evidence.clone(),
        observer: name(&"o".repeat(limits::NAME_BYTES_MAX)),
        observer_health: ObserverHealth(8),
        since: Moment::FAR_FUTURE,
        held: true,
        remarks: vec!["r".repeat(limits::REMARK_BYTES_MAX); limits::REMARKS_MAX],
    };
    let digest = Digest {
        algorithm: "a".repeat(limits::WORD_BYTES_MAX),
        value: u64::MAX,
    };
    let verdicts = vec![verdict.clone(); limits::VERDICTS_MAX];
    match kind {
        MessageKind::Report => Some(Message::Report(Report {
            number: u64::MAX,
            verdicts,
            gone: vec![subject(&path); limits::GONE_MAX],
            digest,
        })),
        MessageKind::Snapshot => Some(Message::Snapshot {
            scope: subject(&path),
            chunk: limits::SNAPSHOT_CHUNKS_MAX - 1,
            last: true,
            verdicts,
            digest,
        }),
        MessageKind::Events => {
            let guard = GuardAnswer {
                guard: Guard::OperatorIntent,
                verdict: GuardVerdict::Passed,
                detail: "g".repeat(limits::TEXT_BYTES_MAX),
            };
            let decision = Decision {
                id: DecisionId {
                    node: verdict.observer,
                    epoch: u64::MAX,
                    count: u64::MAX,
                },
                at: Moment::FAR_FUTURE,
                wall: WallTime(u64::MAX),
                subject: subject(&path),
                incarnation: verdict.incarnation,
                evidence,
                guards: vec![guard; limits::GUARDS_MAX],
                action: ActionKind::ReviveWatchdog,
                budget_left: Some(u32::MAX),
                outcome: Outcome::Succeeded,
                why: verdict.why.clone(),
                result: verdict.why,
            };
            Some(Message::Events {
                decisions: vec![decision; limits::DECISIONS_MAX],
                dropped: u64::MAX,
            })
        }
        _ => None,
    }
}
