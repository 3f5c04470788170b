//! Back-off for reconnects: each wait is random between its length and 1.5 times that; the length doubles up to a maximum.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            next: shortest,
        }
    }

    pub(crate) fn wait(&mut self) -> Duration {
        let wait = self.next + random_part(self.next / 2);
        self.next = self.longest.min(self.next * 2);
        wait
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.shortest;
    }
}

/// Between this and twice this, as libzmq waits between its own attempts.
pub(crate) fn between_once_and_twice(wait: Duration) -> Duration {
    wait + random_part(wait)
}

fn random_part(whole: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(300));
        for length in [50, 100, 200, 300, 300] {
            let wait = backoff.wait();
            let length = Duration::from_millis(length);
            assert!(length <= wait && wait <= length + length / 2, "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(75));
    }
}
