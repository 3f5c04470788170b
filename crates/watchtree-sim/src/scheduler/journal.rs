//! The journal of a container-watchdog on its disk, and what its process is told of it: that the disk refuses, that a record was
//! damaged, that all is in order again. Does not know what a record means.

use crate::log::{DiskChange, Node, Observation};
use crate::scheduler::event::SimEvent;
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::World;
use std::time::Duration;
use watchtree_core::container::io::{ContainerInput, Record};

/// How often a disk that refused is tried again.
const JOURNAL_AGAIN: Duration = Duration::from_secs(1);

/// The process writes a record; the disk may refuse it.
pub(super) fn write(world: &mut World, h: usize, record: Record) {
    if world.bug == Some(Bug::DecisionUnrecorded) && matches!(record, Record::Decided(_)) {
        return;
    }
    if world.hosts[h].disk.write(world.now, &record) {
        world.counted("journal_refused");
        let change = DiskChange::Refused;
        world.saw(Observation::Disk { host: h, change });
        tell(world, h, Err("no space left on device".into()));
        let epoch = world.hosts[h].child.epoch();
        world.after(JOURNAL_AGAIN, SimEvent::JournalAgain(h, epoch));
    }
    if world.bug == Some(Bug::HoldLetGo)
        && let Record::Held { subject, .. } = &record
    {
        let subject = subject.clone();
        world.hosts[h].disk.write(world.now, &Record::Released { subject });
        world.after(Duration::from_millis(50), SimEvent::Kill(Node::Child(h)));
    }
    world.saw(Observation::Recorded { host: h, record });
}

/// A new process says what it found damaged in its journal.
pub(super) fn opened(world: &mut World, h: usize) {
    if let Some(found) = world.hosts[h].disk.damage_found() {
        let state = Err(found.to_owned());
        let change = DiskChange::Damaged;
        world.saw(Observation::Disk { host: h, change });
        tell(world, h, state);
        let epoch = world.hosts[h].child.epoch();
        world.after(JOURNAL_AGAIN, SimEvent::JournalAgain(h, epoch));
    }
}

/// A person has looked at what was damaged.
pub(crate) fn damage_is_seen(world: &mut World, h: usize) {
    world.hosts[h].disk.damage_is_seen();
    let change = DiskChange::Seen;
    world.saw(Observation::Disk { host: h, change });
    tell(world, h, Ok(()));
}

fn tell(world: &mut World, h: usize, state: Result<(), String>) {
    if world.bug == Some(Bug::FullDiskUntold) {
        return;
    }
    let epoch = world.hosts[h].child.epoch();
    let input = ContainerInput::JournalHealth { state };
    world.after(Duration::ZERO, SimEvent::ToChild(h, epoch, input));
}

/// The process tries whether the disk takes its journal again: all of it at once.
pub(super) fn again(world: &mut World, h: usize, epoch: u64) {
    let host = &world.hosts[h];
    let is_bad = host.disk.refuses() || host.disk.damage_found().is_some();
    if host.child.epoch() != epoch || !is_bad {
        return;
    }
    if host.child.runs()
        && let Some(agent) = host.child.machine()
    {
        let says = agent.conditions().any(|(about, _)| about == "journal");
        world.saw(Observation::SaysDegraded { host: h, says });
    }
    let now = world.now;
    if world.hosts[h].child.runs() && world.hosts[h].disk.write_again(now) {
        world.counted("journal_made_good");
        let change = DiskChange::Caught;
        world.saw(Observation::Disk { host: h, change });
        let state = world.hosts[h]
            .disk
            .damage_found()
            .map_or(Ok(()), |found| Err(found.to_owned()));
        return tell(world, h, state);
    }
    world.after(JOURNAL_AGAIN, SimEvent::JournalAgain(h, epoch));
}
