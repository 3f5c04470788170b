//! A person takes a host out of the tree that will not come back. One that is heard is not taken out: it would be back
//! with its next beat, and its incidents would be gone.
//!
//! Pure: says what is to be recorded and answered.

use super::fleet_view::FleetView;
use super::io::AskError;
use crate::decision::{ActionKind, Guard, GuardAnswer, Outcome};
use crate::id::NodeName;
use crate::recorder::Draft;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// What becomes of such a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Forgetting {
    /// For the record.
    pub(super) draft: Draft,
    /// The host to forget, or why it stays.
    pub(super) host: Result<NodeName, AskError>,
}

/// Judges a request to forget `subject`. `own` = the manager itself; `asked` = the request in words.
///
/// # Errors
/// The request is about no host of this tree.
pub(super) fn judge(
    now: Moment,
    fleet: FleetView<'_>,
    own: &SubjectId,
    subject: &SubjectId,
    asked: &str,
) -> Result<Forgetting, AskError> {
    if subject == own {
        return Err(AskError::Bad("this is the manager itself: name a host".to_string()));
    }
    let (name, host) = fleet.owner(subject).ok_or(AskError::UnknownSubject)?;
    if subject.parent().is_some() {
        let why = format!("only a whole host can be forgotten: name {name}");
        return Err(AskError::Bad(why));
    }
    let verdict = host.verdict();
    let state = format!("{name} is {}: {}", verdict.state.as_str(), verdict.why);
    let (guard, outcome, what, host) = if host.is_heard() {
        let guard = GuardAnswer::blocked(Guard::Level, state.clone());
        let stays = Err(AskError::StillHeard(state));
        (guard, Outcome::NotTaken, "it is heard, so it stays", stays)
    } else {
        let guard = GuardAnswer::passed(Guard::Level, state);
        (
            guard,
            Outcome::Succeeded,
            "it is taken out of the tree",
            Ok(name.clone()),
        )
    };
    let draft = Draft::new(subject.clone(), ActionKind::Forget, format!("{asked}: {what}"))
        .evidence(vec![Evidence::new(EvidenceKind::Order, now, asked)])
        .guards(vec![guard])
        .outcome(outcome);
    Ok(Forgetting { draft, host })
}
