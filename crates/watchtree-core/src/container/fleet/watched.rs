//! One container under its supervisor: what its role tells it, what is believed of it, and how a repair of before a restart
//! of this watchdog goes on. Knows no other container, no journal and no engine.

use super::lost_call::lost_call;
use crate::container::io::{Captured, ContainerId, EngineError, EngineTime, Performed, Record, Ticket};
use crate::container::observation::ContainerObservation;
use crate::container::policy::{ContainerPolicy, PolicyLine};
use crate::container::record::{OpenRepair, RepairStep};
use crate::container::recovery;
use crate::container::repair::{Act, Repair};
use crate::container::settings::{ContainerSettings, HealMode};
use crate::container::subject::{
    Around, Command, ContainerSubject, RestartAfter, SignalOrigin, StopEvent, Wish, own_exit,
};
use crate::decision::{ActionKind, Decision, Outcome};
use crate::id::NodeName;
use crate::recorder::Draft;
use crate::subject::{SubjectId, SubjectKind};
use crate::supervisor::{
    BUDGET_MAX, ExitClass, ExitRecord, Ill, Outputs, RestartPolicy, Shown, Subject, Supervisor, Terms,
};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind, Level, ObserverHealth, State, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// See the module's text.
pub(super) struct Watched {
    subject: ContainerSubject,
    supervisor: Supervisor<ContainerSubject>,
    /// What was shown of it when that was last asked for as news.
    told: State,
}

/// What a step of the supervisor leaves to its role.
pub(super) struct Stepped {
    /// When it is to be asked again at the latest.
    pub(super) wake: Option<Moment>,
    /// For which reboot it waits for a place among the calls, and since when.
    pub(super) queued: Option<(Ill, Moment)>,
    /// So many restarts by the engine itself were found.
    pub(super) engine_restarts: u32,
}

/// Whose a stop signal was, and what it asks for.
pub(super) enum StopTaken {
    /// Ours, or of no more interest.
    Nothing,
    /// An inspection is to tell what came of it.
    Inspect,
    /// Somebody else sent a signal.
    Foreign,
}

/// What the answer of a call leads to.
pub(super) struct Answered {
    pub(super) commands: Vec<Command>,
    /// The record of a call that was never answered.
    pub(super) lost: Option<Draft>,
}

impl Watched {
    pub(super) fn new(id: SubjectId) -> Self {
        Self::of(ContainerSubject::new(id), Supervisor::default())
    }

    /// What is remembered of one.
    pub(super) fn of(subject: ContainerSubject, supervisor: Supervisor<ContainerSubject>) -> Self {
        let told = State::Unknown;
        Self {
            subject,
            supervisor,
            told,
        }
    }

    pub(super) fn subject(&self) -> &ContainerSubject {
        &self.subject
    }

    /// It has a container now that was another subject's, with that wish.
    pub(super) fn inherit(&mut self, wish: Wish) -> Option<Record> {
        self.subject.inherit(wish)
    }

    /// The repair under way.
    pub(super) fn repair(&self) -> Option<&Repair> {
        self.supervisor.repair()
    }

    /// Its repair is of that container: the one under way, or one of before a restart of this watchdog that is not yet taken up.
    pub(super) fn repairs(&self, id: &ContainerId) -> bool {
        let before = self.subject.recovering().is_some_and(|open| open.id == *id);
        before || self.repair().is_some_and(|repair| repair.id() == id)
    }

    /// A repair of before a restart of this watchdog is not yet taken up.
    pub(super) fn is_recovering(&self) -> bool {
        self.subject.recovering().is_some()
    }

    /// Its restart limit is reached.
    pub(super) fn is_at_limit(&self) -> bool {
        self.supervisor.supervision().limit().is_some()
    }

    /// The newest events before its repairs: what came after them must be seen.
    pub(super) fn needed_events(&self) -> impl Iterator<Item = EngineTime> {
        let open = self.subject.recovering().map(|open| open.last_event);
        let running = self.repair().map(Repair::last_event);
        [open, running].into_iter().flatten()
    }

    pub(super) fn policy(&self, settings: &ContainerSettings) -> RestartPolicy {
        self.subject.policy().limits(&settings.policy)
    }

    /// The host is shutting down.
    pub(super) fn hands_off(&mut self, now: Moment) {
        let shown = Shown::new(State::Unwatched, "the host is shutting down: hands off").level(Level::None);
        self.supervisor.supervision_mut().show(now, shown);
    }

