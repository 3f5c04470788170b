//! How long the engine takes for what it does: drawn from a seed, or the same each time.

use crate::rng::Rng;
use watchtree_core::time::Duration;

/// What takes time in an engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// A `/start`.
    Start,
    /// The same of one that joins the network of another.
    StartJoined,
    /// A start by the engine's own policy, after the back-off.
    PolicyStart,
    /// A process reacts to a signal, and the engine sees its end.
    Exit,
    /// From the end to the `die` event, where the engine logs it late (26.1).
    LateDie,
    /// From the end to the `stop` event, where the engine logs that late (20.10).
    LateStop,
    /// From the `stop` event to the answer.
    Answer,
    /// A run of a health check.
    Check,
    /// From the daemon's start, or the last stop in it, to the first start by its policies.
    Restore,
}

/// Where the times come from.
#[derive(Clone, Debug)]
pub enum Timing {
    /// Drawn, within what was measured.
    Drawn(Rng),
    /// The middle of what was measured, each time.
    Exact,
    /// What the recordings of `tests/engine-truth/` took in the middle, on a busy machine.
    Recorded {
        /// How long the daemon restores, which differs most.
        restore: Duration,
    },
}

impl Timing {
    /// How long that takes this time.
    pub(super) fn takes(&mut self, work: Work) -> Duration {
        let (low, high, exact, recorded) = match work {
            Work::Start => (80, 500, 120, 420),
            Work::StartJoined => (80, 500, 120, 300),
            Work::PolicyStart => (80, 400, 120, 300),
            Work::Exit => (20, 60, 20, 110),
            Work::LateDie => (3, 30, 5, 8),
            Work::LateStop => (3, 90, 8, 80),
            Work::Answer => (1, 4, 3, 3),
            Work::Check => return self.check(),
            Work::Restore => (500, 1500, 1000, 1000),
        };
        match self {
            Self::Drawn(rng) => rng.millis(low, high),
            Self::Exact => Duration::from_millis(exact),
            Self::Recorded { restore } if work == Work::Restore => *restore,
            Self::Recorded { .. } => Duration::from_millis(recorded),
        }
    }

    /// A check takes no time where nobody asks for it: what a watchdog sees is its period.
    fn check(&self) -> Duration {
        match self {
            Self::Recorded { .. } => Duration::from_millis(80),
            Self::Drawn(_) | Self::Exact => Duration::ZERO,
        }
    }
}
