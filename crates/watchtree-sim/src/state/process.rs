//! A daemon's process in the simulated world: it runs, freezes, dies and starts again around a core machine.
//!
//! This is the synchronous twin of `watchtree-runtime`'s drive loop and keeps its order: the own stall is told
//! first, then what waited, then what has become due. Moments passed in are the world's; the machine sees its own boot's clock.

use super::clock::{local, world};
use watchtree_core::machine::Machine;
use watchtree_core::time::{Duration, Moment};

/// A gap longer than this is told to the machine, as the real loop does.
pub const STALL_MIN: Duration = Duration::from_secs(1);

/// A process, or the place of one.
pub struct Process<M: Machine> {
    machine: Option<M>,
    epoch: u64,
    frozen_since: Option<Moment>,
    /// When the clock that it sees began.
    zero: Moment,
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
            zero: Moment::ZERO,
            waiting: Vec::new(),
            wake: None,
        }
    }

    /// Puts a new process there, on a machine whose clock began at `zero`.
    pub fn start(&mut self, zero: Moment, make: impl FnOnce(u64) -> M) {
        self.epoch += 1;
        self.zero = zero;
        self.machine = Some(make(self.epoch));
        self.frozen_since = None;
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

    /// SIGSTOP. True if it ran.
    pub fn freeze(&mut self, now: Moment) -> bool {
        let ran = self.runs();
        if ran {
            self.frozen_since = Some(now);
        }
        ran
    }

    /// SIGCONT: tells the stall where it was long, drains what waited, lets due things happen. How long it was.
    pub fn thaw(&mut self, now: Moment, stalled: impl FnOnce(Duration) -> M::Input) -> Option<Duration> {
        let since = self.frozen_since.take()?;
        let machine = self.machine.as_mut()?;
        let at = local(self.zero, now);
        let gap = now.since(since);
        if STALL_MIN < gap {
            machine.handle(at, stalled(gap));
        }
        for input in self.waiting.drain(..) {
            machine.handle(at, input);
        }
        machine.handle_timeout(at);
        Some(gap)
    }

    /// Forgets what waits for a frozen process: who sent it dropped it.
    pub fn drop_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The machine, to read from.
    pub fn machine(&self) -> Option<&M> {
        self.machine.as_ref()
    }

    /// Takes the machine out; the place is empty from here on.
    pub fn take(&mut self) -> Option<M> {
        self.machine.take()
    }

    /// Grows with each start; inputs of an older one are dropped.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Hands in an input, or keeps it while frozen.
    pub fn give(&mut self, now: Moment, epoch: u64, input: M::Input) {
        if epoch != self.epoch {
            return;
        }
        match (&mut self.machine, self.frozen_since) {
            (Some(machine), None) => machine.handle(local(self.zero, now), input),
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
        let now = local(self.zero, now);
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
        let deadline = world(self.zero, self.machine.as_ref()?.next_deadline()?).max(now);
        if self.wake.is_some_and(|wake| wake <= deadline) {
            return None;
        }
        self.wake = Some(deadline);
        Some(deadline)
    }
}
