//! What the model says, in the words of a recording: events, answers and inspect as JSON, ids as names. Does not compare.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use watchtree_core::container::io::{EngineError, EventAction, Health, Performed, RestartPolicy, RunState};
use watchtree_sim::state::engine::Engine;

/// The stable word of each id, and which incarnations of it inspect has shown.
#[derive(Default)]
pub(crate) struct Words {
    names: BTreeMap<String, String>,
    starts: BTreeMap<String, Vec<u64>>,
}

impl Words {
    /// The first name of a container, numbered where an earlier one had the same.
    pub(crate) fn of(&mut self, id: &str, name: &str) -> String {
        if let Some(word) = self.names.get(id) {
            return word.clone();
        }
        let same = |it: &&String| it.split('#').next() == Some(name);
        let word = match self.names.values().filter(same).count() {
            0 => name.to_owned(),
            count => format!("{name}#{}", count + 1),
        };
        self.names.insert(id.to_owned(), word.clone());
        word
    }

    /// A text with words for ids.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, word) in &self.names {
            text = text.replace(id, &format!("<{word}>"));
        }
        // What is left is an id that nobody else knows.
        let hex = |word: &str| 32 <= word.len() && word.bytes().all(|it| it.is_ascii_hexdigit());
        let words = text.split_inclusive(|it: char| !it.is_ascii_alphanumeric());
        let clean = words.map(
            |word| match word.trim_end_matches(|it: char| !it.is_ascii_alphanumeric()) {
                id if hex(id) => word.replace(id, "<id>"),
                _ => word.to_owned(),
            },
        );
        clean.collect()
    }

    /// Whether that is its state or its health (`STATE:N`: after N restarts). A look that is not kept.
    pub(crate) fn is(engine: &Engine, place: usize, wanted: &str) -> bool {
        let view = engine.view(place);
        let (state, restarts) = wanted.split_once(':').unwrap_or((wanted, ""));
        let so = format!("{:?}", view.run).to_lowercase() == state || health(view.health) == state;
        so && (restarts.is_empty() || restarts.parse() == Ok(view.restart_count))
    }

    /// What inspect says.
    pub(crate) fn inspect(&mut self, engine: &Engine, place: usize) -> Value {
        let view = engine.view(place);
        let starts = self.starts.entry(view.id.clone()).or_default();
        if view.started_at.0 != 0 && !starts.contains(&view.started_at.0) {
            starts.push(view.started_at.0);
        }
        let (policy, retries) = match view.restart_policy {
            RestartPolicy::No => ("no", 0),
            RestartPolicy::Always => ("always", 0),
            RestartPolicy::UnlessStopped => ("unless-stopped", 0),
            RestartPolicy::OnFailure { max } => ("on-failure", max),
        };
        let counts = matches!(view.run, RunState::Running | RunState::Paused | RunState::Restarting);
        let mut seen = json!({
            "Status": format!("{:?}", view.run).to_lowercase(),
            "Running": counts,
            "Paused": view.run == RunState::Paused,
            "Restarting": view.run == RunState::Restarting,
            "OOMKilled": view.oom_killed,
            "Dead": view.run == RunState::Dead,
            "ExitCode": view.exit_code,
            "Error": self.clean(&view.error),
            "HasPid": view.pid != 0,
            "LivesSeen": self.starts[&view.id].len(),
            "Stamps": stamps(view.started_at.0, view.finished_at.0),
            "RestartCount": view.restart_count,
            "RestartPolicy": {"Name": policy, "MaximumRetryCount": retries},
            "NetworkMode": self.clean(&engine.network_mode(place)),
            "HasBeenManuallyStopped": engine.manual_stop_flag(&view.id),
        });
        if engine.spec(place).check.is_some() {
            let last = engine.last_check(place);
            let last = last.map(|(code, output)| json!({"ExitCode": code, "Output": output}));
            seen["Health"] = json!({
                "Status": health(view.health),
                "FailingStreak": view.health_streak,
                "LastCheck": last,
            });
        }
        seen
    }
}

fn stamps(started: u64, finished: u64) -> &'static str {
    match (started, finished) {
        (0, 0) => "never started",
        (_, 0) => "never finished",
        _ if finished < started => "finished before this start",
        _ => "finished after this start",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::None => "none",
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

/// An event without its time.
pub(crate) fn event(action: &EventAction, name: &str) -> Map<String, Value> {
    let mut kept = Map::new();
    let word = match action {
        EventAction::Health(state) => format!("health_status: {}", health(*state)),
        other => other.word().split(':').next().unwrap_or_default().to_owned(),
    };
    kept.insert("action".into(), word.into());
    match action {
        EventAction::Die { exit_code } => {
            kept.insert("exitCode".into(), exit_code.to_string().into());
        }
        EventAction::Kill { signal } => {
            kept.insert("signal".into(), signal.to_string().into());
        }
        EventAction::Rename { old_name } => {
            kept.insert("oldName".into(), format!("/{old_name}").into());
            kept.insert("name".into(), name.into());
        }
        _ => {}
    }
    kept
}

/// The answer to a call: its status where it was carried out, and the words of a refusal.
pub(crate) fn answer(result: &Result<Performed, EngineError>, done: u16, who: &str) -> Value {
    match result {
        Ok(Performed::Done) => json!({ "status": done }),
        Ok(Performed::AlreadySo) => json!({ "status": 304 }),
        Err(EngineError::NotFound) => json!({ "status": 404, "error": format!("No such container: {who}") }),
        Err(EngineError::Refused { status, message }) => json!({ "status": status, "error": message }),
        Err(other) => json!({ "error": format!("{other:?}") }),
    }
}
