//! Single core values as JSON types: a subject, a decision, an incident, an event, a condition.

use crate::conditions::Conditions;
use std::collections::BTreeMap;
use watchtree_api as api;
use watchtree_api::{EventKind, TreeNode};
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_core::manager::page::Shown;
use watchtree_core::order::OrderAnswer;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Evidence, State, Verdict};

/// The word of a state in JSON: `agent_lost`.
pub fn state_word(state: State) -> String {
    state.as_str().to_ascii_lowercase().replace(' ', "_")
}

/// `now` is on the clock of whoever saw it; `None` where that clock is not known here.
pub fn evidence(now: Option<Moment>, facts: &[Evidence]) -> Vec<api::EvidenceView> {
    let view = |fact: &Evidence| api::EvidenceView {
        kind: fact.kind.as_str().to_string(),
        detail: fact.detail.clone(),
        age_ms: now.map(|now| millis(now, fact.at)),
    };
    facts.iter().map(view).collect()
}

/// One node without those below. `now` is on the observer's clock; `None` where that clock is not known here.
pub fn node(now: Option<Moment>, verdict: &Verdict, root_cause: Option<&SubjectId>) -> TreeNode {
    let state = state_word(verdict.state);
    TreeNode {
        subject: verdict.subject.to_string(),
        kind: verdict.kind.as_str().to_string(),
        worst: state.clone(),
        state,
        level: verdict.level.as_str().to_string(),
        why: verdict.why.clone(),
        since_ms: now.map(|now| millis(now, verdict.since)),
        held: verdict.held,
        remarks: verdict.remarks.clone(),
        evidence: evidence(now, &verdict.evidence),
        observer: verdict.observer.to_string(),
        observer_health: verdict.observer_health.0,
        incarnation: verdict.incarnation.to_string(),
        root_cause: root_cause.map(ToString::to_string),
        containers: BTreeMap::new(),
        children: Vec::new(),
    }
}

/// One subject as the manager shows it, without those below. `now` is our clock.
pub fn shown_node(now: Moment, shown: &Shown<'_>) -> TreeNode {
    let verdict = shown.verdict;
    // The observer's clock now: as long after its own `since` as ours is after the same moment.
    let theirs = shown.since.map(|since| verdict.since + now.since(since));
    let mut node = node(theirs, verdict, shown.root_cause);
    if let Some(cause) = shown.root_cause {
        let reported = verdict.state.as_str();
        node.why = format!("{cause} explains it; last reported {reported}: {}", verdict.why);
    }
    node.state = state_word(shown.state);
    node.worst = node.state.clone();
    node
}

/// A decision record. Its evidence carries ages relative to the decision, not to now: `age_ms` is how old the fact was
/// when it was decided upon.
pub fn decision(decision: &Decision) -> api::DecisionView {
    let guards = decision.guards.iter().map(|answer| api::GuardView {
        guard: answer.guard.as_str().to_string(),
        pass: answer.lets_pass(),
        verdict: answer.verdict.as_str().to_string(),
        detail: answer.detail.clone(),
    });
    api::DecisionView {
        id: decision.id.to_string(),
        node: decision.id.node.to_string(),
        subject: decision.subject.to_string(),
        incarnation: decision.incarnation.to_string(),
        wall_ms: decision.wall.0,
        action: decision.action.as_str().to_string(),
        outcome: decision.outcome.as_str().to_string(),
        why: decision.why.clone(),
        result: decision.result.clone(),
        budget_left: decision.budget_left,
        evidence: evidence(Some(decision.at), &decision.evidence),
        guards: guards.collect(),
    }
}

/// An incident; ages of its evidence are not given, since its facts come from several clocks.
pub fn incident(incident: &Incident) -> api::Incident {
    api::Incident {
        id: incident.id.to_string(),
        subject: incident.subject.to_string(),
        state: state_word(incident.state),
        level: incident.level.as_str().to_string(),
        unconfirmed: incident.unconfirmed,
        touched: incident.touched,
        why: incident.why.clone(),
        opened_wall_ms: incident.opened_wall.0,
        closed_wall_ms: incident.closed_wall.map(|wall| wall.0),
        ended_by: incident.closed_why.clone(),
        root_cause: incident.root_cause.as_ref().map(ToString::to_string),
        evidence: evidence(None, &incident.evidence),
        decisions: incident.decisions.iter().map(ToString::to_string).collect(),
    }
}

