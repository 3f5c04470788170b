//! The four wires of a host: to and from the manager, to and from its container-watchdog, with what goes wrong on them.

use crate::world::{Happening, Node, World};
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::frontend::FrontendInput;
use watchtree_core::host::io::HostInput;
use watchtree_core::manager::io::ManagerInput;
use watchtree_core::message::{Envelope, Goodbye, Message};
use watchtree_core::time::{Duration, Moment};

use crate::perform::child_name;
use watchtree_core::container::io::ContainerInput;

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

impl World {
    fn fate(&mut self, usual: Duration, bad_until: Moment, kinds: Kinds) -> Fate {
        if bad_until <= self.now {
            return Fate::Once(usual);
        }
        let [lost, late, doubled] = kinds;
        match self.rng.range(0, 100) {
            0..6 => {
                self.counted(lost);
                Fate::Lost
            }
            6..12 => {
                self.counted(late);
                Fate::Once(self.rng.millis(100, 1200))
            }
            12..17 => {
                self.counted(doubled);
                Fate::Twice(usual)
            }
            _ => Fate::Once(usual),
        }
    }

    /// When the copies of a frame arrive; none if it is lost.
    fn arrivals(&mut self, from: Node, to: Node, fate: &Fate) -> Vec<Moment> {
        match fate {
            Fate::Lost => Vec::new(),
            Fate::Once(delay) => vec![self.wire(from, to, *delay)],
            Fate::Twice(delay) => {
                let first = self.wire(from, to, *delay);
                vec![first, self.wire(from, to, *delay + Duration::from_millis(1))]
            }
        }
    }

    /// container-watchdog to host-watchdog.
    pub fn child_sends(&mut self, h: usize, envelope: Envelope) {
        if let Message::OrderResult(answer) = &envelope.message {
            self.check_order_answer(Node::Child(h), answer);
        }
        let world = &self.hosts[h];
        if !world.host.exists() {
            let (epoch, seq) = (world.child.epoch, envelope.header.seq);
            let input = ContainerInput::Link(FrontendInput::NotSent { seq });
            return self.after(Duration::from_micros(50), Happening::ToChild(h, epoch, input));
        }
        let peer = Peer {
            name: child_name(&world.name),
            connection: world.child.epoch,
        };
        let (epoch, bad) = (world.host.epoch, world.ipc_bad_until);
        let usual = self.rng.millis(0, 2) + Duration::from_micros(100);
        let fate = self.fate(usual, bad, IPC_UP);
        for at in self.arrivals(Node::Child(h), Node::Host(h), &fate) {
            let (peer, envelope) = (peer.clone(), envelope.clone());
            let input = HostInput::Children(BackendInput::Received { peer, envelope });
            self.at(at, Happening::ToHost(h, epoch, input));
        }
    }

    /// host-watchdog to container-watchdog.
    pub fn host_to_child(&mut self, h: usize, to: &Peer, envelope: Envelope) {
        if !self.hosts[h].child.exists() || to.connection != self.hosts[h].child.epoch {
            let input = HostInput::Children(BackendInput::NotSent {
                peer: to.clone(),
                seq: envelope.header.seq,
            });
            let epoch = self.hosts[h].host.epoch;
            return self.after(Duration::from_micros(50), Happening::ToHost(h, epoch, input));
        }
        if self.hosts[h].below && self.holds_order_back(h, &envelope) {
            return;
        }
        let (epoch, bad) = (self.hosts[h].child.epoch, self.hosts[h].ipc_bad_until);
        let usual = self.rng.millis(0, 2) + Duration::from_micros(100);
        let fate = self.fate(usual, bad, IPC_DOWN);
        for at in self.arrivals(Node::Host(h), Node::Child(h), &fate) {
            if let Some(input) = self.child_input(envelope.clone()) {
                self.at(at, Happening::ToChild(h, epoch, input));
            }
        }
    }

    /// host-watchdog to manager.
    pub fn host_sends(&mut self, h: usize, envelope: Envelope) {
        if let Message::OrderResult(answer) = &envelope.message
            && self.is_for_host(h, answer)
        {
            self.check_order_answer(Node::Host(h), answer);
        }
        if matches!(envelope.message, Message::Goodbye(_)) {
            self.hosts[h].goodbye_said = self.now;
        }
        match &envelope.message {
            Message::Goodbye(Goodbye::Restart { back_within }) => {
                self.hosts[h].goodbye_until = self.now + *back_within;
            }
            Message::Goodbye(_) => self.hosts[h].goodbye_until = Moment::FAR_FUTURE,
            _ => {}
        }
        let (epoch, connection, seq) = (self.hosts[h].host.epoch, self.hosts[h].connection, envelope.header.seq);
        if !self.manager.exists() {
            let input = HostInput::Link(FrontendInput::NotSent { seq });
            return self.after(Duration::from_micros(50), Happening::ToHost(h, epoch, input));
        }
        if self.now < self.hosts[h].cut_until {
            return self.counted("frame_lost");
        }
        if let Some(held) = &mut self.hosts[h].backlog {
            held.push(envelope);
            return;
        }
        let usual = self.rng.millis(1, 5);
        let fate = self.fate(usual, self.bad_network_until, UP);
        for at in self.arrivals(Node::Host(h), Node::Manager, &fate) {
            let mut copy = envelope.clone();
            self.judge_by_receipt(h, at, &mut copy);
            self.at(at, Happening::FrameUp(h, connection, copy));
        }
    }

    /// manager to host-watchdog.
    pub fn manager_sends(&mut self, to: &Peer, envelope: Envelope) {
        let Some(h) = self.host_of(to.name.as_str()) else {
            return;
        };
        if self.now < self.hosts[h].cut_until {
            return self.counted("frame_lost_down");
        }
        if !self.hosts[h].host.exists() || self.hosts[h].connection != to.connection {
            let input = ManagerInput::Hosts(BackendInput::NotSent {
                peer: to.clone(),
                seq: envelope.header.seq,
            });
            let epoch = self.manager.epoch;
            return self.after(Duration::from_micros(50), Happening::ToManager(epoch, input));
        }
        if !self.hosts[h].below && self.holds_order_back(h, &envelope) {
            return;
        }
        let usual = self.rng.millis(1, 5);
        let fate = self.fate(usual, self.bad_network_until, DOWN);
        let epoch = self.hosts[h].host.epoch;
        for at in self.arrivals(Node::Manager, Node::Host(h), &fate) {
            if let Some(input) = self.host_input(h, envelope.clone()) {
                self.at(at, Happening::ToHost(h, epoch, input));
            }
        }
    }
}
