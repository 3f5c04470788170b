//! What is left of a restart budget: the restarts of one subject, or of all subjects of one watchdog, in a moving window.
//!
//! A restart counts when it was begun by us or seen to be done by the engine. Pure arithmetic over moments; knows no
//! subject. The policy is passed in, for labels and configuration may change it at any time.

use super::outbreak::Outbreaks;
use super::policy::{Allowance, BUDGET_MAX, FleetPolicy, RestartPolicy};
use crate::random::mix;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment, Past};
use alloc::collections::VecDeque;

/// The restarts of a window, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RestartBudget {
    restarts: VecDeque<Past>,
}

impl RestartBudget {
    /// Most restarts kept, here and in a journal: no budget allows more.
    pub const RESTARTS_MAX: usize = BUDGET_MAX as usize;

    /// Takes one restart from the budget. They may come in any order: those of a boot before are dated by a wall clock that
    /// may have been set.
    pub fn record_restart(&mut self, at: impl Into<Past>) {
        let at = at.into();
        let place = self.restarts.partition_point(|known| *known <= at);
        self.restarts.insert(place, at);
        if Self::RESTARTS_MAX < self.restarts.len() {
            self.restarts.pop_front();
        }
    }

    /// Gives back the restart that was taken at that moment. False if there is none.
    pub fn give_back(&mut self, at: Moment) -> bool {
        let place = self.restarts.iter().rposition(|known| *known == Past::from(at));
        place.and_then(|place| self.restarts.remove(place)).is_some()
    }

    /// Gives everything back.
    pub fn reset(&mut self) {
        self.restarts.clear();
    }

    /// Restarts within the window that ends now.
    pub fn used(&self, now: Moment, window: Duration) -> u32 {
        let within = self.restarts.iter().rev().take_while(|at| at.age(now) < window);
        u32::try_from(within.count()).unwrap_or(u32::MAX)
    }

    /// Restarts after `after` (`None` = all), within the window that ended with `now`.
    pub fn used_after(&self, after: Option<Past>, now: Moment, window: Duration) -> u32 {
        let within = self.restarts.iter().rev();
        let within = within.take_while(|&&at| after < Some(at) && at.age(now) < window);
        u32::try_from(within.count()).unwrap_or(u32::MAX)
    }

    /// What is left.
    pub fn left(&self, now: Moment, allowance: Allowance) -> u32 {
        allowance.budget.saturating_sub(self.used(now, allowance.window))
    }

    /// When at least one restart is left again: now, or when the oldest one that counts leaves the window.
    pub fn free_at(&self, now: Moment, allowance: Allowance) -> Moment {
        if allowance.budget == 0 {
            return Moment::FAR_FUTURE;
        }
        if self.left(now, allowance) != 0 {
            return now;
        }
        let place = self.restarts.len().saturating_sub(allowance.budget as usize);
        self.restarts.get(place).map_or(now, |at| at.plus(allowance.window))
    }

    /// How many failures in a row led to one seen at `now`: 0 after a stable run.
    pub fn consecutive_failures(&self, now: Moment, policy: &RestartPolicy) -> u32 {
        self.row(now, policy.reset_after_stable, policy)
    }

    /// Nothing is left for a failure seen at `now`: in the window, or in a loop whose delays make it longer than the window.
    pub fn is_spent(&self, now: Moment, policy: &RestartPolicy) -> bool {
        let budget = policy.allowance.budget;
        self.left(now, policy.allowance) == 0 || budget <= self.row(now, policy.loop_run_max(), policy)
    }

    fn row(&self, now: Moment, run_max: Duration, policy: &RestartPolicy) -> u32 {
        let mut later = Past::from(now);
        let mut failures = 0;
        for &at in self.restarts.iter().rev() {
            // Between two restarts lie a run and the delay before the later one.
            let slack = if failures == 0 {
                Duration::ZERO
            } else {
                policy.delay_max
            };
            if run_max + slack <= later.since(at) {
                break;
            }
            failures += 1;
            later = at;
        }
        failures
    }

    /// The delay of a restart after a failure seen at `now`, with a jitter of up to a quarter less; the same for the
    /// same seed.
    pub fn next_delay(&self, now: Moment, policy: &RestartPolicy, seed: u64) -> Duration {
        let failures = self.consecutive_failures(now, policy);
        let delay = policy.delay(failures);
        let quarter = u64::try_from(delay.as_micros() / 4).unwrap_or(u64::MAX);
        if quarter == 0 {
            return delay;
        }
        delay - Duration::from_micros(mix(seed ^ (u64::from(failures) << 48) ^ now.as_micros()) % quarter)
    }

    /// The newest restart.
    pub fn last(&self) -> Option<Past> {
        self.restarts.back().copied()
    }
}

