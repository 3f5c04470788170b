//! A container as a kind of subject: how it is pinged, what guards its restart, and how it is restarted.
//!
//! Connects pieces: what it is meant to do ([`wishes`]), the present incarnation ([`present`]), whose a signal is
//! ([`signals`]), a stop of ours that lingers ([`lingering`]), what has set the manual-stop flag ([`flag_note`]), how an end is
//! classified ([`exits`]), what it says while it runs ([`assess`]), whether that on which it stands began anew ([`stale`]), whether it
//! ever came up ([`stable_run`]), the guards ([`guards`], [`first`]). Knows no other container and no engine: what its role knows around it comes as [`Around`].

mod around;
mod assess;
mod exits;
mod first;
mod flag_note;
mod guards;
mod lingering;
mod present;
mod shim_kill;
mod signals;
mod stable_run;
mod stale;
mod startup;
mod wishes;
mod words;

pub(crate) use around::{Around, Command};
pub(crate) use exits::own_exit;
pub(crate) use signals::{SignalOrigin, StopEvent};
pub(crate) use stale::RestartAfter;
pub(crate) use startup::StartupHistory;
pub(crate) use wishes::Wish;

use crate::container::health_check::HealthEvidence;
use crate::container::io::{ContainerId, EngineTime, Record};
use crate::container::observation::{ContainerObservation, Status};
use crate::container::own_stop::OwnStop;
use crate::container::policy::ContainerPolicy;
use crate::container::record::{Desired, OpenRepair, RepairStep};
use crate::container::recreate::needs_recreate;
use crate::container::repair::{Act, Moved, Remains, Repair};
use crate::decision::{ActionKind, Outcome};
use crate::subject::{Incarnation, SubjectId};
use crate::supervisor::{Admission, Assessment, ExitClass, ExitRecord, Ill, Progress, Shown, Subject, Supervision};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use around::Out;
use flag_note::FlagNote;
use guards::ContainerGuards;
use lingering::LingeringStop;
use present::PresentIncarnation;
use shim_kill::ShimKill;
use stable_run::StableRun;
use stale::Stale;
use wishes::Wishes;

/// What outlives an incarnation of a container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerSubject {
    id: SubjectId,
    policy: Arc<ContainerPolicy>,
    wishes: Wishes,
    present: PresentIncarnation,
    startup: StartupHistory,
    /// A stop of ours that may still be under way in the engine, though its repair is over.
    lingering: Option<LingeringStop>,
    flag_note: FlagNote,
    shim_kill: ShimKill,
    stable_run: StableRun,
    /// A repair from the journal, until the container was inspected.
    recovering: Option<OpenRepair>,
}

impl ContainerSubject {
    pub(crate) fn new(id: SubjectId) -> Self {
        Self::remembered(id, None, None, None, None, None)
    }

    /// One that the journal remembers, with its last restart, when a stop signal of somebody else was sent to it, and what has
    /// set its manual-stop flag.
    pub(crate) fn remembered(
        id: SubjectId,
        desired: Option<(ContainerId, Incarnation, Desired)>,
        last_restart: Option<Moment>,
        signal_at: Option<Moment>,
        flag_set: Option<(ContainerId, EngineTime)>,
        recovering: Option<OpenRepair>,
    ) -> Self {
        let incarnation = desired.as_ref().map(|(_, incarnation, _)| incarnation.clone());
        // What was restarted before had come up once.
        let stable = desired.as_ref().filter(|_| last_restart.is_some());
        let stable = stable.map(|(id, ..)| id.clone());
        Self {
            stable_run: StableRun::restore(stable),
            id,
            policy: Arc::default(),
            present: PresentIncarnation::restore(incarnation, last_restart, signal_at),
            startup: StartupHistory::default(),
            wishes: Wishes::restore(desired),
            lingering: None,
            flag_note: FlagNote::restore(flag_set),
            shim_kill: ShimKill::default(),
            recovering,
        }
    }

    /// The journal remembers that this container came up.
    #[must_use]
    pub(crate) fn came_up(self, id: Option<ContainerId>) -> Self {
        let known = id.map(|id| StableRun::restore(Some(id)));
        let stable_run = known.unwrap_or(self.stable_run);
        Self { stable_run, ..self }
    }

