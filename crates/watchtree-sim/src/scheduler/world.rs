//! The simulated world of one run: machines, the wires between them, one time and one queue. Plain state with the few steps
//! that all of the scheduler shares; what happens next is decided elsewhere in this room.

use crate::log::{Node, Observation, Seen};
use crate::rng::Rng;
use crate::scheduler::event::SimEvent;
use crate::scheduler::fault::{Counts, Fault};
use crate::scheduler::host::Host;
use crate::scheduler::orders::Orders;
use crate::scheduler::sabotage::Bug;
use crate::state::engine::Engine;
use crate::state::process::Process;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::id::NodeName;
use watchtree_core::incident::Incident;
use watchtree_core::manager::ManagerAgent;
use watchtree_core::manager::io::KnownHost;
use watchtree_core::time::{Duration, Moment};

/// Parts of the way between a watchdog and its engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hop {
    Subscribe,
    Event,
    List,
    Inspect,
    Call,
    Answer,
}

/// How long those take.
#[derive(Clone, Debug)]
pub(crate) enum Delays {
    /// Drawn.
    Drawn,
    /// The same each time.
    Exact,
}

/// What the manager's store holds.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) hosts: BTreeMap<NodeName, KnownHost>,
    pub(crate) incidents: BTreeMap<u64, Incident>,
    pub(crate) next_incident: u64,
}

/// See the top of this file.
pub struct World {
    pub(crate) now: Moment,
    queue: BTreeMap<(Moment, u64), SimEvent>,
    count: u64,
    pub(crate) rng: Rng,
    pub(crate) delays: Delays,
    pub(crate) manager: Process<ManagerAgent>,
    pub(crate) store: Store,
    pub(crate) hosts: Vec<Host>,
    pub(crate) orders: Orders,
    /// What went wrong so far, by kind.
    pub(crate) counts: Counts,
    /// Frames to and from the manager are lost, late or doubled until then.
    pub(crate) bad_network_until: Moment,
    /// From here on no new faults begin.
    pub(crate) calm_from: Moment,
    /// Where a planted defect has the manager hear nobody: since when.
    pub(crate) deaf_since: Option<Moment>,
    /// A planted defect.
    pub(crate) bug: Option<Bug>,
    /// First-in-first-out per wire of a machine.
    last_delivery: BTreeMap<(Node, Node), Moment>,
    /// Processes whose effects are to be carried out, and engines that may have something to say.
    pub(crate) unsettled: BTreeSet<Node>,
    pub(crate) engines: BTreeSet<usize>,
    log: Vec<Seen>,
    /// The faults that really happened, in order.
    pub(crate) story: Vec<(Moment, Fault)>,
}

impl World {
    /// A world without hosts, at a moment long after its beginning.
    pub(crate) fn new(mut rng: Rng, delays: Delays, bug: Option<Bug>) -> Self {
        Self {
            now: Moment::from_millis(20_000_000),
            queue: BTreeMap::new(),
            count: 0,
            rng: rng.fork(),
            delays,
            manager: Process::empty(),
            store: Store {
                next_incident: 1,
                ..Store::default()
            },
            hosts: Vec::new(),
            orders: Orders::default(),
            counts: Counts::new(),
            bad_network_until: Moment::ZERO,
            calm_from: Moment::FAR_FUTURE,
            deaf_since: None,
            bug,
            last_delivery: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            engines: BTreeSet::new(),
            log: Vec::new(),
            story: Vec::new(),
        }
    }

    /// Puts an event into the queue.
    pub(crate) fn at(&mut self, when: Moment, what: SimEvent) {
        self.count += 1;
        self.queue.insert((when.max(self.now), self.count), what);
    }

    /// The same, some time from now.
    pub(crate) fn after(&mut self, by: Duration, what: SimEvent) {
        self.at(self.now + by, what);
    }

    /// The soonest event that is due by then; time has come to it.
    pub(crate) fn next_by(&mut self, end: Moment) -> Option<SimEvent> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= end)?;
        let ((when, _), what) = entry.remove_entry();
        self.now = when;
        Some(what)
    }

    /// Drops the events of that kind.
    pub(crate) fn drop_events(&mut self, kind: impl Fn(&SimEvent) -> bool) {
        self.queue.retain(|_, what| !kind(what));
    }

    /// When something sent now over a wire arrives: later than whatever was sent before over it.
    pub(crate) fn wire(&mut self, from: Node, to: Node, delay: Duration) -> Moment {
        let sooner = self.last_delivery.get(&(from, to)).copied().unwrap_or(Moment::ZERO);
        let at = (self.now + delay).max(sooner + Duration::from_micros(1));
        self.last_delivery.insert((from, to), at);
        at
    }

    /// How long that part of the way to the engine takes this time.
    pub(crate) fn takes(&mut self, hop: Hop) -> Duration {
        let (low, high, exact) = match hop {
            Hop::Subscribe => (2, 6, 2),
            Hop::Event => (1, 5, 3),
            Hop::List => (5, 20, 2),
            Hop::Inspect => (1, 4, 2),
            Hop::Call => (1, 3, 1),
            Hop::Answer => (1, 3, 1),
        };
        match self.delays {
            Delays::Drawn => self.rng.millis(low, high),
            Delays::Exact => Duration::from_millis(exact),
        }
    }

    /// Writes down what is to be seen.
    pub(crate) fn saw(&mut self, what: Observation) {
        self.log.push(Seen { at: self.now, what });
    }

    /// What was to be seen since the last call.
    pub(crate) fn drain_log(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.log)
    }

    /// The world's time.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// What went wrong so far, by kind.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The faults that really happened, in order.
    pub(crate) fn story(&self) -> Vec<String> {
        self.story
            .iter()
            .map(|(when, fault)| format!("{when} {fault:?}"))
            .collect()
    }

    /// Counts a fault that really happened.
    pub(crate) fn counted(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// The engine of a host, to act on: what comes of it is heard when the step is over.
    pub(crate) fn engine(&mut self, h: usize) -> &mut Engine {
        self.engines.insert(h);
        &mut self.hosts[h].engine
    }

    /// The host of that name.
    pub(crate) fn host_of(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.name.as_str() == name)
    }
}
