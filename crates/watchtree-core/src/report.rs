//! What a child has to tell its parent of its subjects: the latest verdict wins, and is repeated until acknowledged.
//!
//! Knows verdicts and numbers, no frames and no time: `frontend` decides when to send. Every change of a subject gets a
//! version; a report carries the oldest unacknowledged versions, and an acknowledgement settles exactly those versions
//! that the acknowledged report carried.
//!
//! ```text
//! set/remove ──version──▶ pending ──next()──▶ carried by report n ──acked(n)──▶ settled
//!                            ▲                                         │ changed meanwhile
//!                            └─────────────────────────────────────────┘
//! ```

use crate::hash::{FNV1A_BASIS, fnv1a};
use crate::message::{Digest, Report};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
use crate::verdict::{State, Verdict};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;

/// Most remembered names of subjects that are gone and whose end is not acknowledged.
const GONE_MAX: usize = 1024;

/// Name of the only digest of version 1.
pub(crate) const DIGEST_ALGORITHM: &str = "fnv1a64-xor";

/// How many sent reports are remembered for their acknowledgement.
const CARRIED_MAX: usize = 8;

/// One subject's share of the digest: FNV-1a-64 over subject, 0, incarnation, 0, state word (`State::as_str`).
pub(crate) fn hash_of(subject: &SubjectId, incarnation: &Incarnation, state: State) -> u64 {
    let hash = fnv1a(FNV1A_BASIS, subject.as_str().as_bytes());
    let hash = fnv1a(fnv1a(hash, &[0]), incarnation.0.as_bytes());
    fnv1a(fnv1a(hash, &[0]), state.as_str().as_bytes())
}

/// The digest over any set of verdicts, in any order, reckoned from nothing: what the running ones must be equal to.
#[cfg(test)]
pub(crate) fn digest_of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Digest {
    let hash = |it: &Verdict| hash_of(&it.subject, &it.incarnation, it.state);
    Digest {
        algorithm: DIGEST_ALGORITHM.to_string(),
        value: verdicts.into_iter().fold(0, |sum, it| sum ^ hash(it)),
    }
}

struct Entry {
    verdict: Verdict,
    /// 0 = acknowledged.
    version: u64,
}

/// The verdicts of one node, and what of them the parent has not acknowledged yet.
#[derive(Default)]
pub(crate) struct Reports {
    entries: BTreeMap<SubjectId, Entry>,
    gone: BTreeMap<SubjectId, u64>,
    pending: BTreeMap<u64, SubjectId>,
    carried: VecDeque<(u64, Vec<(SubjectId, u64)>)>,
    versions: u64,
    numbers: u64,
    /// The report under way: its number, and when it is repeated.
    sent: Option<(u64, Moment)>,
    digest: u64,
}

impl Reports {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The latest verdict of its subject. Returns false if nothing the parent would care for changed: state,
    /// incarnation, level, words, hold, remarks and observer's health are as before.
    pub(crate) fn set(&mut self, verdict: Verdict) -> bool {
        let subject = verdict.subject.clone();
        let hash = hash_of(&subject, &verdict.incarnation, verdict.state);
        if let Some(old) = self.entries.get(&subject) {
            if same(&old.verdict, &verdict) {
                return false;
            }
            self.digest ^= hash_of(&subject, &old.verdict.incarnation, old.verdict.state);
            self.pending.remove(&old.version);
        }
        if let Some(version) = self.gone.remove(&subject) {
            self.pending.remove(&version);
        }
        self.digest ^= hash;
        let version = self.next_version();
        self.pending.insert(version, subject.clone());
        self.entries.insert(subject, Entry { verdict, version });
        true
    }

    /// The subject is gone.
    pub(crate) fn remove(&mut self, subject: &SubjectId) {
        let Some(old) = self.entries.remove(subject) else {
            return;
        };
        self.digest ^= hash_of(subject, &old.verdict.incarnation, old.verdict.state);
        self.pending.remove(&old.version);
        let version = self.next_version();
        self.pending.insert(version, subject.clone());
        self.gone.insert(subject.clone(), version);
        if GONE_MAX < self.gone.len() {
            // Nobody listened for very long; the parent's snapshot request will tell it.
            let oldest = self
                .gone
                .iter()
                .min_by_key(|(_, version)| **version)
                .map(|(s, v)| (s.clone(), *v));
            if let Some((subject, version)) = oldest {
                self.gone.remove(&subject);
                self.pending.remove(&version);
            }
        }
    }

