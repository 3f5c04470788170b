//! How an incarnation ended: the class, the facts, and what is planned since. Classified once; the record stands until
//! new evidence replaces it, and a person's `retry` does not change what was found.
//!
//! Does not know how a kind of subject is classified: each kind has a classifier of its own.

use super::reported::Shown;
use crate::decision::Guard;
use crate::subject::Incarnation;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Who or what ended it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum ExitClass {
    /// It ended by itself: it is to be restarted.
    Crash,
    /// Its engine or its machine went down and took it along: it is to be restarted.
    EngineOrHost,
    /// A person, or a tool of theirs, ended it: left alone.
    Operator,
    /// It ended as it should: left alone.
    Finished,
    /// It ended before anybody watched it: reported only.
    FirstSight,
    /// Nothing can tell: a person is needed.
    CannotTell,
}

impl ExitClass {
    /// True if it is to be restarted without being asked to.
    pub const fn wants_restart(self) -> bool {
        matches!(self, Self::Crash | Self::EngineOrHost)
    }

    /// True if a person may ask for a restart of it: nothing says that it was meant to end.
    pub const fn may_be_retried(self) -> bool {
        !matches!(self, Self::Operator | Self::Finished)
    }
}

/// One end of one incarnation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExitRecord {
    incarnation: Incarnation,
    class: ExitClass,
    how: String,
    why: String,
    at: Moment,
    is_correlated: bool,
    is_own_stop: bool,
    evidence: Vec<Evidence>,
    due: Option<Moment>,
    asked_by: Option<String>,
    unfit: Option<(String, Duration)>,
}

impl ExitRecord {
    /// An end that became known at `at`. `how` it ended (`exited (137)`), and `why` it is of that class
    /// (`nobody stopped it`), both in words.
    pub fn new(
        incarnation: Incarnation,
        class: ExitClass,
        at: Moment,
        how: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            incarnation,
            class,
            how: how.into(),
            why: why.into(),
            at,
            is_correlated: false,
            is_own_stop: false,
            evidence: Vec::new(),
            due: None,
            asked_by: None,
            unfit: None,
        }
    }

    /// The facts it was classified by.
    pub fn with_evidence(self, evidence: Vec<Evidence>) -> Self {
        Self { evidence, ..self }
    }

    /// It is one of many ends of one cause: exempt from the budget of all together.
    pub fn correlated(self, is_correlated: bool) -> Self {
        Self { is_correlated, ..self }
    }

    /// A stop of ours brought it about, and no start has followed yet.
    pub fn own_stop(self) -> Self {
        Self {
            is_own_stop: true,
            ..self
        }
    }

    /// It says itself that it cannot run for now, in words: one half-open retry every so often, out of no budget.
    pub fn say_unfit(self, why: impl Into<String>, retry_every: Duration) -> Self {
        Self {
            unfit: Some((why.into(), retry_every)),
            ..self
        }
    }

    /// Why it cannot run for now, and how often to try all the same.
    pub fn unfit(&self) -> Option<(&str, Duration)> {
        self.unfit.as_ref().map(|(why, every)| (why.as_str(), *every))
    }

    /// A person asks for a restart all the same, and at once. What was found stays as it is.
    pub fn retry(&mut self, asked_by: &str) {
        (self.due, self.unfit) = (None, None);
        self.asked_by = Some(asked_by.to_string());
    }

    /// True if it is to be restarted: by its class, or because a person asked for it.
    pub const fn wants_restart(&self) -> bool {
        self.class.wants_restart() || (self.asked_by.is_some() && self.class.may_be_retried())
    }

    /// Who asked for a restart of this end.
    pub fn asked_by(&self) -> Option<&str> {
        self.asked_by.as_deref()
    }

    /// New evidence: the class it shows, why, and the fact. The plan for its restart stays.
    pub fn reclassify(&mut self, class: ExitClass, why: impl Into<String>, fact: Evidence) {
        (self.class, self.why) = (class, why.into());
        self.evidence.push(fact);
    }

    /// Which incarnation ended.
    pub const fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// Who or what ended it.
    pub const fn class(&self) -> ExitClass {
        self.class
    }

    /// How it ended, in words.
    pub fn how(&self) -> &str {
        &self.how
    }

    /// Why it is of its class, in words.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// When it became known.
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// One of many ends of one cause.
    pub const fn is_correlated(&self) -> bool {
        self.is_correlated
    }

    /// Our own stop brought it about.
    pub const fn is_own_stop(&self) -> bool {
        self.is_own_stop
    }

    /// The facts.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Not to be restarted before; set when the back-off is first asked.
    pub const fn due(&self) -> Option<Moment> {
        self.due
    }

    /// Plans the restart.
    pub const fn set_due(&mut self, due: Option<Moment>) {
        self.due = due;
    }

    /// Where it is left alone: the guard that says so, what is shown, and what tells two reasons apart.
    pub(super) fn left_alone(&self) -> (Guard, Shown, String) {
        let (how, why) = (self.how(), self.why());
        let (guard, state, words) = match self.class {
            ExitClass::Operator => (
                Guard::OperatorIntent,
                State::Stopped,
                format!("stopped by a person: {why}"),
            ),
            ExitClass::Finished => (Guard::MeantToRun, State::Finished, format!("finished: {why}")),
            ExitClass::FirstSight => {
                let words = format!("{how} before anybody watched it: {why}");
                (Guard::KnownCause, State::Unknown, words)
            }
            ExitClass::CannotTell | ExitClass::Crash | ExitClass::EngineOrHost => {
                let words = format!("{how}, and nothing can tell whether a person stopped it: {why}");
                (Guard::KnownCause, State::GivenUp, words)
            }
        };
        (guard, Shown::new(state, words), String::from(why))
    }
}
