//! The disk under a container-watchdog's journal. While it is full, records are kept in the memory of the process only, as
//! `watchtree-store` does it: they get to the disk when there is room again, or end with the process. A damaged record is lost, and
//! no other; that one is lost is said.

use watchtree_core::container::io::{Record, Recovered};
use watchtree_core::time::Moment;

/// See the top of this file.
#[derive(Debug, Default)]
pub struct Disk {
    /// All records, in order, as their writer knows them.
    records: Vec<Record>,
    journal: Recovered,
    /// How many records the disk holds, and what they come to, where it has refused what came after them.
    kept: Option<(usize, Recovered)>,
    full_until: Moment,
    /// What its writer found damaged when it read it, and says until a person has looked.
    damage: Option<String>,
}

impl Disk {
    /// It takes nothing until then.
    pub fn fills_until(&mut self, until: Moment) {
        self.full_until = until;
    }

    /// It takes nothing now.
    pub fn is_full(&self, now: Moment) -> bool {
        now < self.full_until
    }

    /// A record is written. True if the disk refused it, and had not refused one before.
    pub fn write(&mut self, now: Moment, record: &Record) -> bool {
        let refuses = now < self.full_until && self.kept.is_none();
        if refuses {
            self.kept = Some((self.records.len(), self.journal.clone()));
        }
        self.journal.apply(record);
        self.records.push(record.clone());
        refuses
    }

    /// Has it refused records that are not written yet?
    pub fn refuses(&self) -> bool {
        self.kept.is_some()
    }

    /// Those are written now, if there is room. True if they were.
    pub fn write_again(&mut self, now: Moment) -> bool {
        self.full_until <= now && self.kept.take().is_some()
    }

    /// The writer has ended, and with it what the disk had refused. True if there was such a thing.
    pub fn writer_ends(&mut self) -> bool {
        let Some((count, journal)) = self.kept.take() else {
            return false;
        };
        self.records.truncate(count);
        self.journal = journal;
        true
    }

    /// While no writer lives, the bytes of one record are damaged: the newest is number 1. A new writer reads all others.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn damage(&mut self, newest: usize) {
        self.records.remove(self.records.len() - newest);
        self.journal = Recovered::default();
        self.records.iter().for_each(|record| self.journal.apply(record));
        self.damage = Some(format!("1 record is lost, {} were read", self.records.len()));
    }

    /// What a new writer says of it.
    pub fn damage_found(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// A person has looked at it.
    pub fn damage_is_seen(&mut self) {
        self.damage = None;
    }

    /// What a new writer recovers.
    pub fn recovered(&self) -> &Recovered {
        &self.journal
    }

    /// All records in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}
