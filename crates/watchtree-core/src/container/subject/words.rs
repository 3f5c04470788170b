//! What is said of a container, and the facts in words. Knows no rule.

use crate::container::health_check::{CheckOutcome, CheckRun, HealthEvidence};
use crate::container::io::Health;
use crate::container::io::RunState;
use crate::container::observation::ContainerObservation;
use crate::container::policy::{Answer, ContainerPolicy};
use crate::container::probes::probed::{Readiness, STARTUP};
use crate::container::refused_call;
use crate::subject::Incarnation;
use crate::supervisor::{Block, GuardResult, Shown, Supervision};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(super) fn enabled(answer: Answer, shown: State) -> GuardResult {
    match answer {
        Ok(why) => GuardResult::pass(why),
        Err(why) => Block::new(why, shown).into(),
    }
}

pub(super) fn shown(supervision: &Supervision, state: State, why: &str) -> Shown {
    let evidence = supervision.exit().map(|exit| exit.evidence().to_vec());
    Shown::new(state, why).evidence(evidence.unwrap_or_default())
}

/// `on_cycle` = its dependencies lead back to itself.
pub(super) fn running(it: &ContainerObservation, policy: &ContainerPolicy, on_cycle: bool) -> Shown {
    let (state, why) = match it.health() {
        Some(HealthEvidence::NotYet) if it.view().is_some_and(|view| view.health == Health::Unhealthy) => {
            let why = "running; the engine says unhealthy because it has stopped checking: no check has failed since";
            (State::Starting, why)
        }
        Some(HealthEvidence::NotYet) => (State::Starting, not_yet(it)),
        health => match (readiness(it), health) {
            (Some(shown), _) => return shown,
            _ if policy.remarks().next().is_some() => (State::Degraded, "running, with a bad label"),
            _ if on_cycle => (State::Degraded, "running, and its dependencies lead back to itself"),
            (None, Some(HealthEvidence::Passing)) => (State::Ok, "running, healthy"),
            (None, _) => (State::Ok, "running"),
        },
    };
    Shown::new(state, why)
}

/// Which of them has not said anything yet.
fn not_yet(it: &ContainerObservation) -> &'static str {
    match it.check_and_probes() {
        (Some(HealthEvidence::NotYet), _) => "running, health check starting",
        (_, probes) if probes.by == STARTUP => "running, its startup probe has not passed yet",
        _ => "running, not probed yet",
    }
}

/// What its readiness probe says, if it is not simply ready. It is shown, and nothing else.
fn readiness(it: &ContainerObservation) -> Option<Shown> {
    Some(match &it.check_and_probes().1.readiness {
        Readiness::NoProbe | Readiness::Ready => return None,
        Readiness::NotYet => Shown::new(State::Starting, "running, not known to be ready yet"),
        Readiness::NotReady(words) => Shown::new(State::Degraded, format!("running, not ready: {words}")),
        Readiness::Unknown(words) => {
            let why = format!("running; its readiness probe cannot be run: {words}");
            Shown::new(State::Degraded, why)
        }
    })
}

/// It was made, and no start of it has come to anything.
pub(super) fn never_started(it: &ContainerObservation) -> Shown {
    let (error, code) = (it.view().map_or("", |view| view.error.as_str()), it.exit_code());
    let missing = it.view().and_then(|view| view.missing_mount.as_ref());
    let (state, why) = match (error, code, missing) {
        ("", 0, None) => (State::Stopped, "made, but never started".to_string()),
        ("", 0, Some(path)) => {
            let why = format!("made, but never started: the source of a mount is not there: {path}");
            (State::Down, why)
        }
        ("", code, _) => (State::Down, format!("its first start failed (exit code {code})")),
        (error, code, _) => {
            let cause = refused_call::cause(error)
                .map(|cause| format!("{cause}: "))
                .unwrap_or_default();
            (
                State::Down,
                format!("its first start failed (exit code {code}): {cause}{error}"),
            )
        }
    };
    Shown::new(state, why)
}

