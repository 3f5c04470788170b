//! How containers end: signals of people, stops with their patience, ends by themselves, and what the engine makes of each.
//!
//! Every signal that goes through the engine sets the manual-stop flag, whatever it means to the process, unless the daemon
//! itself is on its way down; it calls the restart policy off unless the container has a stop signal of its own and this is
//! another one.

use super::container::{AfterStop, StopTrouble, Stopping};
use super::kernel::{Asker, DaemonState, Due, Kernel};
use super::timing::Work;
use super::{process, start, text};
use watchtree_core::container::io::{EventAction, Namespace, Performed, RunState};
use watchtree_core::time::{Duration, Moment};

/// The patience of a `/stop` where nobody set one.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// What a signal that could not be sent gets until SIGKILL.
const UNSENT: Duration = Duration::from_secs(2);

pub(super) fn begin_stop(k: &mut Kernel, now: Moment, i: usize, timeout: Option<Duration>, asker: Asker) {
    // An end that was missed is noticed when somebody wants one.
    if let Some((code, _)) = k.containers[i].unseen_end.take() {
        process_ended(k, now, i, code);
        k.answer(asker, Ok(Performed::Done));
    } else if k.containers[i].counts_as_running() {
        stop_then(k, now, i, timeout, asker, AfterStop::Answer);
    } else {
        k.answer(asker, Ok(Performed::AlreadySo));
    }
}

pub(super) fn begin_restart(k: &mut Kernel, now: Moment, i: usize, timeout: Option<Duration>, asker: Asker) {
    if k.containers[i].counts_as_running() {
        stop_then(k, now, i, timeout, asker, AfterStop::Restart);
    } else {
        k.containers[i].restarting = true;
        start::work_on_start(k, now, i, asker);
    }
}

pub(super) fn stop_then(
    k: &mut Kernel,
    now: Moment,
    i: usize,
    timeout: Option<Duration>,
    asker: Asker,
    then: AfterStop,
) {
    let c = &mut k.containers[i];
    let stopping = Stopping { asker, then };
    let (signal, life) = (c.view.stop_signal, c.life);
    let timeout = timeout.or(c.view.stop_timeout).unwrap_or(STOP_TIMEOUT);
    c.stopping.push(stopping);
    let is_watchdogs = matches!(asker, Asker::Watchdog { .. });
    let trouble = c.next_stop.take_if(|_| is_watchdogs);
    if trouble == Some(StopTrouble::LostSignal) {
        (c.manager.cancelled, c.manually_stopped) = (true, true);
        return k.later(now + UNSENT, Due::Patience(i, life, asker));
    }
    if kill_through_engine(k, now, i, signal, asker) {
        let late = match trouble {
            Some(StopTrouble::LateKill(late)) => late,
            _ => Duration::ZERO,
        };
        k.later(now + timeout + late, Due::Patience(i, life, asker));
    }
}

/// True if a process was there to be signalled; what backs off ends at once.
fn kill_through_engine(k: &mut Kernel, now: Moment, i: usize, signal: u32, asker: Asker) -> bool {
    let going_down = k.daemon == DaemonState::Ending && asker == Asker::Daemon;
    let c = &mut k.containers[i];
    let calls_off = !c.view.stop_signal_set || signal == c.view.stop_signal || signal == 9;
    if calls_off {
        c.manager.cancelled = true;
    }
    c.manually_stopped |= !going_down;
    if c.view.run == RunState::Restarting {
        if calls_off {
            (c.view.run, c.changed) = (RunState::Exited, now);
            settle_stops(k, now, i);
        }
        k.changed(i);
        return false;
    }
    k.event(now, i, EventAction::Kill { signal });
    match k.containers[i].view.run {
        // It ends before anybody could tell that it goes on.
        RunState::Paused if signal == 9 => k.containers[i].view.run = RunState::Running,
        RunState::Paused if calls_off => process::resumed(k, now, i),
        _ => {}
    }
    process::send_signal(k, now, i, signal);
    true
}

pub(super) fn patience_over(k: &mut Kernel, now: Moment, i: usize, life: u64, asker: Asker) {
    let c = &k.containers[i];
    if c.life == life && c.alive && c.stopping.iter().any(|it| it.asker == asker) {
        kill_through_engine(k, now, i, 9, asker);
    }
}

