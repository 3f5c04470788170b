//! The simulated fleet: one manager, a few hosts with one engine each, the wires between them, and virtual time.
//!
//! One queue of happenings, soonest first; each is handed to a process or to an engine, and what comes out is put back
//! into the queue. The very same machines run here as in the daemons. `perform` carries out their effects, `inject`
//! lets faults happen, `invariant` checks the rules while it runs.

use crate::engine::{Asker, Due, Out};
use crate::fault::{Counts, Fault};
use crate::orders::Orders;
use crate::place::HostWorld;
use crate::process::Process;
use crate::rng::Rng;
use std::collections::BTreeMap;
use watchtree_core::backend::Peer;
use watchtree_core::container::io::{ContainerInput, EngineCall, EngineError, EngineEvent, Ticket};
use watchtree_core::host::io::HostInput;
use watchtree_core::id::NodeName;
use watchtree_core::incident::Incident;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::{KnownHost, ManagerInput};
use watchtree_core::message::{Envelope, Message};
use watchtree_core::time::{Duration, Moment};

/// A caller waits this long for inspect, as `watchtree-docker` does.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);
/// How often an inspect that waits looks whether the start before it is over.
const LOCK_ASKED_EVERY: Duration = Duration::from_millis(20);

/// Defects that can be switched on to prove that the invariants catch them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// Frames are judged by when they come, not by when they were sent.
    TimerResetOnReceipt,
    /// A restarted container-watchdog has forgotten what its containers were charged.
    BudgetForgotten,
    /// A call whose answer was lost is posted again.
    PostedAgain,
}

/// Which process.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Node {
    /// The manager-watchdog.
    Manager,
    /// The host-watchdog of that host.
    Host(usize),
    /// The container-watchdog of that host.
    Child(usize),
}

/// What happens at some moment.
pub enum Happening {
    /// A timer rings.
    Ring(Node),
    /// An input for the manager of that epoch.
    ToManager(u64, ManagerInput),
    /// An input for a host-watchdog of that epoch.
    ToHost(usize, u64, HostInput),
    /// An input for a container-watchdog of that epoch.
    ToChild(usize, u64, ContainerInput),
    /// The event stream opens.
    StreamOpens(usize, u64, u64, Option<watchtree_core::container::io::EngineTime>),
    /// An event arrives on that subscription.
    EventArrives(usize, u64, EngineEvent),
    /// The engine reads out its list.
    ListRead(usize, u64),
    /// The engine looks at a container.
    InspectRead(usize, u64, String, Moment),
    /// The stop mark is read.
    MarkRead(usize, u64, String),
    /// A call reaches the engine.
    CallArrives(usize, String, EngineCall, Asker),
    /// A call's deadline.
    CallDeadline(usize, u64, Ticket),
    /// The connection of a call breaks.
    ConnectionBreaks(usize, (u64, u64)),
    /// The engine goes down with its machine.
    EngineStops(usize),
    /// The engine does what it put off.
    EngineDue(usize, Due),
    /// A host's frame reaches the manager's machine.
    FrameUp(usize, u64, Envelope),
    /// A process is started.
    Start(Node),
    /// A process is killed.
    Kill(Node),
    /// A process thaws, if it is still that one.
    Thaw(Node, u64),
    /// A machine gets its power back.
    PowerOn(usize),
    /// Orders that were held back arrive.
    OrdersReleased(usize),
    /// A held-back frame is let through.
    Trickle(usize),
    /// That process tries whether the disk takes its journal again.
    JournalAgain(usize, u64),
    /// A fault.
    Fault(Fault),
    /// How long containers may stay failed is checked.
    Check,
}

/// What the manager's store holds.
#[derive(Default)]
pub struct Store {
    /// Known hosts.
    pub hosts: BTreeMap<NodeName, KnownHost>,
    /// Open incidents.
    pub incidents: BTreeMap<u64, Incident>,
    /// The next incident's number.
    pub next_incident: u64,
}

/// See the top of this file.
pub struct World {
    /// Virtual time.
    pub now: Moment,
    queue: BTreeMap<(Moment, u64), Happening>,
    count: u64,
    /// Chance of the wires.
    pub rng: Rng,
    /// The manager.
    pub manager: Process<ManagerAgent>,
    /// Its disk.
    pub store: Store,
    /// The hosts.
    pub hosts: Vec<HostWorld>,
    /// What people asked for.
    pub orders: Orders,
    /// What went wrong so far, by kind.
    pub counts: Counts,
    /// Frames are lost, late or doubled until then.
    pub bad_network_until: Moment,
    /// A switched-on defect.
    pub bug: Option<Bug>,
    /// First-in-first-out per wire.
    last_delivery: BTreeMap<(Node, Node), Moment>,
    /// From here on no new faults begin.
    pub calm_from: Moment,
    /// The seed, for messages.
    pub seed: u64,
    /// The invariant that broke first, if one did.
    pub broken: Option<String>,
    /// Steps taken.
    pub steps: u64,
    /// The faults that really happened, for the report of a broken run.
    pub story: Vec<(Moment, Fault)>,
}

