//! What is still being asked of the engine about one container: an inspection, and its manual-stop flag.
//!
//! At most one inspection of a container is under way; a wish that comes meanwhile is kept. Does not know the engine: the
//! caller sends the request when one of these says so.

use crate::time::{Duration, Moment};

/// An inspection that was not answered for that long is asked for again.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the manual-stop flag is waited for: longer than its reader waits for a sick engine (5 s).
pub(crate) const FLAG_WITHIN: Duration = Duration::from_secs(8);

/// The inspection under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Inspection {
    asked: Option<Moment>,
    again: bool,
}

impl Inspection {
    /// Wishes for one. True if a request is to be sent now.
    pub(super) fn begin(&mut self, now: Moment) -> bool {
        if self.asked.is_some_and(|asked| now.since(asked) < ANSWER_WITHIN) {
            self.again = true;
            return false;
        }
        (self.asked, self.again) = (Some(now), false);
        true
    }

    /// What is asked for is perhaps outdated by the time it comes: one more is wanted.
    pub(super) fn outdate(&mut self) {
        self.again = self.asked.is_some();
    }

    /// An answer came. Returns when it was asked for.
    pub(super) fn end(&mut self) -> Option<Moment> {
        self.asked.take()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.asked.is_some()
    }

    pub(super) fn is_wanted_again(&self) -> bool {
        self.again
    }
}

/// The engine's own note that a person stopped it (`HasBeenManuallyStopped`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ManualStopFlag {
    /// Not asked about the present end.
    #[default]
    NotAsked,
    /// Asked then; no answer yet.
    Asked(Moment),
    /// As it was read; `None` = it cannot be read.
    Known(Option<bool>),
}

impl ManualStopFlag {
    pub(crate) fn ask(&mut self, now: Moment) {
        *self = Self::Asked(now);
    }

    /// It was read. False if nobody had asked.
    pub(crate) fn read(&mut self, value: Option<bool>) -> bool {
        let asked = matches!(self, Self::Asked(_));
        if asked {
            *self = Self::Known(value);
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    //! One at a time.
    use super::*;

    #[test]
    fn one_inspection_at_a_time_and_a_further_wish_is_kept() {
        let at = Moment::from_millis;
        let mut inspection = Inspection::default();
        inspection.outdate();
        assert!(!inspection.is_wanted_again(), "nothing is under way");
        assert!(inspection.begin(at(0)) && !inspection.begin(at(1)));
        assert!(inspection.is_wanted_again());
        assert_eq!(inspection.end(), Some(at(0)));
        assert!(inspection.begin(at(2)) && !inspection.is_wanted_again());
        assert!(inspection.begin(at(30_002)), "the answer is lost");
    }
}
