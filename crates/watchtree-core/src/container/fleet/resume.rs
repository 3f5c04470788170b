//! Goes on with the repairs that were under way when the last process of this daemon ended. Where each goes on is decided in
//! `recovery`; here it is put into the supervisor. Does not read the journal.

use super::*;

impl ContainerFleet {
    /// Goes on with a repair that was under way when the last process of this daemon ended.
    pub(super) fn recover(&mut self, now: Moment, sid: &SubjectId, id: &ContainerId, out: &mut Outbox) {
        if let Some(until) = self.continuity.gap_until() {
            return self.deadlines.arm(sid.clone(), until);
        }
        let it = self.inventory.get(id);
        if !it.is_some_and(ContainerObservation::is_current) {
            if !it.is_some_and(ContainerObservation::is_being_inspected) {
                self.inspect(now, id, out);
            }
            return;
        }
        let open = self.watched.get_mut(sid).and_then(|it| it.subject.take_recovering());
        let Some(open) = open else { return };
        self.dirty.insert(sid.clone());
        if open.step != RepairStep::LeftDown {
            return self.resume(now, sid, id, &open, out);
        }
        if let (Some(watched), Some(it)) = (self.watched.get_mut(sid), self.inventory.get(id))
            && *id == open.id
            && it.incarnation() == open.incarnation
        {
            let why = "a repair before the restart of this watchdog stopped it and could not start it";
            let fact = Evidence::new(EvidenceKind::Journal, now, why);
            own_exit(now, it, fact, watched.supervisor.supervision_mut());
        }
    }

    pub(super) fn resume(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        id: &ContainerId,
        open: &OpenRepair,
        out: &mut Outbox,
    ) {
        let decision = self.reopened(now, sid, open, out);
        let stops_first = recovery::was_stopping(open) || decision.action == ActionKind::StopThenStart;
        let (Some(watched), Some(it)) = (self.watched.get_mut(sid), self.inventory.get_mut(id)) else {
            return;
        };
        let repair = recovery::resume(now, open, stops_first, it, &self.settings);
        let supervisor = &mut watched.supervisor;
        let mut queue = VecDeque::new();
        if *id != open.id {
            let ended = crate::container::repair::Act::Journal(RepairStep::Ended);
            let ended = Command::of(sid, now, &repair, ended, &self.settings);
            supervisor.resume(decision, repair);
            let mut outputs = Outputs::new(&mut self.recorder, &mut queue);
            outputs.command(ended);
            supervisor.abandon(Outcome::Failed, "another container took its place", &mut outputs);
        } else {
            supervisor.resume(decision, repair);
        }
        self.apply(now, sid, queue, out);
    }

    /// The record the repair was begun with, or one that says where it comes from.
    pub(super) fn reopened(&mut self, now: Moment, sid: &SubjectId, open: &OpenRepair, out: &mut Outbox) -> Decision {
        let is_open =
            |it: &&Decision| it.subject == *sid && matches!(it.outcome, Outcome::UnderWay | Outcome::Verifying);
        if let Some(decision) = self.decisions.iter().rev().find(is_open) {
            return decision.clone();
        }
        let why = "a repair begun before the restart of this watchdog goes on";
        let action = if recovery::was_stopping(open) {
            ActionKind::StopThenStart
        } else {
            ActionKind::Start
        };
        let draft = Draft::new(sid.clone(), action, why)
            .incarnation(open.incarnation.clone())
            .evidence(vec![Evidence::new(EvidenceKind::Journal, now, why)])
            .outcome(Outcome::UnderWay);
        let draft = match self.watched.get(sid) {
            Some(it) => {
                let allowance = self.policy_of(&it.subject).allowance;
                draft.budget_left(it.supervisor.supervision().budget().left(now, allowance))
            }
            None => draft,
        };
        let decision = self.recorder.record(now, draft);
        while let Some(it) = self.recorder.poll() {
            self.decided(it, out);
        }
        decision
    }
}
