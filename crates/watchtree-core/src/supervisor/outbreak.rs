//! Many that turn ill at once have one cause: no wave of reboots, but one canary at a time, and none where it did not help.
//!
//! ```text
//!            ≥ 3 and ≥ 20 % turned ill within 60 s,
//!            or ≥ 2 on an overloaded machine                  fewer than that are ill, and it is not passing
//!   (none) ───────────────────────────────────────▶ outbreak ──────────────────────▶ (none)
//!                                                     │   ▲
//!               one is well by itself: it is passing ─┤   ├── for 60 s, once: no canary
//!                              a canary is rebooted ──┤   ├── it is well: the next one
//!                                                     └───┴── it is not: wait 60 s, 120 s … 600 s
//! ```
//!
//! Instances of one service have something of their own in common: they are no outbreak, but where the machine is overloaded: then
//! checks fail of that, one alone waits for five seconds for others, and the first canary of many for half a minute, in which most
//! overloads pass. Many whose checks cannot be run any more
//! have one cause as well, but nobody knows that they are ill: it is told, and none of them is a canary. Counts; knows no kind of
//! subject and reports nothing itself.

use super::admission::{Block, GuardResult};
use super::overload::Overload;
use crate::decision::Outcome;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment, seconds};
use crate::verdict::State;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// So many ill at once are an outbreak, …
const ILL_MIN: usize = 3;
/// … if they are at least this share of all.
const ILL_MIN_PERCENT: usize = 20;
/// So many are one where the machine is overloaded.
const ILL_MIN_OVERLOADED: usize = 2;
/// They turned ill within this time: most checks run every 30 s or oftener, and say so after two or three failures.
const WITHIN: Duration = Duration::from_secs(60);
/// First and longest wait after a canary that did not help.
const PAUSE_FIRST: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// On an overloaded machine one that is ill alone waits so long for others to be.
const ALONE: Duration = Duration::from_secs(5);
/// Where some are well again by themselves, so are the others after their next checks: they are given this time, once.
const PASSING: Duration = Duration::from_secs(60);
/// How long the first canary of an overloaded machine waits. Not longer: one of them may be what overloads it.
const OVERLOAD_PAUSE: Duration = Duration::from_secs(30);

/// Who is ill, and whether that is an outbreak.
#[derive(Clone, Debug, Default)]
pub struct Outbreaks {
    /// How many subjects there are to be ill.
    size: usize,
    /// As many as there are subjects.
    ill: BTreeMap<SubjectId, Member>,
    current: Option<Outbreak>,
    is_news: bool,
    /// `None` = nobody tells how busy the machine is.
    overload: Option<Overload>,
}

/// What a ping found of a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Illness {
    /// It is well.
    Well,
    /// It was stopped, has ended, or is not judged by how well it is.
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
    /// Why the machine counted as overloaded when it began.
    overload: Option<String>,
    /// Being rebooted to see whether it helps.
    canary: Option<SubjectId>,
    /// Canaries in a row that did not help.
    failures: u32,
    not_before: Moment,
    /// Since when some are well again without a reboot.
    passing: Option<Moment>,
}

impl Outbreak {
    /// How many ill ones make it last.
    fn ill_min(&self) -> usize {
        match self.overload {
            Some(_) => ILL_MIN_OVERLOADED,
            None => ILL_MIN,
        }
    }

