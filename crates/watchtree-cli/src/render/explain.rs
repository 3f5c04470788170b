//! `explain` as text: the current state, its evidence, and the decisions with their guards.

use super::style::{Style, age, clean, wall};
use watchtree_api::{DecisionView, EvidenceView, ExplainResponse, PolicyValue};

/// The newest decisions that are shown with all their facts; older ones take one line.
const WHOLE_MAX: usize = 5;

/// States in which a container is, or may soon be, started again though it is down.
const TRIED_AGAIN: [&str; 3] = ["given_up", "repairing", "down"];

pub(crate) fn explain(answer: &ExplainResponse, style: Style) -> String {
    let mut text = String::new();
    match &answer.current {
        Some(node) => {
            let since = node.since_ms.map(|ms| format!(" for {}", age(ms))).unwrap_or_default();
            let sure = if node.level.is_empty() {
                String::new()
            } else {
                format!(", {} evidence", node.level)
            };
            text.push_str(&format!(
                "{} is {}{since}{sure}\n",
                style.bold(&answer.subject),
                style.state(&node.state)
            ));
            if !node.why.is_empty() {
                text.push_str(&format!("  because: {}\n", clean(&node.why)));
            }
            if let Some(cause) = &node.root_cause {
                text.push_str(&format!("  explained by: {cause}\n"));
            }
            if node.held {
                text.push_str("  held: repairs are kept away until the hold ends\n");
            }
            facts(&mut text, "  ", &node.evidence, " ago");
            for member in &node.children {
                let state = style.state(&member.state);
                text.push_str(&format!("  {}  {state}  {}\n", member.subject, clean(&member.why)));
            }
            for remark in &node.remarks {
                text.push_str(&format!("  note: {}\n", clean(remark)));
            }
            if node.kind == "container" && !node.held && TRIED_AGAIN.contains(&node.state.as_str()) {
                text.push_str(&format!(
                    "  to keep it down: watchtree hold {} --for 30m (a docker stop of what is down leaves no trace)\n",
                    answer.subject
                ));
            }
            if !node.observer.is_empty() {
                let health = match node.observer_health {
                    0 => "which is well itself".to_string(),
                    ill => format!("which is ill itself ({ill} of 8)"),
                };
                text.push_str(&format!("  reported by: {}, {health}\n", node.observer));
            }
        }
        None => text.push_str(&format!(
            "{} is not in the tree (any more)\n",
            style.bold(&answer.subject)
        )),
    }
    for incident in &answer.incidents {
        let ended = match incident.closed_wall_ms {
            None => "open".to_string(),
            Some(closed) => format!("over {}: {}", wall(closed), clean(&incident.ended_by)),
        };
        let opened = wall(incident.opened_wall_ms);
        let state = style.state(&incident.state);
        text.push_str(&format!(
            "incident #{} {state} since {opened}, {ended}: {}\n",
            incident.id,
            clean(&incident.why)
        ));
    }
    for (omitted, what) in [(answer.incidents_omitted, "incidents"), (answer.omitted, "decisions")] {
        if 0 < omitted {
            text.push_str(&format!("… and {omitted} older {what} that are not shown\n"));
        }
    }
    if !answer.incomplete.is_empty() {
        let why = clean(&answer.incomplete);
        text.push_str(&format!("what is older could not be read: {why}\n"));
    }
    if answer.decisions.is_empty() {
        text.push_str("no decisions about it are remembered\n");
    }
    let older = answer.decisions.len().saturating_sub(WHOLE_MAX);
    for (index, one) in answer.decisions.iter().enumerate() {
        decision(&mut text, one, older <= index, style);
    }
    text
}

pub(crate) fn policy(answer: &ExplainResponse, style: Style) -> String {
    let mut text = format!("{}\n", style.bold(&answer.subject));
    let width = |of: fn(&PolicyValue) -> &str| answer.policy.iter().map(|it| of(it).len()).max().unwrap_or(0);
    let (keys, values) = (width(|it| &it.key), width(|it| &it.value));
    for it in &answer.policy {
        let from = clean(&it.from);
        text.push_str(&format!(
            "  {:keys$}  {:values$}  {}\n",
            it.key,
            it.value,
            style.dim(&from)
        ));
    }
    text
}

