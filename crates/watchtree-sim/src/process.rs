//! A daemon's process in the simulated world: it runs, freezes, dies and starts again around a core machine.
//!
//! This is the synchronous twin of `watchtree-runtime`'s drive loop and keeps its order: what waits is handed in first,
//! then the own stall, then what has become due.

use watchtree_core::machine::Machine;
use watchtree_core::time::{Duration, Moment};

/// A gap longer than this is told to the machine, as the real loop does.
const STALL_MIN: Duration = Duration::from_secs(1);

/// A process, or the place of one.
pub struct Process<M: Machine> {
    /// The running machine; `None` = dead.
    pub machine: Option<M>,
    /// Grows with each start; inputs of an older one are dropped.
    pub epoch: u64,
    /// Since when it is frozen.
    pub frozen_since: Option<Moment>,
    /// When it last started or thawed from a stall that it is told of.
    pub well_since: Moment,
    /// When it last thawed, and how long it had been frozen: also where that was too short for it to be told.
    pub thawed: (Moment, Duration),
    waiting: Vec<M::Input>,
    wake: Option<Moment>,
}

impl<M: Machine> Process<M> {
    /// A place without a process.
    pub fn empty() -> Self {
        Self {
            machine: None,
            epoch: 0,
            frozen_since: None,
            well_since: Moment::ZERO,
            thawed: (Moment::ZERO, Duration::ZERO),
            waiting: Vec::new(),
            wake: None,
        }
    }

    /// Puts a new process there.
    pub fn start(&mut self, now: Moment, make: impl FnOnce(u64) -> M) {
        self.epoch += 1;
        self.machine = Some(make(self.epoch));
        self.frozen_since = None;
        self.well_since = now;
        self.waiting.clear();
        self.wake = None;
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.machine = None;
        self.frozen_since = None;
        self.waiting.clear();
        self.wake = None;
    }

    /// True if it exists, frozen or not.
    pub fn exists(&self) -> bool {
        self.machine.is_some()
    }

    /// True if it exists and runs.
    pub fn runs(&self) -> bool {
        self.machine.is_some() && self.frozen_since.is_none()
    }

    /// SIGSTOP.
    pub fn freeze(&mut self, now: Moment) {
        if self.machine.is_some() && self.frozen_since.is_none() {
            self.frozen_since = Some(now);
        }
    }

    /// SIGCONT: drains what waited, tells the stall, lets due things happen.
    pub fn thaw(&mut self, now: Moment, stalled: impl FnOnce(Duration) -> M::Input) {
        let Some(since) = self.frozen_since.take() else { return };
        let Some(machine) = self.machine.as_mut() else { return };
        for input in self.waiting.drain(..) {
            machine.handle(now, input);
        }
        let gap = now.since(since);
        self.thawed = (now, gap);
        if STALL_MIN < gap {
            self.well_since = now;
            machine.handle(now, stalled(gap));
        }
        machine.handle_timeout(now);
    }

    /// Hands in an input, or keeps it while frozen.
    pub fn give(&mut self, now: Moment, epoch: u64, input: M::Input) {
        if epoch != self.epoch {
            return;
        }
        match (&mut self.machine, self.frozen_since) {
            (Some(machine), None) => machine.handle(now, input),
            (Some(_), Some(_)) => self.waiting.push(input),
            (None, _) => {}
        }
    }

    /// The timer rang. Panics if a due deadline stays due: that would spin.
    pub fn ring(&mut self, now: Moment, who: &str) {
        self.wake = None;
        if self.frozen_since.is_some() {
            return;
        }
        let Some(machine) = self.machine.as_mut() else { return };
        machine.handle_timeout(now);
        if let Some(deadline) = machine.next_deadline() {
            assert!(
                now < deadline,
                "deadline_moves: {who} at {now} still wants to be woken at {deadline}"
            );
        }
    }

    /// The next effect.
    pub fn poll(&mut self) -> Option<M::Effect> {
        if self.frozen_since.is_some() {
            return None;
        }
        self.machine.as_mut().and_then(Machine::poll_effect)
    }

    /// When the timer should ring, if that is sooner than what is set already.
    pub fn arm(&mut self, now: Moment) -> Option<Moment> {
        if !self.runs() {
            return None;
        }
        let deadline = self.machine.as_ref()?.next_deadline()?.max(now);
        if self.wake.is_some_and(|wake| wake <= deadline) {
            return None;
        }
        self.wake = Some(deadline);
        Some(deadline)
    }
}
