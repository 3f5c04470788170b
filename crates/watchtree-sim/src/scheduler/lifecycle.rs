//! Processes of the simulated world start, die, freeze and thaw; machines lose their power and boot.

use crate::log::{DiskChange, Excuse, Node, Observation};
use crate::scheduler::api;
use crate::scheduler::event::SimEvent;
use crate::scheduler::journal;
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::World;
use crate::state::process::STALL_MIN;
use std::collections::BTreeMap;
use watchtree_core::backend::BackendInput;
use watchtree_core::container::io::{ContainerInput, Recovered};
use watchtree_core::container::{ContainerAgent, ContainerSettings};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::HostAgent;
use watchtree_core::host::io::{AlertPolicy, AlertWhen, ChildExit, HostInput, HostPolicy, HostStart, RepairWhen};
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use watchtree_core::incident::Incident;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::{ManagerInput, ManagerPolicy, ManagerStart};
use watchtree_core::time::{Duration, Moment, WallTime};

/// The machine of the manager, beside those of the hosts.
const MANAGER_MACHINE: u64 = 99;
/// A host-watchdog finds what runs within this time of its start.
const FOUND_WITHIN: Duration = Duration::from_millis(4);
/// systemd starts a host-watchdog this long after the boot, and the daemon of the engine a little before.
const HOST_AFTER_BOOT: Duration = Duration::from_millis(300);
const ENGINE_AFTER_BOOT: Duration = Duration::from_millis(100);

