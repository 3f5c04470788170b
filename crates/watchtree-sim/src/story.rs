//! The story of a scene, in words: what happened, what the watchdog saw of it, what it decided, what was done to the engine,
//! and what it told of its subjects. One line each, with seconds since the story began; the same in each run.
//!
//! ```text
//! 0.000  happens  web exits 137
//! 0.003  seen     web: die, exit code 137
//! 0.003  decided  start web: exited (137), nobody stopped it: start it, restart 1 in a row
//! 0.003  done     start web
//! 0.003  told     web REPAIRING: being started
//! ```
//!
//! A story reads the log of the world and what the watchdogs show. It does not know what is right: a test writes that down
//! as the expected story.

use crate::log::{CallId, Node, Observation, Seen};
use crate::scheduler::World;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use watchtree_core::container::io::{EngineCall, EngineError, EngineEvent, EventAction, Performed, Record};
use watchtree_core::decision::{ActionKind, Decision, DecisionId, GuardVerdict, Outcome};
use watchtree_core::subject::{SubjectId, SubjectKind};
use watchtree_core::time::Moment;
use watchtree_core::verdict::State;

/// The kinds of line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A fault, a person's act, a process that starts or ends.
    Happens,
    /// What reached a watchdog.
    Seen,
    /// A decision, and how it ended.
    Decided,
    /// A call of the engine, and its answer.
    Done,
    /// What is shown to people, here or at the manager.
    Told,
}

/// See the top of this file.
#[derive(Default)]
pub(crate) struct Story {
    begin: Moment,
    text: String,
    calls: BTreeMap<CallId, String>,
    /// What was told of a decision, under its id: it comes from the journal and from the log.
    decided: BTreeMap<DecisionId, Vec<(Outcome, String)>>,
    shown: BTreeMap<SubjectId, State>,
    conditions: BTreeMap<String, String>,
    answers: usize,
}

impl Story {
    /// A new story begins: nothing is told yet.
    pub(crate) fn begin(&mut self, now: Moment) {
        (self.begin, self.text) = (now, String::new());
    }

    /// What was told since the last call.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// One more line.
    pub(crate) fn line(&mut self, at: Moment, kind: Kind, text: impl Display) {
        let (kind, text) = (format!("{kind:?}").to_lowercase(), text.to_string());
        // Ids of the model end in zeros.
        let text = text.replace("00000000", "");
        let after = at.since(self.begin).as_millis();
        let after = format!("{}.{:03}", after / 1000, after % 1000);
        writeln!(self.text, "{after:<6} {kind:<8} {text}").expect("a string has room");
    }

    /// Reads on: what was to be seen, and what is shown after it.
    pub(crate) fn read(&mut self, world: &World, seen: &Seen) {
        let at = seen.at;
        match &seen.what {
            Observation::ProcessStarted { node, .. } => {
                if matches!(node, Node::Child(_)) {
                    self.shown.clear();
                }
                self.line(at, Kind::Happens, format!("{} starts", process(node)));
            }
            Observation::ProcessEnded { node } => self.line(at, Kind::Happens, format!("{} ends", process(node))),
            Observation::Frozen { node } => self.line(at, Kind::Happens, format!("{} is frozen", process(node))),
            Observation::Thawed { node, .. } => self.line(at, Kind::Happens, format!("{} runs again", process(node))),
            Observation::PowerLost { .. } => self.line(at, Kind::Happens, "the machine loses its power"),
            Observation::Booted { .. } => self.line(at, Kind::Happens, "the machine boots"),
            Observation::EngineEnded { .. } => self.line(at, Kind::Happens, "dockerd ends"),
            Observation::EngineReady { .. } => self.line(at, Kind::Happens, "dockerd answers"),
            Observation::StreamOpened { .. } => self.line(at, Kind::Seen, "the event stream opens"),
            Observation::StreamClosed { host } if world.hosts[*host].child.exists() => {
                self.line(at, Kind::Seen, "the event stream ends");
            }
            Observation::EventTaken { event, .. } => {
                self.line(at, Kind::Seen, event_words(event));
            }
            Observation::Decided { decision }
            | Observation::Recorded {
                record: Record::Decided(decision),
                ..
            } => self.decided(at, decision),
            Observation::WorkedOnEngine { .. } => self.line(at, Kind::Done, "the engine is worked on"),
            Observation::KilledChild { .. } => self.line(at, Kind::Done, "kill -9 of the container-watchdog"),
            Observation::Posted { by, id, call, .. } => {
                let call = call_words(world, id, *call);
                self.line(at, Kind::Done, &call);
                self.calls.insert(*by, call);
            }
            Observation::Finished { by, answer, .. } => {
                if let Some(call) = self.calls.get(by).cloned() {
                    self.line(at, Kind::Done, format!("{call} → {}", answer_words(answer)));
                }
            }
            Observation::Lost { by, .. } => {
                if let Some(call) = self.calls.get(by).cloned() {
                    self.line(at, Kind::Done, format!("{call} → no answer comes any more"));
                }
            }
            Observation::StateChanged { subject, to, why, .. } => {
                self.line(at, Kind::Told, format!("manager: {subject} {}: {why}", to.as_str()));
            }
            _ => {}
        }
    }

