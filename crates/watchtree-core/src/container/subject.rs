//! A container as a kind of subject: how it is pinged, what guards its restart, and how it is restarted.
//!
//! Pinging reads the observation, has exits classified, and turns missing evidence into commands. Knows no other container
//! and no engine: what its role knows around it comes as [`Around`].

use super::classifier::{Classified, Evident, ExitCase};
use super::continuity::EventContinuity;
use super::inventory::runs_once;
use super::io::{ContainerId, EngineCall, Health, Record, Ticket};
use super::labels::Labels;
use super::observation::{ContainerObservation, Status};
use super::own_stop::OwnStop;
use super::record::{Desired, OpenRepair, RepairStep};
use super::repair::{Act, Moved, Repair, Scene};
use super::settings::ContainerSettings;
use crate::decision::{ActionKind, Guard, Outcome};
use crate::subject::{Incarnation, SubjectId};
use crate::supervisor::{
    Admission, Assessment, Block, ExitClass, ExitRecord, GuardResult, Ill, Outputs, Progress, RestartPolicy, Shown,
    Subject, Supervision,
};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The engine's own restart policy gets this long for the first restart.
const ENGINE_FIRST: Duration = Duration::from_secs(2);
/// An inspection may get no answer: then it is asked for again.
const INSPECT_AGAIN: Duration = Duration::from_secs(5);
/// A stop by a person may be given any time to end well (`docker stop --time 120`), and no event tells how much: a stop of
/// ours would cut it short. Not for ever: the signal may have meant something else (QUIT: a thread dump).
const STOP_PATIENCE: Duration = Duration::from_secs(600);

/// What a role knows around one container.
pub(crate) struct Around<'a> {
    pub(crate) settings: &'a ContainerSettings,
    pub(crate) observation: &'a mut ContainerObservation,
    pub(crate) continuity: &'a EventContinuity,
    pub(crate) policy: RestartPolicy,
    pub(crate) deploy_until: Option<Moment>,
    /// On which subject the hold in force lies, and until when.
    pub(crate) hold: Option<(SubjectId, Moment)>,
    /// The container whose network it joins, while that does not run.
    pub(crate) network_away: Option<String>,
    pub(crate) is_leaving: bool,
    /// An earlier call for it may still be under way.
    pub(crate) is_busy: bool,
    /// Of the next call.
    pub(crate) ticket: Ticket,
}

/// What a container wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Journal(Record),
    Inspect(ContainerId),
    ReadFlag(ContainerId),
    /// The events since the last one seen.
    Replay,
    Post {
        ticket: Ticket,
        id: ContainerId,
        call: EngineCall,
        within: Duration,
    },
}

/// What a stop signal of somebody else, or of ours, turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignalSeen {
    /// Of an incarnation before, or of a clock that was set back.
    Odd,
    /// Of a stop of ours.
    Own,
    Foreign,
}

/// What outlives an incarnation of a container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerSubject {
    id: SubjectId,
    labels: Labels,
    desired: Option<(ContainerId, Incarnation, Desired)>,
    /// The incarnation that runs, and since when.
    life: Incarnation,
    life_since: Moment,
    /// That incarnation is known from the journal only: how old it is, the first inspection tells.
    is_remembered: bool,
    /// Engine restarts of that container counted so far.
    engine_restarts: Option<(ContainerId, u64)>,
    /// When a stop signal of somebody else came that has not led to an end yet.
    signal_at: Option<Moment>,
    /// A repair from the journal, until the container was inspected.
    recovering: Option<OpenRepair>,
}

type Out<'o> = Outputs<'o, Command>;

impl ContainerSubject {
    pub(crate) fn new(id: SubjectId) -> Self {
        Self {
            id,
            labels: Labels::default(),
            desired: None,
            life: Incarnation::default(),
            life_since: Moment::ZERO,
            is_remembered: false,
            engine_restarts: None,
            signal_at: None,
            recovering: None,
        }
    }

