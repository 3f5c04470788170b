//! What comes out of a supervisor, in the order in which a role must write it down and do it.
//!
//! A record, the restart it takes from the budget and the first step of the repair stand before the command that does it.

use crate::decision::{Decision, Outcome};
use crate::recorder::{DecisionRecorder, Draft};
use crate::time::Moment;
use alloc::collections::VecDeque;

/// One thing to write down or to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a queue of few, and records are the most of them"
)]
pub enum Output<C> {
    /// A decision was made, or has changed.
    Decided(Decision),
    /// A restart was taken from the budget.
    Restarted {
        /// It is one of many of one cause: not taken from the budget of all together.
        correlated: bool,
    },
    /// The restart that was taken from the budget at that moment is given back: it was refused, and nothing was done.
    GivenBack {
        /// When it was taken.
        at: Moment,
        /// It was not taken from the budget of all together.
        correlated: bool,
    },
    /// The restart limit is reached: only half-open retries follow.
    LimitReached {
        /// Since this moment.
        since: Moment,
        /// It was not reached before; else a half-open retry has begun it anew.
        is_new: bool,
    },
    /// The whole budget was given back.
    LimitReset,
    /// A repair is over.
    Repaired(Outcome),
    /// The kind of subject wants this done.
    Command(C),
}

/// The queue of outputs; records go through the one recorder.
#[derive(Debug)]
pub struct Outputs<'a, C> {
    recorder: &'a mut DecisionRecorder,
    queue: &'a mut VecDeque<Output<C>>,
}

impl<'a, C> Outputs<'a, C> {
    /// Writes to that queue.
    pub const fn new(recorder: &'a mut DecisionRecorder, queue: &'a mut VecDeque<Output<C>>) -> Self {
        Self { recorder, queue }
    }

    /// Something that the kind of subject wants done.
    pub fn command(&mut self, command: C) {
        self.queue.push_back(Output::Command(command));
    }

    /// Makes a record.
    pub fn record(&mut self, now: Moment, draft: Draft) -> Decision {
        let decision = self.recorder.record(now, draft);
        self.take_records();
        decision
    }

    /// Writes a record again that has changed.
    pub fn update(&mut self, decision: &Decision) {
        self.recorder.update(decision);
        self.take_records();
    }

    pub(super) fn push(&mut self, output: Output<C>) {
        self.queue.push_back(output);
    }

    fn take_records(&mut self) {
        while let Some(decision) = self.recorder.poll() {
            self.queue.push_back(Output::Decided(decision));
        }
    }
}
