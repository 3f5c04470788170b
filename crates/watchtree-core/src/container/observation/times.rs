//! The newest start and the newest end of a container by their events: on the engine's clock, and when each arrived; and what
//! they say together with an inspection that is passed in.

use super::set_back::SET_BACK;
use crate::container::io::{ContainerView, EngineTime, RunState};
use crate::time::Moment;

/// See the module's text; 0 = none.
#[derive(Clone, Debug, Default)]
pub(super) struct EventTimes {
    start: EngineTime,
    start_came: Moment,
    die: EngineTime,
    die_came: Moment,
    die_code: i64,
}

impl EventTimes {
    pub(super) fn start(&self) -> EngineTime {
        self.start
    }

    /// When the event of the start arrived.
    pub(super) fn start_came(&self) -> Moment {
        self.start_came
    }

    pub(super) fn die(&self) -> EngineTime {
        self.die
    }

    pub(super) fn started(&mut self, now: Moment, at: EngineTime) {
        (self.start, self.start_came) = (at, now);
    }

    pub(super) fn died(&mut self, now: Moment, at: EngineTime, code: i64) {
        (self.die, self.die_came, self.die_code) = (at, now, code);
    }

    /// Stamps of ends before tell nothing any more.
    pub(super) fn forget_die(&mut self) {
        self.die = EngineTime(0);
    }

    /// When the present or last incarnation began.
    pub(super) fn began(&self, view: Option<&ContainerView>) -> EngineTime {
        view.map_or(self.start, |view| view.started_at.max(self.start))
    }

    /// When it ended.
    pub(super) fn ended(&self, view: Option<&ContainerView>) -> EngineTime {
        // What runs by the inspection finished in its incarnation before, perhaps by a clock that was set back since.
        let finished = view
            .filter(|view| !matches!(view.run, RunState::Running | RunState::Paused))
            .map(|view| view.finished_at)
            .filter(|finished| self.began(view) <= *finished);
        finished.map_or(self.die, |finished| finished.max(self.die))
    }

    /// With what it ended.
    pub(super) fn exit_code(&self, view: Option<&ContainerView>) -> i64 {
        match view {
            Some(view) if self.die <= view.finished_at && view.run != RunState::Running => view.exit_code,
            _ if EngineTime(0) < self.die => self.die_code,
            Some(view) => view.exit_code,
            None => 0,
        }
    }

    /// Drops stamps of events that this inspection, asked for later than they came, shows to be of a clock that was set back.
    pub(super) fn drop_future(&mut self, asked: Moment, view: &ContainerView) {
        let is_future = |at: EngineTime, came: Moment| came < asked && view.started_at.plus(SET_BACK) < at;
        if is_future(self.start, self.start_came) {
            self.start = EngineTime(0);
        }
        let runs = matches!(view.run, RunState::Running | RunState::Paused);
        if runs && is_future(self.die, self.die_came) {
            self.forget_die();
        }
    }
}

#[cfg(test)]
mod tests {
    //! Stamps that an inspection shows to be wrong.
    use super::*;

    #[test]
    fn stamps_of_before_the_clock_was_set_back_are_dropped_by_a_later_inspection() {
        let (at, stamp) = (Moment::from_millis, |secs: u64| EngineTime(secs * 1_000_000_000));
        let mut times = EventTimes::default();
        times.started(at(10), stamp(100));
        times.died(at(20), stamp(110), 1);
        let view = |run| ContainerView {
            run,
            started_at: stamp(50),
            ..ContainerView::default()
        };
        times.drop_future(at(10), &view(RunState::Running));
        assert_eq!(
            (times.start(), times.die()),
            (stamp(100), stamp(110)),
            "asked for before"
        );
        times.drop_future(at(21), &view(RunState::Exited));
        assert_eq!(
            (times.start(), times.die()),
            (stamp(0), stamp(110)),
            "it may have ended"
        );
        times.drop_future(at(21), &view(RunState::Running));
        assert_eq!((times.die(), times.exit_code(None)), (stamp(0), 0));
    }
}
