//! What the manager shows: the tree, incidents, explanations, its own health.

use super::ManagerAgent;
use crate::backend::{Child, Refusal};
use crate::decision::Decision;
use crate::id::{NodeIdentity, NodeName};
use crate::incident::Incident;
use crate::subject::{SubjectId, SubjectKind};
use crate::time::Moment;
use crate::tree::unknown;
use crate::verdict::{Level, ObserverHealth, State, Verdict};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl ManagerAgent {
    /// Who it is.
    pub fn identity(&self) -> &NodeIdentity {
        &self.identity
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// When it started.
    pub fn started(&self) -> Moment {
        self.started
    }

    /// True once a whole healthy window has passed since its start or its last stall: only then its verdicts count.
    pub fn is_settled(&self, now: Moment) -> bool {
        self.own.may_judge(now)
    }

    /// How well it is itself.
    pub fn health(&self, now: Moment) -> ObserverHealth {
        self.own.clone().health(now)
    }

    /// What is wrong with it or its view just now, by what it is about.
    pub fn conditions(&self) -> &BTreeMap<String, Result<String, String>> {
        &self.conditions
    }

    /// Frames refused since its start, by reason.
    pub fn refused(&self) -> &BTreeMap<Refusal, u64> {
        self.backend.refused()
    }

    /// The hosts it knows, with the manager's own word on each.
    pub fn hosts(&self) -> impl Iterator<Item = (&NodeName, &Verdict)> {
        self.hosts.iter().map(|(name, watch)| (name, &watch.verdict))
    }

    /// A host's last Hello, beat and book; `None` before its first Hello since this manager started.
    pub fn host(&self, name: &NodeName) -> Option<&Child> {
        self.backend.child(name)
    }

    /// The open incidents, by subject.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.open()
    }

    /// The newest closed incidents of this life, oldest first; the store has them all.
    pub fn closed_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.closed()
    }

    /// The newest decisions about a subject, oldest first; older ones are in the store.
    pub fn explain(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.log.of(subject)
    }

    /// The manager's verdict of itself.
    pub fn own_verdict(&self, now: Moment) -> Verdict {
        let (counted, silent) = (self.tally.counted, self.tally.silent);
        let health = self.health(now);
        let mut remarks: Vec<String> = self
            .conditions
            .iter()
            .filter_map(|(about, state)| state.as_ref().err().map(|why| format!("{about}: {why}")))
            .collect();
        remarks.truncate(Verdict::REMARKS_MAX);
        let (state, why) = if self.cut_off {
            (
                State::Degraded,
                format!("{silent} of {counted} hosts are silent: holds itself for the one cut off"),
            )
        } else if !self.own.may_judge(now) {
            (
                State::Starting,
                "judges nobody yet: waits for a whole healthy window".to_string(),
            )
        } else if ObserverHealth(ObserverHealth::DEGRADED) <= health {
            (
                State::Degraded,
                "it stalled again and again: its verdicts are only weak".to_string(),
            )
        } else if remarks.is_empty() {
            (State::Ok, format!("watches {} hosts", self.hosts.len()))
        } else {
            (State::Degraded, remarks.join("; "))
        };
        Verdict {
            state,
            level: Level::Certain,
            why,
            observer_health: health,
            remarks,
            ..unknown(
                self.subject.clone(),
                SubjectKind::Manager,
                self.identity.name.clone(),
                self.started,
            )
        }
    }
}
