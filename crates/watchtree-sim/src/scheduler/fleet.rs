//! The fleet of a run: hosts that have been up for a while, with containers that have run for about a minute.

use crate::log::{Node, Observation};
use crate::scheduler::event::SimEvent;
use crate::scheduler::fault::{Fault, Fleet};
use crate::scheduler::host::Host;
use crate::scheduler::lifecycle;
use crate::scheduler::world::World;
use crate::state::clock::Clock;
use crate::state::engine::{Check, Engine, EngineSettings, Program, Spec, Timing, Version};
use std::collections::BTreeMap;
use watchtree_core::container::io::{Namespace, RestartPolicy};
use watchtree_core::container::{ContainerSettings, HealMode};
use watchtree_core::id::{NodeName, Tier};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Duration, Moment};

/// How long the machine of the one exact host has been up.
const UPTIME: Duration = Duration::from_secs(10_000);
/// How often it is looked at how long something lasts.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// Puts the hosts into the world, and has their watchdogs and the manager started.
pub(crate) fn populate(world: &mut World, fleet: Fleet) {
    for h in 0..fleet.hosts {
        let host = host(world, h, fleet.containers);
        let (boot, zero) = (host.clock.boot_id(), host.clock.zero());
        world.hosts.push(host);
        world.saw(Observation::Booted { host: h, boot, zero });
        world.engines.insert(h);
    }
    world.after(Duration::ZERO, SimEvent::Start(Node::Manager));
    for h in 0..fleet.hosts {
        let by = Duration::from_millis(20 + 30 * h as u64);
        world.after(by, SimEvent::Start(Node::Host(h)));
    }
    world.after(TICK, SimEvent::Tick);
}

/// Puts one host into the world whose engine takes the same times in each run, without a container and without watchdogs:
/// they are to heal everything.
pub(crate) fn populate_exact(world: &mut World) {
    let name = NodeName::new("h1").expect("a plain name");
    let clock = Clock::new(0, world.now.saturating_sub(UPTIME));
    let engine = Engine::new(EngineSettings {
        live_restore: false,
        version: Version::V26_1,
        timing: Timing::Exact,
        hides_its_beginning: false,
    });
    let settings = ContainerSettings {
        heal: HealMode::All,
        ..settings(&name, 0, &clock)
    };
    let mut host = Host::new(name, clock, engine, settings, 1000);
    host.has_watchdog = false;
    world.hosts.push(host);
}

/// Has the faults happen at their times; from `calm_from` on none begins.
pub(crate) fn inject_all(world: &mut World, faults: Vec<(Moment, Fault)>, calm_from: Moment) {
    world.calm_from = calm_from;
    for (when, fault) in faults {
        world.at(when, SimEvent::Fault(fault));
    }
}

/// Every third container has a restart policy, every second a health check; the last joins the network of the one before. Every
/// second depends on the one before, which has a check, and every fourth is restarted with it.
fn host(world: &mut World, h: usize, containers: usize) -> Host {
    let name = NodeName::new(&format!("h{}", h + 1)).expect("a short plain name");
    let uptime = world.rng.millis(120_000, 5_000_000);
    let clock = Clock::new(h as u64, world.now.saturating_sub(uptime));
    let mut engine = Engine::new(EngineSettings {
        live_restore: false,
        version: if h == 1 { Version::V26_1 } else { Version::V20_10 },
        timing: Timing::Drawn(world.rng.fork()),
        hides_its_beginning: false,
    });
    for i in 0..containers {
        let id = |i: usize| format!("{:012x}{:052x}", (h as u64 + 1) * 1000 + i as u64, 0);
        let spec = Spec {
            id: id(i),
            policy: match i % 3 {
                2 => RestartPolicy::UnlessStopped,
                _ => RestartPolicy::No,
            },
            check: (i % 2 == 0).then(Check::default),
            joins: (i + 1 == containers)
                .then(|| (Namespace::Network, id(i - 1)))
                .into_iter()
                .collect(),
            labels: labels(i),
            program: Program::default(),
            ..Spec::named(&format!("c{i}"))
        };
        let age = world.rng.millis(60_000, 90_000);
        engine.create_running(world.now, spec, age);
    }
    // They were made long ago, not now.
    engine.forget_events();
    let settings = settings(&name, h as u64, &clock);
    Host::new(name, clock, engine, settings, 1000 * (h as u32 + 1))
}

fn labels(i: usize) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("watchtree.enable".into(), "true".into())]);
    if i % 2 == 1 {
        labels.insert("watchtree.depends-on".into(), format!("c{}", i - 1));
    }
    if i % 4 == 3 {
        labels.insert("watchtree.restart-with".into(), format!("c{}", i - 1));
    }
    labels
}

fn settings(host: &NodeName, machine: u64, clock: &Clock) -> ContainerSettings {
    let watchdog = NodeName::new(&format!("{host}.docker.watchdog")).expect("a short plain name");
    let who = lifecycle::identity(watchdog, Tier::Container, machine, clock.boot_id(), 0);
    let subject = SubjectId::new(&format!("{host}/docker")).expect("a short plain path");
    ContainerSettings::new(who, subject)
}
