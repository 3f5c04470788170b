//! One record per decision, also for what was *not* done.

use crate::id::NodeName;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Moment, WallTime};
use crate::verdict::Evidence;
use crate::words::words;
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

words! {
    /// The guards an action must pass. Each is in the record with its answer, also one that was not asked.
    pub enum Guard {
        /// Is healing switched on for this subject (label, configuration, observe-only)?
        Enabled = "enabled",
        /// Did a person or a tool of theirs stop it?
        OperatorIntent = "operator_intent",
        /// Is it known why it stopped?
        KnownCause = "known_cause",
        /// Is what it depends on well, or not to be waited for?
        Dependencies = "dependencies",
        /// Is it meant to run (not finished, one-off, auto-removed)?
        MeantToRun = "meant_to_run",
        /// Does somebody else own it or is the engine about to restart it itself?
        EngineFirst = "engine_first",
        /// Is its project being deployed?
        Deploy = "deploy",
        /// Is it held?
        Hold = "hold",
        /// Is the host going down?
        HostShutdown = "host_shutdown",
        /// Is another repair of it under way?
        InFlight = "in_flight",
        /// Is it still inside its grace?
        Grace = "grace",
        /// Has the back-off run out?
        Backoff = "backoff",
        /// Is budget left?
        Budget = "budget",
        /// Was the observer itself well?
        Observer = "observer",
        /// Is the evidence strong enough for this action?
        Level = "level",
        /// Is the order genuine, fresh, and about this incarnation?
        OrderValid = "order_valid",
    }
}

words! {
    /// How a guard answered.
    pub enum GuardVerdict {
        /// It was asked and has no objection.
        Passed = "passed",
        /// It was asked and stopped the action.
        Blocked = "blocked",
        /// It would have been in the way, but somebody set it aside: the detail says who.
        Waived = "waived",
        /// It was not asked: the detail says why.
        NotAsked = "not_asked",
    }
}

impl GuardVerdict {
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

words! {
    /// What was done, or would have been done.
    pub enum ActionKind {
        /// Start a container that exited.
        Start = "start",
        /// Stop a hung or unhealthy container, inspect it for an act of a person, start it.
        StopThenStart = "stop_then_start",
        /// Kill the shim of a container that holds our stop of it.
        KillShim = "kill_shim",
        /// Kill and start again a watchdog (child process).
        ReviveWatchdog = "revive_watchdog",
        /// Restart an engine, or what it stands on.
        RestartEngine = "restart_engine",
        /// Send an alert to a human.
        Escalate = "escalate",
        /// Send an order down.
        SendOrder = "send_order",
        /// Set or end a hold.
        Hold = "hold",
        /// Take a host out of the tree.
        Forget = "forget",
        /// No action is called for; the record says why.
        None = "none",
    }
}

words! {
    /// How a decision ended. A record is sent again with the same id when this changes.
    pub enum Outcome {
        /// A guard stopped the action, or none was called for.
        NotTaken = "not_taken",
        /// Written down; being performed.
        UnderWay = "under_way",
        /// Performed; the new incarnation is being watched.
        Verifying = "verifying",
        /// A new incarnation was seen and stayed.
        Succeeded = "succeeded",
        /// It was performed and did not help, or the engine refused it.
        Failed = "failed",
        /// A person's stop, kill or rm fell into it, and wins.
        Overruled = "overruled",
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

#[cfg(test)]
mod tests {
    //! Names, and what a guard's word means.
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn only_the_guard_that_blocks_lets_nothing_pass() {
        let pass = GuardVerdict::ALL.map(GuardVerdict::lets_pass);
        assert_eq!(pass, [true, false, true, true]);
        assert!(GuardAnswer::passed(Guard::Hold, "").lets_pass());
        assert!(!GuardAnswer::blocked(Guard::Hold, "").lets_pass());
    }

    #[test]
    fn a_word_that_is_not_known_or_contradicts_counts_for_nothing() {
        let cases = [
            ("waived", true, GuardVerdict::Waived),
            ("blocked", false, GuardVerdict::Blocked),
            ("waived", false, GuardVerdict::Blocked),
            ("blocked", true, GuardVerdict::Passed),
            ("newer", true, GuardVerdict::Passed),
            ("", false, GuardVerdict::Blocked),
        ];
        for (word, pass, verdict) in cases {
            assert_eq!(GuardVerdict::from_word_or_pass(word, pass), verdict, "{word} {pass}");
        }
    }

    #[test]
    fn its_name_is_node_epoch_and_count() {
        let node = NodeName::new("h1.docker.watchdog").unwrap();
        let id = DecisionId {
            node,
            epoch: 7,
            count: 42,
        };
        assert_eq!(id.to_string(), "h1.docker.watchdog:7:42");
    }
}
