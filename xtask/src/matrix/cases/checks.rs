//! Checks that fail, that do not end, and that cannot be run.

use super::case::{Case, HEALED, LEFT, Lane, took};
use crate::matrix::container::{Container, stay};
use crate::matrix::spec::Spec;
use crate::matrix::testbed::Testbed;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use std::time::Duration;

pub(super) const CASES: fn() -> Vec<Case> = || {
    let case = |name, what, play| Case {
        name,
        what,
        lane: Lane::Checks,
        play,
    };
    let mut all = vec![
        case("unhealthy", "its check fails: restarted", unhealthy),
        case(
            "hang",
            "its process is frozen and its check runs into its time: restarted",
            hang,
        ),
        case(
            "check-missing",
            "its check's program is missing: not restarted, DEGRADED",
            check_missing,
        ),
        case(
            "check-126",
            "its check ends with 126: not restarted, DEGRADED",
            check_126,
        ),
        case(
            "check-127",
            "its check ends with 127: not restarted, DEGRADED",
            check_127,
        ),
    ];
    all.push(Case {
        lane: Lane::Alone,
        ..case(
            "exec-broken",
            "no check of the engine can be run any more: nothing restarted, told",
            exec_broken,
        )
    });
    all
};

fn unhealthy(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case).check(&["/victim", "check"]))?;
    let before = web.is_well()?;
    // Its first healthy check has ended its grace.
    healthy(testbed, &web.id)?;
    web.set_check("1")?;
    let after = web.is_started_again(&before, HEALED * 2)?;
    web.set_check("0")?;
    web.is_well()?;
    Ok(took(after))
}

/// Waits for the engine's word that the check passed.
fn healthy(testbed: &Testbed, id: &str) -> Result<()> {
    let poll = || {
        let path = format!("/containers/{id}/json");
        let json = testbed.call("GET", &path, &serde_json::Value::Null)?.json()?;
        Ok((json["State"]["Health"]["Status"] == "healthy").then_some(()))
    };
    let now = std::time::Instant::now();
    crate::interrupt::wait("a healthy check", now, HEALED, Duration::from_millis(200), poll).map(drop)
}

fn hang(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = Spec::new(case, case)
        .command(&["/victim", "serve"])
        .check(&["/victim", "healthcheck", "700"])
        .label("watchtree.stop-timeout", "2s");
    let web = Container::run(testbed, &spec)?;
    let before = web.is_well()?;
    healthy(testbed, &web.id)?;
    web.signal(Signal::STOP)?;
    let after = web.is_started_again(&before, HEALED * 2)?;
    web.is_well()?;
    Ok(took(after))
}

/// From its start on the check cannot be run; or it could be once.
fn cannot_run(testbed: &Testbed, spec: &Spec, code: Option<&str>) -> Result<String> {
    let web = Container::run(testbed, spec)?;
    let (seen, _) = web.until("does not run", HEALED, |seen| seen.runs())?;
    if let Some(code) = code {
        web.is_well()?;
        healthy(testbed, &web.id)?;
        web.set_check(code)?;
    }
    let why = web.is_told(&["degraded"], HEALED * 2)?;
    web.stays(&seen, LEFT)?;
    ensure!(
        why.contains("check"),
        "it is not told that the check cannot be run: {why}"
    );
    Ok(String::new())
}

fn check_missing(testbed: &Testbed, case: &str) -> Result<String> {
    cannot_run(testbed, &Spec::new(case, case).check(&["/no/such/check"]), None)
}

fn check_126(testbed: &Testbed, case: &str) -> Result<String> {
    cannot_run(
        testbed,
        &Spec::new(case, case).check(&["/victim", "check"]),
        Some("126"),
    )
}

fn check_127(testbed: &Testbed, case: &str) -> Result<String> {
    cannot_run(
        testbed,
        &Spec::new(case, case).check(&["/victim", "check"]),
        Some("127"),
    )
}

fn exec_broken(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = Spec::new(case, case).check(&["/victim", "check"]);
    let names = ["a", "b", "c", "d"].map(|name| format!("{case}-{name}"));
    let all = names
        .iter()
        .map(|name| Container::run(testbed, &spec.named(name)))
        .collect::<Result<Vec<_>>>()?;
    let mut before = Vec::new();
    for web in all {
        healthy(testbed, &web.id)?;
        let seen = web.is_well()?;
        before.push((web, seen));
    }
    testbed.with_engine(|rig| rig.set_exec_broken(true))?;
    let left = stay(&before, LEFT).and_then(|()| {
        let states = ["degraded", "unknown", "suspect"];
        before
            .iter()
            .try_for_each(|(web, _)| web.is_told(&states, HEALED).map(drop))
    });
    testbed.with_engine(|rig| rig.set_exec_broken(false))?;
    left?;
    before.iter().try_for_each(|(web, seen)| {
        let now = web.is_well()?;
        ensure!(now == *seen, "{} was restarted: it was {seen}, and is {now}", web.name);
        Ok(())
    })?;
    Ok(String::new())
}
