//! What the daemon shows of itself: for its local status socket, metrics and readiness. Reads only.

use super::agent::ContainerAgent;
use crate::decision::Decision;
use crate::message::Digest;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::Verdict;
use alloc::string::String;

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContainerCounters {
    /// Events taken (without duplicates).
    pub events: u64,
    /// Events that had been taken before.
    pub duplicates: u64,
    /// `/start` calls posted.
    pub starts: u64,
    /// `/stop` calls posted.
    pub stops: u64,
    /// Repairs that ended well.
    pub succeeded: u64,
    /// Repairs that failed.
    pub failed: u64,
    /// Repairs that a person's act ended.
    pub overruled: u64,
    /// Subjects given up.
    pub given_up: u64,
    /// Restarts seen to be done by the engine.
    pub engine_restarts: u64,
    /// Times the event stream's continuity was lost.
    pub stream_losses: u64,
    /// Times this process was found not to have run.
    pub stalls: u64,
    /// Orders refused.
    pub orders_refused: u64,
}

impl ContainerAgent {
    /// What is believed of every container, parents before children.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.frontend.verdicts()
    }

    /// The newest decisions, oldest first; at most [`super::record::Recovered::DECISIONS_MAX`].
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter()
    }

    /// Digest of all verdicts.
    pub fn digest(&self) -> Digest {
        self.frontend.digest()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> ContainerCounters {
        ContainerCounters {
            stream_losses: self.stream.losses,
            ..self.counters
        }
    }

    /// What is degraded (`Err`) or was and is no longer (`Ok`), by topic.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, &Result<String, String>)> {
        self.conditions.iter().map(|(about, state)| (*about, state))
    }

    /// Holds in force, and until when.
    pub fn holds(&self) -> impl Iterator<Item = (&SubjectId, Moment)> {
        self.holds.iter().map(|(subject, until)| (subject, *until))
    }

    /// True once the containers were listed and the event stream is open and whole: from then on a crash is healed at
    /// once.
    pub fn is_ready(&self) -> bool {
        self.list.done && self.stream.is_open() && self.stream.gap_until().is_none()
    }

    /// True while a parent has said Welcome and the link is up.
    pub fn is_joined(&self) -> bool {
        self.frontend.is_joined()
    }
}