impl World {
    /// A fleet that has just been switched on.
    pub fn new(seed: u64, hosts: usize, containers: usize, bug: Option<Bug>) -> Self {
        let mut rng = Rng::new(seed);
        let now = Moment::from_millis(1_000_000);
        let hosts = (0..hosts)
            .map(|i| HostWorld::new(now, i, containers, rng.fork()))
            .collect();
        let mut world = Self {
            now,
            queue: BTreeMap::new(),
            count: 0,
            rng: rng.fork(),
            manager: Process::empty(),
            store: Store {
                next_incident: 1,
                ..Store::default()
            },
            hosts,
            orders: Orders::default(),
            counts: Counts::new(),
            bad_network_until: Moment::ZERO,
            bug,
            last_delivery: BTreeMap::new(),
            calm_from: Moment::FAR_FUTURE,
            seed,
            broken: None,
            steps: 0,
            story: Vec::new(),
        };
        world.at(now, Happening::Start(Node::Manager));
        for h in 0..world.hosts.len() {
            world.after(
                Duration::from_millis(20 + 30 * h as u64),
                Happening::Start(Node::Host(h)),
            );
        }
        world.after(Duration::from_millis(250), Happening::Check);
        world
    }

    /// Puts a happening into the queue.
    pub fn at(&mut self, when: Moment, what: Happening) {
        self.count += 1;
        self.queue.insert((when.max(self.now), self.count), what);
    }

    /// The same, some time from now.
    pub fn after(&mut self, by: Duration, what: Happening) {
        self.at(self.now + by, what);
    }

    /// When something sent now over a wire arrives: later than whatever was sent before over it.
    pub fn wire(&mut self, from: Node, to: Node, delay: Duration) -> Moment {
        let sooner = self.last_delivery.get(&(from, to)).copied().unwrap_or(Moment::ZERO);
        let at = (self.now + delay).max(sooner + Duration::from_micros(1));
        self.last_delivery.insert((from, to), at);
        at
    }

    /// What an engine had put off, and calls on their way to it, are gone with its power.
    pub fn forget_engine_work(&mut self, h: usize) {
        self.queue.retain(|_, what| match what {
            Happening::EngineDue(host, _) | Happening::CallArrives(host, ..) => *host != h,
            _ => true,
        });
    }

