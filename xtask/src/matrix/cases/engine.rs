//! The engine ends, is killed, upgraded, or loses its power: what ran runs again, and the rest stays as it was.

use super::case::{Case, LEFT, Lane, took};
use crate::engine_truth::rig::Rig;
use crate::interrupt;
use crate::matrix::container::{Container, Seen, stay};
use crate::matrix::spec::Spec;
use crate::matrix::testbed::Testbed;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// From the engine's first answer on, all that ran runs within that.
const ALL_RUN: Duration = Duration::from_secs(45);
/// How long the engine is away.
const AWAY: Duration = Duration::from_secs(1);

pub(super) const CASES: fn() -> Vec<Case> = || {
    let case = |name, what, play| Case {
        name,
        what,
        lane: Lane::Alone,
        play,
    };
    vec![
        case(
            "engine-killed",
            "dockerd is killed with -9 and starts again",
            |testbed, case| play(testbed, case, &|testbed| again(testbed, kill)),
        ),
        case(
            "engine-restarted",
            "dockerd is stopped in order and starts again",
            |testbed, case| play(testbed, case, &|testbed| again(testbed, term)),
        ),
        case(
            "engine-killed-unseen",
            "the same as engine-killed, the watchdog being away meanwhile",
            |testbed, case| play(testbed, case, &|testbed| unseen(testbed, kill)),
        ),
        case(
            "engine-restarted-unseen",
            "the same as engine-restarted, the watchdog being away",
            |testbed, case| play(testbed, case, &|testbed| unseen(testbed, term)),
        ),
        case(
            "containerd-killed",
            "containerd alone is killed with -9: nothing is touched",
            containerd,
        ),
        case(
            "engine-upgraded",
            "a package's upgrade: dockerd and containerd stop in order, and start",
            |testbed, case| play(testbed, case, &|testbed| again(testbed, upgrade)),
        ),
        case(
            "power-cut",
            "dockerd, containerd, all shims and containers, and the watchdog end at once",
            |testbed, case| play(testbed, case, &power_cut),
        ),
    ]
};

/// How many of the containers the engine itself keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kept {
    All,
    None,
}

/// The containers of a host.
struct Host<'a> {
    ran: Vec<(Container<'a>, Seen)>,
    rest: Vec<(Container<'a>, Seen)>,
}

fn host<'a>(testbed: &'a Testbed, case: &str) -> Result<Host<'a>> {
    let spec = |name: &str, policy: &str| Spec::new(case, &format!("{case}-{name}")).policy(policy);
    let mut host = Host {
        ran: Vec::new(),
        rest: Vec::new(),
    };
    // One each ends on TERM as an engine's word says it, one with 0, and one takes no notice of it.
    let running = [
        spec("no", "no"),
        spec("no-zero", "no").env("VICTIM_ON_TERM=0@0"),
        spec("unless", "unless-stopped"),
        spec("onfail", "on-failure"),
        spec("onfail-zero", "on-failure").env("VICTIM_ON_TERM=0@0"),
        spec("always", "always"),
    ];
    // An engine starts what a person stopped by itself if its policy is `always`, or is `on-failure` and it ended with
    // other than 0: on-failure ends with 0 here, and `always` is left out.
    let stopped = [
        spec("stopped-no", "no"),
        spec("stopped-unless", "unless-stopped"),
        spec("stopped-onfail", "on-failure").env("VICTIM_ON_TERM=0@0"),
    ];
    let finished = ["no", "on-failure"].map(|policy| spec(&format!("finished-{policy}"), policy));
    let specs = [running.as_slice(), &stopped, &finished].concat();
    let mut ran = Container::run_all(testbed, &specs)?;
    let mut stopped = ran.split_off(running.len());
    let finished = stopped.split_off(stopped.len() - finished.len());
    for container in &stopped {
        container.is_well()?;
        container.ask("stop?t=2")?;
    }
    for container in &finished {
        container.is_well()?;
        container.order("exit 0")?;
    }
    for container in stopped.into_iter().chain(finished) {
        let (seen, _) = container.until("does not end", ALL_RUN, |seen| !seen.runs())?;
        host.rest.push((container, seen));
    }
    for container in ran {
        let seen = container.is_well()?;
        host.ran.push((container, seen));
    }
    Ok(host)
}

fn play(testbed: &Testbed, case: &str, fault: &dyn Fn(&Testbed) -> Result<Kept>) -> Result<String> {
    let host = host(testbed, case)?;
    std::thread::sleep(Duration::from_secs(2));
    let kept = fault(testbed)?;
    let since = Instant::now();
    let mut left = Vec::new();
    for (container, before) in host.ran {
        if kept == Kept::All {
            left.push((container, before));
            continue;
        }
        let is = |seen: &Seen| seen.runs() && seen.started_at != before.started_at;
        container.until("ran, and does not run", ALL_RUN.saturating_sub(since.elapsed()), is)?;
    }
    let after = since.elapsed();
    left.extend(host.rest);
    stay(&left, LEFT)?;
    ensure!(testbed.watchdog_lives()?, "the watchdog has ended by itself");
    match kept {
        Kept::All => Ok("untouched".to_owned()),
        Kept::None => Ok(took(after)),
    }
}

fn kept(testbed: &Testbed) -> Kept {
    match testbed.live_restore {
        true => Kept::All,
        false => Kept::None,
    }
}

fn kill(rig: &mut Rig) -> Result<()> {
    rig.end("KILL")
}

fn term(rig: &mut Rig) -> Result<()> {
    rig.end("TERM")
}

fn upgrade(rig: &mut Rig) -> Result<()> {
    rig.end("TERM")?;
    rig.end_containerd(Signal::TERM)
}

fn again(testbed: &Testbed, end: fn(&mut Rig) -> Result<()>) -> Result<Kept> {
    testbed.with_engine(|rig| {
        end(rig)?;
        std::thread::sleep(AWAY);
        rig.start()
    })?;
    Ok(kept(testbed))
}

fn unseen(testbed: &Testbed, end: fn(&mut Rig) -> Result<()>) -> Result<Kept> {
    testbed.end_watchdog(Signal::TERM)?;
    let kept = again(testbed, end)?;
    testbed.start_watchdog()?;
    Ok(kept)
}

fn power_cut(testbed: &Testbed) -> Result<Kept> {
    testbed.with_engine(Rig::power_cut)?;
    testbed.fetch_watchdog()?;
    testbed.with_engine(Rig::start)?;
    testbed.start_watchdog()?;
    Ok(Kept::None)
}

fn containerd(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case))?;
    let other = Container::run(testbed, &Spec::new(case, &format!("{case}-crash")))?;
    let (seen, before) = (web.is_well()?, other.is_well()?);
    testbed.with_engine(|rig| rig.restart_containerd(AWAY))?;
    web.stays(&seen, LEFT)?;
    // The engine has to find its containerd again before it can start anything.
    let info = || {
        let answer = testbed.call("GET", "/info", &serde_json::Value::Null)?;
        Ok((answer.status == 200).then_some(()))
    };
    let every = Duration::from_millis(200);
    interrupt::wait("the engine's answer", Instant::now(), ALL_RUN, every, info)?;
    other.signal(Signal::KILL)?;
    let after = other
        .is_started_again(&before, ALL_RUN)
        .context("a crash after containerd is back")?;
    web.stays(&seen, Duration::from_secs(2))?;
    Ok(took(after))
}
