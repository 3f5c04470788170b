//! Whether the event stream can be trusted: its continuity across breaks.
//!
//! ```text
//!            StreamOpened                 anchor seen again: nothing was lost, old coverage stands
//! Opening ────────────────▶ Gap open ──────────────────────────────────────────────────▶ Whole
//!    ▲   │ StreamEnded          │  settled (2 s) without it: coverage begins at the opening   ▲
//!    │   └──▶ Closed ──retry──┐ └─────────────────────────────────────────────────────────────┘
//!    └────────────────────────┘
//! ```
//!
//! The *anchor* is the newest event that was taken before the break. The engine's memory of events is a ring: if it
//! still holds the anchor, it still holds everything after it.

use super::facts::plus;
use super::io::{ContainerId, EngineTime};
use crate::time::{Duration, Moment};
use alloc::string::String;

/// Time and container and word of an event.
pub(crate) type Place = (EngineTime, ContainerId, String);

/// Without a stream for that long, the list alone must do.
const BLIND_MAX: Duration = Duration::from_secs(10);
/// Longest and shortest pause between two tries to open the stream.
const RETRY_MAX: Duration = Duration::from_secs(2);
const RETRY_MIN: Duration = Duration::from_millis(100);
/// A stream that ends sooner than this after its opening counts as one that could not be opened.
const SHORT_LIVED: Duration = Duration::from_secs(1);
/// The stream's opening must be answered within this time.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// Live events come in the order of their stamps, but for a clock that was set back by more than this.
const FAR_BEHIND: Duration = Duration::from_secs(5);

/// From when on every event was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coverage {
    /// Since before this process, by the journal.
    Always,
    From(Moment),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pipe {
    Closed { again: Moment },
    Opening { since: Moment },
    Open,
}

#[derive(Clone, Debug)]
struct Gap {
    anchor: Option<Place>,
    since: Moment,
    opened: Option<Moment>,
    deadline: Moment,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pipe: Pipe,
    gap: Option<Gap>,
    pub(crate) coverage: Coverage,
    /// When the last gap ended.
    whole_since: Moment,
    /// The newest event taken.
    pub(crate) last: Option<Place>,
    failures: u32,
    opened_at: Moment,
    settle: Duration,
    /// How often continuity was lost for good.
    pub(crate) losses: u64,
}

/// For that long after a gap, events may be replays.
pub(crate) const REPLAYED_WITHIN: Duration = Duration::from_millis(500);

/// How a gap ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Healed {
    /// Nothing was lost.
    Whole,
    /// Events may have been lost.
    Lossy,
}

impl Stream {
    pub(crate) fn new(now: Moment, last: Option<Place>, settle: Duration) -> Self {
        let gap = Gap {
            anchor: last.clone(),
            since: now,
            opened: None,
            deadline: now + BLIND_MAX,
        };
        Self {
            pipe: Pipe::Opening { since: now },
            gap: Some(gap),
            coverage: Coverage::Always,
            whole_since: now,
            last,
            failures: 0,
            opened_at: Moment::ZERO,
            settle,
            losses: 0,
        }
    }

    /// The stream is broken, or this process did not look for a while. True if a new one is to be opened at once.
    pub(crate) fn broke(&mut self, now: Moment, ended: bool) -> bool {
        let (anchor, since) = match self.gap.take() {
            // A break within a gap: what was anchored first still decides, and the time without a stream goes on.
            Some(gap) => (gap.anchor, gap.since),
            None => (self.last.clone(), now),
        };
        self.gap = Some(Gap {
            anchor,
            since,
            opened: None,
            deadline: since + BLIND_MAX,
        });
        let failed_again = ended && (!matches!(self.pipe, Pipe::Open) || now < self.opened_at + SHORT_LIVED);
        self.failures = if failed_again {
            self.failures.saturating_add(1)
        } else {
            0
        };
        if failed_again {
            let pause = RETRY_MIN.saturating_mul(1 << self.failures.min(5)).min(RETRY_MAX);
            self.pipe = Pipe::Closed { again: now + pause };
            return false;
        }
        self.pipe = Pipe::Opening { since: now };
        true
    }

