//! One container as the journal held it: its subject, its supervisor's memory, and what is known of it. Does not know whether it is
//! still there.

use super::watched::Watched;
use crate::container::io::ContainerId;
use crate::container::observation::ContainerObservation;
use crate::container::record::RecoveredSubject;
use crate::container::settings::ContainerSettings;
use crate::container::subject::{ContainerSubject, StartupHistory};
use crate::subject::SubjectId;
use crate::supervisor::{Limit, Supervisor};
use crate::time::{Moment, Past};
use alloc::vec::Vec;

/// As the journal held it, with what is known of its container. `None` for a memory without one: a hold on a whole
/// project leaves such.
pub(super) fn restore(
    now: Moment,
    id: SubjectId,
    memory: RecoveredSubject,
    settings: &ContainerSettings,
) -> Option<(Watched, Option<ContainerObservation>)> {
    let charges = memory.charges.into_iter();
    let charges: Vec<Past> = charges.map(|it| settings.moment_before(now, it)).collect();
    let signal = memory
        .stop_seen
        .filter(|(id, ..)| memory.desired.as_ref().is_some_and(|it| it.0 == *id));
    // Until the stop has had its time somebody is stopping it, also after a restart of ours.
    let signal_at = signal.as_ref().map(|(_, at, _)| settings.moment_of_stamp(now, *at));
    let is_same = |id: &ContainerId| memory.desired.as_ref().is_some_and(|it| it.0 == *id);
    let flag_set = memory.flag_set.filter(|(id, ..)| is_same(id));
    let seen = signal.into_iter().chain(flag_set.clone());
    let seen = seen.map(|(_, at, number)| (at, number));
    let flag_set = flag_set.map(|(id, at, _)| (id, at));
    let container = memory.desired.as_ref().map(|(id, ..)| id.clone());
    if container.is_none() && memory.repair.is_none() {
        return None;
    }
    let observation = container.map(|id| ContainerObservation::remembered(id, now, seen));
    let (last, desired) = (charges.iter().max().map(|it| it.in_this_boot()), memory.desired);
    let subject = ContainerSubject::remembered(id, desired, last, signal_at, flag_set, memory.repair);
    let mut subject = subject.came_up(memory.came_up);
    if let Some(startup) = memory.startup {
        let well_at = settings.moment_before(now, startup.well_at);
        subject.set_startup(StartupHistory::restore(startup.well, well_at, startup.time_to_well));
    }
    let mut supervisor = Supervisor::default();
    let limit = memory.given_up.map(|it| settings.moment_before(now, it));
    let limit = limit.map(|since| Limit::remembered(since, &settings.policy));
    supervisor.supervision_mut().restore(charges, limit);
    Some((Watched::of(subject, supervisor), observation))
}
