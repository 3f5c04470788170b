//! Records of every kind, numbered, and what they come to.

use std::path::Path;
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::{Desired, EngineLife, HoldEnd, Record, Recovered, RepairStep, StartupRecord};
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::id::{BootId, NodeName};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Duration, Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind};
use watchtree_store::journal::{Journal, Opened};

const BOOT: BootId = BootId([7; 16]);

fn subject(n: u64) -> SubjectId {
    SubjectId::new(&format!("h1/docker/c{n}")).expect("a subject")
}

/// One of every kind of record, in turn.
pub(crate) fn record(n: u64) -> Record {
    let (subject, id, at, wall) = (subject(n % 7), format!("{n:064x}"), Moment::from_millis(n), WallTime(n));
    let incarnation = Incarnation(format!("life {n}"));
    match n % 13 {
        0 => Record::LastEvent {
            at: EngineTime(n),
            id,
            action: "die".to_owned(),
        },
        1 => Record::Desired {
            subject,
            id,
            incarnation,
            desired: Desired::Running,
        },
        2 => Record::Charged {
            subject,
            at,
            boot_id: BOOT,
            wall,
            mass: n.is_multiple_of(24),
        },
        3 => Record::StopSeen {
            subject,
            id,
            at: EngineTime(n),
            signal: 15,
        },
        4 if n.is_multiple_of(8) => Record::EngineBegan(EngineLife {
            began: EngineTime(n),
            boot_id: BOOT,
            silent_since: EngineTime(n - 2),
            going_down_since: EngineTime(n - 4),
        }),
        4 if n.is_multiple_of(7) => Record::Replaced {
            subject,
            id,
            name: format!("c{n}"),
        },
        4 if n.is_multiple_of(5) => Record::CameUp { subject, id },
        4 => Record::Cleared { subject },
        5 | 6 => Record::Repair {
            subject,
            id,
            incarnation,
            step: if n.is_multiple_of(2) {
                RepairStep::StartPosted
            } else {
                RepairStep::Ended
            },
            last_event: EngineTime(n),
            at,
            boot_id: BOOT,
            stop_timeout_secs: 3,
        },
        7 => Record::GivenUp {
            subject,
            at,
            boot_id: BOOT,
            wall,
        },
        8 => Record::Held {
            subject,
            end: HoldEnd {
                until: at,
                boot_id: BOOT,
                until_wall: wall,
                lasts: Duration::from_secs(n),
            },
        },
        9 => Record::Ordered {
            id: [n as u8; 16],
            done: true,
            detail: "held".to_owned(),
        },
        10 => Record::Decided(decision(n)),
        11 => Record::BecameWell {
            subject,
            startup: StartupRecord {
                well: incarnation,
                well_at: (at, BOOT, wall),
                time_to_well: Duration::from_millis(n),
            },
        },
        _ if n.is_multiple_of(5) => Record::Gone { subject },
        _ if n.is_multiple_of(7) => Record::GivenBack {
            subject,
            at,
            boot_id: BOOT,
            mass: false,
        },
        _ => Record::Released { subject },
    }
}

fn decision(n: u64) -> Decision {
    Decision {
        id: DecisionId {
            node: NodeName::new("h1.docker.watchdog").expect("a name"),
            epoch: 1,
            count: n,
        },
        at: Moment::from_millis(n),
        wall: WallTime(n),
        subject: subject(n % 7),
        incarnation: Incarnation("x".to_owned()),
        evidence: vec![Evidence::new(
            EvidenceKind::Exited,
            Moment::from_millis(n),
            "exit code 137 \"ä\"\n",
        )],
        guards: vec![GuardAnswer {
            guard: Guard::Budget,
            verdict: GuardVerdict::Waived,
            detail: "5 left".to_owned(),
        }],
        action: ActionKind::Start,
        budget_left: Some(4),
        outcome: Outcome::UnderWay,
        why: "it crashed".to_owned(),
        result: String::new(),
    }
}

/// What the records 0..count come to.
pub(crate) fn memory_of(count: u64) -> Recovered {
    let mut memory = Recovered::default();
    (0..count).for_each(|n| memory.apply(&record(n)));
    memory
}

/// Appends that record.
#[track_caller]
pub(crate) fn write(journal: &mut Journal, n: u64) {
    journal.append(&record(n));
    assert_eq!(journal.trouble(), None, "record {n}");
}

/// Opens the journal in that folder.
#[track_caller]
pub(crate) fn open(folder: &Path) -> (Journal, Opened) {
    Journal::open(folder).expect("a journal")
}
