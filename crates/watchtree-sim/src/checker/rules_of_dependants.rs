//! Rules about containers that depend on others.
//!
//! `parents_first`        nothing is started while one that it depends on is being repaired, unless it has waited for long

use super::facts::{ContainerFacts, EarlyStart, HostFacts};
use super::reported::Broken;
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// It waits no longer than this, from when its end is known.
pub(super) const WAITS_MAX: Duration = Duration::from_secs(60);
/// What is under way when the other ends goes on; its end is shown within this time.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// A start of a repair that begins comes to the engine within this time.
const BEGUN_WITHIN: Duration = Duration::from_secs(1);
/// An order to try now sets the waiting aside.
const ORDERED_WITHIN: Duration = Duration::from_secs(10);

/// What a watchdog shows is told every quarter of a second.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

/// A start of it comes to the engine: does it come too early, if what it depends on is shown to be under repair?
pub(super) fn start(host: &HostFacts, now: Moment, id: &str) -> Option<EarlyStart> {
    let place = host.find(id)?;
    let c = Some(&host.containers[&place]).filter(|c| !c.runs())?;
    // What was begun before is brought to its end.
    if host.reported.begun_within(now, &host.subject(place), BEGUN_WITHIN) == 0 {
        return None;
    }
    let has_waited = WAITS_MAX <= now.since(c.now.changed);
    // What we stopped, we start.
    let is_ours = host.reported.was_stopped_by_us(&c.now.id);
    if has_waited || is_ours || now.since(host.retried) < ORDERED_WITHIN {
        return None;
    }
    let parents = c.now.depends_on.iter().filter_map(|name| named(host, name));
    let is_down = |(_, it): &(usize, &ContainerFacts)| {
        !it.runs() && !it.stopped_by_person && SHOWN_WITHIN <= now.since(it.now.changed)
    };
    let (parent, _) = parents.into_iter().find(is_down)?;
    Some(EarlyStart {
        child: c.now.name.clone(),
        parent,
        at: now,
    })
}

/// Every quarter of a second.
pub(super) fn check(host: &mut HostFacts, now: Moment) -> Result<(), Broken> {
    let (told, untold) = std::mem::take(&mut host.early_starts)
        .into_iter()
        .partition(|it: &EarlyStart| TOLD_WITHIN <= now.since(it.at));
    host.early_starts = untold;
    let told: Vec<EarlyStart> = told;
    for EarlyStart { child, parent, .. } in told {
        let subject = host.subject(parent);
        // One that is at rest, or given up, is not waited for.
        if host.child.runs() && matches!(host.held(&subject), Some(State::Repairing | State::Starting)) {
            let why = format!(
                "{child} was started while {subject} was to be repaired: {}",
                host.held_why(&subject)
            );
            return Err(("parents_first", why));
        }
    }
    Ok(())
}

/// It is restarted with another that we have started since it began.
pub(super) fn follows(host: &HostFacts, c: &ContainerFacts) -> bool {
    let parents = c.now.restart_with.iter().filter_map(|name| named(host, name));
    let mut starts = parents.map(|(_, parent)| parent.our_start);
    starts.any(|start| c.now.born < start)
}

fn named<'f>(host: &'f HostFacts, name: &str) -> Option<(usize, &'f ContainerFacts)> {
    let mut all = host.containers.iter();
    let found = all.find(|(_, c)| !c.now.removed && c.now.name == name);
    found.map(|(place, c)| (*place, c))
}