/// The budget of all subjects of one watchdog together. Failures of one cause are exempt from it.
#[derive(Clone, Debug, Default)]
pub struct FleetBudget {
    policy: FleetPolicy,
    restarts: RestartBudget,
    /// Failures of late, one per subject, oldest first.
    failures: VecDeque<(Moment, SubjectId)>,
    /// From the first to the last failure of many that failed at once, oldest first.
    bursts: VecDeque<(Moment, Moment)>,
    outbreaks: Outbreaks,
}

impl FleetBudget {
    /// Most remembered failures.
    pub const FAILURES_MAX: usize = 1024;
    /// Most remembered bursts.
    pub const BURSTS_MAX: usize = 64;

    /// A whole budget.
    pub fn new(policy: FleetPolicy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Its policy.
    pub const fn policy(&self) -> &FleetPolicy {
        &self.policy
    }

    /// Notes a failure, to tell many at once.
    pub fn record_failure(&mut self, now: Moment, subject: &SubjectId) {
        let window = self.policy.correlated_window;
        self.failures
            .retain(|(at, known)| now.since(*at) < window && known != subject);
        if Self::FAILURES_MAX <= self.failures.len() {
            self.failures.pop_front();
        }
        self.failures.push_back((now, subject.clone()));
        if self.failures.len() < self.policy.correlated as usize {
            return;
        }
        let first = self.failures.front().map_or(now, |(at, _)| *at);
        match self.bursts.back_mut().filter(|(_, last)| first <= *last) {
            Some((_, last)) => *last = now,
            None => {
                if Self::BURSTS_MAX <= self.bursts.len() {
                    self.bursts.pop_front();
                }
                self.bursts.push_back((first, now));
            }
        }
    }

    /// True if a failure that was noted then is one of so many at once that they have one cause. It stays so, however long
    /// its subject waits for its turn.
    pub fn is_in_burst(&self, failed: Moment) -> bool {
        let mut bursts = self.bursts.iter();
        bursts.any(|(first, last)| (*first..=*last).contains(&failed))
    }

    /// Who is ill of late, and whether many are at once.
    pub const fn outbreaks(&self) -> &Outbreaks {
        &self.outbreaks
    }

    /// The same, to be told of who is ill.
    pub const fn outbreaks_mut(&mut self) -> &mut Outbreaks {
        &mut self.outbreaks
    }

    /// Takes one restart from it.
    pub fn record_restart(&mut self, at: impl Into<Past>) {
        self.restarts.record_restart(at);
    }

    /// Gives back the restart that was taken at that moment.
    pub fn give_back(&mut self, at: Moment) {
        self.restarts.give_back(at);
    }

    /// What is left.
    pub fn left(&self, now: Moment) -> u32 {
        self.restarts.left(now, self.policy.allowance)
    }

    /// When one restart is left again.
    pub fn free_at(&self, now: Moment) -> Moment {
        self.restarts.free_at(now, self.policy.allowance)
    }
}

#[cfg(test)]
mod tests {
    //! Windows, rows of failures, many at once.
    use super::super::policy::{FleetLimits, RestartLimits};
    use super::*;
    use alloc::format;

    fn at(ms: u64) -> Moment {
        Moment::from_millis(1_000_000 + ms)
    }

    #[test]
    fn a_stable_run_makes_the_next_a_first_one() {
        let policy = RestartPolicy::default();
        let mut budget = RestartBudget::default();
        budget.record_restart(at(0));
        assert_eq!(budget.consecutive_failures(at(1000), &policy), 1);
        budget.record_restart(at(1100));
        assert_eq!(budget.consecutive_failures(at(2000), &policy), 2);
        assert_eq!(budget.consecutive_failures(at(61_100), &policy), 0);
    }

    #[test]
    fn a_loop_is_spent_though_its_delays_make_it_longer_than_the_window() {
        let policy = RestartPolicy::default();
        let loop_of = |run_secs: u64| {
            let mut budget = RestartBudget::default();
            let mut end = at(0);
            let mut restarts = 0;
            while !budget.is_spent(end, &policy) && restarts < 100 {
                let begin = end + budget.next_delay(end, &policy, 1);
                budget.record_restart(begin);
                restarts += 1;
                end = begin + Duration::from_secs(run_secs);
            }
            restarts
        };
        assert_eq!([0, 10, 30, 59].map(loop_of), [12; 4]);
        assert_eq!(loop_of(121), 100, "one every two minutes is no loop");
    }

