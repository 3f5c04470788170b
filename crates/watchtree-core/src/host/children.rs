//! The children of this host: their processes under the one supervisor, and their links. Finds who is meant, hands it
//! what happened, and passes on what follows. Does not know the manager, orders or verdicts.

use super::child_subject::{Around, ChildCommand};
use super::engine_subject::{EngineAround, EngineCommand};
use super::io::{ChildExit, ChildView, EngineAnswer, HostEffect, HostPolicy, HostStart, RepairWhen};
use super::outbox::Outbox;
use super::watched_engine::{Outcomes, WatchedEngine};
use crate::backend::{Admission, Backend, BackendInput, BackendPolicy, Child as Session, Happening, Peer};
use crate::decision::{ActionKind, Decision};
use crate::holds::Holds;
use crate::id::NodeName;
use crate::message::{Envelope, Message, watchdog_incarnation};
use crate::order::{OrderAnswer, SignedOrder};
use crate::random::Random;
use crate::recorder::Draft;
use crate::subject::{SubjectId, SubjectKind};
use crate::supervisor::{FleetBudget, Output};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind, ObserverHealth};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// What this daemon knows of itself now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observer<'a> {
    pub(super) now: Moment,
    /// How well it is.
    pub(super) health: ObserverHealth,
    /// From then on it may judge others.
    pub(super) settled: Moment,
    pub(super) holds: &'a Holds,
}

/// What happened to a child, named by its engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ChildEvent {
    /// It said Hello, for the first time in this life or again.
    Joined { name: String, is_first: bool },
    /// Something about it changed that may call for an action.
    Touched(String),
    /// Its verdicts changed.
    Reported(String, Changes),
    /// Records came up.
    Decided(Vec<Decision>),
    /// An order was answered.
    OrderAnswered(OrderAnswer),
    /// Two living nodes show one name.
    Cloned(NodeName, String),
}

/// Verdicts of a child that changed or are gone; `whole` = it has said everything anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Changes {
    pub(super) changed: Vec<SubjectId>,
    pub(super) gone: Vec<SubjectId>,
    pub(super) whole: bool,
}

/// See the module's text.
pub(super) struct Children {
    build: String,
    policy: HostPolicy,
    backend: Backend,
    engines: BTreeMap<String, WatchedEngine>,
    repairs: BTreeMap<String, RepairWhen>,
    fleet: FleetBudget,
    engine_fleet: FleetBudget,
    random: Random,
    /// Living ones of a former life of this daemon are still being looked for.
    is_searching: bool,
    is_stopping: bool,
    is_stopped: bool,
    is_going_down: bool,
}

impl Children {
    /// None runs as far as is known; none is started before it is asked for.
    pub(super) fn new(now: Moment, start: &HostStart) -> Self {
        let HostStart { identity, policy, .. } = start;
        let scope = SubjectId::of_node(&identity.name);
        let (mut engines, mut listed) = (BTreeMap::new(), BTreeMap::new());
        for name in &start.engines {
            // A name that makes no node name cannot have a child; configuration refuses it before.
            if let Ok(node) = NodeName::new(&format!("{}.{name}.watchdog", identity.name)) {
                listed.insert(node.clone(), scope.child(name));
                let engine = WatchedEngine::new(now, name, node, scope.child(name), policy);
                engines.insert(name.clone(), engine);
            }
        }
        let backend = BackendPolicy {
            admission: Admission::Listed(listed),
            beat: policy.child_beat,
            margin: policy.child_margin,
            ack_every: 2,
            parent_silence: policy.child_beat * 6,
            term: 0,
        };
        Self {
            build: identity.version.clone(),
            policy: policy.clone(),
            backend: Backend::new(identity.clone(), backend, start.seed),
            engines,
            repairs: start.engine_repairs.clone(),
            fleet: FleetBudget::new(policy.child_fleet),
            engine_fleet: FleetBudget::new(policy.engine_fleet),
            random: Random::new(start.seed),
            is_searching: true,
            is_stopping: false,
            is_stopped: false,
            is_going_down: false,
        }
    }

    /// The links, to be looked at.
    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The names of the engines.
    pub(super) fn names(&self) -> Vec<String> {
        self.engines.keys().cloned().collect()
    }

    /// One engine, to be looked at.
    pub(super) fn engine(&self, name: &str) -> Option<&WatchedEngine> {
        self.engines.get(name)
    }

    /// One engine, to be told of probes.
    pub(super) fn engine_mut(&mut self, name: &str) -> Option<&mut WatchedEngine> {
        self.engines.get_mut(name)
    }

