//! What is seen where no event tells it: the ends of processes, by the kernel; all the rest, by the list.
//!
//! Owns when each is looked at, and asks for it. Knows of containers only what the fleet answers.

use super::fleet::ContainerFleet;
use super::io::{ContainerEffect, ContainerId, ContainerView, ListEntry, ProcessSeen};
use super::list_schedule::ListSchedule;
use super::outbox::Outbox;
use super::processes::InitProcesses;
use crate::time::{Duration, Moment};
use alloc::string::String;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Backstop {
    list: ListSchedule,
    processes: InitProcesses,
}

impl Backstop {
    /// The whole list at least that often.
    pub(crate) fn new(now: Moment, list_every_max: Duration) -> Self {
        Self {
            list: ListSchedule::new(now, list_every_max),
            processes: InitProcesses::default(),
        }
    }

    /// Asks for the list.
    pub(crate) fn ask_list(&mut self, now: Moment, out: &mut Outbox) {
        self.list.ask(now);
        out.push(ContainerEffect::List);
    }

    /// The list came: as it was at which moment.
    pub(crate) fn listed(&mut self, now: Moment, entries: &[ListEntry]) -> Moment {
        self.processes.listed(entries);
        self.list.came(now)
    }

    /// The list did not come.
    pub(crate) fn list_failed(&mut self, now: Moment) {
        self.list.failed(now);
    }

    /// A container was inspected: a new process of it is to be held.
    pub(crate) fn inspected(&mut self, view: &ContainerView, out: &mut Outbox) {
        if let Some(pid) = self.processes.inspected(view) {
            let id = view.id.clone();
            out.later(ContainerEffect::HoldProcess { id, pid });
        }
    }

    /// The kernel shows that of a process.
    pub(crate) fn process(&mut self, now: Moment, id: &ContainerId, pid: u32, seen: ProcessSeen) {
        self.processes.take(now, id, pid, seen);
    }

    /// Can the end of each process be seen? In words.
    pub(crate) fn processes_seen(&self) -> Result<String, String> {
        self.processes.state()
    }

    /// Does what is due. True if it was time to look at the list.
    pub(crate) fn handle_timeout(&mut self, now: Moment, fleet: &mut ContainerFleet, out: &mut Outbox) -> bool {
        while let Some(id) = self.processes.pop_due(now) {
            match fleet.inspect_if_running(now, &id, out) {
                true => self.processes.is_asked_for(now, &id),
                false => self.processes.forget(&id),
            }
        }
        if now < self.list.next() {
            return false;
        }
        if self.list.is_due(now, self.processes.state().is_err()) || !fleet.inspect_unsettled(now, out) {
            self.ask_list(now, out);
        }
        true
    }

    /// When something is due next.
    pub(crate) fn next_deadline(&self) -> Moment {
        let check = self.processes.next_deadline();
        check.map_or(self.list.next(), |check| check.min(self.list.next()))
    }
}