    /// Its container was removed, and has no successor yet.
    pub(super) fn without_container(
        &mut self,
        now: Moment,
        settings: &ContainerSettings,
        out: &mut Outputs<'_, Command>,
    ) {
        if let Some(repair) = self.supervisor.repair() {
            let why = repair.overruled().unwrap_or("the container is gone").to_string();
            let ended = Act::Journal(RepairStep::Ended);
            out.command(Command::of(self.subject.id(), now, repair, ended, settings));
            self.supervisor.abandon(Outcome::Overruled, &why, out);
        }
        let supervision = self.supervisor.supervision_mut();
        supervision.leave_queue();
        let why = "its container was removed; a successor may come";
        supervision.show(now, Shown::new(State::Unknown, why));
    }

    /// Does what follows from what is known now.
    pub(super) fn step<'a>(
        &mut self,
        now: Moment,
        mut around: Around<'a>,
        terms: Terms<'_>,
        out: &mut Outputs<'a, Command>,
    ) -> Stepped {
        let before = self.take_engine_restarts(now, &around, out);
        let had_repair = self.repair().is_some();
        let wake = self.supervisor.step(now, &mut self.subject, &mut around, terms, out);
        let queued = self.supervisor.supervision().queued();
        let is_over = had_repair && self.repair().is_none();
        let after = if is_over {
            self.take_engine_restarts(now, &around, out)
        } else {
            0
        };
        Stepped {
            wake,
            queued,
            engine_restarts: before + after,
        }
    }

    /// The engine's own restarts are flaps too. Returns how many there were.
    fn take_engine_restarts(&mut self, now: Moment, around: &Around<'_>, out: &mut Outputs<'_, Command>) -> u32 {
        if self.repair().is_some() {
            return 0;
        }
        let it = &*around.observation;
        let count = self.subject.present_mut().count_engine_restarts(it);
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(BUDGET_MAX);
        if self.subject.policy().heals_crash(around.settings.heal).is_err() {
            (0..count).for_each(|_| self.supervisor.supervision_mut().take_restart(now));
        } else if 0 < count {
            let total = it.view().map_or(0, |view| view.restart_count);
            let restarts = format!("the engine has restarted it {total} times since its last start by hand");
            let code = format!("exit code {}", it.exit_code());
            let evidence = vec![
                Evidence::new(EvidenceKind::EngineRestart, now, restarts),
                Evidence::new(EvidenceKind::Exited, now, code),
            ];
            let case = (self.subject.id().clone(), it.incarnation(), evidence);
            self.supervisor
                .record_restarts_of_others(now, count, case, &around.policy, out);
        }
        count
    }

    /// What is believed of it; `None` if nothing was ever found out.
    /// With more remarks than those of its labels.
    pub(super) fn verdict(
        &self,
        it: Option<&ContainerObservation>,
        observer: &NodeName,
        more: Vec<String>,
    ) -> Option<Verdict> {
        let reported = self.supervisor.supervision().reported();
        if reported.state() == State::Unknown && reported.why().is_empty() {
            return None;
        }
        let remarks = self.subject.policy().remarks().cloned().chain(more);
        let mut remarks: Vec<_> = remarks.take(Verdict::REMARKS_MAX - 1).collect();
        if self.is_at_limit() && reported.state() != State::GivenUp {
            let why = "its restart limit was reached; it counts as well again after a whole window without an end";
            remarks.push(why.to_string());
        }
        let incarnation = match it {
            Some(it) => it.incarnation(),
            None => self.subject.present().incarnation().clone(),
        };
        Some(Verdict {
            subject: self.subject.id().clone(),
            kind: SubjectKind::Container,
            incarnation,
            state: reported.state(),
            level: reported.level(),
            why: reported.why().to_string(),
            evidence: reported.evidence().to_vec(),
            observer: observer.clone(),
            observer_health: ObserverHealth::default(),
            since: reported.since(),
            held: false,
            remarks,
        })
    }

    /// What is shown of it.
    pub(super) fn state(&self) -> State {
        self.supervisor.supervision().reported().state()
    }

    /// True if it is shown otherwise than when this was asked last.
    pub(super) fn take_news(&mut self) -> bool {
        let now = self.state();
        core::mem::replace(&mut self.told, now) != now
    }

    /// It began a new incarnation by a repair of ours: true once for each.
    pub(super) fn take_restarted(&mut self) -> bool {
        self.subject.present_mut().take_restarted()
    }

    /// Another one was restarted by us: it is to follow, where it is healed here at all.
    pub(super) fn restart_after(&mut self, after: RestartAfter, settings: &ContainerSettings) {
        if self.subject.policy().heals_unhealthy(settings.heal).is_ok() {
            self.subject.present_mut().restart_after(after);
        }
    }

    /// It is shown to be well.
    pub(super) fn is_well(&self) -> bool {
        self.state() == State::Ok
    }

    /// The engine that had this repair's call is gone. True if the call is over with it.
    pub(super) fn engine_went(&mut self, now: Moment) -> bool {
        let repair = self.supervisor.repair_mut();
        repair.is_none_or(|repair| repair.engine_went(now))
    }

    /// Events may have been lost.
    pub(super) fn events_lost(&mut self) -> Option<Record> {
        self.subject.events_lost()
    }

    /// Its engine may be going down: a stop that it has not answered since may be its own.
    pub(super) fn doubt_unanswered_stop(&mut self, it: &mut ContainerObservation) -> Option<Record> {
        let supervision = self.supervisor.supervision_mut();
        self.subject.doubt_unanswered_stop(it, supervision)
    }

    /// The engine answered after that stop signal of somebody else: a person's, to be remembered until it has led to an end.
    pub(super) fn stop_answered(&self, id: &ContainerId, (at, signal): (EngineTime, u32)) -> Option<Record> {
        self.subject.present().is_being_stopped().then(|| Record::StopSeen {
            subject: self.subject.id().clone(),
            id: id.clone(),
            at,
            signal,
        })
    }

    /// A stop signal was sent to that container (`signal`), or a stop carried out: ours, or a person's? `came` = when the
    /// event came, if it came live.
    pub(super) fn take_stop(&mut self, now: Moment, event: StopEvent, it: &mut ContainerObservation) -> StopTaken {
        match self.subject.take_stop_event(event, it, self.supervisor.repair_mut()) {
            SignalOrigin::Repair => return StopTaken::Nothing,
            SignalOrigin::Odd if it.has_odd_stop_of(now) => return StopTaken::Inspect,
            SignalOrigin::Odd => return StopTaken::Nothing,
            SignalOrigin::Foreign => {}
        }
        if event.signal.is_some() {
            return StopTaken::Foreign;
        }
        // It may be the late half of a stop that was classified already, or the end of the engine's own back-off.
        let supervision = self.supervisor.supervision_mut();
        let class = supervision.exit().map(|exit| (exit.class(), exit.asked_by().is_some()));
        if matches!(class, Some((ExitClass::Crash, _) | (ExitClass::CannotTell, _))) {
            supervision.clear_exit();
        }
        StopTaken::Inspect
    }

    /// A signal that is no stop was sent to that container. Returns what is to be written down.
    pub(super) fn other_signal(&mut self, id: &ContainerId, at: EngineTime, signal: u32) -> Option<Record> {
        self.subject.other_signal(id, at, signal)
    }

    /// Somebody else sent it a stop signal.
    pub(super) fn foreign_signal(&mut self, now: Moment, it: &ContainerObservation) {
        let supervision = self.supervisor.supervision_mut();
        self.subject.foreign_signal(now, it, supervision);
    }

    /// The policy in force, value by value.
    pub(super) fn policy_lines(&self, settings: &ContainerSettings) -> Vec<PolicyLine> {
        self.subject.policy().lines(settings)
    }

    /// Another container was given the name of that one: a repair of it is not ours to go on with.
    pub(super) fn was_replaced(&mut self, id: &ContainerId) {
        if let Some(repair) = self.supervisor.repair_mut().filter(|repair| repair.id() == id) {
            repair.overrule("its name was given to another container");
        }
    }

    /// It has that container now, with this policy; `is_new` = it had another one before, or none.
    pub(super) fn take_up(&mut self, policy: Arc<ContainerPolicy>, is_new: bool, settings: &ContainerSettings) {
        let supervision = self.supervisor.supervision_mut();
        if is_new {
            self.subject.present_mut().forget_signal();
            supervision.clear_exit();
        }
        supervision.apply_policy(&policy.limits(&settings.policy));
        self.subject.set_policy(policy);
    }

    /// The engine's manual-stop flag was read after nothing could tell who ended it: that is to be asked anew.
    pub(super) fn flag_is_known(&mut self) {
        let supervision = self.supervisor.supervision_mut();
        let untold = |exit: &&ExitRecord| exit.class() == ExitClass::CannotTell && exit.asked_by().is_none();
        if supervision.exit().filter(untold).is_some() {
            supervision.clear_exit();
        }
    }

    /// Its container is gone.
    pub(super) fn container_gone(&mut self, why: &str) {
        self.supervisor.supervision_mut().clear_exit();
        if let Some(repair) = self.supervisor.repair_mut() {
            repair.overrule(why);
        }
    }

    /// The engine answered its call, or did not within its deadline. `None` for a call of before.
    pub(super) fn answered(
        &mut self,
        now: Moment,
        ticket: Ticket,
        result: Result<Performed, EngineError>,
        settings: &ContainerSettings,
    ) -> Option<Answered> {
        let is_lost = result == Err(EngineError::Deadline);
        let repair = self.supervisor.repair_mut()?;
        let acts = repair.answered(now, ticket, result)?;
        let lost = repair.lost_call().filter(|_| is_lost);
        let id = self.subject.id();
        let lost = lost.map(|call| lost_call(now, id.clone(), call, repair.incarnation().clone()));
        let acts = acts.into_iter();
        let commands = acts.map(|act| Command::of(id, now, repair, act, settings)).collect();
        Some(Answered { commands, lost })
    }

    /// What was asked for then was captured: a fact of the repair that asked for it.
    pub(super) fn captured(&mut self, now: Moment, asked: Moment, what: &Captured, out: &mut Outputs<'_, Command>) {
        if self
            .supervisor
            .repair_mut()
            .is_some_and(|repair| repair.captured(asked))
        {
            let fact = Evidence::new(EvidenceKind::Captured, now, what.words());
            self.supervisor.add_evidence(fact, out);
        }
    }

    /// Whether a person's retry would do anything: nothing to say of one that is well or under repair, an error of one that
    /// is ill and not healed here.
    pub(super) fn may_be_retried(&self, mode: HealMode) -> Option<Result<(), String>> {
        let supervision = self.supervisor.supervision();
        let is_ill = self.is_at_limit()
            || matches!(
                supervision.reported().state(),
                State::GivenUp | State::Repairing | State::Down | State::Unhealthy | State::Unknown
            );
        if !is_ill || self.repair().is_some() {
            return None;
        }
        // What is only watched would not be started after all: "trying now" would be a lie.
        let policy = self.subject.policy();
        let heals = match supervision.exit() {
            Some(exit) if exit.is_own_stop() => Ok("what we stopped, we start".into()),
            Some(_) => policy.heals_crash(mode),
            None => policy.heals_unhealthy(mode),
        };
        let id = self.subject.id();
        Some(match heals {
            Ok(_) => Ok(()),
            Err(why) => Err(format!("{id} is watched and not healed here: {why}")),
        })
    }

    /// It has ended, and nothing tells whether a person wanted that.
    pub(super) fn ended_unseen(&self) -> bool {
        let exit = self.supervisor.supervision().exit();
        exit.is_some_and(|exit| !exit.wants_restart() && exit.class().may_be_retried())
    }

    /// A person wants a try now.
    pub(super) fn retry(&mut self, by: &str, out: &mut Outputs<'_, Command>) {
        self.supervisor.retry(by, out);
    }

    /// The repair of before a restart of this watchdog, to be taken up now.
    pub(super) fn take_recovering(&mut self) -> Option<OpenRepair> {
        self.subject.take_recovering()
    }

    /// That repair had stopped it and could not start it: if it is still the same incarnation, its end is ours.
    pub(super) fn left_down(&mut self, now: Moment, open: &OpenRepair, it: &ContainerObservation) {
        if *it.id() == open.id && it.incarnation() == open.incarnation {
            let why = "a repair before the restart of this watchdog stopped it and could not start it";
            let fact = Evidence::new(EvidenceKind::Journal, now, why);
            own_exit(now, it, fact, self.supervisor.supervision_mut());
        }
    }

    /// That repair was given up, and its stop may still be under way.
    pub(super) fn linger(&mut self, open: &OpenRepair, it: &mut ContainerObservation, settings: &ContainerSettings) {
        if *it.id() == open.id && it.incarnation() == open.incarnation {
            let own = recovery::own_stop(open, it, settings);
            self.subject.linger(open, own, it);
        }
    }

    /// A record that says where the repair comes from, should its own be lost.
    pub(super) fn resumption(&self, now: Moment, open: &OpenRepair, settings: &ContainerSettings) -> Draft {
        let why = "a repair begun before the restart of this watchdog goes on";
        let action = if recovery::was_stopping(open) {
            ActionKind::StopThenStart
        } else {
            ActionKind::Start
        };
        let (allowance, budget) = (self.policy(settings).allowance, self.supervisor.supervision().budget());
        Draft::new(self.subject.id().clone(), action, why)
            .incarnation(open.incarnation.clone())
            .evidence(vec![Evidence::new(EvidenceKind::Journal, now, why)])
            .outcome(Outcome::UnderWay)
            .budget_left(budget.left(now, allowance))
    }

    /// Goes on with that repair, under that record.
    pub(super) fn resume(
        &mut self,
        now: Moment,
        (open, decision): (&OpenRepair, Decision),
        it: &mut ContainerObservation,
        settings: &ContainerSettings,
        out: &mut Outputs<'_, Command>,
    ) {
        let stops_first = recovery::was_stopping(open) || decision.action == ActionKind::StopThenStart;
        let is_other = *it.id() != open.id;
        let repair = recovery::resume(now, open, stops_first, it, settings);
        let ended = Command::of(
            self.subject.id(),
            now,
            &repair,
            Act::Journal(RepairStep::Ended),
            settings,
        );
        self.supervisor.resume(decision, repair);
        if is_other {
            out.command(ended);
            let why = "another container took its place";
            self.supervisor.abandon(Outcome::Failed, why, out);
        }
    }
}
