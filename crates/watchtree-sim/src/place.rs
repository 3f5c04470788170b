//! One simulated host: its engine, its processes, what is on its disk, and what faults did to it.

use crate::book::Book;
use crate::engine::Engine;
use crate::invariant::Trouble;
use crate::orders::Told;
use crate::process::Process;
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::container::ContainerAgent;
use watchtree_core::container::record::Recovered;
use watchtree_core::host::HostAgent;
use watchtree_core::id::NodeName;
use watchtree_core::message::Envelope;
use watchtree_core::time::{Duration, Moment};

/// See the top of this file.
pub struct HostWorld {
    /// Its name.
    pub name: NodeName,
    /// Its engine.
    pub engine: Engine,
    /// Its host-watchdog.
    pub host: Process<HostAgent>,
    /// Its container-watchdog.
    pub child: Process<ContainerAgent>,
    /// The journal, as its writer knows it.
    pub journal: Recovered,
    /// What is on disk of it, where the disk has refused what came after that.
    pub disk: Option<Recovered>,
    /// The disk takes nothing until then.
    pub disk_full_until: Moment,
    /// What the invariants remember.
    pub book: Book,
    /// The containers that are not well.
    pub trouble: BTreeMap<usize, Trouble>,
    /// When the event stream last opened.
    pub opened: Moment,
    /// False while the power is off.
    pub powered: bool,
    /// Boots so far.
    pub boots: u64,
    /// Process id of the container-watchdog.
    pub pid: u32,
    /// The present subscription, and whether it is open.
    pub subscription: (u64, bool),
    /// Calls not answered yet.
    pub calls: BTreeSet<(u64, u64)>,
    /// The connection of the next call to this container breaks while the call is under way.
    pub break_call: Option<usize>,
    /// Answers to lose.
    pub lose_answers: u32,
    /// Frames to the manager are held back until then.
    pub backlog: Option<Vec<Envelope>>,
    /// Held-back frames that trickle out.
    pub held: Vec<Envelope>,
    /// No frame passes until then.
    pub cut_until: Moment,
    /// Since when the manager cannot have heard it in truth: it does not run, or nothing passes.
    pub silent_since: Option<Moment>,
    /// Does its kernel answer a look from outside, in truth, and since when is that so?
    pub answers: (bool, Moment),
    /// Frames between its two watchdogs are lost, late or doubled until then.
    pub ipc_bad_until: Moment,
    /// Lists, looks and probes of its engine get no answer until then.
    pub engine_ill_until: Moment,
    /// The machine goes down; this process of its container-watchdog was told of it then.
    pub going_down: Option<(u64, Moment)>,
    /// Its host-watchdog was asked to stop and comes back this long after it did.
    pub back_after: Option<Duration>,
    /// It said goodbye: until then, or until it is back, its absence is no silence.
    pub goodbye_until: Moment,
    /// When it said so.
    pub goodbye_said: Moment,
    /// Orders are held back until then, on the way to this host or, with `below`, from its host-watchdog to its child.
    pub orders_held_until: Moment,
    /// See `orders_held_until`.
    pub below: bool,
    /// Those.
    pub held_orders: Vec<Envelope>,
    /// Terms its watchdogs were told of.
    pub told: Told,
    /// When its container-watchdog last got the order to retry something.
    pub retried: Moment,
    /// When it was last touched by anything that excuses a suspicion.
    pub troubled: Moment,
    /// When the engine last forgot its events.
    pub forgot: Moment,
    /// When the container-watchdog was last frozen or killed by a fault.
    pub child_hurt: Moment,
    /// A person will stop this container while its repair is under way.
    pub ambush: Option<usize>,
    /// Of the up-link: grows with every reconnect.
    pub connection: u64,
    /// What the manager can know of this host's clock.
    pub heard: Heard,
    /// Offset by which the bug `TimerResetOnReceipt` shifts slots.
    pub slot_shift: Option<(Moment, Moment)>,
}

impl HostWorld {
    /// Host number `i`: its machine runs, its watchdogs do not yet.
    pub fn new(now: Moment, i: usize, containers: usize, rng: Rng) -> Self {
        Self {
            name: NodeName::new(&format!("h{}", i + 1)).expect("a short plain name"),
            engine: Engine::new(now, i, containers, rng),
            host: Process::empty(),
            child: Process::empty(),
            journal: Recovered::default(),
            disk: None,
            disk_full_until: Moment::ZERO,
            book: Book::default(),
            trouble: BTreeMap::new(),
            opened: now,
            powered: true,
            boots: 1,
            pid: 1000 * (i as u32 + 1),
            subscription: (0, false),
            calls: BTreeSet::new(),
            break_call: None,
            lose_answers: 0,
            backlog: None,
            held: Vec::new(),
            cut_until: Moment::ZERO,
            silent_since: Some(now),
            answers: (true, now),
            ipc_bad_until: Moment::ZERO,
            engine_ill_until: Moment::ZERO,
            going_down: None,
            back_after: None,
            goodbye_until: Moment::ZERO,
            goodbye_said: Moment::ZERO,
            orders_held_until: Moment::ZERO,
            below: false,
            held_orders: Vec::new(),
            told: Told::default(),
            retried: Moment::ZERO,
            troubled: now,
            forgot: Moment::ZERO,
            child_hurt: now,
            ambush: None,
            connection: 0,
            heard: Heard::default(),
            slot_shift: None,
        }
    }

    /// Until when faults of this host kept its container-watchdog from seeing and acting.
    pub fn excused(&self, now: Moment) -> Moment {
        if !self.subscription.1 {
            return now;
        }
        let answered = self.engine_ill_until.min(now);
        self.opened.max(self.child.well_since).max(self.forgot).max(answered)
    }

    /// Notes, after each step, since when the manager can hear it, and since when its kernel answers.
    pub fn note_reach(&mut self, now: Moment) {
        let open = self.cut_until <= now;
        let heard = self.host.runs() && open && self.backlog.is_none();
        match (heard, self.silent_since) {
            (true, Some(_)) => self.silent_since = None,
            (false, None) => self.silent_since = Some(now),
            _ => {}
        }
        let answers = self.powered && open;
        if self.answers.0 != answers {
            self.answers = (answers, now);
        }
    }
}

/// How promptly the manager has heard a host, in its own present life and in the host's present boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// The manager's epoch and the host's boot that this is about.
    of: (u64, u64),
    /// The shortest time a frame was under way, from the first Hello on. No more can be known of the host's clock: if every
    /// frame since the manager's start was held back that long, the host seems that much younger than it is.
    shortest: Option<Duration>,
}

impl Heard {
    /// By how much the silence of that host must stay unseen at least.
    pub fn unknowable(&self, of: (u64, u64)) -> Duration {
        self.shortest.filter(|_| self.of == of).unwrap_or_default()
    }

    /// A frame came, that long after it was sent.
    pub fn note(&mut self, of: (u64, u64), hello: bool, under_way: Duration) {
        if self.of != of {
            *self = Self { of, shortest: None };
        }
        if hello || self.shortest.is_some() {
            self.shortest = Some(self.shortest.map_or(under_way, |known| known.min(under_way)));
        }
    }
}
