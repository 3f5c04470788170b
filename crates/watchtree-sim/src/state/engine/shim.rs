//! The shim between the daemon and a container. While it is stopped no call for that container goes on and no check ends, and the
//! daemon learns of no end; its process runs on. When it is killed the kernel ends the process with it, and the daemon sees that.

use super::kernel::DaemonState;
use super::{Engine, health, stop};
use watchtree_core::time::Moment;

/// What the daemon sees of a container whose shim was killed.
const LOST_EXIT_CODE: i64 = 255;
/// Shims are numbered after the processes, so that none is mistaken for another.
const SHIM_PIDS: u32 = 1 << 20;

/// It is stopped. True if the container ran.
pub fn stopped(engine: &mut Engine, now: Moment, place: usize) -> bool {
    let c = &mut engine.kernel.containers[place];
    if !c.alive || c.shim_stopped {
        return false;
    }
    c.shim_stopped = true;
    health::check_again(&mut engine.kernel, now, place);
    true
}

/// It goes on. True if it was stopped.
pub fn goes_on(engine: &mut Engine, now: Moment, place: usize) -> bool {
    let c = &mut engine.kernel.containers[place];
    if !std::mem::take(&mut c.shim_stopped) {
        return false;
    }
    if let Some((code, _)) = c.unseen_end.take() {
        stop::process_ended(&mut engine.kernel, now, place, code);
    }
    engine.lock_is_free(now, place);
    true
}

/// The process of a container ends, and the daemon never learns of it, as where its containerd was away meanwhile. True if there was one.
pub fn end_is_missed(engine: &mut Engine, now: Moment, place: usize) -> bool {
    let at = engine.kernel.stamp(now);
    let c = &mut engine.kernel.containers[place];
    if !c.alive {
        return false;
    }
    (c.alive, c.unseen_end, c.changed) = (false, Some((LOST_EXIT_CODE, at)), now);
    engine.kernel.changed(place);
    health::check_again(&mut engine.kernel, now, place);
    true
}

/// It is killed. True if there was one.
pub fn killed(engine: &mut Engine, now: Moment, place: usize) -> bool {
    let c = &mut engine.kernel.containers[place];
    if !c.alive && !c.shim_stopped {
        return false;
    }
    (c.shim_stopped, c.unseen_end) = (false, None);
    if engine.kernel.daemon == DaemonState::Up {
        stop::process_ended(&mut engine.kernel, now, place, LOST_EXIT_CODE);
    }
    engine.lock_is_free(now, place);
    true
}

/// The shim of a container that has one: its number, and whether it is stopped.
pub fn of(engine: &Engine, id: &str) -> Option<(u32, bool)> {
    let c = &engine.kernel.containers[engine.find(id)?];
    (c.alive || c.shim_stopped).then_some((SHIM_PIDS + c.view.pid, c.shim_stopped))
}
