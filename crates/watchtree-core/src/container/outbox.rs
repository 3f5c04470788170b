//! What the role wants done, in order. Effects that can wait come after the engine calls of the same input.
//!
//! Knows no rule: it only keeps the order.

use super::io::{ContainerEffect, Record};
use crate::decision::Decision;
use crate::subject::SubjectId;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    effects: VecDeque<ContainerEffect>,
    later: Vec<ContainerEffect>,
    decided: Vec<Decision>,
    reconciled: Vec<SubjectId>,
    conditions: Vec<(&'static str, Result<String, String>)>,
}

impl Outbox {
    /// Next in order.
    pub(crate) fn push(&mut self, effect: ContainerEffect) {
        self.effects.push_back(effect);
    }

    /// Into the journal: everything after it waits for the write.
    pub(crate) fn journal(&mut self, record: Record) {
        self.push(ContainerEffect::Journal(record));
    }

    /// All of them, in order.
    pub(crate) fn journal_all(&mut self, records: impl IntoIterator<Item = Record>) {
        records.into_iter().for_each(|record| self.journal(record));
    }

    /// After everything else of this input.
    pub(crate) fn later(&mut self, effect: ContainerEffect) {
        self.later.push(effect);
    }

    /// A record, new or changed: into the journal now, to people later.
    pub(crate) fn decided(&mut self, decision: Decision) {
        self.journal(Record::Decided(decision.clone()));
        self.later(ContainerEffect::Decided(decision.clone()));
        self.decided.push(decision);
    }

    /// What is believed of the subject may have changed.
    pub(crate) fn reconciled(&mut self, subject: SubjectId) {
        self.reconciled.push(subject);
    }

    /// How something about this watchdog itself is now, in words.
    pub(crate) fn condition(&mut self, about: &'static str, state: Result<String, String>) {
        self.conditions.push((about, state));
    }

    /// What was said of this watchdog itself, since this was asked last.
    pub(crate) fn take_conditions(&mut self) -> Vec<(&'static str, Result<String, String>)> {
        core::mem::take(&mut self.conditions)
    }

    /// The records since this was asked last.
    pub(crate) fn take_decided(&mut self) -> Vec<Decision> {
        core::mem::take(&mut self.decided)
    }

    /// The subjects to report of, since this was asked last.
    pub(crate) fn take_reconciled(&mut self) -> Vec<SubjectId> {
        core::mem::take(&mut self.reconciled)
    }

    /// Lets out what waits.
    pub(crate) fn flush(&mut self) {
        self.effects.extend(self.later.drain(..));
    }

    /// The next effect.
    pub(crate) fn pop(&mut self) -> Option<ContainerEffect> {
        self.effects.pop_front()
    }
}
