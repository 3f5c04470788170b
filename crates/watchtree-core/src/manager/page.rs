//! The tree in pages of bounded work, so that no reader keeps the manager from judging, however large the fleet is.
//!
//! A reading begins at `TreeCursor::default()` and goes on at the cursor that came back, until none comes. What changes
//! between two pages is seen or not; nothing that stays is missed or seen twice.

use super::fleet_view::FleetView;
use super::host_monitor::HostMonitor;
use crate::id::NodeName;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::tree::{Book, masked_state, masks};
use crate::verdict::{State, Verdict};
use core::ops::Bound;

/// Where a reading of the tree stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TreeCursor(Place);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Place {
    #[default]
    Begin,
    /// The manager itself was shown.
    Hosts,
    /// This host is done.
    After(NodeName),
    /// This subject was the last one of this host.
    Within(NodeName, SubjectId),
}

/// One subject as it is shown: what was reported, and what the observer's own word on its host makes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shown<'a> {
    /// What was reported last.
    pub verdict: &'a Verdict,
    /// What is shown.
    pub state: State,
    /// The subject above whose illness explains this state.
    pub root_cause: Option<&'a SubjectId>,
    /// Since when the reported state is this, on our clock, if it can be told.
    pub since: Option<Moment>,
}

/// What a reader of the tree sees: the manager itself, and the fleet below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TreeReader<'a> {
    pub(super) fleet: FleetView<'a>,
    pub(super) own: &'a Verdict,
}

impl TreeReader<'_> {
    /// Shows the next `limit` subjects (the manager's own first, then each host with what is below it). `None` = that
    /// was all.
    pub(super) fn page(self, from: &TreeCursor, limit: usize, mut see: impl FnMut(Shown<'_>)) -> Option<TreeCursor> {
        let mut left = limit.max(1);
        let mut at = from.0.clone();
        let first = match &from.0 {
            Place::Begin => {
                see(Shown::own_word(self.own));
                left -= 1;
                at = Place::Hosts;
                Bound::Unbounded
            }
            Place::Hosts => Bound::Unbounded,
            Place::After(host) => Bound::Excluded(host),
            Place::Within(host, _) => Bound::Included(host),
        };
        for (name, host) in self.fleet.hosts().all().range((first, Bound::Unbounded)) {
            if left == 0 {
                return Some(TreeCursor(at));
            }
            let after = match &from.0 {
                Place::Within(host, after) if host == name => Some(after),
                Place::Begin | Place::Hosts | Place::After(_) | Place::Within(..) => None,
            };
            let last = self.show_host((name, host), host.scope(), after, &mut left, &mut see);
            if let Some(last) = last {
                return Some(TreeCursor(Place::Within(name.clone(), last)));
            }
            at = Place::After(name.clone());
        }
        None
    }

    /// Shows a subject, if there is one of that name, and everything below it; all of that is on one host.
    pub(super) fn below(self, subject: &SubjectId, mut see: impl FnMut(Shown<'_>)) {
        if *subject == self.own.subject {
            see(Shown::own_word(self.own));
        } else if let Some(owner) = self.fleet.owner(subject) {
            self.show_host(owner, subject, None, &mut { usize::MAX }, &mut see);
        }
    }

    /// Shows what of a host is within `top` and comes after `after`; returns the last one if there are more than `left`.
    fn show_host(
        self,
        (name, host): (&NodeName, &HostMonitor),
        top: &SubjectId,
        after: Option<&SubjectId>,
        left: &mut usize,
        see: &mut impl FnMut(Shown<'_>),
    ) -> Option<SubjectId> {
        let nothing = Book::default();
        let child = self.fleet.child(name);
        let book = child.map_or(&nothing, |child| child.book());
        let (scope, own_word) = (host.scope(), host.own_word(book));
        let masked_by_host = own_word.filter(|verdict| masks(verdict.state)).map(|_| scope);
        let mut last = after;
        if let Some(verdict) = own_word.filter(|_| after.is_none() && top == scope) {
            see(Shown::own_word(verdict));
            *left = left.saturating_sub(1);
            last = Some(scope);
        }
        let reported = book.within_after(top, after);
        for verdict in reported.filter(|verdict| own_word.is_none() || verdict.subject != *scope) {
            if *left == 0 {
                return last.cloned();
            }
            let masked_by = masked_by_host.or_else(|| book.dead_engine_over(verdict));
            see(Shown {
                verdict,
                state: masked_by.map_or(verdict.state, |_| masked_state(verdict.state)),
                root_cause: masked_by,
                since: child.and_then(|child| child.our_moment(verdict.since)),
            });
            *left = left.saturating_sub(1);
            last = Some(&verdict.subject);
        }
        None
    }
}

impl<'a> Shown<'a> {
    /// What the manager says itself.
    const fn own_word(verdict: &'a Verdict) -> Self {
        Self {
            verdict,
            state: verdict.state,
            root_cause: None,
            since: Some(verdict.since),
        }
    }
}
