//! What one inspection says of a container that runs, is to be restarted by its engine, or was never started. Knows no end and no repair.

use super::around::{Around, Out};
use super::startup::StartupHistory;
use super::words;
use crate::container::health_check::HealthEvidence;
use crate::container::namespace_away::NamespaceAway;
use crate::container::never_started;
use crate::container::observation::ContainerObservation;
use crate::container::policy::ContainerPolicy;
use crate::container::recreate::needs_recreate;
use crate::container::relatives::ParentSeen;
use crate::supervisor::{Assessment, Shown, Supervision};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// The longest delay of an engine's own restarts is a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(75);
/// A removal that lasts longer is stuck.
const REMOVAL_MAX: Duration = Duration::from_secs(60);
/// An end that the engine has not told by then is shown: of 100 that end at once it tells the last after 3 s.
const END_IS_LATE: Duration = Duration::from_secs(4);
/// An engine that has very much to do tells an end this late. It is inspected again meanwhile, after pauses that double.
const PHANTOM_AFTER: Duration = Duration::from_secs(12);

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
    if let Some(since) = phantom_since(it).filter(|since| *since + END_IS_LATE <= now) {
        return phantom(now, since);
    }
    let evidence = || words::health_evidence(now, it);
    match it.health() {
        // The event that said so has asked for an inspection, which is repeated until one has told.
        None => Assessment::Unclear,
        Some(HealthEvidence::Failing) => Assessment::Unhealthy {
            how: words::how_ill(it),
            evidence: evidence(),
        },
        Some(HealthEvidence::CannotRun) => Assessment::Unchecked {
            how: words::what_cannot_be_run(it),
            evidence: evidence(),
            is_new: startup.was_ever_well(it.id()),
        },
        Some(HealthEvidence::NoCheck | HealthEvidence::NotYet | HealthEvidence::Passing) => {
            Assessment::Well { since, shown }
        }
    }
}

/// The kernel shows the end of its process, and the engine does not.
fn phantom(now: Moment, since: Moment) -> Assessment {
    let how = "its process has ended, and the engine says that it runs".to_string();
    let until = since + PHANTOM_AFTER;
    if now < until {
        let shown = Shown::new(State::Suspect, how);
        return Assessment::Pending {
            until: Some(until),
            shown,
        };
    }
    let evidence = vec![Evidence::new(
        EvidenceKind::ProcessGone,
        since,
        "the kernel shows its end",
    )];
    Assessment::Unhealthy { how, evidence }
}

/// The process of one that runs by the engine's word has ended by the kernel's, for so long that the engine will not see it any more.
pub(super) fn is_phantom(now: Moment, it: &ContainerObservation) -> bool {
    phantom_since(it).is_some_and(|since| since + PHANTOM_AFTER <= now)
}

/// When the process of one that runs by the engine's word has ended by the kernel's.
fn phantom_since(it: &ContainerObservation) -> Option<Moment> {
    let view = it.view().filter(|_| it.is_current())?;
    it.processes().ended_at(view.pid)
}

/// The engine is to restart it. One that was killed meanwhile may never do so, and carries out nothing else that it is asked for: that
/// is told.
pub(super) fn in_backoff(now: Moment, around: &Around<'_>, supervision: &Supervision) -> Assessment {
    let it = &*around.observation;
    let shown = words::in_backoff(it, supervision);
    if shown.state() != State::Repairing {
        return Assessment::LeftAlone(shown);
    }
    // Of an end that nobody saw it is known that it was before.
    let until = it.ended_at(around.continuity.whole_since()) + BACKOFF_MAX;
    match now < until {
        true => Assessment::Pending {
            until: Some(until),
            shown,
        },
        false => Assessment::LeftAlone(words::stuck_in_backoff(it, supervision, BACKOFF_MAX)),
    }
}

/// It is being removed, as is known since then. An engine that cannot remove it (a mount that is busy, a disk that fails) says so to whoever
/// asked, and to nobody else: that container starts no more.
pub(super) fn removing(now: Moment, it: &ContainerObservation, since: Moment, supervision: &Supervision) -> Assessment {
    let until = since + REMOVAL_MAX;
    if until <= now {
        return Assessment::LeftAlone(words::stuck_in_removal(it, supervision, REMOVAL_MAX));
    }
    let shown = words::shown(supervision, State::Stopped, "it is being removed");
    let until = Some(until);
    Assessment::Pending { until, shown }
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
