//! Faults of the wires between the nodes: cuts, partitions, loss, and what waits while a path is closed. Does not know what is
//! made of them.

use crate::log::{Excuse, Observation};
use crate::scheduler::event::SimEvent;
use crate::scheduler::fault::Fault;
use crate::scheduler::wires;
use crate::scheduler::world::World;
use watchtree_core::time::Duration;

const MS: Duration = Duration::from_millis(1);

pub(super) fn excuse(world: &mut World, host: usize, excuse: Excuse, lasts: Duration) {
    let until = world.now + lasts;
    world.saw(Observation::Excused { host, excuse, until });
}

pub(super) fn of_wires(world: &mut World, fault: Fault) -> bool {
    let now = world.now;
    match fault {
        Fault::Cut { host, lasts } => {
            if now < world.hosts[host].cut_until {
                return false;
            }
            world.hosts[host].cut_until = now + lasts;
            path_closes(world, host, lasts);
            true
        }
        Fault::Partition { from, lasts } => {
            for host in from..world.hosts.len() {
                let it = &world.hosts[host];
                // What waits for a retransmission is on its way already.
                if it.back_after.is_none() && !it.going_down && !it.held_by_path {
                    world.hosts[host].stalled_until = now + lasts;
                    hold(world, host, true);
                    path_closes(world, host, lasts);
                }
            }
            true
        }
        Fault::Backlog { host } => backlog(world, host),
        Fault::BadIpc { host, lasts } => {
            let until = world.hosts[host].ipc_bad_until.max(now + lasts);
            world.hosts[host].ipc_bad_until = until;
            excuse(world, host, Excuse::ChildKill, until.since(now));
            excuse(world, host, Excuse::Ipc, until.since(now));
            true
        }
        Fault::BadNetwork { lasts } => {
            world.bad_network_until = now + lasts;
            (0..world.hosts.len()).for_each(|host| excuse(world, host, Excuse::Suspicion, lasts));
            true
        }
        _ => false,
    }
}

fn hold(world: &mut World, host: usize, held: bool) {
    world.hosts[host].held_by_path = held;
    world.saw(Observation::HeldBack { host, held });
    if !held && world.hosts[host].backlog.is_some() {
        world.saw(Observation::HeldBack { host, held: true });
    }
}

fn path_closes(world: &mut World, host: usize, lasts: Duration) {
    excuse(world, host, Excuse::Suspicion, lasts);
    world.saw(Observation::Path { host, open: false });
    world.after(lasts, SimEvent::PathOpens(host));
}

/// The path to a host may be open again.
pub(super) fn path_opens(world: &mut World, host: usize) {
    if world.hosts[host].path_is_open(world.now) {
        world.saw(Observation::Path { host, open: true });
    }
}

/// The first frame after a path was cut has come through.
pub(super) fn frame_came(world: &mut World, host: usize) {
    if world.hosts[host].held_by_path && world.hosts[host].stalled_until <= world.now {
        hold(world, host, false);
    }
}

fn backlog(world: &mut World, h: usize) -> bool {
    let host = &world.hosts[h];
    let busy = host.backlog.is_some() || host.back_after.is_some();
    if !host.host.runs() || !world.manager.runs() || busy {
        return false;
    }
    world.hosts[h].backlog = Some(Vec::new());
    world.saw(Observation::HeldBack { host: h, held: true });
    excuse(world, h, Excuse::Suspicion, Duration::from_secs(25));
    let (dies, lasts) = (Duration::from_secs(6), Duration::from_secs(12));
    world.after(dies, SimEvent::Fault(Fault::KillHost { host: h, lasts }));
    world.after(dies + MS * 100, SimEvent::Trickle(h));
    true
}

/// A held-back frame is let through; the next one follows half a second later.
pub(super) fn trickle(world: &mut World, h: usize) {
    if let Some(held) = world.hosts[h].backlog.take() {
        world.hosts[h].held = held;
        // What was held back speaks for the time until it was sent.
        world.saw(Observation::HeldBack { host: h, held: false });
    }
    if world.hosts[h].held.is_empty() {
        return;
    }
    let mut envelope = world.hosts[h].held.remove(0);
    let (now, connection) = (world.now, world.hosts[h].connection);
    wires::judge_by_receipt(world, h, now, &mut envelope);
    world.at(now, SimEvent::FrameUp(h, connection, envelope));
    world.after(MS * 500, SimEvent::Trickle(h));
}
