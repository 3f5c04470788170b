//! How the engine names a container and stamps a time: what both the border of the role and its journal are written in.

use crate::time::Duration;
use alloc::string::String;

/// Nanoseconds since 1970 on the *engine's* clock, as in `timeNano` and `StartedAt`. Ordered among themselves only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct EngineTime(pub u64);

impl EngineTime {
    /// That much later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// That much earlier.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A container's full id: 64 hex digits.
pub type ContainerId = String;
