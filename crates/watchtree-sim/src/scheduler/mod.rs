//! What happens next: one queue of events from a seed, and what each does to the state. It writes the log of what was to be
//! seen, and does not know what is right.
//!
//! ```text
//!   queue ──▶ event ──▶ machine of a watchdog ──▶ effects ──▶ wires, engine, disk ──▶ queue
//!     ▲                                              │
//!   faults (inject)                                  └──▶ log ──▶ (checker)
//! ```

pub(crate) mod api;
mod asks;
mod captures;
mod effects;
mod event;
pub mod fault;
pub(crate) mod fleet;
mod host;
pub(crate) mod inject;
pub(crate) mod inject_wires;
pub(crate) mod journal;
pub(crate) mod lifecycle;
mod orders;
mod probes;
mod sabotage;
mod wires;
mod world;

pub(crate) use event::SimEvent;
pub(crate) use host::CaptureFault;
pub use orders::Wish;
pub use sabotage::Bug;
pub(crate) use world::Delays;
pub use world::World;

use crate::log::{Node, Observation};
use watchtree_core::host::io::ChildExit;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Moment;
use watchtree_core::verdict::State;

/// The soonest event that is due by then happens. False if there is none, and time has come to the end.
pub(crate) fn step(world: &mut World, end: Moment) -> bool {
    let Some(event) = world.next_by(end) else {
        world.now = world.now.max(end);
        return false;
    };
    happen(world, event);
    settle(world);
    true
}

fn happen(world: &mut World, event: SimEvent) {
    let now = world.now;
    match event {
        SimEvent::Ring(node) => ring(world, node),
        SimEvent::ToManager(epoch, input) => {
            if world.deaf_since.is_none() {
                world.manager.give(now, epoch, input);
            }
            world.unsettled.insert(Node::Manager);
        }
        SimEvent::ToHost(h, epoch, input) => {
            if world.hosts[h].host.epoch() == epoch {
                asks::note_host_input(world, h, &input);
            }
            world.hosts[h].host.give(now, epoch, input);
            world.unsettled.insert(Node::Host(h));
        }
        SimEvent::ToChild(h, epoch, input) => {
            if world.hosts[h].child.epoch() == epoch {
                asks::note_child_input(world, h, &input);
            }
            world.hosts[h].child.give(now, epoch, input);
            world.unsettled.insert(Node::Child(h));
        }
        SimEvent::StreamOpens(h, number, since) => api::stream_opens(world, h, number, since),
        SimEvent::EventArrives(h, number, event) => api::event_arrives(world, h, number, event),
        SimEvent::ListRead(h, epoch) => api::list_read(world, h, epoch),
        SimEvent::InspectRead(h, epoch, id, asked) => api::inspect_read(world, h, epoch, id, asked),
        SimEvent::FlagRead(h, epoch, id) => api::flag_read(world, h, epoch, id),
        SimEvent::CallArrives(h, id, verb, asker) => api::call_arrives(world, h, id, verb, asker),
        SimEvent::CallDeadline(h, epoch, ticket) => api::call_deadline(world, h, epoch, ticket),
        SimEvent::ConnectionBreaks(h, by) => api::connection_breaks(world, h, by),
        SimEvent::EngineDue(h) => api::engine_due(world, h),
        SimEvent::EngineEnds(h) => {
            if world.hosts[h].powered {
                world.engine(h).daemon_terminated(now);
            }
        }
        SimEvent::EngineStarts(h) => {
            if world.hosts[h].powered {
                world.engine(h).daemon_started(now);
            }
        }
        SimEvent::FrameUp(h, connection, envelope) => {
            inject_wires::frame_came(world, h);
            wires::frame_up(world, h, connection, envelope);
        }
        SimEvent::Start(node) => lifecycle::start(world, node),
        SimEvent::Kill(node) => lifecycle::kill(world, node),
        SimEvent::Thaw(node, epoch) => lifecycle::thaw(world, node, epoch),
        SimEvent::PowerOn(h) => {
            world.counted("reboot");
            lifecycle::power_on(world, h);
        }
        SimEvent::OrdersReleased(h) => asks::release_orders(world, h),
        SimEvent::Trickle(h) => inject_wires::trickle(world, h),
        SimEvent::JournalAgain(h, epoch) => journal::again(world, h, epoch),
        SimEvent::PathOpens(h) => inject_wires::path_opens(world, h),
        SimEvent::Fault(fault) => inject::inject(world, fault),
        SimEvent::Step(h, step) => inject::step(world, h, step),
        SimEvent::Tick => {
            show(world, false);
            world.saw(Observation::Tick);
            world.after(fleet::TICK, SimEvent::Tick);
        }
    }
}

