//! The payload of a journal frame: mirror types of the core's records, as JSON. The core derives no `Serialize`.
//!
//! Contract: a line is one record as it was written, or one part of a fold of earlier records. Unknown fields are ignored. A line
//! that cannot be read (of a newer version) is skipped, and so is a repair with an unknown step; the rest of that subject is taken.

use crate::decision_json::DecisionJson;
use crate::journal_engine::EngineLine;
use crate::journal_repair::RepairLine;
use crate::journal_stamp::{
    Stamp, Startup, core_stamp, core_startup, hex16, hold_end, hold_line, longest_hold, stamp, startup_line,
};
use crate::journal_subject::{SubjectLine, desired, subject_id};
use serde::{Deserialize, Serialize};
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::{Desired, OpenRepair, Record, Recovered};
use watchtree_core::id::BootId;
use watchtree_core::subject::Incarnation;
use watchtree_core::time::Moment;

/// One frame's payload.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Line {
    LastEvent {
        at: u64,
        id: String,
        action: String,
    },
    Desired {
        subject: String,
        id: String,
        incarnation: String,
        running: bool,
    },
    Charged {
        subject: String,
        stamp: Stamp,
        #[serde(default)]
        mass: bool,
    },
    GivenBack {
        subject: String,
        at: u64,
        boot: String,
        #[serde(default)]
        mass: bool,
    },
    StopSeen {
        subject: String,
        id: String,
        at: u64,
        signal: u32,
    },
    FlagSet {
        subject: String,
        id: String,
        by: Option<(u64, u32)>,
    },
    BecameWell {
        subject: String,
        startup: Startup,
    },
    CameUp {
        subject: String,
        id: String,
    },
    Replaced {
        subject: String,
        id: String,
        name: String,
    },
    Cleared {
        subject: String,
    },
    EngineBegan(EngineLine),
    Repair {
        subject: String,
        repair: RepairLine,
    },
    GivenUp {
        subject: String,
        stamp: Stamp,
    },
    Held {
        subject: String,
        stamp: Stamp,
        #[serde(default = "longest_hold")]
        lasts_ms: u64,
    },
    Released {
        subject: String,
    },
    Ordered {
        id: String,
        done: bool,
        detail: String,
    },
    Gone {
        subject: String,
    },
    Decided(Box<DecisionJson>),
    /// Of a fold: everything about one subject.
    Subject(Box<SubjectLine>),
    /// Of a fold: the charges of the host.
    HostCharges {
        stamps: Vec<Stamp>,
    },
}

impl Line {
    /// The line of one record.
    pub(crate) fn of(record: &Record) -> Self {
        match record {
            Record::LastEvent { at, id, action } => Self::LastEvent {
                at: at.0,
                id: id.clone(),
                action: action.clone(),
            },
            Record::Desired {
                subject,
                id,
                incarnation,
                desired,
            } => Self::Desired {
                subject: subject.to_string(),
                id: id.clone(),
                incarnation: incarnation.0.clone(),
                running: *desired == Desired::Running,
            },
            Record::Charged {
                subject,
                at,
                boot_id,
                wall,
                mass,
            } => Self::Charged {
                subject: subject.to_string(),
                stamp: stamp(&(*at, *boot_id, *wall)),
                mass: *mass,
            },
            Record::GivenBack {
                subject,
                at,
                boot_id,
                mass,
            } => Self::GivenBack {
                subject: subject.to_string(),
                at: at.as_micros(),
                boot: boot_id.to_string(),
                mass: *mass,
            },
            Record::StopSeen {
                subject,
                id,
                at,
                signal,
            } => Self::StopSeen {
                subject: subject.to_string(),
                id: id.clone(),
                at: at.0,
                signal: *signal,
            },
            Record::FlagSet { subject, id, by } => Self::FlagSet {
                subject: subject.to_string(),
                id: id.clone(),
                by: by.map(|(at, signal)| (at.0, signal)),
            },
            Record::BecameWell { subject, startup } => Self::BecameWell {
                subject: subject.to_string(),
                startup: startup_line(startup),
            },
            Record::CameUp { subject, id } => Self::CameUp {
                subject: subject.to_string(),
                id: id.clone(),
            },
            Record::Replaced { subject, id, name } => Self::Replaced {
                subject: subject.to_string(),
                id: id.clone(),
                name: name.clone(),
            },
            Record::Cleared { subject } => Self::Cleared {
                subject: subject.to_string(),
            },
            Record::EngineBegan(life) => Self::EngineBegan(EngineLine::of(life)),
            Record::Repair {
                subject,
                id,
                incarnation,
                step,
                last_event,
                at,
                boot_id,
                stop_timeout_secs,
            } => Self::Repair {
                subject: subject.to_string(),
                repair: RepairLine::of(&OpenRepair {
                    id: id.clone(),
                    incarnation: incarnation.clone(),
                    step: *step,
                    last_event: *last_event,
                    at: *at,
                    boot_id: *boot_id,
                    stop_timeout_secs: *stop_timeout_secs,
                }),
            },
            Record::GivenUp {
                subject,
                at,
                boot_id,
                wall,
            } => Self::GivenUp {
                subject: subject.to_string(),
                stamp: stamp(&(*at, *boot_id, *wall)),
            },
            Record::Held { subject, end } => {
                let (stamp, lasts_ms) = hold_line(end);
                let subject = subject.to_string();
                Self::Held {
                    subject,
                    stamp,
                    lasts_ms,
                }
            }
            Record::Released { subject } => Self::Released {
                subject: subject.to_string(),
            },
            Record::Ordered { id, done, detail } => Self::Ordered {
                id: BootId(*id).to_string(),
                done: *done,
                detail: detail.clone(),
            },
            Record::Gone { subject } => Self::Gone {
                subject: subject.to_string(),
            },
            Record::Decided(decision) => Self::Decided(Box::new(DecisionJson::of(decision))),
        }
    }

