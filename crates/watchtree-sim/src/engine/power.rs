//! The machine under an engine goes down, in order or not, and boots.

use super::{Asker, Due, Engine, Out, engine_time};
use watchtree_core::container::io::{EventAction, Performed, RestartPolicy, RunState};
use watchtree_core::time::Moment;

impl Engine {
    /// The machine goes down in order: the engine stops every container. It marks none as stopped by a person.
    pub fn shut_down(&mut self, now: Moment) {
        for i in 0..self.containers.len() {
            let c = &mut self.containers[i];
            if c.removed || c.view.run == RunState::Exited {
                continue;
            }
            c.ran_at_shutdown = true;
            if c.view.run == RunState::Restarting {
                c.view.run = RunState::Exited;
                continue;
            }
            let (signal, exit_code) = (c.view.stop_signal, if c.hung { 137 } else { 143 });
            self.event(now, i, EventAction::Kill { signal });
            let c = &mut self.containers[i];
            c.view.run = RunState::Exited;
            c.view.pid = 0;
            c.view.exit_code = exit_code;
            c.view.finished_at = engine_time(now);
            (c.hung, c.changed) = (false, now);
            let stopping = std::mem::take(&mut c.stopping);
            self.event(now, i, EventAction::Die { exit_code });
            for asker in stopping {
                self.out.push(Out::Answered(asker, Ok(Performed::Done)));
            }
        }
    }

    /// The machine lost its power: whatever was under way is gone.
    pub fn power_lost(&mut self) {
        self.ring.clear();
        for c in &mut self.containers {
            c.starting = 0;
            c.stopping.clear();
        }
    }

    /// The machine boots: what ran and has no policy stays down, without any event; the rest is started by the engine.
    pub fn boot(&mut self, now: Moment) {
        for i in 0..self.containers.len() {
            let c = &mut self.containers[i];
            let ran = std::mem::take(&mut c.ran_at_shutdown);
            if c.removed || (c.view.run == RunState::Exited && !ran) {
                continue;
            }
            c.hung = false;
            c.changed = now;
            c.view.exit_code = 255;
            c.view.finished_at = engine_time(now);
            c.view.pid = 0;
            c.view.run = RunState::Exited;
            if c.view.restart_policy != RestartPolicy::No && !c.manually_stopped {
                c.starting += 1;
                let at = now + self.rng.millis(200, 900);
                self.out.push(Out::Later(at, Due::StartDone(i, Asker::Policy)));
            }
        }
    }
}
