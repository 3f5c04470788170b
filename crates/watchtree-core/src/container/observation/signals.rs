//! The stop signals and stops that were sent through the engine to one container, and whether each was our own.
//!
//! Bounded, oldest first. Does not know which life they belong to: the caller says since when they count.

use crate::container::io::EngineTime;
use alloc::collections::VecDeque;

/// Most remembered signals and stops of one container.
const REMEMBERED_MAX: usize = 16;

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
        push_bounded(&mut self.signals, Signal { at, signal, own: false });
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
    pub(super) fn foreign(&self, since: EngineTime) -> impl Iterator<Item = &Signal> {
        self.signals.iter().rev().filter(move |it| !it.own && since <= it.at)
    }

    /// All signals since then.
    pub(super) fn since(&self, since: EngineTime) -> impl Iterator<Item = &Signal> {
        self.signals.iter().filter(move |it| since <= it.at)
    }

    /// Did somebody else carry out a stop since then?
    pub(super) fn has_foreign_stop(&self, since: EngineTime) -> bool {
        self.stops.iter().any(|(at, own)| !own && since <= *at)
    }
}

#[cfg(test)]
mod tests {
    //! Whose they are, and the bound.
    use super::*;

    #[test]
    fn what_is_claimed_is_no_persons_and_the_newest_are_kept() {
        let mut history = SignalHistory::default();
        for at in 1..=20 {
            history.record_signal(EngineTime(at), 15);
        }
        assert_eq!(history.since(EngineTime(0)).count(), REMEMBERED_MAX);
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