pub(super) fn in_backoff(it: &ContainerObservation, supervision: &Supervision) -> Shown {
    let exit = exit_code(it);
    let (state, why) = if it.was_stopped_after_end() {
        let why = "stopped while the engine was about to restart it: a stop was carried out";
        (State::Stopped, why.to_string())
    } else if supervision.limit().is_some() {
        let why = format!("exits again and again ({exit}); restart limit reached, the engine goes on restarting it");
        (State::GivenUp, why)
    } else {
        let why = format!("exited ({exit}); the engine restarts it by its own policy");
        (State::Repairing, why)
    };
    shown(supervision, state, &why)
}

/// The engine was to restart it, and has not for so long.
pub(super) fn stuck_in_backoff(it: &ContainerObservation, supervision: &Supervision, lasts: Duration) -> Shown {
    let why = format!(
        "exited ({}); the engine says that it restarts it by its own policy, and has not for {}: restart the engine, or make the \
         container anew",
        exit_code(it),
        seconds(lasts)
    );
    shown(supervision, State::GivenUp, &why)
}

/// The engine has begun to remove it, and has not for so long.
pub(super) fn stuck_in_removal(it: &ContainerObservation, supervision: &Supervision, lasts: Duration) -> Shown {
    let (run, name) = it
        .view()
        .map_or((RunState::Removing, ""), |view| (view.run, view.name.as_str()));
    let what = match run {
        RunState::Dead => "its removal failed: the engine says that it is dead",
        _ => "its removal is stuck: the engine says that it is being removed",
    };
    let lasts = seconds(lasts);
    let why = format!("{what}, for more than {lasts}; it starts no more, and holds its name: docker rm -f {name}");
    shown(supervision, State::Down, &why)
}

/// How it ended, in words.
pub(super) fn how(it: &ContainerObservation) -> String {
    format!("exited ({})", exit_code(it))
}

/// The same, so many times for memory within that time.
pub(super) fn how_again_for_memory(it: &ContainerObservation, count: usize, within: Duration) -> String {
    let limit = match it.view().map_or(0, |view| view.memory_limit) {
        0 => "there is, and it has no limit of its own".to_string(),
        limit => format!("its limit of {} MiB", limit.div_ceil(1 << 20)),
    };
    let within = seconds(within);
    format!(
        "exited ({}, {count} times within {within}: it needs more memory than {limit})",
        exit_code(it)
    )
}

fn exit_code(it: &ContainerObservation) -> String {
    match it.ended_out_of_memory() {
        true => format!("{}, out of memory", it.exit_code()),
        false => it.exit_code().to_string(),
    }
}

pub(super) fn end_evidence(now: Moment, it: &ContainerObservation) -> impl Iterator<Item = Evidence> {
    let seen = if it.ended_by_event() {
        "by its event"
    } else {
        "by an inspection, its event never came"
    };
    let lasted = Duration::from_nanos(it.ended().0.saturating_sub(it.began().0));
    let words = format!("exit code {} after {}, seen {seen}", it.exit_code(), seconds(lasted));
    let at = it.ended_at(now);
    let memory = it
        .ended_out_of_memory()
        .then(|| Evidence::new(EvidenceKind::OutOfMemory, at, "the kernel killed it for memory"));
    [Evidence::new(EvidenceKind::Exited, at, words)]
        .into_iter()
        .chain(memory)
}

/// Is that by its probes, and is it by its health check?
fn is_by(it: &ContainerObservation, health: HealthEvidence) -> (bool, bool) {
    let (check, probes) = it.check_and_probes();
    (probes.health == health, check == Some(health))
}

/// `unhealthy`, or by which probe.
pub(super) fn how_ill(it: &ContainerObservation) -> String {
    match is_by(it, HealthEvidence::Failing) {
        (true, false) => format!("{} fails", it.check_and_probes().1.by),
        (true, true) => format!("unhealthy, and {} fails", it.check_and_probes().1.by),
        (false, _) => "unhealthy".to_string(),
    }
}

