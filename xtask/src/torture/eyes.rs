//! Eyes on the engine, the kernel and the watchdog's tree, each on a thread of its own, that write what they see on the tape.
//! They ask the engine directly, and not through the watchdog's pass-through.

use super::kernel;
use super::notes::{Event, Listed, What};
use super::stage::Stage;
use super::world::{Kind, WORLD};
use crate::engine::percent_encode;
use crate::http;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the list is read.
const LIST_EVERY: Duration = Duration::from_millis(400);
/// How often the tree is read.
const TREE_EVERY: Duration = Duration::from_secs(1);
const ACTIONS: [&str; 8] = [
    "start",
    "die",
    "kill",
    "stop",
    "pause",
    "unpause",
    "destroy",
    "health_status",
];
/// Events may come out of order: so much of what was heard is asked for again, in nanoseconds.
const AGAIN: u64 = 2_000_000_000;
/// No run is longer.
const RUN: Duration = Duration::from_secs(24 * 3600);

/// Opens all of them; they close when everything is over.
pub(super) fn open(stage: &Arc<Stage>) {
    for eye in [events, list, tree] {
        let stage = Arc::clone(stage);
        std::thread::spawn(move || {
            while !stage.is_over() {
                eye(&stage);
            }
        });
    }
}

/// Hears of events until the engine ends the stream.
fn events(stage: &Stage) {
    let filters = percent_encode(&json!({ "type": ["container"], "event": ACTIONS }).to_string());
    // What an engine did at its start it remembers; what was heard before comes again, and changes nothing.
    let since = stage.last_stamp().saturating_sub(AGAIN);
    let path = format!(
        "/events?since={}.{:09}&filters={filters}",
        since / 1_000_000_000,
        since % 1_000_000_000
    );
    let Ok((_, mut rest)) = http::open(&stage.engine, "GET", &path, "application/json", &[], RUN) else {
        return std::thread::sleep(Duration::from_millis(20));
    };
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = http::read_chunk(&mut rest) {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            if let Ok(event) = serde_json::from_slice(&line) {
                heard(stage, &event);
            }
        }
    }
}

fn heard(stage: &Stage, event: &Value) {
    let stamp = event["timeNano"].as_u64().unwrap_or_default();
    let (id, word) = (event["Actor"]["ID"].as_str(), event["Action"].as_str());
    let (Some(id), Some(word)) = (id, word) else { return };
    if !stage.is_new_event(stamp, &format!("{id} {word}")) {
        return;
    }
    let number = |key: &str| {
        event["Actor"]["Attributes"][key]
            .as_str()
            .and_then(|text| text.parse().ok())
    };
    let event = match word {
        "start" => Event::Start,
        "die" => Event::Die {
            code: number("exitCode").unwrap_or(-1),
        },
        "kill" => Event::Kill {
            signal: number("signal").and_then(|it| u32::try_from(it).ok()).unwrap_or(0),
        },
        "stop" => Event::Stop,
        "pause" => Event::Pause,
        "unpause" => Event::Unpause,
        "destroy" => Event::Destroy,
        "health_status: healthy" => Event::Healthy,
        "health_status: unhealthy" => Event::Unhealthy,
        _ => return,
    };
    // A new process begins well: who told its check to fail takes that back.
    let filed = |slot: &usize| WORLD[*slot].kind == Kind::Filed;
    if let (Event::Start, Some(slot)) = (&event, stage.slot_of(id).filter(filed)) {
        let _written = std::fs::write(stage.ctl_of(slot).join("check"), "0");
    }
    stage
        .tape
        .note_at(stage.tape.clock.of_stamp(stamp), id, What::Event(event));
}

fn list(stage: &Stage) {
    let mut known = BTreeMap::new();
    while !stage.is_over() {
        std::thread::sleep(LIST_EVERY);
        if !stage.engine_is_here() {
            continue;
        }
        let at = stage.tape.clock.now();
        let Ok(list) = stage.list(Duration::from_secs(3)) else {
            continue;
        };
        let mut seen = BTreeMap::new();
        for (id, state, status) in list {
            let alive = kernel::is_alive(&stage.group, &id);
            let code = exit_code(&status);
            let listed = Listed { state, alive, code };
            if known.get(&id) != Some(&listed) {
                stage.tape.note_at(at, &id, What::Listed(listed.clone()));
            }
            seen.insert(id, listed);
        }
        known = seen;
    }
}

/// Of `Exited (137) 5 seconds ago`.
fn exit_code(status: &str) -> Option<i32> {
    let (_, rest) = status.split_once("Exited (")?;
    rest.split(')').next()?.parse().ok()
}

fn tree(stage: &Stage) {
    let mut known = BTreeMap::new();
    while !stage.is_over() {
        std::thread::sleep(TREE_EVERY);
        let at = stage.tape.clock.now();
        let answer = http::ask(&stage.watchdog, "GET", "/api/v1/tree", &[], Duration::from_secs(3));
        let Some(tree) = answer.ok().and_then(|answer| answer.json().ok()) else {
            continue;
        };
        let mut shown = BTreeMap::new();
        for node in tree["tree"].as_array().into_iter().flatten() {
            collect(node, &mut shown);
        }
        for (slot, spec) in WORLD.iter().enumerate() {
            let id = stage.id(slot);
            let now = shown.get(&spec.subject()).cloned();
            let (state, why) = now.unwrap_or_else(|| ("missing".to_owned(), "not in the tree".to_owned()));
            if known.get(&id) != Some(&state) {
                stage.tape.note_at(at, &id, What::Shown(state.clone(), why));
                known.insert(id, state);
            }
        }
    }
}

fn collect(node: &Value, into: &mut BTreeMap<String, (String, String)>) {
    let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    into.insert(text("subject"), (text("state"), text("why")));
    for child in node["children"].as_array().into_iter().flatten() {
        collect(child, into);
    }
}
