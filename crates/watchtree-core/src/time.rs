//! Time as a number that is passed in. The core never asks a clock.
//!
//! A `Moment` is a point on the monotonic clock of the machine the code runs on (Linux `CLOCK_MONOTONIC`): it counts
//! from the boot of that machine, so it is comparable between processes and across restarts of a daemon as long as the
//! boot id is the same, and never between machines. `WallTime` is a label for people and for the journal across boots;
//! no decision depends on it but the age of a budget after a reboot.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;

/// A point in monotonic time: microseconds since the machine booted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// From microseconds since boot.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds since boot.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since boot.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// `self - by`, not before the start of the clock.
    pub const fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }
}

const fn micros(duration: Duration) -> u64 {
    let micros = duration.as_micros();
    if micros > u64::MAX as u128 {
        u64::MAX
    } else {
        micros as u64
    }
}

/// A moment that is over, perhaps before this boot of the machine: microseconds since the boot, less than zero before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub struct Past(i64);

impl Past {
    /// As long ago as that, at `now`.
    pub fn ago(now: Moment, age: Duration) -> Self {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        Self(Self::from(now).0.saturating_sub(age))
    }

    /// How long ago it was at `now`; zero if it was not over yet.
    pub fn age(self, now: Moment) -> Duration {
        Self::from(now).since(self)
    }

    /// How long after `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
    }

    /// So long after it; the start of the clock if that is before this boot.
    pub fn plus(self, by: Duration) -> Moment {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(by)).in_this_boot()
    }

    /// The same moment; the start of the clock if it is before this boot.
    pub fn in_this_boot(self) -> Moment {
        Moment(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<Moment> for Past {
    fn from(at: Moment) -> Self {
        Self(i64::try_from(at.0).unwrap_or(i64::MAX))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;
    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

/// Seconds with three decimals: `12.034`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1000 % 1000)
    }
}

/// A length of time for people: `0.12 s`, from ten seconds on `12 s`.
pub fn seconds(time: Duration) -> String {
    let millis = time.as_millis();
    if millis < 10_000 {
        format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
    } else {
        format!("{} s", millis / 1000)
    }
}

/// Milliseconds since 1970 in UTC: a label. It may jump; nothing but labels and ages across a reboot come from it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct WallTime(pub u64);

#[cfg(test)]
mod tests {
    //! Limits and words.
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn it_stops_at_both_ends_of_the_clock() {
        let ms = Moment::from_millis;
        assert_eq!(ms(1500) - ms(500), Duration::from_secs(1));
        assert_eq!(ms(500) - ms(1500), Duration::ZERO);
        assert_eq!(ms(500).saturating_sub(Duration::from_millis(1)), ms(499));
        assert_eq!(ms(500).saturating_sub(Duration::from_secs(1)), Moment::ZERO);
        assert_eq!(ms(1) + Duration::MAX, Moment::FAR_FUTURE);
        let mut moment = ms(1);
        moment += Duration::from_millis(2);
        assert_eq!(moment, ms(3));
    }

    #[test]
    fn people_read_seconds() {
        assert_eq!(Moment::from_micros(12_034_999).to_string(), "12.034");
        for (millis, words) in [
            (0, "0.00 s"),
            (129, "0.12 s"),
            (9999, "9.99 s"),
            (10_000, "10 s"),
            (12_999, "12 s"),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis)), words);
        }
    }
}