    /// Applies the line to the memory; false if it holds what this version cannot read.
    pub(crate) fn apply_to(self, memory: &mut Recovered) -> bool {
        match self {
            Self::Subject(line) => line.apply_to(memory).is_some(),
            Self::HostCharges { stamps } => {
                memory.host_charges = stamps.iter().filter_map(core_stamp).collect();
                true
            }
            record => record.into_record().map(|record| memory.apply(&record)).is_some(),
        }
    }

    fn into_record(self) -> Option<Record> {
        Some(match self {
            Self::LastEvent { at, id, action } => Record::LastEvent {
                at: EngineTime(at),
                id,
                action,
            },
            Self::Desired {
                subject,
                id,
                incarnation,
                running,
            } => Record::Desired {
                subject: subject_id(&subject)?,
                id,
                incarnation: Incarnation(incarnation),
                desired: desired(running),
            },
            Self::Charged { subject, stamp, mass } => {
                let (at, boot_id, wall) = core_stamp(&stamp)?;
                Record::Charged {
                    subject: subject_id(&subject)?,
                    at,
                    boot_id,
                    wall,
                    mass,
                }
            }
            Self::GivenBack {
                subject,
                at,
                boot,
                mass,
            } => Record::GivenBack {
                subject: subject_id(&subject)?,
                at: Moment::from_micros(at),
                boot_id: BootId(hex16(&boot)?),
                mass,
            },
            Self::StopSeen {
                subject,
                id,
                at,
                signal,
            } => Record::StopSeen {
                subject: subject_id(&subject)?,
                id,
                at: EngineTime(at),
                signal,
            },
            Self::FlagSet { subject, id, by } => Record::FlagSet {
                subject: subject_id(&subject)?,
                id,
                by: by.map(|(at, signal)| (EngineTime(at), signal)),
            },
            Self::BecameWell { subject, startup } => Record::BecameWell {
                subject: subject_id(&subject)?,
                startup: core_startup(&startup)?,
            },
            Self::CameUp { subject, id } => Record::CameUp {
                subject: subject_id(&subject)?,
                id,
            },
            Self::Replaced { subject, id, name } => Record::Replaced {
                subject: subject_id(&subject)?,
                id,
                name,
            },
            Self::Cleared { subject } => Record::Cleared {
                subject: subject_id(&subject)?,
            },
            Self::EngineBegan(line) => Record::EngineBegan(line.into_core()?),
            Self::Repair { subject, repair } => {
                let OpenRepair {
                    id,
                    incarnation,
                    step,
                    last_event,
                    at,
                    boot_id,
                    stop_timeout_secs,
                } = repair.into_core()?;
                let subject = subject_id(&subject)?;
                Record::Repair {
                    subject,
                    id,
                    incarnation,
                    step,
                    last_event,
                    at,
                    boot_id,
                    stop_timeout_secs,
                }
            }
            Self::GivenUp { subject, stamp } => {
                let (at, boot_id, wall) = core_stamp(&stamp)?;
                Record::GivenUp {
                    subject: subject_id(&subject)?,
                    at,
                    boot_id,
                    wall,
                }
            }
            Self::Held {
                subject,
                stamp,
                lasts_ms,
            } => Record::Held {
                subject: subject_id(&subject)?,
                end: hold_end(&stamp, lasts_ms)?,
            },
            Self::Released { subject } => Record::Released {
                subject: subject_id(&subject)?,
            },
            Self::Ordered { id, done, detail } => Record::Ordered {
                id: hex16(&id)?,
                done,
                detail,
            },
            Self::Gone { subject } => Record::Gone {
                subject: subject_id(&subject)?,
            },
            Self::Decided(line) => Record::Decided(line.read()?),
            Self::Subject(_) | Self::HostCharges { .. } => return None,
        })
    }
}

/// The lines a memory is written as: reading them into an empty memory gives the same one.
pub(crate) fn fold(memory: &Recovered) -> impl Iterator<Item = Line> {
    let last_event = memory.last_event.iter().map(|(at, id, action)| Line::LastEvent {
        at: at.0,
        id: id.clone(),
        action: action.clone(),
    });
    let lives = memory.engine_lives.iter();
    let lives = lives.map(|life| Line::EngineBegan(EngineLine::of(life)));
    let subjects = memory
        .subjects
        .iter()
        .map(|(subject, it)| Line::Subject(Box::new(SubjectLine::of(subject, it))));
    let host = Line::HostCharges {
        stamps: memory.host_charges.iter().map(stamp).collect(),
    };
    let orders = memory.orders.iter().map(|(id, done, detail)| Line::Ordered {
        id: BootId(*id).to_string(),
        done: *done,
        detail: detail.clone(),
    });
    let decisions = memory
        .decisions
        .iter()
        .map(|decision| Line::Decided(Box::new(DecisionJson::of(decision))));
    last_event
        .chain(lives)
        .chain(subjects)
        .chain([host])
        .chain(orders)
        .chain(decisions)
}
