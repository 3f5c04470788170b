//! When the engine's list of containers is asked for: soon after the start, every so often, and soon after one that failed.
//!
//! Knows no engine: the caller asks, and tells what came.

use crate::time::{Duration, Moment};

/// The list is asked for this soon after the start, and at least this often.
const LIST_FIRST: Duration = Duration::from_secs(2);
const LIST_EVERY_MAX: Duration = Duration::from_secs(10);
/// The list is asked for again this soon after one that failed.
const LIST_AGAIN: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub(crate) struct ListSchedule {
    every: Duration,
    /// When the one under way was asked for.
    asked: Option<Moment>,
    next: Moment,
}

impl ListSchedule {
    pub(crate) fn new(now: Moment, every: Duration) -> Self {
        Self {
            every: every.min(LIST_EVERY_MAX),
            asked: None,
            next: now + LIST_FIRST,
        }
    }

    /// When it is to be asked for next.
    pub(crate) const fn next(&self) -> Moment {
        self.next
    }

    /// It is asked for.
    pub(crate) fn ask(&mut self, now: Moment) {
        self.asked = Some(now);
        self.next = now + self.every;
    }

    /// It came: as it was at which moment.
    pub(crate) fn came(&mut self, now: Moment) -> Moment {
        self.asked.take().unwrap_or(now)
    }

    /// It did not come.
    pub(crate) fn failed(&mut self, now: Moment) {
        self.asked = None;
        self.next = self.next.min(now + LIST_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    //! The moments.
    use super::*;

    #[test]
    fn it_is_asked_for_early_then_every_so_often_and_soon_after_a_failure() {
        let at = Moment::from_millis;
        for (every_s, expected) in [(5, 6000), (60, 11_000)] {
            let mut list = ListSchedule::new(at(0), Duration::from_secs(every_s));
            assert_eq!(list.next(), at(2000));
            list.ask(at(1000));
            assert_eq!(list.next(), at(expected), "every {every_s} s");
            assert_eq!(list.came(at(1500)), at(1000), "it is of when it was asked for");
            assert_eq!(list.came(at(1600)), at(1600), "nobody asked for this one");
            list.ask(at(2000));
            list.failed(at(2500));
            assert_eq!((list.next(), list.came(at(9000))), (at(3500), at(9000)));
        }
    }
}
