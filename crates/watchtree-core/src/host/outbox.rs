//! What the host role wants written down and done, in order: records, conditions, effects. The only way out of the role
//! but for frames to the manager.
//!
//! A record stands before the effect that it is about. Does not know who takes them.

use super::io::HostEffect;
use crate::conditions::Conditions;
use crate::decision::Decision;
use crate::explain::DecisionLog;
use crate::recorder::{DecisionRecorder, Draft};
use crate::subject::SubjectId;
use crate::time::Moment;
use alloc::collections::VecDeque;
use alloc::string::String;

/// See the module's text.
pub(super) struct Outbox {
    recorder: DecisionRecorder,
    log: DecisionLog,
    conditions: Conditions,
    effects: VecDeque<HostEffect>,
    upward: VecDeque<Decision>,
}

impl Outbox {
    /// Nothing was said yet; records are made by `recorder`.
    pub(super) fn new(recorder: DecisionRecorder) -> Self {
        Self {
            recorder,
            log: DecisionLog::default(),
            conditions: Conditions::default(),
            effects: VecDeque::new(),
            upward: VecDeque::new(),
        }
    }

    /// The recorder, for what makes records itself: each is to be handed to [`Self::decided`].
    pub(super) fn recorder(&mut self) -> &mut DecisionRecorder {
        &mut self.recorder
    }

    /// Makes a record.
    pub(super) fn record(&mut self, now: Moment, draft: Draft) {
        self.recorder.record(now, draft);
        while let Some(decision) = self.recorder.poll() {
            self.decided(decision);
        }
    }

    /// A record was made here, or has changed.
    pub(super) fn decided(&mut self, decision: Decision) {
        self.effects.push_back(HostEffect::Decided(decision.clone()));
        self.pass_up(decision);
    }

    /// A record passes through here.
    pub(super) fn pass_up(&mut self, decision: Decision) {
        self.log.put(decision.clone());
        self.upward.push_back(decision);
    }

    /// The next record for the manager.
    pub(super) fn poll_upward(&mut self) -> Option<Decision> {
        self.upward.pop_front()
    }

    /// The records about a subject.
    pub(super) fn explain(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.log.of(subject)
    }

    /// Takes what is true now; said if it is news.
    pub(super) fn condition(&mut self, about: &str, state: Result<String, String>) {
        if let Some(change) = self.conditions.set(about, state) {
            let (about, state) = (change.about, change.state);
            self.push(HostEffect::Condition { about, state });
        }
    }

    /// True while it is bad.
    pub(super) fn is_bad(&self, about: &str) -> bool {
        self.conditions.is_bad(about)
    }

    /// Wants something done.
    pub(super) fn push(&mut self, effect: HostEffect) {
        self.effects.push_back(effect);
    }

    /// The next thing to do.
    pub(super) fn poll(&mut self) -> Option<HostEffect> {
        self.effects.pop_front()
    }
}
