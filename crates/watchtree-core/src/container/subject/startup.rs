//! How the starts of a container went: when it was last well, and how long it took to get there. From that follows how long a
//! startup grace is.
//!
//! A grace is for starting: the first `healthy` of a life ends it. It grows with starts that never became well, and with them
//! only. Does not know whether the container is well now.

use crate::container::io::ContainerId;
use crate::container::record::StartupRecord;
use crate::container::settings::ContainerSettings;
use crate::subject::Incarnation;
use crate::supervisor::{RestartBudget, RestartPolicy};
use crate::time::{Duration, Moment, Past};

/// What becomes well later than this, and later than its grace, was perhaps not slow: what it needs was away.
const LEARNT_WITHIN: Duration = Duration::from_secs(60);

/// What is remembered of the starts of one container, and journalled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct StartupHistory {
    /// The last life that became well.
    well: Incarnation,
    /// When it did; `None` = never.
    well_at: Option<Past>,
    /// How long starts of late took to become well, by the slowest of them.
    time_to_well: Duration,
}

impl StartupHistory {
    /// As the journal held it.
    pub(crate) fn restore(well: Incarnation, well_at: Past, time_to_well: Duration) -> Self {
        Self {
            well,
            well_at: Some(well_at),
            time_to_well,
        }
    }

    /// That life is well. `since` = when it began, if that was seen; `grace` = what it was given. True the first time in each
    /// life.
    pub(super) fn became_well(
        &mut self,
        now: Moment,
        life: &Incarnation,
        (since, grace): (Option<Moment>, Duration),
    ) -> bool {
        if self.has_been_well(life) {
            return false;
        }
        (self.well, self.well_at) = (life.clone(), Some(now.into()));
        let took = since.map(|since| now.since(since));
        if let Some(took) = took.filter(|took| *took <= grace.max(LEARNT_WITHIN)) {
            // A slow start is forgotten by halves: the next one after a crash may take as long again.
            self.time_to_well = took.max((self.time_to_well + took) / 2);
        }
        true
    }

    pub(super) fn has_been_well(&self, life: &Incarnation) -> bool {
        !life.0.is_empty() && self.well == *life
    }

    /// A life of that container was well: its check can be run in it.
    pub(super) fn was_ever_well(&self, id: &ContainerId) -> bool {
        let life = self.well.0.strip_prefix(id.as_str());
        life.is_some_and(|rest| rest.starts_with('@'))
    }

    /// What is written down of a life that became well now.
    pub(super) fn record(&self, now: Moment, settings: &ContainerSettings) -> StartupRecord {
        StartupRecord {
            well: self.well.clone(),
            well_at: (now, settings.identity.boot_id, settings.wall(now)),
            time_to_well: self.time_to_well,
        }
    }

    /// The startup grace of that life, which began then. `asked` = a person's word for it, `start_period` = its image's.
    pub(super) fn grace(
        &self,
        (life, since): (&Incarnation, Moment),
        (asked, start_period): (Option<Duration>, Duration),
        budget: &RestartBudget,
        policy: &RestartPolicy,
    ) -> Duration {
        if self.has_been_well(life) {
            return Duration::ZERO;
        }
        let learned = start_period.max(self.time_to_well.min(policy.grace_max));
        // A restart that leaves the window later does not shorten it.
        let restarts = budget.used_after(self.well_at, since, policy.allowance.window);
        policy.grace(asked.unwrap_or(learned), restarts)
    }
}

#[cfg(test)]
mod tests {
    //! When a grace ends, grows, and what it learns.
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    fn life(name: &str) -> Incarnation {
        Incarnation::container("c1", name)
    }

    #[test]
    fn the_first_well_moment_of_a_life_ends_its_grace_and_what_was_before_counts_no_more() {
        let (policy, mut budget) = (RestartPolicy::default(), RestartBudget::default());
        let mut history = StartupHistory::default();
        let grace = |history: &StartupHistory, budget: &RestartBudget, name: &str, since| {
            let asked = (Some(Duration::ZERO), Duration::ZERO);
            history
                .grace((&life(name), at(since)), asked, budget, &policy)
                .as_secs()
        };
        for (secs, expected) in [(10, 5), (20, 10), (30, 20)] {
            budget.record_restart(at(secs));
            assert_eq!(grace(&history, &budget, "new", secs), expected, "it never became well");
        }
        let unseen = (None, Duration::ZERO);
        assert!(history.became_well(at(40), &life("a"), unseen));
        assert!(!history.became_well(at(41), &life("a"), unseen), "once in a life");
        assert_eq!(grace(&history, &budget, "a", 31), 0);
        for secs in [50, 60, 70, 80, 90, 100] {
            budget.record_restart(at(secs));
            let name = alloc::format!("{secs}");
            assert_eq!(grace(&history, &budget, &name, secs), 5, "the last one became well");
            let seen = (Some(at(secs)), Duration::ZERO);
            assert!(history.became_well(at(secs + 2), &life(&name), seen));
        }
        assert!(!history.has_been_well(&Incarnation::default()));
        let was_well = |id: &str| history.was_ever_well(&id.into());
        assert!(was_well("c1") && !was_well("c") && !was_well("c11") && !was_well(""));
    }

    #[test]
    fn a_grace_is_as_long_as_starts_have_taken_unless_a_person_says_otherwise() {
        let (policy, budget) = (RestartPolicy::default(), RestartBudget::default());
        let mut history = StartupHistory::default();
        let mut after = |secs, took, asked: Option<u64>| {
            let (name, given) = (alloc::format!("{secs}"), Duration::from_secs(900));
            history.became_well(at(secs + took), &life(&name), (Some(at(secs)), given));
            let said = (asked.map(Duration::from_secs), Duration::from_secs(30));
            history
                .grace((&life("next"), at(999)), said, &budget, &policy)
                .as_secs()
        };
        assert_eq!(after(0, 2, None), 30, "its image's start period");
        assert_eq!(after(100, 240, None), 240);
        assert_eq!(after(400, 40, None), 140, "the slow one is half forgotten");
        assert_eq!(after(500, 40, Some(1)), 1);
        assert_eq!(after(2000, 4000, None), 90, "that was no start any more");
    }
}
