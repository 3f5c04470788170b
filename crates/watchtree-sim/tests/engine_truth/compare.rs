//! What the model said against what an engine said, word by word; times and counts within a tolerance.
//!
//! A time may differ by 250 ms and half of itself, by one second at most; a count of failed checks by one and a tenth. Two
//! events with the same stamp have no order. An event that was heard late is in the step after its own, stamped 0. What
//! `varies` between two plays of a recording is right if it is as in one of them.

use crate::player::{Played, Said, latest};
use crate::rows::{Act, Recording};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use watchtree_core::time::{Duration, Moment};

/// One thing that the model says otherwise.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Difference {
    pub(crate) engine: String,
    pub(crate) row: String,
    /// `act`, then the field.
    pub(crate) place: String,
    pub(crate) recorded: String,
    pub(crate) model: String,
}

/// See the top of this file.
pub(crate) struct Comparison<'a> {
    recording: &'a Recording,
    found: Vec<Difference>,
}

/// All that differs in one row.
pub(crate) fn compare(recording: &Recording, acts: &[Act], played: &Played) -> Vec<Difference> {
    let mut it = Comparison {
        recording,
        found: Vec::new(),
    };
    for (step, act) in acts.iter().enumerate() {
        let recorded = &recording.steps()[step];
        let place = format!("{} {}", step + 1, act.line);
        let mut answer = recorded["answer"].clone();
        if it.answered_as_soon(step, played) {
            answer["took_ms"] = played.answers[step]["took_ms"].clone();
        }
        it.answer(&place, act, &answer, &played.answers[step]);
        if let Some(seen) = &played.seen[step] {
            it.value(&format!("{place}: seen"), "", &recorded["seen"], seen);
        }
        it.order(&place, step, &recorded["order"], played);
    }
    it.events(played);
    it.value("at the end", "", &recording.said["seen"], &played.at_the_end);
    it.found
}

/// The alternatives that a recording gives.
pub(crate) fn variants(value: &Value) -> Vec<&Value> {
    match value["varies"].as_array() {
        Some(variants) => variants.iter().collect(),
        None => vec![value],
    }
}

/// A row is played so often.
const PLAYS: usize = 2;

/// What it was in that play.
fn of_play(value: &Value, play: usize) -> &Value {
    let variants = variants(value);
    variants.get(play).or(variants.last()).copied().unwrap_or(value)
}

/// Nobody knows where in its period a check was when an act came.
const CHECK_MS: i64 = 300;
/// Two events as near as this were written by two threads of the engine: they have no order.
const UNORDERED_MS: u64 = 5;

fn unordered(a: &Heard, b: &Heard) -> bool {
    let at = |it: &Heard| latest(&it.fields["at_ms"]);
    a.step == b.step && at(a).abs_diff(at(b)) <= UNORDERED_MS
}

/// Lowest and highest of what may be a range.
fn bounds(value: &Value) -> Option<(i64, i64)> {
    match value {
        Value::Array(pair) => Some((pair.first()?.as_i64()?, pair.last()?.as_i64()?)),
        other => other.as_i64().map(|it| (it, it)),
    }
}

fn slack_ms(recorded: i64) -> i64 {
    (250 + recorded / 2).min(1000)
}

/// Within a recorded range, or near enough to it.
fn within(recorded: &Value, model: i64, slack: impl Fn(i64) -> i64) -> bool {
    bounds(recorded).is_some_and(|(low, high)| low - slack(low) <= model && model <= high + slack(high))
}

