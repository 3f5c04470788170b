//! What begins anew with each incarnation of a container. Decides nothing.

use super::asked::ManualStopFlag;
use super::health::HealthWord;
use super::set_back::ClockSetBack;
use crate::container::io::EngineTime;
use crate::time::{Duration, Moment};

/// The engine says that memory ran out before the end that comes of it (seen: 40 to 150 ms).
const OUT_OF_MEMORY_BEFORE_END: Duration = Duration::from_secs(3);

/// The engine's wait before it restarts it by its policy, after the last end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum EngineBackoff {
    #[default]
    None,
    /// An inspection showed it.
    Seen,
    /// It ended without a start; the manual-stop flag tells who ended it.
    Ended,
}

/// An end as it became known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SeenEnd {
    /// When it became known.
    pub(crate) at: Moment,
    /// By its event, not only by an inspection.
    pub(crate) by_event: bool,
}

/// What begins anew with each incarnation.
#[derive(Clone, Debug, Default)]
pub(super) struct Present {
    /// When its start event arrived.
    pub(super) born_at: Option<Moment>,
    pub(super) end: Option<SeenEnd>,
    pub(super) health: HealthWord,
    /// When memory ran out, of the container or of a child.
    pub(super) oom: Option<EngineTime>,
    pub(super) flag: ManualStopFlag,
    pub(super) backoff: EngineBackoff,
    /// The newest stop signal that came live: its stamp, and when it came.
    pub(super) stop_came: Option<(EngineTime, Moment)>,
    pub(super) uncertain: bool,
    pub(super) set_back: ClockSetBack,
}

impl Present {
    /// An inspection shows another incarnation. If its start event came before (`is_inspected` = what was known was not of an
    /// inspection of it), what came since stays.
    pub(super) fn begin_another(&mut self, is_inspected: bool) {
        let before = core::mem::take(self);
        if before.born_at.is_some() && !is_inspected {
            let (born_at, end, health) = (before.born_at, before.end, before.health);
            *self = Self {
                born_at,
                end,
                health,
                stop_came: before.stop_came,
                ..Self::default()
            };
        }
    }

    /// An inspection shows it down; `by_event` = the event of that end came.
    pub(super) fn saw_down(&mut self, now: Moment, by_event: bool) {
        let died = self.set_back.died();
        let first = SeenEnd {
            at: died.unwrap_or(now),
            by_event: false,
        };
        self.end.get_or_insert(first).by_event |= by_event || died.is_some();
    }

    /// The engine's back-off ended without a start. What the flag said of the end before says nothing of the time since.
    pub(super) fn backoff_ended(&mut self) {
        if self.backoff == EngineBackoff::Seen {
            self.flag = ManualStopFlag::NotAsked;
        }
        self.backoff = EngineBackoff::Ended;
    }

    /// Memory ran out right before that end. Without the event the engine's mark must do, which some engines set for a child's
    /// end too.
    pub(super) fn out_of_memory(&self, ended: EngineTime, is_marked: bool) -> bool {
        self.oom
            .map_or(is_marked, |at| ended <= at.plus(OUT_OF_MEMORY_BEFORE_END))
    }
}
