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

#[cfg(test)]
mod tests {
    //! Reports, snapshots, room, digests.
    use super::*;
    use crate::fixture::{name, subject};
    use crate::report::digest_of;
    use crate::subject::SubjectKind;
    use crate::time::Moment;
    use crate::tree::unknown;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    fn verdicts<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<Verdict> {
        let verdict = |path| unknown(subject(path), SubjectKind::Container, name("h1"), Moment::ZERO);
        paths.into_iter().map(verdict).collect()
    }

    fn report(number: u64, paths: &[&str], gone: &[&str]) -> Report {
        Report {
            number,
            verdicts: verdicts(paths.iter().copied()),
            gone: gone.iter().map(|path| subject(path)).collect(),
            digest: Digest::default(),
        }
    }

    fn chunk(scope: &str, place: u32, is_last: bool, verdicts: Vec<Verdict>) -> SnapshotChunk {
        let scope = subject(scope);
        SnapshotChunk {
            scope,
            place,
            is_last,
            verdicts,
        }
    }

    fn book(reported: &Reported) -> Vec<&str> {
        reported.book().iter().map(|verdict| verdict.subject.as_str()).collect()
    }

    /// More than a book holds, by one.
    fn too_many() -> Vec<String> {
        (0..=SUBJECTS_PER_CHILD_MAX).map(|i| format!("h1/d/{i}")).collect()
    }

    #[test]
    fn a_report_is_taken_once_and_says_what_it_changed() {
        let mut reported = Reported::default();
        let change = |changed: &[(&str, Option<State>)], gone: &[&str]| {
            let changed = changed.iter().map(|(path, before)| (subject(path), *before)).collect();
            let gone = gone.iter().map(|path| subject(path)).collect();
            Some(BookChange {
                changed,
                gone,
                whole: false,
            })
        };
        let known = Some(State::Unknown);
        let cases = [
            (report(1, &["a", "b"], &[]), change(&[("a", None), ("b", None)], &[])),
            (report(1, &["c"], &["a"]), None),
            (report(2, &["b"], &["x"]), change(&[("b", known)], &[])),
            (report(3, &[], &["x", "b"]), change(&[], &["b"])),
            (report(4, &[], &["x"]), None),
        ];
        for (report, change) in cases {
            let taken = reported.take_report(report);
            assert_eq!((taken.change, taken.was_too_much), (change, false));
        }
        assert_eq!(book(&reported), ["a"]);
        reported.life_ended();
        assert!(
            reported.take_report(report(1, &["c"], &[])).change.is_some(),
            "a new life counts anew"
        );
    }

    #[test]
    fn a_snapshot_replaces_what_is_in_its_scope() {
        let mut reported = Reported::default();
        reported.take_report(report(1, &["h1", "h1/d", "h1/d/a", "h1/e"], &[]));
        assert_eq!(
            reported.take_chunk(chunk("h1/d", 0, false, verdicts(["h1/d"]))),
            Taken::default()
        );
        let taken = reported.take_chunk(chunk("h1/d", 1, true, verdicts(["h1/d/b"])));
        let change = taken.change.unwrap();
        assert_eq!((change.gone, change.whole), (vec![subject("h1/d/a")], true));
        let changed = [(subject("h1/d"), Some(State::Unknown)), (subject("h1/d/b"), None)];
        assert_eq!(change.changed, changed);
        assert_eq!(book(&reported), ["h1", "h1/d", "h1/d/b", "h1/e"]);
    }

    #[test]
    fn a_snapshot_without_all_its_chunks_is_void() {
        for places in [&[1][..], &[0, 2], &[0, 1, 1], &[0, 2, 1]] {
            let mut reported = Reported::default();
            for place in places {
                assert_eq!(
                    reported.take_chunk(chunk("h1", *place, false, Vec::new())),
                    Taken::default()
                );
            }
            let last = chunk("h1", 2, true, verdicts(["h1"]));
            assert_eq!(reported.take_chunk(last), Taken::default(), "{places:?}");
        }
        let mut reported = Reported::default();
        reported.take_chunk(chunk("h1", 0, false, Vec::new()));
        reported = reported.greeted(false);
        let last = chunk("h1", 1, true, Vec::new());
        assert_eq!(reported.take_chunk(last), Taken::default(), "a new session");
    }

    #[test]
    fn as_many_subjects_as_are_kept_are_taken() {
        let paths = too_many();
        let all = verdicts(paths.iter().map(String::as_str));
        let most = all[1..].to_vec();
        let mut reported = Reported::default();
        let taken = reported.take_chunk(chunk("h1", 0, true, most.clone()));
        assert_eq!(
            (taken.was_too_much, reported.book().len()),
            (false, SUBJECTS_PER_CHILD_MAX)
        );
        let taken = reported.take_chunk(chunk("h1", 0, true, all));
        assert_eq!((taken.change, taken.was_too_much), (None, true));
        // It is full: no digest proves more, until something goes.
        let foreign = Digest {
            value: 42,
            ..reported.book().digest()
        };
        let mut told = || [0; 3].map(|_| reported.compare(&foreign));
        assert_eq!(told(), [Missing::Nothing, Missing::Nothing, Missing::TooMuch]);
        assert!(reported.is_whole(&foreign));
        assert!(reported.take_report(report(1, &["h2"], &[])).was_too_much);
        assert!(reported.take_report(report(2, &["h2"], &["x"])).was_too_much);
        reported.take_report(report(3, &[], &["x"]));
        assert!(reported.is_whole(&foreign), "nothing went");
        reported.take_report(report(4, &[], &["h1/d/1"]));
        assert!(!reported.is_whole(&foreign));
        // A part that has no room beside the rest is not refused, but the book is full.
        reported.take_report(report(5, &["h3"], &[]));
        let taken = reported.take_chunk(chunk("h2", 0, true, verdicts(["h2"])));
        assert_eq!((taken.was_too_much, reported.is_whole(&foreign)), (false, true));
        assert!(
            !reported.greeted(false).is_whole(&foreign),
            "a new session may bring it"
        );
    }

    #[test]
    fn so_many_differing_digests_in_a_row_ask_for_a_snapshot() {
        let mut reported = Reported::default();
        assert!(!reported.is_whole(&Digest::default()), "an empty book proves nothing");
        reported.take_report(report(1, &["h1"], &[]));
        let same = digest_of(reported.book().iter());
        let other = Digest {
            value: !same.value,
            ..same.clone()
        };
        let newer = Digest {
            algorithm: "newer".to_string(),
            value: !same.value,
        };
        let nameless = Digest {
            algorithm: String::new(),
            value: !same.value,
        };
        assert!(reported.is_whole(&same) && reported.is_whole(&newer));
        assert!(!reported.is_whole(&other) && !reported.is_whole(&nameless));
        let (nothing, ask) = (Missing::Nothing, Missing::Ask);
        let cases = [
            (&other, nothing),
            (&other, nothing),
            (&same, nothing),
            (&other, nothing),
            (&nameless, nothing),
            (&other, ask),
            (&other, nothing),
            (&other, nothing),
            (&newer, nothing),
        ];
        for (digest, missing) in cases {
            assert_eq!(reported.compare(digest), missing);
        }
        // Two in a row are remembered by the same life alone.
        for is_new_life in [false, true] {
            let mut reported = reported.clone();
            assert_eq!([0; 2].map(|_| reported.compare(&other)), [nothing; 2]);
            let missing = reported.greeted(is_new_life).compare(&other);
            assert_eq!(missing, if is_new_life { nothing } else { ask });
        }
    }
}