    /// A decision is told when it is made, and when its outcome changes.
    fn decided(&mut self, at: Moment, decision: &Decision) {
        let subject = short(&decision.subject);
        let what = match decision.action {
            ActionKind::None => subject.to_string(),
            action => format!("{} {subject}", action.as_str().replace('_', " ")),
        };
        let now = (decision.outcome, decision.result.clone());
        let told = self.decided.entry(decision.id.clone()).or_default();
        if told.contains(&now) {
            return;
        }
        told.push(now);
        let first = told.len() == 1;
        let outcome = decision.outcome.as_str().replace('_', " ");
        let mut text = match first {
            true => format!("{what}: {}", decision.why),
            false => format!("{what}: {outcome}"),
        };
        for it in decision.guards.iter().filter(|_| first) {
            if matches!(it.verdict, GuardVerdict::Blocked | GuardVerdict::Waived) {
                let _ = write!(text, "; {} {}", it.guard.as_str(), it.verdict.as_str());
                if !decision.why.contains(&it.detail) {
                    let _ = write!(text, ": {}", it.detail);
                }
            }
        }
        if first && !matches!(decision.outcome, Outcome::NotTaken | Outcome::UnderWay) {
            let _ = write!(text, ", {outcome}");
        }
        if !decision.result.is_empty() {
            let _ = write!(text, ", {}", without_incarnation(&decision.result));
        }
        self.line(at, Kind::Decided, text);
    }

    /// What the watchdog of the first host shows by now, where that differs from what it showed before.
    pub(crate) fn read_shown(&mut self, world: &World) {
        let (at, host) = (world.now(), &world.hosts[0]);
        for answer in host.local_answers.iter().skip(self.answers) {
            let text = match answer.result {
                Ok(()) => format!("the person: carried out; {}", answer.detail),
                Err(refusal) => format!("the person: refused, {}; {}", refusal.as_str(), answer.detail),
            };
            self.line(at, Kind::Told, text);
        }
        self.answers = host.local_answers.len();
        let Some(agent) = host.child.machine().filter(|_| host.child.runs()) else {
            return;
        };
        let mut gone = std::mem::take(&mut self.shown);
        // What it says of itself are its conditions, told below.
        let of_others = agent.verdicts().filter(|it| it.kind != SubjectKind::Watchdog);
        for it in of_others {
            if gone.remove(&it.subject) != Some(it.state) {
                let text = format!("{} {}: {}", short(&it.subject), it.state.as_str(), it.why);
                self.line(at, Kind::Told, text.trim_end_matches(": "));
            }
            self.shown.insert(it.subject.clone(), it.state);
        }
        for subject in gone.keys() {
            self.line(at, Kind::Told, format!("{} is gone", short(subject)));
        }
        let conditions = agent
            .conditions()
            .map(|(about, why)| (about.to_string(), why.to_string()));
        let mut over = std::mem::replace(&mut self.conditions, conditions.collect());
        for (about, why) in self.conditions.clone() {
            if over.remove(&about).is_none() {
                self.line(at, Kind::Told, format!("watchdog degraded, {about}: {why}"));
            }
        }
        for about in over.keys() {
            self.line(at, Kind::Told, format!("watchdog no longer degraded, {about}"));
        }
    }
}

fn process(node: &Node) -> &'static str {
    match node {
        Node::Manager => "manager-watchdog",
        Node::Host(_) => "host-watchdog",
        Node::Child(_) => "container-watchdog",
    }
}

/// The name of a new incarnation is an id and a stamp: nothing that a reader would miss.
fn without_incarnation(text: &str) -> &str {
    let named = text
        .split_once(" started at T")
        .and_then(|(before, _)| before.rsplit_once(": "));
    named.map_or(text, |(before, _)| before)
}

/// A container by its name alone; whoever is above it by its path.
fn short(subject: &SubjectId) -> &str {
    subject.as_str().strip_prefix("h1/docker/").unwrap_or(subject.as_str())
}

fn event_words(event: &EngineEvent) -> String {
    let what = match &event.action {
        EventAction::Die { exit_code } => format!("die, exit code {exit_code}"),
        EventAction::Kill { signal } => format!("kill, signal {signal}"),
        EventAction::Rename { old_name } => format!("rename, from {old_name}"),
        EventAction::Health(health) => format!("health_status {health:?}").to_lowercase(),
        other => format!("{other:?}").to_lowercase(),
    };
    format!("{}: {what}", event.name)
}

/// A call of the engine as a person would type it.
pub(crate) fn call_words(world: &World, id: &str, call: EngineCall) -> String {
    let engine = &world.hosts[0].engine;
    let name = engine.find(id).map_or("?".into(), |place| engine.snapshot(place).name);
    match call {
        EngineCall::Start => format!("start {name}"),
        EngineCall::Stop { timeout_secs } => format!("stop -t {timeout_secs} {name}"),
    }
}

fn answer_words(answer: &Result<Performed, EngineError>) -> String {
    match answer {
        Ok(Performed::Done) => "done".into(),
        Ok(Performed::AlreadySo) => "it was so".into(),
        Err(EngineError::Refused { status, message }) => format!("refused, {status} {message}"),
        Err(EngineError::NotFound) => "no such container".into(),
        Err(other) => format!("{other:?}"),
    }
}
