//! A container as a kind of subject: how it is pinged, what guards its restart, and how it is restarted.
//!
//! Pinging reads the observation, has exits classified, and turns missing evidence into commands. Knows no other container
//! and no engine: what its role knows around it comes as [`Around`].

mod around;
mod exits;
mod guards;
mod signals;
mod words;

pub(crate) use around::{Around, Command, SignalSeen};
use words::*;

use crate::container::classifier::{Classified, Evident, ExitCase};
use crate::container::continuity::EventContinuity;
use crate::container::inventory::runs_once;
use crate::container::io::{ContainerId, EngineCall, Health, Record, Ticket};
use crate::container::labels::Labels;
use crate::container::observation::{ContainerObservation, Status};
use crate::container::own_stop::OwnStop;
use crate::container::record::{Desired, OpenRepair, RepairStep};
use crate::container::repair::{Act, Moved, Repair, Scene};
use crate::container::settings::ContainerSettings;
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
