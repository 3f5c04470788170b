//! Whether a container was ever seen to come up: to run for a while, or to be well. What never did, and has no restart policy,
//! may be a job that failed or a mistake in its making, and no service. Does not know why it ended.

use crate::container::health_check::HealthEvidence;
use crate::container::io::ContainerId;
use crate::container::observation::ContainerObservation;
use crate::time::{Duration, Moment};

/// A run of that length is no failed start.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(10);

/// The container that came up.
#[derive(Clone, Debug, Default)]
pub(super) struct StableRun(Option<ContainerId>);

impl StableRun {
    /// What the journal proves.
    pub(super) fn restore(id: Option<ContainerId>) -> Self {
        Self(id)
    }

    /// That container came up, at least once.
    pub(super) fn of(&self, id: &ContainerId) -> bool {
        self.0.as_ref() == Some(id)
    }

    /// It runs, since then. True if that is news: it came up.
    pub(super) fn saw_running(&mut self, now: Moment, it: &ContainerObservation, since: Moment) -> bool {
        self.saw(
            it,
            it.health() == Some(HealthEvidence::Passing) || STABLE_AFTER <= now.since(since),
        )
    }

    /// It has ended: how long did it run, by the engine's clock or, should that have been set back, by ours? True if that is
    /// news.
    pub(super) fn saw_end(&mut self, it: &ContainerObservation) -> bool {
        let by_engine = Duration::from_nanos(it.ended().0.saturating_sub(it.began().0));
        let seen = it.born_at().zip(it.end().filter(|end| end.by_event));
        let by_arrival = seen.map_or(Duration::ZERO, |(born, end)| end.at.since(born));
        self.saw(it, STABLE_AFTER <= by_engine.max(by_arrival))
    }

    fn saw(&mut self, it: &ContainerObservation, came_up: bool) -> bool {
        let is_news = came_up && !self.of(it.id());
        if is_news {
            self.0 = Some(it.id().clone());
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    //! Which runs count.
    use super::*;
    use crate::container::io::{ContainerView, EngineTime, Health, RunState};
    use alloc::string::ToString;

    fn seen(id: &str, run: RunState, (began, ended): (u64, u64), health: Health) -> ContainerObservation {
        let mut it = ContainerObservation::new(id.to_string(), Moment::ZERO);
        let view = ContainerView {
            run,
            health,
            started_at: EngineTime(began),
            finished_at: EngineTime(ended),
            ..ContainerView::default()
        };
        it.absorb(Moment::ZERO, view);
        it
    }

    #[test]
    fn a_long_run_counts_and_so_does_a_short_one_that_was_well() {
        let running = |health| seen("c1", RunState::Running, (1, 0), health);
        let ended = |nanos: u64| seen("c1", RunState::Exited, (1, 1 + nanos), Health::None);
        let c1 = "c1".to_string();
        for (it, after, expected) in [
            (running(Health::None), 9_999, false),
            (running(Health::None), 10_000, true),
            (running(Health::Healthy), 0, true),
            (ended(9_999_999_999), 0, false),
            (ended(10_000_000_000), 0, true),
        ] {
            let (mut run, now) = (StableRun::default(), Moment::from_millis(after));
            let is_news = match it.status() {
                crate::container::observation::Status::Running => run.saw_running(now, &it, Moment::ZERO),
                _ => run.saw_end(&it),
            };
            assert_eq!((is_news, run.of(&c1)), (expected, expected), "{:?} {after}", it.view());
        }
        let mut run = StableRun::restore(Some(c1.clone()));
        assert!(run.of(&c1));
        run.saw_running(
            Moment::ZERO,
            &seen("c2", RunState::Running, (1, 0), Health::None),
            Moment::ZERO,
        );
        assert!(!run.of(&"c2".to_string()), "each container for itself");
    }
}
