//! What the container role writes into its journal, and what it gets back at the next start.
//!
//! The journal makes three promises: a repair that was begun is known after a kill -9 at any moment (so it is neither
//! forgotten nor doubled), budgets survive, and so does what was meant to run.

use crate::container::io::{ContainerId, EngineTime};
use crate::decision::Decision;
use crate::id::BootId;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Moment, WallTime};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Where a repair is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum RepairStep {
    /// About to post `/stop`.
    StopPosted,
    /// `/stop` was answered.
    StopAnswered,
    /// About to post `/start`.
    StartPosted,
    /// `/start` was answered; a new incarnation is being watched.
    StartAnswered,
    /// It is over: succeeded, failed or overruled.
    Ended,
}

/// What the role holds to be a person's wish for a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Desired {
    /// It was seen running and nobody stopped it.
    Running,
    /// A person stopped it, or it finished.
    Stopped,
}

/// One journal record. Written before what it announces is done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// The newest event that was taken: where the next subscription resumes.
    LastEvent {
        /// Its time.
        at: EngineTime,
        /// Its container.
        id: ContainerId,
        /// Its action, as a word that tells two events of one nanosecond apart.
        action: String,
    },
    /// What a container is meant to do.
    Desired {
        /// Which.
        subject: SubjectId,
        /// Its id at the time.
        id: ContainerId,
        /// Its life at the time.
        incarnation: Incarnation,
        /// What.
        desired: Desired,
    },
    /// A restart was charged to the subject's budget, by us or seen to be done by the engine.
    Charged {
        /// Whose budget.
        subject: SubjectId,
        /// When.
        at: Moment,
        /// The boot `at` belongs to.
        boot_id: BootId,
        /// For its age after a reboot.
        wall: WallTime,
    },
    /// The subject's budget was given back whole (`retry`), or it ran clean long enough.
    Cleared {
        /// Whose.
        subject: SubjectId,
    },
    /// A repair took a step.
    Repair {
        /// Whose.
        subject: SubjectId,
        /// Container.
        id: ContainerId,
        /// The life that is being ended or has ended.
        incarnation: Incarnation,
        /// Where it is.
        step: RepairStep,
        /// The engine's time of the newest event then: kills after it count.
        last_event: EngineTime,
        /// Moment of the step.
        at: Moment,
        /// The boot of `at`.
        boot_id: BootId,
        /// Seconds given to `/stop`; 0 where none is posted.
        stop_timeout_secs: u32,
    },
    /// Budget used up: hands off but for one slow retry.
    GivenUp {
        /// Who.
        subject: SubjectId,
        /// Since.
        at: Moment,
        /// The boot of `at`.
        boot_id: BootId,
        /// Label of the same.
        wall: WallTime,
    },
    /// A hold was set; `until` on the clock of `boot_id`, and as wall time for a later boot. Ends by itself.
    Held {
        /// Who.
        subject: SubjectId,
        /// Till when.
        until: Moment,
        /// The boot of `until`.
        boot_id: BootId,
        /// Till when, as a label and for a later boot.
        until_wall: WallTime,
    },
    /// A hold ended.
    Released {
        /// Who.
        subject: SubjectId,
    },
    /// An order was carried out or refused: its id and answer, so that a second copy is answered alike.
    Ordered {
        /// Its id.
        id: [u8; 16],
        /// True = carried out.
        done: bool,
        /// In words.
        detail: String,
    },
    /// The subject is gone (removed): forget it all.
    Gone {
        /// Who.
        subject: SubjectId,
    },
    /// A decision, for `explain`.
    Decided(Decision),
}

/// What the journal held, folded: the role's memory at its start. `watchtree-store` folds; the fold itself
/// (`Recovered::apply`) is here, so that the simulator uses the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// The newest event taken.
    pub last_event: Option<(EngineTime, ContainerId, String)>,
    /// Per subject.
    pub subjects: BTreeMap<SubjectId, RecoveredSubject>,
    /// Orders already answered, oldest first; at most [`Recovered::ORDERS_MAX`].
    pub orders: Vec<([u8; 16], bool, String)>,
    /// The newest decisions, oldest first; at most [`Recovered::DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
}

impl Recovered {
    /// Most remembered orders.
    pub const ORDERS_MAX: usize = 256;
    /// Most remembered decisions.
    pub const DECISIONS_MAX: usize = 512;
}

/// What is remembered of one subject.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecoveredSubject {
    /// Container id and life that `desired` was about.
    pub desired: Option<(ContainerId, Incarnation, Desired)>,
    /// Restarts charged, oldest first (moment, its boot, label).
    pub charges: Vec<(Moment, BootId, WallTime)>,
    /// A repair that has not ended.
    pub repair: Option<OpenRepair>,
    /// Since when it is given up.
    pub given_up: Option<(Moment, BootId, WallTime)>,
    /// Held until (moment, its boot, label).
    pub held: Option<(Moment, BootId, WallTime)>,
}

/// See [`Record::Repair`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenRepair {
    /// Container.
    pub id: ContainerId,
    /// The life that is being ended or has ended.
    pub incarnation: Incarnation,
    /// Where it was.
    pub step: RepairStep,
    /// Kills after this count.
    pub last_event: EngineTime,
    /// Moment of the step.
    pub at: Moment,
    /// The boot of `at`.
    pub boot_id: BootId,
    /// Seconds given to `/stop`.
    pub stop_timeout_secs: u32,
}
