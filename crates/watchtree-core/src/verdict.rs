//! What is believed of a subject, how sure, and why.
//!
//! Silence alone never proves death: `State::Down` exists only at `Level::Certain`.

use crate::id::NodeName;
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::time::Moment;
use crate::words::words;
use alloc::string::String;
use alloc::vec::Vec;

words! {
    /// How strong the evidence is. Actions are bound to levels.
    #[derive(Default)]
    pub enum Level {
        /// Nothing is known.
        #[default]
        None = "none",
        /// A missed freshness point, a disconnect: probe and tell, nothing else.
        Weak = "weak",
        /// Several rounds of confirmation from outside: an incident, nothing irreversible.
        Strong = "strong",
        /// The kernel or the engine said so, or the subject itself.
        Certain = "certain",
    }
}

words! {
    /// What a subject is believed to be. Ordered from well to ill, so that a roll-up is the maximum.
    #[derive(Default)]
    pub enum State {
        /// Well.
        Ok = "OK",
        /// It ended as it should: exit 0 without a restart policy, one-off, auto-remove.
        Finished = "FINISHED",
        /// A person stopped, paused or killed it. Left alone.
        Stopped = "STOPPED",
        /// It has just been started and is inside its grace.
        Starting = "STARTING",
        /// Nobody has told yet.
        #[default]
        Unknown = "UNKNOWN",
        /// Its watchdog said goodbye (an upgrade, a restart): nobody looks just now.
        Unwatched = "UNWATCHED",
        /// It works, but something about it wants a person's eye (disk full, lagging loop, a bad label).
        Degraded = "DEGRADED",
        /// A missed freshness point; being looked at right now.
        Suspect = "SUSPECT",
        /// A repair is under way or waits for its turn.
        Repairing = "REPAIRING",
        /// It runs, but its health check fails.
        Unhealthy = "UNHEALTHY",
        /// Its kernel answers, its watchdog does not.
        AgentLost = "AGENT LOST",
        /// Neither it nor its kernel answers, or no probe was possible: see the evidence. Never proof of death.
        Unreachable = "UNREACHABLE",
        /// It is dead, and that is certain.
        Down = "DOWN",
        /// Its budget is used up, or nothing could tell whether to act: a person is needed.
        GivenUp = "GIVEN UP",
    }
}

impl State {
    /// True where an incident is open while it lasts.
    pub const fn is_incident(self) -> bool {
        matches!(
            self,
            Self::AgentLost | Self::Unreachable | Self::Down | Self::GivenUp | Self::Unhealthy
        )
    }
}

words! {
    /// What kind of fact an [`Evidence`] is.
    pub enum EvidenceKind {
        /// The init process of a container ended (exit code in the detail).
        Exited = "exited",
        /// The kernel killed it for memory.
        OutOfMemory = "out_of_memory",
        /// A stop signal, a stop, kill or rm by somebody else was seen, or the engine's own mark of one.
        OperatorStop = "operator_stop",
        /// The event stream was unbroken and showed nobody stopping it.
        NobodyStoppedIt = "nobody_stopped_it",
        /// The event stream had a gap.
        StreamBroken = "stream_broken",
        /// The state of its health check.
        HealthCheck = "health_check",
        /// The engine restarted it by its own policy.
        EngineRestart = "engine_restart",
        /// A new incarnation was seen.
        NewIncarnation = "new_incarnation",
        /// A freshness point passed without a beat (which slot, how late in the detail).
        MissedSlot = "missed_slot",
        /// The transport reported a disconnect: a hint.
        Disconnected = "disconnected",
        /// A Ping on the link was or was not answered.
        Ping = "ping",
        /// Its kernel answered from outside (TCP accepted or refused, ICMP).
        KernelAnswers = "kernel_answers",
        /// Its kernel was asked from outside and did not answer.
        KernelSilent = "kernel_silent",
        /// A probe from outside could not be made (no rights, no address, NAT): nothing is known by it.
        NoLook = "no_look",
        /// It said goodbye.
        Goodbye = "goodbye",
        /// The kernel says its process is gone (pidfd).
        ProcessGone = "process_gone",
        /// The shim of a container is stopped (SIGSTOP), and passes nothing on.
        ShimStopped = "shim_stopped",
        /// What a restart destroys was captured before it, or what an end has left: figures, and the file on its machine.
        Captured = "captured",
        /// A probe of an engine, with its answer or its deadline.
        EngineProbe = "engine_probe",
        /// The network namespace of a process is not that of the container whose network it joins.
        NetworkLost = "network_lost",
        /// The same of its pids or its ipc.
        NamespaceLost = "namespace_lost",
        /// A figure of a host (load, memory, disk, lag).
        HostHealth = "host_health",
        /// What the journal remembered.
        Journal = "journal",
        /// An order or a person's request.
        Order = "order",
        /// Bad input: a label, a configuration, a frame.
        BadInput = "bad_input",
        /// The observer's own state (it was frozen, its disk is full).
        Observer = "observer",
    }
}