pub(super) fn begin_kill(k: &mut Kernel, now: Moment, i: usize, signal: u32, asker: Asker) {
    let c = &mut k.containers[i];
    if !c.counts_as_running() {
        let error = text::cannot_kill(k.settings.version, &c.view.id);
        return k.answer(asker, Err(error));
    }
    if signal == 9 {
        let then = AfterStop::Killed;
        c.stopping.push(Stopping { asker, then });
    }
    kill_through_engine(k, now, i, signal, asker);
    if signal != 9 {
        k.answer(asker, Ok(Performed::Done));
    }
}

pub(super) fn begin_remove(k: &mut Kernel, now: Moment, i: usize, force: bool, asker: Asker) {
    let c = &mut k.containers[i];
    if !c.counts_as_running() {
        removed(k, now, i);
        return k.answer(asker, Ok(Performed::Done));
    }
    if !force {
        let error = text::cannot_remove(k.settings.version, c.view.run, &c.view.id, &c.view.name);
        return k.answer(asker, Err(error));
    }
    let then = AfterStop::Remove;
    c.stopping.push(Stopping { asker, then });
    kill_through_engine(k, now, i, 9, asker);
}

pub(super) fn removed(k: &mut Kernel, now: Moment, i: usize) {
    if !k.containers[i].removed {
        k.event(now, i, EventAction::Destroy);
        k.containers[i].removed = true;
        k.changed(i);
    }
}

/// A process has ended: the daemon sees it, or will when there is one.
pub(super) fn process_ended(k: &mut Kernel, now: Moment, i: usize, exit_code: i64) {
    // With the first process of a pid namespace the kernel ends all others in it.
    for joiner in k
        .joiners_of(i, &[Namespace::Pid])
        .into_iter()
        .filter(|joiner| *joiner != i)
    {
        let life = k.containers[joiner].life;
        k.later(now, Due::Ends(joiner, life, 137));
    }
    let at = k.stamp(now);
    if k.daemon == DaemonState::Down || k.containers[i].shim_stopped {
        let c = &mut k.containers[i];
        (c.alive, c.unseen_end, c.changed) = (false, Some((exit_code, at)), now);
        return k.changed(i);
    }
    let c = &mut k.containers[i];
    let ran_ns = at.0.saturating_sub(c.view.started_at.0);
    c.ended(now, at, exit_code);
    let (policy, flag) = (c.view.restart_policy, c.manually_stopped);
    let backoff = c.manager.after_end(policy, exit_code, flag, ran_ns);
    let (life, backoff) = (c.life, backoff.map(|usual| c.backoff.unwrap_or(usual)));
    if let Some(backoff) = backoff {
        c.view.run = RunState::Restarting;
        c.view.restart_count += 1;
        c.policy_due = now + backoff;
        k.later(now + backoff, Due::PolicyStarts(i, life));
    }
    k.changed(i);
    let die = EventAction::Die { exit_code };
    if k.settings.version.stop_before_die() && !k.containers[i].stopping.is_empty() {
        settle_stops(k, now, i);
        let late = k.settings.timing.takes(Work::LateDie);
        k.later(now + late, Due::Log(i, die));
    } else {
        k.event(now, i, die);
        settle_stops(k, now, i);
    }
    if k.containers[i].view.auto_remove {
        k.later(now + Duration::from_millis(100), Due::Log(i, EventAction::Destroy));
        k.containers[i].removed = true;
    }
}

/// The stops that waited for its end go on.
fn settle_stops(k: &mut Kernel, now: Moment, i: usize) {
    for stopping in std::mem::take(&mut k.containers[i].stopping) {
        let late = match (k.settings.version.stop_before_die(), stopping.then) {
            (true, AfterStop::Answer | AfterStop::Restart) => Duration::ZERO,
            _ => k.settings.timing.takes(Work::LateStop),
        };
        k.later(now + late, Due::StopDone(i, stopping));
    }
}

pub(super) fn stop_done(k: &mut Kernel, now: Moment, i: usize, stopping: Stopping<Asker>) {
    let asker = stopping.asker;
    match stopping.then {
        AfterStop::Answer => k.event(now, i, EventAction::Stop),
        AfterStop::Restart => {
            k.event(now, i, EventAction::Stop);
            let taken = k.containers[i].starting || k.containers[i].counts_as_running();
            if !taken && !k.containers[i].removed {
                k.containers[i].restarting = true;
                return start::work_on_start(k, now, i, asker);
            }
        }
        AfterStop::Remove => removed(k, now, i),
        AfterStop::Killed => {}
    }
    let at = now + k.settings.timing.takes(Work::Answer);
    k.later(at, Due::Answer(asker, Ok(Performed::Done)));
}
