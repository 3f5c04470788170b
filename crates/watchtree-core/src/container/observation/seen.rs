//! The events of one container that were taken already: an event may come twice. Bounded, the newest are kept.

use super::signals::push_bounded;
use crate::container::io::EngineTime;
use alloc::collections::VecDeque;
use alloc::string::String;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenEvents(VecDeque<(EngineTime, String)>);

impl SeenEvents {
    /// True the first time.
    pub(super) fn take(&mut self, at: EngineTime, word: String) -> bool {
        let event = (at, word);
        let is_new = !self.0.contains(&event);
        if is_new {
            push_bounded(&mut self.0, event);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    //! Once each.
    use super::*;

    #[test]
    fn two_events_of_one_time_are_told_apart_and_each_is_taken_once() {
        let mut seen = SeenEvents::default();
        let mut take = |at, word: &str| seen.take(EngineTime(at), word.into());
        let taken = [take(1, "start"), take(1, "die:0"), take(1, "start"), take(2, "start")];
        assert_eq!(taken, [true, true, false, true]);
    }
}
