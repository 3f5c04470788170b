//! A decision in a journal frame, as JSON. Does not know the records around it.

use serde::{Deserialize, Serialize};
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::id::NodeName;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind};

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct DecisionLine {
    node: String,
    epoch: u64,
    count: u64,
    at: u64,
    wall: u64,
    subject: String,
    incarnation: String,
    /// kind, detail, at
    evidence: Vec<(String, String, u64)>,
    /// guard, pass, detail
    guards: Vec<(String, bool, String)>,
    /// The verdict of each guard, in the same order; absent in what older versions wrote.
    #[serde(default)]
    verdicts: Vec<String>,
    action: String,
    budget_left: Option<u32>,
    outcome: String,
    why: String,
    result: String,
}

impl DecisionLine {
    /// The line of one decision.
    pub(crate) fn of(decision: &Decision) -> Self {
        let evidence = decision.evidence.iter();
        let guards = decision.guards.iter();
        Self {
            node: decision.id.node.to_string(),
            epoch: decision.id.epoch,
            count: decision.id.count,
            at: decision.at.as_micros(),
            wall: decision.wall.0,
            subject: decision.subject.to_string(),
            incarnation: decision.incarnation.0.clone(),
            evidence: evidence
                .map(|it| (it.kind.as_str().to_owned(), it.detail.clone(), it.at.as_micros()))
                .collect(),
            guards: guards
                .map(|it| (it.guard.as_str().to_owned(), it.lets_pass(), it.detail.clone()))
                .collect(),
            verdicts: decision
                .guards
                .iter()
                .map(|it| it.verdict.as_str().to_owned())
                .collect(),
            action: decision.action.as_str().to_owned(),
            budget_left: decision.budget_left,
            outcome: decision.outcome.as_str().to_owned(),
            why: decision.why.clone(),
            result: decision.result.clone(),
        }
    }

    /// The decision; `None` if it cannot be read.
    pub(crate) fn into_core(self) -> Option<Decision> {
        // Facts of a kind that this version does not know are left out: the record is for people.
        let evidence = self.evidence.into_iter().filter_map(|(kind, detail, at)| {
            Some(Evidence::new(
                EvidenceKind::from_word(&kind)?,
                Moment::from_micros(at),
                detail,
            ))
        });
        let mut verdicts = self.verdicts.into_iter();
        let guards = self.guards.into_iter().filter_map(|(guard, pass, detail)| {
            let verdict = GuardVerdict::from_word_or_pass(&verdicts.next().unwrap_or_default(), pass);
            Some(GuardAnswer::new(Guard::from_word(&guard)?, verdict, detail))
        });
        Some(Decision {
            id: DecisionId {
                node: NodeName::new(&self.node).ok()?,
                epoch: self.epoch,
                count: self.count,
            },
            at: Moment::from_micros(self.at),
            wall: WallTime(self.wall),
            subject: SubjectId::new(&self.subject).ok()?,
            incarnation: Incarnation(self.incarnation),
            evidence: evidence.collect(),
            guards: guards.collect(),
            action: ActionKind::from_word(&self.action)?,
            budget_left: self.budget_left,
            outcome: Outcome::from_word(&self.outcome)?,
            why: self.why,
            result: self.result,
        })
    }
}
