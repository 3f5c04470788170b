//! The only place that reads the kernel's clocks.
//!
//! `Moment` is `CLOCK_MONOTONIC`: it counts from the machine's boot, is the same for all processes of one boot, never jumps, and
//! stands still while the machine sleeps. `CLOCK_BOOTTIME` shows how long the machine slept.

use rustix::time::{ClockId, Timespec, clock_gettime};
use watchtree_core::time::{Moment, WallTime};

/// The kernel's clocks. Has no state: copy it freely.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Now, in microseconds since boot without the time the machine slept.
    pub fn now(self) -> Moment {
        Moment::from_micros(micros(clock_gettime(ClockId::Monotonic)))
    }

    /// Now as a label for people, in milliseconds since 1970 UTC. It may jump.
    pub fn wall(self) -> WallTime {
        WallTime(micros(clock_gettime(ClockId::Realtime)) / 1000)
    }

    /// Microseconds since boot *with* the time the machine slept: grows faster than [`Clock::now`] over a sleep.
    pub(crate) fn boot_time(self) -> Moment {
        Moment::from_micros(micros(clock_gettime(ClockId::Boottime)))
    }
}

fn micros(at: Timespec) -> u64 {
    let secs = u64::try_from(at.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(at.tv_nsec).unwrap_or(0);
    secs.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_is_the_kernels() {
        let clock = Clock;
        let now = clock.now();
        let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux has /proc/uptime");
        let uptime: f64 = uptime
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok())
            .expect("seconds since boot");
        // It is told in hundredths, and was read after the clock.
        assert!(
            now.as_micros() as f64 / 1e6 <= uptime + 0.01,
            "monotonic time is not ahead of the uptime"
        );
        assert!(now <= clock.now());
        assert!(clock.wall().0 > 1_600_000_000_000, "wall time is after 2020");
    }
}
