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

mod intake;
mod outputs;
mod resume;

use crate::container::climate::Climate;
use crate::container::continuity::{EventContinuity, EventCursor, GapEnd};
use crate::container::engine_calls::EngineCalls;
use crate::container::inventory::{Attached, CONTAINERS_MAX, Inventory, is_temporary_name};
use crate::container::io::{
    ContainerEffect, ContainerId, ContainerView, EngineCall, EngineError, EngineEvent, EventAction, ListEntry,
    Performed, Record, Recovered, RunState, Ticket,
};
use crate::container::labels::Labels;
use crate::container::observation::{ContainerObservation, Status};
use crate::container::outbox::Outbox;
use crate::container::record::{OpenRepair, RepairStep};
use crate::container::recovery;
use crate::container::settings::ContainerSettings;
use crate::container::status::ContainerCounters;
use crate::container::subject::{
    Around, Command, ContainerSubject, SignalOrigin, StopEvent, own_exit, take_stop_event,
};
use crate::deadlines::Deadlines;
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::random::mix;
use crate::recorder::{DecisionRecorder, Draft};
use crate::subject::{SubjectId, SubjectKind};
use crate::supervisor::{
    ExitClass, FleetBudget, Limit, Output, Outputs, Place, RestartPolicy, Shown, Supervisor, Terms,
};
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
        let fleet_policy = settings.fleet_policy;
        Self {
            policy: settings.policy,
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
            let (last, desired) = (charges.iter().max().copied(), memory.desired);
            let subject = ContainerSubject::remembered(sid.clone(), desired, last, signal_at, memory.repair);
            let mut supervisor = Supervisor::default();
            let limit = memory.given_up.map(|it| self.settings.moment_before(now, it));
            let limit = limit.map(|since| Limit::remembered(since, &self.policy));
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

    /// Reconciles what was touched, and who waits for a place while there is one.
    pub(crate) fn reconcile_dirty(&mut self, now: Moment, climate: Climate<'_>, out: &mut Outbox) {
        while let Some(sid) = self.dirty.pop_first() {
            self.reconcile(now, &sid, climate, out);
        }
        let queue = if self.calls.has_place() {
            self.calls.take_queue()
        } else {
            Vec::new()
        };
        for (sid, since) in queue {
            if self.calls.has_place() {
                self.reconcile(now, &sid, climate, out);
            } else {
                self.calls.wait(sid, since);
            }
        }
        while let Some(sid) = self.dirty.pop_first() {
            self.reconcile(now, &sid, climate, out);
        }
    }

    /// Does what has become due.
    pub(crate) fn handle_timeout(&mut self, now: Moment, climate: Climate<'_>, out: &mut Outbox) {
        if self.continuity.wants_open(now) {
            self.subscribe(out);
        }
        if let Some(how) = self.continuity.settle(now) {
            self.gap_ended(now, how, climate, out);
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
        let Some(Watched { supervisor, .. }) = self.watched.get_mut(sid) else {
            return;
        };
        if let Some(repair) = supervisor.repair() {
            let why = repair.overruled().unwrap_or("the container is gone").to_string();
            let step = super::repair::Act::Journal(RepairStep::Ended);
            let step = Command::of(sid, now, repair, step, &self.settings);
            let mut outputs = Outputs::new(&mut self.recorder, &mut queue);
            outputs.command(step);
            supervisor.abandon(Outcome::Overruled, &why, &mut outputs);
        }
        supervisor.supervision_mut().leave_queue();
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
        if climate.is_leaving && supervisor.repair().is_some_and(|it| it.overruled().is_some()) {
            // By a person, or by the engine of a machine that goes down: the journal keeps it open for the successor.
            return;
        }
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
                is_free: self.calls.has_place_beside_queue(),
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
        let queued_since = supervisor.supervision().queued_since();
        let is_over = had_repair && supervisor.repair().is_none();
        if let Some(at) = wake {
            self.deadlines.arm(sid.clone(), at);
        }
        if let Some(since) = queued_since {
            self.calls.wait(sid.clone(), since);
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
        let count = subject.present_mut().count_engine_restarts(it);
        if count == 0 {
            return;
        }
        let count = u32::try_from(count)
            .unwrap_or(u32::MAX)
            .min(crate::supervisor::BUDGET_MAX);
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
            remarks.push(
                "its restart limit was reached; it counts as well again after a whole window without an end"
                    .to_string(),
            );
        }
        let incarnation = match self.inventory.observation_of(sid) {
            Some(it) => it.incarnation(),
            None => subject.present().incarnation().clone(),
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
        repairs.any(|repair| repair.is_calling() || (repair.is_half_done() && repair.overruled().is_none()))
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
