//! Which states open an incident, after how long, and which end it. Pure; knows no subject and nobody who is told.

use crate::time::Duration;
use crate::verdict::State;

/// A verdict of DOWN that is repaired within this time is no incident.
const DOWN_AFTER: Duration = Duration::from_secs(5);
/// What was ill below a lost host or a dead engine is told only if it still is so long after that came back: its news are
/// on the way.
pub(crate) const STILL_ILL_AFTER: Duration = Duration::from_secs(5);
/// An illness for which there is no room is looked at again after this.
pub(crate) const NO_ROOM_AGAIN: Duration = Duration::from_secs(10);

/// States in which an incident has come to its end. In between (starting, repairing, unknown) it stays open, so that one
/// illness is one incident.
pub(crate) const fn is_over(state: State) -> bool {
    matches!(state, State::Ok | State::Finished | State::Stopped | State::Degraded)
}

/// States between an illness and its end: what must last goes on lasting, for a repair that does not help makes nobody well.
pub(crate) const fn is_being_repaired(state: State) -> bool {
    matches!(state, State::Starting | State::Suspect | State::Repairing)
}

/// How long an illness must last to become an incident.
pub(crate) const fn lasts(state: State, unhealthy_after: Duration) -> Duration {
    match state {
        State::Unhealthy => unhealthy_after,
        State::Down => DOWN_AFTER,
        _ => Duration::ZERO,
    }
}