    pub(crate) fn policy(&self) -> &ContainerPolicy {
        &self.policy
    }

    pub(crate) fn set_policy(&mut self, policy: Arc<ContainerPolicy>) {
        self.policy = policy;
    }

    /// How its starts went before a restart of this watchdog.
    pub(crate) fn set_startup(&mut self, startup: StartupHistory) {
        self.startup = startup;
    }

    /// That life of it was well once.
    pub(crate) fn has_been_well(&self, life: &Incarnation) -> bool {
        self.startup.has_been_well(life)
    }

    pub(crate) fn present(&self) -> &PresentIncarnation {
        &self.present
    }

    pub(crate) fn present_mut(&mut self) -> &mut PresentIncarnation {
        &mut self.present
    }

    pub(crate) fn recovering(&self) -> Option<&OpenRepair> {
        self.recovering.as_ref()
    }

    pub(crate) fn take_recovering(&mut self) -> Option<OpenRepair> {
        self.recovering.take()
    }

    /// Where an event of a stop comes from: see [`signals`].
    pub(crate) fn take_stop_event(
        &mut self,
        event: StopEvent,
        it: &mut ContainerObservation,
        repair: Option<&mut Repair>,
    ) -> SignalOrigin {
        let is_recovering = self.recovering.is_some();
        signals::take_stop_event(event, it, repair, self.lingering.as_mut(), is_recovering)
    }

    /// A stop of ours of before a restart of this watchdog may still be under way.
    pub(crate) fn linger(&mut self, open: &OpenRepair, own: OwnStop, it: &mut ContainerObservation) {
        self.lingering = Some(LingeringStop::restore(open, own, it));
    }

    /// A signal that is no stop was sent, which sets the engine's manual-stop flag. Returns what is to be written down.
    pub(crate) fn other_signal(&mut self, id: &ContainerId, at: EngineTime, signal: u32) -> Option<Record> {
        self.flag_note.set(&self.id, id, (at, signal))
    }

    /// Somebody else's stop signal came: what was decided before it is to be decided anew.
    pub(crate) fn foreign_signal(&mut self, now: Moment, it: &ContainerObservation, supervision: &mut Supervision) {
        self.present.saw_signal(now);
        // What a person asked for before this is not what they want now.
        supervision.drop_waiver();
        if it.foreign_stop().is_some() {
            supervision.clear_exit();
        }
    }

    /// Its engine may be going down: is a stop that it has not answered since its own? What was decided by that is to be
    /// decided anew.
    pub(crate) fn doubt_unanswered_stop(
        &mut self,
        it: &mut ContainerObservation,
        supervision: &mut Supervision,
    ) -> Option<Record> {
        it.unanswered_stop()?;
        it.set_uncertain(true);
        match supervision.exit().map(ExitRecord::class) {
            Some(ExitClass::Operator) => supervision.clear_exit(),
            // A repair that the stop has overruled leaves the wish alone, until its new incarnation was inspected.
            None => {}
            Some(_) => return None,
        }
        self.wishes.invalidate(&self.id, Desired::Stopped)
    }

    /// Events may have been lost: that it ran before says nothing about who ended it since.
    pub(crate) fn events_lost(&mut self) -> Option<Record> {
        self.wishes.invalidate(&self.id, Desired::Running)
    }

    /// What that container is meant to do, as far as this subject knows it.
    pub(crate) fn wish_of(&self, id: &ContainerId) -> Option<&Wish> {
        self.wishes.whole_of(id)
    }

    /// The container that it knows such a thing of.
    pub(crate) fn container_of_wish(&self) -> Option<&ContainerId> {
        self.wishes.container()
    }

    /// It has a container now that was another subject's, with that wish.
    pub(crate) fn inherit(&mut self, wish: Wish) -> Option<Record> {
        self.wishes.inherit(&self.id, wish)
    }

    fn wish(&mut self, it: &ContainerObservation, desired: Desired, out: &mut Out<'_>) {
        if let Some(record) = self.wishes.wish(&self.id, it, desired) {
            out.command(Command::Journal(record));
        }
    }

    fn note_stable_run(&self, came_up: bool, it: &ContainerObservation, out: &mut Out<'_>) {
        if came_up {
            let (subject, id) = (self.id.clone(), it.id().clone());
            out.command(Command::Journal(Record::CameUp { subject, id }));
        }
    }

