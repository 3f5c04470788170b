//! What a container needs around it: whom it joins, what it binds, its name, a start that is refused.

use super::case::{Case, HEALED, LEFT, Lane, took};
use crate::matrix::container::{Container, Seen, stay};
use crate::matrix::spec::Spec;
use crate::matrix::testbed::Testbed;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use std::time::Duration;

/// A start that is refused for a cause outside is tried again at most so late after the cause is gone.
const TRIED_AGAIN: Duration = Duration::from_secs(75);

pub(super) const CASES: fn() -> Vec<Case> = || {
    let case = |name, what, play| Case {
        name,
        what,
        lane: Lane::Free,
        play,
    };
    vec![
        case(
            "joiner",
            "the owner of a joined network crashes: both are started again, the joiner last",
            joiner,
        ),
        case(
            "first-start-failed",
            "its first start is refused: told, and not tried for ever",
            first_start,
        ),
        case(
            "bind-source-away",
            "a crash while its bind source is away for 12 s: up again after it is back",
            bind_source,
        ),
        case(
            "rename-swap",
            "renamed away for a new one of its name, eight times: the old is left, the new is healed",
            swap,
        ),
    ]
};

fn joiner(testbed: &Testbed, case: &str) -> Result<String> {
    let owner = Container::run(testbed, &Spec::new(case, "joined-owner"))?;
    let joiner = Container::run(
        testbed,
        &Spec::new(case, "joined-joiner").network(&format!("container:{}", owner.id)),
    )?;
    let (owner_before, joiner_before) = (owner.is_well()?, joiner.is_well()?);
    owner.signal(Signal::KILL)?;
    owner.is_started_again(&owner_before, HEALED)?;
    let after = joiner.is_started_again(&joiner_before, HEALED * 2)?;
    ensure!(
        owner.is_well()?.started_at < joiner.is_well()?.started_at,
        "the joiner runs in the network of the owner's last incarnation"
    );
    Ok(took(after))
}

fn first_start(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::create(testbed, &Spec::new(case, case).command(&["/no/such/program"]))?;
    let answer = web.start()?;
    ensure!(400 <= answer.status, "the start was not refused: {}", answer.status);
    let why = web.is_told(&["down", "given_up", "degraded"], HEALED)?;
    let seen = web.seen()?;
    web.stays(&seen, LEFT)?;
    let (state, _) = web.told()?;
    ensure!(
        why.contains("start") || why.contains("no such file"),
        "the reason is not told: {why}"
    );
    Ok(format!("told as {state}"))
}

fn bind_source(testbed: &Testbed, case: &str) -> Result<String> {
    let source = testbed.folder("bind-source");
    std::fs::create_dir_all(&source)?;
    let web = Container::run(testbed, &Spec::new(case, case).bind(&source))?;
    let before = web.is_well()?;
    std::fs::remove_dir(&source)?;
    web.signal(Signal::KILL)?;
    std::thread::sleep(Duration::from_secs(12));
    let (state, why) = web.told()?;
    ensure!(!web.seen()?.runs(), "it runs without its bind source");
    ensure!(state != "given_up", "it was given up: {why}");
    ensure!(
        why.contains("bind-source"),
        "the folder is not named: told as {state}: {why}"
    );
    std::fs::create_dir(&source)?;
    let after = web.is_started_again(&before, TRIED_AGAIN)?;
    web.is_well()?;
    Ok(format!("{} after the return", took(after)))
}

fn swap(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = Spec::new(case, "swapped");
    let mut app = Container::run(testbed, &spec)?;
    app.is_well()?;
    let mut old: Vec<(Container<'_>, Seen)> = Vec::new();
    for round in 0..8 {
        let new = Container::run(testbed, &spec.named("swapped-new"))?;
        app.ask(&format!("rename?name=swapped-old-{round}"))?;
        new.ask("rename?name=swapped")?;
        app.name = format!("swapped-old-{round}");
        match round % 2 {
            0 => app.ask("stop?t=1")?,
            _ => app.signal(Signal::KILL)?, // the updater ends it its own way
        }
        let (ended, _) = app.until("does not end", HEALED, |seen| !seen.runs())?;
        old.push((app, ended));
        app = Container::new(testbed, "swapped".to_owned(), new.id);
    }
    stay(&old, LEFT)?;
    let before = app.is_well()?;
    app.signal(Signal::KILL)?;
    let after = app.is_started_again(&before, HEALED)?;
    stay(&old, Duration::from_secs(2))?;
    Ok(took(after))
}
