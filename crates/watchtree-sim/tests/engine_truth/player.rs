//! Plays one row on the model, and gives what it said in the shape of a recording. It does not compare.
//!
//! An act lasts as long as it lasted in the recording: until the last event that was heard in it and the time of silence
//! after it. So the next act comes in the same moment of the containers' lives, and the model is asked for what it does, not
//! for how fast the recorded machine was.

use crate::compare::variants;
use crate::rows::{Act, Recording};
use crate::settings::{self, FOLDER, code, mount, policy};
use crate::words::{self, Words};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use watchtree_core::container::io::{EngineError, EngineTime, Namespace, Performed};
use watchtree_core::time::{Duration, Moment};
use watchtree_sim::state::engine::*;

/// The recorder ends an act after so long without an event.
const QUIET_MS: u64 = 700;
/// ... or after so long.
const QUIET_MAX_MS: u64 = 3000;
/// ... and a `create`, after which nothing follows.
const CREATED_MS: u64 = 100;
/// No call and no wait of a recording took longer.
const PATIENCE: Duration = Duration::from_secs(90);
/// A look every so often where the recorder waits for a state.
const LOOK: Duration = Duration::from_millis(10);
/// The middle of the recorded times from an order to the engine's word of an end.
const SEEN: Duration = Duration::from_millis(60);
/// The middle of the recorded times of a start.
const START_MS: u64 = 420;

/// An event as it was heard, and in which step.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) step: usize,
    pub(crate) at: Moment,
    pub(crate) who: String,
    pub(crate) event: serde_json::Map<String, Value>,
}

/// What the model said to a row.
pub(crate) struct Played {
    /// When each step began, and when the last one ended.
    pub(crate) began: Vec<Moment>,
    pub(crate) answers: Vec<Value>,
    pub(crate) events: Vec<Said>,
    /// What was observed after a step.
    pub(crate) seen: Vec<Option<Value>>,
    pub(crate) at_the_end: Value,
}

/// See the top of this file.
pub(crate) struct Player<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    words: Words,
    ids: BTreeMap<String, String>,
    step: usize,
    events: Vec<Said>,
    answer: Option<Result<Performed, EngineError>>,
    ready: bool,
    /// With what a check ends that a person runs.
    pub(crate) checks: BTreeMap<String, i64>,
    pub(crate) exec_broken: bool,
    /// A frozen process was killed from the machine.
    pub(crate) killed_frozen: bool,
}

/// A time of a recording, which may be a range: its later end.
pub(crate) fn latest(time: &Value) -> u64 {
    let range = time.as_array().and_then(|range| range.last());
    range.unwrap_or(time).as_u64().unwrap_or(0)
}

/// How long the daemon restored: from its last `stop`, or its start, to the first `start`. It is as fast as the machine's
/// disk and network are, and not compared.
fn restores(step: &Value) -> Duration {
    let lists = step["events"].as_object().into_iter().flat_map(|it| it.values());
    let heard: Vec<&Value> = lists.flat_map(|list| list.as_array().into_iter().flatten()).collect();
    let at = |action: &str| {
        heard
            .iter()
            .filter(|it| it["action"] == action)
            .map(|it| latest(&it["at_ms"]))
            .collect()
    };
    let (starts, stops): (Vec<u64>, Vec<u64>) = (at("start"), at("stop"));
    let until = match starts.iter().min() {
        Some(first) => first.saturating_sub(START_MS),
        None => latest(&step["answer"]["took_ms"]),
    };
    Duration::from_millis(until.saturating_sub(stops.into_iter().max().unwrap_or(0)))
}

impl<'a> Player<'a> {
    pub(crate) fn new(recording: &'a Recording) -> Self {
        let settings = EngineSettings {
            version: recording.version,
            live_restore: recording.live_restore,
            hides_its_beginning: false,
            timing: Timing::Recorded {
                restore: Duration::ZERO,
            },
        };
        let mut player = Self {
            recording,
            engine: Engine::new(settings),
            now: Moment::from_millis(1_000_000),
            words: Words::default(),
            ids: BTreeMap::new(),
            step: 0,
            events: Vec::new(),
            answer: None,
            ready: true,
            checks: BTreeMap::new(),
            exec_broken: false,
            killed_frozen: false,
        };
        // The recorder hears the events.
        player.engine.set_stream_open(true);
        player
    }

