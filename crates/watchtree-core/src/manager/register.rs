//! The register of incidents: the open ones, those that wait to become one, and the newest closed ones.
//!
//! Judges nothing: what is written here is decided in `incidents`.

use crate::incident::{Incident, IncidentId};
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::State;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Closed incidents kept in memory; all are in the store.
const CLOSED_MAX: usize = 256;

/// The open incidents, those that wait to become one, and the newest closed ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Incidents {
    pub(super) open: BTreeMap<SubjectId, Incident>,
    pending: BTreeMap<SubjectId, Moment>,
    pub(super) due: BTreeSet<(Moment, SubjectId)>,
    closed: VecDeque<Incident>,
    pub(super) next: IncidentId,
}

impl Incidents {
    pub(super) fn new(next: IncidentId) -> Self {
        Self {
            next: next.max(1),
            ..Self::default()
        }
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    pub(super) fn closed(&self) -> impl Iterator<Item = &Incident> {
        self.closed.iter()
    }

    pub(super) fn wait(&mut self, subject: &SubjectId, until: Moment) {
        if !self.pending.contains_key(subject) {
            self.pending.insert(subject.clone(), until);
            self.due.insert((until, subject.clone()));
        }
    }

    pub(super) fn wait_no_more(&mut self, subject: &SubjectId) {
        if let Some(at) = self.pending.remove(subject) {
            self.due.remove(&(at, subject.clone()));
        }
    }

    pub(super) fn wait_no_more_within(&mut self, top: &SubjectId) {
        let waiting: Vec<SubjectId> = self.pending.keys().filter(|s| s.is_within(top)).cloned().collect();
        for subject in waiting {
            self.wait_no_more(&subject);
        }
    }

    /// Nothing that waits is decided before then.
    pub(super) fn put_off(&mut self, until: Moment) {
        let early = self.due.iter().take_while(|(at, _)| *at < until);
        let early: Vec<SubjectId> = early.map(|(_, subject)| subject.clone()).collect();
        for subject in early {
            self.wait_no_more(&subject);
            self.wait(&subject, until);
        }
    }

    /// Keeps a closed one among the newest.
    pub(super) fn shelve(&mut self, incident: Incident) {
        if CLOSED_MAX <= self.closed.len() {
            self.closed.pop_front();
        }
        self.closed.push_back(incident);
    }

    /// True if this subject's own open incident explains the illnesses below it. Only hosts and engines carry others: a
    /// container may have the name of a compose project, whose containers it has nothing to do with.
    pub(super) fn explains(&self, subject: &SubjectId) -> bool {
        let carries = subject.parent().is_none_or(|above| above.parent().is_none());
        let ill = |incident: &Incident| matches!(incident.state, State::AgentLost | State::Unreachable | State::Down);
        carries && self.open.get(subject).is_some_and(ill)
    }

    /// The nearest subject above whose own open incident explains this one.
    pub(super) fn cause_of(&self, subject: &SubjectId) -> Option<SubjectId> {
        let mut above = subject.parent();
        while let Some(candidate) = above {
            if self.explains(&candidate) {
                return Some(candidate);
            }
            above = candidate.parent();
        }
        None
    }

    pub(super) fn within(&self, top: &SubjectId) -> Vec<SubjectId> {
        self.open
            .keys()
            .filter(|subject| subject.is_within(top))
            .cloned()
            .collect()
    }
}
