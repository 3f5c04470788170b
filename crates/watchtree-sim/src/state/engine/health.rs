//! Health checks: run one after another, each scheduled after the one before has ended; an event only where the status
//! changes. A check that cannot be run counts as failed, as the engine counts it.
//!
//! Where the result of the next runs is that of the last ones, no further run is scheduled: nothing would come of it but
//! places in the ring.

use super::event::Action;
use super::kernel::{Due, Kernel};
use super::spec::CheckResult;
use watchtree_core::container::io::{EventAction, Health, RunState};
use watchtree_core::time::Moment;

/// Something changed that the checks of a container depend on: they run until the status is that of their result.
pub(super) fn check_again(k: &mut Kernel, now: Moment, i: usize) {
    let c = &mut k.containers[i];
    let Some(check) = &c.spec.check else { return };
    if c.checking || c.view.run != RunState::Running {
        return;
    }
    c.checking = true;
    let slow = c.hung || check.result == CheckResult::TimesOut;
    let takes = check.interval + if slow { check.timeout } else { std::time::Duration::ZERO };
    let life = c.life;
    k.later(now + takes, Due::CheckEnds(i, life));
}

/// What a run of its check comes to: `Err` = it failed, with its output.
fn result_of(k: &Kernel, i: usize) -> Result<(), String> {
    let c = &k.containers[i];
    let timeout = c.spec.check.as_ref().map_or(0, |check| check.timeout.as_millis());
    let timed_out = format!("Health check exceeded timeout ({timeout}ms)");
    if let Some(words) = &k.exec_broken {
        return Err(words.clone());
    }
    if c.hung {
        return Err(timed_out);
    }
    match c.spec.check.as_ref().map(|check| &check.result) {
        None | Some(CheckResult::Passes) => Ok(()),
        Some(CheckResult::Fails(_, output) | CheckResult::CannotRun(output)) => Err(output.clone()),
        Some(CheckResult::TimesOut) => Err(timed_out),
    }
}

pub(super) fn check_ends(k: &mut Kernel, now: Moment, i: usize, life: u64) {
    let c = &k.containers[i];
    if c.life != life || !c.checking {
        return;
    }
    k.containers[i].checking = false;
    if k.containers[i].view.run != RunState::Running || k.containers[i].removed {
        return;
    }
    k.log_event(now, i, Action::ExecCreate);
    k.log_event(now, i, Action::ExecStart);
    let outcome = result_of(k, i);
    k.log_event(now, i, Action::ExecDie(i64::from(outcome.is_err())));
    let c = &mut k.containers[i];
    let Some(check) = &c.spec.check else { return };
    let (retries, start_period) = (check.retries, check.start_period);
    let before = c.view.health;
    match outcome {
        Ok(()) => {
            (c.view.health_streak, c.view.health) = (0, Health::Healthy);
            c.view.health_output.clear();
        }
        Err(output) => {
            let counts = before != Health::Starting || start_period <= now.since(c.born);
            c.view.health_streak += u32::from(counts);
            c.view.health_output = output;
            if retries <= c.view.health_streak {
                c.view.health = Health::Unhealthy;
            }
        }
    }
    let (health, failing) = (c.view.health, 0 < c.view.health_streak);
    if health != before {
        k.event(now, i, EventAction::Health(health));
        k.changed(i);
    }
    let settled = (health == Health::Unhealthy && failing) || (health == Health::Healthy && !failing);
    if !settled || result_of(k, i).is_err() != failing {
        check_again(k, now, i);
    }
}

/// The status of its health check becomes that at once, with the event that tells of it.
pub(super) fn set_health(k: &mut Kernel, place: usize, health: Health) {
    let c = &mut k.containers[place];
    (c.view.health, c.view.health_streak) = (health, u32::from(health == Health::Unhealthy) * 2);
    k.changed(place);
}
