//! The stop signals and stops that were sent through the engine to one container, and whether each was our own.
//!
//! Bounded, oldest first. Does not know which incarnation they belong to: the caller says since when they count.

use super::stop_terms::StopTerms;
use crate::container::io::EngineTime;
use crate::time::{Duration, seconds};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

/// Most remembered signals and stops of one container.
const REMEMBERED_MAX: usize = 16;
/// An event may be stamped a little later than the end it leads to.
const STAMP_SLACK: Duration = Duration::from_millis(500);

/// A signal sent through the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signal {
    /// When, on the engine's clock.
    pub(crate) at: EngineTime,
    /// Its number.
    pub(crate) signal: u32,
    /// It belongs to a stop of ours.
    pub(crate) own: bool,
}

/// Signals and `stop` events of one container.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignalHistory {
    signals: VecDeque<Signal>,
    /// `stop` events, and whether each was ours.
    stops: VecDeque<(EngineTime, bool)>,
    /// When it was last started by hand, which clears the manual-stop flag; 0 = not known.
    flag_cleared: EngineTime,
}

/// Appends to a list that keeps the newest [`REMEMBERED_MAX`].
pub(super) fn push_bounded<T>(list: &mut VecDeque<T>, item: T) {
    if REMEMBERED_MAX <= list.len() {
        list.pop_front();
    }
    list.push_back(item);
}

impl SignalHistory {
    pub(super) fn record_signal(&mut self, at: EngineTime, signal: u32) {
        // One that comes again and again (HUP to reload) pushes out no other.
        let older_of_it = |it: &Signal| it.signal == signal && !it.own;
        if REMEMBERED_MAX <= self.signals.len()
            && let Some(place) = self.signals.iter().position(older_of_it)
        {
            self.signals.remove(place);
        }
        push_bounded(&mut self.signals, Signal { at, signal, own: false });
    }

    /// It was started by hand then: the manual-stop flag is clear, whatever was sent before.
    pub(super) fn started_by_hand(&mut self, at: EngineTime) {
        self.flag_cleared = at;
    }

    /// When it was last started by hand; 0 = not known.
    pub(crate) fn flag_cleared(&self) -> EngineTime {
        self.flag_cleared
    }

    /// Has a signal set the manual-stop flag that cannot have led to that end: ours, of another meaning, or too long ago?
    pub(super) fn flag_was_set_before(&self, ended: EngineTime, stop: StopTerms) -> bool {
        let too_old = ended.minus(stop.patience());
        let sets = |it: &Signal| it.own || !stop.is_end(it.signal) || it.at < too_old;
        let mut sent = self.signals.iter().filter(|it| self.flag_cleared <= it.at);
        sent.any(sets)
    }

    pub(super) fn record_stop(&mut self, at: EngineTime) {
        push_bounded(&mut self.stops, (at, false));
    }

    pub(super) fn clear(&mut self) {
        self.signals.clear();
        self.stops.clear();
    }

    /// The signal whose event came last was of a stop of ours.
    pub(crate) fn claim_newest_signal(&mut self) {
        if let Some(it) = self.signals.back_mut() {
            it.own = true;
        }
    }

    /// The stop whose event came last was ours.
    pub(crate) fn claim_newest_stop(&mut self) {
        if let Some(it) = self.stops.back_mut() {
            it.1 = true;
        }
    }

    /// Marks those signals as ours for which `is_own` says so, oldest first.
    pub(crate) fn claim_signals(&mut self, mut is_own: impl FnMut(&Signal) -> bool) {
        for it in &mut self.signals {
            it.own |= is_own(it);
        }
    }

    /// As [`Self::claim_signals`], for stops.
    pub(crate) fn claim_stops(&mut self, mut is_own: impl FnMut(EngineTime) -> bool) {
        for (at, own) in &mut self.stops {
            *own |= is_own(*at);
        }
    }

    /// Signals of others since then, the newest first.
    fn foreign(&self, since: EngineTime) -> impl Iterator<Item = &Signal> {
        self.signals.iter().rev().filter(move |it| !it.own && since <= it.at)
    }