/// What became of an order at `by`.
pub fn answer(by: &str, answer: &OrderAnswer) -> api::AskAnswer {
    api::AskAnswer {
        api_version: api::ApiVersion::default(),
        id: answer.id.iter().map(|byte| format!("{byte:02x}")).collect(),
        done: answer.result.is_ok(),
        refusal: answer.result.err().map(|refusal| refusal.as_str().to_string()),
        detail: answer.detail.clone(),
        by: by.to_string(),
    }
}

/// The event of a decision made or ended.
pub fn decision_event(record: &Decision) -> api::EventView {
    let view = decision(record);
    let mut text = format!("{}: {}", view.outcome.replace('_', " "), view.why);
    if !view.result.is_empty() {
        text = format!("{text}: {}", view.result);
    }
    api::EventView {
        wall_ms: view.wall_ms,
        kind: EventKind::Decision,
        subject: view.subject.clone(),
        text,
        decision: Some(view),
        ..api::EventView::default()
    }
}

/// The event of a changed state.
pub fn state_event(wall: WallTime, subject: &SubjectId, from: State, to: State, why: &str) -> api::EventView {
    api::EventView {
        wall_ms: wall.0,
        kind: EventKind::State,
        subject: subject.to_string(),
        text: format!("{} → {}: {why}", from.as_str(), to.as_str()),
        state: Some(state_word(to)),
        ..api::EventView::default()
    }
}

/// The event of an incident; `change` is a word such as `opened`.
pub fn incident_event(wall: WallTime, change: &str, record: &Incident) -> api::EventView {
    let why = if record.closed_why.is_empty() {
        &record.why
    } else {
        &record.closed_why
    };
    api::EventView {
        wall_ms: wall.0,
        kind: EventKind::Incident,
        subject: record.subject.to_string(),
        text: format!("incident {} {change}: {}: {why}", record.id, record.state.as_str()),
        state: Some(state_word(record.state)),
        incident: Some(incident(record)),
        ..api::EventView::default()
    }
}

/// The event of a condition of the daemon itself.
pub fn condition_event(wall: WallTime, about: &str, state: &Result<String, String>) -> api::EventView {
    let text = match state {
        Ok(words) => format!("{about} recovered: {words}"),
        Err(why) => format!("{about} DEGRADED: {why}"),
    };
    api::EventView {
        wall_ms: wall.0,
        kind: EventKind::Condition,
        text,
        ..api::EventView::default()
    }
}

/// Counts of refusals from several places, by reason; what never came up is left out.
pub fn refused(counts: impl IntoIterator<Item = (String, u64)>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (reason, count) in counts.into_iter().filter(|(_, count)| 0 < *count) {
        *all.entry(reason).or_default() += count;
    }
    all
}

/// What is degraded now, for answers.
pub fn conditions(conditions: &Conditions) -> Vec<api::Condition> {
    let view = |(about, detail)| api::Condition {
        about,
        ok: false,
        detail,
    };
    conditions.degraded().into_iter().map(view).collect()
}

fn millis(now: Moment, at: Moment) -> u64 {
    u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtree_core::decision::{ActionKind, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
    use watchtree_core::id::NodeName;
    use watchtree_core::subject::Incarnation;

    #[test]
    fn a_guard_has_its_verdict_beside_the_pass_that_older_readers_know() {
        let answer = |verdict| GuardAnswer::new(Guard::Enabled, verdict, "words");
        let view = decision(&Decision {
            id: DecisionId {
                node: NodeName::new("h1").expect("a good name"),
                epoch: 1,
                count: 1,
            },
            at: Moment::ZERO,
            wall: WallTime(0),
            subject: SubjectId::new("h1/docker/web").expect("a good subject"),
            incarnation: Incarnation::default(),
            evidence: Vec::new(),
            guards: GuardVerdict::ALL.map(answer).to_vec(),
            action: ActionKind::None,
            budget_left: None,
            outcome: Outcome::NotTaken,
            why: String::new(),
            result: String::new(),
        });
        let json = serde_json::to_value(&view.guards).expect("plain data");
        let guards = json.as_array().expect("an array").iter();
        let words: Vec<String> = guards
            .map(|guard| format!("{} {}", guard["verdict"], guard["pass"]))
            .collect();
        let expected = [
            r#""passed" true"#,
            r#""blocked" false"#,
            r#""waived" true"#,
            r#""not_asked" true"#,
        ];
        assert_eq!(words, expected);
    }
}
