//! What begins anew with each incarnation of a container. Plain data.

use super::asked::ManualStopFlag;
use super::set_back::ClockSetBack;
use crate::container::io::{EngineTime, Health};
use crate::time::Moment;

/// The engine's wait before it restarts it by its policy, after the last end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum EngineBackoff {
    #[default]
    None,
    /// An inspection showed it.
    Seen,
    /// It ended without a start; the manual-stop flag tells who ended it.
    Ended,
}

/// An end as it became known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SeenEnd {
    /// When it became known.
    pub(crate) at: Moment,
    /// By its event, not only by an inspection.
    pub(crate) by_event: bool,
}

/// What begins anew with each incarnation.
#[derive(Clone, Debug, Default)]
pub(super) struct Present {
    /// When its start event arrived.
    pub(super) born_at: Option<Moment>,
    pub(super) end: Option<SeenEnd>,
    pub(super) health: Health,
    /// When memory ran out, of the container or of a child.
    pub(super) oom: Option<EngineTime>,
    pub(super) flag: ManualStopFlag,
    pub(super) backoff: EngineBackoff,
    pub(super) uncertain: bool,
    pub(super) set_back: ClockSetBack,
}