    /// Did somebody else send a signal since then that ends one that is stopped so?
    pub(super) fn has_foreign_signal(&self, since: EngineTime, stop: StopTerms) -> bool {
        self.foreign(since).any(|it| stop.is_end(it.signal))
    }

    /// The newest signal of somebody else that ends one that is stopped so.
    pub(super) fn newest_foreign(&self, stop: StopTerms) -> Option<(EngineTime, u32)> {
        let found = self.foreign(EngineTime(0)).find(|it| stop.is_end(it.signal))?;
        Some((found.at, found.signal))
    }

    /// The first such signal, or stop of somebody else, since then.
    pub(super) fn first_foreign(&self, since: EngineTime, stop: StopTerms) -> Option<EngineTime> {
        let signals = self.foreign(since).filter(|it| stop.is_end(it.signal));
        let stops = self.stops.iter().filter(|(at, own)| !own && since <= *at);
        signals.map(|it| it.at).chain(stops.map(|(at, _)| *at)).min()
    }

    /// Did somebody else stop one that ended then, and is stopped so, by what came since? In words.
    pub(super) fn foreign_stop(&self, since: EngineTime, ended: EngineTime, stop: StopTerms) -> Option<String> {
        let mut signals = self.foreign(since);
        if let Some(it) = signals.find(|it| stop.is_end(it.signal) && it.at <= ended.plus(STAMP_SLACK)) {
            let before = seconds(Duration::from_nanos(ended.0.saturating_sub(it.at.0)));
            let signal = it.signal;
            return Some(format!(
                "signal {signal} was sent through the engine {before} before it ended"
            ));
        }
        // However long after the end: the engine carries out a stop of what has ended only to end its own back-off.
        let is_stopped = self.has_foreign_stop(since);
        is_stopped.then(|| "a stop was carried out through the engine".to_string())
    }

    /// Did somebody else carry out a stop since then?
    pub(super) fn has_foreign_stop(&self, since: EngineTime) -> bool {
        self.stops.iter().any(|(at, own)| !own && since <= *at)
    }
}

#[cfg(test)]
mod tests {
    //! Whose they are, the bound, and which of them explain a flag.
    use super::*;

    const STOP: StopTerms = StopTerms::USUAL;

    #[test]
    fn a_signal_that_comes_again_and_again_pushes_out_no_other() {
        let mut history = SignalHistory::default();
        history.record_signal(EngineTime(1), 15);
        (2..=40).for_each(|at| history.record_signal(EngineTime(at), 1));
        assert!(history.has_foreign_signal(EngineTime(1), STOP));
        assert_eq!(history.signals.len(), REMEMBERED_MAX);
    }

    #[test]
    fn a_flag_is_explained_by_what_cannot_have_led_to_the_end_until_a_start_by_hand_clears_it() {
        let secs = |secs: u64| EngineTime(secs * 1_000_000_000);
        let explained = |at, signal, own, ended| {
            let mut history = SignalHistory::default();
            history.started_by_hand(secs(100));
            history.record_signal(secs(at), signal);
            if own {
                history.claim_newest_signal();
            }
            history.flag_was_set_before(secs(ended), STOP)
        };
        assert!(explained(101, 1, false, 200), "HUP");
        assert!(!explained(99, 1, false, 200), "cleared since");
        assert!(
            !explained(101, 15, false, 700) && explained(101, 15, false, 702),
            "TERM"
        );
        assert!(explained(101, 15, true, 200), "our own");
    }

    #[test]
    fn what_is_claimed_is_no_persons_and_the_newest_are_kept() {
        let mut history = SignalHistory::default();
        for at in 1..=20 {
            history.record_signal(EngineTime(at), 15);
        }
        assert_eq!(history.foreign(EngineTime(0)).count(), REMEMBERED_MAX);
        history.claim_signals(|it| it.at < EngineTime(20));
        assert_eq!(history.foreign(EngineTime(0)).count(), 1);
        history.claim_newest_signal();
        assert_eq!(history.foreign(EngineTime(0)).count(), 0);
        history.record_stop(EngineTime(21));
        assert!(history.has_foreign_stop(EngineTime(21)) && !history.has_foreign_stop(EngineTime(22)));
        history.claim_newest_stop();
        assert!(!history.has_foreign_stop(EngineTime(0)));
    }
}
