//! A capture has come: into the record of the repair that asked for it, which goes on. Whether captures can be kept is a condition.

use super::engine_view::EngineView;
use super::executor::Executor;
use super::watchlist::Watchlist;
use crate::container::io::{Captured, ContainerId};
use crate::container::outbox::Outbox;
use crate::time::Moment;
use alloc::format;
use alloc::string::ToString;

/// What was asked for then was captured of that container.
pub(super) fn captured(
    now: Moment,
    (engine, watched, executor): (&mut EngineView, &mut Watchlist, &mut Executor),
    id: &ContainerId,
    (asked, captured): (Moment, &Captured),
    out: &mut Outbox,
) {
    if let Some(state) = captured.file.clone() {
        let state = state.map(|_| "captures are kept".to_string());
        out.condition(
            "captures",
            state.map_err(|why| format!("no capture can be kept: {why}")),
        );
    }
    let Some(sid) = engine.inventory().subject_of(id).cloned() else {
        return;
    };
    if let Some(watched) = watched.get_mut(&sid) {
        executor.captured(now, (&sid, watched), (asked, captured), out);
        engine.touch(sid);
    }
}
