//! Verdicts and decision records: what is told to the parent, the journal and people.

use super::agent::ContainerAgent;
use super::io::{ContainerEffect, Record, Recovered};
use super::subject::{Guards, Subject};
use crate::decision::{ActionKind, Decision, DecisionId, Guard, Outcome};
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::time::Moment;
use crate::verdict::{Evidence, State, Verdict};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl ContainerAgent {
    /// Reports what is believed of the subject, if it differs from what was said before.
    pub(crate) fn tell(&mut self, now: Moment, sid: &SubjectId, subject: &Subject) {
        if subject.state == State::Unknown && subject.why.is_empty() {
            return;
        }
        let held = self.hold_on(sid).is_some();
        let mut remarks = subject.labels.remarks.clone();
        remarks.truncate(Verdict::REMARKS_MAX - 1);
        if subject.given_up.is_some() && subject.state != State::GivenUp {
            remarks.push("it was given up; it counts as well again after a whole window without an end".to_string());
        }
        let mut evidence = subject.evidence.clone();
        evidence.truncate(Evidence::COUNT_MAX);
        let incarnation = match subject.container.as_ref().and_then(|id| self.facts.get(id)) {
            Some(facts) => facts.incarnation(),
            None => subject.life.clone(),
        };
        let verdict = Verdict {
            subject: sid.clone(),
            kind: SubjectKind::Container,
            incarnation,
            state: subject.state,
            level: subject.level,
            why: subject.why.clone(),
            evidence,
            observer: self.settings.identity.name.clone(),
            observer_health: self.frontend.health(),
            since: subject.since,
            held,
            remarks,
        };
        self.frontend.report(now, verdict);
    }

    /// Makes a decision record, writes it and sends it.
    #[expect(
        clippy::too_many_arguments,
        reason = "a record has that many parts, and all callers know all of them"
    )]
    pub(crate) fn decide(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        incarnation: Incarnation,
        action: ActionKind,
        outcome: Outcome,
        why: String,
        mut evidence: Vec<Evidence>,
        guards: Guards,
        budget_left: Option<u32>,
    ) -> Decision {
        if Evidence::COUNT_MAX < evidence.len() {
            evidence.drain(..evidence.len() - Evidence::COUNT_MAX);
        }
        debug_assert!(!evidence.is_empty(), "a decision without evidence: {why}");
        self.decision_count += 1;
        let decision = Decision {
            id: DecisionId {
                node: self.settings.identity.name.clone(),
                epoch: self.settings.identity.agent_epoch.0,
                count: self.decision_count,
            },
            at: now,
            wall: self.settings.wall(now),
            subject: sid.clone(),
            incarnation,
            evidence,
            guards: guards.0,
            action,
            budget_left,
            outcome,
            why,
            result: String::new(),
        };
        self.record(now, &decision);
        decision
    }

    /// Writes and sends a record, new or changed.
    pub(crate) fn record(&mut self, now: Moment, decision: &Decision) {
        self.journal(Record::Decided(decision.clone()));
        self.later.push(ContainerEffect::Decided(decision.clone()));
        self.frontend.event(now, decision.clone());
        match self.decisions.iter_mut().rev().find(|it| it.id == decision.id) {
            Some(known) => *known = decision.clone(),
            None => {
                if Recovered::DECISIONS_MAX <= self.decisions.len() {
                    self.decisions.pop_front();
                }
                self.decisions.push_back(decision.clone());
            }
        }
    }

    /// Records that nothing is done and why, once per reason and life.
    pub(crate) fn note(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        guard: Guard,
        detail: &str,
        why: &str,
    ) {
        let mut guards = Guards::default();
        guards.fail(guard, detail);
        self.note_guards(now, sid, subject, guards, ActionKind::None, detail, why);
    }

    /// As `note`, with every guard that was asked. `key` tells two reasons of one guard apart.
    #[expect(clippy::too_many_arguments, reason = "as for `decide`")]
    pub(crate) fn note_guards(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        guards: Guards,
        action: ActionKind,
        key: &str,
        why: &str,
    ) {
        let guard = guards.stopped_by().map_or(Guard::Enabled, |answer| answer.guard);
        let life = subject
            .death
            .as_ref()
            .map_or_else(|| subject.life.clone(), |death| death.life.clone());
        let key = (guard, life.clone(), key.to_string());
        if subject.noted.as_ref() == Some(&key) {
            return;
        }
        subject.noted = Some(key);
        let evidence = match &subject.death {
            Some(death) => death.evidence.clone(),
            None => subject.evidence.clone(),
        };
        let policy = subject.labels.policy(&self.settings.policy);
        let left = subject.ledger.left(now, policy.window, policy.budget);
        self.decide(
            now,
            sid,
            life,
            action,
            Outcome::NotTaken,
            why.to_string(),
            evidence,
            guards,
            Some(left),
        );
    }
}
