//! Ends of a container by itself, and by a person.

use super::case::{Case, HEALED, LEFT, Lane, took};
use crate::matrix::container::{Container, Seen};
use crate::matrix::spec::Spec;
use crate::matrix::testbed::Testbed;
use anyhow::{Result, ensure};
use rustix::process::Signal;
use std::time::Duration;

pub(super) const CASES: fn() -> Vec<Case> = || {
    let case = |name, what, play| Case {
        name,
        what,
        lane: Lane::Free,
        play,
    };
    vec![
        case("crash", "kill -9 of its init: started again", crash),
        case("exit-nonzero", "it ends by itself with 3: started again", exit_nonzero),
        case("exit-zero", "a job ends by itself with 0, policy no: left", exit_zero),
        case(
            "crash-loop",
            "it ends at each start: the brake holds, and a person is called",
            crash_loop,
        ),
        case("stop", "`docker stop`: left", stop),
        case(
            "stop-crash-policy",
            "`docker stop`, policy unless-stopped: left",
            stop_unless_stopped,
        ),
        case(
            "kill-term-slow",
            "`docker kill -s TERM`, and it ends 8 s later with 3: left",
            kill_term_slow,
        ),
        case("kill", "`docker kill`: left", kill),
        case(
            "hup-then-crash",
            "`docker kill -s HUP`, and a crash later: started again",
            hup_then_crash,
        ),
        case("restart", "`docker restart`: started once, and left", restart),
        case(
            "pause",
            "`docker pause`: left, and well again when a person goes on",
            pause,
        ),
    ]
};

fn crash(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case))?;
    let before = web.is_well()?;
    web.signal(Signal::KILL)?;
    let after = web.is_started_again(&before, HEALED)?;
    let seen = web.is_well()?;
    web.stays(&seen, Duration::from_secs(3))?;
    Ok(took(after))
}

fn exit_nonzero(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case))?;
    let before = web.is_well()?;
    web.order("exit 3")?;
    let after = web.is_started_again(&before, HEALED)?;
    web.is_well()?;
    Ok(took(after))
}

fn exit_zero(testbed: &Testbed, case: &str) -> Result<String> {
    let job = Container::run(testbed, &Spec::new(case, case))?;
    job.is_well()?;
    job.order("exit 0")?;
    let (ended, _) = job.until("does not end", HEALED, |seen| !seen.runs())?;
    job.stays(&ended, LEFT)?;
    job.is_told(&["finished"], LEFT)?;
    Ok(String::new())
}

fn crash_loop(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = Spec::new(case, case)
        .env("VICTIM_EXITS=3@50")
        .label("watchtree.budget", "3/10m");
    let looper = Container::run(testbed, &spec)?;
    looper.is_told(&["given_up"], Duration::from_secs(60))?;
    let (ended, _) = looper.until("still runs", LEFT, |seen| !seen.runs())?;
    looper.stays(&ended, LEFT)?;
    Ok("given up".to_owned())
}

fn stop_by(testbed: &Testbed, spec: &Spec, verb: &str, ends_within: Duration) -> Result<String> {
    let web = Container::run(testbed, spec)?;
    web.is_well()?;
    web.ask(verb)?;
    let (ended, _) = web.until("does not end", ends_within, |seen| !seen.runs())?;
    web.stays(&ended, LEFT)?;
    web.is_told(&["stopped"], LEFT)?;
    Ok(String::new())
}

fn stop(testbed: &Testbed, case: &str) -> Result<String> {
    stop_by(testbed, &Spec::new(case, case), "stop?t=2", HEALED)
}

fn stop_unless_stopped(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = Spec::new(case, case).policy("unless-stopped");
    stop_by(testbed, &spec, "stop?t=2", HEALED)
}

fn kill(testbed: &Testbed, case: &str) -> Result<String> {
    stop_by(testbed, &Spec::new(case, case), "kill?signal=KILL", HEALED)
}

fn kill_term_slow(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = Spec::new(case, case).env("VICTIM_ON_TERM=3@8000");
    stop_by(testbed, &spec, "kill?signal=TERM", HEALED)
}

fn hup_then_crash(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case).policy("unless-stopped"))?;
    let before = web.is_well()?;
    web.ask("kill?signal=HUP")?;
    web.stays(&before, LEFT)?;
    web.signal(Signal::KILL)?;
    Ok(took(web.is_started_again(&before, HEALED)?))
}

fn restart(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case).env("VICTIM_ON_TERM=0@500"))?;
    let before = web.is_well()?;
    web.ask("restart?t=5")?;
    let after = web.is_well()?;
    ensure!(after.started_at != before.started_at, "it was not restarted at all");
    web.stays(&after, LEFT)?;
    Ok(String::new())
}

fn pause(testbed: &Testbed, case: &str) -> Result<String> {
    let web = Container::run(testbed, &Spec::new(case, case).check(&["/victim", "check"]))?;
    let before = web.is_well()?;
    web.ask("pause")?;
    let paused = Seen {
        status: "paused".to_owned(),
        ..before.clone()
    };
    left_paused(&web, &paused)?;
    web.ask("unpause")?;
    ensure!(web.is_well()? == before, "it did not go on as it was");
    Ok(String::new())
}

fn left_paused(web: &Container<'_>, paused: &Seen) -> Result<()> {
    web.until("is not paused", HEALED, |seen| seen == paused)?;
    web.stays(paused, LEFT)?;
    web.is_told(&["stopped"], LEFT).map(drop)
}
