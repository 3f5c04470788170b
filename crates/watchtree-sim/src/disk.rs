//! The disk under a container-watchdog's journal. While it is full, records are kept in the memory of the process only, as
//! `watchtree-store` does it: they get to the disk when there is room again, or end with the process.

use crate::world::{Happening, World};
use watchtree_core::container::ContainerAgent;
use watchtree_core::container::io::{ContainerInput, Record, Recovered};
use watchtree_core::subject::Incarnation;
use watchtree_core::time::Duration;

/// How often a disk that refused is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl World {
    /// A container-watchdog writes a record.
    pub fn journal(&mut self, h: usize, record: Record) {
        let world = &mut self.hosts[h];
        if let Err((rule, why)) = world.book.record(self.now, &world.journal, &record) {
            self.breaks(rule, format!("host {h}: {why}"));
        }
        if let Record::Cleared { subject } = &record {
            self.check_cleared(h, subject);
        }
        let world = &mut self.hosts[h];
        if self.now < world.disk_full_until && world.disk.is_none() {
            world.disk = Some(world.journal.clone());
            self.counted("journal_refused");
            self.tell_journal(h, Err("no space left on device".into()));
            self.after(AGAIN, Happening::JournalAgain(h, self.hosts[h].child.epoch));
        }
        self.hosts[h].journal.apply(&record);
    }

    fn tell_journal(&mut self, h: usize, state: Result<(), String>) {
        let epoch = self.hosts[h].child.epoch;
        let input = ContainerInput::JournalHealth { state };
        self.after(Duration::ZERO, Happening::ToChild(h, epoch, input));
    }

    /// The process tries whether the disk takes its journal again: all of it at once.
    pub fn journal_again(&mut self, h: usize, epoch: u64) {
        let world = &self.hosts[h];
        if world.child.epoch != epoch || world.disk.is_none() {
            return;
        }
        if world.child.runs() && self.now < world.disk_full_until {
            self.check_degraded(h);
        }
        if !self.hosts[h].child.runs() || self.now < self.hosts[h].disk_full_until {
            return self.after(AGAIN, Happening::JournalAgain(h, epoch));
        }
        self.hosts[h].disk = None;
        self.counted("journal_made_good");
        self.tell_journal(h, Ok(()));
    }

    fn check_degraded(&mut self, h: usize) {
        let says = |agent: &ContainerAgent| agent.conditions().any(|(about, _)| about == "journal");
        if !self.hosts[h].child.machine.as_ref().is_some_and(says) {
            self.breaks("degraded_is_said", format!("host {h}: its journal cannot be written"));
        }
    }

    /// The process has ended, and with it what the disk had refused.
    pub fn journal_ends(&mut self, h: usize) {
        let Some(disk) = self.hosts[h].disk.take() else { return };
        self.counted("journal_lost");
        self.orphan_stops(h, &disk);
        let world = &mut self.hosts[h];
        world.book.memory_lost(self.now, &disk);
        world.journal = disk;
    }

    /// A stop of ours that no record tells of cannot be told from a person's any more: either way is right. And of a
    /// person's stop nothing is known but what the engine still tells.
    fn orphan_stops(&mut self, h: usize, disk: &Recovered) {
        for c in 0..self.hosts[h].engine.containers.len() {
            let subject = self.subject(h, c);
            let world = &mut self.hosts[h];
            let container = &mut world.engine.containers[c];
            let life = Incarnation::container(&container.view.id, &container.view.started_at_text);
            let repair = disk.subjects.get(&subject).and_then(|it| it.repair.as_ref());
            container.stop_told = false;
            if world.book.was_stopped(&container.view.id, &life) && repair.is_none_or(|it| it.incarnation != life) {
                container.stop_is_unrecorded(self.now);
            }
        }
    }
}