    /// One that the journal remembers; its last restart is the best that is known of its age.
    pub(crate) fn remembered(
        id: SubjectId,
        desired: Option<(ContainerId, Incarnation, Desired)>,
        last_restart: Option<Moment>,
        signal_at: Option<Moment>,
        recovering: Option<OpenRepair>,
    ) -> Self {
        let life = desired.as_ref().map(|(_, life, _)| life.clone()).unwrap_or_default();
        Self {
            life,
            life_since: last_restart.unwrap_or(Moment::ZERO),
            is_remembered: desired.is_some(),
            desired,
            signal_at,
            recovering,
            ..Self::new(id)
        }
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(crate) fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    /// The incarnation that was seen to run last.
    pub(crate) fn life(&self) -> &Incarnation {
        &self.life
    }

    /// Another container takes its place.
    pub(crate) fn forget_signal(&mut self) {
        self.signal_at = None;
    }

    pub(crate) fn recovering(&self) -> Option<&OpenRepair> {
        self.recovering.as_ref()
    }

    pub(crate) fn take_recovering(&mut self) -> Option<OpenRepair> {
        self.recovering.take()
    }

    /// A stop signal was sent to its container, or a stop was carried out (`signal` = `None`), and its event came; `came` =
    /// when, if it came live. Ours, or a person's?
    pub(crate) fn classify_signal(
        &self,
        repair: Option<&mut Repair>,
        it: &mut ContainerObservation,
        (at, signal): (super::io::EngineTime, Option<u32>),
        came: Option<Moment>,
    ) -> SignalSeen {
        let repair = repair.filter(|repair| repair.id() == it.id());
        let is_stale = at < it.began() && (signal.is_none() || it.view().is_some());
        // While our own stop is under way, the order of arrival tells what the stamp cannot.
        let in_order = signal.is_some() && came.is_some() && repair.as_ref().is_some_and(|it| it.is_stopping());
        if (is_stale && !in_order) || self.recovering.is_some() {
            if repair.is_some() {
                it.forget_odd_stop();
            }
            return SignalSeen::Odd;
        }
        let own = match (repair, signal) {
            (None, _) => return SignalSeen::Foreign,
            (Some(repair), Some(signal)) => repair.takes_signal(at, signal, came),
            (Some(repair), None) => repair.takes_stop(at, came),
        };
        match (own, signal) {
            (true, Some(_)) => {
                it.forget_odd_stop();
                it.signals_mut().claim_newest_signal();
                SignalSeen::Own
            }
            (true, None) => {
                it.signals_mut().claim_newest_stop();
                SignalSeen::Own
            }
            // A stop that is not ours has overruled the repair: that says it all.
            (false, None) => SignalSeen::Own,
            (false, Some(_)) => SignalSeen::Foreign,
        }
    }

    /// Somebody else's stop signal came: what was decided before it is to be decided anew.
    pub(crate) fn foreign_signal(&mut self, now: Moment, it: &ContainerObservation, supervision: &mut Supervision) {
        self.signal_at = Some(now);
        // What a person asked for before this is not what they want now.
        supervision.drop_waiver();
        if it.foreign_stop().is_some() {
            supervision.clear_exit();
        }
    }

    /// The event stream ended just now: a stop seen within that time may have been the engine's own, going down.
    pub(crate) fn doubt_recent_stop(
        &mut self,
        now: Moment,
        within: Duration,
        it: &mut ContainerObservation,
        supervision: &mut Supervision,
    ) -> Option<Record> {
        let recent = |at: Option<Moment>| at.is_some_and(|at| now.since(at) < within);
        let class = supervision.exit().map(ExitRecord::class);
        // An end of before this process is as old as the signal that led to it.
        let ended = it.end().filter(|end| end.by_event).map(|end| end.at).or(self.signal_at);
        // Only what is known by signals can be classified anew from them, should the stream prove whole.
        if class == Some(ExitClass::Operator) && recent(ended) && it.foreign_stop().is_some() {
            it.set_uncertain(true);
            supervision.clear_exit();
            return match self.desired {
                Some((_, _, Desired::Stopped)) => self.invalidate(),
                _ => None,
            };
        }
        if recent(self.signal_at) {
            it.set_uncertain(true);
        }
        None
    }

    /// Events may have been lost: that it ran before says nothing about who ended it since.
    pub(crate) fn events_lost(&mut self) -> Option<Record> {
        match &self.desired {
            Some((_, life, Desired::Running)) if !life.0.is_empty() => self.invalidate(),
            _ => None,
        }
    }

    fn invalidate(&mut self) -> Option<Record> {
        let (id, _, _) = self.desired.take()?;
        self.desire(id, Incarnation::default(), Desired::Running)
    }

    fn desire(&mut self, id: ContainerId, incarnation: Incarnation, desired: Desired) -> Option<Record> {
        let new = (id, incarnation, desired);
        if self.desired.as_ref() == Some(&new) {
            return None;
        }
        let (id, incarnation, desired) = new.clone();
        self.desired = Some(new);
        Some(Record::Desired {
            subject: self.id.clone(),
            id,
            incarnation,
            desired,
        })
    }

    /// What it is meant to do, now that it does this.
    fn wish(&mut self, it: &ContainerObservation, desired: Desired, out: &mut Out<'_>) {
        if let Some(record) = self.desire(it.id().clone(), it.incarnation(), desired) {
            out.command(Command::Journal(record));
        }
    }

    /// Restarts by the engine since this was asked last.
    pub(crate) fn count_engine_restarts(&mut self, it: &ContainerObservation) -> u64 {
        let Some(view) = it.view() else { return 0 };
        match self.engine_restarts.replace((it.id().clone(), view.restart_count)) {
            Some((id, before)) if id == *it.id() => view.restart_count.saturating_sub(before),
            _ => 0,
        }
    }

    fn inspect(around: &mut Around<'_>, now: Moment, out: &mut Out<'_>) {
        if around.observation.begin_inspection(now) {
            out.command(Command::Inspect(around.observation.id().clone()));
        }
    }

    /// It runs: notes the incarnation, and that it is meant to.
    fn runs(&mut self, now: Moment, around: &Around<'_>, supervision: &mut Supervision, out: &mut Out<'_>) {
        let it = &*around.observation;
        let incarnation = it.incarnation();
        let remembered = core::mem::take(&mut self.is_remembered);
        if self.life != incarnation || remembered {
            self.life_since = match it.born_at() {
                Some(born) => born,
                None if self.life.0.is_empty() || remembered => around.settings.moment_of_stamp(now, it.started_at()),
                None => now,
            };
            self.life = incarnation;
            if !it.has_foreign_signal() {
                self.signal_at = None;
            }
        }
        supervision.clear_exit();
        self.wish(it, Desired::Running, out);
    }

    fn on_running(
        &mut self,
        now: Moment,
        around: &Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        self.runs(now, around, supervision, out);
        let it = &*around.observation;
        if it.is_unhealthy() {
            return Assessment::Unhealthy {
                how: "unhealthy".to_string(),
                evidence: vec![health_evidence(now, it)],
            };
        }
        let (state, why) = match it.health() {
            Health::Starting => (State::Starting, "running, health check starting"),
            _ if !self.labels.remarks.is_empty() => (State::Degraded, "running, with a bad label"),
            Health::Healthy => (State::Ok, "running, healthy"),
            Health::None | Health::Unhealthy => (State::Ok, "running"),
        };
        let (since, shown) = (self.life_since, Shown::new(state, why));
        Assessment::Well { since, shown }
    }

    fn on_down(
        &mut self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        around.observation.date_end(now);
        let life = around.observation.incarnation();
        if supervision.exit().is_none_or(|exit| *exit.incarnation() != life) {
            match self.exit_case(around).classify(now) {
                Classified::Need(what, until, why) => {
                    return self.pend(now, around, (what, until, why), supervision, out);
                }
                Classified::Known {
                    class,
                    why,
                    fact,
                    correlated,
                } => {
                    let it = &*around.observation;
                    let exit = ExitRecord::new(life, class, it.ended_at(now), how(it), why);
                    let evidence = end_evidence(now, it).chain([fact]).collect();
                    supervision.set_exit(exit.with_evidence(evidence).correlated(correlated));
                }
            }
        }
        if let Some(pending) = self.on_backoff_end(now, around, supervision, out) {
            return pending;
        }
        if supervision.exit().is_some_and(|exit| !exit.class().may_be_retried()) {
            self.wish(around.observation, Desired::Stopped, out);
        }
        Assessment::Down
    }

    /// The engine was to restart it and ended its back-off without a start: a person's act?
    fn on_backoff_end(
        &mut self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Option<Assessment> {
        let exit = supervision.exit().filter(|_| supervision.waiver().is_none())?;
        if !self.exit_case(around).backoff_ended(now, exit) {
            return None;
        }
        around.observation.backoff_ended();
        match self.exit_case(around).classify_by_flag(now, None) {
            Classified::Need(what, until, why) => Some(self.pend(now, around, (what, until, why), supervision, out)),
            Classified::Known { class, why, fact, .. } => {
                let why = match class {
                    ExitClass::Crash => return None,
                    ExitClass::CannotTell => {
                        "the engine ended its back-off without a start, and its mark cannot be read".to_string()
                    }
                    _ => why,
                };
                if let Some(exit) = supervision.exit_mut() {
                    exit.reclassify(class, why, fact);
                }
                None
            }
        }
    }

    fn exit_case<'c>(&'c self, around: &'c Around<'_>) -> ExitCase<'c> {
        let memory = self.desired.as_ref().filter(|(id, _, _)| id == around.observation.id());
        ExitCase {
            observation: around.observation,
            continuity: around.continuity,
            memory: memory.map(|(_, life, desired)| (life, *desired)),
            settle: around.settings.settle,
        }
    }

