//! Partition self-detection: when most of the view falls silent at once, it is the manager that is cut off.
//!
//! ```text
//!   part of the fleet ── most are silent, and one was found unreachable ──▶ cut off: no host is blamed
//!          ▲                                                                   │
//!          └────────────────────── most are heard again ───────────────────────┘
//! ```
//!
//! Counts; does not know which hosts they are, nor who is told.

use crate::decision::{ActionKind, Guard, GuardAnswer};
use crate::recorder::Draft;
use crate::verdict::Verdict;
use alloc::format;
use alloc::string::String;
use alloc::vec;

/// How many hosts there are to judge, and how many of them are silent (their kernel too).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ViewShare {
    counted: usize,
    silent: usize,
}

impl ViewShare {
    /// One host that says nothing of our own view.
    pub(super) const NOTHING: Self = Self { counted: 0, silent: 0 };
    /// One host that is heard, or not judged yet.
    pub(super) const HEARD: Self = Self { counted: 1, silent: 0 };
    /// One silent host.
    pub(super) const SILENT: Self = Self { counted: 1, silent: 1 };

    /// The sum after one host's share has changed.
    pub(super) const fn replace(&mut self, before: Self, after: Self) {
        self.counted = self.counted + after.counted - before.counted;
        self.silent = self.silent + after.silent - before.silent;
    }

    pub(super) const fn silent(self) -> usize {
        self.silent
    }

    /// `6 of 10 hosts`
    pub(super) fn words(self) -> String {
        format!("{} of {} hosts", self.silent, self.counted)
    }
}

/// Whether this manager holds itself for the one that is cut off.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    hosts_min: usize,
    percent: usize,
    is_cut_off: bool,
    #[cfg(test)]
    pub(super) weighed: usize,
}

impl Partition {
    /// From `hosts_min` hosts on, `percent` of them silent are our own cut.
    pub(super) const fn new(hosts_min: usize, percent: u32) -> Self {
        Self {
            hosts_min,
            percent: percent as usize,
            is_cut_off: false,
            #[cfg(test)]
            weighed: 0,
        }
    }

    pub(super) const fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Takes the view as it is now; true if the conclusion has changed.
    pub(super) fn update(&mut self, share: ViewShare, anybody_is_unreachable: impl FnOnce() -> bool) -> bool {
        #[cfg(test)]
        {
            self.weighed += 1;
        }
        let most = self.is_most(share);
        let is_cut_off = most && (self.is_cut_off || anybody_is_unreachable());
        core::mem::replace(&mut self.is_cut_off, is_cut_off) != is_cut_off
    }

    /// True if so many are silent.
    pub(super) const fn is_most(&self, share: ViewShare) -> bool {
        self.hosts_min <= share.counted && share.counted * self.percent <= share.silent * 100
    }

    /// The record that a lost host becomes no incident while we are cut off.
    pub(super) fn suppressed(&self, share: ViewShare, lost: &Verdict) -> Draft {
        let detail = format!(
            "{} are silent: this manager holds itself for the one cut off",
            share.words()
        );
        let (subject, state) = (lost.subject.clone(), lost.state.as_str());
        let why = format!("{subject} is {state}: no incident of it while we are cut off");
        Draft::new(subject, ActionKind::Escalate, why)
            .evidence(lost.evidence.clone())
            .guards(vec![GuardAnswer::blocked(Guard::Observer, detail)])
    }
}

#[cfg(test)]
mod tests {
    //! When it concludes, and when it takes that back.
    use super::*;

    fn share(counted: usize, silent: usize) -> ViewShare {
        ViewShare { counted, silent }
    }

    #[test]
    fn most_of_a_view_that_is_large_enough_is_our_own_cut() {
        let mut partition = Partition::new(4, 55);
        assert!(!partition.update(share(3, 3), || true), "too few to say");
        assert!(!partition.update(share(10, 5), || true), "only half");
        assert!(!partition.update(share(10, 6), || false), "they are only suspected");
        assert!(partition.update(share(10, 6), || true) && partition.is_cut_off());
        assert!(!partition.update(share(10, 9), || false), "it stays");
        assert!(partition.update(share(10, 5), || true) && !partition.is_cut_off());
    }

    #[test]
    fn the_sum_follows_each_host() {
        let mut sum = ViewShare::default();
        sum.replace(ViewShare::NOTHING, ViewShare::HEARD);
        sum.replace(ViewShare::NOTHING, ViewShare::HEARD);
        sum.replace(ViewShare::HEARD, ViewShare::SILENT);
        assert_eq!(sum, share(2, 1));
        sum.replace(ViewShare::SILENT, ViewShare::NOTHING);
        assert_eq!((sum, sum.silent()), (share(1, 0), 0));
    }
}
