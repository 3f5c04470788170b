//! The clocks of a machine against the world's: a monotonic one that begins anew at each boot, and a wall clock that can be
//! set.
//!
//! The world has one time, which no machine sees. Whatever a machine is told is on its own clocks.

use super::engine::true_wall_ns;
use watchtree_core::id::BootId;
use watchtree_core::time::{Moment, WallTime};

/// The clocks of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    machine: u64,
    boots: u64,
    zero: Moment,
    wall_offset_ms: i64,
}

impl Clock {
    /// Of a machine that booted at that moment of the world.
    pub fn new(machine: u64, zero: Moment) -> Self {
        Self {
            machine,
            boots: 1,
            zero,
            wall_offset_ms: 0,
        }
    }

    /// The machine boots: its monotonic clock begins at 0.
    pub fn boots(&mut self, now: Moment) {
        self.boots += 1;
        self.zero = now;
    }

    /// The name of the present boot.
    pub fn boot_id(&self) -> BootId {
        BootId((u128::from(self.machine) << 64 | u128::from(self.boots)).to_be_bytes())
    }

    /// The moment of the world at which this boot's clock began.
    pub fn zero(&self) -> Moment {
        self.zero
    }

    /// What the machine's monotonic clock shows.
    pub fn local(&self, now: Moment) -> Moment {
        local(self.zero, now)
    }

    /// Sets the wall clock to differ from the true one by that.
    pub fn set_wall(&mut self, offset_ms: i64) {
        self.wall_offset_ms = offset_ms;
    }

    /// What its wall clock shows.
    pub fn wall(&self, now: Moment) -> WallTime {
        let true_ms = true_wall_ns(now) / 1_000_000;
        WallTime(true_ms.saturating_add_signed(self.wall_offset_ms))
    }
}

/// A moment of the world on a clock that began at `zero`.
pub fn local(zero: Moment, now: Moment) -> Moment {
    Moment::from_micros(now.as_micros().saturating_sub(zero.as_micros()))
}

/// The moment of the world for one of a clock that began at `zero`.
pub fn world(zero: Moment, local: Moment) -> Moment {
    Moment::from_micros(zero.as_micros().saturating_add(local.as_micros()))
}
