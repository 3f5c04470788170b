//! Judges freshness by the sender's slots, and the observer itself by its own lateness.
//!
//! [`Detector`] follows Chen's NFD-E: each sign of life carries the slot it was scheduled for on the *sender's* clock. The
//! smallest (received - slot) of the last signs is the offset between the clocks plus the shortest way; the freshness
//! point of the next slot is `newest slot + interval + offset + margin`. A sign that was queued somewhere and comes late
//! therefore counts for the time it was sent, not for the time it arrived: nothing is ever "reset on receipt".
//!
//! [`LocalHealth`] is the observer's suspicion of itself: after a gap of its own nobody is judged before it has seen itself
//! well for a whole window.
//!
//! Neither knows names, sockets or what follows from silence.

use crate::time::{Duration, Moment};
use crate::verdict::ObserverHealth;
use alloc::collections::VecDeque;

/// How many samples of (received - slot) are kept.
pub(crate) const WINDOW_SAMPLES: usize = 32;

/// Freshness of one sender in one life. A new life gets a new `Detector`.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    interval: Duration,
    margin: Duration,
    /// The newest slot, on the sender's clock, and when its sign was received, on ours.
    newest: Option<(Moment, Moment)>,
    /// One sample per half interval of both clocks, so that neither a burst of frames nor a drained backlog can push the
    /// true offset out of the window.
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    slot: Moment,
    received: Moment,
    /// received - slot in µs; the clocks are of different machines, so it has a sign.
    offset: i64,
}

impl Detector {
    /// For a sender that beats every `interval` and may be `margin` late.
    pub(crate) fn new(interval: Duration, margin: Duration) -> Self {
        Self {
            interval,
            margin,
            newest: None,
            samples: VecDeque::new(),
        }
    }

    /// A sign of life: its slot on the sender's clock, and when it was received on ours. True if it is the newest yet.
    pub(crate) fn heard(&mut self, slot: Moment, received: Moment) -> bool {
        self.sample(slot, received);
        if self.newest.is_some_and(|(newest, _)| slot <= newest) {
            return false;
        }
        self.newest = Some((slot, received));
        true
    }

    /// A sign that answers a question of ours (a Pong with our nonce): it cannot have been queued before we asked, so
    /// it alone is believed from now on. Mends the offset after the sender's clock stood still (a suspended machine).
    pub(crate) fn confirmed(&mut self, slot: Moment, received: Moment) {
        self.samples.clear();
        self.heard(slot, received);
    }

    /// A moment of our clock on the sender's, as well as the fastest sign of the window tells: never later than the truth.
    pub(crate) fn theirs(&self, ours: Moment) -> Option<Moment> {
        Some(shifted(ours, self.offset()?.saturating_neg()))
    }

    /// A moment of the sender's clock on ours.
    pub(crate) fn ours(&self, theirs: Moment) -> Option<Moment> {
        Some(shifted(theirs, self.offset()?))
    }

    /// Until when the sender counts as fresh, on our clock; `None` before the first sign.
    pub(crate) fn fresh_until(&self) -> Option<Moment> {
        let (slot, _) = self.newest?;
        Some(shifted(slot, self.offset()?) + self.interval + self.margin)
    }

    /// True while the freshness point of the next slot has not passed.
    pub(crate) fn is_fresh(&self, now: Moment) -> bool {
        self.fresh_until().is_some_and(|until| now < until)
    }

    /// The newest slot (sender's clock) and when its sign was received (ours).
    pub(crate) fn newest(&self) -> Option<(Moment, Moment)> {
        self.newest
    }

    fn offset(&self) -> Option<i64> {
        self.samples.iter().map(|sample| sample.offset).min()
    }

    fn sample(&mut self, slot: Moment, received: Moment) {
        let offset = difference(received, slot);
        if let Some(last) = self.samples.back_mut() {
            let half = self.interval / 2;
            if slot < last.slot + half || received < last.received + half {
                last.offset = last.offset.min(offset);
                return;
            }
        }
        if self.samples.len() == WINDOW_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { slot, received, offset });
    }
}

fn difference(ours: Moment, theirs: Moment) -> i64 {
    let difference = i128::from(ours.as_micros()) - i128::from(theirs.as_micros());
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}

fn shifted(slot: Moment, offset: i64) -> Moment {
    Moment::from_micros(slot.as_micros().saturating_add_signed(offset))
}

/// The observer's suspicion of itself, and its health from 0 to 8.
///
/// ```text
///            late wake-up or Stalled                 a whole window without one
///   well ────────────────────────────▶ settling ────────────────────────────▶ well
///                                       ▲    │ late again
///                                       └────┘
/// ```
#[derive(Clone, Debug)]
pub(crate) struct LocalHealth {
    settle: Duration,
    settled_at: Moment,
    /// Thousandths of a health point, so that healthy time heals smoothly: one point a second.
    illness_milli: u64,
    healed_at: Moment,
    /// When the last stall was noticed: what was due before is late by that one.
    noticed_at: Moment,
}

impl LocalHealth {
    /// A wake-up later than this is a stall of our own.
    pub(crate) const LATE: Duration = Duration::from_millis(300);

    /// Starts settling at `now`: after its start, too, an observer first sees a whole window.
    pub(crate) fn new(now: Moment, settle: Duration) -> Self {
        Self {
            settle,
            settled_at: now + settle,
            illness_milli: 0,
            healed_at: now,
            noticed_at: now,
        }
    }

    /// This process did not run for `gap`.
    pub(crate) fn stalled(&mut self, now: Moment, gap: Duration) {
        self.heal(now);
        self.settled_at = self.settled_at.max(now + self.settle);
        let is_known = now.saturating_sub(gap) < core::mem::replace(&mut self.noticed_at, now);
        let points = match gap {
            _ if is_known => 0,
            gap if gap < Duration::from_secs(1) => 1000,
            _ => 3000,
        };
        self.illness_milli = (self.illness_milli + points).min(u64::from(ObserverHealth::MAX) * 1000);
    }

    /// To be called with what was due when the clock said `now`, before anything that waited is taken. True if that was so
    /// late that it is a stall; one stall counts once, also where it is told as well.
    pub(crate) fn woke(&mut self, now: Moment, due: Moment) -> bool {
        let late = now.since(due.max(self.noticed_at));
        if late <= Self::LATE {
            return false;
        }
        self.stalled(now, late);
        true
    }

    /// True once a whole window has passed since the last stall: only then may anybody be judged.
    pub(crate) fn may_judge(&self, now: Moment) -> bool {
        self.settled_at <= now
    }

    /// When judging may begin.
    pub(crate) fn settled_at(&self) -> Moment {
        self.settled_at
    }

    /// How well the observer is.
    pub(crate) fn health(&self, now: Moment) -> ObserverHealth {
        ObserverHealth(u8::try_from(self.illness_at(now).div_ceil(1000)).unwrap_or(ObserverHealth::MAX))
    }

    fn illness_at(&self, now: Moment) -> u64 {
        let healthy = u64::try_from(now.since(self.healed_at).as_millis()).unwrap_or(u64::MAX);
        self.illness_milli.saturating_sub(healthy)
    }

    fn heal(&mut self, now: Moment) {
        (self.illness_milli, self.healed_at) = (self.illness_at(now), now);
    }
}

#[cfg(test)]
mod tests;
