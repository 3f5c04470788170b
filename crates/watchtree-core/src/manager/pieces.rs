//! The tree in pieces of bounded work, so that no reader keeps the manager from judging, however large the fleet is.
//!
//! A reading begins at `TreeCursor::default()` and goes on at the cursor that came back, until none comes. What changes
//! between two pieces is seen or not; nothing that stays is missed or seen twice.

use super::ManagerAgent;
use super::hosts::{Phase, Watch};
use crate::id::NodeName;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::tree::{Book, covered_state, covers};
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

impl ManagerAgent {
    /// Shows the next `limit` subjects (the manager's own first, then each host with what is below it). `None` = that
    /// was all.
    pub fn tree_piece(
        &self,
        now: Moment,
        from: &TreeCursor,
        limit: usize,
        mut see: impl FnMut(Shown<'_>),
    ) -> Option<TreeCursor> {
        let mut left = limit.max(1);
        let mut at = from.0.clone();
        let first = match &from.0 {
            Place::Begin => {
                self.see_own(now, &mut see);
                left -= 1;
                at = Place::Hosts;
                Bound::Unbounded
            }
            Place::Hosts => Bound::Unbounded,
            Place::After(host) => Bound::Excluded(host),
            Place::Within(host, _) => Bound::Included(host),
        };
        for (name, watch) in self.hosts.range((first, Bound::Unbounded)) {
            if left == 0 {
                return Some(TreeCursor(at));
            }
            let after = match &from.0 {
                Place::Within(host, after) if host == name => Some(after),
                _ => None,
            };
            let last = self.see_host(name, watch, &watch.known.scope, after, &mut left, &mut see);
            if let Some(last) = last {
                return Some(TreeCursor(Place::Within(name.clone(), last)));
            }
            at = Place::After(name.clone());
        }
        None
    }

    /// Shows a subject, if there is one of that name, and everything below it; all of that is on one host.
    pub fn tree_below(&self, now: Moment, subject: &SubjectId, mut see: impl FnMut(Shown<'_>)) {
        if *subject == self.subject {
            return self.see_own(now, &mut see);
        }
        let host = self.host_of(subject);
        if let Some((name, watch)) = host.and_then(|name| self.hosts.get_key_value(name)) {
            let mut all = usize::MAX;
            self.see_host(name, watch, subject, None, &mut all, &mut see);
        }
    }

    fn see_own(&self, now: Moment, see: &mut impl FnMut(Shown<'_>)) {
        let verdict = self.own_verdict(now);
        see(Shown {
            verdict: &verdict,
            state: verdict.state,
            root_cause: None,
            since: Some(verdict.since),
        });
    }

    /// Shows what of a host is within `top` and comes after `after`; gives the last one if there are more than `left`.
    fn see_host(
        &self,
        name: &NodeName,
        watch: &Watch,
        top: &SubjectId,
        after: Option<&SubjectId>,
        left: &mut usize,
        see: &mut impl FnMut(Shown<'_>),
    ) -> Option<SubjectId> {
        let nothing = Book::default();
        let child = self.backend.child(name);
        let book = child.map_or(&nothing, |child| &child.book);
        let scope = &watch.known.scope;
        let eclipse = watch.eclipse(book);
        let cause = eclipse.filter(|verdict| covers(verdict.state)).map(|_| scope);
        let mut last = after;
        if let Some(verdict) = eclipse.filter(|_| after.is_none() && top == scope) {
            see(Shown {
                verdict,
                state: verdict.state,
                root_cause: None,
                since: Some(verdict.since),
            });
            *left = left.saturating_sub(1);
            last = Some(scope);
        }
        let reported = book.within_after(top, after);
        for verdict in reported.filter(|verdict| eclipse.is_none() || verdict.subject != *scope) {
            if *left == 0 {
                return last.cloned();
            }
            let cause = cause.or_else(|| book.dead_engine_over(verdict));
            see(Shown {
                verdict,
                state: cause.map_or(verdict.state, |_| covered_state(verdict.state)),
                root_cause: cause,
                since: child.and_then(|child| child.our_moment(verdict.since)),
            });
            *left = left.saturating_sub(1);
            last = Some(&verdict.subject);
        }
        None
    }
}

impl Watch {
    /// The manager's own word where it takes the place of the host's: the host is not heard, or has said nothing yet.
    pub(super) fn eclipse(&self, book: &Book) -> Option<&Verdict> {
        let speaks = matches!(self.phase, Phase::Well) && book.get(&self.known.scope).is_some();
        (!speaks).then_some(&self.verdict)
    }
}
