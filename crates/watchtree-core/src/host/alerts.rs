//! Which illnesses below this host a person is called for by the host itself: where it has no manager, or none in sight.
//!
//! ```text
//!                     ill for long enough            nobody else calls: told       well, ended on purpose, or gone
//!   (nothing) ────────────────────────────▶ open ────────────────────────▶ told ────────────────────────────────▶ closed, told
//!                                            └──────────────────────────────────────────────────────────────────▶ closed
//! ```
//!
//! The same illnesses open an incident as at the manager, after the same times. What was told by this host is ended by it too,
//! whoever is in sight by then. Does not know how a person is called, nor whether the call arrived.

use super::io::{AlertPolicy, AlertWhen, HostEffect};
use super::outbox::Outbox;
use crate::decision::DecisionId;
use crate::frontend::Frontend;
use crate::incident::pending::Pending;
use crate::incident::register::{Finding, IncidentRegister, Inhibits};
use crate::incident::rules::{NO_ROOM_AGAIN, STILL_ILL_AFTER, is_being_repaired, is_over, lasts};
use crate::incident::{Incident, IncidentChange, IncidentId};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::Verdict;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// What was told by a former start, and is not reported by then, is gone: watchdogs name their subjects one after another.
const RETURN_WITHIN: Duration = Duration::from_secs(60);
/// What is not reported any more is gone only after this.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// A new alert names at most so many of the decisions before it.
const OPENED_WITH_DECISIONS: usize = 4;

/// See the file's head.
pub(super) struct Alerts {
    policy: AlertPolicy,
    register: IncidentRegister,
    pending: Pending,
    /// Open, and a person was told.
    told: BTreeSet<SubjectId>,
    /// Since when no manager is in sight; `None` = one is.
    alone_since: Option<Moment>,
    /// This host is the one that calls, since it was alone for long enough.
    calls: bool,
    began: Moment,
}

impl Alerts {
    /// `told` = what a former start told and did not end; `next` = the next number.
    pub(super) fn new(now: Moment, policy: AlertPolicy, told: &[Incident], next: IncidentId) -> Self {
        let mut it = Self {
            policy,
            register: IncidentRegister::new(next),
            pending: Pending::default(),
            told: BTreeSet::new(),
            alone_since: Some(now),
            calls: false,
            began: now,
        };
        // Nobody is told any more, of an end neither.
        let told = told.iter().filter(|_| policy.when != AlertWhen::Never);
        for incident in told {
            it.pending.begin(&incident.subject, now + RETURN_WITHIN);
            it.told.insert(incident.subject.clone());
            it.register.restore(incident.clone());
        }
        it
    }

    /// This process did not run: how long an illness lasts was not seen.
    pub(super) fn extend(&mut self, until: Moment) {
        self.pending.extend(until);
        self.alone_since = self.alone_since.map(|since| since.max(until));
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        [self.pending.next_deadline(), self.calls_at()]
            .into_iter()
            .flatten()
            .min()
    }

    fn calls_at(&self) -> Option<Moment> {
        match (self.policy.when, self.calls) {
            (AlertWhen::Never, _) | (_, true) => None,
            (AlertWhen::Always, false) => Some(self.began),
            (AlertWhen::Alone { after }, false) => Some(self.alone_since? + after),
        }
    }

    /// What was said of these subjects has changed, or it has become time.
    pub(super) fn step(&mut self, now: Moment, touched: &BTreeSet<SubjectId>, book: &Frontend, out: &mut Outbox) {
        if self.policy.when == AlertWhen::Never {
            return;
        }
        match book.hears_parent() {
            true => (self.alone_since, self.calls) = (None, self.policy.when == AlertWhen::Always),
            false => self.alone_since = self.alone_since.or(Some(now)),
        }
        for subject in touched {
            self.evaluate(now, subject, book, out);
        }
        while let Some(subject) = self.pending.pop_due(now) {
            self.waited(now, &subject, book, out);
        }
        if self.calls_at().is_some_and(|at| at <= now) {
            self.calls = true;
            let untold = self.register.open().filter(|it| !self.told.contains(&it.subject));
            for incident in untold.cloned().collect::<Vec<_>>() {
                self.told.insert(incident.subject.clone());
                out.push(HostEffect::Alert(IncidentChange::Opened(incident)));
            }
        }
    }

