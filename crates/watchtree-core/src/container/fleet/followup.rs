//! What an event or an inspection asks for beyond what it says itself. Decides nothing.

use crate::container::io::EngineTime;
use crate::subject::SubjectId;

/// What became of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    /// Of a container that is not watched, and is gone.
    Stranger,
    /// Of a container too many: it is not watched.
    TooMany,
    /// It was taken before.
    Duplicate,
    Fresh(Followup),
}

/// What an event asks for beyond what it says itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Followup {
    Nothing,
    Inspect,
    /// A stop signal was sent, or a stop (`None`) carried out: whose?
    Stop(Option<u32>),
    /// A signal was sent that is no stop.
    OtherSignal(u32),
}

/// Who holds a container that was inspected.
pub(super) struct Holder {
    pub(super) subject: SubjectId,
    /// That subject had another container before, or none.
    pub(super) is_new: bool,
    /// The stop signal of somebody else that the engine has answered now.
    pub(super) answered: Option<(EngineTime, u32)>,
}