    /// Plays all acts.
    pub(crate) fn play(mut self, acts: &[Act]) -> Played {
        let (mut began, mut answers, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (step, act) in acts.iter().enumerate() {
            self.step = step;
            began.push(self.now);
            let start = self.now;
            let mut answer = self.carry_out(act);
            if answer["took_ms"].is_null() {
                answer["took_ms"] = json!(self.now.since(start).as_millis());
            }
            answers.push(answer);
            let end = start + self.recorded_length(act);
            self.run_until(end.max(self.now));
            let recorded = self.recording.steps().get(step).is_some_and(|it| !it["seen"].is_null());
            seen.push(recorded.then(|| self.observe(act.word(0))));
        }
        let at_the_end = self.observe_all();
        began.push(self.now);
        // What comes late is compared too, where the recorder still heard it.
        self.run_until(self.now + Duration::from_secs(2));
        Played {
            began,
            answers,
            events: self.events,
            seen,
            at_the_end,
        }
    }

    fn recorded(&self) -> &Value {
        self.recording.steps().get(self.step).unwrap_or(&Value::Null)
    }

    /// How long the recorder stayed in this step.
    fn recorded_length(&self, act: &Act) -> Duration {
        let recorded = self.recorded();
        let took = latest(&recorded["answer"]["took_ms"]);
        let last = self.recorded_times().max().unwrap_or(0);
        let millis = match act.verb.as_str() {
            "wait" => 0,
            "create" => took + CREATED_MS,
            _ => match act.number("for_ms") {
                Some(ms) => ms,
                None => (took.max(last) + QUIET_MS).min(took + QUIET_MAX_MS),
            },
        };
        Duration::from_millis(millis)
    }

    pub(crate) fn recorded_took(&self) -> u64 {
        latest(&self.recorded()["answer"]["took_ms"])
    }

    /// When the events of this step were heard.
    pub(crate) fn recorded_times(&self) -> impl Iterator<Item = u64> {
        let lists = variants(&self.recorded()["events"])[0]
            .as_object()
            .into_iter()
            .flat_map(|it| it.values());
        let heard = lists.flat_map(|list| list.as_array().into_iter().flatten());
        heard.map(|event| latest(&event["at_ms"]))
    }

    // --- time ---

    pub(crate) fn run_until(&mut self, end: Moment) {
        while let Some(at) = self.engine.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.advance(self.now);
            self.listen();
        }
        self.now = end;
    }

    /// Runs until that is so; false if it is not within [`PATIENCE`].
    fn run_while(&mut self, unfinished: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + PATIENCE;
        while unfinished(self) {
            match self.engine.next_deadline().filter(|at| *at <= end) {
                Some(at) => self.run_until(at.max(self.now)),
                None => return false,
            }
        }
        true
    }

    fn listen(&mut self) {
        for out in self.engine.drain() {
            match out {
                Out::Event(event) => {
                    let Some(event) = event.for_watchdog() else { continue };
                    let who = self.words.of(&event.id, &event.name);
                    let said = words::event(&event.action, &event.name);
                    self.events.push(Said {
                        step: self.step,
                        at: self.now,
                        who,
                        event: said,
                    });
                }
                Out::Answered(_, result) => self.answer = Some(result),
                Out::Started { .. } => {}
                Out::DaemonEnded => self.ready = false,
                Out::DaemonReady => self.ready = true,
            }
        }
    }

    // --- calls ---

    /// The answer to a call, when it has come.
    pub(crate) fn call(&mut self, name: &str, verb: Verb, done: u16) -> Value {
        let id = self.ids.get(name).cloned().unwrap_or_else(|| name.to_owned());
        self.answer = None;
        self.engine.call(self.now, &id, verb, Asker::Person(1));
        self.listen();
        if !self.run_while(|it| it.answer.is_none()) {
            return json!({ "error": "no answer" });
        }
        let result = self.answer.take().expect("it was waited for");
        let mut answer = words::answer(&result, done, name);
        if let Some(error) = answer["error"].as_str() {
            answer["error"] = self.words.clean(error).into();
        }
        answer
    }

