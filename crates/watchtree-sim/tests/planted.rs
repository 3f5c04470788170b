//! Each rule of the checker catches the defect that is planted for it: a rule that nothing breaks is no rule.

use watchtree_sim::run::{Plan, run};
use watchtree_sim::scheduler::Bug;

/// Seeds within which a planted defect must be caught by its own rule; another rule may catch it before in some.
const SEEDS: u64 = 60;

#[track_caller]
fn is_caught(bug: Bug) {
    let rule = Bug::ALL.iter().find(|(it, _)| *it == bug).map(|(_, rule)| *rule);
    let plan = Plan {
        bug: Some(bug),
        ..Plan::default()
    };
    let mut others = Vec::new();
    for seed in 1..=SEEDS {
        let report = run(seed, plan);
        if report.rule().is_some() && report.rule() == rule {
            return println!("{bug:?} is caught by {rule:?} at seed {seed}");
        }
        others.extend(report.broken);
    }
    panic!("{bug:?} is not caught by {rule:?} within {SEEDS} seeds, but: {others:#?}");
}

#[test]
fn acts_on_record() {
    is_caught(Bug::DecisionUnrecorded);
}

#[test]
fn posted_once() {
    is_caught(Bug::PostedAgain);
}

#[test]
fn healthy_left_alone() {
    is_caught(Bug::StopsTheNeighbour);
}

#[test]
fn operator_wins() {
    is_caught(Bug::PersonUnheard);
}

#[test]
fn budget_kept() {
    is_caught(Bug::BudgetForgotten);
}

#[test]
fn hands_off() {
    is_caught(Bug::ShutdownUntold);
}

#[test]
fn held_left_alone() {
    is_caught(Bug::HoldLetGo);
}

#[test]
fn stale_order_refused() {
    is_caught(Bug::OrdersRenewed);
}

#[test]
fn silence_is_seen() {
    is_caught(Bug::TimerResetOnReceipt);
}

#[test]
fn silence_is_judged() {
    is_caught(Bug::EveryLookAnswered);
}

#[test]
fn no_false_suspicion() {
    is_caught(Bug::BeatsLost);
}

#[test]
fn stall_judges_nobody() {
    is_caught(Bug::DeafNotFrozen);
}

#[test]
fn silence_is_no_death() {
    is_caught(Bug::UnreachableIsDown);
}

#[test]
fn decision_has_evidence() {
    is_caught(Bug::EvidenceLost);
}

#[test]
fn repaired_or_escalated() {
    is_caught(Bug::EndsHidden);
}

#[test]
fn degraded_is_said() {
    is_caught(Bug::FullDiskUntold);
}

#[test]
fn converges() {
    is_caught(Bug::ReportsLost);
}
