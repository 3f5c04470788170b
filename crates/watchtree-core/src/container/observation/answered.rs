//! Which of the stop signals and stops that were heard the engine has answered since: an engine that goes down closes its API
//! before it stops its containers, so that nobody can have asked it for a stop which nothing was answered after.
//!
//! Does not know whose they are.

use crate::container::io::EngineTime;
use crate::time::Moment;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct StopsHeard {
    /// The one that came last: its stamp, and when it came.
    newest: Option<(EngineTime, Moment)>,
    answered_to: EngineTime,
}

impl StopsHeard {
    /// One that was answered before this process.
    pub(super) fn remembered(at: EngineTime) -> Self {
        Self {
            newest: None,
            answered_to: at,
        }
    }

    pub(super) fn heard(&mut self, at: EngineTime, now: Moment) {
        self.newest = Some((at, now));
    }

    /// The engine of the same stream answered what was asked then.
    pub(super) fn answered(&mut self, asked: Moment) {
        if let Some((at, _)) = self.newest.take_if(|(_, came)| *came <= asked) {
            self.answered_to = self.answered_to.max(at);
        }
    }

    /// Stops up to here were answered.
    pub(super) fn answered_to(&self) -> EngineTime {
        self.answered_to
    }
}

#[cfg(test)]
mod tests {
    //! Asked before, and after.
    use super::*;

    #[test]
    fn what_is_asked_after_it_came_answers_it() {
        let (at, stamp) = (Moment::from_millis, EngineTime);
        let mut stops = StopsHeard::remembered(stamp(5));
        stops.heard(stamp(7), at(10));
        stops.answered(at(9));
        assert_eq!(stops.answered_to(), stamp(5));
        stops.heard(stamp(8), at(11));
        stops.answered(at(10));
        assert_eq!(stops.answered_to(), stamp(5), "the newest counts");
        stops.answered(at(11));
        assert_eq!(stops.answered_to(), stamp(8));
    }
}
