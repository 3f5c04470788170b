//! The one source of chance of a run: the tree's generator, with the ranges that a world draws. Equal seeds, equal runs.

use watchtree_core::random::Random;
use watchtree_core::time::Duration;

/// Pseudo-random numbers; good enough to mix faults, not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(Random);

impl Rng {
    /// Starts a sequence.
    pub fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// A sequence of its own for one part of the world, so that one part's draws never shift another's.
    pub fn fork(&mut self) -> Self {
        Self(Random::new(self.0.draw()))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// From `low` up to, not including, `high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low < high, "an empty range has no number");
        low + self.0.below(high - low)
    }

    /// Between two times.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(self.range(low * 1000, high * 1000))
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.0.below(1000) < per_mille
    }
}
