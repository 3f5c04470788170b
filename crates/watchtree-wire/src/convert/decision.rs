//! Decision records, in both directions.
//!
//! Contract: an unknown action, outcome or guard of a newer version is kept as evidence and claims nothing.

use super::fields::{
    DecodeResult, EncodeResult, check_count, cut, incarnation_in, incarnation_out, name_in, subject_in, subject_out,
    text_in, within,
};
use super::truncation::TruncationLevel;
use super::verdict::{evidence_in, evidence_out, unknown_word};
use crate::error::DecodeError;
use crate::limits::{EVIDENCE_MAX, GUARDS_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX};
use crate::pb;
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::time::{Moment, WallTime};

pub(super) fn decision_out(decision: &Decision, level: TruncationLevel) -> EncodeResult<pb::Decision> {
    check_count("guards", decision.guards.len(), GUARDS_MAX)?;
    Ok(pb::Decision {
        id: Some(pb::DecisionId {
            node: decision.id.node.as_str().to_owned(),
            epoch: decision.id.epoch,
            count: decision.id.count,
        }),
        at_us: decision.at.as_micros(),
        subject: subject_out("subject", &decision.subject)?,
        incarnation: incarnation_out(&decision.incarnation)?,
        action: decision.action.as_str().to_owned(),
        outcome: decision.outcome.as_str().to_owned(),
        why: cut(&decision.why, TEXT_BYTES_MAX),
        result: cut(&decision.result, TEXT_BYTES_MAX),
        budget_left: decision.budget_left,
        evidence: evidence_out(&decision.evidence, level),
        guards: decision
            .guards
            .iter()
            .map(|answer| pb::GuardAnswer {
                guard: answer.guard.as_str().to_owned(),
                pass: answer.lets_pass(),
                detail: cut(&answer.detail, level.detail_bytes),
                verdict: verdict_out(answer.verdict),
            })
            .collect(),
        wall_ms: decision.wall.0,
    })
}

/// The word where `pass` alone does not say it all.
fn verdict_out(verdict: GuardVerdict) -> String {
    match verdict {
        GuardVerdict::Passed | GuardVerdict::Blocked => String::new(),
        GuardVerdict::Waived | GuardVerdict::NotAsked => verdict.as_str().to_owned(),
    }
}

/// A record is for people to read: what a newer version says in words that are not known here goes to the evidence, so
/// that nothing is hidden, and counts as no action and no result.
pub(super) fn decision_in(decision: pb::Decision) -> DecodeResult<Decision> {
    within("guards", decision.guards.len(), GUARDS_MAX)?;
    let id = decision.id.ok_or(DecodeError::MissingField { field: "decisions.id" })?;
    let at = Moment::from_micros(decision.at_us);
    let action_word = text_in("action", decision.action, WORD_BYTES_MAX)?;
    let outcome_word = text_in("outcome", decision.outcome, WORD_BYTES_MAX)?;
    let mut unknown = Vec::new();
    let action = ActionKind::from_word(&action_word).unwrap_or_else(|| {
        unknown.push(unknown_word("action", &action_word, "", at));
        ActionKind::None
    });
    let outcome = Outcome::from_word(&outcome_word).unwrap_or_else(|| {
        unknown.push(unknown_word("outcome", &outcome_word, "", at));
        Outcome::UnderWay
    });
    let mut guards = Vec::with_capacity(decision.guards.len());
    for answer in decision.guards {
        let word = text_in("guards.guard", answer.guard, WORD_BYTES_MAX)?;
        let detail = text_in("guards.detail", answer.detail, TEXT_BYTES_MAX)?;
        let verdict_word = text_in("guards.verdict", answer.verdict, WORD_BYTES_MAX)?;
        let verdict = GuardVerdict::from_word_or_pass(&verdict_word, answer.pass);
        match Guard::from_word(&word) {
            Some(guard) => guards.push(GuardAnswer::new(guard, verdict, detail)),
            None => {
                let said = format!("{}: {detail}", if answer.pass { "passed" } else { "blocked" });
                unknown.push(unknown_word("guard", &word, &said, at));
            }
        }
    }
    let mut evidence = evidence_in(decision.evidence)?;
    unknown.truncate(EVIDENCE_MAX.saturating_sub(evidence.len()));
    evidence.append(&mut unknown);
    Ok(Decision {
        id: DecisionId {
            node: name_in("decisions.id.node", &id.node)?,
            epoch: id.epoch,
            count: id.count,
        },
        at,
        wall: WallTime(decision.wall_ms),
        subject: subject_in("subject", &decision.subject)?,
        incarnation: incarnation_in(decision.incarnation)?,
        evidence,
        guards,
        action,
        budget_left: decision.budget_left,
        outcome,
        why: text_in("why", decision.why, TEXT_BYTES_MAX)?,
        result: text_in("result", decision.result, TEXT_BYTES_MAX)?,
    })
}
