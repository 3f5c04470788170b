//! What of the API's answers is kept: inspect fields, events and words, with ids and moments replaced by stable words.
//!
//! Ranges come from playing a row more than once: see [`merge`]. It asks nothing by itself.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Ids and how often each container was seen to start.
#[derive(Debug, Default)]
pub(super) struct Words {
    names: BTreeMap<String, String>,
    starts: BTreeMap<String, Vec<String>>,
    dir: String,
    prefix: String,
}

impl Words {
    /// Of a run with that folder, and that before its names.
    pub(super) fn new(dir: &str, prefix: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            prefix: prefix.to_owned(),
            ..Self::default()
        }
    }

    /// The stable word of a container: its first name, numbered where an earlier one had the same.
    pub(super) fn of(&mut self, id: &str, name: &str) -> String {
        if let Some(word) = self.names.get(id) {
            return word.clone();
        }
        let name = &self.unprefixed(name);
        let count = self
            .names
            .values()
            .filter(|it| it.split('#').next() == Some(name.as_str()))
            .count();
        let word = if count == 0 {
            name.to_owned()
        } else {
            format!("{name}#{}", count + 1)
        };
        self.names.insert(id.to_owned(), word.clone());
        word
    }

    /// A name as the row has it.
    pub(super) fn unprefixed(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            return name.to_owned();
        }
        name.replace(&self.prefix, "")
    }

    /// A text without what differs from run to run.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = self.unprefixed(text.trim());
        for (id, word) in &self.names {
            text = text.replace(id, &format!("<{word}>"));
            text = text.replace(id.get(..12).unwrap_or(id), &format!("<{word}>"));
        }
        text = text.replace(&self.dir, "<dir>");
        let mut cleaned = String::new();
        let mut run = String::new();
        for c in text.chars().chain(std::iter::once('\n')) {
            if c.is_ascii_hexdigit() {
                run.push(c);
                continue;
            }
            cleaned.push_str(if 32 <= run.len() { "<id>" } else { &run });
            run.clear();
            cleaned.push(c);
        }
        cleaned.trim_end().to_owned()
    }

    /// What inspect said.
    pub(super) fn inspect(&mut self, json: &Value) -> Value {
        let id = json["Id"].as_str().unwrap_or_default().to_owned();
        let state = &json["State"];
        let mut seen = Map::new();
        for key in [
            "Status",
            "Running",
            "Paused",
            "Restarting",
            "OOMKilled",
            "Dead",
            "ExitCode",
        ] {
            seen.insert(key.to_owned(), state[key].clone());
        }
        seen.insert(
            "Error".into(),
            self.clean(state["Error"].as_str().unwrap_or_default()).into(),
        );
        seen.insert("HasPid".into(), (state["Pid"].as_i64() != Some(0)).into());
        let (started, finished) = (text(&state["StartedAt"]), text(&state["FinishedAt"]));
        let starts = self.starts.entry(id).or_default();
        if !never(&started) && !starts.contains(&started) {
            starts.push(started.clone());
        }
        let lives = starts.len();
        seen.insert("LivesSeen".into(), lives.into());
        let ended = match (never(&started), never(&finished)) {
            (true, true) => "never started",
            (_, true) => "never finished",
            _ if instant(&finished) < instant(&started) => "finished before this start",
            _ => "finished after this start",
        };
        seen.insert("Stamps".into(), ended.into());
        seen.insert("RestartCount".into(), json["RestartCount"].clone());
        seen.insert("RestartPolicy".into(), json["HostConfig"]["RestartPolicy"].clone());
        let mode = self.clean(json["HostConfig"]["NetworkMode"].as_str().unwrap_or_default());
        seen.insert("NetworkMode".into(), mode.into());
        if let Some(health) = state["Health"].as_object() {
            let log = health["Log"].as_array().cloned().unwrap_or_default();
            let last = log.last().map(|it| {
                json!({"ExitCode": it["ExitCode"], "Output": self.clean(it["Output"].as_str().unwrap_or_default())})
            });
            seen.insert(
                "Health".into(),
                json!({"Status": health["Status"], "FailingStreak": health["FailingStreak"], "LastCheck": last}),
            );
        }
        Value::Object(seen)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn never(stamp: &str) -> bool {
    stamp.starts_with("0001")
}

/// Stamps differ in how many digits of a second they show.
fn instant(stamp: &str) -> String {
    let (seconds, fraction) = stamp
        .trim_end_matches('Z')
        .split_once('.')
        .unwrap_or((stamp.trim_end_matches('Z'), ""));
    format!("{seconds}.{fraction:0<9}")
}

/// The attributes of an event that matter.
pub(super) fn event(event: &Value, act_began_ns: u64) -> Value {
    let attributes = &event["Actor"]["Attributes"];
    let mut kept = Map::new();
    kept.insert("action".into(), event["Action"].clone());
    for key in ["signal", "exitCode", "oldName"] {
        if let Some(value) = attributes.get(key) {
            kept.insert(key.into(), value.clone());
        }
    }
    if event["Action"] == "rename" {
        kept.insert("name".into(), attributes["name"].clone());
    }
    if attributes.get("execDuration").is_some() {
        kept.insert("execDuration".into(), "given".into());
    }
    let at = event["timeNano"].as_u64().unwrap_or_default();
    kept.insert("at_ms".into(), (at.saturating_sub(act_began_ns) / 1_000_000).into());
    Value::Object(kept)
}

/// Two plays of the same row as one: times and counts become ranges `[low, high]`; all else that differs is kept side by
/// side as `{"varies": [...]}`.
pub(super) fn merge(key: &str, a: Value, b: Value) -> Value {
    let ranged = key.ends_with("_ms") || ["FailingStreak", "RestartCount", "LivesSeen", "replayed"].contains(&key);
    match (a, b) {
        (a, b) if ranged && bounds(&a).is_some() && bounds(&b).is_some() => {
            let (Some(a), Some(b)) = (bounds(&a), bounds(&b)) else {
                return Value::Null;
            };
            let (low, high) = (a.0.min(b.0), a.1.max(b.1));
            if low == high && !key.ends_with("_ms") {
                low.into()
            } else {
                json!([low, high])
            }
        }
        (Value::Object(a), Value::Object(mut b)) if a.keys().eq(b.keys()) && !a.contains_key("varies") => {
            Value::Object(
                a.into_iter()
                    .map(|(key, value)| {
                        let other = b.remove(&key).unwrap_or_default();
                        let merged = merge(&key, value, other);
                        (key, merged)
                    })
                    .collect(),
            )
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() && same_actions(&a, &b) => {
            Value::Array(a.into_iter().zip(b).map(|(a, b)| merge("", a, b)).collect())
        }
        (a, b) if a == b => a,
        (Value::Object(mut a), b) if a.contains_key("varies") => {
            if let Some(Value::Array(seen)) = a.get_mut("varies")
                && !seen.iter().any(|it| untimed(it) == untimed(&b))
            {
                seen.push(b);
            }
            Value::Object(a)
        }
        (a, b) => json!({ "varies": [a, b] }),
    }
}

fn bounds(value: &Value) -> Option<(i64, i64)> {
    match value {
        Value::Number(number) => number.as_i64().map(|it| (it, it)),
        Value::Array(pair) if pair.len() == 2 => Some((pair[0].as_i64()?, pair[1].as_i64()?)),
        _ => None,
    }
}

fn same_actions(a: &[Value], b: &[Value]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.get("action") == b.get("action"))
}

/// Without the times, which differ always.
fn untimed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !key.ends_with("_ms"));
            Value::Object(kept.map(|(key, value)| (key.clone(), untimed(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(untimed).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Words, merge};
    use serde_json::json;

    #[test]
    fn two_plays_become_ranges_and_variants() {
        let play = |at: u64, code: &str| json!({"events": [{"action": "die", "at_ms": at, "exitCode": code}]});
        let merged = merge("", play(40, "1"), play(70, "1"));
        assert_eq!(
            merged,
            json!({"events": [{"action": "die", "at_ms": [40, 70], "exitCode": "1"}]})
        );
        let third = merge("", merged, play(20, "137"));
        let wanted = json!({"events": [{"action": "die", "at_ms": [20, 70], "exitCode": {"varies": ["1", "137"]}}]});
        assert_eq!(third, wanted);
        let orders = merge(
            "",
            json!([{"action": "stop"}, {"action": "die"}]),
            json!([{"action": "die"}, {"action": "stop"}]),
        );
        assert!(orders["varies"].is_array());
    }

    #[test]
    fn ids_become_words() {
        let mut words = Words::new("/tmp/x", "run-1-");
        let id = "0123456789ab".repeat(6)[..64].to_owned();
        assert_eq!(words.of(&id, "web"), "web");
        assert_eq!(words.of("other", "run-1-web"), "web#2");
        assert_eq!(
            words.clean(&format!("container {id} in /tmp/x/data, {}", &id[..12])),
            "container <web> in <dir>/data, <web>"
        );
        assert_eq!(words.clean(&format!("network {}", "ef".repeat(32))), "network <id>");
    }
}
