//! A removal that does not come to its end: a mount that is busy, a disk that fails. The container has ended and starts no more; nothing tells of it but
//! its state.

use super::{Engine, stop};
use watchtree_core::container::io::{EventAction, RunState};
use watchtree_core::time::Moment;

/// A person removes it by force, which ends it; `fails` = the engine has given up, else it is at it for ever. True if it ran.
pub fn stuck(engine: &mut Engine, now: Moment, place: usize, fails: bool) -> bool {
    let k = &mut engine.kernel;
    if !k.containers[place].alive {
        return false;
    }
    k.event(now, place, EventAction::Kill { signal: 9 });
    k.containers[place].manually_stopped = true;
    stop::process_ended(k, now, place, 137);
    let run = if fails { RunState::Dead } else { RunState::Removing };
    k.containers[place].view.run = run;
    k.changed(place);
    true
}
