//! What one step of a supervisor works on: what its role lends it, the subject, the case that a ping found, the repair under way.
//! Plain data; decides nothing.

use super::budget::FleetBudget;
use super::ill::Ill;
use super::outputs::Outputs;
use super::places::Places;
use super::policy::RestartPolicy;
use super::subject::Subject;
use crate::decision::{Decision, Outcome};
use crate::time::Moment;
use crate::verdict::Evidence;
use alloc::string::String;
use alloc::vec::Vec;

/// What a role lends a supervisor for one step.
#[derive(Debug)]
pub struct Terms<'a> {
    /// The limits of this subject.
    pub policy: RestartPolicy,
    /// The budget of all together.
    pub fleet: &'a mut FleetBudget,
    /// The places for repairs under way.
    pub places: Places,
    /// For jitter.
    pub seed: u64,
}

/// One step of one supervisor: everything it may look at and write to.
pub(super) struct Turn<'t, 'a, S: Subject> {
    pub(super) now: Moment,
    pub(super) subject: &'t mut S,
    pub(super) around: &'t mut S::Around<'a>,
    pub(super) policy: RestartPolicy,
    pub(super) fleet: &'t mut FleetBudget,
    pub(super) places: Places,
    pub(super) seed: u64,
    pub(super) out: &'t mut Outputs<'a, S::Command>,
}

/// A subject that is not well, and by which facts.
pub(super) struct Case {
    pub(super) ill: Ill,
    /// How it is, in words: `unhealthy`, `exited (137)`.
    pub(super) how: String,
    pub(super) evidence: Vec<Evidence>,
    /// It is well all the same.
    pub(super) is_well: bool,
}

impl Case {
    /// Of what runs.
    pub(super) fn running(how: String, evidence: Vec<Evidence>, is_well: bool) -> Self {
        let ill = Ill::Running;
        Self {
            ill,
            how,
            evidence,
            is_well,
        }
    }
}

/// A repair under way, with its record.
#[derive(Clone, Debug)]
pub(super) struct OpenRepair<R> {
    pub(super) decision: Decision,
    pub(super) repair: R,
    /// It was taken from the budget of all together as well.
    pub(super) is_of_fleet: bool,
}

impl<R> OpenRepair<R> {
    /// One more fact in its record; the oldest makes room.
    pub(super) fn add_evidence(&mut self, fact: Evidence) {
        if Evidence::COUNT_MAX <= self.decision.evidence.len() {
            self.decision.evidence.remove(0);
        }
        self.decision.evidence.push(fact);
    }

    /// A new incarnation was seen: in words, and as a fact.
    pub(super) fn begins_verifying(&mut self, result: String, fact: Evidence) {
        self.add_evidence(fact);
        (self.decision.outcome, self.decision.result) = (Outcome::Verifying, result);
    }
}
