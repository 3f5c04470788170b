//! What a repair captures, for how long it waits for that, and what may end it meanwhile.
use super::*;
use crate::container::repair::Remains;

const STOP: [&str; 2] = ["journal StopPosted", "7 Stop { timeout_secs: 10 } within 25 s"];

fn begun() -> Bench {
    let mut bench = Bench::capturing();
    bench.repair = bench.repair.capturing(Remains::of(&bench.it));
    bench.waits(0, Some(300));
    assert_eq!(bench.wanted().len(), 1, "a capture, and no stop before it");
    assert!(bench.repair.is_capturing() && !bench.repair.is_stopping() && !bench.repair.is_calling());
    bench
}

#[test]
fn the_stop_follows_when_the_capture_has_come() {
    let mut bench = begun();
    assert!(!bench.repair.captured(at(1)), "of another order");
    assert!(bench.repair.captured(at(0)) && !bench.repair.captured(at(0)), "once");
    bench.waits(20, Some(12_020));
    assert_eq!(bench.wanted(), STOP);
}

#[test]
fn a_capture_that_does_not_come_holds_nothing_up_for_longer_than_its_time() {
    let mut bench = begun();
    bench.waits(299, Some(300));
    assert!(bench.wanted().is_empty());
    bench.waits(300, Some(12_300));
    assert_eq!(bench.wanted(), STOP);
    assert!(
        bench.repair.captured(at(0)),
        "what comes later is still a fact of this repair"
    );
}

#[test]
fn what_needs_no_stop_any_more_is_not_stopped() {
    let cases = [
        (
            (RunState::Exited, "1"),
            Outcome::Failed,
            "it had ended before our stop came",
        ),
        ((RunState::Paused, "1"), Outcome::Overruled, "it was paused"),
        ((RunState::Removing, "1"), Outcome::Overruled, "it is being removed"),
        (
            (RunState::Running, "2"),
            Outcome::Overruled,
            "somebody else started it anew before our stop",
        ),
    ];
    for ((run, life), outcome, why) in cases {
        let mut bench = begun();
        bench.inspected(100, run, life);
        bench.ends(100, outcome, why);
        assert!(bench.wanted().is_empty(), "{why}");
    }
    let mut bench = begun();
    see_health(&mut bench.it, 100, (RunState::Running, "1"), (Health::Healthy, None));
    bench.ends(100, Outcome::Failed, "it became well before our stop came");
    let mut bench = begun();
    bench.is_leaving = true;
    let why = "this watchdog was asked to stop before our stop was posted: nothing was done";
    bench.ends(100, Outcome::Failed, why);
}

#[test]
fn what_was_well_when_it_began_is_stopped_all_the_same() {
    let mut bench = Bench::capturing();
    see_health(&mut bench.it, 0, (RunState::Running, "1"), (Health::Healthy, None));
    bench.repair = bench.repair.capturing(Remains::of(&bench.it));
    bench.waits(0, Some(300));
    bench.wanted();
    bench.waits(300, Some(12_300));
    assert_eq!(bench.wanted(), STOP);
}

#[test]
fn a_signal_that_comes_before_the_stop_is_a_persons() {
    let mut bench = begun();
    assert!(!bench.repair.owns_signal(stamp(101_000), 15, Some(at(10))));
    assert!(!bench.repair.takes_signal(stamp(101_000), 15, Some(at(10))));
    assert!(matches!(bench.moved(20), Moved::Overruled(_)));
    assert!(bench.wanted().is_empty() && !bench.repair.has_stopped());
}

#[test]
fn after_a_gap_or_a_stall_an_inspection_comes_first() {
    let mut bench = begun();
    bench.gap_until = Some(at(5000));
    bench.waits(300, Some(5000));
    bench.gap_until = None;
    bench.waits(2000, None);
    assert_eq!(bench.wanted(), ["inspect"]);
    bench.inspected(2010, RunState::Running, "1");
    bench.waits(2010, Some(14_010));
    assert_eq!(bench.wanted(), STOP);
}

#[test]
fn the_log_of_what_has_ended_is_captured_after_the_start() {
    let mut bench = Bench::start();
    bench.repair = bench.repair.capturing(Remains::of(&bench.it));
    bench.waits(0, None);
    bench.answered(100, Ok(Performed::Done));
    bench.inspected(200, RunState::Running, "2");
    bench.wanted();
    assert_eq!(bench.moved(250), Moved::Restarted(at(250)));
    let order = "asked: Moment(250000), pid: 0, logs_since: EngineTime(1000000000), logs_until: EngineTime(1000000000), within: 300ms";
    let wanted = bench.wanted().join("; ");
    assert!(wanted.contains(order), "{wanted}");
}
