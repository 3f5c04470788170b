//! What a few events and inspections make of an observation.
use super::*;
use crate::container::io::{EngineEvent, EventAction, RestartPolicy};
use crate::time::Duration;
use alloc::format;

fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn stamp(ms: u64) -> EngineTime {
    EngineTime(ms * 1_000_000)
}

fn event(ms: u64, action: EventAction) -> EngineEvent {
    EngineEvent {
        at: stamp(ms),
        id: "c1".into(),
        name: "web".into(),
        compose: None,
        action,
    }
}

fn running_since(ms: u64) -> ContainerView {
    ContainerView {
        run: RunState::Running,
        started_at: stamp(ms),
        started_at_text: format!("{ms}"),
        stop_signal: 15,
        ..ContainerView::default()
    }
}

fn running() -> ContainerObservation {
    let mut it = ContainerObservation::new("c1".into(), at(0));
    assert!(it.begin_inspection(at(10)));
    it.absorb(at(11), running_since(1000));
    it
}

#[test]
fn a_die_ends_the_incarnation_once_and_an_old_one_does_not() {
    let mut it = running();
    assert_eq!(it.status(), Status::Running);
    assert!(it.take(at(20), &event(500, EventAction::Die { exit_code: 1 }), true));
    assert_eq!(it.status(), Status::Running, "of an incarnation before");
    let die = event(2000, EventAction::Die { exit_code: 7 });
    assert!(it.take(at(30), &die, true) && !it.take(at(31), &die, true));
    assert_eq!((it.status(), it.exit_code()), (Status::Down, 7));
    assert_eq!(
        it.end(),
        Some(SeenEnd {
            at: at(30),
            by_event: true
        })
    );
    it.take(at(40), &event(3000, EventAction::Start), true);
    assert_eq!((it.status(), it.end(), it.is_current()), (Status::Running, None, false));
}

#[test]
fn a_stop_signal_within_the_window_before_the_end_is_a_persons() {
    let cases = [
        (5000, 15, true),
        (5000, 9, true),
        (5000, 1, false),
        (20_000, 15, true),
        (600_000, 15, true),
        (600_001, 15, false),
    ];
    for (lasted, signal, expected) in cases {
        let mut it = running();
        it.take(at(20), &event(2000, EventAction::Kill { signal }), true);
        it.take(
            at(20 + lasted),
            &event(2000 + lasted, EventAction::Die { exit_code: 0 }),
            true,
        );
        assert_eq!(it.foreign_stop().is_some(), expected, "{lasted} {signal}");
        it.signals_mut().claim_newest_signal();
        assert_eq!(it.foreign_stop(), None, "our own");
    }
}

/// `FinishedAt` of its life before is of a clock that was set back since: it says nothing of the end that the event tells of.
#[test]
fn the_end_before_this_life_does_not_hide_a_persons_signal() {
    let mut it = ContainerObservation::new("c1".into(), at(0));
    assert!(it.begin_inspection(at(10)));
    let finished_at = stamp(2_000_000);
    it.absorb(
        at(11),
        ContainerView {
            finished_at,
            ..running_since(1000)
        },
    );
    it.take(at(20), &event(5000, EventAction::Kill { signal: 9 }), true);
    it.take(at(21), &event(5040, EventAction::Die { exit_code: 137 }), true);
    assert_eq!(it.ended(), stamp(5040));
    assert!(it.foreign_stop().is_some());
}

#[test]
fn an_end_that_only_an_inspection_shows_has_no_event() {
    let mut it = running();
    assert!(it.begin_inspection(at(50)));
    let view = ContainerView {
        run: RunState::Exited,
        finished_at: stamp(3000),
        exit_code: 3,
        ..running_since(1000)
    };
    it.absorb(at(51), view);
    assert_eq!(
        (it.status(), it.exit_code(), it.ended()),
        (Status::Down, 3, stamp(3000))
    );
    assert_eq!(
        it.end(),
        Some(SeenEnd {
            at: at(51),
            by_event: false
        })
    );
}

#[test]
fn the_flag_is_known_only_where_it_was_asked_for_and_a_new_incarnation_forgets_it() {
    let mut it = running();
    assert!(!it.flag_mut().read(Some(true)));
    it.flag_mut().ask(at(1));
    assert!(it.flag_mut().read(Some(true)) && it.flag() == ManualStopFlag::Known(Some(true)));
    it.take(at(40), &event(3000, EventAction::Start), true);
    assert_eq!(it.flag(), ManualStopFlag::NotAsked);
}

