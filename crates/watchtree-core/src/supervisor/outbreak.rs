//! Many that turn ill at once have one cause: no wave of reboots, but one canary at a time, and none where it did not help.
//!
//! ```text
//!            ≥ 3 and ≥ 20 % turned ill within 60 s            fewer than 3 are ill
//!   (none) ───────────────────────────────────────▶ outbreak ──────────────────────▶ (none)
//!                                                     │   ▲
//!                              a canary is rebooted ──┤   ├── it is well: the next one
//!                                                     └───┴── it is not: wait 60 s, 120 s … 600 s
//! ```
//!
//! Instances of one service have something of their own in common: they are no outbreak. Many whose checks cannot be run any more
//! have one cause as well, but nobody knows that they are ill: it is told, and none of them is a canary. Counts; knows no kind of
//! subject and reports nothing itself.

use super::admission::{Block, GuardResult};
use crate::decision::Outcome;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment, seconds};
use crate::verdict::State;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

/// So many ill at once are an outbreak, …
const ILL_MIN: usize = 3;
/// … if they are at least this share of all.
const ILL_MIN_PERCENT: usize = 20;
/// They turned ill within this time: most checks run every 30 s or oftener, and say so after two or three failures.
const WITHIN: Duration = Duration::from_secs(60);
/// First and longest wait after a canary that did not help.
const PAUSE_FIRST: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Who is ill, and whether that is an outbreak.
#[derive(Clone, Debug, Default)]
pub struct Outbreaks {
    /// How many subjects there are to be ill.
    size: usize,
    /// As many as there are subjects.
    ill: BTreeMap<SubjectId, Member>,
    current: Option<Outbreak>,
    is_news: bool,
}

/// What a ping found of a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Illness {
    NotIll,
    Ill,
    /// Its check could be run before, and cannot any more.
    Unchecked,
}

/// One that is ill.
#[derive(Clone, Copy, Debug)]
struct Member {
    since: Moment,
    /// Its check ran, and said so.
    is_known: bool,
}

#[derive(Clone, Debug)]
struct Outbreak {
    since: Moment,
    /// Being rebooted to see whether it helps.
    canary: Option<SubjectId>,
    /// Canaries in a row that did not help.
    failures: u32,
    not_before: Moment,
}

impl Outbreaks {
    /// So many subjects run now.
    pub fn set_size(&mut self, size: usize) {
        self.size = size;
    }

    /// What a ping found of the subject; `None` = it could not tell.
    pub(super) fn note(&mut self, now: Moment, subject: &SubjectId, illness: Option<Illness>) {
        match illness {
            None => {}
            Some(Illness::Ill) => self.ill(now, subject, true),
            Some(Illness::Unchecked) => self.ill(now, subject, false),
            Some(Illness::NotIll) => self.not_ill(subject),
        }
    }

    fn ill(&mut self, now: Moment, subject: &SubjectId, is_known: bool) {
        if let Some(member) = self.ill.get_mut(subject) {
            self.is_news |= self.current.is_some() && member.is_known != is_known;
            member.is_known = is_known;
            return;
        }
        self.ill.insert(subject.clone(), Member { since: now, is_known });
        if self.current.is_none() && self.is_outbreak(now) {
            self.current = Some(Outbreak {
                since: now,
                canary: None,
                failures: 0,
                not_before: now,
            });
        }
        self.is_news |= self.current.is_some();
    }

    fn is_outbreak(&self, now: Moment) -> bool {
        let of_late = || self.ill.iter().filter(|(_, it)| now.since(it.since) < WITHIN);
        let count = of_late().count();
        let service = |subject: &SubjectId| {
            subject
                .parent()
                .filter(|it| it.parent().is_some_and(|it| it.parent().is_some()))
        };
        let mut services = of_late().map(|(subject, _)| service(subject));
        let first = services.next().flatten();
        let has_one_service = first.is_some() && services.all(|it| it == first);
        ILL_MIN <= count && self.size * ILL_MIN_PERCENT <= count * 100 && !has_one_service
    }

