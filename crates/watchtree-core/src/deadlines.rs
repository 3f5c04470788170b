//! The one timer index of every machine: who wants to be called when. The soonest first; one deadline per key.
//!
//! Knows no clock: the machine asks what is due at the moment it was given.

use crate::time::Moment;
use alloc::collections::{BTreeMap, BTreeSet};

/// At most one deadline per key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Deadlines<K: Ord + Clone> {
    by_key: BTreeMap<K, Moment>,
    /// Mirrors `by_key`.
    soonest: BTreeSet<(Moment, K)>,
}

impl<K: Ord + Clone> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            soonest: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    /// Sets the deadline of `key`; an older one is replaced.
    pub(crate) fn arm(&mut self, key: K, at: Moment) {
        self.disarm(&key);
        self.soonest.insert((at, key.clone()));
        self.by_key.insert(key, at);
    }

    /// Takes the deadline of `key` away.
    pub(crate) fn disarm(&mut self, key: &K) {
        if let Some((key, at)) = self.by_key.remove_entry(key) {
            self.soonest.remove(&(at, key));
        }
    }

    /// The deadline of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<Moment> {
        self.by_key.get(key).copied()
    }

    /// The soonest deadline.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.soonest.first().map(|(at, _)| *at)
    }

    /// Every key and its deadline, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, Moment)> {
        self.by_key.iter().map(|(key, at)| (key, *at))
    }

    /// Takes out one key whose deadline has come, the soonest first; equal ones in the order of their keys.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<K> {
        if now < self.next()? {
            return None;
        }
        let (_, key) = self.soonest.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    //! The index and its order.
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn each_key_has_one_deadline_and_the_soonest_comes_first() {
        let at = Moment::from_millis;
        let mut deadlines = Deadlines::default();
        deadlines.arm("b", at(5));
        deadlines.arm("a", at(5));
        deadlines.arm("c", at(1));
        deadlines.arm("c", at(9));
        deadlines.arm("d", at(3));
        deadlines.arm("e", at(2));
        deadlines.disarm(&"e");
        assert_eq!((deadlines.next(), deadlines.get(&"c")), (Some(at(3)), Some(at(9))));
        assert_eq!(deadlines.pop_due(at(2)), None, "nothing is due yet");
        let due: Vec<_> = core::iter::from_fn(|| deadlines.pop_due(at(5))).collect();
        assert_eq!(due, ["d", "a", "b"], "what is due now is due");
        assert_eq!(deadlines.next(), Some(at(9)));
    }
}
