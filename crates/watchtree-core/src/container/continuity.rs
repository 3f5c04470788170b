//! Whether the event stream can be trusted: its continuity across breaks, and whether an interval was seen whole.
//!
//! ```text
//!            StreamOpened                 anchor seen again: nothing was lost, old coverage stands
//! Opening ────────────────▶ Gap open ──────────────────────────────────────────────────▶ Whole
//!    ▲   │ StreamEnded          │  settled (2 s) without it: coverage begins at the opening   ▲
//!    │   │                      │  of a new life of the engine, and quiet (200 ms): likewise  │
//!    │   └──▶ Closed ──retry──┐ └─────────────────────────────────────────────────────────────┘
//!    └────────────────────────┘
//! ```
//!
//! Knows no container. The *anchor* is the newest event that was taken before the break. The engine's memory of events is a ring: if it
//! still holds the anchor, it still holds everything after it.

use super::io::{ContainerId, EngineTime};
use crate::time::{Duration, Moment};
use alloc::string::String;

/// The event cursor: time, container and word of an event.
pub(crate) type EventCursor = (EngineTime, ContainerId, String);

/// Without a stream for that long, the list alone must do.
const BLIND_MAX: Duration = Duration::from_secs(10);
/// An engine that answered so lately is there. While no stream is open it is asked for its list every 5 s.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// It answers when it has for so long: by then its stream would be open, if it had one.
const ANSWERS_FOR: Duration = Duration::from_secs(3);
/// Longest and shortest pause between two tries to open the stream.
const RETRY_MAX: Duration = Duration::from_millis(500);
const RETRY_MIN: Duration = Duration::from_millis(100);
/// A stream that ends sooner than this after its opening counts as one that could not be opened.
const SHORT_LIVED: Duration = Duration::from_secs(1);
/// The stream's opening must be answered within this time.
const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// An engine that has begun a new life remembers nothing of the one before, so the anchor cannot come. What it remembers of its
/// start it tells at once, one after the other: it has told all when it falls silent for this long.
const TOLD_ALL_AFTER: Duration = Duration::from_millis(200);

/// Live events come in the order of their stamps, but for a clock that was set back by more than this.
const FAR_BEHIND: Duration = Duration::from_secs(5);

/// From when on every event was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Coverage {
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
    anchor: Option<EventCursor>,
    since: Moment,
    opened: Option<Moment>,
    deadline: Moment,
    /// A try to open the stream again failed.
    was_refused: bool,
    /// Since when the engine has answered, and when it did so last.
    answered: Option<(Moment, Moment)>,
    /// When the stream of a new life of the engine is held to have settled at the latest, while it tells of its start.
    new_life_until: Option<Moment>,
}

impl Gap {
    /// The engine answers, stream or not: more than once, for one that comes and goes at once answers too.
    fn is_answered(&self, now: Moment) -> bool {
        let answers =
            |(first, last): (Moment, Moment)| now.since(last) < ANSWERED_WITHIN && ANSWERS_FOR <= last.since(first);
        self.answered.is_some_and(answers)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct EventContinuity {
    pipe: Pipe,
    gap: Option<Gap>,
    coverage: Coverage,
    /// When the last gap ended.
    whole_since: Moment,
    /// The newest event taken.
    last: Option<EventCursor>,
    /// The oldest event that came to this process.
    oldest: Option<EngineTime>,
    failures: u32,
    opened_at: Moment,
    settle: Duration,
    losses: u64,
    /// The stream ended (as against a stall of ours) in the present gap: perhaps the engine did.
    engine_away: bool,
}

/// For that long after a gap, events may be replays.
pub(crate) const REPLAYED_WITHIN: Duration = Duration::from_millis(500);

/// How a gap ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GapEnd {
    /// Nothing was lost.
    Whole,
    /// Events may have been lost.
    Lossy {
        /// The stream had ended: perhaps the engine did, and its calls with it.
        engine_away: bool,
    },
}

impl EventContinuity {
    pub(crate) fn new(now: Moment, last: Option<EventCursor>, settle: Duration) -> Self {
        let gap = Gap {
            anchor: last.clone(),
            since: now,
            opened: None,
            deadline: now + BLIND_MAX,
            was_refused: false,
            answered: None,
            new_life_until: None,
        };
        Self {
            pipe: Pipe::Opening { since: now },
            gap: Some(gap),
            coverage: Coverage::Always,
            whole_since: now,
            last,
            oldest: None,
            failures: 0,
            opened_at: Moment::ZERO,
            settle,
            losses: 0,
            engine_away: false,
        }
    }

