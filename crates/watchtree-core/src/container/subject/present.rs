//! The incarnation of a container that runs, or ran last: which, since when, and what was counted in it. Does not know whether
//! it is well.

use super::stale::RestartAfter;
use crate::container::health_check::HealthEvidence;
use crate::container::io::ContainerId;
use crate::container::observation::ContainerObservation;
use crate::container::settings::ContainerSettings;
use crate::subject::Incarnation;
use crate::time::{Duration, Moment};
use alloc::vec::Vec;

/// Most ends for memory that are remembered: as many as there may be restarts in a window.
const MEMORY_ENDS_MAX: usize = 100;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct PresentIncarnation {
    incarnation: Incarnation,
    since: Moment,
    /// It is known from the journal only: how old it is, the first inspection tells.
    is_remembered: bool,
    /// Restarts by the engine counted so far, of which container.
    engine_restarts: Option<(ContainerId, u64)>,
    /// When a stop signal of somebody else came that has not led to an end yet.
    signal_at: Option<Moment>,
    /// Since when it is unhealthy.
    ill_since: Option<Moment>,
    /// It is to be restarted after another one.
    restart_after: Option<RestartAfter>,
    /// Since when the engine says that it is being removed.
    removed_since: Option<(ContainerId, Moment)>,
    /// Its ends for memory, as far as they count.
    memory_ends: Vec<Moment>,
    /// A repair of ours began it, and nobody was told yet.
    is_ours: bool,
}

impl PresentIncarnation {
    /// As the journal held it; its last restart is the best that is known of its age.
    pub(super) fn restore(
        incarnation: Option<Incarnation>,
        last_restart: Option<Moment>,
        signal_at: Option<Moment>,
    ) -> Self {
        Self {
            is_remembered: incarnation.is_some(),
            incarnation: incarnation.unwrap_or_default(),
            since: last_restart.unwrap_or(Moment::ZERO),
            signal_at,
            ..Self::default()
        }
    }

    pub(crate) fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    pub(crate) fn since(&self) -> Moment {
        self.since
    }

    pub(crate) fn signal_at(&self) -> Option<Moment> {
        self.signal_at
    }

    /// That container is being removed: since when that is known.
    pub(crate) fn removed_since(&mut self, now: Moment, id: &ContainerId) -> Moment {
        let known = self.removed_since.take().filter(|(of, _)| of == id);
        self.removed_since.insert(known.unwrap_or((id.clone(), now))).1
    }

    /// It has ended for memory: how often it has within that time.
    pub(super) fn ended_for_memory(&mut self, now: Moment, window: Duration) -> usize {
        self.memory_ends.retain(|at| now < *at + window);
        if MEMORY_ENDS_MAX <= self.memory_ends.len() {
            self.memory_ends.remove(0);
        }
        self.memory_ends.push(now);
        self.memory_ends.len()
    }

    /// Somebody else's stop signal came, and has not led to an end yet.
    pub(crate) fn is_being_stopped(&self) -> bool {
        self.signal_at.is_some()
    }

    /// Since when it is unhealthy, if it is.
    pub(super) fn ill_since(&self) -> Option<Moment> {
        self.ill_since
    }

    /// Somebody else sent it a stop signal.
    pub(super) fn saw_signal(&mut self, now: Moment) {
        self.signal_at = Some(now);
    }

    pub(crate) fn forget_signal(&mut self) {
        self.signal_at = None;
    }

    /// It was seen to run.
    pub(super) fn saw_running(&mut self, now: Moment, it: &ContainerObservation, settings: &ContainerSettings) {
        let (incarnation, is_remembered) = (it.incarnation(), core::mem::take(&mut self.is_remembered));
        let was_ill = self.ill_since.filter(|_| self.incarnation == incarnation);
        self.ill_since = (it.health() == Some(HealthEvidence::Failing)).then(|| was_ill.unwrap_or(now));
        if self.incarnation == incarnation && !is_remembered {
            return;
        }
        self.since = match it.born_at() {
            Some(born) => born,
            // A wall clock that was set since makes it no older than its last restart.
            None if self.incarnation.0.is_empty() || is_remembered => {
                settings.moment_of_stamp(now, it.started_at()).max(self.since)
            }
            None => now,
        };
        self.incarnation = incarnation;
        (self.restart_after, self.is_ours) = (None, false);
        if !it.has_foreign_signal() {
            self.signal_at = None;
        }
    }

