//! Runs a range of seeds and sums up what broke: `cargo run -p watchtree-sim --example seeds -- 1 500 [BUG]`.

use std::collections::BTreeMap;
use watchtree_sim::fault::Counts;
use watchtree_sim::run;
use watchtree_sim::world::Bug;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (from, till) = (number(0, 1), number(1, 500));
    let bug = match args.get(2).map(String::as_str) {
        Some("timer_reset_on_receipt") => Some(Bug::TimerResetOnReceipt),
        Some("budget_forgotten") => Some(Bug::BudgetForgotten),
        Some("posted_again") => Some(Bug::PostedAgain),
        _ => None,
    };
    let (mut broken, mut counts) = (BTreeMap::<String, Vec<String>>::new(), Counts::new());
    for seed in from..=till {
        let report = run(seed, bug);
        for (kind, count) in report.counts {
            *counts.entry(kind).or_default() += count;
        }
        if let Some(what) = report.broken {
            if from == till {
                println!("{:#?}", report.story);
            }
            let name = what.split(':').next().unwrap_or_default().to_string();
            broken.entry(name).or_default().push(what);
        }
    }
    println!("{counts:#?}");
    for (name, cases) in &broken {
        println!("{name}: {} of {} seeds", cases.len(), till + 1 - from);
        cases.iter().take(4).for_each(|case| println!("    {case}"));
    }
}
