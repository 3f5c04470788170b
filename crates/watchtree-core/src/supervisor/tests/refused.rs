//! Restarts that are refused for a cause outside the subject: what they cost, and when the next one comes.

use super::*;

fn away() -> Refusal {
    Refusal::passing("its mount is away")
}

/// One whose restart was refused at once.
fn refused(budget: u32, refusal: Refusal, is_void: bool) -> (Bench, Option<Moment>, Vec<String>) {
    let mut bench = Bench::new(budget);
    bench.ends();
    assert_eq!(bench.after(0).1, START);
    bench.puppet.refused = Some((refusal, is_void));
    let (wake, out) = bench.after(1);
    (bench, wake, out)
}

#[test]
fn one_that_did_nothing_is_given_back_and_tried_again_after_a_pause_of_its_own() {
    let (mut bench, mut wake, mut out) = refused(1, away(), true);
    for pause in [1, 2, 5, 10, 20, 30, 30] {
        assert_eq!(out, ["given back", "start failed", "repaired failed"], "{pause} s");
        assert_eq!(wake, Some(bench.now + Duration::from_secs(pause)));
        assert_eq!((bench.shown(), bench.fleet.left(bench.now)), (State::Down, 30));
        let left = bench
            .supervisor
            .supervision()
            .budget()
            .left(bench.now, bench.policy.allowance);
        assert_eq!(left, 1);
        assert!(bench.after(pause * 1000 - 1).1.is_empty());
        assert_eq!(bench.after(1).1, START);
        assert_eq!(bench.shown(), State::Down, "what it was until it runs");
        bench.puppet.refused = Some((away(), true));
        (wake, out) = bench.after(1);
    }
}

#[test]
fn one_that_stopped_its_subject_is_paid_for() {
    let (bench, _, out) = refused(5, away(), false);
    assert_eq!(out, ["start failed", "repaired failed"]);
    let left = bench
        .supervisor
        .supervision()
        .budget()
        .left(bench.now, bench.policy.allowance);
    assert_eq!((left, bench.fleet.left(bench.now)), (4, 29));
}

#[test]
fn what_no_retry_mends_calls_a_person_once_and_is_tried_seldom() {
    let (mut bench, wake, out) = refused(5, Refusal::lasting("its network is gone"), true);
    assert_eq!(
        out,
        ["given back", "start failed", "repaired failed", "escalate not_taken"]
    );
    assert_eq!(wake, Some(bench.now + bench.policy.half_open_every));
    assert_eq!(bench.shown(), State::GivenUp);
    assert!(bench.after(1000).1.is_empty());
    bench.runs();
    bench.after(0);
    assert_eq!(bench.shown(), State::Ok);
    bench.ends();
    assert_eq!(bench.after(0).1, START, "another incarnation has no pause of that one");
}

#[test]
fn a_person_who_asks_for_a_retry_need_not_wait_for_the_pause() {
    let (mut bench, ..) = refused(5, Refusal::lasting("its network is gone"), true);
    bench.told(|supervisor, out| supervisor.retry("ann", out));
    assert!(bench.after(0).1.contains(&"start".to_string()));
}
