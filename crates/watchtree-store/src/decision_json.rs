//! A decision as JSON, in a journal frame and in a row of the database: a mirror type, since the core derives no `Serialize`.
//!
//! Contract: fields are only added, each with a default. Evidence and guards of a kind that this version does not know are
//! left out: the record is for people. Does not know what is around it.

use serde::{Deserialize, Serialize};
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::id::NodeName;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind};

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct DecisionJson {
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

impl DecisionJson {
    /// Of one decision.
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
    pub(crate) fn read(self) -> Option<Decision> {
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
            evidence: evidence.take(Evidence::COUNT_MAX).collect(),
            guards: guards.collect(),
            action: ActionKind::from_word(&self.action)?,
            budget_left: self.budget_left,
            outcome: Outcome::from_word(&self.outcome)?,
            why: self.why,
            result: self.result,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a version wrote it that knew only `pass`.
    const OLDER: &str = r#"{"node":"h1.docker.watchdog","epoch":7,"count":1,"at":5,"wall":9,"subject":"h1/docker/web",
        "incarnation":"c@t","evidence":[["exited","exit code 137",5]],
        "guards":[["enabled",true,"label"],["operator_intent",false,"signal 15 seen"]],
        "action":"start","budget_left":4,"outcome":"not_taken","why":"w","result":""}"#;

    fn read(text: &str) -> Decision {
        let json: DecisionJson = serde_json::from_str(text).expect("the format");
        json.read().expect("every word is known")
    }

    #[test]
    fn a_record_without_verdicts_is_read_by_its_pass() {
        let decision = read(OLDER);
        let verdicts: Vec<GuardVerdict> = decision.guards.iter().map(|it| it.verdict).collect();
        assert_eq!(verdicts, [GuardVerdict::Passed, GuardVerdict::Blocked]);
        assert_eq!(decision.evidence.len(), 1);
    }

    #[test]
    fn all_verdicts_of_a_guard_are_kept_and_an_older_version_reads_pass() {
        let answer = |verdict| GuardAnswer::new(Guard::Enabled, verdict, "words");
        let decision = Decision {
            guards: GuardVerdict::ALL.map(answer).to_vec(),
            ..read(OLDER)
        };
        let json = serde_json::to_value(DecisionJson::of(&decision)).expect("plain data");
        let passes: Vec<bool> = json["guards"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|guard| guard[1] == true)
            .collect();
        assert_eq!(passes, [true, false, true, true]);
        assert_eq!(read(&json.to_string()), decision);
        let newer = json.to_string().replace("waived", "overridden");
        assert_eq!(read(&newer).guards[2].verdict, GuardVerdict::Passed, "an unknown word");
    }

    #[test]
    fn a_guard_that_is_not_known_takes_its_verdict_with_it() {
        let text = OLDER
            .replace("\"enabled\"", "\"moon_phase\"")
            .replace("\"action\"", "\"verdicts\":[\"waived\",\"blocked\"],\"action\"");
        let decision = read(&text);
        assert_eq!(decision.guards.len(), 1);
        assert_eq!(decision.guards[0].verdict, GuardVerdict::Blocked);
    }
}
