//! Lets faults happen, and processes start, die, freeze and thaw.

use crate::engine::Asker;
use crate::fault::Fault;
use crate::perform::child_name;
use crate::world::{Bug, Happening, HostWorld, Node, World};
use watchtree_core::backend::BackendInput;
use watchtree_core::container::io::{ContainerId, ContainerInput, EngineCall, RunState};
use watchtree_core::container::{ContainerAgent, ContainerSettings};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::HostAgent;
use watchtree_core::host::io::{ChildExit, HostInput, HostPolicy, HostStart};
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::{ManagerInput, ManagerPolicy, ManagerStart};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Duration, Moment, WallTime};

fn id16(a: u64, b: u64) -> [u8; 16] {
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

/// Virtual wall time: a label like the real one.
pub(crate) fn wall(now: Moment) -> WallTime {
    WallTime(1_700_000_000_000 + now.as_micros() / 1000)
}

fn identity(name: NodeName, tier: Tier, machine: u64, boot: u64, epoch: u64) -> NodeIdentity {
    NodeIdentity {
        node_id: NodeId(id16(machine, name.as_str().len() as u64)),
        name,
        tier,
        machine_id: MachineId(id16(machine, 1)),
        boot_id: BootId(id16(machine, boot)),
        agent_epoch: AgentEpoch(epoch),
        version: "sim".into(),
    }
}

impl HostWorld {
    /// The container of the repair that is open in the journal, if there is one.
    pub fn journal_target(&self) -> Option<ContainerId> {
        self.journal
            .subjects
            .values()
            .find_map(|subject| subject.repair.as_ref().map(|repair| repair.id.clone()))
    }

    /// True if the journal has an open repair of that container.
    pub fn journal_target_is(&self, id: &str) -> bool {
        self.journal
            .subjects
            .values()
            .any(|subject| subject.repair.as_ref().is_some_and(|repair| repair.id == id))
    }
}

impl World {
    /// Starts a process where none is.
    pub fn start(&mut self, node: Node) {
        match node {
            Node::Manager => self.start_manager(),
            Node::Host(h) => self.start_host(h),
            Node::Child(h) => self.start_child(h),
        }
        self.settle(node);
    }

    fn start_manager(&mut self) {
        if self.manager.exists() {
            return;
        }
        let (now, store) = (self.now, &self.store);
        let (hosts, incidents) = (
            store.hosts.values().cloned().collect(),
            store.incidents.values().cloned().collect(),
        );
        let (next_incident, seed) = (store.next_incident, self.rng.draw());
        self.manager.start(now, |epoch| {
            let name = NodeName::new("manager").expect("a plain name");
            let start = ManagerStart {
                identity: identity(name, Tier::Manager, 99, 1, epoch),
                term: epoch,
                hosts,
                incidents,
                decisions: Vec::new(),
                next_incident,
                policy: ManagerPolicy::default(),
                seed,
                wall: wall(now),
            };
            ManagerAgent::new(now, start)
        });
        for h in 0..self.hosts.len() {
            let delay = self.rng.millis(50, 1500);
            self.link_up(h, delay);
        }
    }

    fn link_up(&mut self, h: usize, delay: Duration) {
        if self.manager.exists() && self.hosts[h].host.exists() {
            self.hosts[h].connection += 1;
            let epoch = self.hosts[h].host.epoch;
            self.after(delay, Happening::ToHost(h, epoch, HostInput::Link(FrontendInput::Up)));
        }
    }

    fn start_host(&mut self, h: usize) {
        if self.hosts[h].host.exists() || !self.hosts[h].powered {
            return;
        }
        let (now, seed) = (self.now, self.rng.draw());
        let (name, boots) = (self.hosts[h].name.clone(), self.hosts[h].boots);
        self.hosts[h].host.start(now, |epoch| {
            let start = HostStart {
                identity: identity(name, Tier::Host, h as u64, boots, epoch),
                engines: vec!["docker".into()],
                look_at: vec!["192.0.2.1:22".into()],
                policy: HostPolicy::default(),
                seed,
                wall: wall(now),
            };
            HostAgent::new(now, start)
        });
        self.hosts[h].dead_since = None;
        self.hosts[h].troubled = self.hosts[h].troubled.max(now);
        let epoch = self.hosts[h].host.epoch;
        if self.hosts[h].child.exists() {
            let found = HostInput::ChildFound {
                engine: "docker".into(),
                pid: self.hosts[h].pid,
            };
            self.after(Duration::from_millis(3), Happening::ToHost(h, epoch, found));
            self.child_link(h);
        }
        self.after(
            Duration::from_millis(4),
            Happening::ToHost(h, epoch, HostInput::ChildrenLookedFor),
        );
        let delay = self.rng.millis(20, 60);
        self.link_up(h, delay);
    }

    fn child_link(&mut self, h: usize) {
        let epoch = self.hosts[h].child.epoch;
        let delay = self.rng.millis(50, 100);
        self.after(
            delay,
            Happening::ToChild(h, epoch, ContainerInput::Link(FrontendInput::Up)),
        );
    }

    /// Starts a container-watchdog: what `fork` and `exec` do.
    pub fn start_child(&mut self, h: usize) {
        if self.hosts[h].child.exists() || !self.hosts[h].powered {
            return;
        }
        let (now, seed) = (self.now, self.rng.draw());
        let mut recovered = self.hosts[h].journal.clone();
        if self.bug == Some(Bug::BudgetForgotten) {
            recovered
                .subjects
                .values_mut()
                .for_each(|subject| subject.charges.clear());
        }
        let host = &self.hosts[h];
        let (name, boots) = (child_name(&host.name), host.boots);
        let engine = SubjectId::new(&format!("{}/docker", host.name)).expect("a short plain path");
        self.hosts[h].pid += 1;
        self.hosts[h].child.start(now, |epoch| {
            let who = identity(name, Tier::Container, h as u64, boots, epoch);
            let settings = ContainerSettings {
                seed,
                wall_at_zero: wall(Moment::ZERO),
                ..ContainerSettings::new(who, engine)
            };
            ContainerAgent::new(settings, recovered, now)
        });
        if self.hosts[h].host.exists() {
            self.child_link(h);
        }
        self.settle(Node::Child(h));
    }

    /// kill -9.
    pub fn kill(&mut self, node: Node) {
        match node {
            Node::Manager => {
                self.manager.kill();
                for h in 0..self.hosts.len() {
                    let input = HostInput::Link(FrontendInput::Down {
                        why: "the manager is gone".into(),
                    });
                    self.after(
                        Duration::from_millis(1),
                        Happening::ToHost(h, self.hosts[h].host.epoch, input),
                    );
                }
            }
            Node::Host(h) => self.kill_host(h, true),
            Node::Child(h) => self.child_gone(h, ChildExit::Signal(9)),
        }
    }

    fn kill_host(&mut self, h: usize, seen: bool) {
        self.hosts[h].host.kill();
        self.hosts[h].dead_since = Some(self.now);
        self.hosts[h].troubled = self.hosts[h].troubled.max(self.now);
        let input = ContainerInput::Link(FrontendInput::Down {
            why: "host-watchdog is gone".into(),
        });
        self.after(
            Duration::from_millis(1),
            Happening::ToChild(h, self.hosts[h].child.epoch, input),
        );
        if seen {
            let gone = BackendInput::PeerGone {
                name: self.hosts[h].name.clone(),
                why: "disconnected".into(),
            };
            self.after(
                Duration::from_millis(2),
                Happening::ToManager(self.manager.epoch, ManagerInput::Hosts(gone)),
            );
        }
    }

    /// SIGCONT, if it is still the process that was frozen.
    pub fn thaw(&mut self, node: Node, epoch: u64) {
        let now = self.now;
        match node {
            Node::Manager if self.manager.epoch == epoch => {
                self.manager.thaw(now, |gap| ManagerInput::Stalled { gap });
            }
            Node::Host(h) if self.hosts[h].host.epoch == epoch => {
                self.hosts[h].host.thaw(now, |gap| HostInput::Stalled { gap });
                if self.hosts[h].host.exists() {
                    self.hosts[h].dead_since = None;
                    self.hosts[h].troubled = self.hosts[h].troubled.max(now);
                }
            }
            Node::Child(h) if self.hosts[h].child.epoch == epoch => {
                self.hosts[h].child.thaw(now, |gap| ContainerInput::Stalled { gap });
                self.hosts[h].child_hurt = now;
            }
            _ => return,
        }
        self.settle(node);
    }

    /// The machine boots: the engine starts what its policies say; what ran and has none stays down.
    pub fn power_on(&mut self, h: usize) {
        self.hosts[h].powered = true;
        self.hosts[h].boots += 1;
        self.hosts[h].engine.boot(self.now);
        self.engine_speaks(h);
        self.after(Duration::from_millis(300), Happening::Start(Node::Host(h)));
    }

    /// A held-back frame is let through; the next one follows half a second later.
    pub fn trickle(&mut self, h: usize) {
        if let Some(held) = self.hosts[h].backlog.take() {
            self.hosts[h].held = held;
        }
        if self.hosts[h].held.is_empty() {
            return;
        }
        let mut envelope = self.hosts[h].held.remove(0);
        let connection = self.hosts[h].connection;
        let now = self.now;
        self.judge_by_receipt(h, now, &mut envelope);
        self.at(now, Happening::FrameUp(h, connection, envelope));
        self.after(Duration::from_millis(500), Happening::Trickle(h));
    }

    /// Lets one fault happen, and counts it if it really did.
    pub fn inject(&mut self, fault: Fault) {
        let now = self.now;
        let happened = match fault {
            Fault::Crash { host, container } => self.crash(host, container),
            Fault::CrashLoop { host, container, left } => self.crash_loop(host, container, left),
            Fault::Hang { host, container } => self.hosts[host].engine.hang(now, container),
            Fault::OperatorStop { host, container } => self.operator_stop(host, container),
            Fault::OperatorKill { host, container } => {
                let runs = self.hosts[host].engine.containers[container].view.run == RunState::Running;
                self.hosts[host].engine.kill(now, container);
                runs
            }
            Fault::OperatorRemove { host, container } => {
                let there = !self.hosts[host].engine.containers[container].removed;
                self.hosts[host].engine.remove(now, container);
                there
            }
            Fault::StopIntoRepair { host, container } => {
                if self.hosts[host].engine.hang(now, container) {
                    self.hosts[host].ambush = Some(container);
                }
                false // counted when it is sprung
            }
            Fault::LostDie { host, container } => {
                self.hosts[host].engine.mute_die = Some(container);
                let crashed = self.crash(host, container);
                self.hosts[host].engine.mute_die = None;
                crashed
            }
            Fault::StreamCut { host, forget } => self.cut_stream(host, forget),
            Fault::LostAnswer { host } => {
                self.hosts[host].lose_answers = 1;
                false // counted when an answer is lost
            }
            Fault::KillChild { host } => self.hurt_child(host, None),
            Fault::FreezeChild { host, lasts } => self.hurt_child(host, Some(lasts)),
            Fault::KillHost { host, lasts } => self.hurt_host(host, lasts, true),
            Fault::FreezeHost { host, lasts } => self.hurt_host(host, lasts, false),
            Fault::PowerCut { host, lasts } => self.power_cut(host, lasts),
            Fault::Cut { host, lasts } => self.cut(host, lasts),
            Fault::Backlog { host } => self.backlog(host),
            Fault::KillManager { lasts } => self.hurt_manager(lasts, true),
            Fault::FreezeManager { lasts } => self.hurt_manager(lasts, false),
            Fault::BadNetwork { lasts } => {
                self.bad_network_until = now + lasts;
                self.hosts
                    .iter_mut()
                    .for_each(|host| host.troubled = host.troubled.max(now + lasts));
                true
            }
        };
        if happened {
            self.counted(fault.kind());
            self.story.push((now, fault));
        }
        for h in 0..self.hosts.len() {
            self.engine_speaks(h);
        }
    }

    fn crash(&mut self, h: usize, c: usize) -> bool {
        self.hosts[h].powered && self.hosts[h].engine.crash(self.now, c, 1)
    }

    fn crash_loop(&mut self, h: usize, c: usize, left: u32) -> bool {
        let crashed = self.crash(h, c);
        let left = if crashed { left - 1 } else { left };
        let given_up = self.hosts[h].engine.containers[c].removed || self.calm_from <= self.now;
        if 0 < left && !given_up {
            if crashed && self.rng.chance(200) {
                self.hurt_child(h, None);
            }
            let delay = self.rng.millis(300, 1500);
            self.after(
                delay,
                Happening::Fault(Fault::CrashLoop {
                    host: h,
                    container: c,
                    left,
                }),
            );
        }
        crashed
    }

    fn operator_stop(&mut self, h: usize, c: usize) -> bool {
        let container = &self.hosts[h].engine.containers[c];
        let (id, runs) = (
            container.view.id.clone(),
            container.view.run == RunState::Running && !container.removed,
        );
        if !runs || !self.hosts[h].powered {
            return false;
        }
        self.hosts[h]
            .engine
            .call(self.now, &id, EngineCall::Stop { timeout_secs: 10 }, Asker::Operator);
        true
    }

    fn cut_stream(&mut self, h: usize, forget: bool) -> bool {
        if forget {
            self.hosts[h].engine.forget_events();
            self.hosts[h].forgot = self.now;
        }
        if !self.hosts[h].child.exists() {
            return false;
        }
        self.hosts[h].subscription = (self.hosts[h].subscription.0 + 1, false);
        let input = ContainerInput::StreamEnded {
            why: "the connection broke".into(),
        };
        self.after(
            Duration::from_millis(1),
            Happening::ToChild(h, self.hosts[h].child.epoch, input),
        );
        true
    }

    fn hurt_child(&mut self, h: usize, freeze: Option<Duration>) -> bool {
        if !self.hosts[h].child.runs() {
            return false;
        }
        self.hosts[h].child_hurt = self.now;
        match freeze {
            None => self.child_gone(h, ChildExit::Signal(9)),
            Some(lasts) => {
                self.hosts[h].child.freeze(self.now);
                self.after(lasts, Happening::Thaw(Node::Child(h), self.hosts[h].child.epoch));
            }
        }
        true
    }

    fn hurt_host(&mut self, h: usize, lasts: Duration, kill: bool) -> bool {
        if !self.hosts[h].host.runs() {
            return false;
        }
        self.hosts[h].troubled = self.hosts[h].troubled.max(self.now + lasts);
        if kill {
            self.kill_host(h, true);
            self.after(lasts, Happening::Start(Node::Host(h)));
        } else {
            self.hosts[h].host.freeze(self.now);
            self.hosts[h].dead_since = Some(self.now);
            self.after(lasts, Happening::Thaw(Node::Host(h), self.hosts[h].host.epoch));
        }
        true
    }

    fn power_cut(&mut self, h: usize, lasts: Duration) -> bool {
        if !self.hosts[h].powered {
            return false;
        }
        self.forget_engine_work(h);
        let world = &mut self.hosts[h];
        world.engine.power_lost();
        world.powered = false;
        world.child.kill();
        world.host.kill();
        world.subscription = (world.subscription.0 + 1, false);
        world.calls.clear();
        world.dead_since = Some(self.now);
        world.troubled = world.troubled.max(self.now + lasts);
        world.forgot = self.now + lasts;
        world.child_hurt = self.now + lasts;
        self.after(lasts, Happening::PowerOn(h));
        true
    }

    fn cut(&mut self, h: usize, lasts: Duration) -> bool {
        if self.now < self.hosts[h].cut_until {
            return false;
        }
        self.hosts[h].cut_until = self.now + lasts;
        self.hosts[h].troubled = self.hosts[h].troubled.max(self.now + lasts);
        true
    }

    fn backlog(&mut self, h: usize) -> bool {
        if !self.hosts[h].host.runs() || !self.manager.runs() || self.hosts[h].backlog.is_some() {
            return false;
        }
        self.hosts[h].backlog = Some(Vec::new());
        self.hosts[h].troubled = self.now + Duration::from_secs(25);
        let dies = Duration::from_secs(6);
        self.after(
            dies,
            Happening::Fault(Fault::KillHost {
                host: h,
                lasts: Duration::from_secs(12),
            }),
        );
        self.after(dies + Duration::from_millis(100), Happening::Trickle(h));
        true
    }

    fn hurt_manager(&mut self, lasts: Duration, kill: bool) -> bool {
        if !self.manager.runs() {
            return false;
        }
        if kill {
            self.kill(Node::Manager);
            self.after(lasts, Happening::Start(Node::Manager));
        } else {
            self.manager.freeze(self.now);
            self.after(lasts, Happening::Thaw(Node::Manager, self.manager.epoch));
        }
        true
    }
}
