//! The daemon ends and starts, and the machine under it loses its power.
//!
//! ```text
//!        terminated           the last container has ended
//!   Up ─────────────▶ Ending ─────────────────────────────▶ Down
//!    │                                  killed, power lost   │ started
//!    └──────────────────────────────────────────────────────▶│
//!   Up ◀─────────── Starting: what is found alive is stopped (and marked) ◀┘
//!                   or adopted (live-restore), then the policies start what is theirs
//! ```
//!
//! What is in its memory ends with it: the ring, back-offs, policies called off, calls under way. What is on disk stays.

use super::container::{AfterStop, RestartManager};
use super::{Asker, DaemonState, Due, Engine, Out, Work};
use watchtree_core::container::io::RunState;
use watchtree_core::time::Moment;

/// Exit code of what a machine took down with it.
const LOST_EXIT_CODE: i64 = 255;

impl Engine {
    /// kill -9 of the daemon. True if there was one.
    pub fn daemon_killed(&mut self) -> bool {
        if self.daemon == DaemonState::Down {
            return false;
        }
        self.daemon = DaemonState::Down;
        self.log.clear();
        // Processes go on by themselves.
        self.agenda.retain(|_, due| matches!(due, Due::Ends(..)));
        for i in 0..self.containers.len() {
            let c = &mut self.containers[i];
            c.starting = false;
            c.checking = false;
            c.waiting.clear();
            c.stopping.clear();
            c.manager = RestartManager::default();
            self.changed(i);
        }
        self.out.push(Out::DaemonEnded);
        true
    }

    /// SIGTERM to the daemon: without live-restore it stops every container first. True if there was one.
    pub fn daemon_terminated(&mut self, now: Moment) -> bool {
        if self.daemon != DaemonState::Up {
            return false;
        }
        self.daemon = DaemonState::Ending;
        if self.settings.live_restore {
            return self.daemon_killed();
        }
        for i in 0..self.containers.len() {
            if !self.containers[i].removed && self.containers[i].counts_as_running() {
                self.stop_then(now, i, None, Asker::Daemon, AfterStop::Answer);
            }
        }
        self.restored_one(now);
        true
    }

    /// The machine loses its power: every process ends with it, and nobody sees it.
    pub fn power_lost(&mut self, now: Moment) {
        self.daemon_killed();
        self.agenda.clear();
        for i in 0..self.containers.len() {
            let c = &mut self.containers[i];
            if c.alive {
                (c.alive, c.hung, c.unseen_end, c.changed) = (false, false, None, now);
            }
            self.changed(i);
        }
    }

    /// The daemon starts. True if none was there.
    pub fn daemon_started(&mut self, now: Moment) -> bool {
        if self.daemon != DaemonState::Down {
            return false;
        }
        self.daemon = DaemonState::Starting;
        for i in 0..self.containers.len() {
            if !self.containers[i].removed && self.containers[i].counts_as_running() {
                self.restore(now, i);
            }
        }
        self.restored_one(now);
        true
    }

    /// One that was recorded as running.
    fn restore(&mut self, now: Moment, i: usize) {
        if self.containers[i].alive {
            if self.settings.live_restore {
                return self.check_again(now, i);
            }
            // It is stopped as by anybody: the flag is set.
            return self.stop_then(now, i, None, Asker::Daemon, AfterStop::Answer);
        }
        let boot = self.stamp(now);
        let c = &mut self.containers[i];
        let back_off = c.view.run == RunState::Restarting;
        let recorded = back_off.then_some((c.view.exit_code, c.view.finished_at));
        let (code, at) = c.unseen_end.or(recorded).unwrap_or((LOST_EXIT_CODE, boot));
        c.ended(now, at, code);
        self.changed(i);
    }

    /// Something that the daemon waits for, at its start or its end, may be over.
    pub(super) fn restored_one(&mut self, now: Moment) {
        let all_stopped = self.containers.iter().all(|c| c.removed || c.stopping.is_empty());
        match self.daemon {
            DaemonState::Ending => {
                let all_said = !self.agenda.values().any(|due| matches!(due, Due::StopDone(..) | Due::Log(..)));
                if all_stopped && all_said {
                    self.daemon_killed();
                }
            }
            DaemonState::Starting if all_stopped => {
                if !self.agenda.values().any(|due| matches!(due, Due::Restored | Due::StopDone(..))) {
                    let takes = self.settings.timing.takes(Work::Restore);
                    self.later(now + takes, Due::Restored);
                }
            }
            DaemonState::Starting | DaemonState::Up | DaemonState::Down => {}
        }
    }

    /// All that was found is stopped or adopted: the policies start what is theirs, and the API is served.
    pub(super) fn restored(&mut self, now: Moment) {
        if self.daemon != DaemonState::Starting {
            return;
        }
        self.daemon = DaemonState::Up;
        for i in 0..self.containers.len() {
            let c = &mut self.containers[i];
            let down = c.view.run == RunState::Exited;
            if c.removed || c.starting {
                continue;
            }
            c.manager = RestartManager::default();
            let mut manager = RestartManager::default();
            let (policy, code) = (c.view.restart_policy, c.view.exit_code);
            if down && manager.after_end(policy, code, c.manually_stopped, 0).is_some() {
                self.work_on_start(now, i, Asker::Daemon);
            }
        }
        self.out.push(Out::DaemonReady);
    }
}
