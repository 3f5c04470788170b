//! What the conditions of the container role say of its engine and of its parent, in words for people. Decides nothing.

use super::io::EngineError;
use crate::frontend::FrontendNotice;
use crate::time::seconds;
use alloc::format;
use alloc::string::{String, ToString};

/// Why the engine does not do its work; nothing where it only does not know a container.
pub(crate) fn failure(error: &EngineError) -> Option<String> {
    match error {
        EngineError::NotFound => None,
        EngineError::Refused { status, message } => Some(format!("the engine answered {status}: {message}")),
        EngineError::Deadline => Some("the engine did not answer in time".to_string()),
        EngineError::Unreachable(why) | EngineError::BadAnswer(why) => Some(why.clone()),
    }
}

/// Whether the journal can be written.
pub(crate) fn journal(state: Result<(), String>) -> Result<String, String> {
    state.map(|()| "the journal is in order again".into())
}

/// How the link to the parent stands; nothing where that is not what is told.
pub(crate) fn uplink(notice: FrontendNotice) -> Option<Result<String, String>> {
    Some(match notice {
        FrontendNotice::Joined { parent, .. } => Ok(format!("joined {parent}")),
        FrontendNotice::Lost(why) => Err(why),
        FrontendNotice::ParentSilent(time) => Err(format!("the parent has been silent for {}", seconds(time))),
        FrontendNotice::ParentBack => Ok("the parent speaks again".to_string()),
        FrontendNotice::Refused(why, detail) => Err(format!("the parent refused a frame: {why}: {detail}")),
        FrontendNotice::Accepted => Ok("the parent takes our frames again".to_string()),
        // Orders come checked, as inputs of their own; probes of neighbours are the host-watchdog's.
        FrontendNotice::Order(_) | FrontendNotice::ProbeRequest { .. } => return None,
    })
}
