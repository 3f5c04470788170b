//! One engine of the host: its container-watchdog and the engine itself, each under the one supervisor.
//!
//! Does not know the other engines, nor who is told.

use super::child_process::{ChildProcess, Phase};
use super::child_subject::{self, Around, ChildCommand};
use super::engine_monitor::{EngineMonitor, EngineVerdict};
use super::engine_subject::{EngineAround, EngineCommand, EngineSubject};
use super::io::{ChildSignal, ChildView, HostPolicy};
use crate::backend::{Backend, Child as Session};
use crate::id::NodeName;
use crate::recorder::DecisionRecorder;
use crate::subject::SubjectId;
use crate::supervisor::{FleetBudget, Output, Outputs, Places, Supervision, Supervisor, Terms};
use crate::time::{Duration, Moment};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

/// See the module's text.
#[derive(Debug)]
pub(super) struct WatchedEngine {
    process: ChildProcess,
    supervisor: Supervisor<ChildProcess>,
    engine: EngineSubject,
    engine_supervisor: Supervisor<EngineSubject>,
    engine_wake: Option<Moment>,
    wake: Option<Moment>,
    restarts: u64,
    watch: Watch,
    /// Why nobody watches below, as it was last told.
    told_unwatched: Option<String>,
}

/// Whether its container-watchdog does its work.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Watch {
    /// It starts, ends, or is being revived.
    Unclear,
    /// It is heard.
    Heard,
    /// It is not, and nobody revives it for now.
    Missing(String),
}

impl WatchedEngine {
    /// Its container-watchdog is absent, its probes are due.
    pub(super) fn new(now: Moment, engine: &str, node: NodeName, scope: SubjectId, policy: &HostPolicy) -> Self {
        Self {
            process: ChildProcess::new(engine, node, scope.clone()),
            supervisor: Supervisor::default(),
            engine: EngineSubject::new(now, scope, policy),
            engine_supervisor: Supervisor::default(),
            engine_wake: None,
            wake: None,
            restarts: 0,
            watch: Watch::Unclear,
            told_unwatched: None,
        }
    }

    /// Its container-watchdog.
    pub(super) fn process(&self) -> &ChildProcess {
        &self.process
    }

    /// The same, to be told what happened to it; a step is to follow.
    pub(super) fn process_mut(&mut self) -> &mut ChildProcess {
        &mut self.process
    }

    /// The probes.
    pub(super) fn monitor(&self) -> &EngineMonitor {
        self.engine.monitor()
    }

    /// The same, to be told of time.
    pub(super) fn monitor_mut(&mut self) -> &mut EngineMonitor {
        self.engine.monitor_mut()
    }

    /// The engine itself, to be told what happened to it; a step of it is to follow.
    pub(super) fn engine_mut(&mut self) -> &mut EngineSubject {
        &mut self.engine
    }

    /// What is believed of the engine: what the probes say, and what is done about it.
    pub(super) fn engine_verdict(&self) -> EngineVerdict {
        let probed = self.engine.monitor().verdict();
        let shown = self.engine_supervisor.supervision().reported();
        let is_supervised = self.engine_supervisor.repair().is_some() || self.engine.monitor().fault().is_some();
        if !is_supervised || shown.why().is_empty() {
            return probed;
        }
        EngineVerdict {
            state: shown.state(),
            why: shown.why().to_string(),
            evidence: shown.evidence().to_vec(),
            ..probed
        }
    }

    /// What the supervisor remembers of the container-watchdog.
    pub(super) fn supervision(&self) -> &Supervision {
        self.supervisor.supervision()
    }

