//! What a container-watchdog captures of a container before it restarts it: as usual, late, or never.
//!
//! The model's processes wait nowhere and its logs are short: only when an answer comes is of interest here, and whether it can be kept.

use crate::log::Observation;
use crate::scheduler::api;
use crate::scheduler::event::{PersonStep, SimEvent};
use crate::scheduler::host::CaptureFault;
use crate::scheduler::world::{Delays, World};
use watchtree_core::container::io::{CaptureOrder, Captured, ContainerId, ContainerInput, Usage};
use watchtree_core::time::Duration;

/// It is asked for.
pub(super) fn capture(world: &mut World, h: usize, id: ContainerId, order: CaptureOrder) {
    let holds_a_stop = order.pid != 0;
    world.saw(Observation::CaptureAsked {
        host: h,
        id: id.clone(),
        holds_a_stop,
    });
    // Not drawn: whatever else a run draws does not depend on whether something is captured.
    let usual = match world.delays {
        Delays::Drawn => Duration::from_millis(3 + world.now.as_micros() % 197),
        Delays::Exact => Duration::from_millis(5),
    };
    let after = match world.hosts[h].api.captures {
        CaptureFault::None => usual,
        CaptureFault::Late(by) => by,
        CaptureFault::Never => return world.counted("capture_unanswered"),
    };
    if order.within < after {
        world.counted("capture_late");
    }
    let host = &world.hosts[h];
    let lives = host.engine.process_lives(&id, order.pid);
    let usage = |current, max| Usage { current, max };
    let captured = Captured {
        file: Some(match host.disk.is_full(world.now) {
            true => Err("no space left on device".into()),
            false => Ok("1.txt".into()),
        }),
        processes: lives.then_some(1),
        memory: lives.then(|| usage(8 << 20, None)),
        pids: lives.then(|| usage(1, None)),
        log_lines: Some(match host.engine.answers() {
            true => Ok(2),
            false => Err("connection refused".into()),
        }),
        ..Captured::default()
    };
    let asked = order.asked;
    api::to_child(world, h, after, ContainerInput::Captured { id, asked, captured });
}

/// Captures on that host come so late, or never, for a while. True.
pub(super) fn get_lost(world: &mut World, h: usize, (late, lasts): (Option<Duration>, Duration)) -> bool {
    world.hosts[h].api.captures = late.map_or(CaptureFault::Never, CaptureFault::Late);
    world.after(lasts, SimEvent::Step(h, PersonStep::CapturesCome));
    true
}

/// They come as they should again.
pub(super) fn come(world: &mut World, h: usize) {
    world.hosts[h].api.captures = CaptureFault::None;
}
