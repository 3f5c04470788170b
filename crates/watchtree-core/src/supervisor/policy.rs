//! The restart policy: how soon, how often, and when to stop and ask a person. One type for every kind of subject.
//!
//! A policy exists only if its limits make sense together. Knows no subject and no clock.
//!
//! ```text
//! failure ──▶ budget left? ──no──▶ restart limit reached: escalate, then one half-open retry every so often
//!                │ yes
//!                ▼
//!          delay(consecutive failures): 0, 0.1 s, 0.2 s, 0.4 s … 60 s (with jitter)  ──▶ restart, verify
//! ```

use crate::time::Duration;
use core::fmt;
use core::ops::Deref;

/// Most restarts that a budget may allow in one window.
pub const BUDGET_MAX: u32 = 500;

/// So many restarts in any window of that length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// Most restarts. 0 = never restart.
    pub budget: u32,
    /// The window.
    pub window: Duration,
}

/// The limits of one subject, not yet checked. `Default` is what ships for containers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestartLimits {
    /// Restarts of one subject.
    pub allowance: Allowance,
    /// One that runs is stopped for being ill only after fewer restarts than that in the window: what so many did not make well, no
    /// more will.
    pub stop_budget: u32,
    /// Delay of the second restart in a row; the first has none; doubles from there.
    pub delay_first: Duration,
    /// Longest delay.
    pub delay_max: Duration,
    /// A run of at least this length makes the next restart a first one again.
    pub reset_after_stable: Duration,
    /// A restarted subject counts as repaired when its new incarnation lasted this long.
    pub verify: Duration,
    /// Least startup grace after a restart of ours, doubled per further restart since it was last well. In it a subject
    /// that runs but is ill is not acted on.
    pub grace_min: Duration,
    /// Longest startup grace.
    pub grace_max: Duration,
    /// How often one retry is made once the limit is reached.
    pub half_open_every: Duration,
    /// Such a retry waits until the window has room for it: no window ever sees more restarts than the budget.
    pub half_open_within_budget: bool,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            // The delays of twelve in a row add up to 162 s, with all jitter to 121 s: what a dependant waits for may be away for a
            // minute or two.
            allowance: Allowance {
                budget: 12,
                window: Duration::from_secs(600),
            },
            stop_budget: 5,
            delay_first: Duration::from_millis(100),
            delay_max: Duration::from_secs(60),
            reset_after_stable: Duration::from_secs(60),
            verify: Duration::from_secs(5),
            grace_min: Duration::from_secs(5),
            grace_max: Duration::from_secs(900),
            half_open_every: Duration::from_secs(600),
            half_open_within_budget: true,
        }
    }
}

/// Why limits are no policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyError {
    /// The budget is larger than [`BUDGET_MAX`].
    Budget,
    /// The window is zero.
    Window,
    /// The first delay is longer than the longest.
    Delay,
    /// The least grace is longer than the longest.
    Grace,
    /// Retries after the limit would follow one another without a pause.
    HalfOpen,
    /// Nothing could ever be under way.
    Parallel,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget => write!(f, "a budget is at most {BUDGET_MAX} restarts"),
            Self::Window => f.write_str("the window of a budget is longer than zero"),
            Self::Delay => f.write_str("the first delay is at most the longest delay"),
            Self::Grace => f.write_str("the least grace is at most the longest grace"),
            Self::HalfOpen => f.write_str("the pause between retries after the limit is longer than zero"),
            Self::Parallel => f.write_str("at least one repair may be under way"),
        }
    }
}

impl core::error::Error for PolicyError {}

fn check(allowance: Allowance) -> Result<(), PolicyError> {
    if BUDGET_MAX < allowance.budget {
        return Err(PolicyError::Budget);
    }
    if allowance.window.is_zero() {
        return Err(PolicyError::Window);
    }
    Ok(())
}

/// Checked limits of one subject.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RestartPolicy(RestartLimits);

impl Deref for RestartPolicy {
    type Target = RestartLimits;
    fn deref(&self) -> &RestartLimits {
        &self.0
    }
}

impl RestartPolicy {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`PolicyError`] says which two do not fit.
    pub fn new(limits: RestartLimits) -> Result<Self, PolicyError> {
        check(limits.allowance)?;
        if limits.delay_max < limits.delay_first {
            return Err(PolicyError::Delay);
        }
        if limits.grace_max < limits.grace_min {
            return Err(PolicyError::Grace);
        }
        if limits.half_open_every.is_zero() {
            return Err(PolicyError::HalfOpen);
        }
        Ok(Self(limits))
    }

    /// The same with another allowance, for stops too; one that is no policy changes nothing.
    #[must_use]
    pub fn with_allowance(&self, allowance: Allowance) -> Self {
        let stop_budget = allowance.budget;
        let limits = RestartLimits {
            allowance,
            stop_budget,
            ..self.0
        };
        Self::new(limits).unwrap_or(*self)
    }

    /// For a restart that begins with a stop.
    #[must_use]
    pub fn for_stop(&self) -> Self {
        let allowance = Allowance {
            budget: self.allowance.budget.min(self.stop_budget),
            ..self.allowance
        };
        Self(RestartLimits { allowance, ..self.0 })
    }

    /// Runs shorter than this are of one loop, whatever the delays between them: its restarts may take more than a window.
    pub fn loop_run_max(&self) -> Duration {
        self.reset_after_stable.min(self.allowance.window / 5)
    }

    /// The delay before restart number `failures + 1` in a row, without jitter.
    pub fn delay(&self, failures: u32) -> Duration {
        match failures {
            0 => Duration::ZERO,
            n => self
                .delay_first
                .saturating_mul(1_u32 << (n - 1).min(20))
                .min(self.delay_max),
        }
    }

    /// The startup grace of an incarnation that began with `restarts` since the subject was last well, from its own `base`.
    pub fn grace(&self, base: Duration, restarts: u32) -> Duration {
        match restarts {
            0 => base,
            n => base
                .max(self.grace_min)
                .saturating_mul(1_u32 << (n - 1).min(20))
                .min(self.grace_max.max(base)),
        }
    }

    /// Upper bound of the time from the first failure of a subject that ends `run` after each start until its limit is
    /// reached, where one restart (end seen, request, new process) takes at most `restart`. Holds for a first failure
    /// after a long stable run, a full budget, and a loop that fits into one window.
    pub fn bound_until_limit(&self, run: Duration, restart: Duration) -> Duration {
        let budget = self.allowance.budget;
        let delays: Duration = (0..budget).map(|failures| self.delay(failures)).sum();
        delays + (run + restart) * budget
    }
}

