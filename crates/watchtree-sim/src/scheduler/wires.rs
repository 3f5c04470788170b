//! The four wires of a host: to and from the manager, to and from its container-watchdog, with what goes wrong on them.
//!
//! Between host and manager lies a TCP connection: a path that carries nothing delays what is sent meanwhile. Where a fault
//! says so, frames are lost, late or doubled all the same, as where the connection was made anew in between.

use crate::log::{Node, Observation};
use crate::scheduler::asks;
use crate::scheduler::event::SimEvent;
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::World;
use crate::state::clock;
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::container::io::ContainerInput;
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::io::HostInput;
use watchtree_core::manager::io::ManagerInput;
use watchtree_core::message::{Envelope, Message};
use watchtree_core::time::{Duration, Moment};

/// What becomes of a frame.
enum Fate {
    Lost,
    /// Arrives after this.
    Once(Duration),
    /// Arrives after this, and again.
    Twice(Duration),
}

/// The names under which what happened to the frames of a wire is counted: lost, late, doubled.
type Kinds = [&'static str; 3];

const UP: Kinds = ["frame_lost", "frame_late", "frame_doubled"];
const DOWN: Kinds = ["frame_lost_down", "frame_late_down", "frame_doubled_down"];
const IPC_UP: Kinds = ["ipc_frame_lost", "ipc_frame_late", "ipc_frame_doubled"];
const IPC_DOWN: Kinds = ["ipc_frame_lost_down", "ipc_frame_late_down", "ipc_frame_doubled_down"];

/// From then on the defect `ReportsLost` is at work.
const REPORTS_LOST_FROM: Moment = Moment::from_millis(20_050_000);
/// Time that a frame that could not be sent takes to come back.
const NOT_SENT_AFTER: Duration = Duration::from_micros(50);

fn fate(world: &mut World, usual: Duration, bad_until: Moment, kinds: Kinds) -> Fate {
    if bad_until <= world.now {
        return Fate::Once(usual);
    }
    let [lost, late, doubled] = kinds;
    match world.rng.range(0, 100) {
        0..6 => {
            world.counted(lost);
            Fate::Lost
        }
        6..12 => {
            world.counted(late);
            Fate::Once(world.rng.millis(100, 1200))
        }
        12..17 => {
            world.counted(doubled);
            Fate::Twice(usual)
        }
        _ => Fate::Once(usual),
    }
}

/// When the copies of a frame arrive; none if it is lost.
fn arrivals(world: &mut World, from: Node, to: Node, fate: &Fate) -> Vec<Moment> {
    match fate {
        Fate::Lost => Vec::new(),
        Fate::Once(delay) => vec![world.wire(from, to, *delay)],
        Fate::Twice(delay) => {
            let first = world.wire(from, to, *delay);
            vec![first, world.wire(from, to, *delay + Duration::from_millis(1))]
        }
    }
}

/// container-watchdog to host-watchdog.
pub(super) fn child_sends(world: &mut World, h: usize, envelope: Envelope) {
    if let Message::OrderResult(answer) = &envelope.message {
        asks::note_answer(world, Node::Child(h), answer);
    }
    let reports = matches!(envelope.message, Message::Report(_) | Message::Snapshot { .. });
    if world.bug == Some(Bug::ReportsLost) && reports && REPORTS_LOST_FROM < world.now {
        return;
    }
    let host = &world.hosts[h];
    if !host.host.exists() {
        let (epoch, seq) = (host.child.epoch(), envelope.header.seq);
        let input = ContainerInput::Link(FrontendInput::NotSent { seq });
        return world.after(NOT_SENT_AFTER, SimEvent::ToChild(h, epoch, input));
    }
    let peer = Peer {
        name: host.child_name(),
        connection: host.child.epoch(),
    };
    let (epoch, bad) = (host.host.epoch(), host.ipc_bad_until);
    let usual = world.rng.millis(0, 2) + Duration::from_micros(100);
    let fate = fate(world, usual, bad, IPC_UP);
    for at in arrivals(world, Node::Child(h), Node::Host(h), &fate) {
        let (peer, envelope) = (peer.clone(), envelope.clone());
        let input = HostInput::Children(BackendInput::Received { peer, envelope });
        world.at(at, SimEvent::ToHost(h, epoch, input));
    }
}

/// host-watchdog to container-watchdog.
pub(super) fn host_to_child(world: &mut World, h: usize, to: &Peer, envelope: Envelope) {
    let host = &world.hosts[h];
    if !host.child.exists() || to.connection != host.child.epoch() {
        let input = HostInput::Children(BackendInput::NotSent {
            peer: to.clone(),
            seq: envelope.header.seq,
        });
        let epoch = host.host.epoch();
        return world.after(NOT_SENT_AFTER, SimEvent::ToHost(h, epoch, input));
    }
    if host.below && asks::holds_order_back(world, h, &envelope) {
        return;
    }
    let (epoch, bad) = (world.hosts[h].child.epoch(), world.hosts[h].ipc_bad_until);
    let usual = world.rng.millis(0, 2) + Duration::from_micros(100);
    let fate = fate(world, usual, bad, IPC_DOWN);
    for at in arrivals(world, Node::Host(h), Node::Child(h), &fate) {
        if let Some(input) = asks::child_input(world, h, envelope.clone()) {
            world.at(at, SimEvent::ToChild(h, epoch, input));
        }
    }
}

/// host-watchdog to manager.
pub(super) fn host_sends(world: &mut World, h: usize, envelope: Envelope) {
    match &envelope.message {
        Message::OrderResult(answer) => asks::note_answer(world, Node::Host(h), answer),
        Message::Goodbye(goodbye) => {
            let (host, goodbye) = (h, *goodbye);
            world.saw(Observation::SaidGoodbye { host, goodbye });
        }
        _ => {}
    }
    let host = &world.hosts[h];
    let (epoch, connection, seq) = (host.host.epoch(), host.connection, envelope.header.seq);
    if !world.manager.exists() {
        let input = HostInput::Link(FrontendInput::NotSent { seq });
        return world.after(NOT_SENT_AFTER, SimEvent::ToHost(h, epoch, input));
    }
    if world.now < host.cut_until {
        return world.counted("frame_lost");
    }
    let second = world.now.as_micros() / 1_000_000;
    if world.bug == Some(Bug::BeatsLost) && 17 <= second % 20 {
        return;
    }
    if let Some(held) = &mut world.hosts[h].backlog {
        held.push(envelope);
        return;
    }
    let usual = world.rng.millis(1, 5);
    let fate = fate(world, usual, world.bad_network_until, UP);
    for at in arrivals(world, Node::Host(h), Node::Manager, &fate) {
        let (now, cut) = (world.now, world.hosts[h].stalled_until);
        if now < cut {
            world.counted("frame_retransmitted");
        }
        let at = world.hosts[h].up.sends(now, at.since(now), cut);
        let mut copy = envelope.clone();
        judge_by_receipt(world, h, at, &mut copy);
        world.at(at, SimEvent::FrameUp(h, connection, copy));
    }
}

/// The defect `TimerResetOnReceipt`: the slot becomes the time of receipt, seen from the first frame on.
pub(super) fn judge_by_receipt(world: &mut World, h: usize, at: Moment, envelope: &mut Envelope) {
    if world.bug == Some(Bug::TimerResetOnReceipt) {
        let (slot, received) = *world.hosts[h].slot_shift.get_or_insert((envelope.header.slot, at));
        envelope.header.slot = slot + at.since(received);
        envelope.header.sent = envelope.header.slot;
    }
}

/// A frame of a host reaches the manager's machine.
pub(super) fn frame_up(world: &mut World, h: usize, connection: u64, envelope: Envelope) {
    let peer = Peer {
        name: world.hosts[h].name.clone(),
        connection,
    };
    let epoch = world.manager.epoch();
    if world.manager.runs() {
        let zero = world.hosts[h].clock.zero();
        world.saw(Observation::Heard {
            host: h,
            hello: matches!(envelope.message, Message::Hello(_)),
            slot: clock::world(zero, envelope.header.slot),
            sent: clock::world(zero, envelope.header.sent),
        });
    }
    let input = ManagerInput::Hosts(BackendInput::Received { peer, envelope });
    world.after(Duration::ZERO, SimEvent::ToManager(epoch, input));
}

/// manager to host-watchdog.
pub(super) fn manager_sends(world: &mut World, to: &Peer, envelope: Envelope) {
    let Some(h) = world.host_of(to.name.as_str()) else {
        return;
    };
    let host = &world.hosts[h];
    if world.now < host.cut_until {
        return world.counted("frame_lost_down");
    }
    if !host.host.exists() || host.connection != to.connection {
        let input = ManagerInput::Hosts(BackendInput::NotSent {
            peer: to.clone(),
            seq: envelope.header.seq,
        });
        let epoch = world.manager.epoch();
        return world.after(NOT_SENT_AFTER, SimEvent::ToManager(epoch, input));
    }
    if !host.below && asks::holds_order_back(world, h, &envelope) {
        return;
    }
    let usual = world.rng.millis(1, 5);
    let fate = fate(world, usual, world.bad_network_until, DOWN);
    let epoch = world.hosts[h].host.epoch();
    for at in arrivals(world, Node::Manager, Node::Host(h), &fate) {
        let (now, cut) = (world.now, world.hosts[h].stalled_until);
        let at = world.hosts[h].down.sends(now, at.since(now), cut);
        if let Some(input) = asks::host_input(world, h, envelope.clone()) {
            world.at(at, SimEvent::ToHost(h, epoch, input));
        }
    }
}