    /// Asks for the evidence that is missing, and says so meanwhile.
    fn pend(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        (what, until, why): (Evident, Moment, &str),
        supervision: &Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        match what {
            Evident::Time => {}
            Evident::Inspection => Self::inspect(around, now, out),
            Evident::Flag => {
                around.observation.ask_flag(now);
                out.command(Command::ReadFlag(around.observation.id().clone()));
            }
            Evident::Replay => out.command(Command::Replay),
        }
        let why = format!("{}; {why}", how(around.observation));
        let evidence = supervision.exit().map(|exit| exit.evidence().to_vec());
        Assessment::Pending {
            until: Some(until),
            shown: Shown::new(State::Suspect, why).evidence(evidence.unwrap_or_default()),
        }
    }

    /// The startup grace of the present incarnation, by the restarts that it began with: one that leaves the window later
    /// does not shorten it.
    fn grace(&self, around: &Around<'_>, supervision: &Supervision) -> Duration {
        let start_period = around.observation.view().map(|view| view.health_start_period);
        let base = self.labels.grace.or(start_period).unwrap_or(Duration::ZERO);
        let policy = &around.policy;
        let restarts = supervision.budget().used(self.life_since, policy.allowance.window);
        policy.grace(base, restarts)
    }

    /// How long `/stop` gives it: a label, its own, or the default; whole seconds, rounded up.
    fn stop_secs(&self, around: &Around<'_>) -> u32 {
        let own = around.observation.view().and_then(|view| view.stop_timeout);
        let timeout = self.labels.stop_timeout.or(own).unwrap_or(around.settings.stop_timeout);
        let secs = timeout.as_secs() + u64::from(timeout.subsec_nanos() != 0);
        u32::try_from(secs).unwrap_or(u32::MAX)
    }