    fn evaluate(&mut self, now: Moment, subject: &SubjectId, book: &Frontend, out: &mut Outbox) {
        let is_open = self.register.is_open(subject);
        let Some(verdict) = book.verdict(subject) else {
            self.pending.cancel(subject);
            if is_open {
                self.pending.begin(subject, now + GONE_AFTER);
            }
            return;
        };
        if is_over(verdict.state) {
            self.pending.cancel(subject);
            let why = format!("{}: {}", verdict.state.as_str(), verdict.why);
            self.close(now, subject, &why, book, out);
        } else if is_open {
            // It is there, whatever it is: nothing waits for its return any more.
            self.pending.cancel(subject);
            if verdict.state.is_incident() {
                self.update(now, verdict, book, out);
            }
        } else if !verdict.state.is_incident() {
            if !is_being_repaired(verdict.state) {
                self.pending.cancel(subject);
            }
        } else if !self.register.is_inhibited(subject, verdict.state) {
            match lasts(verdict.state, self.policy.unhealthy_after) {
                Duration::ZERO => self.open_one(now, verdict, out),
                after => self.pending.begin(subject, now + after),
            }
        }
    }

    fn waited(&mut self, now: Moment, subject: &SubjectId, book: &Frontend, out: &mut Outbox) {
        match book.verdict(subject) {
            None => self.close(now, subject, "it is gone", book, out),
            Some(_) if self.register.is_open(subject) => {}
            Some(verdict) if verdict.state.is_incident() => {
                if !self.register.is_inhibited(subject, verdict.state) {
                    self.open_one(now, verdict, out);
                }
            }
            Some(verdict) if is_being_repaired(verdict.state) => self.pending.begin(subject, now + STILL_ILL_AFTER),
            Some(_) => {}
        }
    }

    fn open_one(&mut self, now: Moment, verdict: &Verdict, out: &mut Outbox) {
        let subject = &verdict.subject;
        self.pending.cancel(subject);
        if self.register.is_full() {
            self.pending.begin(subject, now + NO_ROOM_AGAIN);
            let why = format!("{} alerts are open; no more are opened", Incident::OPEN_MAX);
            return out.condition("alerts", Err(why));
        }
        let known: Vec<DecisionId> = out.explain(subject).map(|decision| decision.id.clone()).collect();
        let newest = known[known.len().saturating_sub(OPENED_WITH_DECISIONS)..].to_vec();
        let wall = out.recorder().wall(now);
        let opened = self.register.open_new(now, wall, Finding::reported(verdict), newest);
        if self.calls {
            self.told.insert(subject.clone());
            out.push(HostEffect::Alert(opened));
        }
    }

    fn update(&mut self, now: Moment, verdict: &Verdict, book: &Frontend, out: &mut Outbox) {
        let before = self.register.inhibits(&verdict.subject);
        let change = self.register.update(Finding::reported(verdict));
        let told = change.filter(|it| matches!(it, IncidentChange::Changed(_)));
        if let Some(change) = told.filter(|_| self.told.contains(&verdict.subject)) {
            out.push(HostEffect::Alert(change));
        }
        if before != self.register.inhibits(&verdict.subject) {
            self.evaluate_below(now, &verdict.subject, book);
        }
    }

    fn close(&mut self, now: Moment, subject: &SubjectId, why: &str, book: &Frontend, out: &mut Outbox) {
        let inhibited = self.register.inhibits(subject);
        let wall = out.recorder().wall(now);
        let Some(closed) = self.register.close(wall, subject, why) else {
            return;
        };
        if self.told.remove(subject) {
            out.push(HostEffect::Alert(closed));
        }
        out.condition("alerts", Ok("alerts are opened again".to_string()));
        if inhibited != Inhibits::Nothing {
            self.evaluate_below(now, subject, book);
        }
    }

    /// What an illness above explained until now stands for itself, if it still is ill when its news are in.
    fn evaluate_below(&mut self, now: Moment, top: &SubjectId, book: &Frontend) {
        let below = book.verdicts().filter(|verdict| verdict.subject.is_within(top));
        let ill = below.filter(|verdict| verdict.subject != *top && verdict.state.is_incident());
        for verdict in ill.filter(|verdict| !self.register.is_open(&verdict.subject)) {
            let after = lasts(verdict.state, self.policy.unhealthy_after).max(STILL_ILL_AFTER);
            self.pending.begin(&verdict.subject, now + after);
        }
    }
}