    #[test]
    fn it_comes_back_one_by_one() {
        let mut budget = RestartBudget::default();
        let allowance = Allowance {
            budget: 5,
            ..RestartLimits::default().allowance
        };
        for n in 0..5 {
            assert_eq!(budget.left(at(n * 1000), allowance), 5 - u32::try_from(n).unwrap());
            budget.record_restart(at(n * 1000));
        }
        assert_eq!(budget.left(at(5000), allowance), 0);
        assert_eq!(budget.free_at(at(5000), allowance), at(600_000));
        assert_eq!(budget.left(at(600_000), allowance), 1);
        let none = Allowance { budget: 0, ..allowance };
        assert_eq!(budget.free_at(at(5000), none), Moment::FAR_FUTURE);
        budget.reset();
        assert_eq!((budget.left(at(5000), allowance), budget.last()), (5, None));
    }

    #[test]
    fn restarts_count_in_whatever_order_they_are_remembered() {
        let allowance = RestartLimits::default().allowance;
        let policy = RestartPolicy::default();
        let mut ordered = RestartBudget::default();
        [0, 590_000, 595_000, 610_000]
            .into_iter()
            .for_each(|ms| ordered.record_restart(at(ms)));
        for shuffled in [[595_000, 0, 610_000, 590_000], [610_000, 595_000, 590_000, 0]] {
            let mut budget = RestartBudget::default();
            shuffled.into_iter().for_each(|ms| budget.record_restart(at(ms)));
            assert_eq!(budget.used(at(620_000), allowance.window), 3);
            let three = Allowance { budget: 3, ..allowance };
            assert_eq!(budget.free_at(at(620_000), three), at(1_190_000));
            assert_eq!(budget.consecutive_failures(at(620_000), &policy), 3);
            assert_eq!(budget, ordered);
        }
    }

    #[test]
    fn a_restart_of_before_the_boot_is_older_than_the_boot() {
        let (now, allowance) = (Moment::from_millis(20_000), RestartLimits::default().allowance);
        let mut budget = RestartBudget::default();
        for ago in [86_400, 590] {
            (0..3).for_each(|_| budget.record_restart(Past::ago(now, Duration::from_secs(ago))));
        }
        assert_eq!(budget.used(now, allowance.window), 3);
        let ago = |secs| Some(Past::ago(now, Duration::from_secs(secs)));
        let used = [None, ago(600), ago(590)].map(|it| budget.used_after(it, now, allowance.window));
        assert_eq!(used, [3, 3, 0]);
        assert_eq!(budget.used(now + Duration::from_secs(10), allowance.window), 0);
        let three = Allowance { budget: 3, ..allowance };
        assert_eq!(budget.free_at(now, three), Moment::from_millis(30_000));
        assert_eq!(budget.consecutive_failures(now, &RestartPolicy::default()), 0);
    }

    #[test]
    fn the_largest_budget_is_counted_to_its_end() {
        let allowance = Allowance {
            budget: BUDGET_MAX,
            window: Duration::from_secs(600),
        };
        let mut budget = RestartBudget::default();
        for n in 0..BUDGET_MAX {
            assert_eq!(budget.left(at(n.into()), allowance), BUDGET_MAX - n);
            budget.record_restart(at(n.into()));
        }
        assert_eq!(budget.left(at(1000), allowance), 0);
        budget.record_restart(at(1000));
        assert_eq!(budget.left(at(1001), allowance), 0);
    }

    #[test]
    fn jitter_only_shortens_and_is_repeatable() {
        let policy = RestartPolicy::default();
        let mut budget = RestartBudget::default();
        budget.record_restart(at(0));
        budget.record_restart(at(10));
        for seed in 0..200 {
            let delay = budget.next_delay(at(500), &policy, seed);
            assert!((150..=200).contains(&delay.as_millis()), "{delay:?}");
            assert_eq!(delay, budget.next_delay(at(500), &policy, seed));
        }
    }

    #[test]
    fn many_subjects_at_once_are_one_cause_and_one_subject_often_is_not() {
        let policy = FleetPolicy::new(FleetLimits::default()).unwrap();
        let mut fleet = FleetBudget::new(policy);
        let subject = |n: u64| SubjectId::new(&format!("h/d/{n}")).unwrap();
        for n in 0..10 {
            fleet.record_failure(at(n), &subject(1));
        }
        assert!(!fleet.is_in_burst(at(9)));
        for n in 0..4 {
            fleet.record_failure(at(5000), &subject(10 + n));
        }
        let in_burst = |fleet: &FleetBudget| [8, 9, 10, 5000, 5001].map(|ms| fleet.is_in_burst(at(ms)));
        assert_eq!(in_burst(&fleet), [false, true, true, true, false], "the fifth in 5 s");
        for n in 0..300 {
            fleet.record_failure(at(6000 + n), &subject(100 + n));
        }
        assert!(fleet.is_in_burst(at(6299)) && !fleet.is_in_burst(at(6300)));
        fleet.record_failure(at(100_000), &subject(1));
        assert!(
            !fleet.is_in_burst(at(100_000)) && fleet.is_in_burst(at(9)),
            "it stays one"
        );
    }
}
