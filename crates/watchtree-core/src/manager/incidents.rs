//! When an incident opens, changes and closes: opened once per illness, inhibited by what is lost above, closed when it is
//! well again.
//!
//! ```text
//!                    stays ill long enough, or Escalate                well, ended on purpose, or gone
//!   (nothing) ─────────────────────────────────────────▶ open ─────────────────────────────────────────▶ closed
//!                                                        │  ▲
//!                                                        └──┘ state changed (told), facts added (only stored)
//! ```
//!
//! A subject under a lost host, or under an engine that does not answer, opens none of its own: it is part of theirs.
//! Decides by what the fleet reports and says nothing to any node.

use super::desk::Desk;
use super::fleet_view::FleetView;
use super::host_monitor::HostMonitor;
use super::io::ManagerEffect;
use crate::backend::{BookChange, Child};
use crate::decision::{ActionKind, Decision};
use crate::id::NodeName;
use crate::incident::pending::Pending;
use crate::incident::register::{Finding, IncidentRegister, Inhibits};
use crate::incident::rules::{NO_ROOM_AGAIN, STILL_ILL_AFTER, is_being_repaired, is_over, lasts};
use crate::incident::{Incident, IncidentId};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::tree::Book;
use crate::verdict::{Evidence, Level, State, Verdict};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// What a snapshot does not name is gone only after this.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// A new incident names at most so many of the decisions before it.
const OPENED_WITH_DECISIONS: usize = 4;

/// What a decision on incidents sees, and where it is written.
pub(super) struct Around<'a> {
    pub(super) now: Moment,
    pub(super) fleet: FleetView<'a>,
    pub(super) desk: &'a mut Desk,
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Incidents {
    register: IncidentRegister,
    pending: Pending,
    unhealthy_after: Duration,
}

impl Incidents {
    pub(super) fn new(next: IncidentId, unhealthy_after: Duration) -> Self {
        Self {
            register: IncidentRegister::new(next),
            pending: Pending::default(),
            unhealthy_after,
        }
    }

    pub(super) const fn register(&self) -> &IncidentRegister {
        &self.register
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.pending.next_deadline()
    }

    /// The manager did not run: how long an illness lasts, and whether a subject is gone, was not seen.
    pub(super) fn extend(&mut self, until: Moment) {
        self.pending.extend(until);
    }

    /// Incidents that a former start left open; those of this start are newer. There may be two of one subject: a start that
    /// could not read the store opened one anew. Both have been told, so the older one needs an end.
    pub(super) fn restore(&mut self, around: &mut Around<'_>, open: Vec<Incident>) {
        let owners = open.iter().filter_map(|old| around.fleet.owner(&old.subject));
        let owners: BTreeSet<NodeName> = owners.map(|(name, _)| name.clone()).collect();
        let newer = self.register.take_open();
        for incident in open.into_iter().chain(newer) {
            self.close(around, &incident.subject, "a newer incident tells of the same");
            self.register.restore(incident);
        }
        for name in &owners {
            if around.fleet.host(name).is_some_and(HostMonitor::is_well) {
                self.host_is_well(around, name);
            } else if around.fleet.host(name).is_some_and(HostMonitor::is_lost) {
                self.host_is_masked(around, name, false);
            }
        }
    }

    /// Verdicts of a host changed or are gone.
    pub(super) fn changed(&mut self, around: &mut Around<'_>, name: &NodeName, change: &BookChange) {
        for (subject, before) in &change.changed {
            let Some(verdict) = around.fleet.child(name).and_then(|child| child.book().get(subject)) else {
                continue;
            };
            if let Some(news) = state_change(*before, verdict) {
                around.desk.push(news);
            }
            self.evaluate(around, name, subject, Duration::ZERO);
        }
        for subject in &change.gone {
            if change.whole && self.register.is_open(subject) {
                // A watchdog that has just started does not know its subjects yet.
                self.pending.begin(subject, around.now + GONE_AFTER);
            } else {
                self.evaluate(around, name, subject, Duration::ZERO);
            }
        }
        if change.whole {
            self.evaluate_open(around, name);
        }
    }

    /// A decision record came up. An escalation is an incident, once.
    pub(super) fn take_decision(&mut self, around: &mut Around<'_>, decision: Decision) {
        let is_new = around.desk.store(decision.clone());
        if self.register.is_open(&decision.subject) {
            if let Some(noted) = self.register.add_decision(&decision.subject, &decision.id) {
                around.desk.push(noted.into());
            }
        } else if is_new && decision.action == ActionKind::Escalate {
            self.escalated(around, &decision);
        }
    }

    /// What waited has waited long enough: an illness that lasts, or a subject that nobody names any more.
    pub(super) fn due(&mut self, around: &mut Around<'_>) {
        while let Some(subject) = self.pending.pop_due(around.now) {
            // Of a host that is not heard only its old word is known. When it is well, all of it is looked at anew.
            let owner = around.fleet.owner(&subject).filter(|(_, host)| host.is_well());
            if let Some((name, _)) = owner {
                self.waited(around, name, &subject);
            }
        }
    }

