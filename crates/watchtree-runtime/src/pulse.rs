//! The loop's time stamp: shows that the driver's loop turns. `/livez` and the figures read it.
//!
//! Contract: written only by [`crate::drive()`], at the end of each turn, so it proves that the working loop itself goes on and
//! not some timer beside it.

use crate::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use watchtree_core::time::{Duration, Moment};

/// Shared stamp of the last turn of the loop. Clones show the same stamp.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    turned_micros: AtomicU64,
    turns: AtomicU64,
    lag_max_micros: AtomicU64,
    /// The longest lag of late, and when it was: both written by the loop alone.
    late_micros: AtomicU64,
    late_at_micros: AtomicU64,
}

impl Pulse {
    /// The loop counts as alive while its last turn is not older than this (it turns at least every 250 ms).
    pub const ALIVE_WITHIN: Duration = Duration::from_secs(5);

    /// How far back [`Self::lag_of_late`] looks.
    pub const OF_LATE: Duration = Duration::from_secs(10);

    /// A pulse that has not beaten yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the last turn ended; [`Moment::ZERO`] before the first.
    pub fn last(&self) -> Moment {
        Moment::from_micros(self.0.turned_micros.load(Ordering::Relaxed))
    }

    /// Turns so far.
    pub fn turns(&self) -> u64 {
        self.0.turns.load(Ordering::Relaxed)
    }

    /// True while the loop turns: what `/livez` answers.
    pub fn is_alive(&self) -> bool {
        self.0.turns.load(Ordering::Relaxed) > 0 && Clock.now().since(self.last()) <= Self::ALIVE_WITHIN
    }

    /// The longest lateness of a wake-up since the last call of this function; for the figure `loop_lag_ms`.
    pub fn take_lag_max(&self) -> Duration {
        Duration::from_micros(self.0.lag_max_micros.swap(0, Ordering::Relaxed))
    }

    /// The longest lateness of a wake-up within the last [`Self::OF_LATE`]; zero if there was none.
    pub fn lag_of_late(&self) -> Duration {
        let late_at = Moment::from_micros(self.0.late_at_micros.load(Ordering::Relaxed));
        if Self::OF_LATE < Clock.now().since(late_at) {
            return Duration::ZERO;
        }
        Duration::from_micros(self.0.late_micros.load(Ordering::Relaxed))
    }

    pub(crate) fn turned(&self, now: Moment) {
        self.0.turned_micros.store(now.as_micros(), Ordering::Relaxed);
        self.0.turns.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn lagged(&self, now: Moment, lag: Duration) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.0.lag_max_micros.fetch_max(micros, Ordering::Relaxed);
        if Duration::from_micros(micros) < self.lag_of_late() {
            return;
        }
        self.0.late_micros.store(micros, Ordering::Relaxed);
        self.0.late_at_micros.store(now.as_micros(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    //! What is kept of a lag.
    use super::*;

    #[test]
    fn the_longest_lag_of_the_last_ten_seconds_is_told() {
        let (pulse, now) = (Pulse::new(), Clock.now());
        let millis = Duration::from_millis;
        assert_eq!(pulse.lag_of_late(), Duration::ZERO);
        pulse.lagged(now, millis(700));
        pulse.lagged(now, millis(2));
        assert_eq!((pulse.lag_of_late(), pulse.take_lag_max()), (millis(700), millis(700)));
        let old = Pulse::new();
        old.lagged(
            Moment::from_micros(now.as_micros().saturating_sub(10_500_000)),
            millis(700),
        );
        assert_eq!(old.lag_of_late(), Duration::ZERO);
        old.lagged(now, millis(2));
        assert_eq!(old.lag_of_late(), millis(2), "it takes the place of an old one");
    }
}
