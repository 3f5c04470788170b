//! The detector's promises, each as a script of slots and receipts in milliseconds.

use super::*;

const BEAT: Duration = Duration::from_millis(500);
const MARGIN: Duration = Duration::from_secs(1);

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

/// Beats 0..n of a sender whose clock is 100 s behind ours, each 2 ms on the way.
fn after_beats(n: u64) -> Detector {
    let mut detector = Detector::new(BEAT, MARGIN);
    for i in 0..n {
        detector.heard(ms(500 * i), ms(100_002 + 500 * i));
    }
    detector
}

#[test]
fn freshness_point_is_slot_plus_interval_plus_offset_plus_margin() {
    let detector = after_beats(10);
    assert_eq!(detector.fresh_until(), Some(ms(4500 + 100_002 + 500 + 1000)));
    assert!(detector.is_fresh(ms(106_001)));
    assert!(!detector.is_fresh(ms(106_002)));
}

#[test]
fn nothing_is_fresh_before_the_first_sign() {
    assert!(!Detector::new(BEAT, MARGIN).is_fresh(ms(0)));
}

#[test]
fn a_timer_reset_on_receipt_is_a_defect() {
    let mut detector = after_beats(10);
    let before = detector.fresh_until();
    // The same beats again, much later: duplicates, and a late one that was scheduled before the newest.
    for i in 0..10 {
        assert!(!detector.heard(ms(500 * i), ms(200_000 + i)));
    }
    assert_eq!(detector.fresh_until(), before);
}

#[test]
fn queued_stale_beats_do_not_prolong_life() {
    let mut detector = after_beats(40);
    // The sender died after slot 40; its last 20 beats sat in a queue for 20 s and are drained at once.
    for i in 40..60 {
        detector.heard(ms(500 * i), ms(100_000 + 500 * 60 + 20_000));
    }
    assert_eq!(detector.fresh_until(), Some(ms(500 * 59 + 100_002 + 1500)));
    assert!(!detector.is_fresh(ms(100_000 + 500 * 60 + 20_000)));
}

#[test]
fn a_burst_of_late_frames_cannot_push_the_true_offset_out() {
    let mut detector = after_beats(20);
    for i in 0..1000 {
        detector.heard(Moment::from_micros(9_500_000 + i), ms(100_000 + 14_500));
    }
    assert!(!detector.is_fresh(ms(100_000 + 14_500)));
}

#[test]
fn a_backlog_that_ends_with_the_present_is_fresh() {
    let mut detector = after_beats(10);
    for i in 10..50 {
        detector.heard(ms(500 * i), ms(100_002 + 500 * 49));
    }
    assert!(detector.is_fresh(ms(100_002 + 500 * 49 + 1400)));
}

#[test]
fn a_lasting_longer_way_is_learnt_within_the_window() {
    let mut detector = after_beats(40);
    for i in 40..40 + WINDOW_SAMPLES as u64 {
        detector.heard(ms(500 * i), ms(100_602 + 500 * i));
    }
    assert_eq!(detector.ours(ms(500 * 71)), Some(ms(100_602 + 500 * 71)));
}

#[test]
fn an_answered_ping_mends_the_offset_of_a_clock_that_stood_still() {
    let mut detector = after_beats(10);
    // The sender's machine was suspended for an hour: its clock did not run.
    detector.heard(ms(5000), ms(3_700_000));
    assert!(!detector.is_fresh(ms(3_700_000)));
    detector.confirmed(ms(5300), ms(3_700_300));
    assert!(detector.is_fresh(ms(3_700_300)));
    detector.heard(ms(5500), ms(3_700_500));
    assert!(detector.is_fresh(ms(3_701_900)));
}

#[test]
fn a_stall_of_our_own_forbids_judging_for_a_whole_window() {
    let mut watch = LocalHealth::new(ms(0), Duration::from_secs(2));
    assert!(!watch.may_judge(ms(1999)));
    assert!(watch.may_judge(ms(2000)));
    assert!(!watch.woke(ms(5200), ms(5000)));
    assert!(watch.may_judge(ms(5200)));
    assert!(watch.woke(ms(9000), ms(5500)));
    assert!(!watch.may_judge(ms(10_999)));
    assert!(watch.may_judge(ms(11_000)));
}

#[test]
fn health_falls_with_stalls_and_heals_a_point_a_second() {
    let mut watch = LocalHealth::new(ms(0), Duration::from_secs(2));
    assert_eq!(watch.health(ms(0)), ObserverHealth(0));
    watch.stalled(ms(6000), Duration::from_secs(5));
    watch.stalled(ms(11_000), Duration::from_secs(5));
    assert_eq!(watch.health(ms(11_000)), ObserverHealth(3));
    watch.stalled(ms(12_000), Duration::from_millis(999));
    assert_eq!(watch.health(ms(12_000)), ObserverHealth(3));
    assert_eq!(watch.health(ms(14_000)), ObserverHealth(1));
    assert_eq!(watch.health(ms(60_000)), ObserverHealth(0));
}

#[test]
fn moments_of_one_clock_are_told_on_the_other() {
    let detector = after_beats(10);
    assert_eq!(detector.ours(ms(700)), Some(ms(100_702)));
    assert_eq!(detector.theirs(ms(100_702)), Some(ms(700)));
    assert_eq!(detector.newest(), Some((ms(4500), ms(104_502))));
    let silent = Detector::new(BEAT, MARGIN);
    assert_eq!(
        (silent.ours(ms(1)), silent.theirs(ms(1)), silent.newest()),
        (None, None, None)
    );
}

/// How many samples a second sign makes, so long after the first on both clocks.
#[test]
fn there_is_one_sample_per_half_interval_of_both_clocks() {
    for (slot, received, samples) in [
        (250, 250, 2),
        (249, 250, 1),
        (250, 249, 1),
        (0, 250, 1),
        (250, 0, 1),
        (900, 900, 2),
    ] {
        let mut detector = Detector::new(BEAT, MARGIN);
        detector.heard(ms(1000), ms(5000));
        detector.heard(ms(1000 + slot), ms(5000 + received));
        assert_eq!(detector.samples.len(), samples, "{slot} {received}");
    }
}

#[test]
fn clocks_that_are_too_far_apart_are_as_far_apart_as_can_be() {
    assert_eq!(difference(Moment::FAR_FUTURE, Moment::ZERO), i64::MAX);
    assert_eq!(difference(Moment::ZERO, Moment::FAR_FUTURE), i64::MIN);
    assert_eq!(difference(ms(1), ms(3)), -2000);
}

#[test]
fn a_stall_of_a_second_weighs_three_times_as_much() {
    for (gap, health) in [(999, 1), (1000, 3), (5000, 3)] {
        let mut local = LocalHealth::new(ms(0), Duration::from_secs(2));
        local.stalled(ms(7000), Duration::from_millis(gap));
        assert_eq!(
            (local.health(ms(7000)), local.settled_at()),
            (ObserverHealth(health), ms(9000))
        );
    }
}

#[test]
fn a_stall_that_is_noticed_and_told_counts_once() {
    let mut watch = LocalHealth::new(ms(0), Duration::from_secs(2));
    assert!(watch.woke(ms(9000), ms(4000)));
    watch.stalled(ms(9010), Duration::from_secs(5));
    assert!(
        !watch.woke(ms(9020), ms(4000)),
        "what was due before is late by that stall"
    );
    assert_eq!(watch.health(ms(9000)), ObserverHealth(3));
    assert!(!watch.may_judge(ms(11_009)) && watch.may_judge(ms(11_010)));
}
