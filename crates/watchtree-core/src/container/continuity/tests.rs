//! Gaps, anchors, coverage.
use super::*;
use alloc::string::ToString;

const SETTLE: Duration = Duration::from_secs(2);

fn at(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn cursor(n: u64) -> EventCursor {
    (EngineTime(n), "c1".to_string(), "start".to_string())
}

fn whole() -> EventContinuity {
    let mut it = EventContinuity::new(at(0), Some(cursor(5)), SETTLE);
    assert!(!it.opened(at(10)));
    assert_eq!(it.saw(at(20), &cursor(5)), Some(GapEnd::Whole));
    it
}

#[test]
fn a_gap_that_shows_its_anchor_lost_nothing() {
    let mut it = whole();
    assert!(it.covers(None, None, SETTLE) && !it.is_live(at(20)) && it.is_live(at(520)));
    assert!(it.broke(at(2000), true));
    assert!(!it.covers(None, None, SETTLE), "nothing is seen meanwhile");
    it.opened(at(2100));
    assert_eq!(it.saw(at(2110), &cursor(4)), None);
    assert_eq!(it.saw(at(2120), &cursor(5)), Some(GapEnd::Whole));
    assert!(it.covers(None, None, SETTLE) && it.losses() == 0);
}

#[test]
fn a_gap_without_its_anchor_covers_only_what_lived_after_it() {
    let mut it = whole();
    it.broke(at(2000), true);
    it.opened(at(2100));
    assert_eq!(it.settle(at(4099)), None);
    assert_eq!(it.settle(at(4100)), Some(GapEnd::Lossy { engine_away: true }));
    assert!(!it.covers(Some(at(2099)), None, SETTLE) && it.covers(Some(at(2100)), None, SETTLE));
    assert!(!it.covers(None, Some(at(4099)), SETTLE) && it.covers(None, Some(at(4100)), SETTLE));
    it.broke(at(9000), false);
    it.opened(at(9000));
    assert_eq!(it.settle(at(11_000)), Some(GapEnd::Lossy { engine_away: false }));
    assert_eq!(it.losses(), 2);
}

#[test]
fn the_stream_of_a_new_life_of_the_engine_settles_when_it_falls_silent() {
    let opened = |began| {
        let mut it = whole();
        it.broke(at(2000), true);
        it.opened(at(2100));
        it.is_of_new_life(at(2100), EngineTime(began), None);
        it
    };
    let lossy = Some(GapEnd::Lossy { engine_away: true });
    let mut it = opened(6);
    assert_eq!((it.settle(at(2299)), it.settle(at(2300))), (None, lossy));
    let mut it = opened(6);
    it.saw(at(2250), &cursor(7));
    assert_eq!(
        (it.settle(at(2449)), it.settle(at(2450))),
        (None, lossy),
        "it told of its start"
    );
    let mut it = opened(6);
    for ms in (2200..4100).step_by(100) {
        it.saw(at(ms), &cursor(ms));
        assert_eq!(it.settle(at(ms)), None);
    }
    assert_eq!(
        it.settle(at(4100)),
        lossy,
        "what never falls silent is waited for no longer than another"
    );
    let mut it = opened(5);
    assert_eq!(
        (it.settle(at(4099)), it.settle(at(4100))),
        (None, lossy),
        "this life may remember the anchor"
    );
    let mut it = EventContinuity::new(at(0), None, SETTLE);
    it.opened(at(100));
    it.is_of_new_life(at(100), EngineTime(6), None);
    assert_eq!(it.settle(at(2099)), None, "nothing is known of a life before");
    let mut it = EventContinuity::new(at(0), None, SETTLE);
    it.opened(at(100));
    it.is_of_new_life(at(100), EngineTime(6), Some(EngineTime(5)));
    assert!(
        it.settle(at(300)).is_some(),
        "no event was ever taken, and a life is known"
    );
}

#[test]
fn the_time_in_which_this_process_did_not_look_is_not_one_without_a_stream() {
    let mut it = whole();
    it.broke(at(2000), true);
    assert_eq!(it.gap_until(), Some(at(12_000)));
    it.broke(at(30_000), false);
    assert_eq!(
        it.settle(at(30_000)),
        None,
        "what happened meanwhile comes with the next stream"
    );
    it.opened(at(30_010));
    assert_eq!(it.saw(at(30_020), &cursor(5)), Some(GapEnd::Whole));
    it.broke(at(40_000), true);
    it.broke(at(50_000), true);
    assert!(it.settle(at(50_000)).is_none(), "nobody answers: nothing can be known");
    it.answered(at(51_000));
    assert!(it.settle(at(60_000)).is_none(), "once is not enough");
    it.answered(at(65_000));
    it.answered(at(70_000));
    assert!(it.settle(at(72_000)).is_some(), "it looked, and no stream came");
}

#[test]
fn it_subscribes_from_the_anchor_or_what_a_repair_needs() {
    let it = whole();
    assert_eq!(it.since(None), Some(EngineTime(5)));
    assert_eq!(it.since(Some(EngineTime(3))), Some(EngineTime(3)));
    assert_eq!(
        EventContinuity::new(at(0), None, SETTLE).since(Some(EngineTime(3))),
        None
    );
}

#[test]
fn a_stream_that_ends_at_once_is_opened_again_after_a_pause() {
    let mut it = whole();
    assert!(it.broke(at(2000), true) && !it.broke(at(2010), true));
    assert_eq!(it.next_deadline(), Some(at(2210)));
    assert!(!it.wants_open(at(2209)) && it.wants_open(at(2210)));
}

#[test]
fn the_newest_event_is_the_latest_stamp_but_for_a_clock_set_back() {
    let mut it = EventContinuity::new(at(0), None, SETTLE);
    assert_eq!((it.newest(), it.cursor()), (EngineTime(0), None));
    let stamp = |secs: u64| cursor(secs * 1_000_000_000);
    it.opened(at(10));
    it.saw(at(20), &stamp(100));
    it.saw(at(30), &stamp(90));
    assert_eq!(it.cursor(), Some(&stamp(100)), "a replayed one is older");
    assert_eq!(it.settle(at(2010)), Some(GapEnd::Lossy { engine_away: false }));
    it.saw(at(3000), &stamp(95));
    assert_eq!(
        it.cursor(),
        Some(&stamp(100)),
        "live events may come out of order a little"
    );
    it.saw(at(3010), &stamp(94));
    assert_eq!(it.cursor(), Some(&stamp(94)), "its clock was set back");
    assert_eq!(it.newest(), stamp(94).0);
}
