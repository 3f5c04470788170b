//! The newest decision records by subject, for `explain`: bounded per subject and in all; older ones are in the store.

use crate::decision::{Decision, DecisionId};
use crate::subject::SubjectId;
use alloc::collections::{BTreeMap, VecDeque};

/// A bounded memory of decisions.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecisionLog {
    by_subject: BTreeMap<SubjectId, VecDeque<Decision>>,
    /// All of them in the order they came, oldest first.
    order: VecDeque<(SubjectId, DecisionId)>,
}

impl DecisionLog {
    /// Most records of one subject.
    pub(crate) const PER_SUBJECT_MAX: usize = 64;
    /// Most records in all.
    pub(crate) const TOTAL_MAX: usize = 4096;

    /// Keeps a record; one with the same id is replaced. True if the id is new.
    pub(crate) fn put(&mut self, decision: Decision) -> bool {
        let subject = decision.subject.clone();
        let ring = self.by_subject.entry(subject.clone()).or_default();
        if let Some(old) = ring.iter_mut().rev().find(|old| old.id == decision.id) {
            *old = decision;
            return false;
        }
        self.order.push_back((subject.clone(), decision.id.clone()));
        ring.push_back(decision);
        if Self::PER_SUBJECT_MAX < ring.len() {
            ring.pop_front();
        }
        // Entries of records that fell out of their subject's ring are skipped here, so `order` stays bounded too.
        while Self::TOTAL_MAX < self.order.len() {
            self.drop_oldest();
        }
        true
    }

    fn drop_oldest(&mut self) {
        let Some((subject, id)) = self.order.pop_front() else {
            return;
        };
        let Some(ring) = self.by_subject.get_mut(&subject) else {
            return;
        };
        ring.retain(|decision| decision.id != id);
        if ring.is_empty() {
            self.by_subject.remove(&subject);
        }
    }

    /// The records of one subject, oldest first.
    pub(crate) fn of(&self, subject: &SubjectId) -> impl Iterator<Item = &Decision> + use<'_> {
        self.by_subject.get(subject).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    //! The log's limits.
    use super::*;
    use crate::decision::Outcome;
    use crate::fixture::decision;
    use alloc::format;
    use alloc::vec::Vec;

    #[test]
    fn a_record_with_the_same_id_replaces_the_older() {
        let mut log = DecisionLog::default();
        assert!(log.put(decision("h/d/a", 1)));
        let mut again = decision("h/d/a", 1);
        again.outcome = Outcome::Succeeded;
        assert!(!log.put(again));
        let subject = SubjectId::new("h/d/a").unwrap();
        assert_eq!(
            log.of(&subject).map(|d| d.outcome).collect::<Vec<_>>(),
            [Outcome::Succeeded]
        );
    }

    #[test]
    fn it_is_bounded_per_subject_and_in_all() {
        let mut log = DecisionLog::default();
        for count in 0..10_000 {
            log.put(decision(&format!("h/d/{}", count % 1000), count));
        }
        for count in 10_000..11_000 {
            log.put(decision("h/d/one", count));
        }
        let kept: usize = log.by_subject.values().map(VecDeque::len).sum();
        assert!(kept <= DecisionLog::TOTAL_MAX, "{kept}");
        let one = SubjectId::new("h/d/one").unwrap();
        assert_eq!(log.of(&one).count(), DecisionLog::PER_SUBJECT_MAX);
        assert_eq!(log.of(&one).last().map(|d| d.id.count), Some(10_999));
    }

    #[test]
    fn as_many_as_have_room_are_kept_and_the_oldest_goes_first() {
        let mut log = DecisionLog::default();
        let total = DecisionLog::TOTAL_MAX as u64;
        let counts = |log: &DecisionLog| -> Vec<u64> {
            log.of(&SubjectId::new("h/d/0").unwrap())
                .map(|it| it.id.count)
                .collect()
        };
        for count in 0..total {
            log.put(decision(&format!("h/d/{}", count % 2048), count));
        }
        assert_eq!(counts(&log), [0, 2048]);
        log.put(decision("h/d/new", total));
        assert_eq!(counts(&log), [2048]);
    }
}