    /// Counts a fault that really happened.
    pub fn counted(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Notes the first broken invariant.
    pub fn breaks(&mut self, invariant: &str, why: String) {
        if self.broken.is_none() {
            self.broken = Some(format!("{invariant}: {why} (seed {}, at {})", self.seed, self.now));
        }
    }

    /// Lets time pass until `end` or until an invariant breaks.
    pub fn run_until(&mut self, end: Moment) {
        while self.broken.is_none() {
            match self.queue.first_key_value() {
                Some((&(when, _), _)) if when <= end => {}
                _ => break,
            }
            let ((when, _), what) = self.queue.pop_first().expect("just seen");
            self.now = when;
            self.steps += 1;
            self.happen(what);
            self.check_step();
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, what: Happening) {
        let now = self.now;
        match what {
            Happening::Ring(node) => self.ring(node),
            Happening::ToManager(epoch, input) => {
                self.manager.give(now, epoch, input);
                self.settle(Node::Manager);
            }
            Happening::ToHost(h, epoch, input) => {
                self.note_host_input(h, &input);
                self.hosts[h].host.give(now, epoch, input);
                self.settle(Node::Host(h));
            }
            Happening::ToChild(h, epoch, input) => {
                self.note_child_input(h, &input);
                self.hosts[h].child.give(now, epoch, input);
                self.settle(Node::Child(h));
            }
            Happening::StreamOpens(h, epoch, number, since) => self.stream_opens(h, epoch, number, since),
            Happening::EventArrives(h, number, event) => {
                if self.hosts[h].subscription == (number, true) {
                    let epoch = self.hosts[h].child.epoch;
                    self.note_told(h, &event);
                    self.hosts[h].child.give(now, epoch, ContainerInput::Event(event));
                    self.settle(Node::Child(h));
                }
            }
            Happening::ListRead(h, epoch) => {
                let list = match self.now < self.hosts[h].engine_ill_until {
                    true => Err(EngineError::Deadline),
                    false => Ok(self.hosts[h].engine.list()),
                };
                self.happen(Happening::ToChild(h, epoch, ContainerInput::Listed(list)));
            }
            Happening::InspectRead(h, epoch, id, asked) => {
                let late = INSPECT_WITHIN <= self.now.since(asked);
                if !late && self.hosts[h].engine.is_starting(&id) {
                    return self.after(LOCK_ASKED_EVERY, Happening::InspectRead(h, epoch, id, asked));
                }
                let result = match late || self.now < self.hosts[h].engine_ill_until {
                    true => Err(EngineError::Deadline),
                    false => self.hosts[h].engine.inspect(&id),
                };
                self.happen(Happening::ToChild(h, epoch, ContainerInput::Inspected { id, result }));
            }
            Happening::MarkRead(h, epoch, id) => {
                let manually_stopped = self.hosts[h].engine.stop_mark(&id);
                self.happen(Happening::ToChild(
                    h,
                    epoch,
                    ContainerInput::StopMark { id, manually_stopped },
                ));
            }
            Happening::CallArrives(h, id, call, asker) => self.call_arrives(h, &id, call, asker),
            Happening::CallDeadline(h, epoch, ticket) => self.call_deadline(h, epoch, ticket),
            Happening::ConnectionBreaks(h, by) => self.connection_breaks_midway(h, by),
            Happening::EngineStops(h) => {
                if self.hosts[h].powered {
                    self.hosts[h].engine.shut_down(now);
                    self.engine_speaks(h);
                }
            }
            Happening::EngineDue(h, due) => {
                if self.hosts[h].powered {
                    self.hosts[h].engine.due(now, due);
                    self.engine_speaks(h);
                }
            }
            Happening::FrameUp(h, connection, envelope) => self.frame_up(h, connection, envelope),
            Happening::Start(node) => self.start(node),
            Happening::Kill(node) => self.kill(node),
            Happening::Thaw(node, epoch) => self.thaw(node, epoch),
            Happening::PowerOn(h) => self.power_on(h),
            Happening::OrdersReleased(h) => self.release_orders(h),
            Happening::Trickle(h) => self.trickle(h),
            Happening::JournalAgain(h, epoch) => self.journal_again(h, epoch),
            Happening::Fault(fault) => self.inject(fault),
            Happening::Check => {
                self.check_repairs();
                self.after(Duration::from_millis(250), Happening::Check);
            }
        }
    }

    fn ring(&mut self, node: Node) {
        let now = self.now;
        match node {
            Node::Manager => self.manager.ring(now, "manager"),
            Node::Host(h) => self.hosts[h].host.ring(now, "host"),
            Node::Child(h) => self.hosts[h].child.ring(now, "container"),
        }
        self.settle(node);
    }

    /// Carries out what a process wants done and sets its timer.
    pub fn settle(&mut self, node: Node) {
        let armed = match node {
            Node::Manager => {
                while let Some(effect) = self.manager.poll() {
                    self.manager_effect(effect);
                }
                self.manager.arm(self.now)
            }
            Node::Host(h) => {
                while let Some(effect) = self.hosts[h].host.poll() {
                    self.host_effect(h, effect);
                }
                self.hosts[h].host.arm(self.now)
            }
            Node::Child(h) => {
                while let Some(effect) = self.hosts[h].child.poll() {
                    self.child_effect(h, effect);
                }
                self.hosts[h].child.arm(self.now)
            }
        };
        if let Some(when) = armed {
            self.at(when, Happening::Ring(node));
        }
    }

    fn stream_opens(
        &mut self,
        h: usize,
        epoch: u64,
        number: u64,
        since: Option<watchtree_core::container::io::EngineTime>,
    ) {
        if self.hosts[h].child.epoch != epoch || self.hosts[h].subscription.0 != number || !self.hosts[h].powered {
            return;
        }
        self.hosts[h].subscription.1 = true;
        self.hosts[h].opened = self.now;
        self.hosts[h].child.give(self.now, epoch, ContainerInput::StreamOpened);
        let remembered = since
            .map(|since| self.hosts[h].engine.remembered(since))
            .unwrap_or_default();
        for event in remembered {
            self.event_to_child(h, event);
        }
        self.settle(Node::Child(h));
    }

    /// Passes on what an engine said: events to whoever listens, answers to whoever asked.
    pub fn engine_speaks(&mut self, h: usize) {
        for out in self.hosts[h].engine.drain() {
            match out {
                Out::Event(event) => self.event_to_child(h, event),
                Out::Answered(asker, result) => self.call_answered(h, asker, result),
                Out::Later(when, due) => self.at(when, Happening::EngineDue(h, due)),
            }
        }
    }

    fn event_to_child(&mut self, h: usize, event: EngineEvent) {
        if self.hosts[h].subscription.1 {
            let delay = self.rng.millis(1, 5);
            // The engine writes events and answers to two sockets; only events keep their order among themselves.
            let at = self.wire(Node::Child(h), Node::Child(h), delay);
            let number = self.hosts[h].subscription.0;
            self.at(at, Happening::EventArrives(h, number, event));
        }
    }

    fn frame_up(&mut self, h: usize, connection: u64, envelope: Envelope) {
        let peer = Peer {
            name: self.hosts[h].name.clone(),
            connection,
        };
        let epoch = self.manager.epoch;
        if self.manager.runs() {
            let hello = matches!(envelope.message, Message::Hello(_));
            let under_way = self.now.since(envelope.header.slot);
            let of = (epoch, self.hosts[h].boots);
            self.hosts[h].heard.note(of, hello, under_way);
            // Not one that was said before the goodbye and comes after it was said.
            if hello && self.hosts[h].goodbye_said < envelope.header.sent {
                self.hosts[h].goodbye_until = Moment::ZERO;
            }
        }
        let input = ManagerInput::Hosts(watchtree_core::backend::BackendInput::Received { peer, envelope });
        self.happen(Happening::ToManager(epoch, input));
    }
}
