//! Processes of the simulated world start, die, freeze and thaw; machines get their power back.

use crate::perform::child_name;
use crate::world::{Bug, Happening, Node, World};
use watchtree_core::backend::BackendInput;
use watchtree_core::container::io::ContainerInput;
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

/// The boot of a machine.
pub(crate) fn boot_id(machine: usize, boot: u64) -> BootId {
    BootId(id16(machine as u64, boot))
}

fn identity(name: NodeName, tier: Tier, machine: u64, boot: u64, epoch: u64) -> NodeIdentity {
    NodeIdentity {
        node_id: NodeId(id16(machine, name.as_str().len() as u64)),
        name,
        tier,
        machine_id: MachineId(id16(machine, 1)),
        boot_id: boot_id(machine as usize, boot),
        agent_epoch: AgentEpoch(epoch),
        version: "sim".into(),
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
        // On its way down systemd starts nothing any more.
        let goes_down = self.hosts[h].going_down.is_some();
        if self.hosts[h].host.exists() || !self.hosts[h].powered || goes_down {
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
        self.hosts[h].back_after = None;
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

    pub(crate) fn kill_host(&mut self, h: usize, seen: bool) {
        self.hosts[h].host.kill();
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

    /// A host-watchdog has stopped in order; it is started again later.
    pub fn host_stopped(&mut self, h: usize) {
        self.counted("host_watchdog_stopped_in_order");
        self.kill_host(h, true);
        if let Some(lasts) = self.hosts[h].back_after.take() {
            self.after(lasts, Happening::Start(Node::Host(h)));
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
        self.hosts[h].going_down = None;
        self.hosts[h].boots += 1;
        self.hosts[h].engine.boot(self.now);
        self.engine_speaks(h);
        self.after(Duration::from_millis(300), Happening::Start(Node::Host(h)));
    }
}