    /// The subject is well, was stopped, or is gone.
    pub fn not_ill(&mut self, subject: &SubjectId) {
        let was_ill = self.ill.remove(subject).is_some();
        if let Some(outbreak) = &mut self.current {
            if outbreak.canary.as_ref() == Some(subject) {
                outbreak.canary = None;
            }
            self.is_news |= was_ill;
        }
        if self.ill.len() < ILL_MIN {
            self.current = None;
        }
    }

    /// A reboot of the subject begins; one that has ended is nobody's canary.
    pub(super) fn begins(&mut self, subject: &SubjectId, runs: bool) {
        if let Some(outbreak) = self.current.as_mut().filter(|_| runs) {
            outbreak.canary = Some(subject.clone());
        }
    }

    /// A reboot of the subject is over.
    pub(super) fn ended(&mut self, now: Moment, subject: &SubjectId, outcome: Outcome) {
        let is_ill = self.ill.contains_key(subject);
        let Some(outbreak) = self.current.as_mut().filter(|_| is_ill) else {
            return;
        };
        outbreak.canary.take_if(|it| it == subject);
        match outcome {
            Outcome::Failed => {
                let pause = PAUSE_FIRST
                    .saturating_mul(1 << outbreak.failures.min(10))
                    .min(PAUSE_MAX);
                outbreak.failures += 1;
                outbreak.not_before = now + pause;
            }
            Outcome::Succeeded => outbreak.failures = 0,
            _ => {}
        }
        self.is_news = true;
    }

    /// May a subject that runs and is ill be rebooted?
    pub(super) fn guard(&self, now: Moment) -> GuardResult {
        let Some(outbreak) = &self.current else {
            return GuardResult::pass("not one of many that turned ill at once");
        };
        let words = self.words();
        let block = |why: String| Block::new(why, State::Unhealthy);
        if let Some(canary) = &outbreak.canary {
            let why = format!("{words}; {canary} is tried first");
            return block(why).quietly().into();
        }
        if now < outbreak.not_before {
            let pause = seconds(outbreak.not_before - now);
            let why = format!("{words}; restarting one did not help: the next is tried in {pause}");
            return block(why).keyed("outbreak").until(outbreak.not_before).into();
        }
        GuardResult::pass(format!("{words}: this one is tried first"))
    }

    /// The outbreak there is: since when, and in words.
    pub fn current(&self) -> Option<(Moment, String)> {
        self.current.as_ref().map(|it| (it.since, self.words()))
    }

    /// Who is ill, in order of their names.
    pub fn members(&self) -> impl Iterator<Item = &SubjectId> {
        self.ill.keys()
    }

    /// True once after each change of an outbreak: then all who are ill are to be asked anew.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.is_news)
    }

    /// True if the check of one of them at least has run, and says that it is ill.
    pub fn is_known(&self) -> bool {
        self.ill.values().any(|it| it.is_known)
    }

    /// `20 of 23 turned unhealthy at once: one cause`
    fn words(&self) -> String {
        let (ill, size) = (self.ill.len(), self.size.max(self.ill.len()));
        match self.is_known() {
            true => format!("{ill} of {size} turned unhealthy at once: one cause, and not theirs"),
            false => format!("the checks of {ill} of {size} cannot be run any more: one cause, and not theirs"),
        }
    }
}

#[cfg(test)]
mod tests {
    //! How many are an outbreak, who is tried, and when it is over.
    use super::*;
    use crate::fixture::subject;

    fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    fn outbreaks(size: usize, ill: &[(&str, u64)]) -> Outbreaks {
        let mut it = Outbreaks::default();
        it.set_size(size);
        ill.iter()
            .for_each(|(name, secs)| it.ill(at(*secs), &subject(name), true));
        it
    }

    fn lets_pass(it: &Outbreaks, secs: u64) -> bool {
        matches!(it.guard(at(secs)), GuardResult::Pass(_))
    }

