//! What one inspection says of a container that runs, or was never started. Knows no end and no repair.

use super::around::{Around, Out};
use super::startup::StartupHistory;
use super::words;
use crate::container::health_check::HealthEvidence;
use crate::container::never_started;
use crate::container::observation::ContainerObservation;
use crate::container::policy::ContainerPolicy;
use crate::supervisor::Assessment;
use crate::time::Moment;
use alloc::string::ToString;
use alloc::vec;

/// It runs since then, by that policy.
pub(super) fn running(
    now: Moment,
    it: &ContainerObservation,
    startup: &StartupHistory,
    (since, policy): (Moment, &ContainerPolicy),
) -> Assessment {
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
        Some(HealthEvidence::NoCheck | HealthEvidence::NotYet | HealthEvidence::Passing) => Assessment::Well {
            since,
            shown: words::running(it, policy),
        },
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
