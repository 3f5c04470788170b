//! The steps of a repair, what it sees of the world, and what it wants. Knows nothing but one step at a time.

use super::*;
use crate::container::io::{CaptureOrder, EngineCall};
use crate::verdict::State;

/// First pause before `/start` is posted again where the last one changed nothing; doubles.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// After `/stop` was answered, its `die` must come within this time, or an inspection decides.
pub(super) const END_SHOWS: Duration = Duration::from_secs(1);
/// What a `/stop` may take on top of its own timeout.
const STOP_DEADLINE_EXTRA: Duration = Duration::from_secs(15);
/// Most posts of `/start` that change nothing.
pub(super) const TRIES_MAX: u32 = 12;
/// A stop whose connection broke must have shown within that time on top of its own.
pub(super) const STOP_SHOWS: Duration = Duration::from_secs(5);
/// One that has shown may take that much longer, in an engine that is slow.
pub(super) const STOP_LINGERS: Duration = Duration::from_secs(60);
/// A late SIGKILL is ours if a `stop` follows the end within that time.
pub(crate) const STOP_FOLLOWS: Duration = Duration::from_secs(2);

/// Where a repair is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// What `/stop` destroys is about to be captured.
    StopDue,
    /// It is being captured; `/stop` follows when that has come, or its time is over.
    Capturing,
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
    /// The engine refused it; `is_void` = before anything was done.
    Refused { refusal: Refusal, is_void: bool },
    /// It was down before our stop came.
    EndedBefore,
}

impl Step {
    /// Of the call that it waits for.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Stopping { ticket, .. } | Self::Starting { ticket, .. } => Some(*ticket),
            _ => None,
        }
    }

    /// True for steps that leave a container down that a stop of ours has ended.
    pub(super) fn is_between(&self) -> bool {
        matches!(
            self,
            Self::Stopping { .. } | Self::AwaitEnd { .. } | Self::StartDue { .. }
        )
    }

    /// The call that its deadline has passed by, in words.
    pub(super) fn lost_call(&self) -> Option<&'static str> {
        match self {
            Self::Stopping { lost: true, .. } => Some("/stop"),
            Self::Starting { lost: true, .. } => Some("/start"),
            _ => None,
        }
    }

    /// What is shown of the container meanwhile.
    pub(super) fn shown(&self) -> Shown {
        let (state, why) = match self {
            Self::Stopping { lost: true, .. } | Self::Starting { lost: true, .. } => (
                State::GivenUp,
                "the engine has not answered our call in time; it is not posted again, a person is needed",
            ),
            Self::StopDue | Self::Capturing | Self::Stopping { .. } | Self::AwaitEnd { .. } | Self::EndedBefore => {
                (State::Repairing, "being stopped, to be started again")
            }
            Self::StartDue { .. } | Self::Refused { .. } => (State::Repairing, "about to be started"),
            Self::Starting { .. } | Self::AwaitStart { .. } => (State::Repairing, "being started"),
            Self::Verifying { .. } => (State::Starting, "started; it must stay up to count as repaired"),
        };
        Shown::new(state, why)
    }

    /// The deadline of its call passed.
    pub(super) fn lose(&mut self) {
        if let Self::Stopping { lost, .. } | Self::Starting { lost, .. } = self {
            *lost = true;
        }
    }

    /// The connection of its call broke: a stop may show all the same, a start is tried again.
    pub(super) fn connection_broke(&self, now: Moment, stop_secs: u32, tries: u32) -> Self {
        match self {
            Self::Stopping { .. } => Self::AwaitEnd {
                until: now + Duration::from_secs(stop_secs.into()) + STOP_SHOWS,
            },
            _ => Self::start_again(now, tries),
        }
    }

    /// Posts a start again, which may be under way all the same, or done. The inspection before tells: in Docker a start holds
    /// the container's lock to its end, and inspect waits for it (moby, daemon/start.go and daemon/inspect.go).
    pub(super) fn start_again(now: Moment, tries: u32) -> Self {
        let at = now + AGAIN_AFTER.saturating_mul(5 << tries.min(4));
        Self::StartDue { at, inspect: Some(at) }
    }

    /// The engine seems to have gone and come back: a call that was lost is over. False where its own answer is still to
    /// come. The engine may have forgotten its events for another reason, so an inspection comes first.
    pub(super) fn engine_went(&mut self, now: Moment) -> bool {
        match *self {
            Self::Starting { lost: true, .. } => {
                *self = Self::StartDue {
                    at: now,
                    inspect: Some(now),
                };
            }
            Self::Stopping { lost: true, .. } => *self = Self::AwaitEnd { until: now },
            Self::Stopping { .. } | Self::Starting { .. } => return false,
            _ => {}
        }
        true
    }
}

/// What a repair sees of the world when it is moved on.
pub(crate) struct Scene<'a> {
    pub(crate) observation: &'a ContainerObservation,
    /// While the event stream has a gap: until when at the latest.
    pub(crate) gap_until: Option<Moment>,
    /// The newest event taken.
    pub(crate) newest_event: EngineTime,
    /// What the engine's clock shows, by our own.
    pub(crate) engine_now: EngineTime,
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

/// A stop is posted, and written down before.
pub(super) fn post_stop(ticket: Ticket, timeout_secs: u32) -> [Act; 2] {
    let call = EngineCall::Stop { timeout_secs };
    let within = Duration::from_secs(timeout_secs.into()) + STOP_DEADLINE_EXTRA;
    [Act::Journal(RepairStep::StopPosted), Act::Post { ticket, call, within }]
}

/// A start is posted, and written down before.
pub(super) fn post_start(ticket: Ticket, within: Duration) -> [Act; 2] {
    let call = EngineCall::Start;
    [
        Act::Journal(RepairStep::StartPosted),
        Act::Post { ticket, call, within },
    ]
}

/// What a repair wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    Inspect,
    /// Take what the restart destroys.
    Capture(CaptureOrder),
    /// Look at its shim, and at its process of that number.
    LookAtShim(u32),
    /// Kill that shim of it.
    KillShim(u32),
    /// Write this step down.
    Journal(RepairStep),
    Post {
        ticket: Ticket,
        call: EngineCall,
        within: Duration,
    },
}

/// What moving on led to, for the subject.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Moved {
    /// It waits, until then at the latest; `None` = for an input.
    Waits(Option<Moment>),
    /// A new incarnation was seen, since then.
    Restarted(Moment),
    Over(Outcome, String),
    /// Over: the engine refused it, before anything was done (`is_void`) or after our stop.
    Refused {
        refusal: Refusal,
        is_void: bool,
    },
    /// Over: a person's act fell into it, and it stays as they want it.
    Overruled(String),
}

/// What a step led to.
pub(super) enum Next {
    Stay(Option<Moment>),
    Go,
    Restarted(Moment),
    Refused(Refusal, bool),
    End(Outcome, String),
}

pub(super) const STAY: Next = Next::Stay(None);

pub(super) fn overruled(words: &str) -> Next {
    Next::End(Outcome::Overruled, words.to_string())
}

pub(super) fn failed(words: &str) -> Next {
    Next::End(Outcome::Failed, words.to_string())
}

#[cfg(test)]
mod tests;
