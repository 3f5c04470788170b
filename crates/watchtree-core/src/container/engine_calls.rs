//! Calls to the engine that are or may be under way, the places among them, and who waits for one.
//!
//! A call whose deadline passed may hang in the engine for ever: it holds no place, and is never posted again. Does not know
//! why a call is made, nor what its answer means.

use super::io::Ticket;
use crate::subject::SubjectId;
use crate::time::Moment;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

#[derive(Clone, Debug)]
struct Call {
    subject: SubjectId,
    /// Its deadline has passed without an answer.
    is_lost: bool,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct EngineCalls {
    count: u64,
    places: usize,
    calls: BTreeMap<Ticket, Call>,
    /// The newest call of each subject, while it is or may be under way.
    newest: BTreeMap<SubjectId, Ticket>,
    /// Who waits for a place, and since when.
    queue: BTreeMap<SubjectId, Moment>,
}

impl EngineCalls {
    /// So many calls at one time; at least one.
    pub(crate) fn new(places: u32) -> Self {
        Self {
            count: 0,
            places: places.max(1) as usize,
            calls: BTreeMap::new(),
            newest: BTreeMap::new(),
            queue: BTreeMap::new(),
        }
    }

    /// The ticket of the next call.
    pub(crate) fn next_ticket(&self) -> Ticket {
        Ticket(self.count + 1)
    }

    /// A call of that subject is posted.
    pub(crate) fn open(&mut self, ticket: Ticket, subject: SubjectId) {
        self.count = self.count.max(ticket.0);
        self.newest.insert(subject.clone(), ticket);
        let is_lost = false;
        self.calls.insert(ticket, Call { subject, is_lost });
    }

    /// Whose call it is, while it is or may be under way.
    pub(crate) fn subject_of(&self, ticket: Ticket) -> Option<&SubjectId> {
        self.calls.get(&ticket).map(|call| &call.subject)
    }

    /// Its deadline passed without an answer.
    pub(crate) fn lose(&mut self, ticket: Ticket) {
        if let Some(call) = self.calls.get_mut(&ticket) {
            call.is_lost = true;
        }
    }

    /// It is over.
    pub(crate) fn close(&mut self, ticket: Ticket) {
        if let Some(call) = self.calls.remove(&ticket)
            && self.newest.get(&call.subject) == Some(&ticket)
        {
            self.newest.remove(&call.subject);
        }
    }

    /// A call of the subject, its newest, is or may be under way.
    pub(crate) fn is_busy(&self, subject: &SubjectId) -> bool {
        self.newest.contains_key(subject)
    }

    /// The subject is gone: a successor of its name has called nothing.
    pub(crate) fn forget(&mut self, subject: &SubjectId) {
        self.newest.remove(subject);
        self.queue.remove(subject);
    }

    /// Calls that are or may be under way.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.calls.keys().copied().collect()
    }

    /// Calls that hold a place.
    pub(crate) fn in_time(&self) -> usize {
        self.calls.values().filter(|call| !call.is_lost).count()
    }

    /// One more may begin.
    pub(crate) fn has_place(&self) -> bool {
        self.in_time() < self.places
    }

    /// One more may begin that does not wait: those who do come first.
    pub(crate) fn has_place_beside_queue(&self) -> bool {
        self.in_time() + self.queue.len() < self.places
    }

    /// The subject waits for a place since then.
    pub(crate) fn wait(&mut self, subject: SubjectId, since: Moment) {
        self.queue.insert(subject, since);
    }

    /// The subject waits no more.
    pub(crate) fn unqueue(&mut self, subject: &SubjectId) {
        self.queue.remove(subject);
    }

    /// Everybody who waits and since when, who came first first: to be asked again while there is a place.
    pub(crate) fn take_queue(&mut self) -> Vec<(SubjectId, Moment)> {
        let mut queue: Vec<_> = core::mem::take(&mut self.queue).into_iter().collect();
        queue.sort_by_key(|(_, since)| *since);
        queue
    }
}

#[cfg(test)]
mod tests {
    //! Places, lost calls, the newest call, the queue.
    use super::*;

    #[test]
    fn a_lost_call_holds_no_place_and_keeps_its_subject_busy() {
        let web = SubjectId::new("h/d/web").unwrap();
        let mut calls = EngineCalls::new(1);
        let first = calls.next_ticket();
        calls.open(first, web.clone());
        assert!(!calls.has_place() && calls.is_busy(&web));
        calls.lose(first);
        assert!(calls.has_place() && calls.is_busy(&web));
        let second = calls.next_ticket();
        assert_ne!(first, second);
        calls.open(second, web.clone());
        calls.close(first);
        assert!(calls.is_busy(&web) && calls.subject_of(first).is_none());
        calls.close(second);
        assert!(!calls.is_busy(&web) && calls.in_time() == 0);
    }

    #[test]
    fn who_waits_longest_is_asked_first_and_a_newcomer_after_all_of_them() {
        let [a, b, c] = ["h/d/a", "h/d/b", "h/d/c"].map(|id| SubjectId::new(id).unwrap());
        let mut calls = EngineCalls::new(3);
        for (subject, ms) in [(&a, 30), (&b, 20), (&c, 10)] {
            calls.wait(subject.clone(), Moment::from_millis(ms));
        }
        assert!(calls.has_place() && !calls.has_place_beside_queue());
        calls.unqueue(&b);
        assert!(calls.has_place_beside_queue());
        let queue: Vec<_> = calls.take_queue().into_iter().map(|(subject, _)| subject).collect();
        assert_eq!(queue, [c, a]);
    }

    #[test]
    fn a_place_is_never_none_at_all() {
        assert!(EngineCalls::new(0).has_place());
    }
}