    /// A repair's act as a command.
    pub(crate) fn command(&self, now: Moment, repair: &Repair, act: Act, settings: &ContainerSettings) -> Command {
        match act {
            Act::Inspect => Command::Inspect(repair.id().clone()),
            Act::Post { ticket, call, within } => Command::Post {
                ticket,
                id: repair.id().clone(),
                call,
                within,
            },
            Act::Journal(step) => Command::Journal(Record::Repair {
                subject: self.id.clone(),
                id: repair.id().clone(),
                incarnation: repair.incarnation().clone(),
                step,
                last_event: repair.last_event(),
                at: now,
                boot_id: settings.identity.boot_id,
                stop_timeout_secs: repair.stop_secs(),
            }),
        }
    }

    /// A person's act fell into the repair: it stays as they wanted it.
    fn overruled(
        &mut self,
        now: Moment,
        it: &ContainerObservation,
        supervision: &mut Supervision,
        why: &str,
    ) -> Option<Record> {
        self.signal_at = Some(now);
        if it.status() == Status::Down {
            let exit = ExitRecord::new(it.incarnation(), ExitClass::Operator, it.ended_at(now), how(it), why);
            let evidence = vec![Evidence::new(EvidenceKind::OperatorStop, now, why)];
            supervision.set_exit(exit.with_evidence(evidence));
        }
        self.desired = None;
        self.desire(it.id().clone(), it.incarnation(), Desired::Stopped)
    }