    /// `POST /containers/create`
    pub(crate) fn create(&mut self, mut spec: Spec) -> Value {
        let name = spec.name.clone();
        // The first twelve digits are an id of their own, as they mostly are.
        spec.id = format!("{0:012x}{0:052x}", 0xabc0_0000_0000_u64 + self.engine.len() as u64);
        let id = spec.id.clone();
        match self.engine.create(self.now, spec) {
            Ok(_) => {
                self.words.of(&id, &name);
                self.ids.insert(name, id);
                self.listen();
                json!({ "status": 201 })
            }
            Err(error) => {
                let mut answer = words::answer(&Err(error), 201, &name);
                let error = self.words.clean(answer["error"].as_str().unwrap_or_default());
                answer["error"] = error.into();
                answer
            }
        }
    }

    pub(crate) fn rename(&mut self, name: &str, new: &str) -> Value {
        let answer = self.call(name, Verb::Rename(new.to_owned()), 204);
        if let (Some(id), true) = (self.ids.get(name).cloned(), answer["status"] == 204) {
            self.ids.insert(new.to_owned(), id);
        }
        answer
    }

    /// The container of that name, with the first twelve digits of its id.
    pub(crate) fn short_id(&self, name: &str) -> String {
        self.ids.get(name).map_or_else(String::new, |id| id[..12].to_owned())
    }

    pub(crate) fn place(&self, name: &str) -> usize {
        let id = self.ids.get(name).map_or(name, String::as_str);
        let place = self.engine.find(id);
        place.unwrap_or_else(|| panic!("row {}: no container {name}", self.recording.row))
    }

    fn carry_out(&mut self, act: &Act) -> Value {
        let timeout = act.number("t").map(Duration::from_secs);
        let simple = |verb: Verb| (verb, 204);
        let (verb, done) = match act.verb.as_str() {
            "create" => {
                let kinds = [
                    ("network", Namespace::Network),
                    ("pid", Namespace::Pid),
                    ("ipc", Namespace::Ipc),
                ];
                let joined = kinds.into_iter().filter_map(|(key, namespace)| {
                    let other = act.setting(key)?.strip_prefix("container:")?;
                    Some((
                        namespace,
                        self.ids.get(other).cloned().unwrap_or_else(|| other.to_owned()),
                    ))
                });
                let joined = joined.collect();
                return self.create(settings::spec(act, self.recording.version, joined));
            }
            "rename" => return self.rename(act.word(0), act.word(1)),
            "start" => simple(Verb::Start),
            "stop" => simple(Verb::Stop(timeout)),
            "restart" => simple(Verb::Restart(timeout)),
            "kill" => return self.kill(act),
            "pause" => simple(Verb::Pause),
            "unpause" => return self.unpause(act),
            "update" => (Verb::Update(policy(act.word(1))), 200),
            "remove" => simple(Verb::Remove {
                force: act.number("force") != Some(0),
            }),
            "exec" if act.word(1) == "kill-init" => (Verb::ExecKill(15), 200),
            "exec" => return self.exec(act),
            _ => return self.other(act),
        };
        self.call(act.word(0), verb, done)
    }

    /// What is no call of the API, or many of them.
    fn other(&mut self, act: &Act) -> Value {
        match act.verb.as_str() {
            "end" => return self.ends(act.word(0), code(act.word(1))),
            "host_kill" => return self.host_kill(act.word(0)),
            "eat" => drop(
                self.engine
                    .out_of_memory(self.now, self.place(act.word(0)), act.word(1) == "init"),
            ),
            "check" => {
                let result = match act.word(1) {
                    "hang" => CheckResult::TimesOut,
                    "0" => CheckResult::Passes,
                    other => CheckResult::Fails(code(other), format!("the check ends with {other}")),
                };
                self.checks
                    .insert(act.word(0).to_owned(), act.word(1).parse().unwrap_or(0));
                let place = self.place(act.word(0));
                self.engine.set_check_result(self.now, place, result);
            }
            "mount" => self.engine.set_mount(&mount(act.word(0)), act.word(1) == "there"),
            "network" => {
                let (name, there) = (act.word(0), act.word(1) == "there");
                if !there && self.is_in_use(name) {
                    let error = format!("error while removing network: network {name} id <id> has active endpoints");
                    return json!({ "status": 403, "error": error });
                }
                self.engine.set_network(name, there);
                return json!({ "status": if there { 201 } else { 204 } });
            }
            "wait" => return self.wait(act),
            "listen" => return self.listening(act.word(0) == "on"),
            "burst" => return self.burst(act),
            "engine" => return self.daemon(act.word(0)),
            "compose" => return self.compose(act),
            other => panic!("row {}: the player of the model knows no {other:?}", self.recording.row),
        }
        self.listen();
        json!({})
    }

