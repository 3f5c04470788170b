//! What the kernel has shown of a container's processes: which namespaces the newest is in, which has ended, and how the
//! shim stands. Does not know
//! what the engine says of them.

use crate::container::io::{Inodes, ProcessSeen};
use crate::container::shim::ShimSeen;
use crate::time::Moment;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenProcesses {
    /// The newest one that was held: its number, its namespaces, and when they were seen.
    held: Option<(u32, Inodes, Moment)>,
    /// The newest that has ended, and when.
    ended: Option<(u32, Moment)>,
    /// Its shim and its init, as they were looked at last.
    shim: Option<(Moment, ShimSeen)>,
}

impl SeenProcesses {
    /// The kernel shows that of the process of that number. False if that tells nothing.
    pub(crate) fn take(&mut self, now: Moment, pid: u32, seen: &ProcessSeen) -> bool {
        match seen {
            ProcessSeen::Held { namespaces } => self.held(now, pid, namespaces.clone()),
            ProcessSeen::Ended => self.ended(now, pid),
            ProcessSeen::Shim(seen) => self.shim = Some((now, *seen)),
            ProcessSeen::Hidden(_) => return false,
        }
        true
    }

    /// A process of it is in these namespaces.
    pub(crate) fn held(&mut self, now: Moment, pid: u32, namespaces: Inodes) {
        self.held = Some((pid, namespaces, now));
        self.ended = self.ended.filter(|(ended, _)| *ended != pid);
    }

    /// A process of it has ended.
    pub(crate) fn ended(&mut self, now: Moment, pid: u32) {
        self.ended = Some((pid, now));
    }

    /// Its shim and its init, as they were looked at last.
    pub(crate) fn shim(&self) -> Option<(Moment, ShimSeen)> {
        self.shim
    }

    /// The namespaces of that process, and since when they are known.
    pub(crate) fn namespaces_of(&self, pid: u32) -> Option<(&Inodes, Moment)> {
        let held = self.held.as_ref().filter(|(held, ..)| *held == pid);
        held.map(|(_, namespaces, seen)| (namespaces, *seen))
    }

    /// The kernel says that it has ended: the engine's word of it may still be to come.
    pub(crate) fn has_ended(&self, pid: u32) -> bool {
        self.ended_at(pid).is_some()
    }

    /// When that process of it ended, by the kernel; `None` = it has not, as far as is known.
    pub(crate) fn ended_at(&self, pid: u32) -> Option<Moment> {
        let ended = self.ended.filter(|(ended, _)| pid != 0 && *ended == pid);
        ended.map(|(_, at)| at)
    }
}
