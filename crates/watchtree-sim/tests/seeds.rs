//! 500 seeds must pass, every promised fault must have happened, and each of three planted defects must be caught.
//!
//! Replay one seed: `SEED=1234 cargo nextest run -p watchtree-sim one_seed --no-capture`.

use std::collections::BTreeMap;
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

/// The names of the invariants that caught the defect, with how often.
fn caught(bug: Bug) -> BTreeMap<String, u32> {
    let mut names = BTreeMap::new();
    for seed in 1..=SEEDS {
        if let Some(broken) = run(seed, Some(bug)).broken {
            let name = broken.split(':').next().unwrap_or_default().to_string();
            *names.entry(name).or_default() += 1;
        }
    }
    println!("{bug:?} caught by {names:?}");
    names
}

#[test]
fn a_timer_reset_on_receipt_is_caught() {
    assert!(caught(Bug::TimerResetOnReceipt).contains_key("silence_is_seen"));
}

#[test]
fn a_forgotten_budget_is_caught() {
    assert!(caught(Bug::BudgetForgotten).contains_key("budget_kept"));
}

#[test]
fn a_call_posted_again_is_caught() {
    assert!(caught(Bug::PostedAgain).contains_key("posted_once"));
}
