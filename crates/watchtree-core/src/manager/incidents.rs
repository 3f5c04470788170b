//! Incidents at the manager: opened once per illness, explained by what is ill above, closed when it is well again.
//!
//! ```text
//!                    stays ill long enough, or Escalate                well, ended on purpose, or gone
//!   (nothing) ─────────────────────────────────────────▶ open ─────────────────────────────────────────▶ closed
//!                                                        │  ▲
//!                                                        └──┘ state changed (told), facts added (only kept)
//! ```
//!
//! A subject under a lost host, or under an engine that does not answer, opens none of its own: it is part of theirs.

use super::io::{KnownHost, ManagerEffect};
use super::{ManagerAgent, hosts::Phase};
use crate::decision::{ActionKind, Decision};
use crate::id::NodeName;
use crate::incident::Incident;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::tree::Book;
use crate::verdict::{Evidence, Level, State, Verdict};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A verdict of DOWN that is repaired within this time is no incident.
const DOWN_AFTER: Duration = Duration::from_secs(5);
/// What was ill below a lost host or a dead engine is told only if it still is so long after that came back: its news are
/// on the way.
const STILL_ILL_AFTER: Duration = Duration::from_secs(5);
/// An illness for which there is no room is looked at again after this.
const NO_ROOM_AGAIN: Duration = Duration::from_secs(10);
/// What a snapshot does not name is gone only after this.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// States in which an incident has come to its end. In between (starting, repairing, unknown) it stays open, so that one
/// illness is one incident.
const fn is_over(state: State) -> bool {
    matches!(state, State::Ok | State::Finished | State::Stopped | State::Degraded)
}

impl ManagerAgent {
    /// Incidents that a former life left open. There may be two of one subject: a life that could not read the store opened
    /// one anew. Both have been told, so the older one needs an end.
    pub(super) fn take_up(&mut self, now: Moment, open: Vec<Incident>) {
        for incident in open {
            self.close(now, &incident.subject, "a newer incident tells of the same");
            self.incidents.next = self.incidents.next.max(incident.id + 1);
            self.incidents.open.insert(incident.subject.clone(), incident);
        }
    }

