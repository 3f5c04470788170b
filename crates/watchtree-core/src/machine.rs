//! The one grammar of every machine in this crate.
//!
//! The driver repeats: pass what waits to `handle`, call `handle_timeout`, perform every effect in order, then wait for
//! an input or for `next_deadline`. Early, late and double wake-ups are harmless. `now` never goes back.

use crate::time::Moment;

/// A state machine without I/O. Equal inputs at equal moments give equal effects.
pub trait Machine {
    /// What it may be told.
    type Input;
    /// What it wants done. Plain data; performing it never blocks the driver.
    type Effect;

    /// Takes one input at `now`.
    fn handle(&mut self, now: Moment, input: Self::Input);
    /// Does what has become due. A no-op when nothing is due.
    fn handle_timeout(&mut self, now: Moment);
    /// The next thing to do, in order, until `None`.
    fn poll_effect(&mut self) -> Option<Self::Effect>;
    /// When `handle_timeout` wants to be called next; `None` = not before the next input.
    fn next_deadline(&self) -> Option<Moment>;
}