#[test]
fn a_stop_stamped_before_the_incarnation_it_came_in_is_of_a_clock_set_back() {
    let mut it = ContainerObservation::new("c1".into(), at(0));
    assert!(it.begin_inspection(at(10)));
    it.absorb(at(11), running_since(10_000));
    it.take(at(20), &event(9000, EventAction::Kill { signal: 15 }), true);
    assert!(!it.has_odd_stop_of(at(20)), "so little is no clock set back");
    it.take(at(30), &event(5000, EventAction::Kill { signal: 1 }), true);
    assert!(!it.has_odd_stop_of(at(30)), "no stop signal");
    it.take(at(40), &event(5001, EventAction::Kill { signal: 15 }), false);
    assert!(!it.has_odd_stop_of(at(40)), "replayed");
    it.take(at(50), &event(5002, EventAction::Kill { signal: 15 }), true);
    assert!(it.has_odd_stop_of(at(50)) && !it.has_odd_stop_of(at(51)));
    it.take(at(60), &event(5003, EventAction::Die { exit_code: 0 }), true);
    assert!(it.odd_intent(at(60)).is_some());
    it.forget_odd_stop();
    assert!(!it.has_odd_stop_of(at(50)));
}

/// One whose first incarnation began so late that an earlier stamp shows a clock that was set back.
fn running_late() -> ContainerObservation {
    let mut it = ContainerObservation::new("c1".into(), at(0));
    assert!(it.begin_inspection(at(10)));
    it.absorb(at(11), running_since(10_000));
    it
}

fn exited_since(began: u64, finished: u64) -> ContainerView {
    ContainerView {
        run: RunState::Exited,
        finished_at: stamp(finished),
        exit_code: 3,
        ..running_since(began)
    }
}

#[test]
fn what_is_older_than_the_incarnation_says_nothing_of_it() {
    let mut it = running();
    it.take(at(20), &event(500, EventAction::Health(Health::Unhealthy)), true);
    assert_eq!(it.health(), Some(HealthEvidence::NoCheck));
    it.take(at(21), &event(1500, EventAction::Health(Health::Unhealthy)), true);
    assert_eq!(it.health(), None, "an inspection must show the runs");
    for (ms, action, live, expected) in [
        (501, EventAction::Pause, true, Status::Running),
        (1501, EventAction::Pause, false, Status::Running),
        (1502, EventAction::Pause, true, Status::Paused),
        (502, EventAction::Unpause, true, Status::Paused),
        (1503, EventAction::Unpause, false, Status::Paused),
        (1504, EventAction::Unpause, true, Status::Running),
    ] {
        it.take(at(30), &event(ms, action.clone()), live);
        assert_eq!(it.status(), expected, "{action:?} at {ms} ms, live: {live}");
    }
    it.take(at(40), &event(3000, EventAction::Start), true);
    it.take(at(41), &event(2000, EventAction::Start), false);
    assert_eq!((it.began(), it.born_at()), (stamp(3000), Some(at(40))));
}

#[test]
fn memory_ran_out_if_the_engine_said_so_just_before_the_end() {
    // The event, the engine's mark, the exit code; whether it ended for memory.
    let cases = [
        (Some(1500), false, 137, true),
        (Some(500), false, 137, false),
        (None, true, 137, true),
        (None, false, 137, false),
        (Some(1500), false, 1, false),
    ];
    for (oom, oom_killed, exit_code, expected) in cases {
        let mut it = running();
        if let Some(ms) = oom {
            it.take(at(20), &event(ms, EventAction::Oom), true);
        }
        let view = ContainerView {
            oom_killed,
            exit_code,
            ..exited_since(1000, 4500)
        };
        assert!(it.begin_inspection(at(30)));
        it.absorb(at(31), view);
        assert_eq!(it.ended_out_of_memory(), expected, "{oom:?} {oom_killed} {exit_code}");
    }
}

#[test]
fn a_live_start_far_behind_the_newest_is_of_a_clock_set_back() {
    let mut it = running_late();
    it.take(at(20), &event(20_000, EventAction::Start), true);
    it.take(at(21), &event(18_000, EventAction::Start), true);
    assert_eq!((it.began(), it.born_at()), (stamp(20_000), Some(at(20))));
    it.take(at(22), &event(17_999, EventAction::Start), false);
    assert_eq!(it.born_at(), Some(at(20)), "replayed");
    it.take(at(23), &event(17_998, EventAction::Start), true);
    assert_eq!((it.began(), it.born_at()), (stamp(17_998), Some(at(23))));
}

#[test]
fn a_stop_is_odd_only_live_and_far_before_the_incarnation_and_an_end_never_ends_it() {
    for (ms, live, expected) in [(9000, true, false), (5000, false, false), (5000, true, true)] {
        let mut it = running_late();
        it.take(at(20), &event(ms, EventAction::Stop), live);
        assert_eq!(it.has_odd_stop_of(at(20)), expected, "stop at {ms} ms, live: {live}");
        let mut it = running_late();
        it.take(at(20), &event(ms, EventAction::Die { exit_code: 1 }), live);
        assert_eq!(
            it.status(),
            Status::Running,
            "no stamp says that it ended: {ms} ms, live: {live}"
        );
    }
}

