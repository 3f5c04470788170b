//! 500 seeds must pass, every promised fault must have happened, and each of three planted defects must be caught.
//!
//! Replay one seed: `SEED=1234 cargo nextest run -p watchtree-sim one_seed --no-capture`.

use watchtree_sim::fault::{Counts, PROMISED};
use watchtree_sim::run;
use watchtree_sim::world::Bug;

const SEEDS: u64 = 500;

#[test]
fn five_hundred_seeds_keep_every_invariant() {
    let mut counts = Counts::new();
    for seed in 1..=SEEDS {
        let report = run(seed, None);
        assert_eq!(report.broken, None, "replay with SEED={seed}");
        for (kind, count) in report.counts {
            *counts.entry(kind).or_default() += count;
        }
    }
    println!("{counts:#?}");
    for kind in PROMISED {
        assert!(
            counts.get(kind).is_some_and(|count| 0 < *count),
            "{kind} never happened in {SEEDS} seeds"
        );
    }
}

#[test]
fn one_seed() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let report = run(seed, None);
    println!("{report:#?}");
    assert_eq!(report.broken, None);
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let (one, two) = (run(7, None), run(7, None));
    assert_eq!((one.steps, one.counts), (two.steps, two.counts));
}

/// The seed within 500 at which that invariant caught the defect; others may have caught it before.
fn caught_by(bug: Bug, invariant: &str) -> Option<u64> {
    let found = (1..=SEEDS).find(|seed| {
        let broken = run(*seed, Some(bug)).broken.unwrap_or_default();
        broken.split(':').next() == Some(invariant)
    });
    println!("{bug:?} caught by {invariant} at seed {found:?}");
    found
}

#[test]
fn a_timer_reset_on_receipt_is_caught() {
    assert!(caught_by(Bug::TimerResetOnReceipt, "silence_is_seen").is_some());
}

#[test]
fn a_forgotten_budget_is_caught() {
    assert!(caught_by(Bug::BudgetForgotten, "budget_kept").is_some());
}

#[test]
fn a_call_posted_again_is_caught() {
    assert!(caught_by(Bug::PostedAgain, "posted_once").is_some());
}
