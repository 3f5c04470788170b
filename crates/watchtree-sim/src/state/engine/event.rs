//! The engine's log of events: a ring of 256 of all types together, lost when the daemon ends.
//!
//! `since` is inclusive and reads backwards to the first event that is older, as the engine does; after its clock was set
//! back that hides what is newer and stamped earlier. Nothing here knows what the events mean.

use std::collections::VecDeque;
use watchtree_core::container::io::{ContainerId, EngineEvent, EngineTime, EventAction};

/// Events an engine remembers for `since` (moby: 256, of all types together).
pub const RING_EVENTS_MAX: usize = 256;

/// What an event of the engine says: those of containers that a watchdog asks for, and the rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// One that is known to the core.
    Container(EventAction),
    /// `exec_create`, of a health check or a person.
    ExecCreate,
    /// `exec_start`.
    ExecStart,
    /// `exec_die` with its exit code.
    ExecDie(i64),
    /// An event of another type (network, image, volume): it takes a place in the ring.
    Other,
}

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedEvent {
    /// When, on the engine's clock.
    pub at: EngineTime,
    /// Of which container.
    pub id: ContainerId,
    /// Its name at that time.
    pub name: String,
    /// Compose project and service, if any.
    pub compose: Option<(String, String)>,
    /// What.
    pub action: Action,
}

impl LoggedEvent {
    /// The event as a watchdog's filter lets it through.
    pub fn for_watchdog(&self) -> Option<EngineEvent> {
        let Action::Container(action) = &self.action else {
            return None;
        };
        Some(EngineEvent {
            at: self.at,
            id: self.id.clone(),
            name: self.name.clone(),
            compose: self.compose.clone(),
            action: action.clone(),
        })
    }
}

/// See the top of this file.
#[derive(Debug)]
pub(super) struct EventLog {
    ring: VecDeque<LoggedEvent>,
    max: usize,
    count: u64,
}

impl Default for EventLog {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            max: RING_EVENTS_MAX,
            count: 0,
        }
    }
}

impl EventLog {
    /// Remembers so many from here on.
    pub(super) fn remembers(&mut self, max: usize) {
        self.max = max;
        self.ring.drain(..self.ring.len().saturating_sub(max));
    }

    /// A stamp that no other event has, for that wall time.
    pub(super) fn stamp(&mut self, wall_ns: u64) -> EngineTime {
        self.count += 1;
        EngineTime(wall_ns + self.count % 1000)
    }

    pub(super) fn push(&mut self, event: LoggedEvent) {
        self.ring.push_back(event);
        if self.max < self.ring.len() {
            self.ring.pop_front();
        }
    }

    /// What is remembered from `since` on, oldest first.
    pub(super) fn since(&self, since: EngineTime) -> Vec<LoggedEvent> {
        let newest_first = self.ring.iter().rev().take_while(|it| since <= it.at);
        let mut events: Vec<_> = newest_first.cloned().collect();
        events.reverse();
        events
    }

    /// The stamp of the newest; 0 = none.
    pub(super) fn newest(&self) -> EngineTime {
        self.ring.back().map_or(EngineTime(0), |event| event.at)
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
    }
}