    /// The stream is broken, or this process did not look for a while. True if a new one is to be opened at once.
    pub(crate) fn broke(&mut self, now: Moment, ended: bool) -> bool {
        self.engine_away |= ended;
        let was_refused = ended && self.pipe != Pipe::Open;
        let before = self.gap.take();
        // A break within a gap: what was anchored first still decides, and the time without a stream goes on. Not that in which
        // this process did not look: what happened then comes with the next stream.
        let anchor = before.as_ref().map_or(self.last.clone(), |gap| gap.anchor.clone());
        let since = before.as_ref().filter(|_| ended).map_or(now, |gap| gap.since);
        let waits = before
            .as_ref()
            .filter(|gap| gap.opened.is_none())
            .map(|gap| gap.deadline);
        self.gap = Some(Gap {
            anchor,
            since,
            opened: None,
            deadline: waits.unwrap_or_default().max(since + BLIND_MAX),
            was_refused: was_refused || before.as_ref().is_some_and(|gap| gap.was_refused),
            answered: before.and_then(|gap| gap.answered),
            new_life_until: None,
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

    /// The stream that has just opened is of a life of the engine that began then; `before` = when the one that was known till
    /// then did. An anchor of that one is not waited for.
    pub(crate) fn is_of_new_life(&mut self, now: Moment, began: EngineTime, before: Option<EngineTime>) {
        let Some(gap) = self.gap.as_mut().filter(|gap| gap.opened.is_some()) else {
            return;
        };
        let anchor = gap.anchor.as_ref().map(|(at, ..)| *at);
        if anchor.or(before).is_some_and(|at| at < began) {
            gap.new_life_until = Some(gap.deadline);
            gap.deadline = gap.deadline.min(now + TOLD_ALL_AFTER);
        }
    }

    /// An event came. Returns how the gap ended if this ended it.
    pub(crate) fn saw(&mut self, now: Moment, cursor: &EventCursor) -> Option<GapEnd> {
        if let Some(gap) = &mut self.gap
            && let Some(until) = gap.new_life_until
        {
            gap.deadline = until.min(now + TOLD_ALL_AFTER);
        }
        self.oldest = Some(self.oldest.map_or(cursor.0, |oldest| oldest.min(cursor.0)));
        let is_anchor = self
            .gap
            .as_ref()
            .is_some_and(|gap| gap.opened.is_some() && gap.anchor.as_ref() == Some(cursor));
        let newer = self.last.as_ref().is_none_or(|(at, _, _)| *at <= cursor.0);
        // A live event far behind the newest: the engine's clock was set back, and the newest would stay it for as long.
        let set_back = self.is_live(now)
            && self
                .last
                .as_ref()
                .is_some_and(|(at, _, _)| cursor.0.plus(FAR_BEHIND) < *at);
        if newer || set_back {
            self.last = Some(cursor.clone());
        }
        is_anchor.then(|| {
            self.gap = None;
            self.whole_since = now;
            self.engine_away = false;
            GapEnd::Whole
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

    /// The engine answered something. What it did meanwhile its stream tells, if that opens soon.
    pub(crate) fn answered(&mut self, now: Moment) {
        let settle = self.settle;
        if let Some(gap) = self.gap.as_mut().filter(|gap| gap.opened.is_none()) {
            let was_answered = gap.is_answered(now);
            let of_late = gap.answered.filter(|(_, last)| now.since(*last) < ANSWERED_WITHIN);
            gap.answered = Some((of_late.map_or(now, |(first, _)| first), now));
            if !was_answered && gap.is_answered(now) {
                gap.deadline = gap.deadline.max(now + settle);
            }
        }
    }

    /// A stream was awaited, and may have opened.
    pub(crate) fn is_awaited(&self) -> bool {
        !matches!(self.pipe, Pipe::Closed { .. })
    }

    /// Ends a gap whose time is up. While the engine answers nothing at all, there is nothing to be known.
    pub(crate) fn settle(&mut self, now: Moment) -> Option<GapEnd> {
        let gap = self.gap.as_mut().filter(|gap| gap.deadline <= now)?;
        if gap.opened.is_none() && !gap.is_answered(now) {
            gap.deadline = now + BLIND_MAX;
            return None;
        }
        self.coverage = Coverage::From(gap.opened.unwrap_or(now));
        self.gap = None;
        self.whole_since = now;
        self.losses += 1;
        let engine_away = core::mem::take(&mut self.engine_away);
        Some(GapEnd::Lossy { engine_away })
    }

    /// While a gap is open: when it ends at the latest.
    pub(crate) fn gap_until(&self) -> Option<Moment> {
        self.gap.as_ref().map(|gap| gap.deadline)
    }

    /// Until when events of before may still come in: in a gap, and while a replay is under way that has just shown its anchor.
    pub(crate) fn replayed_until(&self, now: Moment) -> Option<Moment> {
        let replay = (self.whole_since + REPLAYED_WITHIN).max(now);
        self.gap_until().or((now < replay).then_some(replay))
    }

    /// In the present gap a try to open the stream again failed.
    pub(crate) fn was_refused(&self) -> bool {
        self.gap.as_ref().is_some_and(|gap| gap.was_refused)
    }

    /// When the last gap ended.
    pub(crate) fn whole_since(&self) -> Moment {
        self.whole_since
    }

    /// Whether an event received at `arrived` was live; replayed ones, and those that waited while this process did not
    /// run, may be superseded by queued ones.
    pub(crate) fn is_live(&self, arrived: Moment) -> bool {
        self.gap.is_none() && self.whole_since + REPLAYED_WITHIN <= arrived
    }

    pub(crate) fn is_open(&self) -> bool {
        self.pipe == Pipe::Open
    }

    /// Where to subscribe from; `needed` = the newest event before the repairs under way, whose signals must be seen.
    pub(crate) fn since(&self, needed: Option<EngineTime>) -> Option<EngineTime> {
        let anchor = self.gap.as_ref().and_then(|gap| gap.anchor.as_ref());
        let since = anchor.or(self.last.as_ref()).map(|(at, _, _)| *at)?;
        Some(needed.map_or(since, |at| at.min(since)))
    }

    /// The newest event taken.
    pub(crate) fn cursor(&self) -> Option<&EventCursor> {
        self.last.as_ref()
    }

    /// The time of the newest event taken; 0 = none.
    pub(crate) fn newest(&self) -> EngineTime {
        self.last.as_ref().map_or(EngineTime(0), |(at, _, _)| *at)
    }

    /// This process itself was told of that time: what came after it was not forgotten by the engine before it asked. An anchor
    /// seen again says so of what came after the anchor only.
    pub(crate) fn reaches(&self, at: EngineTime) -> bool {
        self.oldest.is_some_and(|oldest| oldest <= at)
    }

    /// How often continuity was lost for good.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let pipe = match self.pipe {
            Pipe::Closed { again } => Some(again),
            Pipe::Opening { since } => Some(since + OPEN_WITHIN),
            Pipe::Open => None,
        };
        [pipe, self.gap_until()].into_iter().flatten().min()
    }

    /// Was every stop signal that could have led to an end seen, if the incarnation's start was seen at `born` (or not), and
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

#[cfg(test)]
mod tests;