    /// It lives again by our repair.
    fn restarted(&mut self, since: Moment, it: &ContainerObservation, out: &mut Out<'_>) -> Progress {
        self.life = it.incarnation();
        self.life_since = since;
        self.signal_at = None;
        self.engine_restarts = None;
        self.wish(it, Desired::Running, out);
        let words = short(&self.life);
        Progress::Restarted {
            result: format!("a new life was seen: {words}"),
            fact: Evidence::new(EvidenceKind::NewIncarnation, since, words),
        }
    }

    /// Guards of every action on it: is anything else in the way?
    fn ask_common(around: &Around<'_>, now: Moment, admission: &mut Admission) {
        admission.ask(Guard::Observer, || {
            if around.is_leaving {
                let why = "this watchdog is about to stop; its successor goes on";
                return Block::new(why, State::Repairing).quietly().into();
            }
            GuardResult::pass("this watchdog goes on")
        });
        admission.ask(Guard::Deploy, || match around.deploy_until {
            Some(until) => Block::new("its compose service is being deployed", State::Repairing)
                .until(until)
                .into(),
            None => GuardResult::pass("no deployment of its service was seen"),
        });
        admission.ask(Guard::Hold, || match &around.hold {
            Some((by, until)) => {
                let why = format!("held for {} more (hold on {by})", seconds(*until - now));
                Block::new(why, State::Down).until(*until).keyed("").into()
            }
            None => GuardResult::pass("not held"),
        });
        admission.ask(Guard::InFlight, || {
            if around.is_busy {
                let why = "an earlier call of ours may still be under way in the engine";
                return Block::new(why, State::GivenUp).into();
            }
            GuardResult::pass("no call of ours is under way")
        });
    }

    fn guards_before_start(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        let Some(exit) = supervision.exit() else { return };
        let waiver = supervision.waiver();
        admission.ask(Guard::OperatorIntent, || supervision.guard_exit(Guard::OperatorIntent));
        admission.ask(Guard::MeantToRun, || supervision.guard_exit(Guard::MeantToRun));
        admission.ask(Guard::Enabled, || {
            enabled(self.labels.heals_crash(around.settings.heal), State::Down)
        });
        if exit.class().wants_restart() {
            admission.ask_unless_waived(Guard::KnownCause, waiver, || supervision.guard_exit(Guard::KnownCause));
        } else {
            let asked_by = exit.asked_by();
            admission.ask_unless_waived(Guard::KnownCause, asked_by, || {
                supervision.guard_exit(Guard::KnownCause)
            });
            if let Some(why) = exit.unrecoverable() {
                let block = || Block::new(why, State::GivenUp).into();
                admission.ask_unless_waived(Guard::KnownCause, waiver, block);
            }
        }
        if let Some(owner) = &around.network_away {
            let why = format!("it joins the network of {owner}, which does not run: waits for it");
            admission.ask_unless_waived(Guard::KnownCause, waiver, || Block::new(why, State::Down).into());
        }
        self.ask_engine_first(now, around, supervision, admission, out);
        Self::ask_common(around, now, admission);
    }

