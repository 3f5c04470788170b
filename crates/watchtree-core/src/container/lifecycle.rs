//! What the daemon as a whole is doing. Each subject has a picture of its own.
//!
//! ```text
//!            Stop                 calls under way are answered, or the bound has passed
//!  Healing ───────▶ Leaving ─────────────────────────────────────────────────────────────▶ Gone
//!     │                ▲
//!     │ HostShutdown   │ Stop
//!     ├───────▶ HandsOff
//!     └────────────┘ still there after 15 min: the shutdown was cancelled
//! ```

use crate::time::{Duration, Moment};

/// A shutdown of the host that lasts longer than this was cancelled.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Healing,
    /// Asked to stop; calls under way are waited for until then.
    Leaving(Moment),
    /// The host goes down; if it has not by then, the shutdown was cancelled.
    HandsOff(Moment),
    Gone,
}

/// See the module's text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lifecycle(Phase);

impl Lifecycle {
    pub(crate) fn is_gone(self) -> bool {
        self.0 == Phase::Gone
    }

    pub(crate) fn is_healing(self) -> bool {
        self.0 == Phase::Healing
    }

    pub(crate) fn is_hands_off(self) -> bool {
        matches!(self.0, Phase::HandsOff(_))
    }

    /// The daemon shall stop. True if it is gone at once.
    pub(crate) fn stop(&mut self, until: Moment) -> bool {
        match self.0 {
            Phase::Healing => self.0 = Phase::Leaving(until),
            Phase::HandsOff(_) => self.0 = Phase::Gone,
            Phase::Leaving(_) | Phase::Gone => {}
        }
        self.is_gone()
    }

    /// The machine goes down. True if this daemon had been asked to stop before.
    pub(crate) fn host_shutdown(&mut self, now: Moment) -> bool {
        let was_leaving = matches!(self.0, Phase::Leaving(_));
        self.0 = Phase::HandsOff(now + SHUTDOWN_WITHIN);
        was_leaving
    }

    /// True if the shutdown of the machine was cancelled just now.
    pub(crate) fn resume(&mut self, now: Moment) -> bool {
        let cancelled = matches!(self.0, Phase::HandsOff(until) if until <= now);
        if cancelled {
            self.0 = Phase::Healing;
        }
        cancelled
    }

    /// True if it leaves just now: nothing is under way any more, or it was waited for long enough.
    pub(crate) fn leave(&mut self, now: Moment, is_busy: impl FnOnce() -> bool) -> bool {
        let leaves = matches!(self.0, Phase::Leaving(until) if until <= now || !is_busy());
        if leaves {
            self.0 = Phase::Gone;
        }
        leaves
    }

    pub(crate) fn deadline(self) -> Option<Moment> {
        match self.0 {
            Phase::Leaving(until) | Phase::HandsOff(until) => Some(until),
            Phase::Healing | Phase::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Ways out, and back.
    use super::*;

    #[test]
    fn it_leaves_when_nothing_is_under_way_or_time_is_up() {
        let at = Moment::from_millis;
        let mut it = Lifecycle::default();
        assert!(!it.leave(at(0), || false), "nobody asked");
        assert!(!it.stop(at(100)) && !it.is_healing());
        assert!(!it.leave(at(50), || true) && it.leave(at(100), || true) && it.is_gone());
    }

    #[test]
    fn a_shutdown_that_does_not_come_is_over() {
        let at = Moment::from_millis;
        let mut it = Lifecycle::default();
        assert!(!it.host_shutdown(at(0)) && it.is_hands_off());
        assert!(!it.resume(at(899_999)) && it.resume(at(900_000)) && it.is_healing());
        it.host_shutdown(at(0));
        assert!(it.stop(at(5)), "at once");
    }
}