#[test]
fn an_inspection_keeps_what_the_events_of_its_incarnation_told() {
    let mut it = running();
    it.take(at(40), &event(3000, EventAction::Start), true);
    it.take(at(50), &event(3500, EventAction::Die { exit_code: 3 }), true);
    assert!(it.needs_inspection() && it.begin_inspection(at(60)) && it.is_being_inspected());
    it.absorb(at(61), exited_since(3000, 3500));
    let end = SeenEnd {
        at: at(50),
        by_event: true,
    };
    assert_eq!(
        (it.born_at(), it.end(), it.is_current()),
        (Some(at(40)), Some(end), true)
    );
    assert!(it.ended_by_event() && it.was_inspected_since(at(60)) && !it.was_inspected_since(at(61)));
}

#[test]
fn signals_of_before_the_clock_was_set_back_are_forgotten_with_the_next_inspection() {
    for (began, is_left) in [(8000, true), (7999, false)] {
        let mut it = running_late();
        it.take(at(20), &event(10_500, EventAction::Kill { signal: 15 }), true);
        assert!(it.has_foreign_signal());
        assert!(it.begin_inspection(at(30)));
        it.absorb(at(31), running_since(began));
        assert_eq!(it.has_foreign_signal(), is_left, "it began at {began} ms");
    }
}

#[test]
fn an_end_is_dated_once() {
    let mut it = running();
    assert_eq!(it.ended_at(at(60)), at(60));
    it.date_end(at(70));
    it.date_end(at(80));
    assert_eq!((it.ended_at(at(90)), it.ended_by_event()), (at(70), false));
}

#[test]
fn when_it_was_seen_first_and_last() {
    let mut it = running();
    assert_eq!(it.first_seen(), at(0));
    assert_eq!(it.alive_at(), Some(at(10)), "when the inspection was asked for");
    it.saw_alive(at(50));
    it.saw_alive(at(40));
    assert_eq!(it.alive_at(), Some(at(50)));
}

#[test]
fn what_an_inspection_says_of_its_rules() {
    let with = |change: fn(&mut ContainerView)| {
        let mut view = running_since(1000);
        change(&mut view);
        let mut it = ContainerObservation::new("c1".into(), at(0));
        assert!(it.begin_inspection(at(10)));
        it.absorb(at(11), view);
        it
    };
    assert!(!with(|it| it.restart_policy = RestartPolicy::No).engine_restarts());
    assert!(with(|it| it.restart_policy = RestartPolicy::Always).engine_restarts());
    assert!(with(|it| it.restart_policy = RestartPolicy::UnlessStopped).engine_restarts());
    for (max, count, expected) in [(0, 9, true), (3, 2, true), (3, 3, false)] {
        let mut it = with(|it| it.restart_policy = RestartPolicy::OnFailure { max: 3 });
        assert!(it.begin_inspection(at(20)));
        let view = ContainerView {
            restart_policy: RestartPolicy::OnFailure { max },
            restart_count: count,
            ..running_since(1000)
        };
        it.absorb(at(21), view);
        assert_eq!(it.engine_restarts(), expected, "{count} of {max}");
    }
    let it = with(|it| (it.stop_signal, it.stop_timeout) = (10, Some(Duration::from_secs(30))));
    let stop = it.stop_terms();
    assert!(stop.is_end(10) && stop.is_end(9) && !stop.is_end(1));
    assert_eq!((stop.signal(), stop.ordinary()), (10, Duration::from_secs(32)));
    assert_eq!(running().stop_terms().ordinary(), Duration::from_secs(12));
    assert_eq!(running().incarnation().0, "c1@1000");
    let never = with(|it| it.started_at = EngineTime(0));
    assert_eq!(never.incarnation(), Incarnation::default());
    let unknown = ContainerObservation::new("c1".into(), at(0));
    assert_eq!(
        (unknown.status(), unknown.exit_code(), unknown.stop_terms().signal()),
        (Status::Unknown, 0, 15)
    );
}

#[test]
fn the_end_that_is_of_an_earlier_incarnation_is_none_of_this_one() {
    let mut it = running();
    let view = ContainerView {
        finished_at: stamp(900),
        ..running_since(1000)
    };
    assert!(it.begin_inspection(at(20)));
    it.absorb(at(21), view);
    assert_eq!(it.ended(), EngineTime(0));
    assert!(it.begin_inspection(at(30)));
    it.absorb(at(31), exited_since(1000, 1000));
    assert_eq!(it.ended(), stamp(1000));
}