    /// True if the wait for it had been given up: nobody saw what happened since.
    pub(crate) fn opened(&mut self, now: Moment) -> bool {
        // Only what was asked for: the opening of a stream that has ended since is no opening.
        if matches!(self.pipe, Pipe::Closed { .. }) {
            return false;
        }
        let was_shut = self.pipe != Pipe::Open;
        self.pipe = Pipe::Open;
        self.opened_at = now;
        if let Some(gap) = &mut self.gap {
            gap.opened = Some(now);
            gap.deadline = now + self.settle;
            return false;
        }
        if was_shut {
            // What is replayed now is old news.
            self.coverage = Coverage::From(now);
            self.whole_since = now;
        }
        was_shut
    }

    /// An event came. Returns how the gap ended if this ended it.
    pub(crate) fn saw(&mut self, now: Moment, place: &Place) -> Option<Healed> {
        let is_anchor = self
            .gap
            .as_ref()
            .is_some_and(|gap| gap.opened.is_some() && gap.anchor.as_ref() == Some(place));
        let newer = self.last.as_ref().is_none_or(|(at, _, _)| *at <= place.0);
        // A live event far behind the newest: the engine's clock was set back, and the newest would stay it for as long.
        let set_back = self.is_live(now)
            && self
                .last
                .as_ref()
                .is_some_and(|(at, _, _)| plus(place.0, FAR_BEHIND) < *at);
        if newer || set_back {
            self.last = Some(place.clone());
        }
        is_anchor.then(|| {
            self.gap = None;
            self.whole_since = now;
            Healed::Whole
        })
    }

    /// True if it is time to open the stream again.
    pub(crate) fn wants_open(&mut self, now: Moment) -> bool {
        let due = match self.pipe {
            Pipe::Closed { again } => again <= now,
            Pipe::Opening { since } => since + OPEN_WITHIN <= now,
            Pipe::Open => false,
        };
        if due {
            self.pipe = Pipe::Opening { since: now };
        }
        due
    }

    /// Ends a gap whose time is up.
    pub(crate) fn settle(&mut self, now: Moment) -> Option<Healed> {
        let gap = self.gap.as_ref()?;
        if now < gap.deadline {
            return None;
        }
        self.coverage = Coverage::From(gap.opened.unwrap_or(now));
        self.gap = None;
        self.whole_since = now;
        self.losses += 1;
        Some(Healed::Lossy)
    }

    /// While a gap is open: when it ends at the latest.
    pub(crate) fn gap_until(&self) -> Option<Moment> {
        self.gap.as_ref().map(|gap| gap.deadline)
    }

    /// When the last gap ended.
    pub(crate) fn whole_since(&self) -> Moment {
        self.whole_since
    }

    /// Did an event that arrived then tell of the present? One that was replayed, or waited while this process did not
    /// run, may have been overtaken by others behind it.
    pub(crate) fn is_live(&self, arrived: Moment) -> bool {
        self.gap.is_none() && self.whole_since + REPLAYED_WITHIN <= arrived
    }

    pub(crate) fn is_open(&self) -> bool {
        self.pipe == Pipe::Open
    }

    /// Where to subscribe from.
    pub(crate) fn since(&self) -> Option<EngineTime> {
        let anchor = self.gap.as_ref().and_then(|gap| gap.anchor.as_ref());
        anchor.or(self.last.as_ref()).map(|(at, _, _)| *at)
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let pipe = match self.pipe {
            Pipe::Closed { again } => Some(again),
            Pipe::Opening { since } => Some(since + OPEN_WITHIN),
            Pipe::Open => None,
        };
        [pipe, self.gap_until()].into_iter().flatten().min()
    }

    /// Was every stop signal that could have led to an end seen, if the life's start was seen at `born` (or not), and
    /// the container was last known alive at `alive`? Nothing is seen while no stream is open.
    pub(crate) fn covers(&self, born: Option<Moment>, alive: Option<Moment>, window: Duration) -> bool {
        if !self.is_open() {
            return false;
        }
        match self.coverage {
            Coverage::Always => true,
            Coverage::From(from) => {
                born.is_some_and(|born| from <= born) || alive.is_some_and(|alive| from + window <= alive)
            }
        }
    }
}