fn ring(world: &mut World, node: Node) {
    let now = world.now;
    match node {
        Node::Manager => world.manager.ring(now, "manager"),
        Node::Host(h) => world.hosts[h].host.ring(now, "host"),
        Node::Child(h) => world.hosts[h].child.ring(now, "container"),
    }
    world.unsettled.insert(node);
}

/// Carries out what processes want done, hears engines, and sets timers, until nobody has anything to say.
pub(crate) fn settle(world: &mut World) {
    loop {
        if let Some(node) = world.unsettled.pop_first() {
            settle_node(world, node);
        } else if let Some(h) = world.engines.pop_first() {
            api::hear_engine(world, h);
        } else {
            return;
        }
    }
}

fn settle_node(world: &mut World, node: Node) {
    let armed = match node {
        Node::Manager => {
            while let Some(effect) = world.manager.poll() {
                effects::of_manager(world, effect);
            }
            world.manager.arm(world.now)
        }
        Node::Host(h) => {
            while let Some(effect) = world.hosts[h].host.poll() {
                effects::of_host(world, h, effect);
            }
            world.hosts[h].host.arm(world.now)
        }
        Node::Child(h) => {
            while let Some(effect) = world.hosts[h].child.poll() {
                effects::of_child(world, h, effect);
                if world.hosts[h]
                    .dies_after_records
                    .is_some_and(|n| n <= world.hosts[h].disk.records().len())
                {
                    world.hosts[h].dies_after_records = None;
                    lifecycle::child_gone(world, h, ChildExit::Signal(9));
                }
            }
            world.hosts[h].child.arm(world.now)
        }
    };
    if let Some(when) = armed {
        world.at(when, SimEvent::Ring(node));
    }
}

/// Writes down what the manager shows and what the container-watchdogs hold; at the end also of what is below the hosts.
pub(crate) fn show(world: &mut World, all: bool) {
    let now = world.now;
    for h in 0..world.hosts.len() {
        let agent = world.hosts[h].child.machine();
        let verdicts = agent.map_or_else(Vec::new, |agent| {
            let all = agent.verdicts();
            all.map(|it| (it.subject.clone(), it.state, it.why.clone())).collect()
        });
        world.saw(Observation::Holds { host: h, verdicts });
        let subject = SubjectId::new(world.hosts[h].name.as_str()).expect("a host's name");
        let machine = world.manager.machine();
        let state = machine.and_then(|it| shown(it, now, &subject));
        let mut below = Vec::new();
        if let (Some(manager), true) = (machine, all) {
            for place in 0..world.hosts[h].engine.len() {
                let subject = world.hosts[h].subject(&world.hosts[h].engine.snapshot(place).name);
                below.extend(shown(manager, now, &subject).map(|state| (subject, state)));
            }
        }
        world.saw(Observation::Shown { host: h, state, below });
    }
}

/// What the manager shows of a subject.
fn shown(manager: &ManagerAgent, now: Moment, subject: &SubjectId) -> Option<State> {
    let mut found = None;
    manager.tree_below(now, subject, |it| {
        if it.verdict.subject == *subject {
            found = Some(it.state);
        }
    });
    found
}
