//! A daemon that is killed or stopped over each host, and none but that, with all rules in force: what ran runs again.

use watchtree_core::time::Duration;
use watchtree_sim::rng::Rng;
use watchtree_sim::run::{Also, Plan, run};
use watchtree_sim::scheduler::fault::Fault;

const SEEDS: u64 = 24;

#[track_caller]
fn keeps_every_rule(also: Also) {
    for seed in 1..=SEEDS {
        let plan = Plan {
            also: Some(also),
            alone: true,
            strict: true,
            ..Plan::default()
        };
        let report = run(seed, plan);
        assert_eq!(report.broken, None);
        assert!(report.counts.contains_key("engine_kill") || report.counts.contains_key("engine_term"));
    }
}

fn kill(rng: &mut Rng, host: usize) -> Fault {
    let lasts = rng.millis(500, 5000);
    Fault::EngineKill { host, lasts }
}

fn term(rng: &mut Rng, host: usize) -> Fault {
    let lasts = rng.millis(500, 5000);
    Fault::EngineTerm { host, lasts }
}

fn later(millis: u64, fault: Fault) -> (Duration, Fault) {
    (Duration::from_millis(millis), fault)
}

#[test]
fn a_killed_daemon() {
    keeps_every_rule(|rng, host| vec![later(0, kill(rng, host))]);
}

#[test]
fn a_stopped_daemon() {
    keeps_every_rule(|rng, host| vec![later(0, term(rng, host))]);
}

#[test]
fn a_killed_daemon_and_a_killed_watchdog() {
    keeps_every_rule(|rng, host| {
        let after = rng.range(0, 6000);
        vec![later(0, kill(rng, host)), later(after, Fault::KillChild { host })]
    });
}

#[test]
fn a_stopped_daemon_and_a_killed_watchdog() {
    keeps_every_rule(|rng, host| {
        let after = rng.range(0, 6000);
        vec![later(0, term(rng, host)), later(after, Fault::KillChild { host })]
    });
}

#[test]
fn a_killed_watchdog_and_a_killed_daemon() {
    keeps_every_rule(|rng, host| {
        let after = rng.range(0, 1000);
        vec![later(0, Fault::KillChild { host }), later(after, kill(rng, host))]
    });
}