    /// The player writes an order and is done; the program reads it, ends, and the engine sees that a little later.
    pub(crate) fn ends(&mut self, name: &str, code: i64) -> Value {
        self.run_until(self.now + SEEN);
        let place = self.place(name);
        self.engine.process_exits(self.now, place, code);
        self.listen();
        json!({ "took_ms": 0 })
    }

    fn wait(&mut self, act: &Act) -> Value {
        let end = self.now + PATIENCE;
        let place = self.place(act.word(0));
        while !Words::is(&self.engine, place, act.word(1)) {
            if end <= self.now {
                return json!({ "error": format!("not {} within {} s", act.word(1), PATIENCE.as_secs()) });
            }
            self.run_until(self.now + LOOK);
        }
        json!({})
    }

    fn listening(&mut self, on: bool) -> Value {
        if !on {
            return json!({});
        }
        let remembered = self.engine.events_since(EngineTime(0));
        let replayed: Vec<_> = remembered.iter().filter_map(LoggedEvent::for_watchdog).collect();
        self.run_until(self.now + Duration::from_millis(QUIET_MS));
        let actions = |word: &str| replayed.iter().filter(|it| it.action.word() == word).count();
        json!({
            "replayed": replayed.len(), "pause": actions("pause"), "unpause": actions("unpause"), "start": actions("start"),
        })
    }

    /// As many pauses and unpauses, which nobody hears.
    fn burst(&mut self, act: &Act) -> Value {
        let heard = self.events.len();
        for _ in 0..code(act.word(1)) {
            self.call(act.word(0), Verb::Pause, 204);
            self.call(act.word(0), Verb::Unpause, 204);
        }
        self.events.truncate(heard);
        json!({})
    }

    fn daemon(&mut self, act: &str) -> Value {
        let words = format!(
            "OCI runtime exec failed: {FOLDER}/runtime.sh did not terminate successfully: exit status 1: unknown"
        );
        self.exec_broken = act == "exec_broken" || (self.exec_broken && act != "exec_whole");
        match act {
            "kill9" => drop(self.engine.daemon_killed()),
            "term" => drop(self.engine.daemon_terminated(self.now)),
            "power_cut" => self.engine.power_lost(self.now),
            "start" => {
                self.loads();
                let restore = restores(self.recorded());
                self.engine.set_timing(Timing::Recorded { restore });
                self.engine.daemon_started(self.now);
            }
            "exec_broken" => self.engine.set_exec_broken(self.now, Some(words)),
            "exec_whole" => self.engine.set_exec_broken(self.now, None),
            other => panic!(
                "row {}: no such thing can be done to an engine: {other:?}",
                self.recording.row
            ),
        }
        self.listen();
        let waits_for = match act {
            "start" => true,
            "term" => false,
            _ => return json!({}),
        };
        match self.run_while(|it| it.ready != waits_for) {
            true => json!({}),
            false => json!({ "error": "the daemon did not" }),
        }
    }

    /// The daemon is loaded before it acts for the first time.
    fn loads(&mut self) {
        let lists = variants(&self.recorded()["events"])[0]
            .as_object()
            .into_iter()
            .flat_map(|it| it.values());
        let heard = lists.flat_map(|list| list.as_array().into_iter().flatten());
        let kills = heard.filter(|it| it["action"] == "kill").map(|it| latest(&it["at_ms"]));
        let first = kills.min().unwrap_or(0);
        self.run_until(self.now + Duration::from_millis(first));
    }

    // --- what is read ---

    /// Inspect waits where the engine holds the container's lock.
    fn observe(&mut self, name: &str) -> Value {
        let id = self.ids.get(name).cloned().unwrap_or_else(|| name.to_owned());
        self.run_while(|it| it.engine.is_locked(&id));
        match self.engine.find(&id) {
            Some(place) => self.words.inspect(&self.engine, place),
            None => json!("no such container"),
        }
    }

    fn observe_all(&mut self) -> Value {
        let listed: Vec<_> = self.engine.list().into_iter().map(|it| (it.id, it.name)).collect();
        let mut all = json!({});
        for (id, name) in listed {
            let word = self.words.of(&id, &name);
            let mut seen = self.observe(&id);
            if seen.is_object() {
                seen["Name"] = name.into();
            }
            all[word] = seen;
        }
        all
    }
}