    /// A container with a restart policy gets its first restart from the engine.
    fn ask_engine_first(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        let (waiver, it) = (supervision.waiver(), &*around.observation);
        let until = supervision.exit().map_or(now, ExitRecord::at) + ENGINE_FIRST;
        let is_due = until <= now;
        let is_outdated = is_due && !it.was_inspected_since(until);
        let restarts = it.engine_restarts();
        let inspects = admission.is_open() && restarts && is_outdated && waiver.is_none();
        admission.ask_unless_waived(Guard::EngineFirst, waiver, || {
            let wait = Block::new("the engine's own restart policy goes first", State::Repairing).quietly();
            match (restarts, is_due, is_outdated) {
                (false, ..) => GuardResult::pass("the engine will not restart it"),
                (true, false, _) => wait.until(until).into(),
                (true, true, true) => wait.until(now + INSPECT_AGAIN).into(),
                (true, true, false) => {
                    GuardResult::pass("the engine has a restart policy for it and did not act on it")
                }
            }
        });
        if inspects {
            Self::inspect(around, now, out);
        }
    }

    fn guards_before_stop(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        let waiver = supervision.waiver();
        let heals = self.labels.heals_unhealthy(around.settings.heal);
        admission.ask(Guard::Enabled, || enabled(heals, State::Unhealthy));
        // What a stop would end, no start brings back: not even where a person asked for a retry.
        admission.ask(Guard::MeantToRun, || {
            match around.observation.view().and_then(runs_once) {
                Some(why) => Block::new(why, State::Unhealthy).into(),
                None => GuardResult::pass("it is meant to be kept up"),
            }
        });
        let continuity = around.continuity;
        let is_old = !continuity.is_live(now) && !around.observation.was_inspected_since(continuity.whole_since());
        let gap = continuity.gap_until();
        let inspects = admission.is_open() && gap.is_none() && is_old;
        admission.ask(Guard::KnownCause, || {
            let block = |why: &str, until| Block::new(why, State::Unhealthy).until(until).quietly().into();
            match gap {
                Some(until) => block("waits until the event stream is whole again", until),
                None if is_old => block("old news: inspecting whether it is still so", now + INSPECT_AGAIN),
                None => GuardResult::pass("it was seen to be so just now"),
            }
        });
        if inspects {
            Self::inspect(around, now, out);
        }
        self.ask_being_stopped(now, around.observation, waiver, admission);
        let grace = self.grace(around, supervision);
        admission.ask_unless_waived(Guard::Grace, waiver, || {
            let until = self.life_since + grace;
            if now < until {
                let why = format!("inside its grace of {} after the start", seconds(grace));
                return Block::new(why, State::Unhealthy).until(until).keyed("").into();
            }
            GuardResult::pass("its grace is over")
        });
        Self::ask_common(around, now, admission);
    }

    /// Is somebody stopping it just now? A retry that was asked for since waives what goes beyond the ordinary time of a
    /// stop, and no more.
    fn ask_being_stopped(
        &self,
        now: Moment,
        it: &ContainerObservation,
        waiver: Option<&str>,
        admission: &mut Admission,
    ) {
        let ordinary = it.stop_window();
        let patience = if it.has_foreign_signal() {
            ordinary.max(STOP_PATIENCE)
        } else {
            ordinary
        };
        let is_ordinary = self.signal_at.is_some_and(|at| now < at + ordinary);
        let until = self.signal_at.map(|at| match waiver {
            Some(_) if is_ordinary => at + ordinary,
            _ => at + patience,
        });
        let waiver = waiver.filter(|_| !is_ordinary);
        admission.ask_unless_waived(Guard::OperatorIntent, waiver, || match until {
            Some(until) if now < until => {
                let why = "somebody sent it a stop signal, and it may be ending as it should";
                Block::new(why, State::Unhealthy).until(until).into()
            }
            _ => GuardResult::pass("nobody is stopping it"),
        });
    }
}

impl Subject for ContainerSubject {
    type Around<'a> = Around<'a>;
    type Repair = Repair;
    type Command = Command;

    fn id(&self) -> &SubjectId {
        &self.id
    }