impl Comparison<'_> {
    fn differs(&mut self, place: &str, recorded: impl ToString, model: impl ToString) {
        self.found.push(Difference {
            engine: self.recording.engine.clone(),
            row: self.recording.row.clone(),
            place: place.to_owned(),
            recorded: recorded.to_string(),
            model: model.to_string(),
        });
    }

    /// The answer came as soon after the last event before it as there: what the events took is compared with them.
    fn answered_as_soon(&self, step: usize, played: &Played) -> bool {
        let recorded = &self.recording.steps()[step];
        let lists = recorded["events"].as_object().into_iter().flat_map(|it| it.values());
        let heard = lists.flat_map(|list| list.as_array().into_iter().flatten());
        let heard = heard.map(|event| latest(&event["at_ms"]).cast_signed());
        let said = played.events.iter().filter(|it| it.step == step);
        let said = said.map(|it| millis_from(played.began[step], it.at));
        let after = |took: &Value, events: &mut dyn Iterator<Item = i64>| {
            let took = latest(took).cast_signed();
            Some(took - events.filter(|at| *at <= took).max()?)
        };
        let recorded = after(&recorded["answer"]["took_ms"], &mut { heard });
        let model = after(&played.answers[step]["took_ms"], &mut { said });
        recorded
            .zip(model)
            .is_some_and(|(recorded, model)| (recorded - model).abs() <= slack_ms(recorded))
    }

    fn answer(&mut self, place: &str, act: &Act, recorded: &Value, model: &Value) {
        let (mut recorded, mut model) = (recorded.clone(), model.clone());
        // Hundreds of calls, or many lives: one of them is compared.
        let many = match act.verb.as_str() {
            "burst" => Some(2 * act.word(1).parse::<u64>().expect("a number of calls")),
            "wait" => act
                .word(1)
                .split_once(':')
                .and_then(|(_, restarts)| restarts.parse().ok()),
            _ => None,
        };
        if let Some(many) = many {
            for answer in [&mut recorded, &mut model] {
                answer["took_ms"] = (latest(&answer["took_ms"]) / many).into();
            }
        }
        self.value(&format!("{place}: answer"), "", &recorded, &model);
    }

    /// Compares what is at a place, field by field.
    fn value(&mut self, place: &str, field: &str, recorded: &Value, model: &Value) {
        if recorded["varies"].is_array() {
            return self.one_of(place, field, recorded, model);
        }
        match (recorded, model) {
            (Value::Object(a), Value::Object(b)) => {
                // Another run was the last one there.
                let other_run = a.get("FailingStreak") != b.get("FailingStreak");
                for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                    if key == "LastCheck" && other_run {
                        continue;
                    }
                    let missing = &Value::Null;
                    let (a, b) = (a.get(key).unwrap_or(missing), b.get(key).unwrap_or(missing));
                    self.value(&format!("{place}.{key}"), key, a, b);
                }
            }
            _ => {
                let same = match (field, model.as_i64()) {
                    ("took_ms" | "at_ms", Some(model)) => within(recorded, model, slack_ms),
                    ("FailingStreak", Some(model)) => within(recorded, model, |it| 1 + it / 10),
                    (_, Some(model)) if recorded.is_array() => within(recorded, model, |_| 0),
                    ("name" | "Name", _) => without_id(recorded) == without_id(model),
                    _ => recorded == model,
                };
                if !same {
                    self.differs(place, recorded, model);
                }
            }
        }
    }

    /// Right if it is as in one play; where it is as in none, the first one is told.
    fn one_of(&mut self, place: &str, field: &str, recorded: &Value, model: &Value) {
        let mut first = None;
        for variant in variants(recorded) {
            let mut alone = Comparison {
                recording: self.recording,
                found: Vec::new(),
            };
            alone.value(place, field, variant, model);
            if alone.found.is_empty() {
                return;
            }
            first.get_or_insert(alone.found);
        }
        self.found.extend(first.into_iter().flatten());
    }

    /// Over all containers of a compose project.
    fn order(&mut self, place: &str, step: usize, recorded: &Value, played: &Played) {
        if recorded.is_null() {
            return;
        }
        let said = played.events.iter().filter(|it| it.step == step);
        let model: Vec<String> = said.map(|it| format!("{} {}", it.who, action(&it.event))).collect();
        let model = Value::from(model);
        if !variants(recorded).contains(&&model) {
            self.differs(&format!("{place}: order"), recorded, model);
        }
    }

    /// The events as in one of the plays; where they are as in none, the first one is told.
    fn events(&mut self, played: &Played) {
        let mut first = None;
        for play in 0..PLAYS {
            let mut alone = Comparison {
                recording: self.recording,
                found: Vec::new(),
            };
            alone.events_of_play(played, play);
            if alone.found.is_empty() {
                return;
            }
            first.get_or_insert(alone.found);
        }
        self.found.extend(first.into_iter().flatten());
    }

    /// The events of each container over the whole row, in their order.
    fn events_of_play(&mut self, played: &Played, play: usize) {
        let mut model: BTreeMap<&str, Vec<&Said>> = BTreeMap::new();
        for said in &played.events {
            model.entry(&said.who).or_default().push(said);
        }
        let recorded = self.heard(played, play);
        let names: Vec<String> = recorded
            .keys()
            .cloned()
            .chain(model.keys().map(|it| (*it).to_owned()))
            .collect();
        let mut done = Vec::new();
        for who in names {
            if done.contains(&who) {
                continue;
            }
            let of_model = model.remove(who.as_str()).unwrap_or_default();
            let of_engine = recorded.get(&who).cloned().unwrap_or_default();
            self.events_of(&who, played, &of_engine, of_model);
            done.push(who);
        }
    }

    /// What was recorded in that play, container by container, at the moments of the model's steps.
    fn heard(&self, played: &Played, play: usize) -> BTreeMap<String, Vec<Heard>> {
        let mut all: BTreeMap<String, Vec<Heard>> = BTreeMap::new();
        for (step, said) in self.recording.steps().iter().enumerate() {
            for (who, list) in of_play(&said["events"], play).as_object().into_iter().flatten() {
                for event in of_play(list, play).as_array().into_iter().flatten() {
                    let fields = of_play(event, play).as_object().cloned().unwrap_or_default();
                    let began = played.began[step];
                    all.entry(who.clone()).or_default().push(Heard { step, began, fields });
                }
            }
        }
        all
    }

    fn events_of(&mut self, who: &str, played: &Played, recorded: &[Heard], mut model: Vec<&Said>) {
        let end = played.began.last().copied().unwrap_or_default();
        let mut before: Option<(i64, i64)> = None;
        for (place, heard) in recorded.iter().enumerate() {
            let act = self.recording.steps()[heard.step]["act"].as_str().unwrap_or_default();
            let at = format!("{} {act}: event {} of {who}", heard.step + 1, place + 1);
            let next = model.get(place).map(|it| action(&it.event).to_owned());
            if next.as_deref() != Some(heard.action())
                && recorded.get(place + 1).is_some_and(|other| unordered(heard, other))
                && model
                    .get(place + 1)
                    .is_some_and(|it| action(&it.event) == heard.action())
            {
                model.swap(place, place + 1);
            }
            let Some(said) = model.get(place) else {
                return self.differs(&at, heard.action(), "no event");
            };
            if action(&said.event) != heard.action() {
                return self.differs(&at, heard.action(), action(&said.event));
            }
            let mut fields = heard.fields.clone();
            // How long it ran: known to 26.1 alone, and of no use to a watchdog.
            fields.remove("execDuration");
            let recorded_at = fields.remove("at_ms").unwrap_or_default();
            self.value(&at, "", &fields.into(), &said.event.clone().into());
            let begin = played.began[0];
            let (low, high) = bounds(&recorded_at).unwrap_or_default();
            let millis = millis_from(heard.began, said.at);
            let late = said.step < heard.step && high == 0;
            let (recorded_abs, model_abs) = (millis_from(begin, heard.began) + high, millis_from(begin, said.at));
            // An act's own time, or the time since the event before it: what went before does not count twice.
            let since = before.map(|(recorded, model)| (recorded_abs - recorded, model_abs - model));
            let of_check = if heard.action().starts_with("health") {
                CHECK_MS
            } else {
                0
            };
            let slack = |it: i64| slack_ms(it) + of_check;
            let as_long = |(recorded, model): (i64, i64)| (recorded - model).abs() <= slack(recorded);
            if !late && !within(&recorded_at, millis, slack) && !since.is_some_and(as_long) {
                self.differs(
                    &format!("{at}.at_ms ({})", heard.action()),
                    format!("{low} to {high}"),
                    millis,
                );
            }
            before = Some(if late {
                (model_abs, model_abs)
            } else {
                (recorded_abs, model_abs)
            });
        }
        for said in model.iter().skip(recorded.len()) {
            // The recorder may have stopped to listen before.
            let from = millis_from(played.began[said.step], said.at);
            if said.at + Duration::from_millis(slack_ms(from).unsigned_abs()) < end {
                let act = self.recording.steps()[said.step]["act"].as_str().unwrap_or_default();
                let at = format!("{} {act}: one more event of {who}", said.step + 1);
                return self.differs(&at, "no event", format!("{} at {from}", action(&said.event)));
            }
        }
    }
}

/// An event of a recording.
#[derive(Clone)]
struct Heard {
    step: usize,
    began: Moment,
    fields: Map<String, Value>,
}

impl Heard {
    fn action(&self) -> &str {
        action(&self.fields)
    }
}

fn action(event: &Map<String, Value>) -> &str {
    event.get("action").and_then(Value::as_str).unwrap_or_default()
}

fn millis_from(began: Moment, at: Moment) -> i64 {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    if began <= at {
        millis(at.since(began))
    } else {
        -millis(began.since(at))
    }
}

/// Compose sets a container aside as `ID_NAME`.
fn without_id(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    match name.split_once('_') {
        Some((id, rest)) if id.starts_with('<') || (id.len() == 12 && id.bytes().all(|it| it.is_ascii_hexdigit())) => {
            // The word of a container may have the separator in it.
            format!(
                "<id>_{}",
                rest.rsplit('>').next().unwrap_or(rest).trim_start_matches('_')
            )
        }
        _ => name.to_owned(),
    }
}
