//! What came in an incarnation after the engine's clock was set back: stamps cannot tell what it belongs to, the order of
//! arrival does.

use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::{String, ToString};

/// A live event stamped this much earlier than what came before it shows that the engine's clock was set back.
pub(super) const SET_BACK: Duration = Duration::from_secs(2);

/// A stop signal or stop, and a `die`, that came live and yet are stamped before the incarnation began.
#[derive(Clone, Debug, Default)]
pub(super) struct ClockSetBack {
    stop: Option<(Moment, String)>,
    die: Option<Moment>,
}

impl ClockSetBack {
    pub(super) fn saw_signal(&mut self, now: Moment, signal: u32) {
        let why = format!("signal {signal} was sent through the engine, whose clock had been set back");
        self.stop = Some((now, why));
    }

    pub(super) fn saw_stop(&mut self, now: Moment) {
        let why = "a stop was carried out through the engine, whose clock had been set back";
        self.stop.get_or_insert((now, why.to_string()));
    }

    pub(super) fn saw_die(&mut self, now: Moment) {
        self.die = Some(now);
    }

    /// When its `die` came.
    pub(super) fn died(&self) -> Option<Moment> {
        self.die
    }

    /// A stop came at that moment.
    pub(super) fn has_stop_of(&self, now: Moment) -> bool {
        self.stop.as_ref().is_some_and(|(at, _)| *at == now)
    }

    /// That stop was ours.
    pub(super) fn forget_stop(&mut self) {
        self.stop = None;
    }

    /// An inspection asked for at that moment shows it running: what came before was of the incarnation before.
    pub(super) fn saw_running(&mut self, asked: Moment) {
        if self.die.take_if(|died| *died < asked).is_some() {
            self.stop = None;
        }
    }

    /// Did a stop arrive that may have ended it then? In words. `was_signalled` = a stop signal was sent before the clock was
    /// set back.
    pub(super) fn intent(&self, died_at: Moment, window: Duration, was_signalled: bool) -> Option<String> {
        let stop = self.stop.as_ref().filter(|(at, _)| died_at <= *at + window);
        let before = || {
            let why = "a stop signal was sent through the engine before its clock was set back";
            (self.die.is_some() && was_signalled).then(|| why.to_string())
        };
        stop.map(|(_, why)| why.clone()).or_else(before)
    }
}

#[cfg(test)]
mod tests {
    //! A stop that may have ended it, and one that cannot have.
    use super::*;

    #[test]
    fn a_stop_may_have_ended_what_dies_within_its_window() {
        let (at, window) = (Moment::from_millis, Duration::from_secs(12));
        let mut it = ClockSetBack::default();
        assert_eq!(it.intent(at(0), window, true), None);
        it.saw_stop(at(1000));
        it.saw_signal(at(2000), 15);
        assert!(
            it.has_stop_of(at(2000)) && !it.has_stop_of(at(1000)),
            "the signal says more"
        );
        assert!(it.intent(at(14_000), window, false).is_some());
        assert_eq!(it.intent(at(14_001), window, false), None);
        it.saw_die(at(14_001));
        assert_eq!(it.intent(at(14_001), window, false), None);
        assert!(it.intent(at(14_001), window, true).is_some());
        it.saw_running(at(14_001));
        assert!(it.died().is_some(), "asked for before");
        it.saw_running(at(14_002));
        assert!(it.died().is_none() && !it.has_stop_of(at(2000)));
    }
}