    /// The next report, if one is due: the first at once, the same changes again after `repeat` without an acknowledgement.
    pub(crate) fn pop_due(&mut self, now: Moment, repeat: Duration) -> Option<Report> {
        if self.sent.is_some_and(|(_, again)| now < again) {
            return None;
        }
        self.sent = None;
        let report = self.next_report()?;
        self.sent = Some((report.number, now + repeat));
        Some(report)
    }

    /// When the report under way is to be repeated.
    pub(crate) fn repeat_at(&self) -> Option<Moment> {
        self.sent.map(|(_, again)| again)
    }

    /// A session begins: what is not acknowledged is due at once.
    pub(crate) fn restart(&mut self) {
        self.sent = None;
    }

    /// A report of the oldest unacknowledged changes, at most [`Report::VERDICTS_MAX`] of them; `None` if there are none.
    /// Asking again repeats what is still unacknowledged under a new number.
    fn next_report(&mut self) -> Option<Report> {
        if self.pending.is_empty() {
            return None;
        }
        self.numbers += 1;
        let mut report = Report {
            number: self.numbers,
            verdicts: Vec::new(),
            gone: Vec::new(),
            digest: self.digest(),
        };
        let mut carried = Vec::new();
        for (&version, subject) in self.pending.iter().take(Report::VERDICTS_MAX) {
            carried.push((subject.clone(), version));
            match self.entries.get(subject) {
                Some(entry) => report.verdicts.push(entry.verdict.clone()),
                None => report.gone.push(subject.clone()),
            }
        }
        if CARRIED_MAX <= self.carried.len() {
            self.carried.pop_front();
        }
        self.carried.push_back((report.number, carried));
        Some(report)
    }

    /// The parent took that report. Unknown numbers change nothing.
    pub(crate) fn acknowledged(&mut self, number: u64) {
        self.sent.take_if(|(sent, _)| *sent <= number);
        let Some(place) = self.carried.iter().position(|(known, _)| *known == number) else {
            return;
        };
        let Some((_, carried)) = self.carried.remove(place) else {
            return;
        };
        for (subject, version) in carried {
            if self.pending.remove(&version).is_none() {
                continue;
            }
            self.gone.remove(&subject);
            if let Some(entry) = self.entries.get_mut(&subject) {
                entry.version = 0;
            }
        }
    }

    /// Digest of all verdicts.
    pub(crate) fn digest(&self) -> Digest {
        Digest {
            algorithm: DIGEST_ALGORITHM.to_string(),
            value: self.digest,
        }
    }

    /// All verdicts, parents before children.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.entries.values().map(|entry| &entry.verdict)
    }

    /// One subject's verdict.
    pub(crate) fn get(&self, subject: &SubjectId) -> Option<&Verdict> {
        self.entries.get(subject).map(|entry| &entry.verdict)
    }

    fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }
}

fn same(a: &Verdict, b: &Verdict) -> bool {
    a.state == b.state
        && a.incarnation == b.incarnation
        && a.level == b.level
        && a.why == b.why
        && a.held == b.held
        && a.remarks == b.remarks
        && a.observer_health == b.observer_health
}

#[cfg(test)]
mod tests {
    //! Latest wins, acknowledgements, digest.
    use super::*;
    use crate::id::NodeName;
    use crate::subject::SubjectKind;
    use crate::verdict::{Level, ObserverHealth};

