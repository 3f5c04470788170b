//! The stop signals and stops that were sent through the engine to one container, and whether each was our own.
//!
//! Bounded, oldest first. Does not know which incarnation they belong to: the caller says since when they count.

use crate::container::io::EngineTime;
use crate::time::{Duration, seconds};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

/// Most remembered signals and stops of one container.
const REMEMBERED_MAX: usize = 16;

/// Signals that end a process politely or not, whatever the container's stop signal is: INT, QUIT, KILL, TERM.
const STOP_SIGNALS: [u32; 4] = [2, 3, 9, 15];
/// An event may be stamped a little later than the end it leads to.
const STAMP_SLACK: Duration = Duration::from_millis(500);
/// True for a signal that means "end" to one with that stop signal: it, INT, QUIT, KILL or TERM.
pub(super) fn ends(signal: u32, stop_signal: u32) -> bool {
    signal == stop_signal || STOP_SIGNALS.contains(&signal)
}

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
    fn foreign(&self, since: EngineTime) -> impl Iterator<Item = &Signal> {
        self.signals.iter().rev().filter(move |it| !it.own && since <= it.at)
    }

    /// Did somebody else send a signal since then that ends one with that stop signal?
    pub(super) fn has_foreign_signal(&self, since: EngineTime, stop_signal: u32) -> bool {
        self.foreign(since).any(|it| ends(it.signal, stop_signal))
    }

    /// Was any signal of another meaning sent since then?
    pub(super) fn has_other_signal(&self, since: EngineTime, stop_signal: u32) -> bool {
        let mut sent = self.signals.iter().filter(|it| since <= it.at);
        sent.any(|it| !ends(it.signal, stop_signal))
    }

    /// Did somebody else stop one that ended then, with that stop signal, by what came since? In words.
    pub(super) fn foreign_stop(&self, since: EngineTime, ended: EngineTime, stop_signal: u32) -> Option<String> {
        let mut signals = self.foreign(since);
        if let Some(it) = signals.find(|it| ends(it.signal, stop_signal) && it.at <= ended.plus(STAMP_SLACK)) {
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
    //! Whose they are, and the bound.
    use super::*;

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
