//! What a role knows around one container, and what a container wants done. Plain data and references.

use super::*;

/// What a role knows around one container.
pub(crate) struct Around<'a> {
    pub(crate) settings: &'a ContainerSettings,
    pub(crate) observation: &'a mut ContainerObservation,
    pub(crate) continuity: &'a EventContinuity,
    pub(crate) policy: RestartPolicy,
    pub(crate) deploy_until: Option<Moment>,
    /// On which subject the hold in force lies, and until when.
    pub(crate) hold: Option<(SubjectId, Moment)>,
    /// The container whose network it joins, while that does not run.
    pub(crate) network_away: Option<String>,
    pub(crate) is_leaving: bool,
    /// An earlier call for it may still be under way.
    pub(crate) is_busy: bool,
    /// Of the next call.
    pub(crate) ticket: Ticket,
}

/// What a container wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Journal(Record),
    Inspect(ContainerId),
    ReadFlag(ContainerId),
    /// The events since the last one seen.
    Replay,
    Post {
        ticket: Ticket,
        id: ContainerId,
        call: EngineCall,
        within: Duration,
    },
}

/// What a stop signal of somebody else, or of ours, turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignalSeen {
    /// Of an incarnation before, or of a clock that was set back.
    Odd,
    /// Of a stop of ours.
    Own,
    Foreign,
}
