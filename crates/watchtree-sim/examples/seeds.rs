//! Runs a range of seeds and sums up what broke: `cargo run -p watchtree-sim --example seeds -- 1 500 [BUG]`.

use std::collections::BTreeMap;
use watchtree_sim::run::{Plan, run};
use watchtree_sim::scheduler::Bug;
use watchtree_sim::scheduler::fault::Counts;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (from, till) = (number(0, 1), number(1, 500));
    let named = |bug: &&(Bug, &str)| args.get(2).is_some_and(|name| *name == format!("{:?}", bug.0));
    let bug = Bug::ALL.iter().find(named).map(|(bug, _)| *bug);
    let (mut broken, mut counts) = (BTreeMap::<String, Vec<String>>::new(), Counts::new());
    for seed in from..=till {
        let plan = Plan { bug, ..Plan::default() };
        let report = run(seed, plan);
        if from == till {
            println!("{:#?}", report.story);
        }
        if let (Some(rule), Some(what)) = (report.rule(), &report.broken) {
            broken.entry(rule.into()).or_default().push(what.clone());
        }
        for (kind, count) in report.counts {
            *counts.entry(kind).or_default() += count;
        }
    }
    println!("{counts:#?}");
    for (name, cases) in &broken {
        println!("{name}: {} of {} seeds", cases.len(), till + 1 - from);
        cases.iter().take(6).for_each(|case| println!("    {case}"));
    }
}
