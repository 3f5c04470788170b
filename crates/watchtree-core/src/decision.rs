//! One record per decision, also for what was *not* done.

use crate::id::NodeName;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Moment, WallTime};
use crate::verdict::Evidence;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A decision's name: unique in the tree for ever. Ordered by time within one epoch of one node.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct DecisionId {
    /// Who decided.
    pub node: NodeName,
    /// Which of its starts.
    pub epoch: u64,
    /// Count within that start, from 1.
    pub count: u64,
}

/// `h1.docker.watchdog:7:42`
impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.node, self.epoch, self.count)
    }
}

/// The guards an action must pass. Each is in the record with its answer, also one that was not asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Guard {
    /// Is healing switched on for this subject (label, configuration, observe-only)?
    Enabled,
    /// Did a person or a tool of theirs stop it?
    OperatorIntent,
    /// Is it known why it stopped?
    KnownCause,
    /// Is it meant to run (not finished, one-off, auto-removed)?
    MeantToRun,
    /// Does somebody else own it or is the engine about to restart it itself?
    EngineFirst,
    /// Is its project being deployed?
    Deploy,
    /// Is it held?
    Hold,
    /// Is the host going down?
    HostShutdown,
    /// Is another repair of it under way?
    InFlight,
    /// Is it still inside its grace?
    Grace,
    /// Has the back-off run out?
    Backoff,
    /// Is budget left?
    Budget,
    /// Was the observer itself well?
    Observer,
    /// Is the evidence strong enough for this action?
    Level,
    /// Is the order genuine, fresh, and about this incarnation?
    OrderValid,
}

impl Guard {
    /// All guards, for tables.
    pub const ALL: [Self; 15] = [
        Self::Enabled,
        Self::OperatorIntent,
        Self::KnownCause,
        Self::MeantToRun,
        Self::EngineFirst,
        Self::Deploy,
        Self::Hold,
        Self::HostShutdown,
        Self::InFlight,
        Self::Grace,
        Self::Backoff,
        Self::Budget,
        Self::Observer,
        Self::Level,
        Self::OrderValid,
    ];

    /// snake_case word: on the wire, in the journal and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::OperatorIntent => "operator_intent",
            Self::KnownCause => "known_cause",
            Self::MeantToRun => "meant_to_run",
            Self::EngineFirst => "engine_first",
            Self::Deploy => "deploy",
            Self::Hold => "hold",
            Self::HostShutdown => "host_shutdown",
            Self::InFlight => "in_flight",
            Self::Grace => "grace",
            Self::Backoff => "backoff",
            Self::Budget => "budget",
            Self::Observer => "observer",
            Self::Level => "level",
            Self::OrderValid => "order_valid",
        }
    }

    /// The guard of that word; a word of a newer version is `None`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.as_str() == word)
    }
}

/// How a guard answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum GuardVerdict {
    /// It was asked and has no objection.
    Passed,
    /// It was asked and stopped the action.
    Blocked,
    /// It would have been in the way, but somebody set it aside: the detail says who.
    Waived,
    /// It was not asked: the detail says why.
    NotAsked,
}

impl GuardVerdict {
    /// All verdicts, for tables.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Blocked, Self::Waived, Self::NotAsked];

    /// snake_case word: on the wire, in the journal and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Blocked => "blocked",
            Self::Waived => "waived",
            Self::NotAsked => "not_asked",
        }
    }

    /// The verdict of that word; a word of a newer version is `None`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }

    /// The verdict of a record that says only whether the action could go on, or has a word that is not known here.
    pub fn from_word_or_pass(word: &str, pass: bool) -> Self {
        let plain = if pass { Self::Passed } else { Self::Blocked };
        Self::from_word(word)
            .filter(|verdict| verdict.lets_pass() == pass)
            .unwrap_or(plain)
    }

    /// False only for the guard that stopped the action: the `pass` of the wire and of JSON.
    pub const fn lets_pass(self) -> bool {
        !matches!(self, Self::Blocked)
    }
}

