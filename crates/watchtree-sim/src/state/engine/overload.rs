//! When the engine's machine was overloaded last, and how much of a time before now that was. Does not know what follows from it.

use watchtree_core::time::{Duration, Moment};

/// When the machine was overloaded last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
}

impl Overload {
    pub(super) fn is_now(&self) -> bool {
        self.since.is_some() && self.until.is_none()
    }

    /// How much of that time before `now` it was overloaded, thousandths.
    pub(super) fn share_milli(&self, now: Moment, window: Duration) -> u64 {
        let Some(since) = self.since else { return 0 };
        let end = self.until.unwrap_or(now);
        let (whole, after) = (end.since(since), now.since(end));
        let within = whole.min(window.saturating_sub(after));
        (within.as_micros() * 1000 / window.as_micros()) as u64
    }
}