    /// Until when it may pass by itself.
    fn passing_until(&self, now: Moment) -> Option<Moment> {
        let until = self.passing? + PASSING;
        (now < until).then_some(until)
    }
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
            Some(Illness::Well) => self.well(now, subject),
            Some(Illness::NotIll) => self.forget(now, subject),
        }
    }

    fn ill(&mut self, now: Moment, subject: &SubjectId, is_known: bool) {
        if let Some(member) = self.ill.get_mut(subject) {
            self.is_news |= self.current.is_some() && member.is_known != is_known;
            member.is_known = is_known;
            return;
        }
        self.ill.insert(subject.clone(), Member { since: now, is_known });
        if let Some(overload) = &mut self.overload {
            overload.want();
        }
        self.judge(now);
        self.is_news |= self.current.is_some();
    }

    /// Begins an outbreak, if there is one.
    fn judge(&mut self, now: Moment) {
        if self.current.is_some() {
            return;
        }
        let overload = self.overload.as_ref().and_then(|it| it.why(now)).map(String::from);
        let of_late = self.ill.iter().filter(|(_, it)| now.since(it.since) < WITHIN);
        let of_late: Vec<&SubjectId> = of_late.map(|(subject, _)| subject).collect();
        let is_outbreak = match &overload {
            Some(_) => ILL_MIN_OVERLOADED <= of_late.len(),
            None => self.is_outbreak(&of_late),
        };
        if is_outbreak {
            let pause = overload.as_ref().map_or(Duration::ZERO, |_| OVERLOAD_PAUSE);
            self.current = Some(Outbreak {
                since: now,
                overload,
                canary: None,
                failures: 0,
                not_before: now + pause,
                passing: None,
            });
        }
    }

    /// Before the first canary of an outbreak, it is known that the machine is overloaded.
    fn explain(&mut self, now: Moment) {
        let why = self.overload.as_ref().and_then(|it| it.why(now)).map(String::from);
        let is_open = |it: &&mut Outbreak| it.overload.is_none() && it.canary.is_none() && it.failures == 0;
        if let Some(outbreak) = self.current.as_mut().filter(is_open)
            && why.is_some()
        {
            (outbreak.overload, outbreak.not_before) = (why, outbreak.since + OVERLOAD_PAUSE);
            self.is_news = true;
        }
    }

    fn is_outbreak(&self, of_late: &[&SubjectId]) -> bool {
        let service = |subject: &SubjectId| {
            subject
                .parent()
                .filter(|it| it.parent().is_some_and(|it| it.parent().is_some()))
        };
        let mut services = of_late.iter().map(|subject| service(subject));
        let first = services.next().flatten();
        let has_one_service = first.is_some() && services.all(|it| it == first);
        ILL_MIN <= of_late.len() && self.size * ILL_MIN_PERCENT <= of_late.len() * 100 && !has_one_service
    }

    /// How busy the machine is will be told whenever it is asked for.
    pub fn expect_load(&mut self) {
        self.overload.get_or_insert_default();
    }

    /// When it is to be asked how busy the machine is; `None` = nobody tells.
    fn load_due(&self) -> Option<Moment> {
        self.overload.as_ref().map(Overload::due)
    }

    /// Until when a reboot of the subject waits for that answer; `None` = it does not.
    pub(super) fn load_awaited_until(&self, now: Moment, subject: &SubjectId) -> Option<Moment> {
        let overload = self.overload.as_ref().filter(|_| self.ill.contains_key(subject));
        overload.and_then(|it| it.awaited_until(now))
    }

    /// Why the machine is overloaded; `None` = it is not. Who waits for this is to be asked anew.
    pub fn take_load(&mut self, now: Moment, why: Option<String>) {
        if let Some(overload) = &mut self.overload {
            self.is_news |= overload.awaited_until(now).is_some();
            overload.take(now, why);
            let was = self.current.is_some();
            self.judge(now);
            self.is_news |= was != self.current.is_some();
            self.explain(now);
        }
    }

    /// The subject is well.
    fn well(&mut self, now: Moment, subject: &SubjectId) {
        let was_ill = self.ill.contains_key(subject);
        if let Some(outbreak) = self.current.as_mut().filter(|_| was_ill)
            && outbreak.canary.as_ref() != Some(subject)
        {
            outbreak.passing.get_or_insert(now);
        }
        self.forget(now, subject);
    }

    /// The subject was stopped, or is gone.
    pub fn forget(&mut self, now: Moment, subject: &SubjectId) {
        let was_ill = self.ill.remove(subject).is_some();
        if let Some(outbreak) = &mut self.current {
            outbreak.canary.take_if(|it| it == subject);
            self.is_news |= was_ill;
        }
        self.expire(now);
    }

    /// Ends what is over.
    fn expire(&mut self, now: Moment) {
        let (ill, due) = (self.ill.len(), self.passes_at());
        let is_few = |it: &Outbreak| ill < it.ill_min() && due.is_none_or(|due| due <= now);
        let over = self.current.take_if(|it| ill == 0 || is_few(it));
        self.is_news |= over.is_some();
    }

    /// When few of an outbreak that is passing are still ill, and it counts as over.
    fn passes_at(&self) -> Option<Moment> {
        let outbreak = self.current.as_ref().filter(|it| self.ill.len() < it.ill_min())?;
        outbreak.passing.map(|passing| passing + PASSING)
    }

    /// When this wants to be asked again: for the load of the machine, or as it may be over.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.load_due().into_iter().chain(self.passes_at()).min()
    }

    /// Does what is due. True if the load of the machine is to be read.
    pub fn handle_timeout(&mut self, now: Moment) -> bool {
        self.expire(now);
        let is_due = self.load_due().is_some_and(|due| due <= now);
        if let Some(overload) = self.overload.as_mut().filter(|_| is_due) {
            overload.ask(now);
        }
        is_due
    }

    /// A reboot of the subject begins; one that has ended is nobody's canary.
    pub(super) fn begins(&mut self, subject: &SubjectId, runs: bool) {
        let is_ill = runs && self.ill.contains_key(subject);
        if let Some(outbreak) = self.current.as_mut().filter(|_| is_ill) {
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
            Outcome::Succeeded => {
                outbreak.failures = 0;
                // A check that ends in time again is the machine's merit as well.
                if outbreak.overload.is_some() {
                    outbreak.passing.get_or_insert(now);
                }
                self.ill.remove(subject);
            }
            _ => {}
        }
        self.is_news = true;
    }

    /// May a subject that runs and is ill be rebooted?
    pub(super) fn guard(&self, now: Moment, subject: &SubjectId) -> GuardResult {
        let Some(member) = self.ill.get(subject) else {
            return GuardResult::pass("what it suffers from is its own");
        };
        let block = |why: String| Block::new(why, State::Unhealthy);
        let Some(outbreak) = &self.current else {
            let until = Some(member.since + ALONE).filter(|until| now < *until);
            let overload = self.overload.as_ref().and_then(|it| it.why(now));
            return match (until, overload) {
                (Some(until), Some(why)) => block(format!("{why}: whether others are ill too is waited for"))
                    .keyed("overload")
                    .until(until)
                    .into(),
                _ => GuardResult::pass("not one of many that turned ill at once"),
            };
        };
        let words = self.words();
        if let Some(canary) = &outbreak.canary {
            let why = format!("{words}; {canary} is tried first");
            return block(why).quietly().into();
        }
        if let Some(until) = outbreak.passing_until(now) {
            let pause = seconds(until - now);
            let why = format!("{words}; some are well again by themselves: it is given {pause}");
            return block(why).keyed("outbreak").until(until).into();
        }
        if now < outbreak.not_before {
            let pause = seconds(outbreak.not_before - now);
            let why = match outbreak.failures {
                0 => format!("{words}; one is tried in {pause}"),
                _ => format!("{words}; restarting one did not help: the next is tried in {pause}"),
            };
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
        let overload = self.current.as_ref().and_then(|it| it.overload.as_ref());
        let overload = overload.map(|why| format!(", and {why}")).unwrap_or_default();
        match self.is_known() {
            true => format!("{ill} of {size} turned unhealthy at once{overload}: one cause, and not theirs"),
            false => {
                format!("the checks of {ill} of {size} cannot be run any more{overload}: one cause, and not theirs")
            }
        }
    }
}

#[cfg(test)]
mod tests;