    /// It runs: notes the incarnation, and that it is meant to.
    fn runs(&mut self, now: Moment, around: &Around<'_>, supervision: &mut Supervision, out: &mut Out<'_>) {
        self.present.saw_running(now, around.observation, around.settings);
        let came_up = self
            .stable_run
            .saw_running(now, around.observation, self.present.since());
        self.note_stable_run(came_up, around.observation, out);
        supervision.runs(&around.observation.incarnation());
        self.lingering.take_if(|lingering| !lingering.is_of(around.observation));
        if let Some(record) = self.flag_note.runs(&self.id, around.observation) {
            out.command(Command::Journal(record));
        }
        self.wish(around.observation, Desired::Running, out);
        self.note_well(now, around, supervision, out);
    }

    /// Its first `healthy` in this life is worth a record: the startup grace is over.
    fn note_well(&mut self, now: Moment, around: &Around<'_>, supervision: &Supervision, out: &mut Out<'_>) {
        let (it, grace) = (&*around.observation, self.grace(around, supervision));
        let is_well = it.is_current() && it.health() == Some(HealthEvidence::Passing);
        if is_well && self.startup.became_well(now, &it.incarnation(), (it.born_at(), grace)) {
            let (subject, startup) = (self.id.clone(), self.startup.record(now, around.settings));
            out.command(Command::Journal(Record::BecameWell { subject, startup }));
        }
    }

    /// A repair is over without success: what it leaves behind. Returns the step to write down.
    fn leave(
        &mut self,
        now: Moment,
        repair: &Repair,
        outcome: Outcome,
        around: &Around<'_>,
        supervision: &mut Supervision,
    ) -> RepairStep {
        let it = &*around.observation;
        let step = exits::after_repair(now, repair, outcome, it, supervision);
        let is_there = it.status() == Status::Running && it.incarnation() == *repair.incarnation();
        let is_left = is_there && outcome == Outcome::Failed;
        let Some(own) = repair.lingering_stop().filter(|_| is_left) else {
            return step;
        };
        // Where every event since was seen, one that has not shown never reached the engine.
        let told = around.continuity.covers(own.posted(), None, Duration::ZERO);
        if !own.is_seen() && told && !repair.may_have_missed_stop(around.continuity) {
            return step;
        }
        self.lingering = Some(LingeringStop::new(it.id().clone(), it.incarnation(), own.clone()));
        RepairStep::StopLingers
    }

    fn on_down(
        &mut self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        let came_up = self.stable_run.saw_end(around.observation);
        self.note_stable_run(came_up, around.observation, out);
        if let Some(until) = lingering::end(now, self.lingering.as_ref(), around, supervision) {
            let why = format!(
                "{}; finding out whether a stop of ours ended it",
                words::how(around.observation)
            );
            let shown = words::shown(supervision, State::Suspect, &why);
            let until = Some(until);
            return Assessment::Pending { until, shown };
        }
        if let Err(need) = exits::classify_end(now, around, &self.wishes, &mut self.present, supervision) {
            around.ask_for(now, need.missing, out);
            let why = format!("{}; {}", words::how(around.observation), need.why);
            return Assessment::Pending {
                until: Some(need.until),
                shown: words::shown(supervision, State::Suspect, &why),
            };
        }
        if supervision.exit().is_some_and(|exit| !exit.class().may_be_retried()) {
            self.wish(around.observation, Desired::Stopped, out);
        }
        Assessment::Down
    }

