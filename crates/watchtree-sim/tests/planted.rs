//! Each rule of the checker catches the defect that is planted for it: a rule that nothing breaks is no rule.

use watchtree_sim::run::{Plan, run};
use watchtree_sim::scheduler::Bug;

/// Seeds within which a planted defect must be caught by its own rule; another rule may catch it before in some.
const SEEDS: u64 = 150;

#[track_caller]
fn is_caught(rule: &str, bug: Bug) {
    let plan = Plan {
        bug: Some(bug),
        ..Plan::default()
    };
    let mut others = Vec::new();
    for seed in 1..=SEEDS {
        let report = run(seed, plan);
        if report.rule() == Some(rule) {
            return println!("{bug:?} is caught by {rule} at seed {seed}");
        }
        others.extend(report.broken);
    }
    panic!("{bug:?} is not caught by {rule} within {SEEDS} seeds, but: {others:#?}");
}

macro_rules! rules {
    ($($rule:ident is broken by $bug:ident)*) => {
        $(#[test] fn $rule() { is_caught(stringify!($rule), Bug::$bug); })*

        #[test]
        fn each_planted_defect_has_its_rule() {
            assert_eq!(Bug::ALL, [$((Bug::$bug, stringify!($rule))),*]);
        }
    };
}

rules! {
    acts_on_record is broken by DecisionUnrecorded
    posted_once is broken by PostedAgain
    healthy_left_alone is broken by StopsTheNeighbour
    operator_wins is broken by PersonUnheard
    budget_kept is broken by BudgetForgotten
    hands_off is broken by ShutdownUntold
    held_left_alone is broken by HoldLetGo
    stale_order_refused is broken by OrdersRenewed
    silence_is_seen is broken by TimerResetOnReceipt
    silence_is_judged is broken by EveryLookAnswered
    no_false_suspicion is broken by BeatsLost
    stall_judges_nobody is broken by DeafNotFrozen
    silence_is_no_death is broken by UnreachableIsDown
    decision_has_evidence is broken by EvidenceLost
    repaired_or_escalated is broken by EndsHidden
    degraded_is_said is broken by FullDiskUntold
    person_is_called is broken by EndUntold
    engine_left_alone is broken by ContainerdSaidIll
    no_wave is broken by LoadHidden
    parents_first is broken by DependenciesHidden
    capture_delays_none is broken by CaptureAwaited
    converges is broken by ReportsLost
}
