//! The tree as a drawing, or as one line per subject.

use super::style::{Style, age, clean, is_ill};
use watchtree_api::{TreeNode, TreeResponse};

/// The whole tree with what is wrong with the answerer itself.
pub(crate) fn tree(answer: &TreeResponse, style: Style) -> String {
    let mut text = String::new();
    for top in &answer.tree {
        node(&mut text, top, style, "", "", true);
    }
    if 0 < answer.omitted {
        text.push_str(&format!(
            "… and {} more: narrow it with --depth or --filter\n",
            answer.omitted
        ));
    }
    for condition in answer.conditions.iter().filter(|condition| !condition.ok) {
        let line = format!(
            "{} itself is degraded: {}: {}",
            answer.node,
            condition.about,
            clean(&condition.detail)
        );
        text.push_str(&format!("{}\n", style.paint("33", &line)));
    }
    text
}

/// Depth is bounded by the segments a subject may have.
fn node(text: &mut String, node: &TreeNode, style: Style, stem: &str, prefix: &str, top: bool) {
    if style.drawn {
        let name = if top {
            node.subject.as_str()
        } else {
            last(&node.subject)
        };
        text.push_str(&format!(
            "{}{}\n",
            style.dim(stem),
            line(node, &style.bold(name), style)
        ));
    } else if node.kind != "group" {
        text.push_str(&format!("{}\n", line(node, &node.subject, style)));
    }
    for (index, child) in node.children.iter().enumerate() {
        let is_last = index + 1 == node.children.len();
        let child_stem = format!("{prefix}{}", if is_last { "└─ " } else { "├─ " });
        let child_prefix = format!("{prefix}{}", if is_last { "   " } else { "│  " });
        self::node(text, child, style, &child_stem, &child_prefix, false);
    }
}

fn last(subject: &str) -> &str {
    subject.rsplit('/').next().unwrap_or(subject)
}

/// One subject: name, state, how long, what a person should know.
fn line(node: &TreeNode, name: &str, style: Style) -> String {
    if node.kind == "group" {
        return format!("{name}/");
    }
    let mut parts = vec![format!("{name}  {}", style.state(&node.state))];
    // Nobody but the manager looks at hosts yet, however sure it is.
    if node.state == "unreachable" && node.kind == "host" && node.level != "certain" {
        parts.push(style.dim("(unconfirmed)"));
    }
    if node.held {
        parts.push(style.paint("35", "[held]"));
    }
    if let Some(ms) = node.since_ms {
        parts.push(style.dim(&format!("for {}", age(ms))));
    }
    let calm = matches!(node.state.as_str(), "ok" | "finished");
    if !node.why.is_empty() && (!calm || !style.drawn || node.kind != "container") {
        parts.push(clean(&node.why));
    }
    // What the reason says already is not said twice.
    for remark in node.remarks.iter().filter(|remark| !node.why.contains(remark.as_str())) {
        parts.push(style.paint("33", &format!("note: {}", clean(remark))));
    }
    parts.join("  ")
}

/// True if anything shown is ill.
pub(crate) fn any_ill(nodes: &[TreeNode]) -> bool {
    nodes
        .iter()
        .any(|node| (node.kind != "group" && is_ill(&node.state)) || any_ill(&node.children))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use expect_test::expect;
    use watchtree_api::Condition;

    pub(crate) fn sample() -> TreeResponse {
        let node = |subject: &str, kind: &str, state: &str, why: &str, children: Vec<TreeNode>| TreeNode {
            subject: subject.into(),
            kind: kind.into(),
            state: state.into(),
            worst: state.into(),
            level: "certain".into(),
            why: why.into(),
            since_ms: Some(83_000),
            children,
            ..TreeNode::default()
        };
        let mut web = node(
            "h1/docker/shop/web/1",
            "container",
            "given_up",
            "exited with 1, budget used up",
            vec![],
        );
        web.remarks = vec!["label watchtree.budget=x is no number: 5 is used".into()];
        let mut db = node("h1/docker/shop/db/1", "container", "ok", "runs", vec![]);
        db.held = true;
        let shop = node(
            "h1/docker/shop",
            "group",
            "given_up",
            "",
            vec![
                node("h1/docker/shop/db", "group", "ok", "", vec![db]),
                node("h1/docker/shop/web", "group", "given_up", "", vec![web]),
            ],
        );
        let docker = node("h1/docker", "engine", "ok", "answers in 2 ms", vec![shop]);
        let mut h1 = node("h1", "host", "ok", "", vec![docker]);
        h1.containers = [("ok".into(), 1), ("given_up".into(), 1)].into();
        let mut h2 = node("h2", "host", "unreachable", "no beat for 4 s; tcp no answer", vec![]);
        h2.level = "strong".into();
        TreeResponse {
            node: "manager".into(),
            tier: "manager".into(),
            uptime_ms: 600_000,
            conditions: vec![Condition {
                about: "store".into(),
                ok: false,
                detail: "the disk is full".into(),
            }],
            counts: [("ok".into(), 3), ("given_up".into(), 1), ("unreachable".into(), 1)].into(),
            omitted: 7,
            tree: vec![h1, h2],
            ..TreeResponse::default()
        }
    }

    #[test]
    fn a_picture() {
        expect![[r#"
            h1  ● OK  for 83 s
            └─ docker  ● OK  for 83 s  answers in 2 ms
               └─ shop/
                  ├─ db/
                  │  └─ 1  ● OK  [held]  for 83 s
                  └─ web/
                     └─ 1  ✖ GIVEN UP  for 83 s  exited with 1, budget used up  note: label watchtree.budget=x is no number: 5 is used
            h2  ✖ UNREACHABLE  (unconfirmed)  for 83 s  no beat for 4 s; tcp no answer
            … and 7 more: narrow it with --depth or --filter
            manager itself is degraded: store: the disk is full
        "#]]
        .assert_eq(&tree(&sample(), Style { drawn: true, colour: false }));
    }

    #[test]
    fn one_line_per_subject_elsewhere() {
        expect![[r#"
            h1  OK  for 83 s
            h1/docker  OK  for 83 s  answers in 2 ms
            h1/docker/shop/db/1  OK  [held]  for 83 s  runs
            h1/docker/shop/web/1  GIVEN UP  for 83 s  exited with 1, budget used up  note: label watchtree.budget=x is no number: 5 is used
            h2  UNREACHABLE  (unconfirmed)  for 83 s  no beat for 4 s; tcp no answer
            … and 7 more: narrow it with --depth or --filter
            manager itself is degraded: store: the disk is full
        "#]]
        .assert_eq(&tree(&sample(), Style::PLAIN));
    }

    #[test]
    fn illness_is_found_at_any_depth() {
        assert!(any_ill(&sample().tree));
        assert!(!any_ill(&[]));
    }
}
