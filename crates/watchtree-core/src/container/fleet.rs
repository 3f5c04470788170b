//! The containers of one engine with their supervisors: takes in what the engine says, and reconciles what it touches.
//!
//! ```text
//! engine ─▶ observation, continuity, calls ─▶ dirty subjects ─▶ reconcile ─▶ outbox: journal, engine call, record
//!                                                 ▲               │
//!                                      deadlines ─┴───────────────┘
//! ```
//!
//! Level-triggered: an input only changes what is known; each subject that it touches is then reconciled from what is known,
//! whatever order things came in. Knows no parent and no orders.

use super::continuity::{EventContinuity, EventCursor, GapEnd};
use super::engine_calls::EngineCalls;
use super::inventory::{Attached, CONTAINERS_MAX, Inventory};
use super::io::{
    ContainerEffect, ContainerId, ContainerView, EngineCall, EngineError, EngineEvent, EventAction, ListEntry,
    Performed, Record, Recovered, RunState, Ticket,
};
use super::labels::Labels;
use super::observation::{ContainerObservation, Status};
use super::outbox::Outbox;
use super::record::{OpenRepair, RepairStep};
use super::recovery;
use super::settings::ContainerSettings;
use super::status::ContainerCounters;
use super::subject::{Around, Command, ContainerSubject, SignalSeen, own_exit};
use crate::deadlines::Deadlines;
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::holds::Holds;
use crate::random::mix;
use crate::recorder::{DecisionRecorder, Draft};
use crate::subject::{SubjectId, SubjectKind};
use crate::supervisor::{ExitClass, FleetBudget, Output, Outputs, Place, RestartPolicy, Shown, Supervisor, Terms};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, State, Verdict};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// An operator's stop this shortly before the engine itself went may have been the engine's, which waits for the slowest
/// container on top of it.
const LIFECYCLE_WITHIN: Duration = Duration::from_secs(30);

/// What bears on all containers at once.
#[derive(Clone, Copy)]
pub(crate) struct Climate<'a> {
    pub(crate) holds: &'a Holds,
    /// Nothing new is begun.
    pub(crate) is_leaving: bool,
    /// The machine goes down.
    pub(crate) hands_off: bool,
}

struct Watched {
    subject: ContainerSubject,
    supervisor: Supervisor<ContainerSubject>,
}

impl Watched {
    fn new(id: SubjectId) -> Self {
        Self {
            subject: ContainerSubject::new(id),
            supervisor: Supervisor::default(),
        }
    }

    /// Its repair is of that container.
    fn repairs(&self, id: &ContainerId) -> bool {
        self.supervisor.repair().is_some_and(|repair| repair.id() == id)
    }
}

/// See the module's text.
pub(crate) struct ContainerFleet {
    settings: ContainerSettings,
    policy: RestartPolicy,
    continuity: EventContinuity,
    inventory: Inventory,
    watched: BTreeMap<SubjectId, Watched>,
    calls: EngineCalls,
    budget: FleetBudget,
    deadlines: Deadlines<SubjectId>,
    dirty: BTreeSet<SubjectId>,
    recorder: DecisionRecorder,
    decisions: VecDeque<Decision>,
    counters: ContainerCounters,
}

impl ContainerFleet {
    pub(crate) fn new(settings: ContainerSettings, last_event: Option<EventCursor>, now: Moment) -> Self {
        let identity = &settings.identity;
        let wall = settings.wall_at_zero;
        let fleet_policy = settings.fleet_policy();
        Self {
            policy: settings.restart_policy(),
            continuity: EventContinuity::new(now, last_event, settings.settle),
            inventory: Inventory::new(settings.engine.clone(), settings.deploy_quiet),
            watched: BTreeMap::new(),
            calls: EngineCalls::new(fleet_policy.parallel),
            budget: FleetBudget::new(fleet_policy),
            deadlines: Deadlines::default(),
            dirty: BTreeSet::new(),
            recorder: DecisionRecorder::new(identity.name.clone(), identity.agent_epoch, Moment::ZERO, wall),
            decisions: VecDeque::new(),
            counters: ContainerCounters::default(),
            settings,
        }
    }

