//! The places for repairs under way at one time. Knows no subject and no call.

use super::ill::Ill;
use crate::time::Duration;

/// The places for repairs under way at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// One is free.
    pub is_free: bool,
    /// So many are taken.
    pub under_way: usize,
    /// A wait that is longer than this is recorded.
    pub long_wait: Duration,
}

/// The places of starts, and those of stops: a start never waits behind a stop, which may take any time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Places {
    /// For what has ended.
    pub start: Place,
    /// For what runs, and is stopped first.
    pub stop: Place,
}

impl Places {
    /// Where a role rations nothing.
    pub const fn free() -> Self {
        let (start, stop) = (Place::free(), Place::free());
        Self { start, stop }
    }

    pub(super) const fn of(&self, ill: Ill) -> Place {
        match ill {
            Ill::Down => self.start,
            Ill::Running => self.stop,
        }
    }
}

impl Place {
    /// A place is free, and nothing is under way: where a role rations nothing.
    pub const fn free() -> Self {
        Self {
            is_free: true,
            under_way: 0,
            long_wait: Duration::MAX,
        }
    }
}
