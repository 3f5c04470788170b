//! The host's promises, as scripts without a clock: real frontends play its children, a table plays the kernel.

use super::HostAgent;
use super::io::{ChildExit, ChildSignal, DiskFigure, EngineAnswer, EngineProbe, ProbeAnswer};
use super::io::{HostEffect, HostFigures, HostInput, HostPolicy, HostStart};
use crate::backend::{BackendInput, Peer};
use crate::container::io::EngineError;
use crate::decision::{ActionKind, Guard, GuardVerdict, Outcome};
use crate::frontend::{Frontend, FrontendInput, FrontendNotice, FrontendSettings};
use crate::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use crate::machine::Machine;
use crate::message::{Capabilities, Envelope, Goodbye, Header, Message, OrderFrame, OrderInput, Welcome};
use crate::order::{Order, OrderAnswer, OrderRefusal, SignedOrder, Verb};
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::time::{Duration, Moment, WallTime};
use crate::tree::unknown;
use crate::verdict::{Level, State, Verdict};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

mod alerts;
mod children;
mod orders;
mod reports;
mod upward;

fn subject(text: &str) -> SubjectId {
    SubjectId::new(text).unwrap()
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn identity(text: &str, tier: Tier, epoch: u64, version: &str) -> NodeIdentity {
    NodeIdentity {
        name: name(text),
        tier,
        node_id: NodeId([text.len() as u8; 16]),
        machine_id: MachineId([1; 16]),
        boot_id: BootId([1; 16]),
        agent_epoch: AgentEpoch(epoch),
        version: version.to_string(),
    }
}

/// A container-watchdog process.
struct Process {
    frontend: Frontend,
    /// Of the newest welcome.
    term: u64,
    frozen: bool,
    up_at: Option<Moment>,
    ends_at: Option<Moment>,
}

struct World {
    now: Moment,
    host: HostAgent,
    processes: BTreeMap<u32, Process>,
    next_pid: u32,
    build: &'static str,
    /// The next processes end at once in this way.
    unfit: Option<ChildExit>,
    engine: Result<ProbeAnswer, EngineError>,
    /// What is read of the machine; `None` = the read hangs.
    figures: Option<HostFigures>,
    exits: Vec<(u32, ChildExit)>,
    probes: Vec<(EngineProbe, Moment)>,
    /// `12.345 start`, `12.400 kill 7`, decisions, conditions.
    told: Vec<String>,
    /// Frames to the manager.
    up: Vec<Envelope>,
    orders_down: Vec<Envelope>,
    local: Vec<OrderAnswer>,
    stopped: bool,
}

impl World {
    /// A host-watchdog that has just started; the kernel shows these living children.
    fn found(pids: &[u32]) -> Self {
        let mut world = Self::new();
        for pid in pids {
            world.spawn(*pid, "1");
            world.feed(HostInput::ChildFound {
                engine: "docker".to_string(),
                pid: *pid,
            });
        }
        world.feed(HostInput::ChildrenLookedFor);
        world
    }

    fn new() -> Self {
        let now = Moment::from_millis(1_000_000);
        Self {
            now,
            host: host(now, 1),
            processes: BTreeMap::new(),
            next_pid: 100,
            build: "1",
            unfit: None,
            engine: Ok("29.1".into()),
            figures: Some(figures(900)),
            exits: Vec::new(),
            probes: Vec::new(),
            told: Vec::new(),
            up: Vec::new(),
            orders_down: Vec::new(),
            local: Vec::new(),
            stopped: false,
        }
    }

    /// Settled, with one living child that watches `web`.
    fn settled() -> Self {
        let mut world = Self::found(&[]);
        world.run_ms(10_000);
        world.told.clear();
        world
    }

    fn spawn(&mut self, pid: u32, build: &str) {
        let epoch = u64::from(pid);
        let settings = FrontendSettings {
            identity: identity("h1.docker.watchdog", Tier::Container, epoch, build),
            capabilities: Capabilities(15),
            scope: subject("h1/docker"),
            beat_wanted: Duration::from_millis(500),
            look_at: Vec::new(),
        };
        let mut frontend = Frontend::new(settings, self.now);
        frontend.report(self.now, verdict("h1/docker/web", SubjectKind::Container, State::Ok));
        let up_at = Some(self.now + Duration::from_millis(100));
        self.processes.insert(
            pid,
            Process {
                frontend,
                term: 0,
                frozen: false,
                up_at,
                ends_at: None,
            },
        );
    }

    fn restart_host(&mut self) {
        self.host = host(self.now, 2);
        for pid in self.processes.keys().copied().collect::<Vec<_>>() {
            self.feed(HostInput::ChildFound {
                engine: "docker".to_string(),
                pid,
            });
        }
        self.feed(HostInput::ChildrenLookedFor);
    }

    fn pid(&self) -> Option<u32> {
        self.host.children()[0].pid
    }

    fn process(&mut self) -> &mut Process {
        self.processes.values_mut().next_back().unwrap()
    }

    fn child_reports(&mut self, text: &str, state: State) {
        let now = self.now;
        self.process()
            .frontend
            .report(now, verdict(text, SubjectKind::Container, state));
        self.settle();
    }

    fn kill(&mut self, exit: ChildExit) {
        let (pid, _) = self.processes.pop_last().unwrap();
        self.exits.push((pid, exit));
        self.settle();
    }

    fn feed(&mut self, input: HostInput) {
        self.host.handle(self.now, input);
        self.settle();
    }

    fn state(&self, text: &str) -> State {
        self.host
            .frontend()
            .verdict(&subject(text))
            .map_or(State::Unknown, |verdict| verdict.state)
    }

    fn run_ms(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        loop {
            let running = self.processes.values().filter(|process| !process.frozen);
            let processes = running
                .flat_map(|p| [p.up_at, p.ends_at, p.frontend.next_deadline()])
                .flatten();
            let probes = self.probes.iter().map(|probe| probe.1);
            let next = processes.chain(probes).chain(self.host.next_deadline()).min();
            let Some(at) = next.filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.settle();
            self.host.handle_timeout(self.now);
            self.settle();
            assert!(
                self.host.next_deadline().is_none_or(|at| self.now < at),
                "a deadline is left in the past"
            );
        }
        self.now = until;
    }

    /// This process does not run; children go on and their frames wait.
    fn stall_host(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        let mut waiting = Vec::new();
        loop {
            let running = self.processes.values().filter(|process| !process.frozen);
            let Some(at) = running
                .filter_map(|p| p.frontend.next_deadline())
                .min()
                .filter(|at| *at <= until)
            else {
                break;
            };
            self.now = at;
            waiting.extend(self.turn_processes());
        }
        self.now = until;
        for input in waiting {
            self.host.handle(self.now, HostInput::Children(input));
        }
        self.feed(HostInput::Stalled {
            gap: Duration::from_millis(ms),
        });
    }

    fn turn_processes(&mut self) -> Vec<BackendInput> {
        let now = self.now;
        let mut sent = Vec::new();
        let mut ended = Vec::new();
        for (pid, process) in self.processes.iter_mut().filter(|(_, process)| !process.frozen) {
            if process.up_at.is_some_and(|at| at <= now) {
                process.up_at = None;
                process.frontend.handle(now, FrontendInput::Up);
            }
            process.frontend.handle_timeout(now);
            while let Some(notice) = process.frontend.poll_notice() {
                if let FrontendNotice::Joined { term, .. } = notice {
                    process.term = term;
                }
            }
            while let Some(envelope) = process.frontend.poll_envelope() {
                let peer = Peer {
                    name: name("h1.docker.watchdog"),
                    connection: u64::from(*pid),
                };
                sent.push(BackendInput::Received { peer, envelope });
            }
            if process.ends_at.is_some_and(|at| at <= now) {
                ended.push(*pid);
            }
        }
        for pid in ended {
            self.processes.remove(&pid);
            self.exits.push((pid, ChildExit::Code(0)));
        }
        sent
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(effect) = self.host.poll_effect() {
                moved = true;
                self.perform(effect);
            }
            for input in self.turn_processes() {
                moved = true;
                self.host.handle(self.now, HostInput::Children(input));
            }
            for (pid, exit) in core::mem::take(&mut self.exits) {
                moved = true;
                let (engine, last_line) = ("docker".to_string(), "said so".to_string());
                self.host.handle(
                    self.now,
                    HostInput::ChildExited {
                        engine,
                        pid,
                        exit,
                        last_line,
                    },
                );
            }
            let now = self.now;
            let (due, later) = core::mem::take(&mut self.probes)
                .into_iter()
                .partition(|probe| probe.1 <= now);
            self.probes = later;
            let due: Vec<(EngineProbe, Moment)> = due;
            for (probe, _) in due {
                moved = true;
                let (engine, result) = ("docker".to_string(), self.engine.clone());
                let took = Duration::from_millis(5);
                self.host.handle(
                    now,
                    HostInput::Engine {
                        engine,
                        answer: EngineAnswer::Probed { probe, took, result },
                    },
                );
            }
            if !moved {
                return;
            }
        }
    }

    fn perform(&mut self, effect: HostEffect) {
        let now = self.now;
        match effect {
            HostEffect::Send(envelope) => self.up.push(envelope),
            HostEffect::SendToChild { to, envelope } => {
                if matches!(envelope.message, Message::Order(_)) {
                    self.orders_down.push(envelope.clone());
                }
                let process = self
                    .processes
                    .get_mut(&(to.connection as u32))
                    .filter(|process| !process.frozen);
                if let Some(process) = process {
                    process.frontend.handle(now, FrontendInput::Received(envelope));
                }
            }
            // The engine's own tests are beside it.
            HostEffect::InspectEngine { .. } | HostEffect::WorkOnEngine { .. } => (),
            HostEffect::StartChild { engine } => {
                self.told.push(format!("{now} STARTED"));
                self.next_pid += 1;
                let pid = self.next_pid;
                match self.unfit {
                    Some(exit) => self.exits.push((pid, exit)),
                    None => self.spawn(pid, self.build),
                }
                self.host.handle(
                    now,
                    HostInput::ChildStarted {
                        engine,
                        result: Ok(pid),
                    },
                );
            }
            HostEffect::SignalChild { pid, signal, .. } => {
                self.told.push(format!("{now} {signal:?} {pid}"));
                match signal {
                    ChildSignal::Kill => {
                        if self.processes.remove(&pid).is_some() {
                            self.exits.push((pid, ChildExit::Signal(9)));
                        }
                    }
                    ChildSignal::Terminate => {
                        if let Some(process) = self.processes.get_mut(&pid).filter(|process| !process.frozen) {
                            process.frontend.goodbye(
                                now,
                                Goodbye::Restart {
                                    back_within: Duration::from_secs(30),
                                },
                            );
                            process.ends_at = Some(now + Duration::from_millis(50));
                        }
                    }
                }
            }
            HostEffect::ProbeEngine { probe, within, .. } => {
                let takes = if self.engine == Err(EngineError::Deadline) {
                    within
                } else {
                    Duration::from_millis(5)
                };
                self.probes.push((probe, now + takes));
            }
            HostEffect::ReadFigures => {
                if let Some(figures) = self.figures.clone() {
                    self.host.handle(now, HostInput::Figures(figures));
                }
            }
            HostEffect::Decided(decision) => {
                let action = decision.action.as_str();
                self.told.push(format!(
                    "{now} decided {action} {} {}",
                    decision.outcome.as_str(),
                    decision.why
                ));
            }
            HostEffect::Condition { about, state } => {
                let state = state.map_or_else(|why| format!("ILL {why}"), |why| format!("ok {why}"));
                self.told.push(format!("{now} {about}: {state}"));
            }
            HostEffect::Alert(change) => self.told.push(format!("{now} ALERT {change}")),
            HostEffect::LocalAnswer(answer) => self.local.push(answer),
            HostEffect::Stopped => self.stopped = true,
        }
    }

    fn count(&self, what: &str) -> usize {
        self.told.iter().filter(|line| line.contains(what)).count()
    }

    fn moment_of(&self, what: &str) -> f64 {
        let line = self
            .told
            .iter()
            .find(|line| line.contains(what))
            .unwrap_or_else(|| panic!("{what}: {:?}", self.told));
        line.split(' ').next().unwrap().parse().unwrap()
    }

    fn seconds(&self) -> f64 {
        self.now.as_micros() as f64 / 1e6
    }

    fn manager_sends(&mut self, seq: u64, target: Option<&str>, message: Message) {
        let header = Header {
            origin: name("manager"),
            target: target.map(name),
            boot_id: BootId([9; 16]),
            agent_epoch: AgentEpoch(1),
            seq,
            sent: self.now,
            slot: self.now,
            hops_left: 8,
            trace: 0,
        };
        self.feed(HostInput::Link(FrontendInput::Received(Envelope { header, message })));
    }

    fn join_manager(&mut self) {
        self.join_manager_by(1);
    }

    /// By its frame of that number.
    fn join_manager_by(&mut self, seq: u64) {
        self.feed(HostInput::Link(FrontendInput::Up));
        let welcome = Welcome {
            identity: identity("manager", Tier::Manager, 1, "1"),
            minor: 0,
            capabilities: Capabilities(0),
            beat_every: Duration::from_millis(500),
            ack_every: 4,
            parent_silence: Duration::from_secs(3600),
            term: 5,
            digest: crate::message::Digest::default(),
        };
        self.manager_sends(seq, None, Message::Welcome(welcome));
    }
}

fn verdict(text: &str, kind: SubjectKind, state: State) -> Verdict {
    let observer = name("h1.docker.watchdog");
    Verdict {
        state,
        level: Level::Certain,
        ..unknown(subject(text), kind, observer, Moment::ZERO)
    }
}

fn figures(free_milli: u64) -> HostFigures {
    let path = "/".to_string();
    HostFigures {
        cpus: 2,
        memory_available_milli: 500,
        disks: vec![DiskFigure { path, free_milli }],
        ..HostFigures::default()
    }
}

fn host(now: Moment, epoch: u64) -> HostAgent {
    HostAgent::new(now, start(epoch))
}

fn start(epoch: u64) -> HostStart {
    HostStart {
        identity: identity("h1", Tier::Host, epoch, "1"),
        engines: vec!["docker".to_string()],
        engine_repairs: BTreeMap::new(),
        look_at: Vec::new(),
        policy: HostPolicy::default(),
        alerts: Vec::new(),
        next_alert: 1,
        seed: 7,
        wall: WallTime(0),
    }
}
