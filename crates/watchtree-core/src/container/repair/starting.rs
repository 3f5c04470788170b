//! A start that is due: is it posted now? Pure; knows neither how often it was tried nor what it captures.

use super::step::{Act, Next, STAY, Scene, failed, overruled};
use crate::container::observation::Status;
use crate::time::Moment;
use alloc::vec::Vec;

/// What becomes of a start that is due.
pub(super) enum Due {
    /// It waits, or is over.
    Stay(Next),
    /// It runs already.
    Runs,
    Post,
    /// It is put off, for an inspection before it.
    Again,
}

/// When it is due, and the inspection that it waits for.
pub(super) type DueAt = (Moment, Option<Moment>);

/// Of one that is due at `at`, after an inspection (where `inspect` is set); `is_half_done` = our own stop has ended it.
pub(super) fn when_due(
    now: Moment,
    scene: &Scene<'_>,
    (at, inspect): DueAt,
    (is_new, is_half_done, may_be_tried): (bool, bool, bool),
    acts: &mut Vec<Act>,
) -> Due {
    let it = scene.observation;
    if is_new {
        return Due::Runs;
    }
    if scene.is_leaving && !is_half_done {
        return Due::Stay(STAY);
    }
    // The first start was admitted by its guards just now; a later one waits for a deployment.
    if let Some(until) = scene.deploy_until {
        return Due::Stay(Next::Stay(Some(until)));
    }
    if now < at {
        return Due::Stay(Next::Stay(Some(at)));
    }
    if inspect.is_some_and(|since| !it.was_inspected_since(since)) {
        acts.push(Act::Inspect);
        return Due::Stay(STAY);
    }
    match it.status() {
        Status::Down | Status::Created if may_be_tried => Due::Post,
        Status::Removing => Due::Stay(overruled("it is being removed")),
        Status::Paused => Due::Stay(overruled("it was paused")),
        Status::Backoff => Due::Stay(failed("the engine restarts it by its own policy")),
        // Down once too often; or the engine has not yet noticed its end.
        Status::Down | Status::Created | Status::Running | Status::Unknown => Due::Again,
    }
}
