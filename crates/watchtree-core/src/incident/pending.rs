//! What must last for a while to count (the `for` of an alert): an illness that may become an incident, a subject that may
//! be gone.
//!
//! Keeps the time only; what waited is looked at anew when its time has come.

use crate::deadlines::Deadlines;
use crate::subject::SubjectId;
use crate::time::Moment;
use alloc::vec::Vec;

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    until: Deadlines<SubjectId>,
}

impl Pending {
    /// Waits until then; one that waits already keeps its time.
    pub(crate) fn begin(&mut self, subject: &SubjectId, until: Moment) {
        if self.until.get(subject).is_none() {
            self.until.arm(subject.clone(), until);
        }
    }

    pub(crate) fn cancel(&mut self, subject: &SubjectId) {
        self.until.disarm(subject);
    }

    pub(crate) fn cancel_within(&mut self, top: &SubjectId) {
        for subject in self.matching(|subject, _| subject.is_within(top)) {
            self.until.disarm(&subject);
        }
    }

    /// Nothing that waits is decided before then.
    pub(crate) fn extend(&mut self, until: Moment) {
        for subject in self.matching(|_, at| at < until) {
            self.until.arm(subject, until);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.until.next()
    }

    /// One that has waited long enough.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<SubjectId> {
        self.until.pop_due(now)
    }

    fn matching(&self, wanted: impl Fn(&SubjectId, Moment) -> bool) -> Vec<SubjectId> {
        let matching = self.until.iter().filter(|(subject, at)| wanted(subject, *at));
        matching.map(|(subject, _)| subject.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    //! Who waits until when.
    use super::*;
    use crate::fixture::subject;

    #[test]
    fn the_time_runs_from_the_first_word_and_a_stall_extends_it() {
        let at = Moment::from_millis;
        let mut pending = Pending::default();
        pending.begin(&subject("h1/d/a"), at(10));
        pending.begin(&subject("h1/d/a"), at(20));
        pending.begin(&subject("h1/d/b"), at(30));
        pending.begin(&subject("h2/d/a"), at(10));
        assert_eq!(pending.next_deadline(), Some(at(10)));
        pending.extend(at(15));
        assert_eq!((pending.next_deadline(), pending.pop_due(at(14))), (Some(at(15)), None));
        assert_eq!(pending.pop_due(at(15)), Some(subject("h1/d/a")));
        pending.cancel_within(&subject("h1"));
        pending.begin(&subject("h9"), at(98));
        pending.cancel(&subject("h9"));
        assert_eq!(pending.pop_due(at(99)), Some(subject("h2/d/a")));
        assert_eq!(pending.next_deadline(), None);
    }
}