/// One fact a verdict or a decision rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The fact in words, without the kind: `exit code 137`, `slot 91 is 1.2 s late`. At most
    /// [`Evidence::DETAIL_BYTES_MAX`] bytes; never environment variables.
    pub detail: String,
    /// When it was seen, on the observer's clock.
    pub at: Moment,
}

impl Evidence {
    /// Longest detail in bytes.
    pub const DETAIL_BYTES_MAX: usize = 512;
    /// Most pieces of evidence one verdict or decision carries.
    pub const COUNT_MAX: usize = 16;

    /// Makes one; a too long detail is cut at a character's border.
    pub fn new(kind: EvidenceKind, at: Moment, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if Self::DETAIL_BYTES_MAX < detail.len() {
            let cut = (0..=Self::DETAIL_BYTES_MAX)
                .rev()
                .find(|&i| detail.is_char_boundary(i))
                .unwrap_or(0);
            detail.truncate(cut);
        }
        Self { kind, detail, at }
    }
}

/// How well the observer is: 0 = well, 8 = so ill that its verdicts must not be believed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ObserverHealth(pub u8);

impl ObserverHealth {
    /// From here on an observer may not originate `Strong` verdicts.
    pub const DEGRADED: u8 = 4;
    /// The worst.
    pub const MAX: u8 = 8;
}

/// What an observer says of a subject. The unit of reports: the latest wins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Of whom.
    pub subject: SubjectId,
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Of which of its lives; empty when none was ever seen.
    pub incarnation: Incarnation,
    /// What is believed.
    pub state: State,
    /// How sure.
    pub level: Level,
    /// One line in words for people: `crashed (exit 1), restart 2 of 5 in 0.2 s`.
    pub why: String,
    /// The facts; the newest last.
    pub evidence: Vec<Evidence>,
    /// Who says so.
    pub observer: NodeName,
    /// How well that one is.
    pub observer_health: ObserverHealth,
    /// Since when the state is this, on the observer's clock.
    pub since: Moment,
    /// True while a hold keeps repairs away.
    pub held: bool,
    /// Remarks that a person should see although the state is fine, such as a bad label and the default that took its
    /// place. At most [`Verdict::REMARKS_MAX`].
    pub remarks: Vec<String>,
}

impl Verdict {
    /// Most remarks of one verdict.
    pub const REMARKS_MAX: usize = 8;
}

#[cfg(test)]
mod tests {
    //! Which states are incidents; how long evidence may be.
    use super::*;

    #[test]
    fn the_worst_states_and_an_unhealthy_one_are_incidents() {
        use State::{
            AgentLost, Degraded, Down, GivenUp, Ok, Repairing, Stopped, Suspect, Unhealthy, Unknown, Unreachable,
        };
        assert!(
            [Unhealthy, AgentLost, Unreachable, Down, GivenUp]
                .into_iter()
                .all(State::is_incident)
        );
        let others = [Ok, Stopped, Unknown, Degraded, Suspect, Repairing];
        assert!(!others.into_iter().any(State::is_incident));
    }

    #[test]
    fn a_long_detail_is_cut_between_two_characters() {
        // Letters before the two bytes of an `ä`, and the length that is kept.
        for (letters, kept) in [(0, 2), (509, 511), (510, 512), (511, 511), (512, 512), (600, 512)] {
            let detail = "x".repeat(letters) + "ä";
            let evidence = Evidence::new(EvidenceKind::Ping, Moment::ZERO, detail);
            assert_eq!(evidence.detail.len(), kept, "{letters}");
        }
    }
}
