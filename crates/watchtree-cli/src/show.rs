//! The reading commands: `status`, `tree`, `events`, `incidents`, `explain`, `policy show`.

use crate::args::{Cli, EventArgs};
use crate::fail::{Code, Fail, print_error};
use crate::render::{self, Style};
use crate::target;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use watchtree_api::{Client, ClientError, EventQuery, EventView, IncidentQuery, TreeQuery, TreeResponse, WAIT_MS_MAX};

/// A pause before a lost daemon is asked again.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) async fn status(cli: &Cli) -> Result<Code, Fail> {
    let (tree, incidents) = target::first(cli, target::clients(cli, None)?, |client| async move {
        // Only the tops: what is below them comes in numbers, however much it is.
        let query = TreeQuery {
            depth: Some(0),
            filter: None,
        };
        let tree = client.tree(&query).await?;
        let incidents = client.incidents(&IncidentQuery::default()).await?;
        Ok::<_, ClientError>((tree, incidents))
    })
    .await?;
    if cli.json {
        let value = json!({
            "apiVersion": tree.api_version, "node": tree.node, "tier": tree.tier, "version": tree.version,
            "conditions": tree.conditions, "refused": tree.refused, "counts": tree.counts, "omitted": tree.omitted,
            "incidents": incidents.incidents, "kept_elsewhere": incidents.kept_elsewhere,
        });
        render::print_json(&value)?;
    } else {
        render::print(&render::status(&tree, &incidents, Style::of(cli)))?;
    }
    Ok(health(&tree))
}

pub(crate) async fn tree(cli: &Cli, depth: Option<u32>, filter: Option<&str>) -> Result<Code, Fail> {
    let query = TreeQuery {
        depth,
        filter: filter.map(ToString::to_string),
    };
    let answer = target::first(cli, target::clients(cli, None)?, |client| {
        let query = query.clone();
        async move { client.tree(&query).await }
    })
    .await?;
    if cli.json {
        render::print_json(&answer)?;
    } else if answer.tree.is_empty() && filter.is_some() {
        render::print("nothing fits the filter\n")?;
    } else {
        render::print(&render::tree(&answer, Style::of(cli)))?;
    }
    // Who asked for a part is told of that part.
    let is_part = filter.is_some_and(|filter| !filter.is_empty()) && answer.omitted == 0;
    if is_part && !render::any_ill(&answer.tree) {
        return Ok(Code::Ok);
    }
    Ok(health(&answer))
}

fn health(tree: &TreeResponse) -> Code {
    let counted = tree
        .counts
        .iter()
        .any(|(state, count)| 0 < *count && render::is_ill(state));
    if counted || render::any_ill(&tree.tree) {
        Code::Ill
    } else {
        Code::Ok
    }
}

pub(crate) async fn incidents(cli: &Cli, all: bool) -> Result<Code, Fail> {
    let (answer, ill) = target::first(cli, target::clients(cli, None)?, |client| async move {
        let answer = client.incidents(&IncidentQuery { all, limit: None }).await?;
        // Who keeps none would say "none" of a tree that is ill.
        let ill = match answer.kept_elsewhere {
            true => Some(client.tree(&ill_ones()).await?),
            false => None,
        };
        Ok::<_, ClientError>((answer, ill))
    })
    .await?;
    if cli.json {
        render::print_json(&answer)?;
    } else if let Some(ill) = &ill {
        render::print(&render::no_incidents_here(ill, Style::of(cli)))?;
    } else {
        render::print(&render::incidents(&answer, Style::of(cli)))?;
    }
    Ok(ill.as_ref().map_or(Code::Ok, health))
}

fn ill_ones() -> TreeQuery {
    TreeQuery {
        depth: None,
        filter: Some("ill".to_string()),
    }
}

pub(crate) async fn explain(cli: &Cli, subject: &str) -> Result<Code, Fail> {
    let answer = target::first(cli, target::clients(cli, Some(subject))?, |client| async move {
        client.explain(subject).await
    })
    .await?;
    if cli.json {
        render::print_json(&answer)?;
    } else {
        render::print(&render::explain(&answer, Style::of(cli)))?;
    }
    Ok(Code::Ok)
}