    /// What a former life knew, if it comes late: what is known by now is newer.
    pub(super) fn remembered(&mut self, now: Moment, hosts: Vec<KnownHost>, open: Vec<Incident>) {
        for known in hosts {
            if !self.hosts.contains_key(&known.identity.name) {
                self.restore(now, known);
            }
        }
        let about: BTreeSet<NodeName> = open
            .iter()
            .filter_map(|old| self.host_of(&old.subject).cloned())
            .collect();
        let newer = core::mem::take(&mut self.incidents.open);
        self.take_up(now, open);
        self.take_up(now, newer.into_values().collect());
        for name in about
            .iter()
            .filter(|name| self.is_well(name))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.host_is_well(now, &name);
        }
        self.check_view(now);
    }

    /// Verdicts of a host changed or are gone.
    pub(super) fn changed(
        &mut self,
        now: Moment,
        name: &NodeName,
        changed: &[(SubjectId, Option<State>)],
        gone: &[SubjectId],
        whole: bool,
    ) {
        for (subject, before) in changed {
            let Some(verdict) = self.backend.child(name).and_then(|child| child.book.get(subject)) else {
                continue;
            };
            let (from, to, why) = (before.unwrap_or(State::Unknown), verdict.state, verdict.why.clone());
            // A healthy newcomer is no news.
            if from != to && (before.is_some() || !is_over(to)) {
                self.effects.push_back(ManagerEffect::StateChanged {
                    subject: subject.clone(),
                    from,
                    to,
                    why,
                });
            }
            self.evaluate(now, name, subject);
        }
        for subject in gone {
            if whole && self.incidents.open.contains_key(subject) {
                // A watchdog that has just started does not know its subjects yet.
                self.incidents.wait(subject, now + GONE_AFTER);
            } else {
                self.evaluate(now, name, subject);
            }
        }
        if whole {
            self.evaluate_open(now, name);
        }
    }

    fn evaluate_open(&mut self, now: Moment, name: &NodeName) {
        let Some(scope) = self.hosts.get(name).map(|watch| watch.known.scope.clone()) else {
            return;
        };
        for subject in self.incidents.within(&scope) {
            if subject == scope {
                continue;
            }
            if child_has(self, name, &subject) {
                self.evaluate(now, name, &subject);
            } else {
                self.incidents.wait(&subject, now + GONE_AFTER);
            }
        }
    }

    /// Holds a reported subject against its incident.
    fn evaluate(&mut self, now: Moment, name: &NodeName, subject: &SubjectId) {
        self.evaluate_after(now, name, subject, Duration::ZERO);
    }

    /// As `evaluate`, for news that may be old: an illness must last for `at_least` that long to become an incident.
    fn evaluate_after(&mut self, now: Moment, name: &NodeName, subject: &SubjectId, at_least: Duration) {
        if !self.is_well(name) || self.hosts.get(name).is_some_and(|watch| watch.known.scope == *subject) {
            return;
        }
        let verdict = self
            .backend
            .child(name)
            .and_then(|child| child.book.get(subject))
            .cloned();
        let Some(verdict) = verdict else {
            self.incidents.wait_no_more(subject);
            return self.ended(now, name, subject, "it is gone");
        };
        if is_over(verdict.state) {
            self.incidents.wait_no_more(subject);
            let why = format!("{}: {}", verdict.state.as_str(), verdict.why);
            return self.ended(now, name, subject, &why);
        }
        if self.incidents.open.contains_key(subject) {
            if verdict.state.is_incident() {
                let explained = self.incidents.explains(subject);
                self.update(subject, &verdict, false);
                if explained && !self.incidents.explains(subject) {
                    self.reconsider_below(now, name, subject);
                }
            }
            return;
        }
        if !verdict.state.is_incident() {
            return self.incidents.wait_no_more(subject);
        }
        if self.incidents.cause_of(subject).is_some() {
            return;
        }
        let after = match verdict.state {
            State::Unhealthy => self.policy.unhealthy_after,
            State::Down => DOWN_AFTER,
            _ => Duration::ZERO,
        }
        .max(at_least);
        if after.is_zero() {
            self.incidents.wait_no_more(subject);
            self.open(now, &verdict, false, 0);
        } else {
            self.incidents.wait(subject, now + after);
        }
    }

    /// What waited has waited long enough: an illness that lasts, or a subject that nobody names any more.
    pub(super) fn incidents_due(&mut self, now: Moment) {
        while let Some((at, subject)) = self.incidents.due.first().cloned() {
            if now < at {
                return;
            }
            self.incidents.wait_no_more(&subject);
            // Of a host that is not heard only its old word is known. When it is well, all of it is looked at anew.
            if let Some(name) = self.host_of(&subject).cloned().filter(|name| self.is_well(name)) {
                self.waited(now, &name, &subject);
            }
        }
    }

    fn waited(&mut self, now: Moment, name: &NodeName, subject: &SubjectId) {
        let Some(child) = self.backend.child(name) else { return };
        let open = self.incidents.open.contains_key(subject);
        match child.book.get(subject).cloned() {
            // A book that is not whole yet, or a watchdog that does not see its subjects just now, says nothing.
            None if open && !(child.book_is_whole() && is_seen(&child.book, subject)) => {
                self.incidents.wait(subject, now + GONE_AFTER);
            }
            None => self.ended(now, name, subject, "it is gone"),
            Some(_) if open => self.evaluate(now, name, subject),
            Some(verdict) => {
                if verdict.state.is_incident() && self.incidents.cause_of(subject).is_none() {
                    self.open(now, &verdict, false, 0);
                }
            }
        }
    }

    /// Closes an incident. What it explained until now stands for itself.
    fn ended(&mut self, now: Moment, name: &NodeName, subject: &SubjectId, why: &str) {
        let explained = self.incidents.explains(subject);
        self.close(now, subject, why);
        if explained {
            self.reconsider_below(now, name, subject);
        }
    }

    fn reconsider_below(&mut self, now: Moment, name: &NodeName, top: &SubjectId) {
        let Some(child) = self.backend.child(name) else { return };
        let below = child.book.within(top).filter(|verdict| verdict.subject != *top);
        let ill = below.filter(|verdict| verdict.state.is_incident());
        let ill: Vec<SubjectId> = ill.map(|verdict| verdict.subject.clone()).collect();
        for subject in ill {
            self.evaluate_after(now, name, &subject, STILL_ILL_AFTER);
        }
    }

    fn open(&mut self, now: Moment, verdict: &Verdict, unconfirmed: bool, touched: usize) {
        if Incident::OPEN_MAX <= self.incidents.open.len() {
            // A lost host is looked at again anyway.
            if verdict.subject.parent().is_some() {
                self.incidents.wait(&verdict.subject, now + NO_ROOM_AGAIN);
            }
            let why = format!("{} incidents are open; no more are opened", Incident::OPEN_MAX);
            return self.set_condition("incidents".to_string(), Err(why));
        }
        let id = self.incidents.next;
        self.incidents.next += 1;
        let newest = self.log.of(&verdict.subject).map(|decision| decision.id.clone());
        let decisions: Vec<_> = newest.collect();
        let skip = decisions.len().saturating_sub(4);
        let incident = Incident {
            id,
            subject: verdict.subject.clone(),
            state: verdict.state,
            level: verdict.level,
            unconfirmed,
            why: verdict.why.clone(),
            root_cause: None,
            touched: touched as u64,
            opened: now,
            opened_wall: self.wall(now),
            closed_wall: None,
            closed_why: String::new(),
            evidence: verdict.evidence.clone(),
            decisions: decisions.into_iter().skip(skip).collect(),
        };
        self.incidents.open.insert(incident.subject.clone(), incident.clone());
        self.effects.push_back(ManagerEffect::IncidentOpened(incident));
    }

    /// Another state, level or cause is told to people; other facts are only kept.
    fn update(&mut self, subject: &SubjectId, verdict: &Verdict, unconfirmed: bool) {
        let Some(incident) = self.incidents.open.get_mut(subject) else {
            return;
        };
        let told = (incident.state, incident.level, incident.unconfirmed);
        let noted = incident.why.clone();
        incident.state = verdict.state;
        incident.level = verdict.level;
        incident.unconfirmed = unconfirmed;
        incident.why = verdict.why.clone();
        incident.evidence = verdict.evidence.clone();
        if told != (verdict.state, verdict.level, unconfirmed) {
            self.effects.push_back(ManagerEffect::IncidentChanged(incident.clone()));
        } else if noted != incident.why {
            self.effects.push_back(ManagerEffect::IncidentNoted(incident.clone()));
        }
    }

    fn close(&mut self, now: Moment, subject: &SubjectId, why: &str) {
        let wall = self.wall(now);
        let Some(mut incident) = self.incidents.open.remove(subject) else {
            return;
        };
        incident.closed_wall = Some(wall);
        incident.closed_why = why.to_string();
        self.incidents.shelve(incident.clone());
        self.effects.push_back(ManagerEffect::IncidentClosed(incident));
        self.set_condition("incidents".to_string(), Ok("incidents are opened again".to_string()));
    }

    pub(super) fn close_within(&mut self, now: Moment, top: &SubjectId, why: &str) {
        for subject in self.incidents.within(top) {
            self.close(now, &subject, why);
        }
    }

    /// The host is heard again: its own incident ends, and what it says of those below counts again.
    pub(super) fn host_is_well(&mut self, now: Moment, name: &NodeName) {
        let Some(scope) = self.hosts.get(name).map(|watch| watch.known.scope.clone()) else {
            return;
        };
        self.close(now, &scope, "it is heard again");
        for subject in self.incidents.within(&scope) {
            let Some(incident) = self.incidents.open.get_mut(&subject) else {
                continue;
            };
            if incident.root_cause.take().is_some() {
                self.effects.push_back(ManagerEffect::IncidentNoted(incident.clone()));
            }
        }
        self.reconsider_below(now, name, &scope);
        // What became well or went away meanwhile ends here too, also where its news came too late to be believed.
        self.evaluate_open(now, name);
    }

    /// The manager's own word lies over the host now: one incident for all, unless it is we who are cut off.
    pub(super) fn host_is_eclipsed(&mut self, now: Moment, name: &NodeName) {
        let Some(watch) = self.hosts.get(name) else { return };
        let (verdict, unconfirmed) = (watch.verdict.clone(), watch.unconfirmed);
        let scope = watch.known.scope.clone();
        if matches!(watch.phase, Phase::Lost(_)) {
            if self.incidents.open.contains_key(&scope) {
                self.update(&scope, &verdict, unconfirmed);
            } else if !self.cut_off {
                let touched = self.backend.child(name).map_or(0, |child| child.book.len());
                self.open(now, &verdict, unconfirmed, touched);
            } else {
                self.note_suppressed(now, name, &verdict);
            }
        }
        self.incidents.wait_no_more_within(&scope);
        for subject in self.incidents.within(&scope) {
            let Some(incident) = self
                .incidents
                .open
                .get_mut(&subject)
                .filter(|incident| incident.subject != scope)
            else {
                continue;
            };
            if incident.root_cause.as_ref() != Some(&scope) {
                incident.root_cause = Some(scope.clone());
                self.effects.push_back(ManagerEffect::IncidentNoted(incident.clone()));
            }
        }
    }

    pub(super) fn open_own_incident(&mut self, now: Moment, why: String) {
        let verdict = Verdict {
            why,
            state: State::Degraded,
            level: Level::Strong,
            ..self.own_verdict(now)
        };
        let touched = self.tally.silent;
        if !self.incidents.open.contains_key(&verdict.subject) {
            self.open(now, &verdict, false, touched);
        }
    }

    pub(super) fn has_own_incident(&self) -> bool {
        self.incidents.open.contains_key(&self.subject)
    }

    pub(super) fn close_own_incident(&mut self, now: Moment) {
        let subject = self.subject.clone();
        self.close(now, &subject, "most hosts are heard again");
    }

    /// A decision record came up. An escalation is an incident, once.
    pub(super) fn take_decision(&mut self, now: Moment, decision: Decision) {
        let new = self.keep(decision.clone());
        let subject = decision.subject.clone();
        if let Some(incident) = self.incidents.open.get_mut(&subject) {
            if !incident.decisions.contains(&decision.id) && incident.decisions.len() < Incident::DECISIONS_MAX {
                incident.decisions.push(decision.id.clone());
                self.effects.push_back(ManagerEffect::IncidentNoted(incident.clone()));
            }
            return;
        }
        if new && decision.action == ActionKind::Escalate {
            self.escalated(now, &decision);
        }
    }

    /// A watchdog hands a subject to a person. It does nothing itself then, so the record's outcome says nothing here.
    fn escalated(&mut self, now: Moment, decision: &Decision) {
        let subject = &decision.subject;
        let Some(name) = self.host_of(subject).cloned().filter(|name| self.is_well(name)) else {
            return;
        };
        let Some(child) = self.backend.child(&name) else { return };
        let reported = child.book.get(subject);
        // A record may come long after the fact: what became well since then is no incident.
        let overtaken = reported.is_some_and(|verdict| {
            is_over(verdict.state) && verdict.observer == decision.id.node && decision.at <= verdict.since
        });
        // Under an engine that does not answer it is part of that incident; what is still ill after it is told then.
        if overtaken || self.incidents.cause_of(subject).is_some() {
            return;
        }
        let ill = reported.is_some_and(|verdict| verdict.state.is_incident());
        let Some(base) = reported.or_else(|| child.book.iter().next()).cloned() else {
            return;
        };
        let mut evidence = decision.evidence.clone();
        evidence.truncate(Evidence::COUNT_MAX);
        let verdict = Verdict {
            subject: subject.clone(),
            state: if ill { base.state } else { State::GivenUp },
            level: Level::Certain,
            why: decision.why.clone(),
            evidence,
            incarnation: decision.incarnation.clone(),
            ..base
        };
        self.incidents.wait_no_more(subject);
        self.open(now, &verdict, false, 0);
        if !ill {
            // Its verdict is on the way; if none comes that says so too, the incident ends.
            self.incidents.wait(subject, now + GONE_AFTER);
        }
    }

    fn is_well(&self, name: &NodeName) -> bool {
        let phase = self.hosts.get(name).map(|watch| &watch.phase);
        matches!(phase, Some(Phase::Well))
    }
}

/// False while the engine above, or the watchdog that stands over it, is in no state to say what there is.
fn is_seen(book: &Book, subject: &SubjectId) -> bool {
    let sees = |above: &SubjectId| {
        book.get(above)
            .is_none_or(|verdict| matches!(verdict.state, State::Ok | State::Degraded))
    };
    let mut above = subject.parent();
    while let Some(watched) = above {
        if !sees(&watched) || !sees(&watched.child("@watchdog")) {
            return false;
        }
        above = watched.parent();
    }
    true
}

fn child_has(manager: &ManagerAgent, name: &NodeName, subject: &SubjectId) -> bool {
    manager
        .backend
        .child(name)
        .is_some_and(|child| child.book.get(subject).is_some())
}
