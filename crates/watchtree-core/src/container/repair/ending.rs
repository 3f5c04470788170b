//! Is the end seen that a stop of ours was to cause? Pure; does not know whose the end is.

use super::step::{Act, END_SHOWS, Next, STAY, Scene, overruled};
use crate::container::observation::Status;
use crate::time::Moment;
use alloc::vec::Vec;

/// What is seen of the end.
pub(super) enum EndSeen {
    /// It may still come, or another incarnation runs.
    NotYet(Next),
    Ended,
    /// It does not come.
    Nothing,
}

/// Of an end that must show until then; `lingers` = until when the stop may take that has been seen, and is not answered.
pub(super) fn end_seen(
    now: Moment,
    scene: &Scene<'_>,
    (until, lingers): (Moment, Option<Moment>),
    is_new: bool,
    acts: &mut Vec<Act>,
) -> EndSeen {
    let it = scene.observation;
    let down = it.status() == Status::Down;
    if is_new && !down {
        return EndSeen::NotYet(overruled("somebody else started it anew during our stop"));
    }
    if let Some(gap) = scene.gap_until {
        return EndSeen::NotYet(Next::Stay(Some(gap)));
    }
    // Its event may be on the way, or be lost.
    let shown = it.end().map_or(until, |end| until.min(end.at + END_SHOWS));
    if down && (it.ended_by_event() || shown <= now) {
        return EndSeen::Ended;
    }
    let until = lingers.map_or(until, |lingers| until.max(lingers));
    if now < until {
        return EndSeen::NotYet(Next::Stay(Some(if down { shown } else { until })));
    }
    if !it.was_inspected_since(until) {
        acts.push(Act::Inspect);
        return EndSeen::NotYet(STAY);
    }
    EndSeen::Nothing
}
