//! The desk of the manager role: the one place through which effects, decision records and conditions leave it, in order.
//!
//! A record is remembered for `explain` and leaves complete, once per change. Decides nothing.

use super::host_conditions::HostConditions;
use super::io::{AskError, ManagerEffect};
use crate::conditions::{ConditionChange, Conditions};
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::explain::DecisionLog;
use crate::id::{NodeIdentity, NodeName};
use crate::recorder::{DecisionRecorder, Draft};
use crate::subject::SubjectId;
use crate::time::{Moment, WallTime};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Desk {
    /// The manager's own subject.
    own: SubjectId,
    host_conditions: HostConditions,
    recorder: DecisionRecorder,
    log: DecisionLog,
    conditions: Conditions,
    effects: VecDeque<ManagerEffect>,
}

impl Desk {
    /// `decisions` are those of the store, oldest first.
    pub(super) fn new(identity: &NodeIdentity, now: Moment, wall: WallTime, decisions: Vec<Decision>) -> Self {
        let mut log = DecisionLog::default();
        for decision in decisions {
            log.put(decision);
        }
        Self {
            own: SubjectId::of_node(&identity.name),
            host_conditions: HostConditions::default(),
            recorder: DecisionRecorder::new(identity.name.clone(), identity.agent_epoch, now, wall),
            log,
            conditions: Conditions::default(),
            effects: VecDeque::new(),
        }
    }

    pub(super) const fn own(&self) -> &SubjectId {
        &self.own
    }

    pub(super) fn push(&mut self, effect: ManagerEffect) {
        self.effects.push_back(effect);
    }

    pub(super) fn poll(&mut self) -> Option<ManagerEffect> {
        self.effects.pop_front()
    }

    /// The wall time at `now`, as a label.
    pub(super) fn wall(&self, now: Moment) -> WallTime {
        self.recorder.wall(now)
    }

    pub(super) fn set_wall(&mut self, now: Moment, wall: WallTime) {
        self.recorder.set_wall(now, wall);
    }

    /// Makes a record.
    pub(super) fn record(&mut self, now: Moment, draft: Draft) -> Decision {
        let decision = self.recorder.record(now, draft);
        self.take_records();
        decision
    }

    /// Ends a record that was under way.
    pub(super) fn close(&mut self, decision: Decision, outcome: Outcome, result: String) {
        self.recorder.close(decision, outcome, result);
        self.take_records();
    }

    /// A person's request that is refused: recorded at the manager itself, for it may name anything.
    pub(super) fn refuse(&mut self, now: Moment, asked: &str, error: &AskError) {
        let guard = match error {
            AskError::Busy => Guard::InFlight,
            AskError::UnknownSubject | AskError::NobodyThere(_) | AskError::Bad(_) | AskError::StillHeard(_) => {
                Guard::OrderValid
            }
        };
        let draft = Draft::new(self.own.clone(), ActionKind::None, format!("{asked}: refused, {error}"))
            .evidence(vec![Evidence::new(EvidenceKind::Order, now, asked)])
            .guards(vec![GuardAnswer::blocked(guard, error.to_string())]);
        self.record(now, draft);
    }

    /// Stores a record that came up from below. True if it is a new one, not a new state of a known one.
    pub(super) fn store(&mut self, decision: Decision) -> bool {
        self.push(ManagerEffect::StoreDecision(decision.clone()));
        self.log.put(decision)
    }

    /// The newest records about a subject, oldest first.
    pub(super) fn records_of(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.log.of(subject)
    }

    pub(super) fn set_condition(&mut self, about: &str, state: Result<String, String>) {
        if let Some(ConditionChange { about, state }) = self.conditions.set(about, state) {
            self.push(ManagerEffect::Condition { about, state });
        }
    }

    /// Decision records of that host came up, and so many were dropped below.
    pub(super) fn events_came(&mut self, host: &NodeName, dropped: u64) {
        self.host_conditions.events_came(host, dropped);
        self.set_host_conditions();
    }

    /// Two living nodes show one name; `None` = no longer.
    pub(super) fn set_cloned(&mut self, host: &NodeName, why: Option<String>) {
        self.host_conditions.set_cloned(host, why);
        self.set_host_conditions();
    }

    /// A host that is no more causes no condition.
    pub(super) fn forget_host(&mut self, host: &NodeName) {
        self.host_conditions.forget(host);
        self.set_host_conditions();
    }

    fn set_host_conditions(&mut self) {
        for (about, state) in self.host_conditions.states() {
            self.set_condition(about, state);
        }
    }

    pub(super) const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    fn take_records(&mut self) {
        while let Some(decision) = self.recorder.poll() {
            self.store(decision);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Records leave once per change, and a refusal is recorded where it was made.
    use super::*;
    use crate::fixture::identity;
    use crate::id::Tier;

    fn desk() -> Desk {
        let identity = identity("manager", Tier::Manager, 1);
        Desk::new(&identity, Moment::ZERO, WallTime(0), Vec::new())
    }

    fn outcomes(desk: &mut Desk) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(ManagerEffect::StoreDecision(decision)) = desk.poll() {
            outcomes.push(decision.outcome);
        }
        outcomes
    }

    #[test]
    fn a_record_leaves_once_per_change_and_is_remembered_as_it_is_now() {
        let (mut desk, host) = (desk(), SubjectId::new("h1").unwrap());
        let draft = Draft::new(host.clone(), ActionKind::Hold, "asked")
            .evidence(vec![Evidence::new(EvidenceKind::Order, Moment::ZERO, "asked")])
            .outcome(Outcome::UnderWay);
        let decision = desk.record(Moment::ZERO, draft);
        assert_eq!(outcomes(&mut desk), [Outcome::UnderWay]);
        desk.close(decision, Outcome::Succeeded, "h1: done".to_string());
        assert_eq!(outcomes(&mut desk), [Outcome::Succeeded]);
        let known: Vec<_> = desk.records_of(&host).map(|it| (it.id.count, it.outcome)).collect();
        assert_eq!(known, [(1, Outcome::Succeeded)]);
    }

    #[test]
    fn a_refusal_is_recorded_once_at_the_manager() {
        let mut desk = desk();
        desk.refuse(
            Moment::ZERO,
            "ann asked to retry h9/docker/web",
            &AskError::UnknownSubject,
        );
        assert_eq!(outcomes(&mut desk), [Outcome::NotTaken]);
        let record = desk.records_of(&desk.own().clone()).next().unwrap().clone();
        assert_eq!((record.action, record.guards.len()), (ActionKind::None, 1));
        assert!(!record.guards[0].lets_pass() && record.why.contains("h9/docker/web"));
    }

    #[test]
    fn conditions_leave_only_when_they_are_news() {
        let mut desk = desk();
        for _ in 0..2 {
            desk.set_condition("store", Err("full".to_string()));
        }
        assert!(matches!(desk.poll(), Some(ManagerEffect::Condition { .. })) && desk.poll().is_none());
        assert!(desk.conditions().is_bad("store"));
    }
}
