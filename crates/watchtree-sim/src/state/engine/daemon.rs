//! The daemon ends and starts, and the machine under it loses its power.
//!
//! ```text
//!        terminated           the last container has ended
//!   Up ─────────────▶ Ending ─────────────────────────────▶ Down
//!    │                                  killed, power lost   │ started
//!    └──────────────────────────────────────────────────────▶│
//!   Up ◀─────────── Starting: what is found alive is stopped (and marked) ◀┘
//!                   or adopted (live-restore), then the policies start what is theirs, then the API is served
//! ```
//!
//! What is in its memory ends with it: the ring, back-offs, policies called off, calls under way. What is on disk stays.

use super::container::{AfterStop, Container, RestartManager};
use super::kernel::{Asker, DaemonState, Due, Kernel, Out};
use super::timing::Work;
use super::{health, start, stop};
use watchtree_core::container::io::RunState;
use watchtree_core::time::Moment;

/// Exit code of what a machine took down with it.
const LOST_EXIT_CODE: i64 = 255;

/// kill -9 of the daemon. True if there was one.
pub(super) fn killed(k: &mut Kernel) -> bool {
    if k.daemon == DaemonState::Down {
        return false;
    }
    k.daemon = DaemonState::Down;
    k.log.clear();
    // Processes go on by themselves.
    k.agenda.retain(|_, due| matches!(due, Due::Ends(..)));
    for i in 0..k.containers.len() {
        let c = &mut k.containers[i];
        c.starting = false;
        c.checking = false;
        c.waiting.clear();
        c.stopping.clear();
        c.manager = RestartManager::default();
        k.changed(i);
    }
    k.out.push(Out::DaemonEnded);
    true
}

/// SIGTERM to the daemon: without live-restore it stops every container first. True if there was one.
pub(super) fn terminated(k: &mut Kernel, now: Moment) -> bool {
    if k.daemon != DaemonState::Up {
        return false;
    }
    k.daemon = DaemonState::Ending;
    if k.settings.live_restore {
        k.containers.iter_mut().for_each(Container::close_monitor);
        return true;
    }
    for i in 0..k.containers.len() {
        if !k.containers[i].removed && k.containers[i].counts_as_running() {
            stop::stop_then(k, now, i, None, Asker::Daemon, AfterStop::Answer);
        }
    }
    true
}

/// The machine loses its power: every process ends with it, and nobody sees it.
pub(super) fn power_lost(k: &mut Kernel, now: Moment) {
    killed(k);
    k.agenda.clear();
    for i in 0..k.containers.len() {
        let c = &mut k.containers[i];
        if c.alive {
            (c.alive, c.hung, c.unseen_end, c.changed) = (false, false, None, now);
        }
        k.changed(i);
    }
}

/// The daemon starts. True if none was there.
pub(super) fn started(k: &mut Kernel, now: Moment) -> bool {
    if k.daemon != DaemonState::Down {
        return false;
    }
    k.daemon = DaemonState::Starting;
    for i in 0..k.containers.len() {
        if !k.containers[i].removed && k.containers[i].counts_as_running() {
            restore(k, now, i);
        }
    }
    true
}

/// One that was recorded as running.
fn restore(k: &mut Kernel, now: Moment, i: usize) {
    if k.containers[i].alive {
        if k.settings.live_restore {
            return health::begin_checks(k, now, i);
        }
        // It is stopped as by anybody: the flag is set.
        return stop::stop_then(k, now, i, None, Asker::Daemon, AfterStop::Answer);
    }
    let boot = k.stamp(now);
    let c = &mut k.containers[i];
    let back_off = c.view.run == RunState::Restarting;
    let recorded = back_off.then_some((c.view.exit_code, c.view.finished_at));
    let (code, at) = c.unseen_end.or(recorded).unwrap_or((LOST_EXIT_CODE, boot));
    c.ended(now, at, code);
    k.changed(i);
}

/// Something that the daemon waits for, at its start or its end, may be over.
pub(super) fn progress(k: &mut Kernel, now: Moment) {
    let all_stopped = k.containers.iter().all(|c| c.removed || c.stopping.is_empty());
    match k.daemon {
        DaemonState::Ending => {
            let all_said = !has_due(k, |due| matches!(due, Due::StopDone(..) | Due::Log(..)));
            if all_stopped && all_said && !has_due(k, |due| matches!(due, Due::DaemonEnds)) {
                let waits = k.settings.version.waits_for_clients();
                match k.stream_open && !waits.is_zero() {
                    true => k.later(now + waits, Due::DaemonEnds),
                    false => drop(killed(k)),
                }
            }
        }
        DaemonState::Starting if all_stopped => {
            if !has_due(k, |due| matches!(due, Due::Restored | Due::StopDone(..))) {
                let takes = k.settings.timing.takes(Work::Restore);
                k.later(now + takes, Due::Restored);
            }
        }
        DaemonState::StartingContainers => serves_when_all_started(k),
        DaemonState::Starting | DaemonState::Up | DaemonState::Down => {}
    }
}

fn has_due(k: &Kernel, is: impl Fn(&Due) -> bool) -> bool {
    k.agenda.values().any(is)
}

fn serves_when_all_started(k: &mut Kernel) {
    if !has_due(k, |due| matches!(due, Due::StartDone(_, Asker::Daemon))) {
        k.daemon = DaemonState::Up;
        k.out.push(Out::DaemonReady);
    }
}

/// All that was found is stopped or adopted: the policies start what is theirs.
pub(super) fn restored(k: &mut Kernel, now: Moment) {
    if k.daemon != DaemonState::Starting {
        return;
    }
    k.daemon = DaemonState::StartingContainers;
    // Its default network is made anew, unless containers that live on are in it.
    if !k.containers.iter().any(|c| c.alive) {
        k.began = k.stamp(now);
    }
    for i in 0..k.containers.len() {
        let c = &mut k.containers[i];
        let down = c.view.run == RunState::Exited;
        if c.removed || c.starting {
            continue;
        }
        c.manager = RestartManager::default();
        let mut manager = RestartManager::default();
        let (policy, code) = (c.view.restart_policy, c.view.exit_code);
        if down && manager.after_end(policy, code, c.manually_stopped, 0).is_some() {
            start::work_on_start(k, now, i, Asker::Daemon);
        }
    }
}
