//! Calls to the engine that are or may be under way, the places among them, and who waits for one.
//!
//! A call whose deadline passed may hang in the engine for ever: it holds no place, and is never posted again. Does not know
//! why a call is made, nor what its answer means.

use super::io::{EngineCall, Ticket};
use crate::subject::SubjectId;
use crate::time::Moment;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Starts and stops have places of their own: stops that hang hold no start back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lane {
    Starts,
    Stops,
}

impl Lane {
    pub(crate) const fn of(call: EngineCall) -> Self {
        match call {
            EngineCall::Start => Self::Starts,
            EngineCall::Stop { .. } => Self::Stops,
        }
    }
}

#[derive(Clone, Debug)]
struct Call {
    subject: SubjectId,
    lane: Lane,
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
    /// Who has a place among the stops before its call is posted.
    reserved: BTreeSet<SubjectId>,
    /// Who waits for a place in which lane, and since when.
    queue: BTreeMap<SubjectId, (Lane, Moment)>,
}

impl EngineCalls {
    /// So many calls at one time in each lane; at least one.
    pub(crate) fn new(places: u32) -> Self {
        Self {
            count: 0,
            places: places.max(1) as usize,
            calls: BTreeMap::new(),
            newest: BTreeMap::new(),
            reserved: BTreeSet::new(),
            queue: BTreeMap::new(),
        }
    }

    /// The ticket of the next call.
    pub(crate) fn next_ticket(&self) -> Ticket {
        Ticket(self.count + 1)
    }

    /// A call of that subject is posted.
    pub(crate) fn open(&mut self, ticket: Ticket, subject: SubjectId, lane: Lane) {
        self.count = self.count.max(ticket.0);
        self.newest.insert(subject.clone(), ticket);
        let is_lost = false;
        let call = Call { subject, lane, is_lost };
        self.calls.insert(ticket, call);
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
        self.reserved.remove(subject);
        self.queue.remove(subject);
    }

    /// The subject has a place among the stops, and will post its call soon; or not, or not any more.
    pub(crate) fn reserve(&mut self, subject: &SubjectId, wants: bool) {
        match wants {
            true => self.reserved.insert(subject.clone()),
            false => self.reserved.remove(subject),
        };
    }

    /// Calls that are or may be under way.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.calls.keys().copied().collect()
    }

    /// Calls that hold a place in that lane.
    pub(crate) fn in_time(&self, lane: Lane) -> usize {
        let held = self.calls.values().filter(|call| !call.is_lost && call.lane == lane);
        let reserved = self.reserved.len();
        held.count() + if lane == Lane::Stops { reserved } else { 0 }
    }

    /// One more may begin.
    pub(crate) fn has_place(&self, lane: Lane) -> bool {
        self.in_time(lane) < self.places
    }

    /// One more may begin that does not wait: those who do come first.
    pub(crate) fn has_place_beside_queue(&self, lane: Lane) -> bool {
        let waiting = self.queue.values().filter(|(of, _)| *of == lane);
        self.in_time(lane) + waiting.count() < self.places
    }

    /// The subject waits for a place since then.
    pub(crate) fn wait(&mut self, subject: SubjectId, lane: Lane, since: Moment) {
        self.queue.insert(subject, (lane, since));
    }

    /// The subject waits no more.
    pub(crate) fn unqueue(&mut self, subject: &SubjectId) {
        self.queue.remove(subject);
    }

    /// Everybody who waits where there is a place, and since when, who came first first: to be asked again while there is one.
    pub(crate) fn take_queue(&mut self) -> Vec<(SubjectId, Lane, Moment)> {
        let (starts, stops) = (self.has_place(Lane::Starts), self.has_place(Lane::Stops));
        let mut queue = Vec::new();
        self.queue.retain(|subject, (lane, since)| {
            let may_begin = match lane {
                Lane::Starts => starts,
                Lane::Stops => stops,
            };
            if may_begin {
                queue.push((subject.clone(), *lane, *since));
            }
            !may_begin
        });
        queue.sort_by_key(|(.., since)| *since);
        queue
    }
}

#[cfg(test)]
mod tests {
    //! Places, lost calls, the newest call, the queue.
    use super::*;

    const STARTS: Lane = Lane::Starts;

    #[test]
    fn a_lost_call_holds_no_place_and_keeps_its_subject_busy() {
        let web = SubjectId::new("h/d/web").unwrap();
        let mut calls = EngineCalls::new(1);
        let first = calls.next_ticket();
        calls.open(first, web.clone(), STARTS);
        assert!(!calls.has_place(STARTS) && calls.is_busy(&web));
        calls.lose(first);
        assert!(calls.has_place(STARTS) && calls.is_busy(&web));
        let second = calls.next_ticket();
        assert_ne!(first, second);
        calls.open(second, web.clone(), STARTS);
        calls.close(first);
        assert!(calls.is_busy(&web) && calls.subject_of(first).is_none());
        calls.close(second);
        assert!(!calls.is_busy(&web) && calls.in_time(STARTS) == 0);
    }

    #[test]
    fn who_waits_longest_is_asked_first_and_a_newcomer_after_all_of_them() {
        let [a, b, c] = ["h/d/a", "h/d/b", "h/d/c"].map(|id| SubjectId::new(id).unwrap());
        let mut calls = EngineCalls::new(3);
        for (subject, ms) in [(&a, 30), (&b, 20), (&c, 10)] {
            calls.wait(subject.clone(), STARTS, Moment::from_millis(ms));
        }
        assert!(calls.has_place(STARTS) && !calls.has_place_beside_queue(STARTS));
        calls.unqueue(&b);
        assert!(calls.has_place_beside_queue(STARTS));
        let queue: Vec<_> = calls.take_queue().into_iter().map(|(subject, ..)| subject).collect();
        assert_eq!(queue, [c, a]);
    }

    #[test]
    fn stops_hold_no_start_back_nor_starts_a_stop() {
        let [a, b, c] = ["h/d/a", "h/d/b", "h/d/c"].map(|id| SubjectId::new(id).unwrap());
        for (full, free) in [(Lane::Stops, Lane::Starts), (Lane::Starts, Lane::Stops)] {
            let mut calls = EngineCalls::new(1);
            calls.open(calls.next_ticket(), a.clone(), full);
            calls.wait(b.clone(), full, Moment::from_millis(1));
            assert!(!calls.has_place(full) && calls.has_place_beside_queue(free));
            calls.wait(c.clone(), free, Moment::from_millis(2));
            assert!(!calls.has_place_beside_queue(free));
            assert_eq!(calls.take_queue(), [(c.clone(), free, Moment::from_millis(2))]);
            assert!(calls.take_queue().is_empty(), "b waits on");
        }
    }

    #[test]
    fn a_place_among_the_stops_may_be_held_before_the_call() {
        let web = SubjectId::new("h/d/web").unwrap();
        let mut calls = EngineCalls::new(1);
        calls.reserve(&web, true);
        assert!(!calls.has_place(Lane::Stops) && calls.has_place(Lane::Starts) && !calls.is_busy(&web));
        calls.reserve(&web, false);
        assert!(calls.has_place(Lane::Stops));
        calls.reserve(&web, true);
        calls.forget(&web);
        assert!(calls.has_place(Lane::Stops));
    }

    #[test]
    fn a_place_is_never_none_at_all() {
        let calls = EngineCalls::new(0);
        assert!(calls.has_place(Lane::Starts) && calls.has_place(Lane::Stops));
    }
}