    /// Takes over what the journal held.
    pub(crate) fn restore(&mut self, now: Moment, recovered: Recovered) {
        for (sid, memory) in recovered.subjects {
            let charges = memory.charges.into_iter();
            let charges: Vec<Moment> = charges.map(|it| self.settings.moment_before(now, it)).collect();
            let signal = memory
                .stop_seen
                .filter(|(id, ..)| memory.desired.as_ref().is_some_and(|it| it.0 == *id));
            // Until the stop has had its time somebody is stopping it, also after a restart of ours.
            let signal_at = signal
                .as_ref()
                .map(|(_, at, _)| self.settings.moment_of_stamp(now, *at));
            let seen = signal.map(|(_, at, number)| (at, number));
            let id = memory.desired.as_ref().map(|(id, ..)| id.clone());
            // A hold on a whole project leaves a memory without a container.
            if id.is_none() && memory.repair.is_none() {
                continue;
            }
            let observation = id.map(|id| ContainerObservation::remembered(id, now, seen));
            self.inventory.restore(sid.clone(), observation);
            let (last, desired) = (charges.last().copied(), memory.desired);
            let subject = ContainerSubject::remembered(sid.clone(), desired, last, signal_at, memory.repair);
            let mut supervisor = Supervisor::default();
            let limit = memory.given_up.map(|it| self.settings.moment_before(now, it));
            let limit = limit.map(|since| self.policy_of(&subject).limit_reached(since));
            supervisor.supervision_mut().restore(charges, limit);
            self.watched.insert(sid, Watched { subject, supervisor });
        }
        for charge in recovered.host_charges {
            self.budget.record_restart(self.settings.moment_before(now, charge));
        }
        self.decisions.extend(recovered.decisions);
    }

    fn policy_of(&self, subject: &ContainerSubject) -> RestartPolicy {
        subject.labels().policy(&self.policy)
    }

    /// (Re)opens the event stream from where a repair needs it.
    pub(crate) fn subscribe(&self, out: &mut Outbox) {
        let open = |it: &Watched| it.subject.recovering().map(|open| open.last_event);
        let running = |it: &Watched| it.supervisor.repair().map(|repair| repair.last_event());
        let all = self.watched.values().flat_map(|it| [open(it), running(it)]).flatten();
        let since = self.continuity.since(all.filter(|at| at.0 != 0).min());
        out.push(ContainerEffect::Subscribe { since });
    }

    /// Makes a record about something that is not a repair: an order, an escalation.
    pub(crate) fn record(&mut self, now: Moment, draft: Draft, out: &mut Outbox) {
        self.recorder.record(now, draft);
        while let Some(decision) = self.recorder.poll() {
            self.decided(decision, out);
        }
    }

    fn decided(&mut self, decision: Decision, out: &mut Outbox) {
        out.decided(decision.clone());
        match self.decisions.iter_mut().rev().find(|it| it.id == decision.id) {
            Some(known) => *known = decision,
            None => {
                if Recovered::DECISIONS_MAX <= self.decisions.len() {
                    self.decisions.pop_front();
                }
                self.decisions.push_back(decision);
            }
        }
    }

    /// All subjects are to be reconciled.
    pub(crate) fn touch_all(&mut self) {
        self.dirty.extend(self.watched.keys().cloned());
    }

    /// The subject and all below are to be reconciled.
    pub(crate) fn touch_below(&mut self, subject: &SubjectId) {
        let below = self.watched.keys().filter(|it| it.is_within(subject));
        self.dirty.extend(below.cloned());
    }

    fn inspect(&mut self, now: Moment, id: &ContainerId, out: &mut Outbox) {
        if self.inventory.get_mut(id).is_some_and(|it| it.begin_inspection(now)) {
            out.push(ContainerEffect::Inspect { id: id.clone() });
        }
    }

    pub(crate) fn stream_opened(&mut self, now: Moment, out: &mut Outbox) {
        if self.continuity.opened(now) {
            self.events_lost(out);
            self.inventory.ids().iter().for_each(|id| self.inspect(now, id, out));
        }
    }

    /// The event stream is broken (`ended`), or this process did not look for a while.
    pub(crate) fn stream_broke(&mut self, now: Moment, ended: bool, out: &mut Outbox) {
        if ended {
            self.doubt_recent_stops(now, out);
        }
        if self.continuity.broke(now, ended) {
            self.subscribe(out);
        }
        self.touch_all();
    }

    fn gap_ended(&mut self, now: Moment, how: GapEnd, out: &mut Outbox) {
        match how {
            GapEnd::Whole => self.inventory.observations_mut().for_each(|it| it.set_uncertain(false)),
            GapEnd::Lossy { engine_away } => {
                self.events_lost(out);
                // The engine's calls ended with it: what it did of them, the containers show.
                let lost = if engine_away { self.calls.tickets() } else { Vec::new() };
                lost.into_iter().for_each(|ticket| self.engine_went(now, ticket));
            }
        }
        self.write_cursor(out);
        self.touch_all();
    }

