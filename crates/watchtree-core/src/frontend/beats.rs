//! The grid of a child's beats: each slot is the one before plus the interval. After a stall the missed slots are skipped (the
//! number grows by them), never sent in a burst. Does not know what a beat says.

use crate::time::{Duration, Moment};

/// Shortest and longest beat interval a parent may ask for.
const EVERY_MIN: Duration = Duration::from_millis(20);
const EVERY_MAX: Duration = Duration::from_secs(60);

/// See the module's text.
pub(super) struct BeatGrid {
    every: Duration,
    next_slot: Moment,
    number: u64,
}

impl BeatGrid {
    /// The first slot is `now`. The interval is kept within what is allowed.
    pub(super) fn new(now: Moment, every: Duration) -> Self {
        Self {
            every: every.clamp(EVERY_MIN, EVERY_MAX),
            next_slot: now,
            number: 0,
        }
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    pub(super) fn next_slot(&self) -> Moment {
        self.next_slot
    }

    /// The number of the newest beat.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The grid begins anew with a slot at `now`.
    pub(super) fn restart(&mut self, now: Moment) {
        self.next_slot = now;
    }

    /// Takes over an interval, within what is allowed. A shorter one holds from now on, not from the next slot.
    pub(super) fn set_every(&mut self, now: Moment, every: Duration) {
        let every = every.clamp(EVERY_MIN, EVERY_MAX);
        if every != self.every {
            self.every = every;
            self.next_slot = self.next_slot.min(now + every);
        }
    }

    /// The newest slot that has come, once.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Moment> {
        if now < self.next_slot {
            return None;
        }
        // The interval is at least `EVERY_MIN` and at most `EVERY_MAX`.
        let every = self.every.as_micros() as u64;
        let missed = (now - self.next_slot).as_micros() as u64 / every;
        let slot = self.next_slot + Duration::from_micros(missed * every);
        self.number += missed + 1;
        self.next_slot = slot + self.every;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    //! Slots, stalls, intervals.
    use super::*;

    const fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn missed_slots_are_skipped_and_counted() {
        let mut grid = BeatGrid::new(ms(100), Duration::from_millis(500));
        // When it is asked; the slot and the number it gives; the next slot.
        let cases = [
            (99, None, 0, 100),
            (100, Some(100), 1, 600),
            (100, None, 1, 600),
            (640, Some(600), 2, 1100),
            (3099, Some(2600), 6, 3100),
            (3100, Some(3100), 7, 3600),
        ];
        for (at, slot, number, next) in cases {
            assert_eq!(grid.pop_due(ms(at)), slot.map(ms), "{at}");
            assert_eq!((grid.number(), grid.next_slot()), (number, ms(next)), "{at}");
        }
        grid.restart(ms(9000));
        assert_eq!((grid.number(), grid.next_slot()), (7, ms(9000)));
    }

    #[test]
    fn a_parent_chooses_the_interval_within_limits() {
        // From 500 ms, with the next slot at 500: what is asked for at 100, the interval, the next slot.
        let cases = [
            (500, 500, 500),
            (200, 200, 300),
            (2000, 2000, 500),
            (1, 20, 120),
            (100_000, 60_000, 500),
        ];
        for (asked, every, next) in cases {
            let mut grid = BeatGrid::new(ms(0), Duration::from_millis(500));
            grid.pop_due(ms(0));
            grid.set_every(ms(100), Duration::from_millis(asked));
            assert_eq!(
                (grid.every(), grid.next_slot()),
                (Duration::from_millis(every), ms(next))
            );
            let wanted = BeatGrid::new(ms(0), Duration::from_millis(asked));
            assert_eq!(wanted.every(), Duration::from_millis(every));
        }
    }
}