fn id16(a: u64, b: u64) -> [u8; 16] {
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

/// Who a node is, in a life of its own.
pub(crate) fn identity(name: NodeName, tier: Tier, machine: u64, boot_id: BootId, epoch: u64) -> NodeIdentity {
    NodeIdentity {
        node_id: NodeId(id16(machine, name.as_str().len() as u64)),
        name,
        tier,
        machine_id: MachineId(id16(machine, 1)),
        boot_id,
        agent_epoch: AgentEpoch(epoch),
        version: "sim".into(),
    }
}

/// Starts a process where none is.
pub(crate) fn start(world: &mut World, node: Node) {
    match node {
        Node::Manager => start_manager(world),
        Node::Host(h) => start_host(world, h),
        Node::Child(h) => start_child(world, h),
    }
    world.unsettled.insert(node);
}

fn began(world: &mut World, node: Node, epoch: u64) {
    world.saw(Observation::ProcessStarted { node, epoch });
}

fn start_manager(world: &mut World) {
    if world.manager.exists() {
        return;
    }
    let (now, store) = (world.now, &world.store);
    let (hosts, incidents) = (
        store.hosts.values().cloned().collect(),
        store.incidents.values().cloned().collect(),
    );
    let (next_incident, seed) = (store.next_incident, world.rng.draw());
    let wall = WallTime(crate::state::engine::true_wall_ns(now) / 1_000_000);
    world.manager.start(Moment::ZERO, |epoch| {
        let name = NodeName::new("manager").expect("a plain name");
        let boot = BootId(id16(MANAGER_MACHINE, 1));
        let start = ManagerStart {
            identity: identity(name, Tier::Manager, MANAGER_MACHINE, boot, epoch),
            term: epoch,
            hosts,
            incidents,
            decisions: Vec::new(),
            next_incident,
            policy: ManagerPolicy::default(),
            seed,
            wall,
        };
        ManagerAgent::new(now, start)
    });
    let epoch = world.manager.epoch();
    began(world, Node::Manager, epoch);
    for h in 0..world.hosts.len() {
        let delay = world.rng.millis(50, 1500);
        link_up(world, h, delay);
    }
}

fn link_up(world: &mut World, h: usize, delay: Duration) {
    if world.manager.exists() && world.hosts[h].host.exists() {
        let host = &mut world.hosts[h];
        host.connection += 1;
        (host.up, host.down) = Default::default();
        let epoch = host.host.epoch();
        world.after(delay, SimEvent::ToHost(h, epoch, HostInput::Link(FrontendInput::Up)));
    }
}

fn start_host(world: &mut World, h: usize) {
    // On its way down systemd starts nothing any more.
    let host = &world.hosts[h];
    if host.host.exists() || !host.powered || host.going_down {
        return;
    }
    let (now, seed) = (world.now, world.rng.draw());
    let host = &mut world.hosts[h];
    let (name, clock) = (host.name.clone(), host.clock);
    let alerts: Vec<Incident> = host.alerts.values().cloned().collect();
    host.host.start(clock.zero(), |epoch| {
        let start = HostStart {
            identity: identity(name, Tier::Host, h as u64, clock.boot_id(), epoch),
            engines: vec!["docker".into()],
            engine_repairs: BTreeMap::from([("docker".into(), RepairWhen::Safe)]),
            look_at: vec!["192.0.2.1:22".into()],
            policy: HostPolicy {
                // Also beside a manager: whoever else calls, what this host tells must be true.
                alerts: AlertPolicy {
                    when: AlertWhen::Always,
                    ..AlertPolicy::default()
                },
                ..HostPolicy::default()
            },
            alerts,
            next_alert: epoch << 32,
            seed,
            wall: clock.wall(now),
        };
        HostAgent::new(clock.local(now), start)
    });
    host.back_after = None;
    let (epoch, child, pid) = (host.host.epoch(), host.child.exists(), host.pid);
    began(world, Node::Host(h), epoch);
    if child {
        let engine = "docker".to_string();
        let found = HostInput::ChildFound { engine, pid };
        world.after(Duration::from_millis(3), SimEvent::ToHost(h, epoch, found));
        child_link(world, h);
    }
    world.after(FOUND_WITHIN, SimEvent::ToHost(h, epoch, HostInput::ChildrenLookedFor));
    let delay = world.rng.millis(20, 60);
    link_up(world, h, delay);
}

fn child_link(world: &mut World, h: usize) {
    let epoch = world.hosts[h].child.epoch();
    let delay = world.rng.millis(50, 100);
    let input = ContainerInput::Link(FrontendInput::Up);
    world.after(delay, SimEvent::ToChild(h, epoch, input));
}

/// Starts a container-watchdog: what `fork` and `exec` do.
pub(crate) fn start_child(world: &mut World, h: usize) {
    if world.hosts[h].child.exists() || !world.hosts[h].powered {
        return;
    }
    let (now, seed) = (world.now, world.rng.draw());
    let host = &mut world.hosts[h];
    let mut recovered: Recovered = host.disk.recovered().clone();
    if world.bug == Some(Bug::BudgetForgotten) {
        let subjects = recovered.subjects.values_mut();
        subjects.for_each(|subject| subject.charges.clear());
    }
    let (name, clock, settings) = (host.child_name(), host.clock, host.settings.clone());
    host.pid += 1;
    host.child.start(clock.zero(), |epoch| {
        let settings = ContainerSettings {
            identity: identity(name, Tier::Container, h as u64, clock.boot_id(), epoch),
            seed,
            wall_at_zero: WallTime(clock.wall(now).0 - clock.local(now).as_micros() / 1000),
            ..settings
        };
        ContainerAgent::new(settings, recovered, clock.local(now))
    });
    let epoch = host.child.epoch();
    began(world, Node::Child(h), epoch);
    journal::opened(world, h);
    if world.hosts[h].host.exists() {
        child_link(world, h);
    }
    world.unsettled.insert(Node::Child(h));
}

/// kill -9.
pub(crate) fn kill(world: &mut World, node: Node) {
    match node {
        Node::Manager => {
            world.manager.kill();
            world.saw(Observation::ProcessEnded { node });
            for h in 0..world.hosts.len() {
                let why = "the manager is gone".to_string();
                let input = HostInput::Link(FrontendInput::Down { why });
                let epoch = world.hosts[h].host.epoch();
                world.after(Duration::from_millis(1), SimEvent::ToHost(h, epoch, input));
            }
        }
        Node::Host(h) => kill_host(world, h),
        Node::Child(h) => child_gone(world, h, ChildExit::Signal(9)),
    }
}

fn kill_host(world: &mut World, h: usize) {
    world.hosts[h].host.kill();
    world.saw(Observation::ProcessEnded { node: Node::Host(h) });
    let why = "host-watchdog is gone".to_string();
    let input = ContainerInput::Link(FrontendInput::Down { why });
    let epoch = world.hosts[h].child.epoch();
    world.after(Duration::from_millis(1), SimEvent::ToChild(h, epoch, input));
    let gone = BackendInput::PeerGone {
        name: world.hosts[h].name.clone(),
        why: "disconnected".into(),
    };
    let epoch = world.manager.epoch();
    let input = ManagerInput::Hosts(gone);
    world.after(Duration::from_millis(2), SimEvent::ToManager(epoch, input));
}

/// A host-watchdog has stopped in order; it is started again later.
pub(super) fn host_stopped(world: &mut World, h: usize) {
    world.counted("host_watchdog_stopped_in_order");
    kill_host(world, h);
    if let Some(lasts) = world.hosts[h].back_after.take() {
        world.after(lasts, SimEvent::Start(Node::Host(h)));
    }
}

/// The container-watchdog's process ends; its host-watchdog learns it from the kernel, once it has found the process.
pub(crate) fn child_gone(world: &mut World, h: usize, exit: ChildExit) {
    world.hosts[h].child.kill();
    world.saw(Observation::ProcessEnded { node: Node::Child(h) });
    journal_ends(world, h);
    api::drop_stream(world, h);
    let (epoch, pid) = (world.hosts[h].host.epoch(), world.hosts[h].pid);
    let input = HostInput::ChildExited {
        engine: "docker".into(),
        pid,
        exit,
        last_line: String::new(),
    };
    world.after(FOUND_WITHIN, SimEvent::ToHost(h, epoch, input));
}

fn journal_ends(world: &mut World, h: usize) {
    if world.hosts[h].disk.writer_ends() {
        world.counted("journal_lost");
        let change = DiskChange::Lost;
        world.saw(Observation::Disk { host: h, change });
    }
}

/// SIGSTOP. It thaws after that time, if it is still that process. True if it ran.
pub(super) fn freeze(world: &mut World, node: Node, lasts: Duration) -> bool {
    let now = world.now;
    let (ran, epoch) = match node {
        Node::Manager if world.bug == Some(Bug::DeafNotFrozen) => {
            world.deaf_since = Some(now);
            (world.manager.runs(), world.manager.epoch())
        }
        Node::Manager => (world.manager.freeze(now), world.manager.epoch()),
        Node::Host(h) => (world.hosts[h].host.freeze(now), world.hosts[h].host.epoch()),
        Node::Child(h) => (world.hosts[h].child.freeze(now), world.hosts[h].child.epoch()),
    };
    if ran {
        world.saw(Observation::Frozen { node });
        world.after(lasts, SimEvent::Thaw(node, epoch));
    }
    ran
}

/// SIGCONT, if it is still the process that was frozen.
pub(crate) fn thaw(world: &mut World, node: Node, epoch: u64) {
    let now = world.now;
    let gap = match node {
        Node::Manager if world.manager.epoch() == epoch => match world.deaf_since.take() {
            Some(since) => Some(now.since(since)),
            None => world.manager.thaw(now, |gap| ManagerInput::Stalled { gap }),
        },
        Node::Host(h) if world.hosts[h].host.epoch() == epoch => {
            world.hosts[h].host.thaw(now, |gap| HostInput::Stalled { gap })
        }
        Node::Child(h) if world.hosts[h].child.epoch() == epoch => {
            world.hosts[h].child.thaw(now, |gap| ContainerInput::Stalled { gap })
        }
        _ => return,
    };
    if let Some(gap) = gap {
        let told = STALL_MIN < gap;
        world.saw(Observation::Thawed { node, gap, told });
        world.unsettled.insert(node);
    }
}

/// The machine loses its power, and gets it back after that time. True if it had power.
pub(crate) fn power_cut(world: &mut World, h: usize, lasts: Duration) -> bool {
    if !world.hosts[h].powered {
        return false;
    }
    let (now, until) = (world.now, world.now + lasts);
    journal_ends(world, h);
    let host = &mut world.hosts[h];
    host.powered = false;
    for (node, existed) in [
        (Node::Host(h), host.host.exists()),
        (Node::Child(h), host.child.exists()),
    ] {
        if existed {
            world.saw(Observation::ProcessEnded { node });
        }
    }
    let host = &mut world.hosts[h];
    host.child.kill();
    host.host.kill();
    host.calls.clear();
    world.saw(Observation::PowerLost { host: h });
    world.engine(h).power_lost(now);
    world.hosts[h].engine_wake = None;
    world.drop_events(|event| matches!(event, SimEvent::CallArrives(of, ..) if *of == h));
    api::drop_stream(world, h);
    world.saw(Observation::EventsForgotten { host: h, until });
    for excuse in [Excuse::Suspicion, Excuse::ChildKill] {
        world.saw(Observation::Excused { host: h, excuse, until });
    }
    world.after(lasts, SimEvent::PowerOn(h));
    true
}

/// The machine boots: its clock begins at 0, the engine's daemon starts, then the host-watchdog.
pub(super) fn power_on(world: &mut World, h: usize) {
    let now = world.now;
    let host = &mut world.hosts[h];
    host.powered = true;
    host.going_down = false;
    host.clock.boots(now);
    let (boot, zero) = (host.clock.boot_id(), host.clock.zero());
    world.saw(Observation::Booted { host: h, boot, zero });
    world.after(ENGINE_AFTER_BOOT, SimEvent::EngineStarts(h));
    if world.hosts[h].has_watchdog {
        world.after(HOST_AFTER_BOOT, SimEvent::Start(Node::Host(h)));
    }
}
