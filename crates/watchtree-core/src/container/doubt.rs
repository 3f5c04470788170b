//! Breaks of the event stream: what is in doubt while it is broken, and what is unlearned when events may be lost.

use super::agent::ContainerAgent;
use super::facts::Facts;
use super::io::{Record, Ticket};
use super::record::Desired;
use super::stream::Healed;
use super::subject::Cause;
use crate::subject::Incarnation;
use crate::time::{Duration, Moment};
use alloc::vec::Vec;

/// An operator's stop this shortly before the engine itself went may have been the engine's, which waits for the slowest
/// container on top of it.
const LIFECYCLE_WITHIN: Duration = Duration::from_secs(30);
impl ContainerAgent {
    pub(crate) fn stream_broke(&mut self, now: Moment, ended: bool) {
        self.engine_went |= ended;
        if ended {
            self.doubt_recent_stops(now);
        }
        if self.stream.broke(now, ended) {
            self.subscribe();
        }
        self.touch_all();
    }

    pub(crate) fn gap_ended(&mut self, now: Moment, how: Healed) {
        if how == Healed::Whole {
            self.facts.values_mut().for_each(|facts| facts.doubt = false);
        } else {
            self.unlearn();
            if self.engine_went {
                // The engine's calls ended with it: what it did of them, the containers show.
                let lost: Vec<Ticket> = self.calls.keys().copied().collect();
                lost.into_iter().for_each(|ticket| self.call_is_void(now, ticket));
            }
        }
        self.bookmark();
        self.engine_went = false;
        self.touch_all();
    }

    /// Writes down the newest event taken. Never inside a gap: a bookmark says that everything before it was seen.
    pub(crate) fn bookmark(&mut self) {
        if let Some((at, id, action)) = self.stream.last.clone() {
            self.journal(Record::LastEvent { at, id, action });
        }
    }

    /// Events may have been lost: that something ran before the loss says nothing about who ended it since. What still
    /// runs is written down anew when it is next looked at.
    pub(crate) fn unlearn(&mut self) {
        let mut unsure = Vec::new();
        for (sid, subject) in &mut self.subjects {
            if let Some((id, life, Desired::Running)) = &mut subject.desired
                && !life.0.is_empty()
            {
                *life = Incarnation::default();
                unsure.push((sid.clone(), id.clone()));
            }
        }
        for (subject, id) in unsure {
            let incarnation = Incarnation::default();
            self.journal(Record::Desired {
                subject,
                id,
                incarnation,
                desired: Desired::Running,
            });
        }
    }

    /// The stream ended: stops seen just before may have been the engine's own, going down.
    pub(crate) fn doubt_recent_stops(&mut self, now: Moment) {
        let slowest = self.facts.values().map(Facts::stop_window).max();
        let within = LIFECYCLE_WITHIN + slowest.unwrap_or(Duration::ZERO);
        let mut unsure = Vec::new();
        for (sid, subject) in &mut self.subjects {
            let Some(facts) = subject.container.as_ref().and_then(|id| self.facts.get_mut(id)) else {
                continue;
            };
            let recent = |at: Option<Moment>| at.is_some_and(|at| now.since(at) < within);
            let stopped = subject
                .death
                .as_ref()
                .is_some_and(|it| matches!(it.cause, Cause::Operator(_)));
            // An end of before this process is as old as the signal that led to it.
            let ended = facts.died_at.filter(|_| facts.died_by_event).or(subject.signal_at);
            // Only what is known by signals can be judged anew from them, should the stream prove whole.
            if stopped && recent(ended) && facts.foreign_stop().is_some() {
                facts.doubt = true;
                subject.death = None;
                if let Some((id, life, desired @ Desired::Stopped)) = &mut subject.desired {
                    (*life, *desired) = (Incarnation::default(), Desired::Running);
                    unsure.push((sid.clone(), id.clone()));
                }
            } else if recent(subject.signal_at) {
                facts.doubt = true;
            }
        }
        for (subject, id) in unsure {
            let incarnation = Incarnation::default();
            self.journal(Record::Desired {
                subject,
                id,
                incarnation,
                desired: Desired::Running,
            });
        }
    }
}
