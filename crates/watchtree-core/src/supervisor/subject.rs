//! The one idea as a type: a subject has two verbs, *ping* (is it well?) and *reboot* (make it well).
//!
//! A kind of subject implements [`Subject`]; the supervisor decides when a verb is used. An implementation knows its own
//! evidence and its own repair; it does not know budgets, delays or records.

use super::admission::Admission;
use super::ill::Ill;
use super::outbreak::Illness;
use super::outputs::Outputs;
use super::refusal::Refusal;
use super::reported::Shown;
use super::supervision::Supervision;
use crate::decision::{ActionKind, Outcome};
use crate::subject::{Incarnation, SubjectId};
use crate::time::Moment;
use crate::verdict::Evidence;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

/// A kind of thing that is watched.
pub trait Subject {
    /// What its role knows around it now: what was observed, other subjects, holds. Plain data and references.
    type Around<'a>;
    /// Where one reboot of it stands: a machine with a diagram of its own.
    type Repair: Clone + Debug;
    /// What it wants done outside.
    type Command;

    /// Its name in the tree.
    fn id(&self) -> &SubjectId;

    /// Which life it is in, or was in last.
    fn incarnation(&self, around: &Self::Around<'_>) -> Incarnation;

    /// Ping: what the evidence says now. Missing evidence is asked for by commands; an end is kept by
    /// [`Supervision::set_exit`].
    fn ping(
        &mut self,
        now: Moment,
        around: &mut Self::Around<'_>,
        supervision: &mut Supervision,
        out: &mut Outputs<'_, Self::Command>,
    ) -> Assessment;

    /// The action that makes it well.
    fn action(&self, ill: Ill) -> ActionKind;

    /// What that action does, in words: `start it`.
    fn plan(&self, action: ActionKind) -> &'static str;

    /// The guards of this kind before `action`, in order. Those of budget, back-off and place follow by themselves.
    fn guards(
        &mut self,
        now: Moment,
        ill: Ill,
        around: &mut Self::Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Outputs<'_, Self::Command>,
    );

    /// Reboot: begins a repair. Its record is written down already.
    fn reboot(
        &mut self,
        now: Moment,
        action: ActionKind,
        around: &mut Self::Around<'_>,
        supervision: &mut Supervision,
        out: &mut Outputs<'_, Self::Command>,
    ) -> Self::Repair;

    /// Moves a repair on as far as it can go now.
    fn advance(
        &mut self,
        now: Moment,
        repair: &mut Self::Repair,
        around: &mut Self::Around<'_>,
        supervision: &mut Supervision,
        out: &mut Outputs<'_, Self::Command>,
    ) -> Progress;
}

/// What a ping found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Assessment {
    /// Nothing new can be said: it is shown as before.
    Unclear,
    /// Being found out; asked again then at the latest.
    Pending {
        /// `None` = when something changes.
        until: Option<Moment>,
        /// What is shown meanwhile.
        shown: Shown,
    },
    /// Nothing is to be done, and nothing was decided.
    LeftAlone(Shown),
    /// It runs and is well since then.
    Well {
        /// When its incarnation began.
        since: Moment,
        /// What is shown.
        shown: Shown,
    },
    /// It runs and is not well.
    Unhealthy {
        /// In one word or two: `unhealthy`.
        how: String,
        /// The facts.
        evidence: Vec<Evidence>,
    },
    /// It runs, and its check cannot be run: nothing is known of it.
    Unchecked {
        /// In a few words: `its health check cannot be run`.
        how: String,
        /// The facts.
        evidence: Vec<Evidence>,
        /// Its check could be run before: the cause may be outside of it.
        is_new: bool,
    },
    /// It runs, and something outside of it that it stands on has begun anew since: it has not failed itself, and is to be rebooted.
    Stale {
        /// In a few words: `cut off: …`.
        how: String,
        /// The facts.
        evidence: Vec<Evidence>,
        /// It is of use as it is: where a guard says no, it is shown to be well.
        is_well: bool,
    },
    /// It has ended: see [`Supervision::exit`].
    Down,
}

impl Assessment {
    /// Does it run and is not well? `None` = that says nothing of what it may have in common with others.
    pub(super) const fn illness(&self) -> Option<Illness> {
        match self {
            Self::Unclear | Self::Pending { .. } | Self::Unchecked { is_new: false, .. } => None,
            Self::Unhealthy { .. } => Some(Illness::Ill),
            Self::Unchecked { is_new: true, .. } => Some(Illness::Unchecked),
            Self::Well { .. } => Some(Illness::Well),
            Self::Stale { .. } | Self::LeftAlone(_) | Self::Down => Some(Illness::NotIll),
        }
    }
}

/// How far a repair has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It waits, until then at the latest.
    Waits {
        /// `None` = for an input.
        until: Option<Moment>,
        /// What is shown meanwhile.
        shown: Shown,
    },
    /// A new incarnation was seen: in words, and as a fact. It must stay to count.
    Restarted {
        /// `a new incarnation was seen: …`
        result: String,
        /// The fact.
        fact: Evidence,
    },
    /// It was refused and is over: the subject itself has not failed.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Nothing was done at all, not even a stop.
        is_void: bool,
    },
    /// It is over.
    Over {
        /// How it ended.
        outcome: Outcome,
        /// What came of it, in words.
        result: String,
    },
}