pub(crate) async fn policy(cli: &Cli, subject: &str) -> Result<Code, Fail> {
    let answer = target::first(cli, target::clients(cli, Some(subject))?, |client| async move {
        client.explain(subject).await
    })
    .await?;
    if answer.policy.is_empty() {
        let line = format!(
            "{} does not know the policy of {subject}: a container's own watchdog does",
            answer.node
        );
        let hint = format!("on its host: watchtree --local policy show {subject}");
        return Err(Fail::new(Code::Unknown, line).hint(hint));
    }
    if cli.json {
        render::print_json(&json!({
            "apiVersion": answer.api_version, "node": answer.node, "subject": answer.subject, "policy": answer.policy,
        }))?;
    } else {
        render::print(&render::policy(&answer, Style::of(cli)))?;
    }
    Ok(Code::Ok)
}

pub(crate) async fn events(cli: &Cli, asked: &EventArgs) -> Result<Code, Fail> {
    let clients = target::responsible(cli, asked.subject.as_deref())?;
    if 1 < clients.len() && asked.since.is_some() {
        let line = "--since: a cursor is of one watchdog, and several are asked here";
        return Err(Fail::new(Code::BadInput, line).hint("name that one: --socket PATH, or --subject of a container"));
    }
    let query = EventQuery {
        since: asked.since,
        limit: Some(asked.limit),
        subject: asked.subject.clone(),
        ..EventQuery::default()
    };
    let sources = target::every(cli, clients, |client| {
        let query = query.clone();
        async move { client.events(&query).await.map(|answer| (client, answer)) }
    })
    .await?;
    // Each watchdog keeps its own; the newest of all of them.
    let mut events: Vec<(&str, &EventView)> = Vec::new();
    for (_, answer) in &sources {
        events.extend(answer.events.iter().map(|event| (&*answer.node, event)));
    }
    events.sort_by_key(|(_, event)| event.wall_ms);
    events.drain(..events.len().saturating_sub(asked.limit.max(1)));
    let (as_json, style) = (cli.json, Style::of(cli));
    for (node, event) in events {
        print_events(as_json, style, node, std::slice::from_ref(event))?;
    }
    if !asked.follow {
        return Ok(Code::Ok);
    }
    let mut following = JoinSet::new();
    for (client, answer) in sources {
        let query = query.clone();
        following.spawn(async move {
            let print = |node: &str, events: &[EventView]| print_events(as_json, style, node, events);
            follow(&client, query, answer.stream, answer.next, print).await
        });
    }
    while let Some(ended) = following.join_next().await {
        ended.map_err(|error| Fail::new(Code::Failed, error.to_string()))??;
    }
    Ok(Code::Ok)
}

fn print_events(as_json: bool, style: Style, node: &str, events: &[EventView]) -> Result<(), Fail> {
    if as_json {
        return events.iter().try_for_each(render::print_json);
    }
    render::print(&render::events(node, events, style))
}

/// Follows until Ctrl-C; a daemon that is away is said once and waited for.
pub(crate) async fn follow(
    client: &Client,
    query: EventQuery,
    stream: String,
    next: u64,
    mut show: impl FnMut(&str, &[EventView]) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let (mut stream, mut next, mut away) = (stream, next, false);
    loop {
        let query = EventQuery {
            since: Some(next),
            wait_ms: WAIT_MS_MAX,
            limit: None,
            ..query.clone()
        };
        let answered = tokio::select! {
            answered = client.events(&query) => answered,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match answered {
            Ok(answer) if answer.stream != stream => {
                print_error(&format!("watchtree: {} was restarted", answer.node));
                (stream, next, away) = (answer.stream, 0, false);
            }
            Ok(answer) => {
                if away {
                    print_error(&format!("watchtree: {} answers again", answer.node));
                }
                if 0 < answer.lost {
                    print_error(&format!("watchtree: {} events were missed", answer.lost));
                }
                show(&answer.node, &answer.events)?;
                (next, away) = (answer.next, false);
            }
            Err(error @ ClientError::NoRights { .. }) => return Err(error.into()),
            Err(error) => {
                if !away {
                    print_error(&format!("watchtree: {error}; waiting for it"));
                }
                away = true;
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    _ = tokio::signal::ctrl_c() => return Ok(()),
                }
            }
        }
    }
}