    /// The host is heard again: its own incident ends, and what it says of those below counts again.
    pub(super) fn host_is_well(&mut self, around: &mut Around<'_>, name: &NodeName) {
        let Some(host) = around.fleet.host(name) else { return };
        let scope = host.scope();
        self.close(around, scope, "it is heard again");
        self.set_inhibited_within(around, scope, None);
        self.evaluate_below(around, name, scope);
        // What became well or went away meanwhile ends here too, also where its news came too late to be believed.
        self.evaluate_open(around, name);
    }

    /// The manager's own word lies over the host now: one incident for all, if `may_open` and it is lost.
    pub(super) fn host_is_masked(&mut self, around: &mut Around<'_>, name: &NodeName, may_open: bool) {
        let Some(host) = around.fleet.host(name) else { return };
        let scope = host.scope();
        if host.is_lost() {
            let finding = Finding {
                verdict: host.verdict(),
                is_unconfirmed: host.is_unconfirmed(),
                touched: around.fleet.child(name).map_or(0, |child| child.book().len()),
            };
            if self.register.is_open(scope) {
                if let Some(told) = self.register.update(finding) {
                    around.desk.push(told.into());
                }
            } else if may_open {
                self.open(around, finding);
            }
        }
        self.pending.cancel_within(scope);
        self.set_inhibited_within(around, scope, Some(scope));
    }

    /// The host is taken out of the tree.
    pub(super) fn host_is_gone(&mut self, around: &mut Around<'_>, scope: &SubjectId, why: &str) {
        self.pending.cancel_within(scope);
        for subject in self.register.within(scope) {
            self.close(around, &subject, why);
        }
    }

    /// Opens one about the manager itself, unless it is open.
    pub(super) fn open_own(&mut self, around: &mut Around<'_>, finding: Finding<'_>) {
        if !self.register.is_open(&finding.verdict.subject) {
            self.open(around, finding);
        }
    }

    pub(super) fn close(&mut self, around: &mut Around<'_>, subject: &SubjectId, why: &str) {
        let wall = around.desk.wall(around.now);
        if let Some(closed) = self.register.close(wall, subject, why) {
            around.desk.push(closed.into());
            let well = Ok("incidents are opened again".to_string());
            around.desk.set_condition("incidents", well);
        }
    }

    fn open(&mut self, around: &mut Around<'_>, finding: Finding<'_>) {
        let subject = &finding.verdict.subject;
        if self.register.is_full() {
            // A lost host is looked at again anyway.
            if subject.parent().is_some() {
                self.pending.begin(subject, around.now + NO_ROOM_AGAIN);
            }
            let why = format!("{} incidents are open; no more are opened", Incident::OPEN_MAX);
            return around.desk.set_condition("incidents", Err(why));
        }
        let known: Vec<_> = around.desk.records_of(subject).collect();
        let newest = &known[known.len().saturating_sub(OPENED_WITH_DECISIONS)..];
        let newest = newest.iter().map(|decision| decision.id.clone()).collect();
        let (now, wall) = (around.now, around.desk.wall(around.now));
        let opened = self.register.open_new(now, wall, finding, newest);
        around.desk.push(opened.into());
    }

    fn set_inhibited_within(&mut self, around: &mut Around<'_>, top: &SubjectId, by: Option<&SubjectId>) {
        for subject in self.register.within(top).into_iter().filter(|subject| subject != top) {
            if let Some(noted) = self.register.set_inhibited_by(&subject, by) {
                around.desk.push(noted.into());
            }
        }
    }

    /// Holds the open incidents of a well host against what it reports.
    fn evaluate_open(&mut self, around: &mut Around<'_>, name: &NodeName) {
        let Some(host) = around.fleet.host(name) else { return };
        for subject in self.register.within(host.scope()) {
            let has = |child: &Child| child.book().get(&subject).is_some();
            if subject == *host.scope() {
                continue;
            }
            if around.fleet.child(name).is_some_and(has) {
                self.evaluate(around, name, &subject, Duration::ZERO);
            } else {
                self.pending.begin(&subject, around.now + GONE_AFTER);
            }
        }
    }

    fn evaluate_below(&mut self, around: &mut Around<'_>, name: &NodeName, top: &SubjectId) {
        let Some(child) = around.fleet.child(name) else { return };
        let below = child.book().within(top).filter(|verdict| verdict.subject != *top);
        for verdict in below.filter(|verdict| verdict.state.is_incident()) {
            self.evaluate(around, name, &verdict.subject, STILL_ILL_AFTER);
        }
    }

