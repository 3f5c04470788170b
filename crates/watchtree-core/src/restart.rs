//! The restart policy: how soon, how often, and when to stop and ask a person.
//!
//! Pure arithmetic over the moments at which restarts were charged; knows no container and no engine. A charge is a
//! restart that was begun by us or seen to be done by the engine.
//!
//! ```text
//! crash ──▶ budget left? ──no──▶ given up: escalate, then one slow retry per `slow_retry`
//!              │ yes
//!              ▼
//!        delay(strikes): 0, 0.1 s, 0.2 s, 0.4 s … 60 s (with jitter)  ──▶ charge, start, verify
//!                                                                         grace doubles per charge in the window
//! ```

use crate::random::mix;
use crate::time::{Duration, Moment};
use alloc::collections::VecDeque;

/// Most charges one ledger keeps; no budget may be larger.
pub const BUDGET_MAX: u32 = 100;

/// How restarts of one subject are limited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestartPolicy {
    /// Most restarts in one window; at most [`BUDGET_MAX`]. 0 = never restart.
    pub budget: u32,
    /// The window.
    pub window: Duration,
    /// Delay of the second restart in a row; the first has none; doubles from there.
    pub delay_first: Duration,
    /// Longest delay.
    pub delay_max: Duration,
    /// A run of at least this length makes the next restart a first one again.
    pub clean_run: Duration,
    /// A started container counts as repaired when its new life lasted this long.
    pub verify: Duration,
    /// Least grace after a restart of ours, doubled per further charge in the window. During grace `unhealthy` is not
    /// acted on.
    pub grace_min: Duration,
    /// Longest grace.
    pub grace_max: Duration,
    /// How often one retry is made after giving up.
    pub slow_retry: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            budget: 5,
            window: Duration::from_secs(600),
            delay_first: Duration::from_millis(100),
            delay_max: Duration::from_secs(60),
            clean_run: Duration::from_secs(60),
            verify: Duration::from_secs(5),
            grace_min: Duration::from_secs(5),
            grace_max: Duration::from_secs(900),
            slow_retry: Duration::from_secs(600),
        }
    }
}

impl RestartPolicy {
    /// The delay before restart number `strikes + 1` in a row, without jitter.
    pub fn delay(&self, strikes: u32) -> Duration {
        match strikes {
            0 => Duration::ZERO,
            n => self
                .delay_first
                .saturating_mul(1_u32 << (n - 1).min(20))
                .min(self.delay_max),
        }
    }

    /// The grace of a life that began with `charges` restarts in the window, from the container's own `base`.
    pub fn grace(&self, base: Duration, charges: u32) -> Duration {
        match charges {
            0 => base,
            n => base
                .max(self.grace_min)
                .saturating_mul(1_u32 << (n - 1).min(20))
                .min(self.grace_max.max(base)),
        }
    }

    /// Upper bound of the time from the first crash of a container that dies `run` after each start until it is given
    /// up, where one restart (death seen, request, new process) takes at most `restart`. Holds for a first crash after
    /// a long clean run, a full budget, and a loop that fits into one window.
    pub fn bound_until_given_up(&self, run: Duration, restart: Duration) -> Duration {
        let delays: Duration = (0..self.budget).map(|strikes| self.delay(strikes)).sum();
        delays + (run + restart) * self.budget
    }

    /// Upper bound of the time from a crash to its repair being confirmed, at that many strikes.
    pub fn bound_until_verified(&self, strikes: u32, restart: Duration) -> Duration {
        self.delay(strikes) + restart + self.verify
    }
}

/// How restarts of all subjects of one host are limited together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HostPolicy {
    /// Most restarts in one window.
    pub budget: u32,
    /// The window.
    pub window: Duration,
    /// Most repairs with a call to the engine under way at one time.
    pub parallel: u32,
    /// That many subjects dying within `mass_window` are one cause.
    pub mass: u32,
    /// See `mass`.
    pub mass_window: Duration,
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self {
            budget: 30,
            window: Duration::from_secs(600),
            parallel: 8,
            mass: 5,
            mass_window: Duration::from_secs(5),
        }
    }
}

/// The restarts charged to one subject or one host, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    charges: VecDeque<Moment>,
}

impl Ledger {
    /// Most charges kept. Older ones count for no window.
    pub const CHARGES_MAX: usize = 512;

    /// Charges one restart.
    pub fn charge(&mut self, now: Moment) {
        if Self::CHARGES_MAX <= self.charges.len() {
            self.charges.pop_front();
        }
        self.charges.push_back(now);
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.charges.clear();
    }