    /// It runs again since then, by a repair of ours.
    pub(super) fn restarted(&mut self, since: Moment, it: &ContainerObservation) {
        *self = Self {
            incarnation: it.incarnation(),
            since,
            is_remembered: self.is_remembered,
            is_ours: true,
            memory_ends: core::mem::take(&mut self.memory_ends),
            ..Self::default()
        };
    }

    /// True once for each incarnation that a repair of ours began.
    pub(crate) fn take_restarted(&mut self) -> bool {
        core::mem::take(&mut self.is_ours)
    }

    /// Another one was restarted by us, and this is to follow.
    pub(crate) fn restart_after(&mut self, after: RestartAfter) {
        self.restart_after = Some(after);
    }

    /// The restart of another that it is to follow.
    pub(super) fn follows(&self) -> Option<&RestartAfter> {
        self.restart_after.as_ref()
    }

    /// Restarts by the engine since this was asked last.
    pub(crate) fn count_engine_restarts(&mut self, it: &ContainerObservation) -> u64 {
        let Some(view) = it.view() else { return 0 };
        match self.engine_restarts.replace((it.id().clone(), view.restart_count)) {
            Some((id, before)) if id == *it.id() => view.restart_count.saturating_sub(before),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    //! How old an incarnation is, and how often the engine restarted it.
    use super::*;
    use crate::container::io::{ContainerView, EngineTime, RunState};
    use crate::fixture::{identity, subject};
    use crate::id::Tier;
    use alloc::string::ToString;

    /// Seen at 60 s: started at that second.
    fn running(id: &str, started: u64, restart_count: u64) -> ContainerObservation {
        let mut it = ContainerObservation::new(id.to_string(), Moment::ZERO);
        let view = ContainerView {
            run: RunState::Running,
            started_at: EngineTime(started * 1_000_000_000),
            started_at_text: started.to_string(),
            restart_count,
            ..ContainerView::default()
        };
        it.absorb(Moment::from_millis(60_000), view);
        it
    }

    #[test]
    fn an_incarnation_is_as_old_as_its_start_if_it_is_the_first_that_is_seen() {
        let now = Moment::from_millis(60_000);
        let settings = ContainerSettings::new(identity("c", Tier::Container, 1), subject("h/d"));
        let (old, new) = (running("c1", 10, 0), running("c1", 50, 0));
        let mut present = PresentIncarnation::default();
        present.saw_running(now, &old, &settings);
        assert_eq!(present.since(), Moment::from_millis(10_000));
        present.saw_signal(now);
        present.saw_running(now, &old, &settings);
        assert_eq!(present.signal_at(), Some(now), "it runs on");
        present.saw_running(now, &new, &settings);
        assert_eq!((present.since(), present.signal_at()), (now, None));
        let restart = Some(Moment::from_millis(5));
        let mut present = PresentIncarnation::restore(Some(old.incarnation()), restart, Some(now));
        assert_eq!(
            (present.since(), present.signal_at()),
            (Moment::from_millis(5), Some(now))
        );
        present.saw_running(now, &old, &settings);
        assert_eq!(
            present.since(),
            Moment::from_millis(10_000),
            "the inspection knows better"
        );
    }

    #[test]
    fn restarts_by_the_engine_are_counted_from_the_first_sight_of_a_container() {
        let mut present = PresentIncarnation::default();
        let counted = [("c1", 3), ("c1", 5), ("c1", 5), ("c2", 9), ("c2", 10)]
            .map(|(id, count)| present.count_engine_restarts(&running(id, 1, count)));
        assert_eq!(counted, [0, 2, 0, 0, 1]);
    }
}