    fn engine_went(&mut self, now: Moment, ticket: Ticket) {
        let watched = self.calls.subject_of(ticket).and_then(|sid| self.watched.get_mut(sid));
        let Some(watched) = watched else { return };
        if watched
            .supervisor
            .repair_mut()
            .is_none_or(|repair| repair.engine_went(now))
        {
            self.calls.close(ticket);
        }
    }

    /// Writes down the newest event taken. Never inside a gap: the cursor says that everything before it was seen.
    fn write_cursor(&self, out: &mut Outbox) {
        if let Some((at, id, action)) = self.continuity.cursor().cloned() {
            out.journal(Record::LastEvent { at, id, action });
        }
    }

    fn events_lost(&mut self, out: &mut Outbox) {
        let lost = self.watched.values_mut().filter_map(|it| it.subject.events_lost());
        lost.for_each(|record| out.journal(record));
    }

    fn doubt_recent_stops(&mut self, now: Moment, out: &mut Outbox) {
        let slowest = self
            .inventory
            .observations()
            .map(ContainerObservation::stop_window)
            .max();
        let within = LIFECYCLE_WITHIN + slowest.unwrap_or(Duration::ZERO);
        for (sid, Watched { subject, supervisor }) in &mut self.watched {
            let id = self.inventory.container_of(sid).cloned();
            let Some(it) = id.and_then(|id| self.inventory.get_mut(&id)) else {
                continue;
            };
            let record = subject.doubt_recent_stop(now, within, it, supervisor.supervision_mut());
            record.into_iter().for_each(|record| out.journal(record));
        }
    }

    /// Takes an event, and reconciles whom it is about at once: nothing is faster. False if there are too many containers.
    pub(crate) fn on_event(
        &mut self,
        now: Moment,
        event: &EngineEvent,
        climate: Climate<'_>,
        out: &mut Outbox,
    ) -> bool {
        let cursor = (event.at, event.id.clone(), event.action.word());
        if let Some(how) = self.continuity.saw(now, &cursor) {
            self.gap_ended(now, how, out);
        }
        if self.inventory.get(&event.id).is_none() {
            if event.action == EventAction::Destroy {
                return true;
            }
            if !self.inventory.admit(&event.id, now) {
                return false;
            }
            self.inspect(now, &event.id, out);
        }
        let is_live = self.continuity.is_live(now);
        let fresh = self
            .inventory
            .get_mut(&event.id)
            .is_some_and(|it| it.take(now, event, is_live));
        if fresh {
            self.counters.events += 1;
            self.react(now, event, climate, out);
        } else {
            self.counters.duplicates += 1;
        }
        let subject = self.inventory.subject_of(&event.id).cloned();
        if fresh && event.action == EventAction::Destroy {
            self.forget(now, &event.id, "it was removed during our repair");
        }
        // The repair first, the cursor after it: what is lost between is replayed, and harmless.
        if let Some(subject) = subject {
            self.dirty.remove(&subject);
            self.reconcile(now, &subject, climate, out);
        }
        if fresh && self.continuity.cursor() == Some(&cursor) && self.continuity.gap_until().is_none() {
            self.write_cursor(out);
        }
        true
    }

    fn react(&mut self, now: Moment, event: &EngineEvent, climate: Climate<'_>, out: &mut Outbox) {
        let is_temporary = ContainerObservation::is_temporary_name(&event.name);
        let Some(it) = self.inventory.get_mut(&event.id) else {
            return;
        };
        let inspects = match &event.action {
            EventAction::Rename { .. } => {
                if is_temporary {
                    self.dirty.extend(self.inventory.detach(now, &event.id));
                }
                self.inventory.deploy_begins(now, event.compose.as_ref());
                true
            }
            EventAction::Create => {
                self.inventory.deploy_begins(now, event.compose.as_ref());
                true
            }
            EventAction::Start => {
                if !is_temporary && self.inventory.deploy_ends(event.compose.as_ref()) {
                    self.touch_all();
                }
                true
            }
            EventAction::Kill { signal } => {
                it.is_stop_signal(*signal) && self.on_signal(now, event, Some(*signal), climate, out)
            }
            EventAction::Stop => self.on_signal(now, event, None, climate, out),
            EventAction::Restart | EventAction::Pause | EventAction::Unpause | EventAction::Update => true,
            EventAction::Die { .. } => {
                // The fast way needs no inspection; everything else about the end does, and so does the engine's back-off.
                let ran = it.view().is_some_and(|view| view.run == RunState::Running);
                let is_plain = it.is_current() && ran && !it.has_odd_end() && !it.engine_restarts();
                if is_plain {
                    it.outdate_inspection();
                }
                self.inventory.deploy_goes_on(now, event.compose.as_ref());
                !is_plain
            }
            EventAction::Oom | EventAction::Destroy | EventAction::Health(_) => false,
        };
        if inspects {
            self.inspect(now, &event.id, out);
        }
    }

