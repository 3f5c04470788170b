//! Whose turn it is among containers that are to be inspected again and again, perhaps for ever: a few at a time, each as often as the
//! others. Does not know why.

use crate::container::io::ContainerId;
use alloc::vec::Vec;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    /// The last one that had its turn.
    last: Option<ContainerId>,
}

impl Turns {
    /// The next of these, which come in order, and never one of them twice.
    pub(crate) fn next<'c>(&mut self, all: impl Iterator<Item = &'c ContainerId>, at_most: usize) -> Vec<ContainerId> {
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
