//! Status, incidents and events as text.

use super::style::{Style, age, clean, is_ill, state_words, wall};
use super::tree::tree;
use watchtree_api::{EventKind, EventView, Incident, IncidentsResponse, TreeNode, TreeResponse};

/// The whole in one screen.
pub(crate) fn status(tree: &TreeResponse, incidents: &IncidentsResponse, style: Style) -> String {
    let mode = if tree.observe_only { ", only watches" } else { "" };
    let head = format!(
        "{} ({} {}, up {}{mode})",
        tree.node,
        tree.tier,
        tree.version,
        age(tree.uptime_ms)
    );
    let mut text = format!("{}\n", style.bold(&head));
    for condition in tree.conditions.iter().filter(|condition| !condition.ok) {
        let line = format!("  DEGRADED {}: {}", condition.about, clean(&condition.detail));
        text.push_str(&format!("{}\n", style.paint("33", &line)));
    }
    if !tree.refused.is_empty() {
        let reasons = tree.refused.iter();
        let reasons: Vec<String> = reasons.map(|(why, count)| format!("{count} {}", clean(why))).collect();
        text.push_str(&format!("refused: {}\n", reasons.join(", ")));
    }
    let counts: Vec<String> = tree
        .counts
        .iter()
        .map(|(state, count)| format!("{count} {}", state_words(state)))
        .collect();
    text.push_str(&format!(
        "subjects: {}\n",
        if counts.is_empty() {
            "none yet".to_string()
        } else {
            counts.join(", ")
        }
    ));
    let open: Vec<&Incident> = incidents
        .incidents
        .iter()
        .filter(|incident| incident.closed_wall_ms.is_none())
        .collect();
    if incidents.kept_elsewhere {
        text.push_str("incidents: kept by the manager, not here\n");
    } else {
        let more = match incidents.omitted {
            0 => String::new(),
            omitted => format!(", {omitted} of them not shown"),
        };
        let count = open.len() as u64 + incidents.omitted;
        text.push_str(&format!("incidents: {count} open{more}\n"));
    }
    for incident in &open {
        text.push_str(&format!("  {}\n", incident_line(incident, incidents.wall_ms, style)));
    }
    for top in tree.tree.iter().filter(|top| top.kind != "manager") {
        text.push_str(&format!("{}\n", host(top, style)));
    }
    if 0 < tree.omitted {
        text.push_str(&format!("… and {} hosts more\n", tree.omitted));
    }
    if !open.is_empty() {
        text.push_str(&format!(
            "{}\n",
            style.dim(&format!("why: watchtree explain {}", open[0].subject))
        ));
    }
    text
}

/// One host: its own state, then what is below it in numbers.
fn host(top: &TreeNode, style: Style) -> String {
    let containers = &top.containers;
    let total: u64 = containers.values().sum();
    let ill: Vec<String> = containers
        .iter()
        .filter(|(state, _)| !matches!(state.as_str(), "ok" | "finished"))
        .map(|(state, count)| format!("{count} {}", state_words(state)))
        .collect();
    let below = if ill.is_empty() {
        String::new()
    } else {
        format!(" ({})", ill.join(", "))
    };
    let why = if top.state == "ok" || top.why.is_empty() {
        String::new()
    } else {
        format!("  {}", clean(&top.why))
    };
    // A container-watchdog knows nothing of its host: the state there is that of the worst container.
    let state = match top.kind.as_str() {
        "group" => String::new(),
        _ => format!("  {}", style.state(&top.state)),
    };
    format!("{}{state}  {total} containers{below}{why}", style.bold(&top.subject))
}

/// Incidents, oldest first.
pub(crate) fn incidents(answer: &IncidentsResponse, style: Style) -> String {
    if answer.incidents.is_empty() {
        return "no incidents\n".to_string();
    }
    let lines = answer.incidents.iter();
    let mut text: String = lines
        .map(|incident| format!("{}\n", incident_line(incident, answer.wall_ms, style)))
        .collect();
    if 0 < answer.omitted {
        text.push_str(&format!("… and {} more that are not shown\n", answer.omitted));
    }
    if !answer.incomplete.is_empty() {
        text.push_str(&format!(
            "older ones could not be read: {}\n",
            clean(&answer.incomplete)
        ));
    }
    text
}

/// For a daemon that keeps no incidents: what is ill there instead.
pub(crate) fn no_incidents_here(ill: &TreeResponse, style: Style) -> String {
    let mut text = format!("{} keeps no incidents: the manager does. ", ill.node);
    let shown = tree(ill, style);
    if shown.is_empty() {
        text.push_str("Nothing is ill here\n");
    } else {
        text.push_str(&format!("Ill here:\n{shown}"));
    }
    text
}

fn incident_line(incident: &Incident, now_ms: u64, style: Style) -> String {
    let unconfirmed = if incident.unconfirmed { " (unconfirmed)" } else { "" };
    let mut line = format!(
        "#{} {} {}{unconfirmed}: {}",
        incident.id,
        style.bold(&incident.subject),
        style.state(&incident.state),
        clean(&incident.why)
    );
    if let Some(cause) = &incident.root_cause {
        line.push_str(&format!(" [explained by {cause}]"));
    }
    if 0 < incident.touched {
        line.push_str(&format!(" [{} below]", incident.touched));
    }
    let opened = age(now_ms.saturating_sub(incident.opened_wall_ms));
    match incident.closed_wall_ms {
        None => line.push_str(&style.dim(&format!("  open for {opened}"))),
        Some(closed) => {
            let lasted = age(closed.saturating_sub(incident.opened_wall_ms));
            let ended = format!(
                "  opened {opened} ago, over after {lasted}: {}",
                clean(&incident.ended_by)
            );
            line.push_str(&style.dim(&ended));
        }
    }
    line
}

