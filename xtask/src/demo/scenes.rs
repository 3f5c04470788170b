//! The scenes of the demo: each does one kind of damage and measures from outside what came of it.
//!
//! Contract: a scene gives rows of the table; one that fails gives a failed row, and the others go on. It does not know how
//! the daemons are started or removed.

use super::stage::{Fault, POLL_EVERY, Stage, is_about, subject};
use super::table::{Repaired, Row};
use super::ui::Tone;
use crate::fleet::{Fleet, HOST};
use crate::interrupt;
use crate::victims::Victim;
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A crash is healed within this.
const CRASH: Duration = Duration::from_millis(1500);
/// How long `docker stop` is watched.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// A frozen host-watchdog is called AGENT LOST within this.
const AGENT_LOST: Duration = Duration::from_secs(4);
/// How long a scene waits beyond its bound, to tell "late" from "never".
const PATIENCE: Duration = Duration::from_secs(15);

/// Health check of the victims that hang: interval, timeout, retries.
pub(crate) const HEALTH: (Duration, Duration, u32) = (Duration::from_secs(1), Duration::from_secs(1), 2);
/// The stop timeout that a container has when nobody says otherwise.
pub(crate) const STOP_SHIPPED: Duration = Duration::from_secs(10);
/// The one of the label.
pub(crate) const STOP_SHORT: Duration = Duration::from_secs(1);

