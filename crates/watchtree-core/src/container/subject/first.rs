//! Before a start: those that it depends on come first. Who joins the namespaces of one that does not run cannot be started at all;
//! everybody else waits no longer than a while, for it may be of use without them. Pure.

use super::around::Around;
use crate::container::io::Namespace;
use crate::container::namespace_away::NamespaceAway;
use crate::container::relatives::ParentSeen;
use crate::decision::Guard;
use crate::supervisor::{Admission, Block, ExitRecord, GuardResult, Supervision};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::State;
use alloc::format;

/// So long after its end it waits at the most for those that it depends on to be well. A database may replay its log meanwhile.
const WAITS_MAX: Duration = Duration::from_secs(60);

pub(super) fn ask(now: Moment, around: &Around<'_>, supervision: &Supervision, admission: &mut Admission) {
    let waiver = supervision.waiver();
    // The engine itself says it best of one that is gone.
    if let Some(NamespaceAway::Down(namespace, owner)) = &around.away {
        let why = format!(
            "it joins the {} of {owner}, which does not run: waits for it",
            namespace.as_str()
        );
        let shown = while_down(*namespace, owner, &around.parents.seen);
        admission.ask_unless_waived(Guard::KnownCause, waiver, || Block::new(why, shown).into());
    }
    if around.parents.is_empty() {
        return;
    }
    admission.ask_unless_waived(Guard::Dependencies, waiver, || {
        let Some(missed) = around.parents.missed() else {
            return GuardResult::pass("nothing that it depends on is still to come up");
        };
        let until = supervision.exit().map_or(now, ExitRecord::at) + WAITS_MAX;
        let most = seconds(WAITS_MAX);
        if until <= now {
            return GuardResult::pass(format!("it has waited {most} for {missed} to be well"));
        }
        let why = format!("waits for {missed} to be well, for {most} at the most");
        Block::new(why, State::Repairing).until(until).quietly().into()
    });
}

/// The kernel ends whoever shares the pids of another with that: where a person stopped the one, they stopped the other.
fn while_down(namespace: Namespace, owner: &str, parents: &[ParentSeen]) -> State {
    let mut parents = parents.iter().filter(|parent| parent.name == owner);
    match namespace == Namespace::Pid && parents.any(ParentSeen::is_meant_to_be_down) {
        true => State::Stopped,
        false => State::Down,
    }
}