/// Events, oldest first.
pub(crate) fn events(node: &str, all: &[EventView], style: Style) -> String {
    all.iter().map(|one| format!("{}\n", event(node, one, style))).collect()
}

/// One event on one line.
fn event(node: &str, event: &EventView, style: Style) -> String {
    let kind = match event.kind {
        EventKind::Decision => "decision ",
        EventKind::State => "state    ",
        EventKind::Incident => "incident ",
        EventKind::Condition => "condition",
        EventKind::Other => "event    ",
    };
    let loud = event.kind == EventKind::Incident || event.state.as_deref().is_some_and(is_ill);
    let words = clean(&event.text);
    let words = if loud { style.paint("31", &words) } else { words };
    // A watchdog's word on itself has no subject.
    let subject = if event.subject.is_empty() { node } else { &event.subject };
    format!(
        "{}  {kind}  {}  {words}",
        style.dim(&wall(event.wall_ms)),
        style.bold(subject)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tree::tests::sample;
    use expect_test::expect;

    fn incident(closed: bool) -> Incident {
        Incident {
            id: "7".into(),
            subject: "h2".into(),
            state: "unreachable".into(),
            unconfirmed: true,
            touched: 12,
            why: "no beat for 4 s".into(),
            opened_wall_ms: 1_795_381_445_000,
            closed_wall_ms: closed.then_some(1_795_381_455_000),
            ended_by: if closed { "it beats again".into() } else { String::new() },
            ..Incident::default()
        }
    }

    fn answer(incidents: Vec<Incident>) -> IncidentsResponse {
        IncidentsResponse {
            wall_ms: 1_795_381_475_000,
            incidents,
            ..IncidentsResponse::default()
        }
    }

    #[test]
    fn status_in_one_screen() {
        let refused = [("unknown_key", 2), ("clone", 1)].map(|(why, count)| (why.to_string(), count));
        let tree = TreeResponse {
            refused: refused.into(),
            ..sample()
        };
        expect![[r#"
            manager (manager , up 10 min)
              DEGRADED store: the disk is full
            refused: 1 clone, 2 unknown_key
            subjects: 1 GIVEN UP, 3 OK, 1 UNREACHABLE
            incidents: 1 open
              #7 h2 UNREACHABLE (unconfirmed): no beat for 4 s [12 below]  open for 30 s
            h1  OK  2 containers (1 GIVEN UP)
            h2  UNREACHABLE  0 containers  no beat for 4 s; tcp no answer
            … and 7 hosts more
            why: watchtree explain h2
        "#]]
        .assert_eq(&status(&tree, &answer(vec![incident(false)]), Style::PLAIN));
    }

    #[test]
    fn incidents_open_and_closed() {
        expect![[r#"
            #7 h2 UNREACHABLE (unconfirmed): no beat for 4 s [12 below]  open for 30 s
            #7 h2 UNREACHABLE (unconfirmed): no beat for 4 s [12 below]  opened 30 s ago, over after 10 s: it beats again
        "#]]
        .assert_eq(&incidents(&answer(vec![incident(false), incident(true)]), Style::PLAIN));
        assert_eq!(incidents(&answer(vec![]), Style::PLAIN), "no incidents\n");
    }

    #[test]
    fn who_keeps_no_incidents_does_not_say_that_there_are_none() {
        let ill = TreeResponse {
            omitted: 0,
            conditions: vec![],
            ..sample()
        };
        let text = no_incidents_here(&ill, Style::PLAIN);
        assert!(
            text.starts_with("manager keeps no incidents: the manager does. Ill here:\nh1"),
            "{text}"
        );
        let nothing = TreeResponse {
            node: "h1".into(),
            ..TreeResponse::default()
        };
        assert_eq!(
            no_incidents_here(&nothing, Style::PLAIN),
            "h1 keeps no incidents: the manager does. Nothing is ill here\n"
        );
        let kept_elsewhere = IncidentsResponse {
            kept_elsewhere: true,
            ..IncidentsResponse::default()
        };
        let text = status(&ill, &kept_elsewhere, Style::PLAIN);
        assert!(text.contains("incidents: kept by the manager, not here"), "{text}");
    }

    #[test]
    fn a_container_watchdog_does_not_judge_its_host() {
        let top = TreeNode {
            subject: "h1".into(),
            kind: "group".into(),
            state: "down".into(),
            containers: [("down".into(), 1), ("ok".into(), 2)].into(),
            ..TreeNode::default()
        };
        assert_eq!(host(&top, Style::PLAIN), "h1  3 containers (1 DOWN)");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let cut = IncidentsResponse {
            omitted: 5,
            ..answer(vec![incident(false)])
        };
        assert!(incidents(&cut, Style::PLAIN).ends_with("… and 5 more that are not shown\n"));
        assert!(status(&sample(), &cut, Style::PLAIN).contains("incidents: 6 open, 5 of them not shown"));
    }

    #[test]
    fn an_event_is_one_line() {
        let one = EventView {
            wall_ms: 1_795_381_445_000,
            kind: EventKind::State,
            subject: "h1/docker/web".into(),
            text: "OK → GIVEN UP: budget\nused up".into(),
            ..EventView::default()
        };
        let of_itself = EventView {
            wall_ms: 1_795_381_445_000,
            kind: EventKind::Condition,
            text: "store recovered".into(),
            ..EventView::default()
        };
        expect![[r#"
            2026-11-22 21:04:05Z  state      h1/docker/web  OK → GIVEN UP: budget used up
            2026-11-22 21:04:05Z  condition  h1  store recovered
        "#]]
        .assert_eq(&events("h1", &[one, of_itself], Style::PLAIN));
    }
}
