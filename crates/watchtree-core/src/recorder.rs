//! The only writer of decision records, in every role.
//!
//! A record leaves complete, and once per change: when it is made, and again under the same id when its outcome changes.
//! Does not know where records go: the role takes them with [`DecisionRecorder::poll`], in the order they were made.

use crate::decision::{ActionKind, Decision, DecisionId, GuardAnswer, Outcome};
use crate::id::{AgentEpoch, NodeName};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Moment, WallTime};
use crate::verdict::Evidence;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// What a decision is made of, but for what the recorder knows itself: id and time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Draft {
    subject: SubjectId,
    incarnation: Incarnation,
    evidence: Vec<Evidence>,
    guards: Vec<GuardAnswer>,
    action: ActionKind,
    budget_left: Option<u32>,
    outcome: Outcome,
    why: String,
    result: String,
}

impl Draft {
    /// A decision for `action` about that subject; nothing was done yet. `why` is one line in words.
    pub fn new(subject: SubjectId, action: ActionKind, why: impl Into<String>) -> Self {
        Self {
            subject,
            incarnation: Incarnation::default(),
            evidence: Vec::new(),
            guards: Vec::new(),
            action,
            budget_left: None,
            outcome: Outcome::NotTaken,
            why: why.into(),
            result: String::new(),
        }
    }

    /// About which of its lives.
    pub fn incarnation(self, incarnation: Incarnation) -> Self {
        Self { incarnation, ..self }
    }

    /// On what facts, the newest last; of more than [`Evidence::COUNT_MAX`] the newest are kept.
    pub fn evidence(self, mut evidence: Vec<Evidence>) -> Self {
        evidence.drain(..evidence.len().saturating_sub(Evidence::COUNT_MAX));
        Self { evidence, ..self }
    }

    /// The guards of the action, in order.
    pub fn guards(self, guards: Vec<GuardAnswer>) -> Self {
        Self { guards, ..self }
    }

    /// Restarts left in the window after this decision.
    pub fn budget_left(self, left: u32) -> Self {
        let budget_left = Some(left);
        Self { budget_left, ..self }
    }

    /// How it stands, or how it ended where it is over at once.
    pub fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// What came of it, in words.
    pub fn result(self, result: impl Into<String>) -> Self {
        let result = result.into();
        Self { result, ..self }
    }
}

/// Makes and changes the records of one node.
#[derive(Clone, Debug)]
pub struct DecisionRecorder {
    node: NodeName,
    epoch: AgentEpoch,
    /// A moment and the wall time then: labels follow from it.
    wall: (Moment, WallTime),
    count: u64,
    queue: VecDeque<Decision>,
}

impl DecisionRecorder {
    /// The recorder of that node's present start; `wall` is the wall time at `now`.
    pub fn new(node: NodeName, epoch: AgentEpoch, now: Moment, wall: WallTime) -> Self {
        Self {
            node,
            epoch,
            wall: (now, wall),
            count: 0,
            queue: VecDeque::new(),
        }
    }

    /// The wall clock was read again.
    pub fn set_wall(&mut self, now: Moment, wall: WallTime) {
        self.wall = (now, wall);
    }

    /// The wall time at `now`, as a label.
    pub fn wall(&self, now: Moment) -> WallTime {
        let (at, wall) = self.wall;
        let later = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        let earlier = u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
        WallTime(wall.0.saturating_add(later).saturating_sub(earlier))
    }

    /// Makes a record. It must have evidence: nothing is decided without.
    pub fn record(&mut self, now: Moment, draft: Draft) -> Decision {
        debug_assert!(!draft.evidence.is_empty(), "a decision without evidence: {}", draft.why);
        self.count += 1;
        let decision = Decision {
            id: DecisionId {
                node: self.node.clone(),
                epoch: self.epoch.0,
                count: self.count,
            },
            at: now,
            wall: self.wall(now),
            subject: draft.subject,
            incarnation: draft.incarnation,
            evidence: draft.evidence,
            guards: draft.guards,
            action: draft.action,
            budget_left: draft.budget_left,
            outcome: draft.outcome,
            why: draft.why,
            result: draft.result,
        };
        self.queue.push_back(decision.clone());
        decision
    }

    /// Writes a record again that has changed.
    pub fn update(&mut self, decision: &Decision) {
        self.queue.push_back(decision.clone());
    }

    /// Changes the outcome of a record and writes it again.
    pub fn close(&mut self, mut decision: Decision, outcome: Outcome, result: impl Into<String>) {
        (decision.outcome, decision.result) = (outcome, result.into());
        self.queue.push_back(decision);
    }

    /// The next new or changed record.
    pub fn poll(&mut self) -> Option<Decision> {
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    //! Ids, labels, completeness.
    use super::*;
    use crate::decision::Guard;
    use crate::verdict::EvidenceKind;
    use alloc::vec;

    fn recorder() -> DecisionRecorder {
        let node = NodeName::new("h1").unwrap();
        DecisionRecorder::new(node, AgentEpoch(3), Moment::from_millis(1000), WallTime(50_000))
    }

    #[test]
    fn a_record_leaves_complete_and_once_per_change() {
        let mut recorder = recorder();
        let subject = SubjectId::new("h1/docker/web").unwrap();
        let evidence = vec![Evidence::new(EvidenceKind::Exited, Moment::ZERO, "exit code 1")];
        let draft = Draft::new(subject, ActionKind::Start, "it crashed: start it")
            .evidence(evidence)
            .guards(vec![GuardAnswer::passed(Guard::Hold, "not held")])
            .incarnation(Incarnation("c@t".into()))
            .budget_left(4)
            .result("so far")
            .outcome(Outcome::UnderWay);
        let decision = recorder.record(Moment::from_millis(3000), draft);
        assert_eq!(
            (decision.wall, decision.id.epoch, decision.id.count),
            (WallTime(52_000), 3, 1)
        );
        assert_eq!(
            (decision.incarnation.0.as_str(), decision.budget_left),
            ("c@t", Some(4))
        );
        assert_eq!(decision.result, "so far");
        recorder.close(decision.clone(), Outcome::Succeeded, "it stays up");
        recorder.update(&decision);
        assert_eq!(recorder.poll().as_ref(), Some(&decision));
        let closed = recorder.poll().unwrap();
        assert_eq!((closed.id, closed.outcome), (decision.id.clone(), Outcome::Succeeded));
        assert_eq!(recorder.poll(), Some(decision));
        assert_eq!(recorder.poll(), None);
    }

    #[test]
    fn of_too_much_evidence_the_newest_is_kept() {
        let facts = (0..20)
            .map(|i| Evidence::new(EvidenceKind::Ping, Moment::from_millis(i), ""))
            .collect();
        let subject = SubjectId::new("h1").unwrap();
        let draft = Draft::new(subject, ActionKind::None, "").evidence(facts);
        assert_eq!(draft.evidence.first().map(|it| it.at), Some(Moment::from_millis(4)));
        assert_eq!(draft.evidence.len(), Evidence::COUNT_MAX);
    }

    #[test]
    fn labels_follow_from_the_last_reading_of_the_wall_clock() {
        let mut recorder = recorder();
        assert_eq!(recorder.wall(Moment::from_millis(500)), WallTime(49_500));
        recorder.set_wall(Moment::from_millis(2000), WallTime(90_000));
        assert_eq!(recorder.wall(Moment::from_millis(2500)), WallTime(90_500));
    }
}
