//! A connection as TCP keeps it: nothing sent over it is lost while it lives, and a lost segment delays all that follow.
//!
//! ```text
//!   sent ──lost──▶ again after 200 ms ──lost──▶ 400 ms ──lost──▶ 800 ms … each twice the one before, capped at 120 s
//!     └──▶ what is sent meanwhile waits behind it, and arrives with it
//! ```
//!
//! Knows no frames and no peers; the caller says when the path carries nothing.

use watchtree_core::time::{Duration, Moment};

/// The first retransmission of a short path.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest time between two.
const RETRY_MAX: Duration = Duration::from_secs(120);

/// One direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection {
    /// Nothing that is sent from now on arrives sooner.
    last_arrival: Moment,
}

impl Connection {
    /// When what is sent now arrives: `delay` is the path's, and the path carries nothing until `cut_until`.
    pub fn sends(&mut self, now: Moment, delay: Duration, cut_until: Moment) -> Moment {
        let at = carried_at(now.max(self.stalled(now)), cut_until) + delay;
        self.arrives(at)
    }

    /// When what was handed over with that delay arrives: later than whatever was sent before.
    pub fn arrives(&mut self, at: Moment) -> Moment {
        self.last_arrival = at.max(self.last_arrival + Duration::from_micros(1));
        self.last_arrival
    }

    /// What waits for a retransmission holds the rest up.
    fn stalled(&self, now: Moment) -> Moment {
        match now + RETRY_FIRST < self.last_arrival {
            true => self.last_arrival,
            false => now,
        }
    }
}

/// When a segment that is first sent at `sent` gets through a path that is cut until then.
pub fn carried_at(sent: Moment, cut_until: Moment) -> Moment {
    let (mut at, mut wait) = (sent, RETRY_FIRST);
    while at < cut_until {
        at += wait;
        wait = (wait * 2).min(RETRY_MAX);
    }
    at
}

#[cfg(test)]
mod tests {
    //! The figures measured on a path that was cut for 3, 7 and 12 s.
    use super::*;

    #[test]
    fn a_cut_is_felt_until_the_next_retransmission() {
        let (sent, begin) = (Moment::from_millis(10_000), Moment::from_millis(10_000));
        for (cut_ms, late_ms) in [(100, 200), (3000, 3000), (3100, 6200), (7000, 12_600), (12_000, 12_600)] {
            let at = carried_at(sent, begin + Duration::from_millis(cut_ms));
            assert_eq!(at.since(begin).as_millis(), late_ms, "{cut_ms}");
        }
    }

    #[test]
    fn what_is_sent_meanwhile_waits_behind_it() {
        let mut connection = Connection::default();
        let (begin, delay) = (Moment::from_millis(10_000), Duration::from_millis(2));
        let cut = begin + Duration::from_secs(1);
        let first = connection.sends(begin, delay, cut);
        let second = connection.sends(begin + Duration::from_millis(500), delay, cut);
        assert_eq!(first.since(begin).as_millis(), 1402);
        assert!(first < second && second.since(first) < Duration::from_millis(10));
    }
}