    /// Charges within the window that ends now.
    pub fn used(&self, now: Moment, window: Duration) -> u32 {
        let count = self
            .charges
            .iter()
            .rev()
            .take_while(|&&at| now.since(at) < window)
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What is left of `budget`.
    pub fn left(&self, now: Moment, window: Duration, budget: u32) -> u32 {
        budget.saturating_sub(self.used(now, window))
    }

    /// When at least one restart is left again: now, or when the oldest charge that counts leaves the window.
    pub fn free_at(&self, now: Moment, window: Duration, budget: u32) -> Moment {
        if budget == 0 {
            return Moment::FAR_FUTURE;
        }
        if self.left(now, window, budget) != 0 {
            return now;
        }
        let place = self.charges.len().saturating_sub(budget as usize);
        self.charges.get(place).map_or(now, |&at| at + window)
    }

    /// How many restarts in a row led here, for a death seen at `now`: 0 after a clean run.
    pub fn strikes(&self, now: Moment, policy: &RestartPolicy) -> u32 {
        let mut later = now;
        let mut strikes = 0;
        for &at in self.charges.iter().rev() {
            // Between two charges lie a run and the delay before the later one.
            let slack = if strikes == 0 { Duration::ZERO } else { policy.delay_max };
            if policy.clean_run + slack <= later.since(at) {
                break;
            }
            strikes += 1;
            later = at;
        }
        strikes
    }

    /// The newest charge.
    pub fn last(&self) -> Option<Moment> {
        self.charges.back().copied()
    }
}

/// The delay of a restart after a death seen at `now`, with a jitter of up to a quarter less, the same for the same seed.
pub fn delay_with_jitter(policy: &RestartPolicy, ledger: &Ledger, now: Moment, seed: u64) -> Duration {
    let strikes = ledger.strikes(now, policy);
    let delay = policy.delay(strikes);
    let quarter = u64::try_from(delay.as_micros() / 4).unwrap_or(u64::MAX);
    if quarter == 0 {
        return delay;
    }
    delay - Duration::from_micros(mix(seed ^ (u64::from(strikes) << 48) ^ now.as_micros()) % quarter)
}

#[cfg(test)]
mod tests {
    //! Delays, budgets, grace, bounds.
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(1_000_000 + ms)
    }

    #[test]
    fn the_first_is_free_and_the_rest_double() {
        let policy = RestartPolicy::default();
        let delays: [u128; 6] = [0, 1, 2, 3, 10, 40].map(|n| policy.delay(n).as_millis());
        assert_eq!(delays, [0, 100, 200, 400, 51_200, 60_000]);
    }

    #[test]
    fn a_clean_run_makes_the_next_a_first_one() {
        let policy = RestartPolicy::default();
        let mut ledger = Ledger::default();
        ledger.charge(at(0));
        assert_eq!(ledger.strikes(at(1000), &policy), 1);
        ledger.charge(at(1100));
        assert_eq!(ledger.strikes(at(2000), &policy), 2);
        assert_eq!(ledger.strikes(at(61_100), &policy), 0);
    }

    #[test]
    fn the_budget_comes_back_one_by_one() {
        let mut ledger = Ledger::default();
        let window = Duration::from_secs(600);
        for n in 0..5 {
            assert_eq!(ledger.left(at(n * 1000), window, 5), 5 - u32::try_from(n).unwrap());
            ledger.charge(at(n * 1000));
        }
        assert_eq!(ledger.left(at(5000), window, 5), 0);
        assert_eq!(ledger.free_at(at(5000), window, 5), at(600_000));
        assert_eq!(ledger.left(at(600_000), window, 5), 1);
        assert_eq!(ledger.free_at(at(5000), window, 0), Moment::FAR_FUTURE);
    }

    #[test]
    fn grace_grows_and_is_bounded() {
        let policy = RestartPolicy::default();
        let base = Duration::from_secs(30);
        let graces = [0, 1, 2, 3, 30].map(|n| policy.grace(base, n).as_secs());
        assert_eq!(graces, [30, 30, 60, 120, 900]);
        assert_eq!(policy.grace(Duration::ZERO, 0), Duration::ZERO);
        assert_eq!(policy.grace(Duration::ZERO, 2).as_secs(), 10);
    }

    #[test]
    fn jitter_only_shortens_and_is_repeatable() {
        let policy = RestartPolicy::default();
        let mut ledger = Ledger::default();
        ledger.charge(at(0));
        ledger.charge(at(10));
        for seed in 0..200 {
            let delay = delay_with_jitter(&policy, &ledger, at(500), seed);
            assert!((150..=200).contains(&delay.as_millis()), "{delay:?}");
            assert_eq!(delay, delay_with_jitter(&policy, &ledger, at(500), seed));
        }
    }

    #[test]
    fn the_bound_is_a_sum() {
        let policy = RestartPolicy::default();
        let bound = policy.bound_until_given_up(Duration::from_millis(500), Duration::from_millis(500));
        assert_eq!(bound.as_millis(), 100 + 200 + 400 + 800 + 5000);
    }
}