fn decision(text: &mut String, decision: &DecisionView, whole: bool, style: Style) {
    let taken = match decision.outcome.as_str() {
        "not_taken" => "did nothing".to_string(),
        outcome => format!("{}: {}", decision.action.replace('_', " "), outcome.replace('_', " ")),
    };
    let when = style.dim(&wall(decision.wall_ms));
    text.push_str(&format!(
        "{when}  {} {}: {}\n",
        decision.node,
        style.bold(&taken),
        clean(&decision.why)
    ));
    if !decision.result.is_empty() {
        text.push_str(&format!("    result: {}\n", clean(&decision.result)));
    }
    if !whole {
        return;
    }
    facts(text, "    ", &decision.evidence, " before");
    for guard in &decision.guards {
        let answer = match guard.verdict.as_str() {
            "waived" => "waived",
            "not_asked" => "not asked",
            _ if guard.pass => "passed",
            _ => "BLOCKED",
        };
        text.push_str(&format!(
            "    guard {}: {answer}: {}\n",
            guard.guard,
            clean(&guard.detail)
        ));
    }
    if let Some(left) = decision.budget_left {
        text.push_str(&format!("    budget left: {left}\n"));
    }
}

fn facts(text: &mut String, indent: &str, evidence: &[EvidenceView], after_age: &str) {
    for fact in evidence {
        let seen = fact
            .age_ms
            .map(|ms| format!(" ({}{after_age})", age(ms)))
            .unwrap_or_default();
        text.push_str(&format!("{indent}fact {}: {}{seen}\n", fact.kind, clean(&fact.detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use watchtree_api::{GuardView, TreeNode};

    #[test]
    fn a_decision_not_taken_names_its_guard() {
        let fact = |kind: &str, detail: &str, age_ms| EvidenceView {
            kind: kind.into(),
            detail: detail.into(),
            age_ms,
        };
        let answer = ExplainResponse {
            subject: "h1/docker/web".into(),
            current: Some(TreeNode {
                state: "stopped".into(),
                level: "certain".into(),
                why: "a person stopped it".into(),
                since_ms: Some(4000),
                observer: "h1.docker.watchdog".into(),
                evidence: vec![fact("operator_stop", "signal 15", Some(4100))],
                ..TreeNode::default()
            }),
            decisions: vec![DecisionView {
                node: "h1.docker.watchdog".into(),
                wall_ms: 1_795_381_445_000,
                action: "none".into(),
                outcome: "not_taken".into(),
                why: "exited with 137 after a stop signal".into(),
                budget_left: Some(5),
                evidence: vec![fact("exited", "exit code 137", Some(0))],
                guards: vec![
                    GuardView {
                        guard: "enabled".into(),
                        pass: true,
                        verdict: "passed".into(),
                        detail: "label watchtree.enable=true".into(),
                    },
                    GuardView {
                        guard: "operator_intent".into(),
                        pass: false,
                        verdict: "blocked".into(),
                        detail: "signal 15 seen".into(),
                    },
                ],
                ..DecisionView::default()
            }],
            ..ExplainResponse::default()
        };
        expect![[r#"
            h1/docker/web is STOPPED for 4.0 s, certain evidence
              because: a person stopped it
              fact operator_stop: signal 15 (4.1 s ago)
              reported by: h1.docker.watchdog, which is well itself
            2026-11-22 21:04:05Z  h1.docker.watchdog did nothing: exited with 137 after a stop signal
                fact exited: exit code 137 (0.0 s before)
                guard enabled: passed: label watchtree.enable=true
                guard operator_intent: BLOCKED: signal 15 seen
                budget left: 5
        "#]]
        .assert_eq(&explain(&answer, Style::PLAIN));
    }

    /// No engine tells of a stop of what is down.
    #[test]
    fn what_is_down_and_will_be_tried_again_is_kept_down_by_a_hold() {
        let says = |kind: &str, state: &str, held| {
            let current = TreeNode {
                kind: kind.into(),
                state: state.into(),
                held,
                ..TreeNode::default()
            };
            let answer = ExplainResponse {
                subject: "h1/docker/web".into(),
                current: Some(current),
                ..ExplainResponse::default()
            };
            explain(&answer, Style::PLAIN).contains("to keep it down: watchtree hold h1/docker/web")
        };
        assert!(says("container", "given_up", false) && says("container", "repairing", false));
        assert!(!says("container", "stopped", false) && !says("container", "ok", false));
        assert!(!says("container", "given_up", true) && !says("host", "down", false));
    }

    #[test]
    fn each_verdict_of_a_guard_has_its_word_and_an_older_answer_is_read_by_pass() {
        let answer: ExplainResponse = serde_json::from_str(
            r#"{"subject":"h1/docker/web","decisions":[{"node":"h1","action":"start","outcome":"not_taken","why":"w","guards":[
                {"guard":"enabled","pass":true,"verdict":"passed","detail":"a"},
                {"guard":"backoff","pass":true,"verdict":"waived","detail":"b"},
                {"guard":"budget","pass":false,"verdict":"blocked","detail":"c"},
                {"guard":"in_flight","pass":true,"verdict":"not_asked","detail":"d"},
                {"guard":"hold","pass":true,"detail":"older"},
                {"guard":"observer","pass":false,"detail":"older"},
                {"guard":"deploy","pass":true,"verdict":"a_newer_word","detail":"newer"}]}]}"#,
        )
        .expect("an answer");
        let text = explain(&answer, Style::PLAIN);
        let guards: String = text
            .lines()
            .filter(|line| line.contains("guard "))
            .map(|line| format!("{}\n", line.trim()))
            .collect();
        expect![[r#"
            guard enabled: passed: a
            guard backoff: waived: b
            guard budget: BLOCKED: c
            guard in_flight: not asked: d
            guard hold: passed: older
            guard observer: BLOCKED: older
            guard deploy: passed: newer
        "#]]
        .assert_eq(&guards);
    }

    #[test]
    fn a_group_shows_its_members() {
        let node = |subject: &str, state: &str, why: &str| TreeNode {
            subject: subject.into(),
            state: state.into(),
            why: why.into(),
            ..TreeNode::default()
        };
        let answer = ExplainResponse {
            subject: "h1/docker/shop".into(),
            current: Some(TreeNode {
                children: vec![
                    node("h1/docker/shop/web/1", "given_up", "budget used up"),
                    node("h1/docker/shop/db/1", "ok", "runs"),
                ],
                ..node("h1/docker/shop", "given_up", "a group of 2: 1 GIVEN UP, 1 OK")
            }),
            ..ExplainResponse::default()
        };
        expect![[r#"
            h1/docker/shop is GIVEN UP
              because: a group of 2: 1 GIVEN UP, 1 OK
              h1/docker/shop/web/1  GIVEN UP  budget used up
              h1/docker/shop/db/1  OK  runs
            no decisions about it are remembered
        "#]]
        .assert_eq(&explain(&answer, Style::PLAIN));
    }

    #[test]
    fn what_is_left_out_or_cannot_be_read_is_said() {
        let answer = ExplainResponse {
            subject: "h9".into(),
            incidents_omitted: 2,
            omitted: 300,
            incomplete: "the disk is full".into(),
            ..ExplainResponse::default()
        };
        expect![[r#"
            h9 is not in the tree (any more)
            … and 2 older incidents that are not shown
            … and 300 older decisions that are not shown
            what is older could not be read: the disk is full
            no decisions about it are remembered
        "#]]
        .assert_eq(&explain(&answer, Style::PLAIN));
    }

    #[test]
    fn what_is_gone_is_said() {
        let answer = ExplainResponse {
            subject: "h9".into(),
            ..ExplainResponse::default()
        };
        let text = explain(&answer, Style::PLAIN);
        assert_eq!(
            text,
            "h9 is not in the tree (any more)\nno decisions about it are remembered\n"
        );
    }
}
