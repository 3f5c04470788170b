//! Containers that were made and never ran: no event and no list tells that a start of one was refused, only an inspection.

use super::io::ContainerId;
use super::observation::{ContainerObservation, Status};
use crate::time::{Duration, Moment};
use alloc::vec::Vec;

/// A start that fails right after the container was made shows within this time.
const FIRST_START_SHOWS: Duration = Duration::from_secs(3);
/// So many are inspected anew with each list.
const INSPECTS_PER_LIST_MAX: usize = 4;

/// When one that was just made is to be inspected, if nobody has started it.
pub(crate) fn due(it: &ContainerObservation) -> Moment {
    it.first_seen() + FIRST_START_SHOWS
}

/// Those whose last inspections are the oldest.
pub(crate) fn stalest<'a>(all: impl Iterator<Item = &'a ContainerObservation>) -> Vec<ContainerId> {
    let created = all.filter(|it| it.status() == Status::Created);
    let mut created: Vec<_> = created.map(|it| (it.inspected_at(), it.id())).collect();
    created.sort_unstable();
    created.truncate(INSPECTS_PER_LIST_MAX);
    created.into_iter().map(|(_, id)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    //! Each in its turn.
    use super::*;
    use crate::container::io::{ContainerView, EngineTime, RunState};
    use alloc::format;
    use alloc::string::ToString;

    fn seen(id: &str, at: u64, run: RunState) -> ContainerObservation {
        let at = Moment::from_millis(at);
        let mut it = ContainerObservation::new(id.to_string(), at);
        let view = ContainerView {
            run,
            started_at: EngineTime(u64::from(run == RunState::Running)),
            ..ContainerView::default()
        };
        it.begin_inspection(at);
        it.absorb(at, view);
        it
    }

    #[test]
    fn the_longest_not_inspected_come_first_and_no_more_than_a_few() {
        let mut all: Vec<_> = (0..6)
            .map(|n| seen(&format!("c{n}"), 60 - n, RunState::Created))
            .collect();
        all.push(seen("runs", 1, RunState::Running));
        assert_eq!(stalest(all.iter()), ["c5", "c4", "c3", "c2"]);
        assert_eq!(due(&all[0]), Moment::from_millis(3060));
    }
}
