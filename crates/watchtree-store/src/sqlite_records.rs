//! What the manager keeps on disk, as values: what a start finds, what waits to be written, and notifications.
//!
//! [`Pending`] holds the latest value per key, so it is bounded by what there is; beyond its limits the oldest are dropped
//! and counted. Knows neither the database file nor threads.

use std::collections::BTreeMap;
use std::fmt;
use watchtree_core::decision::{Decision, DecisionId};
use watchtree_core::id::NodeName;
use watchtree_core::incident::{Incident, IncidentId};
use watchtree_core::manager::io::KnownHost;

/// Decisions that are loaded at the start, and kept in memory while the disk cannot be written.
pub const DECISIONS_MAX: usize = 4096;
/// Most notifications that are loaded at the start and wait in memory for the disk.
pub(crate) const NOTIFICATIONS_MAX: usize = 8192;

/// Why the disk could not be used, in words.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub(crate) String);

/// What the disk held.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Hosts, by name.
    pub hosts: Vec<KnownHost>,
    /// Open incidents, oldest first.
    pub incidents: Vec<Incident>,
    /// The newest decisions, oldest first; at most [`DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
    /// Notifications that were not settled, oldest first.
    pub notifications: Vec<Notification>,
    /// The number of the next incident.
    pub next_incident: IncidentId,
    /// The last term that was used; 0 = none.
    pub term: u64,
    /// Rows that this version cannot read.
    pub unreadable: u64,
}

/// What waits to be written. The latest wins per key, so that it is bounded by what there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    /// `None` = forget it.
    pub(crate) hosts: BTreeMap<NodeName, Option<KnownHost>>,
    pub(crate) incidents: BTreeMap<IncidentId, Incident>,
    pub(crate) decisions: BTreeMap<DecisionId, Decision>,
    /// `None` = settled: take it out.
    pub(crate) notifications: BTreeMap<NotificationId, Option<String>>,
    pub(crate) term: Option<u64>,
}

impl Pending {
    /// Most hosts that wait; more are dropped and counted.
    const HOSTS_MAX: usize = 20_000;
    /// Most incidents that wait; the oldest are dropped and counted.
    const INCIDENTS_MAX: usize = 8192;

    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
            && self.incidents.is_empty()
            && self.decisions.is_empty()
            && self.notifications.is_empty()
            && self.term.is_none()
    }

    /// Puts back what could not be written; what was put meanwhile is newer and wins.
    pub(crate) fn merge_older(&mut self, older: Self) {
        for (name, host) in older.hosts {
            self.hosts.entry(name).or_insert(host);
        }
        for (id, incident) in older.incidents {
            self.incidents.entry(id).or_insert(incident);
        }
        for (id, decision) in older.decisions {
            self.decisions.entry(id).or_insert(decision);
        }
        for (id, notification) in older.notifications {
            self.notifications.entry(id).or_insert(notification);
        }
        self.term = self.term.max(older.term);
    }

    /// Keeps the limits; gives back how much was dropped.
    pub(crate) fn cut(&mut self) -> u64 {
        let mut dropped = 0;
        while DECISIONS_MAX < self.decisions.len() {
            // The oldest by time, not by name: names order by node.
            let oldest = self
                .decisions
                .values()
                .min_by_key(|decision| decision.wall)
                .map(|decision| decision.id.clone());
            let Some(oldest) = oldest else { break };
            self.decisions.remove(&oldest);
            dropped += 1;
        }
        while Self::INCIDENTS_MAX < self.incidents.len() {
            self.incidents.pop_first();
            dropped += 1;
        }
        while NOTIFICATIONS_MAX < self.notifications.len() {
            self.notifications.pop_first();
            dropped += 1;
        }
        while Self::HOSTS_MAX < self.hosts.len() {
            self.hosts.pop_last();
            dropped += 1;
        }
        dropped
    }
}

/// One change, whoever is told of it. Ordered by when it was: a term is never used twice.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ChangeId {
    /// The manager's term.
    pub term: u64,
    /// Counts the changes of that term.
    pub count: u64,
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.count)
    }
}

/// Names a notification.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NotificationId {
    /// Which change.
    pub change: ChangeId,
    /// Which receiver: a name that stays the same over restarts.
    pub receiver: String,
}

/// One change for one receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// Its name.
    pub id: NotificationId,
    /// What is sent.
    pub body: String,
}

/// The newest records of those that were asked for, oldest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Past<T> {
    /// The records.
    pub newest: Vec<T>,
    /// How many older ones the disk holds besides.
    pub omitted: u64,
}
