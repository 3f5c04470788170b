//! What a child reported, and how far that is all it has to report: its book, the report and the snapshot it is at.
//!
//! ```text
//!   reports ──▶ book ◀── snapshot, when its last chunk came
//!                 │
//!   beats ──▶ digests differ, so many times in a row ──▶ ask for a snapshot
//! ```
//!
//! Outlives sessions and lives. Knows no time and no frames, and does not check whose subjects it is given.

use super::io::BookChange;
use super::reading::{SnapshotChunk, differ};
use crate::message::{Digest, Report};
use crate::subject::SubjectId;
use crate::tree::{Book, SUBJECTS_PER_CHILD_MAX};
use crate::verdict::{State, Verdict};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// So many beats in a row with a digest other than ours lead to a SnapshotRequest.
const MISMATCHES_MAX: u32 = 3;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct Reported {
    book: Book,
    /// Of the newest report taken from the present life.
    number: u64,
    mismatches: u32,
    /// It reported more subjects than are kept of one child: the digests cannot agree.
    is_full: bool,
    snapshot: Option<Partial>,
}

/// A snapshot of which chunks are still to come.
#[derive(Clone, Debug, Default)]
struct Partial {
    next: u32,
    verdicts: BTreeMap<SubjectId, Verdict>,
}

/// What came of a report or of a chunk.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Taken {
    pub(super) change: Option<BookChange>,
    /// There were more subjects than are kept. What had room was taken: those that are known must go on being told.
    pub(super) was_too_much: bool,
}

/// What to do about what a child has and we have not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    Nothing,
    Ask,
    /// No snapshot would bring the digests together.
    TooMuch,
}

impl Reported {
    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    /// True if the book holds all that the child has to report, going by its digest.
    pub(super) fn is_whole(&self, digest: &Digest) -> bool {
        !self.book.is_empty() && (self.is_full || !differ(digest, &self.book.digest()))
    }

    /// A session begins. What the same life has reported goes on counting; a new life counts anew.
    pub(super) fn greeted(self, is_new_life: bool) -> Self {
        let (number, mismatches) = if is_new_life {
            (0, 0)
        } else {
            (self.number, self.mismatches)
        };
        Self {
            book: self.book,
            number,
            mismatches,
            is_full: false,
            snapshot: None,
        }
    }

    /// The life is over: what was under way is void, what was reported stays.
    pub(super) fn life_ended(&mut self) {
        self.number = 0;
        self.snapshot = None;
    }

    /// Takes the digest of a beat.
    pub(super) fn compare(&mut self, digest: &Digest) -> Missing {
        self.mismatches = if differ(digest, &self.book.digest()) {
            self.mismatches + 1
        } else {
            0
        };
        if self.mismatches < MISMATCHES_MAX {
            return Missing::Nothing;
        }
        self.mismatches = 0;
        if self.is_full { Missing::TooMuch } else { Missing::Ask }
    }

    /// Takes a report; one that was taken before changes nothing.
    pub(super) fn take_report(&mut self, report: Report) -> Taken {
        if report.number <= self.number {
            return Taken::default();
        }
        self.number = report.number;
        let mut gone = report.gone;
        gone.retain(|subject| self.book.remove(subject));
        let (changed, was_too_much) = self.put_all(report.verdicts);
        // Where something went there is room again: the next digests may lead to a snapshot.
        self.is_full = was_too_much || (self.is_full && gone.is_empty());
        let is_news = !changed.is_empty() || !gone.is_empty();
        let change = is_news.then_some(BookChange {
            changed,
            gone,
            whole: false,
        });
        Taken { change, was_too_much }
    }

    /// Takes a chunk; with the last one the snapshot takes the place of all that was known under its scope.
    pub(super) fn take_chunk(&mut self, chunk: SnapshotChunk) -> Taken {
        if chunk.place == 0 {
            self.snapshot = Some(Partial::default());
        }
        // If a chunk was lost the snapshot is void: the digests of the next beats ask for another.
        let Some(mut partial) = self.snapshot.take().filter(|partial| partial.next == chunk.place) else {
            return Taken::default();
        };
        partial.next += 1;
        let verdicts = chunk.verdicts.into_iter();
        partial
            .verdicts
            .extend(verdicts.map(|verdict| (verdict.subject.clone(), verdict)));
        if SUBJECTS_PER_CHILD_MAX < partial.verdicts.len() {
            self.is_full = true;
            return Taken {
                change: None,
                was_too_much: true,
            };
        }
        if !chunk.is_last {
            self.snapshot = Some(partial);
            return Taken::default();
        }
        self.replace(&chunk.scope, partial.verdicts)
    }

    fn replace(&mut self, scope: &SubjectId, verdicts: BTreeMap<SubjectId, Verdict>) -> Taken {
        let known = self.book.within(scope).map(|verdict| &verdict.subject);
        let gone: Vec<SubjectId> = known
            .filter(|subject| !verdicts.contains_key(*subject))
            .cloned()
            .collect();
        for subject in &gone {
            self.book.remove(subject);
        }
        let changed;
        (changed, self.is_full) = self.put_all(verdicts.into_values());
        self.mismatches = 0;
        let change = BookChange {
            changed,
            gone,
            whole: true,
        };
        Taken {
            change: Some(change),
            was_too_much: false,
        }
    }

    /// Puts verdicts into the book: which, with what was there before, and whether there were more than it holds.
    fn put_all(&mut self, verdicts: impl IntoIterator<Item = Verdict>) -> (Vec<(SubjectId, Option<State>)>, bool) {
        let (mut changed, mut was_too_much) = (Vec::new(), false);
        for verdict in verdicts {
            let subject = verdict.subject.clone();
            match self.book.put(verdict) {
                Some(before) => changed.push((subject, before.0)),
                None => was_too_much = true,
            }
        }
        (changed, was_too_much)
    }
}
