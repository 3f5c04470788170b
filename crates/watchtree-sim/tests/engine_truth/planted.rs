//! Defects that are planted into what the model says: each must turn rows red, or the comparison compares nothing.

use crate::compare::compare;
use crate::player::{Played, Player};
use crate::rows::{Act, Recording};
use serde_json::{Value, json};
use watchtree_sim::state::engine::Version;

/// The name of a defect, and what it spoils.
type Planted<T> = (&'static str, fn(&mut T));

/// Defects of what was played.
pub(crate) const PLANTED: &[Planted<Played>] = &[
    ("no `kill` event", |it| without(it, "kill")),
    ("no `stop` event", |it| without(it, "stop")),
    ("no `oom` event", |it| without(it, "oom")),
    ("no `unpause` event", |it| without(it, "unpause")),
    ("no health event", |it| without(it, "health_status")),
    ("the exit code is not kept", |it| set(it, "ExitCode", &json!(0))),
    ("the restart count is not reset", |it| {
        set(it, "RestartCount", &json!(7))
    }),
    ("the manual-stop flag is never set", |it| {
        set(it, "HasBeenManuallyStopped", &json!(false))
    }),
    ("an OOM kill is not noted", |it| set(it, "OOMKilled", &json!(false))),
    ("no words of a refusal are kept", |it| set(it, "Error", &json!(""))),
    ("the finish is not stamped", |it| {
        set(it, "Stamps", &json!("never finished"))
    }),
    ("every call is carried out", |it| {
        for answer in it.answers.iter_mut().filter(|it| !it["error"].is_null()) {
            *answer = json!({ "status": 204, "took_ms": answer["took_ms"] });
        }
    }),
    ("all happens at once", |it| {
        for said in &mut it.events {
            said.at = it.began[said.step];
        }
    }),
    ("`start` before the end that it follows", |it| {
        let place = it
            .events
            .windows(2)
            .position(|two| action(&two[0]) == "die" && action(&two[1]) == "start");
        if let Some(place) = place {
            it.events.swap(place, place + 1);
        }
    }),
];

fn action(said: &crate::player::Said) -> &str {
    said.event["action"].as_str().unwrap_or_default()
}

fn without(played: &mut Played, word: &str) {
    played.events.retain(|it| !action(it).starts_with(word));
}

fn set(played: &mut Played, field: &str, value: &Value) {
    let seen = played.seen.iter_mut().flatten();
    let at_the_end = played
        .at_the_end
        .as_object_mut()
        .into_iter()
        .flat_map(|it| it.values_mut());
    for container in seen.chain(at_the_end).filter(|it| it.is_object()) {
        container[field] = value.clone();
    }
}

fn acts(recording: &Recording) -> Vec<Act> {
    let lines = recording.steps().iter().filter_map(|step| step["act"].as_str());
    lines.map(Act::parse).collect()
}

/// How many rows a defect turns red.
pub(crate) fn red(recordings: &[Recording], spoil: fn(&mut Played)) -> usize {
    let is_red = |it: &&Recording| {
        let mut played = Player::new(it).play(&acts(it));
        spoil(&mut played);
        !compare(it, &acts(it), &played).is_empty()
    };
    recordings.iter().filter(is_red).count()
}

/// How many rows are red where the model is another engine than the one that was recorded.
pub(crate) fn red_as_other(recordings: &[Recording], other: fn(&mut Recording)) -> usize {
    let is_red = |it: &&Recording| {
        let mut played_as = Recording {
            engine: it.engine.clone(),
            row: it.row.clone(),
            said: it.said.clone(),
            ..**it
        };
        other(&mut played_as);
        let played = Player::new(&played_as).play(&acts(it));
        !compare(it, &acts(it), &played).is_empty()
    };
    recordings.iter().filter(is_red).count()
}

/// The other version, and the other way with containers while the daemon is away.
pub(crate) const OTHERS: &[Planted<Recording>] = &[
    ("the other version", |it| {
        it.version = match it.version {
            Version::V20_10 => Version::V26_1,
            Version::V26_1 => Version::V20_10,
        };
    }),
    ("live-restore the other way", |it| it.live_restore = !it.live_restore),
];
