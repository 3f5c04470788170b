//! What the kernel has shown of a container's processes: which namespaces the newest is in, and which has ended. Does not know
//! what the engine says of them.

use crate::container::io::Inodes;
use crate::time::Moment;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenProcesses {
    /// The newest one that was held: its number, its namespaces, and when they were seen.
    held: Option<(u32, Inodes, Moment)>,
    /// The newest that has ended.
    ended: Option<u32>,
}

impl SeenProcesses {
    /// A process of it is in these namespaces.
    pub(crate) fn held(&mut self, now: Moment, pid: u32, namespaces: Inodes) {
        self.held = Some((pid, namespaces, now));
        self.ended = self.ended.filter(|ended| *ended != pid);
    }

    /// A process of it has ended.
    pub(crate) fn ended(&mut self, pid: u32) {
        self.ended = Some(pid);
    }

    /// The namespaces of that process, and since when they are known.
    pub(crate) fn namespaces_of(&self, pid: u32) -> Option<(&Inodes, Moment)> {
        let held = self.held.as_ref().filter(|(held, ..)| *held == pid);
        held.map(|(_, namespaces, seen)| (namespaces, *seen))
    }

    /// The kernel says that it has ended: the engine's word of it may still be to come.
    pub(crate) fn has_ended(&self, pid: u32) -> bool {
        pid != 0 && self.ended == Some(pid)
    }
}