    /// The engine whose container-watchdog has that name on the link.
    fn name_of(&self, node: &NodeName) -> Option<String> {
        let mut engines = self.engines.iter();
        let (name, _) = engines.find(|(_, engine)| engine.process().node() == node)?;
        Some(name.clone())
    }

    /// The link of a container-watchdog that runs.
    pub(super) fn session(&self, engine: &WatchedEngine) -> Option<&Session> {
        engine.session(&self.backend)
    }

    /// True for an engine, and for its container-watchdog.
    pub(super) fn watches(&self, subject: &SubjectId) -> bool {
        let mut processes = self.engines.values().map(WatchedEngine::process);
        processes.any(|process| subject == process.scope() || subject == process.subject())
    }

    /// The lines of the status page.
    pub(super) fn views(&self) -> Vec<ChildView> {
        let views = self.engines.values().map(|engine| engine.view(&self.backend));
        views.collect()
    }

    /// Takes what the ipc socket says.
    pub(super) fn handle(&mut self, now: Moment, input: BackendInput) {
        self.backend.handle(now, input);
    }

    /// The next thing that happened among them; the processes know of it already.
    pub(super) fn poll_event(&mut self, now: Moment) -> Option<ChildEvent> {
        loop {
            let happening = self.backend.poll_happening()?;
            if let Some(event) = self.happened(now, happening) {
                return Some(event);
            }
        }
    }

    fn happened(&mut self, now: Moment, happening: Happening) -> Option<ChildEvent> {
        match happening {
            Happening::Joined { name, .. } => {
                let name = self.name_of(&name)?;
                let is_first = self.said_hello(now, &name);
                Some(ChildEvent::Joined { name, is_first })
            }
            Happening::Heard(name) | Happening::Pong(name) => {
                let name = self.name_of(&name)?;
                let is_awaited = self.engine(&name)?.process().is_awaited();
                is_awaited.then_some(ChildEvent::Touched(name))
            }
            Happening::Changed { name, change } => {
                let changed = change.changed.into_iter().map(|(subject, _)| subject).collect();
                let name = self.name_of(&name)?;
                let changes = Changes {
                    changed,
                    gone: change.gone,
                    whole: change.whole,
                };
                Some(ChildEvent::Reported(name, changes))
            }
            Happening::Events { decisions, .. } => Some(ChildEvent::Decided(decisions)),
            Happening::OrderAnswered { answer, .. } => Some(ChildEvent::OrderAnswered(answer)),
            Happening::Left { name, .. } => {
                let name = self.name_of(&name)?;
                self.engines.get_mut(&name)?.process_mut().said_goodbye();
                Some(ChildEvent::Touched(name))
            }
            Happening::Cloned { name, why } => Some(ChildEvent::Cloned(name, why)),
            // The kernel tells of a child's end; a broken socket alone means nothing.
            Happening::Gone { .. } => None,
        }
    }

    /// The next frame for one of them.
    pub(super) fn poll_outgoing(&mut self) -> Option<(Peer, Envelope)> {
        self.backend.poll_outgoing()
    }

    /// A manager of that term has spoken.
    pub(super) fn tell_term(&mut self, now: Moment, term: u64) {
        self.backend.tell_term(now, term);
    }

    /// Hands an order to the child it is for, byte for byte.
    pub(super) fn forward(&mut self, now: Moment, target: &NodeName, order: SignedOrder) {
        let header = self.backend.next_header(now, Some(target.clone()));
        self.backend.send_with(target, header, Message::Order(order));
    }

    /// Does for one child what follows from what is known now.
    pub(super) fn step(&mut self, by: Observer<'_>, name: &str, out: &mut Outbox) {
        let Some(engine) = self.engines.get_mut(name) else {
            return;
        };
        let outcomes = if self.is_stopping {
            engine.step_stopping(by.now, self.policy.child_stop_within, out.recorder())
        } else {
            let around = Around {
                policy: &self.policy,
                session: self.backend.child(engine.process().node()),
                settled: by.settled,
                held_until: by.holds.on(engine.process().subject()).map(|(_, until)| until),
                is_searching: self.is_searching,
                is_going_down: self.is_going_down,
                build: &self.build,
            };
            engine.step(by.now, around, &mut self.fleet, self.random.draw(), out.recorder())
        };
        self.perform(by.now, name, outcomes, out);
    }

