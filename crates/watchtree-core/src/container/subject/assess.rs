//! What one inspection says of a container that runs, or was never started. Knows no end and no repair.

use super::around::{Around, Out};
use super::startup::StartupHistory;
use super::words;
use crate::container::health_check::HealthEvidence;
use crate::container::namespace_away::NamespaceAway;
use crate::container::never_started;
use crate::container::policy::ContainerPolicy;
use crate::container::recreate::needs_recreate;
use crate::container::relatives::ParentSeen;
use crate::supervisor::{Assessment, Shown};
use crate::time::Moment;
use crate::verdict::State;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// It runs since then, by that policy.
pub(super) fn running(
    now: Moment,
    around: &Around<'_>,
    startup: &StartupHistory,
    (since, policy): (Moment, &ContainerPolicy),
) -> Assessment {
    let it = &*around.observation;
    let shown = match &around.away {
        None | Some(NamespaceAway::Renewed { .. }) => {
            words::running(it, policy, around.parents.seen.iter().any(ParentSeen::is_cyclic))
        }
        Some(NamespaceAway::Down(namespace, owner)) => {
            let what = namespace.as_str();
            let why = format!("running, but cut off: {owner}, whose {what} it joins, does not run");
            Shown::new(State::Degraded, why)
        }
        Some(NamespaceAway::Gone(namespace)) => {
            let (what, cure) = (namespace.as_str(), needs_recreate(it.view()));
            let why =
                format!("running, but cut off: the container whose {what} it joins was removed or made anew: {cure}");
            Shown::new(State::Degraded, why)
        }
    };
    let evidence = || vec![words::health_evidence(now, it)];
    match it.health() {
        // The event that said so has asked for an inspection, which is repeated until one has told.
        None => Assessment::Unclear,
        Some(HealthEvidence::Failing) => Assessment::Unhealthy {
            how: "unhealthy".to_string(),
            evidence: evidence(),
        },
        Some(HealthEvidence::CannotRun) => Assessment::Unchecked {
            how: "its health check cannot be run".to_string(),
            evidence: evidence(),
            is_new: startup.was_ever_well(it.id()),
        },
        Some(HealthEvidence::NoCheck | HealthEvidence::NotYet | HealthEvidence::Passing) => {
            Assessment::Well { since, shown }
        }
    }
}

/// It was made. Perhaps somebody starts it just now, which fails without an event.
pub(super) fn never_started(now: Moment, around: &mut Around<'_>, out: &mut Out<'_>) -> Assessment {
    let it = &*around.observation;
    let (shown, due) = (words::never_started(it), never_started::due(it));
    let is_old = it.was_inspected_since(due);
    if due <= now && !is_old {
        around.inspect(now, out);
    }
    match now < due {
        true => Assessment::Pending {
            until: Some(due),
            shown,
        },
        false => Assessment::LeftAlone(shown),
    }
}