/// A guard's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GuardAnswer {
    /// Which guard.
    pub guard: Guard,
    /// How it answered.
    pub verdict: GuardVerdict,
    /// In words: `kill signal 15 seen 0.1 s before the exit`.
    pub detail: String,
}

impl GuardAnswer {
    /// An answer.
    pub fn new(guard: Guard, verdict: GuardVerdict, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { guard, verdict, detail }
    }

    /// No objection; why, in words.
    pub fn passed(guard: Guard, detail: impl Into<String>) -> Self {
        Self::new(guard, GuardVerdict::Passed, detail)
    }

    /// It stops the action; why, in words.
    pub fn blocked(guard: Guard, detail: impl Into<String>) -> Self {
        Self::new(guard, GuardVerdict::Blocked, detail)
    }

    /// True if the action may go on as far as this guard is concerned.
    pub const fn lets_pass(&self) -> bool {
        self.verdict.lets_pass()
    }
}

/// What was done, or would have been done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum ActionKind {
    /// Start a container that exited.
    Start,
    /// Stop a hung or unhealthy container, look whether a person interfered, start it.
    StopThenStart,
    /// Kill and start again a watchdog (child process).
    ReviveWatchdog,
    /// Send an alert to a human.
    Escalate,
    /// Send an order down.
    SendOrder,
    /// Set or end a hold.
    Hold,
    /// Take a host out of the tree.
    Forget,
    /// No action is called for; the record says why.
    None,
}

impl ActionKind {
    /// All kinds, for tables.
    pub const ALL: [Self; 8] = [
        Self::Start,
        Self::StopThenStart,
        Self::ReviveWatchdog,
        Self::Escalate,
        Self::SendOrder,
        Self::Hold,
        Self::Forget,
        Self::None,
    ];

    /// snake_case word: on the wire, in the journal and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::StopThenStart => "stop_then_start",
            Self::ReviveWatchdog => "revive_watchdog",
            Self::Escalate => "escalate",
            Self::SendOrder => "send_order",
            Self::Hold => "hold",
            Self::Forget => "forget",
            Self::None => "none",
        }
    }

    /// The kind of that word; a word of a newer version is `None`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How a decision ended. A record is sent again with the same id when this changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Outcome {
    /// A guard stopped the action, or none was called for.
    NotTaken,
    /// Written down; being performed.
    UnderWay,
    /// Performed; the new incarnation is being watched.
    Verifying,
    /// A new incarnation was seen and stayed.
    Succeeded,
    /// It was performed and did not help, or the engine refused it.
    Failed,
    /// A person's stop, kill or rm fell into it, and wins.
    Overruled,
}

impl Outcome {
    /// All outcomes, for tables.
    pub const ALL: [Self; 6] = [
        Self::NotTaken,
        Self::UnderWay,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::Overruled,
    ];

    /// snake_case word: on the wire, in the journal and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotTaken => "not_taken",
            Self::UnderWay => "under_way",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Overruled => "overruled",
        }
    }

    /// The outcome of that word; a word of a newer version is `None`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// The record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Its name; a later record with the same id replaces this one.
    pub id: DecisionId,
    /// When it was made, on the decider's clock.
    pub at: Moment,
    /// The same as a label.
    pub wall: WallTime,
    /// About whom.
    pub subject: SubjectId,
    /// About which life.
    pub incarnation: Incarnation,
    /// On what facts; the newest last; at most [`Evidence::COUNT_MAX`].
    pub evidence: Vec<Evidence>,
    /// The guards of this action in their order, each with its answer.
    pub guards: Vec<GuardAnswer>,
    /// What was decided.
    pub action: ActionKind,
    /// Restarts left in the window after this decision; `None` where no budget applies.
    pub budget_left: Option<u32>,
    /// How it ended so far.
    pub outcome: Outcome,
    /// One line in words: `container exited with 137 and nobody stopped it: start it, attempt 1`.
    pub why: String,
    /// What came of it, in words; empty while nothing has.
    pub result: String,
}