    fn perform(&mut self, now: Moment, name: &str, outcomes: Outcomes, out: &mut Outbox) {
        for outcome in outcomes {
            let engine = name.to_string();
            match outcome {
                Output::Decided(decision) => out.decided(decision),
                Output::Command(ChildCommand::Start) => out.push(HostEffect::StartChild { engine }),
                Output::Command(ChildCommand::Signal(pid, signal)) => {
                    out.push(HostEffect::SignalChild { engine, pid, signal });
                }
                Output::Command(ChildCommand::Ping) => {
                    if let Some(engine) = self.engines.get(name) {
                        self.backend.ping(now, engine.process().node());
                    }
                }
                // This role keeps no journal: its budgets begin anew with each start.
                Output::Restarted { .. }
                | Output::GivenBack { .. }
                | Output::LimitReached { .. }
                | Output::LimitReset
                | Output::Repaired(_) => (),
            }
        }
    }

    /// Something came back of an engine. True if that is news; a step of it is to follow. A probe that failed counts only
    /// where this daemon `may_judge`.
    pub(super) fn engine_answered(&mut self, now: Moment, name: &str, answer: EngineAnswer, may_judge: bool) -> bool {
        let Some(engine) = self.engines.get_mut(name) else {
            return false;
        };
        match answer {
            EngineAnswer::Probed { probe, took, result } => {
                // A probe that this daemon's own stall spoilt is not a probe that failed.
                let counts = may_judge || result.is_ok();
                return engine.monitor_mut().probed(now, took, probe, result, counts);
            }
            EngineAnswer::Inspected(look) => engine.engine_mut().looked_at(now, look),
            EngineAnswer::Worked { work, result } => engine.engine_mut().worked(work, result),
        }
        true
    }

    /// Does for one engine itself what follows from what is known now.
    pub(super) fn step_engine(&mut self, by: Observer<'_>, name: &str, out: &mut Outbox) {
        let Some(engine) = self.engines.get_mut(name).filter(|_| !self.is_stopping) else {
            return;
        };
        // Counted only where it matters: there may be thousands.
        let session = engine
            .session(&self.backend)
            .filter(|_| engine.monitor().fault().is_some());
        let (mut containers, mut failing) = (0, 0);
        for verdict in session.into_iter().flat_map(|session| session.book().iter()) {
            let is_container = verdict.kind == SubjectKind::Container;
            containers += usize::from(is_container);
            failing += usize::from(is_container && verdict.state.is_incident());
        }
        let around = EngineAround {
            policy: &self.policy,
            when: self.repairs.get(name).copied(),
            settled: by.settled,
            held_until: by.holds.on(engine.process().scope()).map(|(_, until)| until),
            is_going_down: self.is_going_down,
            containers,
            failing,
        };
        let seed = self.random.draw();
        for outcome in engine.step_engine(by.now, around, &mut self.engine_fleet, seed, out.recorder()) {
            let engine = name.to_string();
            match outcome {
                Output::Decided(decision) => out.decided(decision),
                Output::Command(EngineCommand::Inspect) => out.push(HostEffect::InspectEngine { engine }),
                Output::Command(EngineCommand::Work(work, within)) => {
                    out.push(HostEffect::WorkOnEngine { engine, work, within });
                }
                // As with the children: no journal.
                Output::Restarted { .. }
                | Output::GivenBack { .. }
                | Output::LimitReached { .. }
                | Output::LimitReset
                | Output::Repaired(_) => (),
            }
        }
    }

