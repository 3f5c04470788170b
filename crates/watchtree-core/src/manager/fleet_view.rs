//! The fleet as it stands: the manager's own word on each host, and what the hosts report. To be read only.

use super::host_monitor::HostMonitor;
use super::hosts::Hosts;
use crate::backend::{Backend, Child};
use crate::id::NodeName;
use crate::subject::SubjectId;

/// See the file's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct FleetView<'a> {
    hosts: &'a Hosts,
    sessions: &'a Backend,
}

impl<'a> FleetView<'a> {
    pub(super) const fn new(hosts: &'a Hosts, sessions: &'a Backend) -> Self {
        Self { hosts, sessions }
    }

    pub(super) const fn hosts(&self) -> &'a Hosts {
        self.hosts
    }

    pub(super) fn host(&self, name: &NodeName) -> Option<&'a HostMonitor> {
        self.hosts.get(name)
    }

    /// The host whose scope holds this subject.
    pub(super) fn owner(&self, subject: &SubjectId) -> Option<(&'a NodeName, &'a HostMonitor)> {
        self.hosts.owner(subject)
    }

    /// What a host reports, believed or not; `None` before its first Hello since this manager started.
    pub(super) fn child(&self, name: &NodeName) -> Option<&'a Child> {
        self.sessions.child(name)
    }

    /// What a host reports, if it is well: then it is believed.
    pub(super) fn believed(&self, name: &NodeName) -> Option<&'a Child> {
        self.child(name)
            .filter(|_| self.host(name).is_some_and(HostMonitor::is_well))
    }
}