    fn verdict(name: &str, state: State) -> Verdict {
        Verdict {
            subject: SubjectId::new(name).unwrap(),
            kind: SubjectKind::Container,
            incarnation: Incarnation::container("c", "t"),
            state,
            level: Level::Certain,
            why: Default::default(),
            evidence: Vec::new(),
            observer: NodeName::new("n").unwrap(),
            observer_health: ObserverHealth(0),
            since: Moment::ZERO,
            held: false,
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_change_after_sending_is_sent_again() {
        let mut reports = Reports::new();
        assert!(reports.set(verdict("h/d/a", State::Ok)));
        assert!(!reports.set(verdict("h/d/a", State::Ok)));
        let first = reports.next_report().unwrap();
        reports.set(verdict("h/d/a", State::Down));
        reports.acknowledged(first.number);
        let second = reports.next_report().unwrap();
        assert_eq!(second.verdicts[0].state, State::Down);
        reports.acknowledged(second.number);
        reports.acknowledged(second.number);
        assert_eq!(reports.next_report(), None);
    }

    #[test]
    fn unacknowledged_is_repeated_and_gone_is_told() {
        let mut reports = Reports::new();
        reports.set(verdict("h/d/a", State::Ok));
        reports.next_report().unwrap();
        reports.remove(&SubjectId::new("h/d/a").unwrap());
        let again = reports.next_report().unwrap();
        assert_eq!((again.number, again.verdicts.len(), again.gone.len()), (2, 0, 1));
        assert_eq!(again.digest.value, 0);
    }

    #[test]
    fn the_digest_does_not_depend_on_the_way() {
        let mut reports = Reports::new();
        for name in ["h/d/a", "h/d/b", "h/d/c"] {
            reports.set(verdict(name, State::Down));
            reports.set(verdict(name, State::Ok));
        }
        reports.remove(&SubjectId::new("h/d/b").unwrap());
        let direct = [verdict("h/d/c", State::Ok), verdict("h/d/a", State::Ok)];
        assert_eq!(reports.digest(), digest_of(&direct));
        // FNV-1a-64 of "h/d/a\0c@t\0OK", computed by an independent program: pins the wire's meaning.
        assert_eq!(digest_of(&direct[1..]).value, 0x9351_ccd4_ef6c_e7f9);
    }

    #[test]
    fn a_report_is_repeated_until_it_is_acknowledged() {
        let (ms, repeat) = (Moment::from_millis, Duration::from_secs(1));
        let number = |report: Option<Report>| report.map(|it| it.number);
        let mut reports = Reports::new();
        reports.set(verdict("h/d/a", State::Ok));
        assert_eq!(
            (number(reports.pop_due(ms(0), repeat)), reports.repeat_at()),
            (Some(1), Some(ms(1000)))
        );
        reports.set(verdict("h/d/b", State::Ok));
        assert_eq!(reports.pop_due(ms(999), repeat), None, "one at a time");
        assert_eq!(number(reports.pop_due(ms(1000), repeat)), Some(2));
        reports.acknowledged(1);
        assert_eq!(reports.repeat_at(), Some(ms(2000)), "the second is under way");
        reports.restart();
        assert_eq!(number(reports.pop_due(ms(1001), repeat)), Some(3));
        reports.acknowledged(3);
        assert_eq!((reports.repeat_at(), reports.pop_due(ms(9000), repeat)), (None, None));
        assert_eq!(
            reports.get(&SubjectId::new("h/d/b").unwrap()),
            Some(&verdict("h/d/b", State::Ok))
        );
    }

    #[test]
    fn what_is_remembered_for_an_absent_parent_is_bounded() {
        let mut reports = Reports::new();
        for i in 0..=GONE_MAX {
            let name = alloc::format!("h/d/{i}");
            reports.set(verdict(&name, State::Ok));
            reports.remove(&SubjectId::new(&name).unwrap());
        }
        let first = reports.next_report().unwrap();
        assert_eq!(first.gone[0].as_str(), "h/d/1", "the oldest is forgotten, no more");
        // An answer that comes after so many repeats is not understood any more.
        for _ in 1..CARRIED_MAX {
            reports.next_report().unwrap();
        }
        let newest = reports.next_report().unwrap();
        reports.acknowledged(first.number);
        assert_eq!(reports.next_report().unwrap().gone, newest.gone);
        reports.acknowledged(first.number + 2);
        assert_eq!(reports.next_report().unwrap().gone[0].as_str(), "h/d/65");
    }
}