    /// A stop signal was sent or a stop (`signal` = `None`) carried out: ours, or a person's? True if an inspection is to
    /// tell what came of it.
    fn on_signal(
        &mut self,
        now: Moment,
        event: &EngineEvent,
        signal: Option<u32>,
        climate: Climate<'_>,
        out: &mut Outbox,
    ) -> bool {
        let came = self.continuity.is_live(now).then_some(now);
        let holder = match signal {
            Some(_) => self.inventory.holder_of(&event.id),
            None => self.inventory.subject_of(&event.id),
        };
        let Some(sid) = holder.cloned() else { return false };
        let (Some(watched), Some(it)) = (self.watched.get_mut(&sid), self.inventory.get_mut(&event.id)) else {
            return false;
        };
        let Watched { subject, supervisor } = watched;
        match subject.classify_signal(supervisor.repair_mut(), it, (event.at, signal), came) {
            SignalSeen::Own => return false,
            SignalSeen::Odd => return it.has_odd_stop_of(now),
            SignalSeen::Foreign => {}
        }
        let supervision = supervisor.supervision_mut();
        let Some(signal) = signal else {
            // It may be the late half of a stop that was classified already, or the end of the engine's own back-off.
            let class = supervision.exit().map(|exit| (exit.class(), exit.asked_by().is_some()));
            if matches!(class, Some((ExitClass::Crash, _) | (ExitClass::CannotTell, _))) {
                supervision.clear_exit();
            }
            return true;
        };
        // The machine goes down and its engine stops every container: that is no wish to remember after the boot.
        if !climate.hands_off {
            subject.foreign_signal(now, it, supervision);
            let (id, at) = (event.id.clone(), event.at);
            let subject = sid;
            out.journal(Record::StopSeen {
                subject,
                id,
                at,
                signal,
            });
        }
        false
    }

    /// The containers were listed, as asked for at that moment.
    pub(crate) fn on_listed(&mut self, now: Moment, asked: Moment, entries: &[ListEntry], out: &mut Outbox) {
        let entries = entries.iter().take(CONTAINERS_MAX);
        let there: BTreeSet<ContainerId> = entries.clone().map(|entry| entry.id.clone()).collect();
        for entry in entries {
            if self.inventory.get(&entry.id).is_none() && !self.inventory.admit(&entry.id, now) {
                continue;
            }
            let repair = self
                .inventory
                .subject_of(&entry.id)
                .and_then(|sid| self.watched.get(sid));
            let repair = repair.and_then(|it| it.supervisor.repair());
            if self.inventory.differs(entry) || repair.is_some_and(|repair| !repair.is_verifying()) {
                self.inspect(now, &entry.id, out);
            } else if let Some(it) = self
                .inventory
                .get_mut(&entry.id)
                .filter(|it| it.status() == Status::Running)
            {
                it.saw_alive(now);
            }
        }
        for id in self.inventory.listed(asked, &there) {
            self.forget(now, &id, "it is gone");
        }
        self.dirty.extend(self.inventory.note_empty(now));
    }

    pub(crate) fn on_inspected(&mut self, now: Moment, id: &ContainerId, view: ContainerView, out: &mut Outbox) {
        let labels = Labels::read(&view.labels, &self.settings);
        let Some(it) = self.inventory.get_mut(id) else { return };
        it.absorb(now, view);
        if it.needs_inspection() {
            self.inspect(now, id, out);
        }
        let watched = &self.watched;
        let in_repair = |sid: &SubjectId| watched.get(sid).is_some_and(|it| it.repairs(id));
        let Attached { touched, taken_up_by } = self.inventory.attach(now, id, in_repair);
        self.dirty.extend(touched);
        if let Some(sid) = self.inventory.holder_of(id).cloned() {
            let watched = self
                .watched
                .entry(sid.clone())
                .or_insert_with(|| Watched::new(sid.clone()));
            if taken_up_by.is_some() {
                watched.subject.forget_signal();
                watched.supervisor.supervision_mut().clear_exit();
            }
            watched.subject.set_labels(labels);
            self.dirty.insert(sid);
        }
        self.dirty.extend(self.inventory.joiners(id));
    }

    pub(crate) fn inspection_failed(&mut self, now: Moment, id: &ContainerId, error: &EngineError) {
        if *error == EngineError::NotFound {
            self.forget(now, id, "it is gone");
        } else if let Some(it) = self.inventory.get_mut(id) {
            // The list asks again in its own time.
            it.inspection_failed();
        }
    }

