//! What a container does now, from the last inspection of it and the events since. Pure.

use super::present::Present;
use super::times::EventTimes;
use crate::container::io::{ContainerView, EngineTime, RunState};
use crate::time::Moment;

/// What the container does now, all sources considered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Unknown,
    Created,
    Running,
    Paused,
    /// The engine waits out its own back-off.
    Backoff,
    Down,
    /// Being removed, or the engine has begun to and has not come to the end of it: it starts no more.
    Removing,
}

/// By an inspection that was asked for at that moment.
pub(super) fn status((view, asked): (&ContainerView, Moment), times: &EventTimes, present: &Present) -> Status {
    let began = view.started_at.max(times.start());
    match view.run {
        RunState::Removing | RunState::Dead => Status::Removing,
        RunState::Restarting => {
            // Only an inspection after the end tells of the engine's back-off for that end.
            let stale = present.end.is_some_and(|end| asked < end.at)
                || (times.die() < times.start() && present.born_at.is_some_and(|born| asked < born));
            match (stale, began < times.die()) {
                (false, _) => Status::Backoff,
                (true, true) => Status::Down,
                (true, false) => Status::Running,
            }
        }
        RunState::Running | RunState::Paused if began < times.die() => Status::Down,
        RunState::Running => Status::Running,
        RunState::Paused => Status::Paused,
        RunState::Exited => {
            let is_older = view.finished_at.max(times.die()).max(view.started_at) < times.start();
            if is_older && asked <= times.start_came() {
                Status::Running
            } else {
                Status::Down
            }
        }
        RunState::Created if times.die() < times.start() => Status::Running,
        RunState::Created if EngineTime(0) < times.die() => Status::Down,
        RunState::Created => Status::Created,
    }
}

/// A person's pause counts from its event on, however long the next inspection takes. A replayed one may be over by now.
pub(super) fn shown_as(view: &mut Option<ContainerView>, before: RunState, after: RunState) {
    if let Some(view) = view.as_mut().filter(|view| view.run == before) {
        view.run = after;
    }
}

#[cfg(test)]
mod tests {
    //! An answer that overtook an event, or the other way.
    use super::super::present::SeenEnd;
    use super::*;

    #[test]
    fn the_later_of_an_inspection_and_an_event_decides() {
        let (at, stamp) = (Moment::from_millis, EngineTime);
        let view = |run| ContainerView {
            run,
            started_at: stamp(100),
            finished_at: stamp(50),
            ..ContainerView::default()
        };
        let (mut times, present) = (EventTimes::default(), Present::default());
        times.started(at(20), stamp(200));
        let of = |run, asked, times: &EventTimes| status((&view(run), at(asked)), times, &present);
        assert_eq!(of(RunState::Exited, 20, &times), Status::Running, "started since");
        assert_eq!(of(RunState::Exited, 21, &times), Status::Down, "ended since");
        assert_eq!(of(RunState::Created, 10, &times), Status::Running);
        times.died(at(30), stamp(300), 1);
        for run in [RunState::Running, RunState::Paused, RunState::Created] {
            assert_eq!(of(run, 25, &times), Status::Down);
        }
        assert_eq!(of(RunState::Restarting, 40, &times), Status::Backoff);
        assert_eq!(of(RunState::Created, 10, &EventTimes::default()), Status::Created);
    }

    #[test]
    fn only_an_inspection_after_the_end_tells_of_the_back_off_for_it() {
        let (at, stamp) = (Moment::from_millis, EngineTime);
        let view = ContainerView {
            run: RunState::Restarting,
            started_at: stamp(100),
            ..ContainerView::default()
        };
        let mut present = Present {
            end: Some(SeenEnd {
                at: at(30),
                by_event: true,
            }),
            ..Present::default()
        };
        let mut times = EventTimes::default();
        times.died(at(30), stamp(300), 1);
        assert_eq!(status((&view, at(29)), &times, &present), Status::Down);
        assert_eq!(status((&view, at(30)), &times, &present), Status::Backoff);
        times.started(at(40), stamp(400));
        (present.end, present.born_at) = (None, Some(at(40)));
        assert_eq!(
            status((&view, at(39)), &times, &present),
            Status::Running,
            "started since"
        );
        assert_eq!(status((&view, at(40)), &times, &present), Status::Backoff);
    }
}
