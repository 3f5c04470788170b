//! The record of a call that the engine never answered: it may still be under way, and a person is needed.

use crate::decision::{ActionKind, Guard, GuardAnswer};
use crate::recorder::Draft;
use crate::subject::{Incarnation, SubjectId};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::vec;

/// Of that call, by its name in words.
pub(super) fn lost_call(now: Moment, subject: SubjectId, call: &str, incarnation: Incarnation) -> Draft {
    let why =
        format!("the engine did not answer {call} in time: inspect, wait, never post it again; a person is needed");
    let detail = format!("{call} was posted and may still be under way in the engine");
    let fact = Evidence::new(EvidenceKind::EngineProbe, now, format!("{call} passed its deadline"));
    Draft::new(subject, ActionKind::Escalate, why)
        .incarnation(incarnation)
        .evidence(vec![fact])
        .guards(vec![GuardAnswer::blocked(Guard::InFlight, detail)])
}