    pub(crate) fn on_flag(&mut self, id: &ContainerId, value: Option<bool>) {
        if !self.inventory.get_mut(id).is_some_and(|it| it.flag_read(value)) {
            return;
        }
        let Some(sid) = self.inventory.subject_of(id) else {
            return;
        };
        // It may come after it was waited for: then it tells what nothing could.
        if let (Some(watched), true) = (self.watched.get_mut(sid), value.is_some()) {
            let supervision = watched.supervisor.supervision_mut();
            let untold = |exit: &&crate::supervisor::ExitRecord| {
                exit.class() == ExitClass::CannotTell && exit.asked_by().is_none()
            };
            if supervision.exit().filter(untold).is_some() {
                supervision.clear_exit();
            }
        }
        self.dirty.insert(sid.clone());
    }

    /// The container is gone.
    fn forget(&mut self, now: Moment, id: &ContainerId, why: &str) {
        self.dirty.extend(self.inventory.joiners(id));
        let Some(sid) = self.inventory.forget(now, id) else {
            return;
        };
        if let Some(Watched { supervisor, .. }) = self.watched.get_mut(&sid) {
            supervisor.supervision_mut().clear_exit();
            if let Some(repair) = supervisor.repair_mut() {
                repair.overrule(why);
            }
        }
        self.dirty.insert(sid);
    }

    /// The engine answered a call, or did not within its deadline.
    pub(crate) fn on_performed(
        &mut self,
        now: Moment,
        ticket: Ticket,
        result: Result<Performed, EngineError>,
        out: &mut Outbox,
    ) {
        let Some(sid) = self.calls.subject_of(ticket).cloned() else {
            return;
        };
        if result == Err(EngineError::Deadline) {
            self.calls.lose(ticket);
        } else {
            self.calls.close(ticket);
        }
        let Some(Watched { subject, supervisor }) = self.watched.get_mut(&sid) else {
            return;
        };
        self.dirty.insert(sid.clone());
        let Some(repair) = supervisor.repair_mut() else { return };
        let Some(acts) = repair.answered(now, ticket, result) else {
            return;
        };
        let lost = repair.lost_call().map(|call| (call, repair.incarnation().clone()));
        let commands: Vec<Command> = acts
            .into_iter()
            .map(|act| subject.command(now, repair, act, &self.settings))
            .collect();
        if let Some((call, life)) = lost {
            let why = format!(
                "the engine did not answer {call} in time: look, wait, never post it again; a person is needed"
            );
            let detail = format!("{call} was posted and may still be under way in the engine");
            let fact = Evidence::new(EvidenceKind::EngineProbe, now, format!("{call} passed its deadline"));
            let draft = Draft::new(sid, ActionKind::Escalate, why)
                .incarnation(life)
                .evidence(vec![fact])
                .guards(vec![GuardAnswer::blocked(Guard::InFlight, detail)]);
            self.record(now, draft, out);
        }
        for command in commands {
            match command {
                Command::Inspect(id) => self.inspect(now, &id, out),
                Command::Journal(record) => out.journal(record),
                Command::ReadFlag(_) | Command::Replay | Command::Post { .. } => {}
            }
        }
    }

    /// Reconciles what was touched, and who waits for a place while there is one.
    pub(crate) fn reconcile_dirty(&mut self, now: Moment, climate: Climate<'_>, out: &mut Outbox) {
        while let Some(sid) = self.dirty.pop_first() {
            self.reconcile(now, &sid, climate, out);
        }
        for sid in self.calls.take_queue() {
            if self.calls.has_place() {
                self.reconcile(now, &sid, climate, out);
            } else {
                self.calls.wait(sid);
            }
        }
        while let Some(sid) = self.dirty.pop_first() {
            self.reconcile(now, &sid, climate, out);
        }
    }