    /// Holds a reported subject against its incident. News that may be old must last for `at_least` that long.
    fn evaluate(&mut self, around: &mut Around<'_>, name: &NodeName, subject: &SubjectId, at_least: Duration) {
        let is_host = |name| around.fleet.host(name).is_some_and(|host| host.scope() == subject);
        let Some(child) = around.fleet.believed(name).filter(|_| !is_host(name)) else {
            return;
        };
        let Some(verdict) = child.book().get(subject) else {
            self.pending.cancel(subject);
            return self.ended(around, name, subject, "it is gone");
        };
        if is_over(verdict.state) {
            self.pending.cancel(subject);
            let why = format!("{}: {}", verdict.state.as_str(), verdict.why);
            self.ended(around, name, subject, &why);
        } else if self.register.is_open(subject) {
            if verdict.state.is_incident() {
                self.update(around, name, verdict);
            }
        } else if !verdict.state.is_incident() {
            if !is_being_repaired(verdict.state) {
                self.pending.cancel(subject);
            }
        } else if !self.register.is_inhibited(subject, verdict.state) {
            let after = lasts(verdict.state, self.unhealthy_after).max(at_least);
            if after.is_zero() {
                self.pending.cancel(subject);
                self.open(around, Finding::reported(verdict));
            } else {
                self.pending.begin(subject, around.now + after);
            }
        }
    }

    fn update(&mut self, around: &mut Around<'_>, name: &NodeName, verdict: &Verdict) {
        let inhibited = self.register.inhibits(&verdict.subject);
        if let Some(told) = self.register.update(Finding::reported(verdict)) {
            around.desk.push(told.into());
        }
        if inhibited != self.register.inhibits(&verdict.subject) {
            self.evaluate_below(around, name, &verdict.subject);
        }
    }

    fn waited(&mut self, around: &mut Around<'_>, name: &NodeName, subject: &SubjectId) {
        let Some(child) = around.fleet.child(name) else { return };
        let is_open = self.register.is_open(subject);
        match child.book().get(subject) {
            // A book that is not whole yet, or a watchdog that does not see its subjects just now, says nothing.
            None if is_open && !(child.book_is_whole() && is_seen(child.book(), subject)) => {
                self.pending.begin(subject, around.now + GONE_AFTER);
            }
            None => self.ended(around, name, subject, "it is gone"),
            Some(_) if is_open => self.evaluate(around, name, subject, Duration::ZERO),
            Some(verdict) if verdict.state.is_incident() && !self.register.is_inhibited(subject, verdict.state) => {
                self.open(around, Finding::reported(verdict));
            }
            Some(verdict) if is_being_repaired(verdict.state) => {
                self.pending.begin(subject, around.now + STILL_ILL_AFTER);
            }
            Some(_) => {}
        }
    }

    /// Closes an incident. What it inhibited until now stands for itself.
    fn ended(&mut self, around: &mut Around<'_>, name: &NodeName, subject: &SubjectId, why: &str) {
        let inhibited = self.register.inhibits(subject);
        self.close(around, subject, why);
        if inhibited != Inhibits::Nothing {
            self.evaluate_below(around, name, subject);
        }
    }

    /// A watchdog hands a subject to a person. It does nothing itself then, so the record's outcome says nothing here.
    fn escalated(&mut self, around: &mut Around<'_>, decision: &Decision) {
        let subject = &decision.subject;
        let owner = around.fleet.owner(subject).map(|(name, _)| name);
        let Some(child) = owner.and_then(|name| around.fleet.believed(name)) else {
            return;
        };
        let reported = child.book().get(subject);
        // A record may come long after the fact: what became well since then is no incident.
        let is_overtaken = reported.is_some_and(|verdict| {
            is_over(verdict.state) && verdict.observer == decision.id.node && decision.at <= verdict.since
        });
        // Under an engine that does not answer it is part of that incident; what is still ill after it is told then.
        let state = reported.map_or(State::GivenUp, |verdict| verdict.state);
        if is_overtaken || self.register.is_inhibited(subject, state) {
            return;
        }
        let is_ill = reported.is_some_and(|verdict| verdict.state.is_incident());
        let Some(base) = reported.or_else(|| child.book().iter().next()).cloned() else {
            return;
        };
        let mut evidence = decision.evidence.clone();
        evidence.truncate(Evidence::COUNT_MAX);
        let verdict = Verdict {
            subject: subject.clone(),
            state: if is_ill { base.state } else { State::GivenUp },
            level: Level::Certain,
            why: decision.why.clone(),
            evidence,
            incarnation: decision.incarnation.clone(),
            ..base
        };
        self.pending.cancel(subject);
        self.open(around, Finding::reported(&verdict));
        if !is_ill {
            // Its verdict is on the way; if none comes that says so too, the incident ends.
            self.pending.begin(subject, around.now + GONE_AFTER);
        }
    }
}

/// What is told of a reported state; a healthy newcomer is no news.
fn state_change(before: Option<State>, verdict: &Verdict) -> Option<ManagerEffect> {
    let (from, to) = (before.unwrap_or(State::Unknown), verdict.state);
    let is_news = from != to && (before.is_some() || !is_over(to));
    let (subject, why) = (verdict.subject.clone(), verdict.why.clone());
    is_news.then_some(ManagerEffect::StateChanged { subject, from, to, why })
}

/// False while the engine above, or the watchdog that stands over it, is in no state to say what there is.
fn is_seen(book: &Book, subject: &SubjectId) -> bool {
    let sees = |above: &SubjectId| {
        book.get(above)
            .is_none_or(|verdict| matches!(verdict.state, State::Ok | State::Degraded))
    };
    core::iter::successors(subject.parent(), SubjectId::parent)
        .all(|above| sees(&above) && sees(&above.child("@watchdog")))
}
