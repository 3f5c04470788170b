//! Incidents: what a person should know of, from the moment it began to the moment it was over.
//!
//! One incident per subject at a time; what hangs below an ill host is part of the host's incident, not one of its own.

use crate::decision::DecisionId;
use crate::subject::SubjectId;
use crate::time::{Moment, WallTime};
use crate::verdict::{Evidence, Level, State};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub(crate) mod pending;
pub(crate) mod register;
pub(crate) mod rules;

/// Names an incident: counts from 1 in one manager's database.
pub type IncidentId = u64;

/// An incident.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// About whom; for a group incident the manager itself.
    pub subject: SubjectId,
    /// What is believed.
    pub state: State,
    /// How sure.
    pub level: Level,
    /// True while only one vantage point could probe: `UNREACHABLE (unconfirmed)`.
    pub unconfirmed: bool,
    /// One line in words.
    pub why: String,
    /// The subject whose illness explains this one; `None` = itself.
    pub root_cause: Option<SubjectId>,
    /// How many subjects below are touched.
    pub touched: u64,
    /// When it was opened, on the manager's clock; meaningless after a reboot of the manager's machine.
    pub opened: Moment,
    /// The same as a label.
    pub opened_wall: WallTime,
    /// When it was closed; `None` = open.
    pub closed_wall: Option<WallTime>,
    /// Why it was closed, in words; empty while open.
    pub closed_why: String,
    /// The facts, the newest last; at most [`Evidence::COUNT_MAX`].
    pub evidence: Vec<Evidence>,
    /// Decisions that belong to it, oldest first; at most [`Incident::DECISIONS_MAX`].
    pub decisions: Vec<DecisionId>,
}

impl Incident {
    /// Most decisions one incident names.
    pub const DECISIONS_MAX: usize = 32;
    /// Most incidents open at one time; more are one line of the manager's own condition.
    pub const OPEN_MAX: usize = 4096;
}

/// What has changed about an incident.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IncidentChange {
    /// It is new: people should know.
    Opened(Incident),
    /// Its state, level or confirmation is another one: people should know.
    Changed(Incident),
    /// Only facts were added.
    Noted(Incident),
    /// It is over: people should know.
    Closed(Incident),
}

impl IncidentChange {
    /// `opened`, `changed`, `noted` or `closed`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Changed(_) => "changed",
            Self::Noted(_) => "noted",
            Self::Closed(_) => "closed",
        }
    }

    /// The incident, as it is after it.
    pub const fn incident(&self) -> &Incident {
        match self {
            Self::Opened(it) | Self::Changed(it) | Self::Noted(it) | Self::Closed(it) => it,
        }
    }
}

/// `opened h1/docker/web GIVEN UP`
impl fmt::Display for IncidentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Incident { subject, state, .. } = self.incident();
        write!(f, "{} {subject} {}", self.as_str(), state.as_str())
    }
}
