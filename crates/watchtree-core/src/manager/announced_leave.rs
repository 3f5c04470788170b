//! An announced leave: a host said goodbye, and how long it may stay away before its absence counts.
//!
//! Compares wall times, for a leave outlives the manager that heard it. Knows no hosts and no timers.

use crate::message::Goodbye;
use crate::time::{Duration, Moment, WallTime};
use alloc::format;
use alloc::string::{String, ToString};

/// The longest absence that a restart can ask for.
const BACK_WITHIN_MAX: Duration = Duration::from_secs(3600);

/// A goodbye that is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnouncedLeave {
    /// What was said.
    pub goodbye: Goodbye,
    /// When, by the wall clock.
    pub at: WallTime,
}

impl AnnouncedLeave {
    /// What was announced, in words.
    pub(super) fn why(self) -> String {
        match self.goodbye {
            Goodbye::Restart { back_within } => {
                let secs = back_within.min(BACK_WITHIN_MAX).as_secs();
                format!("its watchdog said goodbye and means to be back within {secs} s")
            }
            Goodbye::HostShutdown | Goodbye::Leaving => {
                "the machine announced that it shuts down or reboots".to_string()
            }
        }
    }

    /// When the absence counts, seen at `now` (which is `wall`); `None` = never.
    pub(super) fn ends(self, now: Moment, wall: WallTime, after_shutdown: Option<Duration>) -> Option<Moment> {
        let allowed = match self.goodbye {
            Goodbye::Restart { back_within } => Some(back_within.min(BACK_WITHIN_MAX)),
            Goodbye::HostShutdown | Goodbye::Leaving => after_shutdown,
        };
        allowed.map(|allowed| now + allowed.saturating_sub(self.gone_for(wall)))
    }

    /// What is to be said of a host that is not back in time.
    pub(super) fn overdue(self, wall: WallTime) -> String {
        let gone_for = in_words(self.gone_for(wall));
        match self.goodbye {
            Goodbye::Restart { .. } => format!("its watchdog said goodbye {gone_for} ago and is not back in time"),
            Goodbye::HostShutdown | Goodbye::Leaving => {
                format!("the machine announced {gone_for} ago that it shuts down or reboots, and is not back")
            }
        }
    }

    fn gone_for(self, wall: WallTime) -> Duration {
        Duration::from_millis(wall.0.saturating_sub(self.at.0))
    }
}

fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs => format!("{} min", secs / 60),
    }
}

#[cfg(test)]
mod tests {
    //! How long each goodbye lasts, also across a restart of the manager.
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);

    fn ends(goodbye: Goodbye, gone_for_secs: u64, after_shutdown: Option<Duration>) -> Option<Duration> {
        let leave = AnnouncedLeave {
            goodbye,
            at: WallTime(5_000),
        };
        let wall = WallTime(5_000 + gone_for_secs * 1000);
        leave.ends(NOW, wall, after_shutdown).map(|at| at - NOW)
    }

    #[test]
    fn what_has_passed_of_it_counts_and_no_restart_takes_hours() {
        let secs = Duration::from_secs;
        let restart = |secs| Goodbye::Restart {
            back_within: Duration::from_secs(secs),
        };
        assert_eq!(ends(restart(60), 0, None), Some(secs(60)));
        assert_eq!(ends(restart(60), 45, None), Some(secs(15)));
        assert_eq!(ends(restart(60), 90, None), Some(secs(0)));
        assert_eq!(ends(restart(100_000), 0, None), Some(BACK_WITHIN_MAX));
        assert_eq!(ends(Goodbye::HostShutdown, 60, Some(secs(900))), Some(secs(840)));
        assert_eq!(ends(Goodbye::HostShutdown, 60, None), None);
    }

    #[test]
    fn a_wall_clock_that_was_set_back_lengthens_nothing_beyond_what_was_asked() {
        let leave = AnnouncedLeave {
            goodbye: Goodbye::HostShutdown,
            at: WallTime(5_000),
        };
        let allowed = Duration::from_secs(900);
        assert_eq!(leave.ends(NOW, WallTime(0), Some(allowed)), Some(NOW + allowed));
    }
}
