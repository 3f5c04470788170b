//! The times of one network and their statistics. It does not know what was timed.

use serde_json::{Value, json};
use std::time::Duration;

/// The times of one network.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) ours: Vec<Duration>,
    pub(crate) floor: Vec<Duration>,
    pub(crate) always: Vec<Duration>,
    /// From `die` on the socket to the start request on the socket.
    pub(crate) share: Vec<Duration>,
}

/// n, median, 95th and 99th percentile (nearest rank), least and most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) n: usize,
    pub(crate) min_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Stats {
    /// Of these times; all zero if there are none.
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        ms.sort_by(f64::total_cmp);
        let n = ms.len();
        let rank = |per_cent: usize| {
            ms.get((n * per_cent).div_ceil(100).saturating_sub(1))
                .copied()
                .unwrap_or(0.0)
        };
        let median = if n == 0 {
            0.0
        } else {
            f64::midpoint(ms[(n - 1) / 2], ms[n / 2])
        };
        Self {
            n,
            min_ms: rank(0),
            median_ms: median,
            p95_ms: rank(95),
            p99_ms: rank(99),
            max_ms: rank(100),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let round = |ms: f64| (ms * 1000.0).round() / 1000.0;
        json!({
            "n": self.n,
            "min_ms": round(self.min_ms),
            "median_ms": round(self.median_ms),
            "p95_ms": round(self.p95_ms),
            "p99_ms": round(self.p99_ms),
            "max_ms": round(self.max_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;
    use std::time::Duration;

    #[test]
    fn ranks_are_nearest_and_the_median_of_an_even_count_lies_between() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let stats = Stats::of(&times);
        assert_eq!(
            (
                stats.n,
                stats.min_ms,
                stats.median_ms,
                stats.p95_ms,
                stats.p99_ms,
                stats.max_ms
            ),
            (200, 1.0, 100.5, 190.0, 198.0, 200.0)
        );
        assert_eq!(Stats::of(&[]), Stats::default());
    }
}
