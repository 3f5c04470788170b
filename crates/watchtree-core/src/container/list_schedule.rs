//! When the engine's whole list of containers is asked for: soon after the start, soon after one that failed, and else as
//! often as it is cheap. The list costs the engine in proportion to its containers, so the pause follows from what it took.
//!
//! ```text
//!   every 5 s ─▶ blind, or the pause is over? ──yes──▶ the whole list
//!                               │ no
//!                               └──▶ inspect again what is not settled
//! ```
//!
//! Knows no engine: the caller asks, and tells what came.

use crate::time::{Duration, Moment};

/// The list is asked for this soon after the start.
const LIST_FIRST: Duration = Duration::from_secs(2);
/// The list is asked for again this soon after one that failed.
const LIST_AGAIN: Duration = Duration::from_secs(1);
/// So often it is looked whether the list is due; also the shortest pause between two lists, and the only one while what
/// happens may go unseen.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The pause is this many times what the list took: it may cost the engine a two-thousandth of a processor.
const PAUSE_PER_COST: u32 = 2000;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct ListSchedule {
    every_max: Duration,
    /// When the one under way was asked for.
    asked: Option<Moment>,
    next_look: Moment,
    /// When the pause after the last list is over.
    pause_over: Moment,
}

impl ListSchedule {
    /// At least every `every_max`.
    pub(crate) fn new(now: Moment, every_max: Duration) -> Self {
        Self {
            every_max,
            asked: None,
            next_look: now + LIST_FIRST,
            pause_over: now,
        }
    }

    /// When it is to be looked next whether the list is due.
    pub(crate) const fn next(&self) -> Moment {
        self.next_look
    }

    /// It is looked whether the list is due; `is_blind` = what happens may go unseen.
    pub(crate) fn is_due(&mut self, now: Moment, is_blind: bool) -> bool {
        self.next_look = now + LOOK_EVERY.min(self.every_max);
        is_blind || self.pause_over <= now
    }

    /// It is asked for.
    pub(crate) fn ask(&mut self, now: Moment) {
        self.asked = Some(now);
        self.next_look = now + LOOK_EVERY.min(self.every_max);
        self.pause_over = now + self.every_max;
    }

    /// It came: as it was at which moment.
    pub(crate) fn came(&mut self, now: Moment) -> Moment {
        let asked = self.asked.take().unwrap_or(now);
        let pause = now.since(asked).saturating_mul(PAUSE_PER_COST);
        self.pause_over = asked + pause.min(self.every_max);
        asked
    }

    /// It did not come.
    pub(crate) fn failed(&mut self, now: Moment) {
        self.asked = None;
        self.next_look = self.next_look.min(now + LIST_AGAIN);
        self.pause_over = now;
    }
}

#[cfg(test)]
mod tests {
    //! The moments.
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    /// The moments in the first minutes at which a list that takes so long is asked for.
    fn asked(every_max_s: u64, takes_ms: u64, is_blind: bool) -> [u64; 4] {
        let mut list = ListSchedule::new(at(0), Duration::from_secs(every_max_s));
        core::array::from_fn(|_| {
            loop {
                let now = list.next();
                if list.is_due(now, is_blind) {
                    list.ask(now);
                    list.came(now + Duration::from_millis(takes_ms));
                    return now.as_micros() / 1000;
                }
            }
        })
    }

    #[test]
    fn it_is_asked_for_early_and_then_as_often_as_it_is_cheap() {
        assert_eq!(asked(60, 2, false), [2000, 7000, 12_000, 17_000], "a small engine");
        assert_eq!(asked(60, 11, false), [2000, 27_000, 52_000, 77_000], "100 containers");
        assert_eq!(
            asked(60, 400, false),
            [2000, 62_000, 122_000, 182_000],
            "the longest pause"
        );
        assert_eq!(asked(60, 400, true), [2000, 7000, 12_000, 17_000], "blind");
        assert_eq!(asked(1, 2, false), [2000, 3000, 4000, 5000], "as it was set");
    }

    #[test]
    fn it_is_asked_for_soon_after_a_failure_and_is_of_when_it_was_asked_for() {
        let mut list = ListSchedule::new(at(0), Duration::from_secs(60));
        list.ask(at(1000));
        assert_eq!(list.came(at(1500)), at(1000));
        assert_eq!(list.came(at(1600)), at(1600), "nobody asked for this one");
        list.ask(at(2000));
        list.failed(at(2500));
        assert_eq!(list.next(), at(3500));
        assert!(list.is_due(at(3500), false));
        assert_eq!(list.came(at(9000)), at(9000));
    }
}