fn secs(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// Runs a scene that ends in a new life of the victim; both times are judged as what they are, `bound` only the repair.
fn healed(
    stage: &Stage<'_>,
    fault: &str,
    bound: Duration,
    note: &str,
    run: impl FnOnce() -> Result<(Option<Duration>, Duration)>,
) -> Row {
    let mut row = Row {
        fault: fault.to_owned(),
        bound: format!("{}{note}", secs(bound)),
        seen: None,
        repaired: Repaired::Never,
        failure: None,
    };
    match run() {
        Ok((seen, repaired)) => {
            row.seen = seen;
            row.repaired = Repaired::After(repaired);
            if bound < repaired {
                row.failure = Some(format!(
                    "healed after {:.3} s, promised within {}",
                    repaired.as_secs_f64(),
                    secs(bound)
                ));
            }
        }
        Err(error) => row.failure = Some(format!("{error:#}")),
    }
    let tone = if row.failure.is_none() { Tone::Good } else { Tone::Bad };
    match (&row.repaired, &row.failure) {
        (Repaired::After(after), _) => stage.say(
            tone,
            &format!("{fault}: its new process answers after {:.3} s", after.as_secs_f64()),
        ),
        (_, Some(why)) => stage.say(tone, &format!("{fault}: {why}")),
        _ => (),
    }
    row
}

/// Lets `watch` look for the product's first sign while the victim's new life is awaited.
fn seen_and_repaired(
    stage: &Stage<'_>,
    fleet: &Fleet,
    victim: &Victim,
    old: &str,
    fault: Fault,
    within: Duration,
) -> Result<(Option<Duration>, Duration)> {
    std::thread::scope(|scope| {
        let seen = scope.spawn(|| stage.await_seen(fleet, victim, fault, within));
        let repaired = victim
            .await_incarnation(Some(old), fault.at, within)
            .map(|(_, took)| took);
        let seen = seen.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?;
        Ok((Some(seen?), repaired?))
    })
}

fn incarnation(victim: &Victim) -> Result<String> {
    victim
        .incarnation()
        .with_context(|| format!("{} answers before it is hurt", victim.name))
}

/// The process ends with 1.
pub(crate) fn crash(stage: &Stage<'_>, fleet: &Fleet, victim: &Victim, name: &str) -> Row {
    healed(stage, name, CRASH, "", || {
        let old = incarnation(victim)?;
        stage.say(Tone::Fault, &format!("{name}: {} crashes", victim.name));
        let fault = Fault::now();
        victim.crash()?;
        seen_and_repaired(stage, fleet, victim, &old, fault, CRASH + PATIENCE)
    })
}

/// The process answers nothing any more and ignores SIGTERM.
pub(crate) fn hang(stage: &Stage<'_>, fleet: &Fleet, victim: &Victim, stop: Duration, name: &str) -> Row {
    let (interval, timeout, retries) = HEALTH;
    let bound = (interval + timeout) * retries + stop + Duration::from_secs(2);
    let note = format!(
        " = {retries} × ({} + {}) + {} + 2 s",
        secs(interval),
        secs(timeout),
        secs(stop)
    );
    healed(stage, name, bound, &note, || {
        let old = incarnation(victim)?;
        stage.say(
            Tone::Fault,
            &format!("{name}: {} hangs and ignores SIGTERM", victim.name),
        );
        let fault = Fault::now();
        victim.hang()?;
        seen_and_repaired(stage, fleet, victim, &old, fault, bound + PATIENCE)
    })
}

/// A policy, as far as it bounds how soon a crash loop is given up.
pub(crate) struct LoopPolicy {
    /// Restarts within the window.
    pub(crate) budget: u32,
    /// Pause before the second restart; doubles.
    pub(crate) delay_min: Duration,
}

impl LoopPolicy {
    /// Each restart of the budget as slow as a crash may be healed, the pauses (jitter only shortens them), and a
    /// second for the alert.
    fn bound(&self) -> Duration {
        let pauses = self.delay_min * ((1 << (self.budget - 1)) - 1);
        CRASH * self.budget + pauses + Duration::from_secs(1)
    }
}

/// A container that ends at once at every start.
pub(crate) fn crash_loop(
    stage: &Stage<'_>,
    fleet: &Fleet,
    policy: &LoopPolicy,
    start: impl FnOnce() -> Result<Victim>,
) -> Row {
    let bound = policy.bound();
    let name = "crash loop";
    let mut row = Row {
        fault: format!("{name} (budget {})", policy.budget),
        bound: format!("{} to escalated", secs(bound)),
        seen: None,
        repaired: Repaired::Never,
        failure: None,
    };
    let run = || -> Result<(Duration, Duration, u32)> {
        stage.say(
            Tone::Fault,
            "crash loop: a container that ends at every start is started",
        );
        let fault = Fault::now();
        let victim = start()?;
        let subject = subject(&victim);
        let (seen, told) = std::thread::scope(|scope| {
            let seen = scope.spawn(|| stage.await_seen(fleet, &victim, fault, bound + PATIENCE));
            let told = stage.await_alert(&subject, &["given_up"], fault.at, bound + PATIENCE);
            let seen = seen.join().map_err(|_| anyhow::anyhow!("the watcher panicked"));
            (seen.flatten(), told)
        });
        let before = stage.engine.inspect(&victim.id)?;
        // Given up means hands off: longer than the longest pause so far.
        let quiet = Instant::now();
        let rest = Duration::from_secs(3);
        interrupt::wait("rest", quiet, rest * 2, Duration::from_millis(50), || {
            Ok((rest < quiet.elapsed()).then_some(()))
        })?;
        if stage.engine.inspect(&victim.id)?.started_at != before.started_at {
            bail!("it was started again after it had been given up");
        }
        // The first start is ours.
        let restarts = stage.engine.starts(&victim.id)?.saturating_sub(1);
        if restarts != policy.budget {
            bail!("it was restarted {restarts} times, and the budget is {}", policy.budget);
        }
        Ok((seen?, told?, restarts))
    };
    match run() {
        Ok((seen, told, restarts)) => {
            row.seen = Some(seen);
            row.repaired = Repaired::Word(format!("escalated {:.3} s", told.as_secs_f64()));
            if bound < told {
                row.failure = Some(format!(
                    "escalated after {:.3} s, promised within {}",
                    told.as_secs_f64(),
                    secs(bound)
                ));
            }
            stage.say(
                Tone::Good,
                &format!(
                    "crash loop: given up after {restarts} restarts, and a person was told after {:.3} s",
                    told.as_secs_f64()
                ),
            );
        }
        Err(error) => {
            stage.say(Tone::Bad, &format!("crash loop: {error:#}"));
            row.failure = Some(format!("{error:#}"));
        }
    }
    row
}

/// What `docker stop` does, by a person.
pub(crate) fn operator_stop(stage: &Stage<'_>, fleet: &Fleet, victim: &Victim) -> Row {
    let mut row = Row {
        fault: "docker stop".to_owned(),
        bound: format!("left alone, watched {}", secs(LEFT_ALONE)),
        seen: None,
        repaired: Repaired::Never,
        failure: None,
    };
    let run = || -> Result<Duration> {
        stage.say(Tone::Fault, &format!("docker stop {}", victim.name));
        let fault = Fault::now();
        stage.engine.stop(&victim.id)?;
        let stopped = stage.engine.inspect(&victim.id)?;
        let seen = stage.await_seen(fleet, victim, fault, PATIENCE)?;
        let every = Duration::from_millis(100);
        interrupt::wait("watching", fault.at, LEFT_ALONE * 2, every, || {
            let now = stage.engine.inspect(&victim.id)?;
            if now.running || now.started_at != stopped.started_at {
                bail!(
                    "it was started again {:.1} s after a person had stopped it",
                    fault.at.elapsed().as_secs_f64()
                );
            }
            Ok((LEFT_ALONE < fault.at.elapsed()).then_some(()))
        })?;
        Ok(seen)
    };
    match run() {
        Ok(seen) => {
            row.seen = Some(seen);
            row.repaired = Repaired::Word("left alone".to_owned());
            stage.say(Tone::Good, "docker stop: it stayed stopped");
        }
        Err(error) => {
            stage.say(Tone::Bad, &format!("docker stop: {error:#}"));
            row.failure = Some(format!("{error:#}"));
        }
    }
    row
}

/// container-watchdog is killed or frozen, and a container crashes while it is away.
pub(crate) fn watcher_away(stage: &Stage<'_>, fleet: &Fleet, victim: &Victim, signal: Signal, bound: Duration) -> Row {
    let name = if signal == Signal::KILL {
        "container-watchdog killed -9"
    } else {
        "container-watchdog frozen"
    };
    let note = " to a crash meanwhile healed";
    healed(stage, name, bound, note, || {
        let old = incarnation(victim)?;
        let watcher = fleet.process("container-docker")?;
        stage.say(
            Tone::Fault,
            &format!("{name} (pid {}); at once {} crashes", watcher.pid, victim.name),
        );
        let fault = Fault::now();
        watcher.signal(signal)?;
        victim.crash()?;
        let times = seen_and_repaired(stage, fleet, victim, &old, fault, bound + PATIENCE)?;
        if fleet.process("container-docker")?.pid == watcher.pid {
            bail!("{name}: the same process {} still listens", watcher.pid);
        }
        Ok(times)
    })
}

/// The manager is killed, and a container crashes while it is away.
pub(crate) fn manager_away(stage: &Stage<'_>, fleet: &mut Fleet, victim: &Victim) -> Row {
    let name = "manager killed; a crash meanwhile";
    if let Err(error) = fleet.kill_manager() {
        return healed(stage, name, CRASH, "", || Err(error));
    }
    stage.say(Tone::Fault, "the manager was killed -9");
    let row = crash(stage, fleet, victim, name);
    if let Err(error) = fleet.start_manager() {
        stage.say(Tone::Bad, &format!("the manager does not come back: {error:#}"));
        return Row {
            failure: Some(format!("the manager does not come back: {error:#}")),
            ..row
        };
    }
    row
}

/// The host-watchdog is frozen: its kernel answers, it does not.
pub(crate) fn host_frozen(stage: &Stage<'_>, fleet: &Fleet, bystanders: &[&Victim]) -> Row {
    let mut row = Row {
        fault: "host-watchdog frozen".to_owned(),
        bound: format!("{} to AGENT LOST", secs(AGENT_LOST)),
        seen: None,
        repaired: Repaired::Never,
        failure: None,
    };
    let run = || -> Result<(Duration, Duration)> {
        let lives = bystanders
            .iter()
            .map(|victim| incarnation(victim))
            .collect::<Result<Vec<String>>>()?;
        let child = fleet.process("container-docker")?.pid;
        let host = fleet.host_process()?;
        stage.say(Tone::Fault, &format!("host-watchdog frozen (pid {})", host.pid));
        let fault = Fault::now();
        host.signal(Signal::STOP)?;
        let seen = await_agent_lost(stage, fault.at);
        if let Ok(after) = seen {
            let text = format!(
                "host-watchdog frozen: AGENT LOST after {:.3} s, and not DOWN",
                after.as_secs_f64()
            );
            stage.say(Tone::Good, &text);
        }
        // Long enough for a wrong step to follow.
        let quiet = Instant::now();
        let rest = Duration::from_secs(2);
        interrupt::wait("rest", quiet, rest * 2, Duration::from_millis(50), || {
            Ok((rest < quiet.elapsed()).then_some(()))
        })?;
        host.signal(Signal::CONT)?;
        let thawed = Instant::now();
        let seen = seen?;
        let closed = |body: &serde_json::Value| body["change"] == "closed" && is_about_host(body);
        let (_, back) = interrupt::wait("the incident is not closed", thawed, PATIENCE, POLL_EVERY, || {
            Ok(stage.receiver.first(thawed, closed))
        })?;

        if let Some(post) = stage
            .receiver
            .first(fault.at, |body| is_about(body, HOST, &["down", "unreachable"]))
        {
            bail!("an alert called the host {}", post.body);
        }
        for (victim, old) in bystanders.iter().zip(&lives) {
            let now = victim.incarnation();
            if now.as_ref() != Some(old) {
                bail!("{} was restarted: its life was {old}, and is {now:?}", victim.name);
            }
        }
        let child_now = fleet.process("container-docker")?.pid;
        if child_now != child {
            bail!("container-watchdog was restarted: pid {child}, now {child_now}");
        }
        Ok((seen, back))
    };
    match run() {
        Ok((seen, back)) => {
            row.seen = Some(seen);
            row.repaired = Repaired::Word("nothing restarted".to_owned());
            stage.say(
                Tone::Good,
                &format!(
                    "thawed: the incident was closed after {:.3} s, nothing was restarted",
                    back.as_secs_f64()
                ),
            );
            if AGENT_LOST < seen {
                row.failure = Some(format!(
                    "told after {:.3} s, promised within {}",
                    seen.as_secs_f64(),
                    secs(AGENT_LOST)
                ));
            }
        }
        Err(error) => {
            stage.say(Tone::Bad, &format!("host-watchdog frozen: {error:#}"));
            row.failure = Some(format!("{error:#}"));
        }
    }
    row
}

fn is_about_host(body: &serde_json::Value) -> bool {
    is_about(body, HOST, &["agent_lost"])
}

fn await_agent_lost(stage: &Stage<'_>, start: Instant) -> Result<Duration> {
    let what = "no alert that the host's agent is lost";
    let poll = || Ok(stage.receiver.first(start, is_about_host));
    interrupt::wait(what, start, AGENT_LOST + PATIENCE, POLL_EVERY, poll).map(|(post, _)| post.at.duration_since(start))
}