    #[test]
    fn three_and_a_fifth_within_a_minute_are_an_outbreak() {
        let three = [("h/d/a", 0), ("h/d/b", 30), ("h/d/c", 59)];
        assert!(outbreaks(15, &three).current().is_some());
        assert!(outbreaks(16, &three).current().is_none(), "less than a fifth");
        assert!(outbreaks(2, &three[..2]).current().is_none(), "too few");
        let slow = [("h/d/a", 0), ("h/d/b", 30), ("h/d/c", 60)];
        assert!(outbreaks(3, &slow).current().is_none(), "not at once");
        let replicas = [("h/d/shop/web/1", 0), ("h/d/shop/web/2", 0), ("h/d/shop/web/3", 0)];
        assert!(outbreaks(3, &replicas).current().is_none(), "one service");
        let others = [("h/d/shop/web/1", 0), ("h/d/shop/web/2", 0), ("h/d/shop/db/1", 0)];
        assert!(outbreaks(3, &others).current().is_some());
    }

    #[test]
    fn one_canary_at_a_time_and_a_longer_wait_after_each_that_did_not_help() {
        let mut it = outbreaks(3, &[("h/d/a", 0), ("h/d/b", 0), ("h/d/c", 0)]);
        let [a, b] = ["h/d/a", "h/d/b"].map(subject);
        assert!(lets_pass(&it, 1));
        it.begins(&a, true);
        assert!(!lets_pass(&it, 1));
        it.ended(at(10), &a, Outcome::Failed);
        assert!(!lets_pass(&it, 69) && lets_pass(&it, 70));
        it.begins(&b, true);
        it.ended(at(80), &b, Outcome::Failed);
        assert!(!lets_pass(&it, 199) && lets_pass(&it, 200));
        it.begins(&b, true);
        it.ended(at(210), &b, Outcome::Succeeded);
        assert!(lets_pass(&it, 210), "it helped: the next");
        for n in 0..20 {
            it.ended(at(1000), &a, Outcome::Failed);
            assert!(lets_pass(&it, 1600), "{n}: never longer than ten minutes");
        }
        assert!(!lets_pass(&it, 1599));
    }

    #[test]
    fn it_is_over_when_few_are_left() {
        let mut it = outbreaks(3, &[("h/d/a", 0), ("h/d/b", 0), ("h/d/c", 0)]);
        assert!(it.take_news() && !it.take_news());
        it.begins(&subject("h/d/a"), true);
        it.not_ill(&subject("h/d/a"));
        assert!(it.take_news() && it.current().is_none() && lets_pass(&it, 1));
        assert_eq!(it.members().count(), 2);
        it.ill(at(5), &subject("h/d/c"), true);
        assert!(!it.take_news(), "it was ill before");
        it.ill(at(5), &subject("h/d/a"), true);
        assert_eq!(it.current().map(|(since, _)| since), Some(at(5)), "a new one");
    }

    #[test]
    fn many_whose_checks_cannot_be_run_any_more_are_told_as_that_until_one_is_known_to_be_ill() {
        let mut it = Outbreaks::default();
        it.set_size(4);
        let [a, b, c] = ["h/d/a", "h/d/b", "h/d/c"].map(subject);
        let said = |it: &Outbreaks| it.current().map(|(_, words)| words);
        it.note(at(0), &a, Some(Illness::Unchecked));
        it.note(at(0), &b, Some(Illness::Unchecked));
        it.note(at(0), &c, None);
        assert_eq!(said(&it), None, "two");
        it.note(at(1), &c, Some(Illness::Unchecked));
        let unchecked = "the checks of 3 of 4 cannot be run any more: one cause, and not theirs";
        assert_eq!((said(&it).as_deref(), it.is_known()), (Some(unchecked), false));
        assert!(it.take_news());
        it.note(at(2), &c, Some(Illness::Unchecked));
        assert!(!it.take_news(), "as before");
        it.note(at(3), &c, Some(Illness::Ill));
        let ill = "3 of 4 turned unhealthy at once: one cause, and not theirs";
        assert_eq!((said(&it).as_deref(), it.is_known()), (Some(ill), true));
        assert!(it.take_news());
        it.note(at(4), &c, Some(Illness::NotIll));
        assert_eq!(said(&it), None);
    }
}
