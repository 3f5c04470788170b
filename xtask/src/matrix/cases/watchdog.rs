//! What happens while the watchdog is away.

use super::case::{Case, HEALED, LEFT, Lane, took};
use crate::matrix::container::{Container, stay};
use crate::matrix::spec::Spec;
use crate::matrix::testbed::Testbed;
use anyhow::Result;
use rustix::process::Signal;
use std::time::Duration;

pub(super) const CASES: fn() -> Vec<Case> = || {
    let case = |name, what, play| Case {
        name,
        what,
        lane: Lane::Alone,
        play,
    };
    vec![
        case(
            "watchdog-stopped",
            "one crashes, one is stopped, while the watchdog is away in order",
            in_order,
        ),
        case("watchdog-killed", "the same, while it is away by kill -9", killed),
    ]
};

fn in_order(testbed: &Testbed, case: &str) -> Result<String> {
    away(testbed, case, Signal::TERM)
}

fn killed(testbed: &Testbed, case: &str) -> Result<String> {
    away(testbed, case, Signal::KILL)
}

fn away(testbed: &Testbed, case: &str, signal: Signal) -> Result<String> {
    let spec = Spec::new(case, case);
    let [crashes, is_stopped, runs, before] = ["crashes", "stopped", "runs", "stopped-before"]
        .map(|name| Container::run(testbed, &spec.named(&format!("{case}-{name}"))));
    let (crashes, is_stopped, runs, before) = (crashes?, is_stopped?, runs?, before?);
    let crashes_before = crashes.is_well()?;
    is_stopped.is_well()?;
    let runs_before = runs.is_well()?;
    before.is_well()?;
    before.ask("stop?t=2")?;
    let before_seen = before.seen()?;
    std::thread::sleep(Duration::from_secs(2));
    testbed.end_watchdog(signal)?;
    crashes.signal(Signal::KILL)?;
    is_stopped.ask("stop?t=2")?;
    let stopped_seen = is_stopped.seen()?;
    std::thread::sleep(Duration::from_secs(1));
    testbed.start_watchdog()?;
    let after = crashes.is_started_again(&crashes_before, HEALED)?;
    crashes.is_well()?;
    stay(
        &[(is_stopped, stopped_seen), (runs, runs_before), (before, before_seen)],
        LEFT,
    )?;
    Ok(took(after))
}