/// By what it is ill: `its health check`.
pub(super) fn what_failed(it: &ContainerObservation) -> &'static str {
    match is_by(it, HealthEvidence::Failing) {
        (true, false) => it.check_and_probes().1.by,
        _ => "its health check",
    }
}

/// `its health check cannot be run`
pub(super) fn what_cannot_be_run(it: &ContainerObservation) -> String {
    let what = match is_by(it, HealthEvidence::CannotRun) {
        (true, false) => it.check_and_probes().1.by,
        _ => "its health check",
    };
    format!("{what} cannot be run")
}

/// The facts by which it is ill, or by which nothing is known.
pub(super) fn health_evidence(now: Moment, it: &ContainerObservation) -> Vec<Evidence> {
    let health = it.health().unwrap_or_default();
    let (by_probes, by_check) = is_by(it, health);
    let probes = by_probes.then(|| probe_words(it));
    let check = (by_check || !by_probes).then(|| check_words(it));
    let words = check.into_iter().chain(probes);
    words
        .map(|it| Evidence::new(EvidenceKind::HealthCheck, now, it))
        .collect()
}

/// `its liveness probe fails, 3 times in a row: http :80/healthz: status 503`
fn probe_words(it: &ContainerObservation) -> String {
    let probes = it.check_and_probes().1;
    let what = match probes.health {
        HealthEvidence::CannotRun => "cannot be run".to_string(),
        _ => format!("fails, {} times in a row", probes.failures),
    };
    format!("{} {what}: {}", probes.by, probes.words)
}

fn check_words(it: &ContainerObservation) -> String {
    let streak = it.view().map_or(0, |view| view.health_streak);
    let what = match it.health() {
        Some(HealthEvidence::CannotRun) => "could not be run",
        _ => "fails",
    };
    let newest = it.view().and_then(|view| view.health_failures.last());
    let words = newest.map(|run| format!(": {}", run.words())).unwrap_or_default();
    format!("its health check {what}, {streak} times in a row{words}")
}

/// Why its health check or its probe cannot be run: the newest run that says so.
pub(super) fn why_no_check(it: &ContainerObservation) -> String {
    let left_alone = "nothing is known of the container itself, so it is left alone";
    if is_by(it, HealthEvidence::CannotRun) == (true, false) {
        return format!("{}; {left_alone}", it.check_and_probes().1.words);
    }
    let runs = it.view().map_or(&[][..], |view| &view.health_failures);
    let mut newest = runs.iter().rev();
    let run = newest
        .find(|run| run.outcome() == CheckOutcome::CannotRun)
        .or(runs.last());
    let words = run.map(CheckRun::words).unwrap_or_default();
    format!("{words}; {left_alone}")
}

/// What is shown of one that was started again, runs, and is known not to be well; nothing else is to be said of it.
pub(super) fn verifying(it: &ContainerObservation, grace: Duration) -> Option<Shown> {
    Some(match it.health()? {
        HealthEvidence::Failing => {
            let what = what_failed(it);
            let why = format!("started, and {what} fails; startup grace: {}", seconds(grace));
            Shown::new(State::Unhealthy, why)
        }
        HealthEvidence::CannotRun => {
            let why = format!("started; {}: {}", what_cannot_be_run(it), why_no_check(it));
            Shown::new(State::Degraded, why)
        }
        HealthEvidence::NoCheck | HealthEvidence::NotYet | HealthEvidence::Passing => return None,
    })
}

/// `StartedAt` of an incarnation, for people.
pub(super) fn short(life: &Incarnation) -> String {
    let (id, started) = life.0.split_once('@').unwrap_or((&life.0, ""));
    format!("{} started at {started}", id.get(..12).unwrap_or(id))
}