    fn incarnation(&self, around: &Around<'_>) -> Incarnation {
        around.observation.incarnation()
    }

    fn ping(
        &mut self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        let it = &*around.observation;
        if !it.is_current() {
            // An inspection is under way; the list repeats it.
            if !it.is_being_inspected() && it.view().is_none() {
                Self::inspect(around, now, out);
            }
            return Assessment::Unclear;
        }
        let alone = |state, why: &str| Assessment::LeftAlone(shown(supervision, state, why));
        match it.status() {
            Status::Unknown => Assessment::Unclear,
            Status::Created if supervision.exit().is_none() => alone(State::Stopped, "made, but never started"),
            Status::Removing => alone(State::Stopped, "it is being removed"),
            Status::Paused => {
                self.runs(now, around, supervision, out);
                Assessment::LeftAlone(Shown::new(State::Stopped, "a person paused it"))
            }
            Status::Running => self.on_running(now, around, supervision, out),
            // Its start event, or the next list, goes on from here.
            Status::Backoff => Assessment::LeftAlone(in_backoff(it, supervision)),
            Status::Created | Status::Down => self.on_down(now, around, supervision, out),
        }
    }

    fn action(&self, ill: Ill) -> ActionKind {
        match ill {
            Ill::Down => ActionKind::Start,
            Ill::Running => ActionKind::StopThenStart,
        }
    }

    fn plan(&self, action: ActionKind) -> &'static str {
        match action {
            ActionKind::StopThenStart => "stop it, look whether a person interferes, start it",
            _ => "start it",
        }
    }

    fn guards(
        &mut self,
        now: Moment,
        ill: Ill,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        match ill {
            Ill::Down => self.guards_before_start(now, around, supervision, admission, out),
            Ill::Running => self.guards_before_stop(now, around, supervision, admission, out),
        }
    }

    fn reboot(
        &mut self,
        now: Moment,
        action: ActionKind,
        around: &mut Around<'_>,
        _supervision: &mut Supervision,
        _out: &mut Out<'_>,
    ) -> Repair {
        let it = &*around.observation;
        let (id, incarnation) = (it.id().clone(), it.incarnation());
        if action == ActionKind::Start {
            return Repair::start(id, incarnation, now);
        }
        let secs = self.stop_secs(around);
        let timeout = Duration::from_secs(secs.into());
        let own = OwnStop::new(around.continuity.newest(), it.stop_signal(), timeout);
        Repair::stop_then_start(id, incarnation, own, secs)
    }

    fn advance(
        &mut self,
        now: Moment,
        repair: &mut Repair,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Progress {
        let scene = Scene {
            observation: around.observation,
            gap_until: around.continuity.gap_until(),
            newest_event: around.continuity.newest(),
            deploy_until: around.deploy_until,
            is_leaving: around.is_leaving,
            ticket: around.ticket,
            start_deadline: around.settings.start_deadline,
            verify: around.policy.verify,
            grace: self.grace(around, supervision),
        };
        let mut acts = Vec::new();
        let moved = repair.advance(now, &scene, &mut acts);
        for act in acts {
            match act {
                Act::Inspect => Self::inspect(around, now, out),
                act => out.command(self.command(now, repair, act, around.settings)),
            }
        }
        let it = &*around.observation;
        let (outcome, result) = match moved {
            Moved::Waits(until) => {
                let shown = repair.shown();
                return Progress::Waits { until, shown };
            }
            Moved::Restarted(since) => return self.restarted(since, it, out),
            Moved::Overruled(why) => {
                let record = self.overruled(now, it, supervision, &why);
                record
                    .into_iter()
                    .for_each(|record| out.command(Command::Journal(record)));
                (Outcome::Overruled, why)
            }
            Moved::Over(outcome, result) => (outcome, result),
        };
        if outcome == Outcome::Failed {
            if repair.stops_first() && it.incarnation() == *repair.incarnation() && supervision.exit().is_none() {
                let why = "a repair of ours stopped it and could not start it";
                own_exit(now, it, Evidence::new(EvidenceKind::Exited, now, why), supervision);
            }
            if let Some(exit) = supervision.exit_mut().filter(|_| is_unrecoverable(&result)) {
                exit.set_unrecoverable(Some(result.clone()));
            }
        }
        let is_own = |exit: &ExitRecord| exit.is_own_stop() && exit.incarnation() == repair.incarnation();
        let step = match supervision.exit() {
            Some(exit) if outcome == Outcome::Failed && is_own(exit) => RepairStep::LeftDown,
            _ => RepairStep::Ended,
        };
        out.command(self.command(now, repair, Act::Journal(step), around.settings));
        Progress::Over { outcome, result }
    }
}