    /// The link of its container-watchdog in its present life.
    pub(super) fn session<'b>(&self, backend: &'b Backend) -> Option<&'b Session> {
        backend
            .child(self.process.node())
            .filter(|_| self.process.joined().is_some())
    }

    /// Does what follows from what is known now.
    pub(super) fn step(
        &mut self,
        now: Moment,
        around: Around<'_>,
        fleet: &mut FleetBudget,
        seed: u64,
        recorder: &mut DecisionRecorder,
    ) -> Outcomes {
        let (mut queue, mut around) = (VecDeque::new(), around);
        let terms = Terms {
            policy: around.policy.child_restart,
            fleet,
            places: Places::free(),
            seed,
        };
        let mut out = Outputs::new(recorder, &mut queue);
        let (process, is_held) = (&mut self.process, around.held_until.is_some());
        self.wake = self.supervisor.step(now, process, &mut around, terms, &mut out);
        self.watch = self.watch_at(now, is_held);
        let restarts = queue
            .iter()
            .filter(|it| matches!(it, Output::Command(ChildCommand::Start)));
        self.restarts += restarts.count() as u64;
        queue
    }

    /// Does for the engine itself what follows from what is known now.
    pub(super) fn step_engine(
        &mut self,
        now: Moment,
        around: EngineAround<'_>,
        fleet: &mut FleetBudget,
        seed: u64,
        recorder: &mut DecisionRecorder,
    ) -> VecDeque<Output<EngineCommand>> {
        let (mut queue, mut around) = (VecDeque::new(), around);
        let terms = Terms {
            policy: around.policy.engine_restart,
            fleet,
            places: Places::free(),
            seed,
        };
        let mut out = Outputs::new(recorder, &mut queue);
        let engine = &mut self.engine;
        self.engine_wake = self.engine_supervisor.step(now, engine, &mut around, terms, &mut out);
        queue
    }

    /// When the engine is to be stepped.
    pub(super) fn engine_deadline(&self) -> Option<Moment> {
        self.engine_wake
    }

    /// A person wants another try at the engine, now. `None` where it is not ill.
    pub(super) fn retry_engine(&mut self, asked_by: &str, recorder: &mut DecisionRecorder) -> Option<()> {
        self.engine.monitor().fault()?;
        let mut queue = VecDeque::new();
        self.engine_supervisor
            .retry(asked_by, &mut Outputs::new(recorder, &mut queue));
        Some(())
    }

    /// Starts it for the first time: no reboot, for nothing of it was seen to end.
    pub(super) fn start_first(&mut self, now: Moment, recorder: &mut DecisionRecorder) -> Outcomes {
        self.direct(recorder, |process, out| child_subject::request_start(process, now, out))
    }

    /// As [`Self::step`] while this daemon stops: what runs is asked to stop, and killed if it does not in time.
    pub(super) fn step_stopping(&mut self, now: Moment, within: Duration, recorder: &mut DecisionRecorder) -> Outcomes {
        let outcomes = self.direct(recorder, |process, out| match process.phase() {
            Phase::Greeting { .. } | Phase::Live { .. } | Phase::Doubted { .. } => {
                child_subject::request_end(process, now, ChildSignal::Terminate, within, out);
            }
            // A start that is answered in time is stopped then.
            Phase::Starting { .. } | Phase::Ending { .. } => child_subject::repeat_if_late(process, now, false, out),
            Phase::Absent => (),
        });
        self.wake = self.process.until().filter(|until| now < *until);
        if let Some(shown) = child_subject::shown_while_ending(&self.process) {
            self.supervisor.supervision_mut().show(now, shown);
        }
        self.watch = self.watch_at(now, false);
        outcomes
    }

    /// A person wants another try of what has ended, now. `None` where nothing has.
    pub(super) fn retry(&mut self, asked_by: &str, recorder: &mut DecisionRecorder) -> Option<()> {
        let has_ended = self.process.is_absent() && self.supervision().exit().is_some();
        let mut queue = Outcomes::new();
        let mut out = Outputs::new(recorder, &mut queue);
        has_ended.then(|| self.supervisor.retry(asked_by, &mut out))
    }

    fn direct(
        &mut self,
        recorder: &mut DecisionRecorder,
        act: impl FnOnce(&mut ChildProcess, &mut Outputs<'_, ChildCommand>),
    ) -> Outcomes {
        let mut queue = VecDeque::new();
        act(&mut self.process, &mut Outputs::new(recorder, &mut queue));
        queue
    }

    fn watch_at(&self, now: Moment, is_held: bool) -> Watch {
        if self.process.is_heard(now) {
            return Watch::Heard;
        }
        let held = || "its container-watchdog is not heard, and held".to_string();
        let is_left_alone = is_held && self.supervisor.repair().is_none();
        let limit = self.supervision().limit().map(|limit| limit.why().to_string());
        let why = limit.or_else(|| is_left_alone.then(held));
        why.map_or(Watch::Unclear, Watch::Missing)
    }

    /// Why nobody watches below just now: its container-watchdog said goodbye, or is missing.
    pub(super) fn unwatched_because(&self) -> Option<&str> {
        let left = self.process.has_left().then_some("its container-watchdog said goodbye");
        match &self.watch {
            Watch::Missing(why) => Some(why),
            Watch::Unclear | Watch::Heard => left,
        }
    }

    /// Is something wrong with its container-watchdog? `None` while that is being found out.
    pub(super) fn condition(&self) -> Option<Result<String, String>> {
        match &self.watch {
            Watch::Unclear => None,
            Watch::Heard => self.process.pid().map(|pid| Ok(format!("beats, process {pid}"))),
            Watch::Missing(why) => Some(Err(why.clone())),
        }
    }

    /// True if [`Self::unwatched_because`] has changed since this was asked last.
    pub(super) fn take_unwatched_change(&mut self) -> bool {
        let is_news = self.unwatched_because() != self.told_unwatched.as_deref();
        if is_news {
            self.told_unwatched = self.unwatched_because().map(ToString::to_string);
        }
        is_news
    }

    /// When its container-watchdog is to be stepped.
    pub(super) fn child_deadline(&self, backend: &Backend, settled: Moment) -> Option<Moment> {
        let live = child_subject::next_deadline(&self.process, self.session(backend), settled);
        [self.wake, live].into_iter().flatten().min()
    }

    /// For the status page.
    pub(super) fn view(&self, backend: &Backend) -> ChildView {
        let session = self.session(backend);
        ChildView {
            engine: self.process.engine().to_string(),
            pid: self.process.pid(),
            version: session.map(|session| session.hello().identity.version.clone()),
            revivals: self.restarts,
            last_heard: session
                .and_then(|session| session.newest())
                .map(|(_, received)| received),
            phase: self.supervision().reported().why().to_string(),
        }
    }
}

/// What is to be written down and done, in order.
pub(super) type Outcomes = VecDeque<Output<ChildCommand>>;
