//! What the product is known to do wrong in the harder world, each with the fault that shows it and the rules that it breaks.
//!
//! The gate's seeds leave these faults out, or excuse what follows from them. A row here fails
//! when the defect is gone, and when another rule breaks: then it leaves this table, and its fault goes into the gate.

use std::collections::BTreeSet;
use watchtree_core::time::Duration;
use watchtree_sim::run::{Also, Plan, run};
use watchtree_sim::scheduler::fault::Fault;

const SEEDS: u64 = 24;
const NOW: Duration = Duration::ZERO;

/// The rules that break where that fault, and none but it, comes over each host; with the seeds where they do.
fn broken(also: Also) -> (BTreeSet<String>, Vec<u64>) {
    let plan = Plan {
        also: Some(also),
        alone: true,
        strict: true,
        ..Plan::default()
    };
    let (mut rules, mut seeds) = (BTreeSet::new(), Vec::new());
    for seed in 1..=SEEDS {
        let report = run(seed, plan);
        if let (Some(rule), Some(why)) = (report.rule(), &report.broken) {
            println!("{why}");
            rules.insert(rule.to_string());
            seeds.push(seed);
        }
    }
    println!("{} of {SEEDS} seeds: {seeds:?}", seeds.len());
    (rules, seeds)
}

#[track_caller]
fn breaks(rules: &[&str], also: Also) {
    let (found, _) = broken(also);
    let expected: BTreeSet<String> = rules.iter().map(|rule| (*rule).to_string()).collect();
    assert_eq!(found, expected, "a known defect is gone, or another one is there");
}

/// TCP retransmits for seconds after the path is back: the host is AGENT LOST meanwhile.
#[test]
fn a_path_that_was_cut_is_an_agent_lost() {
    breaks(&["no_false_agent_lost"], |rng, _| {
        vec![(
            NOW,
            Fault::Partition {
                from: 0,
                lasts: rng.millis(6400, 9000),
            },
        )]
    });
}

#[test]
fn the_same_runs_without_a_fault_are_green() {
    for seed in 1..=SEEDS {
        let plan = Plan {
            alone: true,
            strict: true,
            ..Plan::default()
        };
        assert_eq!(run(seed, plan).broken, None);
    }
}