/// A stop of ours has left it down: that end was ours, and it is still meant to run.
pub(crate) fn own_exit(now: Moment, it: &ContainerObservation, fact: Evidence, supervision: &mut Supervision) {
    if it.status() == Status::Down {
        let exit = ExitRecord::new(
            it.incarnation(),
            ExitClass::Crash,
            it.ended_at(now),
            how(it),
            "our own stop",
        );
        supervision.set_exit(exit.own_stop().with_evidence(vec![fact]));
    }
}

/// Starting it again can never work, only making it anew can: the container whose network it joins is gone. One that is
/// only down just now comes back, and then the start works.
fn is_unrecoverable(words: &str) -> bool {
    words.contains("No such container")
}

fn enabled(answer: Result<&'static str, &'static str>, shown: State) -> GuardResult {
    match answer {
        Ok(why) => GuardResult::pass(why),
        Err(why) => Block::new(why, shown).into(),
    }
}

fn shown(supervision: &Supervision, state: State, why: &str) -> Shown {
    let evidence = supervision.exit().map(|exit| exit.evidence().to_vec());
    Shown::new(state, why).evidence(evidence.unwrap_or_default())
}

fn in_backoff(it: &ContainerObservation, supervision: &Supervision) -> Shown {
    let exit = it.exit_code();
    let (state, why) = if it.was_stopped_after_end() {
        let why = "stopped while the engine was about to restart it: a stop was carried out";
        (State::Stopped, why.to_string())
    } else if supervision.limit().is_some() {
        let why = format!("exits again and again ({exit}); given up, the engine goes on restarting it");
        (State::GivenUp, why)
    } else {
        let why = format!("exited ({exit}); the engine restarts it by its own policy");
        (State::Repairing, why)
    };
    shown(supervision, state, &why)
}

/// How it ended, in words.
fn how(it: &ContainerObservation) -> String {
    format!("exited ({})", it.exit_code())
}

fn end_evidence(now: Moment, it: &ContainerObservation) -> impl Iterator<Item = Evidence> {
    let seen = if it.ended_by_event() {
        "by its event"
    } else {
        "by an inspection, its event never came"
    };
    let lasted = Duration::from_nanos(it.ended().0.saturating_sub(it.began().0));
    let words = format!("exit code {} after {}, seen {seen}", it.exit_code(), seconds(lasted));
    let at = it.ended_at(now);
    let memory = it
        .was_out_of_memory()
        .then(|| Evidence::new(EvidenceKind::OutOfMemory, at, "the kernel killed it for memory"));
    [Evidence::new(EvidenceKind::Exited, at, words)]
        .into_iter()
        .chain(memory)
}

fn health_evidence(now: Moment, it: &ContainerObservation) -> Evidence {
    let streak = it.view().map_or(0, |view| view.health_streak);
    let output = it.view().map_or("", |view| view.health_output.trim());
    let mut detail = "its health check fails".to_string();
    if streak != 0 {
        detail = format!("{detail}, {streak} times in a row");
    }
    if !output.is_empty() {
        detail = format!("{detail}: {output}");
    }
    Evidence::new(EvidenceKind::HealthCheck, now, detail)
}

/// `StartedAt` of an incarnation, for people.
fn short(life: &Incarnation) -> String {
    let (id, started) = life.0.split_once('@').unwrap_or((&life.0, ""));
    format!("{} started at {started}", id.get(..12).unwrap_or(id))
}