/// The limits of all subjects of one watchdog together, not yet checked. `Default` is what ships for containers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FleetLimits {
    /// Restarts of all together, but for correlated ones.
    pub allowance: Allowance,
    /// Most repairs with a call under way at one time.
    pub parallel: u32,
    /// That many subjects failing within `correlated_window` are one cause.
    pub correlated: u32,
    /// See `correlated`.
    pub correlated_window: Duration,
}

impl Default for FleetLimits {
    fn default() -> Self {
        Self {
            allowance: Allowance {
                budget: 30,
                window: Duration::from_secs(600),
            },
            parallel: 8,
            correlated: 5,
            correlated_window: Duration::from_secs(5),
        }
    }
}

/// Checked limits of all subjects of one watchdog together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FleetPolicy(FleetLimits);

impl Deref for FleetPolicy {
    type Target = FleetLimits;
    fn deref(&self) -> &FleetLimits {
        &self.0
    }
}

impl FleetPolicy {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`PolicyError`] says what is wrong.
    pub fn new(limits: FleetLimits) -> Result<Self, PolicyError> {
        check(limits.allowance)?;
        if limits.parallel == 0 {
            return Err(PolicyError::Parallel);
        }
        Ok(Self(limits))
    }
}

#[cfg(test)]
mod tests {
    //! Delays, grace, bounds, and what is no policy.
    use super::*;

    #[test]
    fn the_first_is_free_and_the_rest_double() {
        let policy = RestartPolicy::default();
        let delays: [u128; 6] = [0, 1, 2, 3, 10, 40].map(|n| policy.delay(n).as_millis());
        assert_eq!(delays, [0, 100, 200, 400, 51_200, 60_000]);
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
    fn the_bounds_are_sums() {
        let policy = RestartPolicy::default();
        let half = Duration::from_millis(500);
        assert_eq!(
            policy.bound_until_limit(half, half).as_millis(),
            102_300 + 60_000 + 12_000
        );
    }

    /// Jitter takes a quarter of each delay at the most.
    #[test]
    fn what_ships_outlasts_a_dependency_that_is_away_for_a_minute() {
        let policy = RestartPolicy::default();
        let delays: Duration = (0..policy.allowance.budget).map(|n| policy.delay(n)).sum();
        assert!(Duration::from_secs(120) < delays * 3 / 4, "{delays:?}");
    }

    #[test]
    fn what_runs_is_stopped_less_often_than_what_ended_is_started() {
        let policy = RestartPolicy::default();
        assert_eq!((policy.allowance.budget, policy.for_stop().allowance.budget), (12, 5));
        for budget in [2, 40] {
            let asked_for = Allowance {
                budget,
                ..policy.allowance
            };
            let policy = policy.with_allowance(asked_for);
            assert_eq!((policy.allowance, policy.for_stop().allowance), (asked_for, asked_for));
        }
    }

    #[test]
    fn limits_that_do_not_fit_are_no_policy() {
        let shipped = RestartLimits::default();
        assert_eq!(
            RestartPolicy::new(shipped),
            Ok(RestartPolicy::default()),
            "what ships is one"
        );
        assert_eq!(FleetPolicy::new(FleetLimits::default()), Ok(FleetPolicy::default()));
        let with = |change: fn(&mut RestartLimits)| {
            let mut limits = shipped;
            change(&mut limits);
            RestartPolicy::new(limits).err()
        };
        assert_eq!(
            with(|it| it.allowance.budget = BUDGET_MAX + 1),
            Some(PolicyError::Budget)
        );
        assert_eq!(
            with(|it| it.allowance.window = Duration::ZERO),
            Some(PolicyError::Window)
        );
        assert_eq!(
            with(|it| it.delay_max = Duration::from_millis(99)),
            Some(PolicyError::Delay)
        );
        assert_eq!(
            with(|it| it.grace_max = Duration::from_secs(4)),
            Some(PolicyError::Grace)
        );
        assert_eq!(
            with(|it| it.half_open_every = Duration::ZERO),
            Some(PolicyError::HalfOpen)
        );
        assert_eq!(with(|it| it.allowance.budget = 0), None, "never restart is a policy");
        let idle = FleetLimits {
            parallel: 0,
            ..FleetLimits::default()
        };
        assert_eq!(FleetPolicy::new(idle), Err(PolicyError::Parallel));
    }
}