    /// The startup grace of the present incarnation; none is left when it was well.
    fn grace(&self, around: &Around<'_>, supervision: &Supervision) -> Duration {
        let it = &*around.observation;
        let start_period = it.view().map(|view| view.health_start_period).unwrap_or_default();
        let life = (&it.incarnation(), self.present.since());
        let said = (self.policy.asked_grace(), start_period);
        self.startup.grace(life, said, supervision.budget(), &around.policy)
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
        if around.is_leaving {
            // Perhaps the machine goes down, and nobody said so: the successor judges what happens meanwhile.
            return Assessment::Unclear;
        }
        let it = &*around.observation;
        if !it.is_current() {
            // An inspection is under way; the list repeats it.
            if !it.is_being_inspected() && it.view().is_none() {
                around.inspect(now, out);
            }
            return Assessment::Unclear;
        }
        match it.status() {
            Status::Unknown => Assessment::Unclear,
            Status::Created if supervision.exit().is_none() => assess::never_started(now, around, out),
            Status::Removing => assess::removing(now, it, self.present.removed_since(now, it.id()), supervision),
            Status::Paused => {
                self.runs(now, around, supervision, out);
                Assessment::LeftAlone(Shown::new(State::Stopped, "a person paused it"))
            }
            Status::Running => {
                self.runs(now, around, supervision, out);
                match Stale::of(around, self.present.follows()) {
                    Some(stale) => stale.assess(now),
                    None => assess::running(now, around, &self.startup, (self.present.since(), &self.policy)),
                }
            }
            // Its start event, or the next list, goes on from here.
            Status::Backoff => assess::in_backoff(now, around, supervision),
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
            ActionKind::StopThenStart => "stop it, inspect whether a person interferes, start it",
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
        let stale = Stale::of(around, self.present.follows());
        let guards = ContainerGuards {
            now,
            policy: &self.policy,
            present: &self.present,
            had_stable_run: self.stable_run.of(around.observation.id()),
            around,
            supervision,
            grace: self.grace(around, supervision),
            stopping_until: self.lingering.as_ref().and_then(LingeringStop::blocks_until),
            stale: stale.as_ref(),
        };
        let wants_inspection = match ill {
            Ill::Down => guards.before_start(admission),
            Ill::Running => guards.before_stop(admission),
        };
        if wants_inspection {
            around.inspect(now, out);
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
            return Repair::start(id, incarnation, now).capturing(Remains::of(it));
        }
        let secs = self.policy.stop_secs(around.settings.stop_timeout);
        let timeout = Duration::from_secs(secs.into());
        let own = OwnStop::new(around.continuity.newest(), it.stop_terms().signal(), timeout);
        Repair::stop_then_start(id, incarnation, own, secs).capturing(Remains::of(it))
    }

    fn advance(
        &mut self,
        now: Moment,
        repair: &mut Repair,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Progress {
        let mut acts = Vec::new();
        if repair.is_verifying() {
            self.note_well(now, around, supervision, out);
        }
        let grace = self.grace(around, supervision);
        let moved = repair.advance(now, &around.scene(now, grace), &mut acts);
        for act in acts {
            self.shim_kill.precede(now, &self.id, around.observation, &act, out);
            match act {
                Act::Inspect => around.inspect(now, out),
                act => out.command(Command::of(&self.id, now, repair, act, around.settings)),
            }
        }
        let it = &*around.observation;
        self.shim_kill.settle(it, !matches!(moved, Moved::Waits(_)), out);
        let (outcome, result) = match moved {
            Moved::Waits(until) => {
                let shown = match repair.is_verifying() {
                    true => words::verifying(it, grace).unwrap_or_else(|| repair.shown()),
                    false => repair.shown(),
                };
                return Progress::Waits { until, shown };
            }
            Moved::Restarted(since) => {
                self.present.restarted(since, it);
                self.wish(it, Desired::Running, out);
                let words = words::short(&it.incarnation());
                return Progress::Restarted {
                    result: format!("a new incarnation was seen: {words}"),
                    fact: Evidence::new(EvidenceKind::NewIncarnation, since, words),
                };
            }
            // A person's act fell into it: it stays as they wanted it.
            Moved::Overruled(why) => {
                self.present.saw_signal(now);
                exits::operator_exit(now, it, &why, supervision);
                self.wish(it, Desired::Stopped, out);
                (Outcome::Overruled, why)
            }
            Moved::Refused { refusal, is_void } => {
                let refusal = refusal.mended_by(|| needs_recreate(it.view()));
                let step = self.leave(now, repair, Outcome::Failed, around, supervision);
                out.command(Command::of(&self.id, now, repair, Act::Journal(step), around.settings));
                return Progress::Refused { refusal, is_void };
            }
            Moved::Over(outcome, result) => (outcome, result),
        };
        let step = self.leave(now, repair, outcome, around, supervision);
        out.command(Command::of(&self.id, now, repair, Act::Journal(step), around.settings));
        Progress::Over { outcome, result }
    }
}