    /// Does what has become due.
    pub(crate) fn handle_timeout(&mut self, now: Moment, out: &mut Outbox) {
        if self.continuity.wants_open(now) {
            self.subscribe(out);
        }
        if let Some(how) = self.continuity.settle(now) {
            self.gap_ended(now, how, out);
        }
        if self.inventory.expire_deploys(now) {
            self.touch_all();
        }
        while let Some(sid) = self.deadlines.pop_due(now) {
            self.dirty.insert(sid);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let all = [
            self.continuity.next_deadline(),
            self.inventory.next_deploy(),
            self.deadlines.next(),
        ];
        all.into_iter().flatten().min()
    }

    /// Does what follows from what is known of that subject.
    fn reconcile(&mut self, now: Moment, sid: &SubjectId, climate: Climate<'_>, out: &mut Outbox) {
        self.deadlines.disarm(sid);
        self.calls.unqueue(sid);
        if !self.watched.contains_key(sid) {
            return;
        }
        let id = self.inventory.container_of(sid).cloned();
        let Some(id) = id.filter(|id| self.inventory.get(id).is_some()) else {
            return self.without_container(now, sid, out);
        };
        if climate.hands_off {
            let shown = Shown::new(State::Unwatched, "the host is shutting down: hands off").level(Level::None);
            if let Some(it) = self.watched.get_mut(sid) {
                it.supervisor.supervision_mut().show(now, shown);
            }
        } else if self.is_recovering(sid) {
            self.recover(now, sid, &id, out);
        } else {
            self.step(now, sid, &id, climate, out);
        }
        out.reconciled(sid.clone());
    }

    fn is_recovering(&self, sid: &SubjectId) -> bool {
        self.watched
            .get(sid)
            .is_some_and(|it| it.subject.recovering().is_some())
    }

    fn without_container(&mut self, now: Moment, sid: &SubjectId, out: &mut Outbox) {
        if !self.inventory.is_listed() {
            // From the journal; the first list will show whether it is still there.
            return;
        }
        let mut queue = VecDeque::new();
        let Some(Watched { subject, supervisor }) = self.watched.get_mut(sid) else {
            return;
        };
        if let Some(repair) = supervisor.repair() {
            let why = repair.overruled().unwrap_or("the container is gone").to_string();
            let step = super::repair::Act::Journal(RepairStep::Ended);
            let step = subject.command(now, repair, step, &self.settings);
            let mut outputs = Outputs::new(&mut self.recorder, &mut queue);
            outputs.command(step);
            supervisor.abandon(Outcome::Overruled, &why, &mut outputs);
        }
        let why = "its container was removed; a successor may come";
        supervisor.supervision_mut().show(now, Shown::new(State::Unknown, why));
        self.apply(now, sid, queue, out);
        match self.inventory.empty_until(now, sid) {
            Some(until) if until <= now => {
                self.watched.remove(sid);
                self.inventory.remove_subject(sid);
                self.calls.forget(sid);
                out.journal(Record::Gone { subject: sid.clone() });
            }
            Some(until) => self.deadlines.arm(sid.clone(), until),
            None => {}
        }
        out.reconciled(sid.clone());
    }

    fn step(&mut self, now: Moment, sid: &SubjectId, id: &ContainerId, climate: Climate<'_>, out: &mut Outbox) {
        let mut queue = VecDeque::new();
        self.count_engine_restarts(now, sid, id, &mut queue);
        let deploy_until = self.inventory.get(id).and_then(|it| self.inventory.deploy_until(it));
        let network_away = self.inventory.get(id).and_then(|it| self.inventory.network_away(it));
        let network_away = network_away.map(ToString::to_string);
        let (Some(watched), Some(observation)) = (self.watched.get_mut(sid), self.inventory.get_mut(id)) else {
            return;
        };
        let Watched { subject, supervisor } = watched;
        let policy = subject.labels().policy(&self.policy);
        let mut around = Around {
            settings: &self.settings,
            observation,
            continuity: &self.continuity,
            policy,
            deploy_until,
            hold: climate.holds.on(sid).map(|(by, until)| (by.clone(), until)),
            network_away,
            is_leaving: climate.is_leaving,
            is_busy: self.calls.is_busy(sid),
            ticket: self.calls.next_ticket(),
        };
        let terms = Terms {
            policy,
            fleet: &mut self.budget,
            place: Place {
                is_free: self.calls.has_place(),
                under_way: self.calls.in_time(),
                long_wait: self.settings.start_deadline,
            },
            seed: sid
                .as_str()
                .bytes()
                .fold(self.settings.seed, |seed, byte| mix(seed ^ u64::from(byte))),
        };
        let had_repair = supervisor.repair().is_some();
        let mut outputs = Outputs::new(&mut self.recorder, &mut queue);
        let wake = supervisor.step(now, subject, &mut around, terms, &mut outputs);
        let waits = supervisor.supervision().queued_since().is_some();
        let is_over = had_repair && supervisor.repair().is_none();
        if let Some(at) = wake {
            self.deadlines.arm(sid.clone(), at);
        }
        if waits {
            self.calls.wait(sid.clone());
        }
        if is_over {
            self.count_engine_restarts(now, sid, id, &mut queue);
        }
        self.apply(now, sid, queue, out);
    }

    /// The engine's own restarts are flaps too.
    fn count_engine_restarts(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        id: &ContainerId,
        queue: &mut VecDeque<Output<Command>>,
    ) {
        let (Some(watched), Some(it)) = (self.watched.get_mut(sid), self.inventory.get(id)) else {
            return;
        };
        let Watched { subject, supervisor } = watched;
        if supervisor.repair().is_some() {
            return;
        }
        let count = subject.count_engine_restarts(it);
        if count == 0 {
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(crate::restart::BUDGET_MAX);
        self.counters.engine_restarts += u64::from(count);
        if subject.labels().heals_crash(self.settings.heal).is_err() {
            (0..count).for_each(|_| supervisor.supervision_mut().take_restart(now));
            return;
        }
        let total = it.view().map_or(0, |view| view.restart_count);
        let restarts = format!("the engine has restarted it {total} times since its last start by hand");
        let code = format!("exit code {}", it.exit_code());
        let evidence = vec![
            Evidence::new(EvidenceKind::EngineRestart, now, restarts),
            Evidence::new(EvidenceKind::Exited, now, code),
        ];
        let policy = subject.labels().policy(&self.policy);
        let case = (sid.clone(), it.incarnation(), evidence);
        let mut outputs = Outputs::new(&mut self.recorder, queue);
        supervisor.record_restarts_of_others(now, count, case, &policy, &mut outputs);
    }

    /// Goes on with a repair that was under way when the last process of this daemon ended.
    fn recover(&mut self, now: Moment, sid: &SubjectId, id: &ContainerId, out: &mut Outbox) {
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

    fn resume(&mut self, now: Moment, sid: &SubjectId, id: &ContainerId, open: &OpenRepair, out: &mut Outbox) {
        let decision = self.reopened(now, sid, open, out);
        let stops_first = recovery::was_stopping(open) || decision.action == ActionKind::StopThenStart;
        let (Some(watched), Some(it)) = (self.watched.get_mut(sid), self.inventory.get_mut(id)) else {
            return;
        };
        let repair = recovery::resume(now, open, stops_first, it, &self.settings);
        let Watched { subject, supervisor } = watched;
        let mut queue = VecDeque::new();
        if *id != open.id {
            let ended = subject.command(
                now,
                &repair,
                super::repair::Act::Journal(RepairStep::Ended),
                &self.settings,
            );
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
    fn reopened(&mut self, now: Moment, sid: &SubjectId, open: &OpenRepair, out: &mut Outbox) -> Decision {
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

    /// Writes down and does what came out of a supervisor, in order.
    fn apply(&mut self, now: Moment, sid: &SubjectId, outputs: VecDeque<Output<Command>>, out: &mut Outbox) {
        let (boot_id, mut replay) = (self.settings.identity.boot_id, false);
        let mut outputs = outputs.into_iter().peekable();
        while let Some(output) = outputs.next() {
            let subject = sid.clone();
            match output {
                Output::Decided(decision) => self.decided(decision, out),
                Output::Restarted { correlated: mass } => {
                    let (at, wall) = (now, self.settings.wall(now));
                    out.journal(Record::Charged {
                        subject,
                        at,
                        boot_id,
                        wall,
                        mass,
                    });
                }
                Output::LimitReached(at) => {
                    // A half-open retry begins the limit anew; only where it is reached a record follows.
                    let is_new = matches!(outputs.peek(), Some(Output::Decided(_)));
                    self.counters.given_up += u64::from(is_new);
                    let wall = self.settings.wall(at);
                    out.journal(Record::GivenUp {
                        subject,
                        at,
                        boot_id,
                        wall,
                    });
                }
                Output::LimitReset => out.journal(Record::Cleared { subject }),
                Output::Repaired(Outcome::Succeeded) => self.counters.succeeded += 1,
                Output::Repaired(Outcome::Overruled) => self.counters.overruled += 1,
                Output::Repaired(_) => self.counters.failed += 1,
                Output::Command(Command::Journal(record)) => out.journal(record),
                Output::Command(Command::Inspect(id)) => out.push(ContainerEffect::Inspect { id }),
                Output::Command(Command::ReadFlag(id)) => out.push(ContainerEffect::ReadStopMark { id }),
                Output::Command(Command::Replay) => replay = true,
                Output::Command(Command::Post {
                    ticket,
                    id,
                    call,
                    within,
                }) => {
                    match call {
                        EngineCall::Start => self.counters.starts += 1,
                        EngineCall::Stop { .. } => self.counters.stops += 1,
                    }
                    self.calls.open(ticket, subject);
                    out.push(ContainerEffect::Perform {
                        ticket,
                        id,
                        call,
                        within,
                    });
                }
            }
        }
        if replay && self.continuity.gap_until().is_none() {
            self.stream_broke(now, false, out);
        }
    }

    /// A person wants tries of the subject and all below: of how many, or why not.
    pub(crate) fn retry(
        &mut self,
        now: Moment,
        below: &SubjectId,
        by: &str,
        out: &mut Outbox,
    ) -> Result<usize, alloc::string::String> {
        let (mut ids, mut not_ours) = (Vec::new(), None);
        for (sid, it) in self.watched.iter().filter(|(sid, _)| sid.is_within(below)) {
            let supervision = it.supervisor.supervision();
            let is_ill = supervision.limit().is_some()
                || matches!(
                    supervision.reported().state(),
                    State::GivenUp | State::Repairing | State::Down | State::Unhealthy | State::Unknown
                );
            if !is_ill || it.supervisor.repair().is_some() || self.inventory.container_of(sid).is_none() {
                continue;
            }
            // What is only watched would not be started after all: "trying now" would be a lie.
            let labels = it.subject.labels();
            let heals = match supervision.exit() {
                Some(_) => labels.heals_crash(self.settings.heal),
                None => labels.heals_unhealthy(self.settings.heal),
            };
            match heals {
                Ok(_) => ids.push(sid.clone()),
                Err(why) => not_ours = Some(format!("{sid} is watched and not healed here: {why}")),
            }
        }
        if ids.is_empty() {
            return Err(not_ours.unwrap_or_else(|| "nothing here waits for a retry".to_string()));
        }
        for sid in &ids {
            let mut queue = VecDeque::new();
            if let Some(it) = self.watched.get_mut(sid) {
                it.supervisor
                    .retry(by, &mut Outputs::new(&mut self.recorder, &mut queue));
            }
            self.apply(now, sid, queue, out);
        }
        Ok(ids.len())
    }

    /// What is believed of a subject; `None` if it is no more, or nothing was ever found out.
    pub(crate) fn verdict(&self, sid: &SubjectId) -> Option<Verdict> {
        let Watched { subject, supervisor } = self.watched.get(sid)?;
        let supervision = supervisor.supervision();
        let reported = supervision.reported();
        if reported.state() == State::Unknown && reported.why().is_empty() {
            return None;
        }
        let mut remarks = subject.labels().remarks.clone();
        remarks.truncate(Verdict::REMARKS_MAX - 1);
        if supervision.limit().is_some() && reported.state() != State::GivenUp {
            remarks.push("it was given up; it counts as well again after a whole window without an end".to_string());
        }
        let incarnation = match self.inventory.observation_of(sid) {
            Some(it) => it.incarnation(),
            None => subject.life().clone(),
        };
        Some(Verdict {
            subject: sid.clone(),
            kind: SubjectKind::Container,
            incarnation,
            state: reported.state(),
            level: reported.level(),
            why: reported.why().to_string(),
            evidence: reported.evidence().to_vec(),
            observer: self.settings.identity.name.clone(),
            observer_health: crate::verdict::ObserverHealth::default(),
            since: reported.since(),
            held: false,
            remarks,
        })
    }

    /// True while a subject of that name is watched.
    pub(crate) fn watches(&self, sid: &SubjectId) -> bool {
        self.watched.contains_key(sid)
    }

    /// True if anything within the subject is watched.
    pub(crate) fn watches_within(&self, subject: &SubjectId) -> bool {
        self.watched.keys().any(|sid| sid.is_within(subject))
    }

    /// A call is under way, or a stop of ours has no start yet.
    pub(crate) fn is_busy(&self) -> bool {
        let mut repairs = self.watched.values().filter_map(|it| it.supervisor.repair());
        repairs.any(|repair| repair.is_calling() || repair.is_half_done())
    }

    /// The containers were listed, and the event stream is open and whole.
    pub(crate) fn is_ready(&self) -> bool {
        self.inventory.is_listed() && self.continuity.is_open() && self.continuity.gap_until().is_none()
    }

    /// Figures for beats: subjects, calls under way, starts, subjects at their limit.
    pub(crate) fn figures(&self) -> [(&'static str, u64); 4] {
        let at_limit = self
            .watched
            .values()
            .filter(|it| it.supervisor.supervision().limit().is_some());
        [
            ("containers", self.watched.len() as u64),
            ("calls_open", self.calls.tickets().len() as u64),
            ("starts", self.counters.starts),
            ("given_up", at_limit.count() as u64),
        ]
    }

    pub(crate) fn settings(&self) -> &ContainerSettings {
        &self.settings
    }

    pub(crate) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter()
    }

    pub(crate) fn counters(&self) -> ContainerCounters {
        ContainerCounters {
            stream_losses: self.continuity.losses(),
            ..self.counters
        }
    }
}
