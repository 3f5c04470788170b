//! What one inspection says of a container that runs, or was never started. Knows no end and no repair.

use super::around::{Around, Out};
use super::startup::StartupHistory;
use super::words;
use crate::container::health_check::HealthEvidence;
use crate::container::network_away::NetworkAway;
use crate::container::never_started;
use crate::container::policy::ContainerPolicy;
use crate::container::refused_call::RECREATE;
use crate::supervisor::{Assessment, Shown};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// So long an owner stays up before whoever joins its network is restarted after it.
const OWNER_STAYS: Duration = Duration::from_secs(5);

/// It runs since then, by that policy.
pub(super) fn running(
    now: Moment,
    around: &Around<'_>,
    startup: &StartupHistory,
    (since, policy): (Moment, &ContainerPolicy),
) -> Assessment {
    let it = &*around.observation;
    if let Some(NetworkAway::Renewed { owner, since, is_well }) = &around.network_away {
        return cut_off(now, owner, *since, *is_well);
    }
    let shown = match &around.network_away {
        None | Some(NetworkAway::Renewed { .. }) => words::running(it, policy),
        Some(NetworkAway::Down(owner)) => {
            let why = format!("running, but cut off: {owner}, whose network it joins, does not run");
            Shown::new(State::Degraded, why)
        }
        Some(NetworkAway::Gone) => {
            let why = format!(
                "running, but cut off: the container whose network it joins was removed or made anew: {RECREATE}"
            );
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

/// It is in a network namespace that nobody else is in any more. Its owner comes first, and whoever restarted that may be about to
/// restart this too.
fn cut_off(now: Moment, owner: &str, since: Moment, is_well: bool) -> Assessment {
    let until = match is_well {
        true => since + OWNER_STAYS,
        false => now + OWNER_STAYS,
    };
    let how = format!("cut off: {owner}, whose network it joins, was started anew, and has another one since");
    if now < until {
        let shown = Shown::new(State::Suspect, format!("{how}; waits until that is well"));
        return Assessment::Pending {
            until: Some(until),
            shown,
        };
    }
    let detail = format!("its network namespace is not that of {owner}, by /proc");
    Assessment::Unhealthy {
        how,
        evidence: vec![Evidence::new(EvidenceKind::NetworkLost, now, &detail)],
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
