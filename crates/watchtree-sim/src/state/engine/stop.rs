//! How containers end: signals of people, stops with their patience, ends by themselves, and what the engine makes of each.
//!
//! Every signal that goes through the engine sets the manual-stop flag, whatever it means to the process, unless the daemon
//! itself is on its way down; it calls the restart policy off unless the container has a stop signal of its own and this is
//! another one.

use super::container::{AfterStop, Stopping};
use super::{Asker, DaemonState, Due, Engine, Work, text};
use watchtree_core::container::io::{EventAction, Performed, RunState};
use watchtree_core::time::{Duration, Moment};

/// The patience of a `/stop` where nobody set one.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

impl Engine {
    pub(super) fn begin_stop(&mut self, now: Moment, i: usize, timeout: Option<Duration>, asker: Asker) {
        if self.containers[i].counts_as_running() {
            self.stop_then(now, i, timeout, asker, AfterStop::Answer);
        } else {
            self.answer(asker, Ok(Performed::AlreadySo));
        }
    }

    pub(super) fn begin_restart(&mut self, now: Moment, i: usize, timeout: Option<Duration>, asker: Asker) {
        if self.containers[i].counts_as_running() {
            self.stop_then(now, i, timeout, asker, AfterStop::Restart);
        } else {
            self.containers[i].restarting = true;
            self.work_on_start(now, i, asker);
        }
    }

    pub(super) fn stop_then(&mut self, now: Moment, i: usize, timeout: Option<Duration>, asker: Asker, then: AfterStop) {
        let c = &mut self.containers[i];
        let stopping = Stopping { asker, then };
        let (signal, life) = (c.view.stop_signal, c.life);
        let timeout = timeout.or(c.view.stop_timeout).unwrap_or(STOP_TIMEOUT);
        c.stopping.push(stopping);
        if self.kill_through_engine(now, i, signal, asker) {
            self.later(now + timeout, Due::Patience(i, life, asker));
        }
    }

    /// True if a process was there to be signalled; what backs off ends at once.
    fn kill_through_engine(&mut self, now: Moment, i: usize, signal: u32, asker: Asker) -> bool {
        let going_down = self.daemon == DaemonState::Ending && asker == Asker::Daemon;
        let c = &mut self.containers[i];
        let calls_off = !c.view.stop_signal_set || signal == c.view.stop_signal || signal == 9;
        if calls_off {
            c.manager.cancelled = true;
        }
        c.manually_stopped |= !going_down;
        if c.view.run == RunState::Restarting {
            if calls_off {
                (c.view.run, c.changed) = (RunState::Exited, now);
                self.settle_stops(now, i);
            }
            self.changed(i);
            return false;
        }
        self.event(now, i, EventAction::Kill { signal });
        if self.containers[i].view.run == RunState::Paused && calls_off {
            self.resumed(now, i);
        }
        self.signal(now, i, signal);
        true
    }

    pub(super) fn patience_over(&mut self, now: Moment, i: usize, life: u64, asker: Asker) {
        let c = &self.containers[i];
        if c.life == life && c.alive && c.stopping.iter().any(|it| it.asker == asker) {
            self.kill_through_engine(now, i, 9, asker);
        }
    }

    pub(super) fn begin_kill(&mut self, now: Moment, i: usize, signal: u32, asker: Asker) {
        let c = &mut self.containers[i];
        if !c.counts_as_running() {
            let message = format!("Cannot kill container: {0}: Container {0} is not running", c.view.id);
            return self.answer(asker, Err(text::refused(409, message)));
        }
        if signal == 9 {
            let then = AfterStop::Killed;
            c.stopping.push(Stopping { asker, then });
        }
        self.kill_through_engine(now, i, signal, asker);
        if signal != 9 {
            self.answer(asker, Ok(Performed::Done));
        }
    }

    pub(super) fn begin_remove(&mut self, now: Moment, i: usize, force: bool, asker: Asker) {
        let c = &mut self.containers[i];
        if !c.counts_as_running() {
            self.removed(now, i);
            return self.answer(asker, Ok(Performed::Done));
        }
        if !force {
            let message = format!(
                "You cannot remove a running container {}. Stop the container before attempting removal or force remove",
                c.view.id
            );
            return self.answer(asker, Err(text::refused(409, message)));
        }
        let then = AfterStop::Remove;
        c.stopping.push(Stopping { asker, then });
        self.kill_through_engine(now, i, 9, asker);
    }

    pub(super) fn removed(&mut self, now: Moment, i: usize) {
        if !self.containers[i].removed {
            self.event(now, i, EventAction::Destroy);
            self.containers[i].removed = true;
            self.changed(i);
        }
    }

    /// A process has ended: the daemon sees it, or will when there is one.
    pub(super) fn process_ended(&mut self, now: Moment, i: usize, exit_code: i64) {
        let at = self.stamp(now);
        let sees = matches!(self.daemon, DaemonState::Up | DaemonState::Ending | DaemonState::Starting);
        if !sees {
            let c = &mut self.containers[i];
            (c.alive, c.unseen_end, c.changed) = (false, Some((exit_code, at)), now);
            return self.changed(i);
        }
        let c = &mut self.containers[i];
        let ran_ns = at.0.saturating_sub(c.view.started_at.0);
        c.ended(now, at, exit_code);
        let (policy, flag) = (c.view.restart_policy, c.manually_stopped);
        let backoff = c.manager.after_end(policy, exit_code, flag, ran_ns);
        let life = c.life;
        if let Some(backoff) = backoff {
            c.view.run = RunState::Restarting;
            c.view.restart_count += 1;
            c.policy_due = now + backoff;
            self.later(now + backoff, Due::PolicyStarts(i, life));
        }
        self.changed(i);
        let die = EventAction::Die { exit_code };
        if self.settings.stop_before_die {
            self.settle_stops(now, i);
            let late = self.settings.timing.takes(Work::LateDie);
            self.later(now + late, Due::Log(i, die));
        } else {
            self.event(now, i, die);
            self.settle_stops(now, i);
        }
        if self.containers[i].view.auto_remove {
            self.later(now + Duration::from_millis(100), Due::Log(i, EventAction::Destroy));
            self.containers[i].removed = true;
        }
        self.restored_one(now);
    }

    /// The stops that waited for its end go on.
    fn settle_stops(&mut self, now: Moment, i: usize) {
        for stopping in std::mem::take(&mut self.containers[i].stopping) {
            let late = match (self.settings.stop_before_die, stopping.then) {
                (true, AfterStop::Answer | AfterStop::Restart) => Duration::ZERO,
                _ => self.settings.timing.takes(Work::LateStop),
            };
            self.later(now + late, Due::StopDone(i, stopping));
        }
    }

    pub(super) fn stop_done(&mut self, now: Moment, i: usize, stopping: Stopping<Asker>) {
        let asker = stopping.asker;
        match stopping.then {
            AfterStop::Answer => self.event(now, i, EventAction::Stop),
            AfterStop::Restart => {
                self.event(now, i, EventAction::Stop);
                let taken = self.containers[i].starting || self.containers[i].counts_as_running();
                if !taken && !self.containers[i].removed {
                    self.containers[i].restarting = true;
                    return self.work_on_start(now, i, asker);
                }
            }
            AfterStop::Remove => self.removed(now, i),
            AfterStop::Killed => {}
        }
        let at = now + self.settings.timing.takes(Work::Answer);
        self.later(at, Due::Answer(asker, Ok(Performed::Done)));
        self.restored_one(now);
    }
}
