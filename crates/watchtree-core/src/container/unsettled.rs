//! Which containers are to be inspected again, though no event asks for it: what the last inspection left open, what is in motion,
//! and, a few at a time, those of which it is open what the engine's `unhealthy` is worth. Those may stay so for ever, and no event
//! tells of the next run of their checks. Does not know when it is asked.

use super::inventory::Inventory;
use super::io::ContainerId;
use super::observation::{ContainerObservation, Status};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// More than so many are not inspected one by one.
const INSPECTED_MAX: usize = 16;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsettled {
    unproven: Turns,
}

impl Unsettled {
    /// Those whose turn it is; `None` = so many are not settled that the whole list is cheaper.
    pub(crate) fn due<'c>(
        &mut self,
        inventory: &'c Inventory,
        in_motion: impl Iterator<Item = &'c ContainerId>,
    ) -> Option<Vec<ContainerId>> {
        let between = [Status::Unknown, Status::Backoff, Status::Removing];
        let all = inventory.observations();
        let unclear = all.filter(|it| between.contains(&it.status()) || !it.is_current());
        let unclear = unclear.map(ContainerObservation::id);
        let unsettled: BTreeSet<_> = unclear.chain(in_motion).chain(inventory.moving()).collect();
        let places = INSPECTED_MAX.checked_sub(unsettled.len())?;
        let all = inventory.observations();
        let unproven = all.filter(|it| it.status() == Status::Running && it.is_health_open(None));
        let turn = self.unproven.next(unproven.map(ContainerObservation::id), places);
        Some(unsettled.into_iter().cloned().chain(turn).collect())
    }
}

/// Each has its turn as often as the others.
#[derive(Clone, Debug, Default)]
struct Turns {
    /// The last one that had its turn.
    last: Option<ContainerId>,
}

impl Turns {
    /// The next of these, which come in order, and never one of them twice.
    fn next<'c>(&mut self, all: impl Iterator<Item = &'c ContainerId>, at_most: usize) -> Vec<ContainerId> {
        let all: Vec<&ContainerId> = all.collect();
        let (had_it, first) = all.split_at(all.partition_point(|id| Some(*id) <= self.last.as_ref()));
        let next: Vec<ContainerId> = first
            .iter()
            .chain(had_it)
            .take(at_most)
            .map(|id| (*id).clone())
            .collect();
        self.last = next.last().cloned().or(self.last.take());
        next
    }
}

#[cfg(test)]
mod tests {
    //! Who is next.
    use super::*;

    #[test]
    fn each_has_its_turn_also_where_some_come_and_go() {
        let mut turns = Turns::default();
        let mut next = |all: &[&str], at_most| {
            let all: Vec<ContainerId> = all.iter().map(|id| (*id).into()).collect();
            turns.next(all.iter(), at_most).join(" ")
        };
        assert_eq!(next(&[], 2), "");
        assert_eq!(next(&["a", "b", "c", "d", "e"], 2), "a b");
        assert_eq!(next(&["a", "b", "c", "d", "e"], 0), "", "no place");
        assert_eq!(next(&["a", "b", "c", "d", "e"], 2), "c d");
        assert_eq!(next(&["a", "b", "c", "e"], 2), "e a");
        assert_eq!(next(&["aa", "b"], 9), "aa b", "not twice");
        assert_eq!(next(&["aa", "b"], 1), "aa");
    }
}