    /// The engines that are to be stepped now.
    pub(super) fn due_engines(&self, now: Moment) -> Vec<String> {
        let due = self.engines.iter();
        let due = due.filter(|(_, engine)| engine.engine_deadline().is_some_and(|at| at <= now));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// One was found alive at the start: adopt it, start none.
    pub(super) fn found(&mut self, now: Moment, name: &str, pid: u32, out: &mut Outbox) {
        let until = now + self.policy.child_hello_within;
        let Some(engine) = self.engines.get_mut(name) else {
            return;
        };
        engine.process_mut().found(pid, until);
        let fact = format!("process {pid} lives and holds the engine");
        let why = format!("container-watchdog of {name} runs already (process {pid}): adopt it, start none");
        let draft = Draft::new(engine.process().subject().clone(), ActionKind::None, why)
            .evidence(vec![Evidence::new(EvidenceKind::Observer, now, fact)]);
        out.record(now, draft);
    }

    /// All living ones were found: what was never seen is started for the first time. A step of all is to follow.
    pub(super) fn start_missing(&mut self, now: Moment, out: &mut Outbox) {
        let is_news = core::mem::replace(&mut self.is_searching, false);
        if !is_news || self.is_stopping || self.is_going_down {
            return;
        }
        for name in self.names() {
            let Some(engine) = self.engines.get_mut(&name) else {
                continue;
            };
            if engine.process().is_absent() && engine.supervision().exit().is_none() {
                let outcomes = engine.start_first(now, out.recorder());
                self.perform(now, &name, outcomes, out);
            }
        }
    }

    /// The driver has answered to a start.
    pub(super) fn started(&mut self, now: Moment, name: &str, result: Result<u32, String>) {
        let until = now + self.policy.child_hello_within;
        let Some(engine) = self.engines.get_mut(name) else {
            return;
        };
        engine.process_mut().started(result, until);
        if engine.process().is_absent() {
            self.backend.life_ended(engine.process().node());
        }
    }

    /// The kernel says that a process is gone. True if it was a child's present one.
    pub(super) fn exited(&mut self, name: &str, pid: u32, exit: ChildExit, last_line: String) -> bool {
        let Some(engine) = self.engines.get_mut(name) else {
            return false;
        };
        let is_present = engine.process_mut().exited(pid, exit, last_line);
        if is_present {
            self.backend.life_ended(engine.process().node());
        }
        is_present
    }

    /// A container-watchdog said Hello. True if it is the first of this life.
    fn said_hello(&mut self, now: Moment, name: &str) -> bool {
        let Some(engine) = self.engines.get_mut(name) else {
            return false;
        };
        let process = engine.process_mut();
        let Some(session) = self.backend.child(process.node()) else {
            return false;
        };
        let id = &session.hello().identity;
        let is_first = process.joined().is_none();
        process.said_hello(now, watchdog_incarnation(id.boot_id, id.agent_epoch)) && is_first
    }

    /// Tries again what has ended or is ill within a subject: container-watchdogs and engines. Returns how many.
    pub(super) fn retry(&mut self, top: &SubjectId, asked_by: &str, out: &mut Outbox) -> usize {
        let mut count = 0;
        for engine in self.engines.values_mut() {
            if engine.process().subject().is_within(top) {
                count += usize::from(engine.retry(asked_by, out.recorder()).is_some());
            }
            if engine.process().scope().is_within(top) {
                count += usize::from(engine.retry_engine(asked_by, out.recorder()).is_some());
            }
        }
        count
    }

    /// After a stall of this daemon: no waiting of before counts.
    pub(super) fn extend_deadlines(&mut self, settled: Moment) {
        for engine in self.engines.values_mut() {
            engine.process_mut().extend_deadlines(settled);
        }
    }

    /// The machine goes down: none is started any more.
    pub(super) fn host_shutdown(&mut self) {
        self.is_going_down = true;
    }

    /// This daemon stops. False if it does already.
    pub(super) fn stop(&mut self) -> bool {
        !core::mem::replace(&mut self.is_stopping, true)
    }

    /// True once, when this daemon stops and all are gone, also those that were still to be found.
    pub(super) fn take_stopped(&mut self) -> bool {
        let all_gone = self.engines.values().all(|engine| engine.process().is_absent());
        let is_news = self.is_stopping && !self.is_searching && all_gone && !self.is_stopped;
        self.is_stopped |= is_news;
        is_news
    }

    /// The machine is going down.
    pub(super) fn is_going_down(&self) -> bool {
        self.is_going_down
    }

    /// Those that are to be stepped now.
    pub(super) fn due(&self, now: Moment, settled: Moment) -> Vec<String> {
        let mut due = self.names();
        due.retain(|name| {
            let engine = self.engines.get(name);
            let at = engine.and_then(|engine| engine.child_deadline(&self.backend, settled));
            at.is_some_and(|at| at <= now)
        });
        due
    }

    /// Begins the probes of the engines that are due.
    pub(super) fn probe(&mut self, now: Moment, out: &mut Outbox) {
        for (name, engine) in &mut self.engines {
            while let Some(probe) = engine.monitor_mut().pop_due(now) {
                out.push(HostEffect::ProbeEngine {
                    engine: name.clone(),
                    probe,
                    within: probe.within(),
                });
            }
        }
    }

    /// When something is due next.
    pub(super) fn next_deadline(&self, settled: Moment) -> Option<Moment> {
        let engines = self.engines.values();
        let at = |engine: &WatchedEngine| {
            let child = engine.child_deadline(&self.backend, settled);
            [child, engine.monitor().next_deadline(), engine.engine_deadline()]
        };
        engines.flat_map(at).flatten().min()
    }
}
