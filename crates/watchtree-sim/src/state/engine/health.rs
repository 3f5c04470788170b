//! Health checks: run one after another, each scheduled after the one before has ended; an event only where the status
//! changes. A check that cannot be run counts as failed, as the engine counts it. While the engine does not check, the status
//! is `unhealthy`, and it stays so until the next run.
//!
//! Where the result of the next runs is that of the last ones, they are not logged, and where they pass, none is scheduled:
//! nothing would come of it but places in the ring.

use super::container::Container;
use super::event::Action;
use super::kernel::{Due, Kernel};
use super::spec::CheckResult;
use super::timing::Work;
use watchtree_core::container::io::{CheckRun, EventAction, Health, RunState};
use watchtree_core::time::{Duration, Moment};

/// The checks begin, as at a start or after a pause: the first one comes after an interval.
pub(super) fn begin_checks(k: &mut Kernel, now: Moment, i: usize) {
    k.containers[i].checked = now;
    check_again(k, now, i);
}

/// Something changed that the checks of a container depend on: they run, each in its turn, until the status is that of their
/// result.
pub(super) fn check_again(k: &mut Kernel, now: Moment, i: usize) {
    let c = &mut k.containers[i];
    let Some(check) = &c.spec.check else { return };
    if c.checking || c.view.run != RunState::Running {
        return;
    }
    c.checking = true;
    let slow =
        k.overload.is_now() || c.hung || c.shim_stopped || *check.result.of_run(c.checks_run) == CheckResult::TimesOut;
    let late = if slow { check.timeout } else { Duration::ZERO };
    let (monitor, checked) = (c.monitor, c.checked);
    let period = check.interval + k.settings.timing.takes(Work::Check);
    // Those that were not played, as nothing came of them, are over.
    let over = now.since(checked).as_micros() / period.as_micros().max(1);
    let next = checked + period * u32::try_from(over + 1).unwrap_or(u32::MAX);
    k.later(next + late, Due::CheckEnds(i, monitor));
}

/// What a run of its check comes to: `Err` = it failed, with its exit code (-1 = it came to none) and its output.
fn result_of(k: &Kernel, i: usize) -> Result<(), (i64, String)> {
    let c = &k.containers[i];
    let timeout = c.spec.check.as_ref().map_or(0, |check| check.timeout.as_millis());
    let timed_out = format!("Health check exceeded timeout ({timeout}ms)");
    if let Some(words) = &k.exec_broken {
        return Err((-1, words.clone()));
    }
    if c.unseen_end.is_some() && !c.shim_stopped {
        return Err((-1, "cannot exec in a stopped state: unknown".to_string()));
    }
    if k.overload.is_now() || c.hung || c.shim_stopped {
        return Err((-1, timed_out));
    }
    match c.spec.check.as_ref().map(|check| check.result.of_run(c.checks_run)) {
        None | Some(CheckResult::Passes | CheckResult::InTurn(_)) => Ok(()),
        Some(CheckResult::Fails(code, output)) => Err((*code, output.clone())),
        Some(CheckResult::CannotRun(words)) => Err((-1, words.clone())),
        Some(CheckResult::TimesOut) => Err((-1, timed_out)),
    }
}

pub(super) fn check_ends(k: &mut Kernel, now: Moment, i: usize, monitor: u64) {
    let c = &k.containers[i];
    if c.monitor != monitor || !c.checking {
        return;
    }
    k.containers[i].checking = false;
    k.containers[i].checked = now;
    if k.containers[i].view.run != RunState::Running || k.containers[i].removed {
        return;
    }
    let outcome = result_of(k, i);
    if k.containers[i].view.health != Health::Unhealthy || outcome.is_ok() {
        k.log_event(now, i, Action::ExecCreate);
        k.log_event(now, i, Action::ExecStart);
        k.log_event(now, i, Action::ExecDie(i64::from(outcome.is_err())));
    }
    let ended = k.wall_ns(now).to_string();
    let c = &mut k.containers[i];
    c.checks_run += 1;
    let Some(check) = &c.spec.check else { return };
    let (retries, start_period) = (check.retries, check.start_period);
    let before = c.view.health;
    match outcome {
        Ok(()) => {
            (c.view.health_streak, c.view.health) = (0, Health::Healthy);
            c.view.health_failures.clear();
            c.last_check = Some((0, String::new()));
        }
        Err((code, output)) => {
            c.last_check = Some((code, output.clone()));
            let counts = before != Health::Starting || start_period <= now.since(c.born);
            c.view.health_streak += u32::from(counts);
            if counts {
                failed(c, ended, code, output);
            }
            if retries <= c.view.health_streak {
                c.view.health = Health::Unhealthy;
            }
        }
    }
    let health = c.view.health;
    if health != before {
        k.event(now, i, EventAction::Health(health));
        k.changed(i);
    }
    if health != Health::Healthy || result_of(k, i).is_err() {
        check_again(k, now, i);
    }
}

/// One more run of the present streak: the newest five are kept.
fn failed<V, A>(c: &mut Container<V, A>, ended: String, exit_code: i64, output: String) {
    let runs = &mut c.view.health_failures;
    if CheckRun::COUNT_MAX <= runs.len() {
        runs.remove(0);
    }
    runs.push(CheckRun {
        ended,
        exit_code,
        output,
    });
}

/// The status of its health check becomes that at once, with the event that tells of it.
pub(super) fn set_health(k: &mut Kernel, now: Moment, place: usize, health: Health) {
    let runs = usize::from(health == Health::Unhealthy) * 2;
    let wall = k.wall_ns(now);
    let c = &mut k.containers[place];
    (c.view.health, c.view.health_streak) = (health, runs as u32);
    c.view.health_failures.clear();
    for n in 0..runs {
        failed(c, format!("{}", wall + n as u64), 1, String::new());
    }
    k.changed(place);
}
