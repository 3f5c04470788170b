//! What the product is known to do wrong in the harder world, each with the fault that shows it and the rules that it breaks.
//!
//! The gate's seeds leave these faults out, or excuse what follows from them (`HostFacts::is_known_defect`). A row here fails
//! when the defect is gone, and when another rule breaks: then it leaves this table, and its fault goes into the gate.

use expect_test::expect;
use std::collections::BTreeSet;
use watchtree_core::time::Duration;
use watchtree_sim::rng::Rng;
use watchtree_sim::run::{Also, Plan, run};
use watchtree_sim::scene::Scene;
use watchtree_sim::scheduler::fault::{Fault, Which};
use watchtree_sim::script::{Script, outcomes};

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

fn which(rng: &mut Rng, host: usize) -> Which {
    let place = rng.range(0, 10) as usize;
    Which { host, place }
}

/// What is known of a container is kept under its name: one that is renamed and crashes while nobody watches is unknown.
#[test]
fn a_container_that_was_renamed_unseen_is_unknown() {
    breaks(&["repaired_or_escalated"], |rng, host| {
        let lasts = rng.millis(8000, 9000);
        let which = which(rng, host);
        vec![
            (NOW, Fault::FreezeChild { host, lasts }),
            (NOW, Fault::Rename { which }),
        ]
    });
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

/// The same as scripts, each the shortest that shows its defect: how it ends today. `web` is to run in all of them.
#[test]
fn the_shortest_scripts() {
    let scripts = ["watchdog killed, docker rename web shop, shop exits 1, watchdog started, 1m"];
    let play = |script: &str| Scene::with(&["web"]).does(script).outcome();
    outcomes(scripts, play).tells(expect![[r#"
        watchdog killed, docker rename web shop, shop exits 1, watchdog started, 1m: start shop; shop running OK
    "#]]);
}
