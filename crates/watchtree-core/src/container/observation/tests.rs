//! What a few events and inspections make of an observation.
use super::*;
use crate::container::io::{EngineEvent, EventAction};
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
        it.take(at(30), &event(2000 + lasted, EventAction::Die { exit_code: 0 }), true);
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
    assert!(!it.flag_read(Some(true)));
    it.ask_flag(at(1));
    assert!(it.flag_read(Some(true)) && it.flag() == ManualStopFlag::Known(Some(true)));
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
    assert!(it.has_odd_end() && it.odd_intent(at(60)).is_some());
    it.forget_odd_stop();
    assert!(!it.has_odd_stop_of(at(50)));
}
