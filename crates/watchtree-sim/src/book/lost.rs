//! What still counts when a watchdog has ended with records that the disk had refused.

use super::{Book, Intent, Kind, Posted, is_repair, is_under_way, kind_of};
use watchtree_core::container::record::Recovered;
use watchtree_core::decision::Decision;
use watchtree_core::id::BootId;
use watchtree_core::subject::Incarnation;
use watchtree_core::time::{Moment, WallTime};

impl Book {
    /// Did a stop of ours end that life, or will it, with no start under way?
    pub fn was_stopped(&self, id: &str, life: &Incarnation) -> bool {
        let of = |kind| (id.to_string(), life.clone(), kind);
        let stopped = self.done.contains(&of(Kind::Stop)) || self.open.values().any(|it| it.key() == of(Kind::Stop));
        stopped
            && !self
                .open
                .values()
                .any(|it| it.id == id && kind_of(it.call) == Kind::Start)
    }

    /// The watchdog ended with records that the disk had refused: only what the disk holds counts from here on.
    pub fn memory_lost(&mut self, now: Moment, disk: &Recovered) {
        let moments = |all: &[(Moment, BootId, WallTime)]| all.iter().map(|(at, ..)| *at).collect::<Vec<_>>();
        self.host_charges = moments(&disk.host_charges);
        let known = |it: &Posted| {
            let mut repairs = disk.subjects.values().filter_map(|memory| memory.repair.as_ref());
            repairs.any(|repair| repair.id == it.id && repair.incarnation == it.life)
        };
        let unknown = self.open.iter().filter(|(_, it)| !known(it));
        self.unrecorded = unknown.map(|(by, _)| *by).collect();
        self.charges.clear();
        self.intents.clear();
        self.holds.iter_mut().for_each(|(_, until)| *until = (*until).min(now));
        for (subject, memory) in &disk.subjects {
            self.charges.insert(subject.clone(), moments(&memory.charges));
            self.holds
                .extend(memory.held.map(|(until, ..)| (subject.clone(), until)));
            let decided = |it: &&Decision| it.subject == *subject && is_repair(it) && is_under_way(it);
            if let (Some(_), Some(decision)) = (&memory.repair, disk.decisions.iter().rev().find(decided)) {
                let (id, charged) = (decision.id.clone(), true);
                self.intents.insert(subject.clone(), Intent { id, charged });
            }
        }
    }
}
