//! The steps of a repair, what it sees of the world, and what it wants. Plain data.

use super::*;

/// Where a repair is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// `/stop` is about to be posted.
    StopDue,
    /// `/stop` is posted; `lost` once its deadline passed.
    Stopping { ticket: Ticket, lost: bool },
    /// `/stop` was answered, or was seen to be under way after a restart of ours: waits for the end it causes.
    AwaitEnd { until: Moment },
    /// It is down; `/start` comes at `at`, after an inspection (where `inspect` is set).
    StartDue { at: Moment, inspect: Option<Moment> },
    /// `/start` is posted; `lost` once its deadline passed.
    Starting { ticket: Ticket, lost: bool },
    /// `/start` was answered: a new incarnation must show.
    AwaitStart { since: Moment },
    /// It runs; it must stay.
    Verifying { since: Moment, life: Incarnation },
    /// The engine refused the start, in these words.
    Refused(String),
}

/// What a repair sees of the world when it is moved on.
pub(crate) struct Scene<'a> {
    pub(crate) observation: &'a ContainerObservation,
    /// While the event stream has a gap: until when at the latest.
    pub(crate) gap_until: Option<Moment>,
    /// The newest event taken.
    pub(crate) newest_event: EngineTime,
    pub(crate) deploy_until: Option<Moment>,
    /// This watchdog does not begin anything new.
    pub(crate) is_leaving: bool,
    /// Of the next call.
    pub(crate) ticket: Ticket,
    pub(crate) start_deadline: Duration,
    /// How long the new incarnation must stay.
    pub(crate) verify: Duration,
    /// The startup grace of the new incarnation.
    pub(crate) grace: Duration,
}

/// What a repair wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    Inspect,
    /// Write this step down.
    Journal(RepairStep),
    Post {
        ticket: Ticket,
        call: EngineCall,
        within: Duration,
    },
}

/// What moving on led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Moved {
    /// It waits, until then at the latest; `None` = for an input.
    Waits(Option<Moment>),
    /// A new incarnation was seen, since then.
    Restarted(Moment),
    Over(Outcome, String),
    /// Over: a person's act fell into it, and it stays as they want it.
    Overruled(String),
}
