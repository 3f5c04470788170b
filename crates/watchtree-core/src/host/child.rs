//! The life of one container-watchdog as a child process.
//!
//! ```text
//!            StartChild        ChildStarted          Hello           freshness point passed
//!   Absent ───────────▶ Starting ────────▶ Greeting ───────▶ Live ─────────────────────────▶ Doubted (Ping)
//!    ▲ ▲                   │ failed           ▲  │ no Hello   │ ▲   fresh again, or Pong        │ not answered
//!    │ └───────────────────┘      ChildFound ─┘  │            │ └──────────────────────────────┘ │
//!    │                                           │            │ another build, nothing under way │
//!    │                                           ▼            ▼                                  ▼
//!    └──────────── ChildExited ◀──────────── Killing ◀──── Stopping (SIGTERM) ─── late ──▶   Killing (SIGKILL)
//! ```
//!
//! A revival after a long clean run is at once; then the delay doubles, with jitter. A child that says itself that it
//! cannot run (exit 2, 6, 8), or is revived again and again, is given up: a person is told, and it is retried slowly.

use super::HostAgent;
use super::io::{ChildExit, ChildSignal, ChildView, HostEffect};
use crate::backend::Backend;
use crate::decision::{ActionKind, Decision, Outcome};
use crate::id::NodeName;
use crate::recorder::Draft;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// A signal that nothing came of is repeated after this.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// A start whose answer was lost (a defect of the driver) is repeated after this; the engine's lock keeps two from acting.
const START_LOST: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Not running; started at the moment, or never (`None`: stopping, going down).
    Absent { again: Option<Moment> },
    /// Asked the driver to start it.
    Starting { until: Moment },
    /// Runs; has not said Hello yet.
    Greeting { pid: u32, until: Moment },
    /// Runs and beats.
    Live { pid: u32 },
    /// Runs and was asked to answer.
    Doubted { pid: u32, until: Moment },
    /// Was asked to stop.
    Stopping { pid: u32, until: Moment },
    /// Was killed; the kernel has not confirmed yet.
    Killing { pid: u32, until: Moment },
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) node: NodeName,
    /// `HOST/ENGINE`
    pub(super) scope: SubjectId,
    pub(super) phase: Phase,
    /// Nobody watches below just now: it said goodbye, or is given up. Until the next Hello.
    pub(super) covered: Option<String>,
    /// Why a person is needed.
    pub(super) given_up: Option<String>,
    /// When it said Hello, in this life.
    pub(super) joined: Option<Moment>,
    /// Reported subjects that a new life does not name are forgotten only after this moment.
    pub(super) forget_at: Option<Moment>,
    pub(super) since: Option<Moment>,
    pub(super) revivals: VecDeque<Moment>,
    pub(super) revived: u64,
    pub(super) in_a_row: u32,
    pub(super) open: Option<Decision>,
    /// Process, exit and last line that were told before the answer to its start.
    pub(super) early_exit: Option<(u32, ChildExit, String)>,
    /// Of a former life of this daemon: only such a one can be of another build than what would be started now.
    pub(super) adopted: bool,
    /// A hold keeps it from being started.
    pub(super) held_back: bool,
}

impl Child {
    pub(super) fn new(node: NodeName, scope: SubjectId) -> Self {
        Self {
            node,
            scope,
            phase: Phase::Absent { again: None },
            covered: None,
            given_up: None,
            joined: None,
            forget_at: None,
            since: None,
            revivals: VecDeque::new(),
            revived: 0,
            in_a_row: 0,
            open: None,
            early_exit: None,
            adopted: false,
            held_back: false,
        }
    }

    pub(super) fn subject(&self) -> SubjectId {
        self.scope.child("@watchdog")
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match self.phase {
            Phase::Absent { .. } | Phase::Starting { .. } => None,
            Phase::Greeting { pid, .. }
            | Phase::Live { pid }
            | Phase::Doubted { pid, .. }
            | Phase::Stopping { pid, .. }
            | Phase::Killing { pid, .. } => Some(pid),
        }
    }

    pub(super) fn deadline(&self, backend: &Backend, settled: Moment) -> Option<Moment> {
        let phase = match &self.phase {
            Phase::Absent { again } => *again,
            Phase::Starting { until }
            | Phase::Greeting { until, .. }
            | Phase::Doubted { until, .. }
            | Phase::Stopping { until, .. }
            | Phase::Killing { until, .. } => Some(*until),
            Phase::Live { .. } => backend
                .child(&self.node)
                .and_then(|child| child.fresh_until())
                .map(|at| at.max(settled)),
        };
        [phase, self.forget_at].into_iter().flatten().min()
    }

    /// After a stall of the observer: no waiting of before counts.
    pub(super) fn excuse(&mut self, settled: Moment) {
        match &mut self.phase {
            Phase::Doubted { pid, .. } => self.phase = Phase::Live { pid: *pid },
            Phase::Greeting { until, .. } | Phase::Stopping { until, .. } | Phase::Starting { until } => {
                *until = (*until).max(settled);
            }
            Phase::Absent { .. } | Phase::Live { .. } | Phase::Killing { .. } => (),
        }
    }

    pub(super) fn view(&self, engine: &str, backend: &Backend) -> ChildView {
        let session = backend.child(&self.node).filter(|_| self.joined.is_some());
        ChildView {
            engine: engine.to_string(),
            pid: self.pid(),
            version: session.map(|session| session.hello.identity.version.clone()),
            revivals: self.revived,
            last_heard: session
                .and_then(|session| session.newest())
                .map(|(_, received)| received),
            phase: self.words().1,
        }
    }

    /// What is believed of the watchdog itself.
    pub(super) fn words(&self) -> (State, String) {
        if let Some(why) = &self.given_up {
            return (State::GivenUp, why.clone());
        }
        match &self.phase {
            Phase::Absent { .. } if self.revived == 0 => (State::Unknown, "not started yet".to_string()),
            Phase::Absent { .. } => (State::Repairing, "it ended and is started again".to_string()),
            Phase::Starting { .. } => (State::Starting, "being started".to_string()),
            Phase::Greeting { pid, .. } => (
                State::Starting,
                format!("runs as process {pid}, has not said Hello yet"),
            ),
            Phase::Live { pid } => (State::Ok, format!("beats, process {pid}")),
            Phase::Doubted { pid, .. } => (
                State::Suspect,
                format!("process {pid} missed its beats: asked to answer"),
            ),
            Phase::Stopping { pid, .. } => (State::Unwatched, format!("process {pid} was asked to stop")),
            Phase::Killing { pid, .. } => (State::Repairing, format!("process {pid} hung and was killed")),
        }
    }
}

impl HostAgent {
    fn engine_of(&self, node: &NodeName) -> Option<String> {
        self.children
            .iter()
            .find(|(_, child)| child.node == *node)
            .map(|(engine, _)| engine.clone())
    }

    pub(super) fn child_found(&mut self, now: Moment, engine: &str, pid: u32) {
        let until = now + self.policy.child_hello_within;
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        child.phase = Phase::Greeting { pid, until };
        child.since = Some(now);
        child.adopted = true;
        let subject = child.subject();
        let evidence = vec![Evidence::new(
            EvidenceKind::Observer,
            now,
            format!("process {pid} lives and holds the engine"),
        )];
        let why = format!("container-watchdog of {engine} runs already (process {pid}): adopt it, start none");
        let draft = Draft::new(subject, ActionKind::None, why).evidence(evidence);
        self.recorder.record(now, draft);
        self.tell_child(now, engine);
    }

    pub(super) fn start_missing(&mut self, now: Moment) {
        self.looked_for = true;
        let missing: Vec<String> = self
            .children
            .iter()
            .filter(|(_, child)| matches!(child.phase, Phase::Absent { .. }))
            .map(|(engine, _)| engine.clone())
            .collect();
        for engine in missing {
            self.start_child(now, &engine);
        }
    }

    pub(super) fn start_child(&mut self, now: Moment, engine: &str) {
        let may = !self.stopping && !self.going_down && self.looked_for;
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        if !may {
            child.phase = Phase::Absent { again: None };
            return;
        }
        child.phase = Phase::Starting {
            until: now + START_LOST,
        };
        child.joined = None;
        child.held_back = false;
        self.effects.push_back(HostEffect::StartChild {
            engine: engine.to_string(),
        });
        self.tell_child(now, engine);
    }

    pub(super) fn child_started(&mut self, now: Moment, engine: &str, result: Result<u32, String>) {
        let until = now + self.policy.child_hello_within;
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        match result {
            Ok(pid) => {
                child.phase = Phase::Greeting { pid, until };
                child.since = Some(now);
                child.adopted = false;
                if let Some((_, exit, line)) = child.early_exit.take().filter(|(gone, ..)| *gone == pid) {
                    return self.child_exited(now, engine, pid, exit, &line);
                }
                if self.stopping {
                    self.stop_child(now, engine);
                }
            }
            Err(why) => {
                let line = format!("container-watchdog of {engine} cannot be started: {why}");
                child.given_up = Some(line.clone());
                child.covered = Some(line.clone());
                child.phase = Phase::Absent {
                    again: Some(now + self.policy.retry_unfit),
                };
                self.end_decision(engine, Outcome::Failed, &line);
                self.set_condition(&format!("child {engine}"), Err(line));
                self.tell_book(now, engine);
            }
        }
        self.tell_child(now, engine);
    }

    pub(super) fn child_joined(&mut self, now: Moment, node: &NodeName) {
        let Some(engine) = self.engine_of(node) else { return };
        let build = self
            .backend
            .child(node)
            .map(|session| session.hello.identity.version.clone())
            .unwrap_or_default();
        let Some(child) = self.children.get_mut(&engine) else {
            return;
        };
        let Some(pid) = child.pid() else { return };
        if matches!(child.phase, Phase::Stopping { .. } | Phase::Killing { .. }) {
            return;
        }
        child.phase = Phase::Live { pid };
        if child.joined.is_none() {
            child.joined = Some(now);
            child.forget_at = Some(now + super::tell::FORGET_AFTER);
        }
        child.given_up = None;
        child.covered = None;
        self.set_condition(&format!("child {engine}"), Ok(format!("beats, process {pid}")));
        self.end_decision(
            &engine,
            Outcome::Succeeded,
            &format!("process {pid} of build {build} said Hello"),
        );
        self.tell_child(now, &engine);
        self.tell_book(now, &engine);
        self.replace_other_build(now, &engine);
    }

    pub(super) fn child_heard(&mut self, now: Moment, node: &NodeName) {
        let Some(engine) = self.engine_of(node) else { return };
        let fresh = self.backend.child(node).is_some_and(|session| session.is_fresh(now));
        let Some(child) = self.children.get_mut(&engine) else {
            return;
        };
        if let (Phase::Doubted { pid, .. }, true) = (&child.phase, fresh) {
            child.phase = Phase::Live { pid: *pid };
            self.tell_child(now, &engine);
        }
        self.replace_other_build(now, &engine);
    }

    pub(super) fn child_said_goodbye(&mut self, now: Moment, node: &NodeName) {
        let Some(engine) = self.engine_of(node) else { return };
        let Some(child) = self.children.get_mut(&engine) else {
            return;
        };
        child.covered = Some("its container-watchdog said goodbye".to_string());
        self.tell_child(now, &engine);
        self.tell_book(now, &engine);
    }

    pub(super) fn stop_child(&mut self, now: Moment, engine: &str) {
        let until = now + self.policy.child_stop_within;
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        let Some(pid) = child.pid() else {
            if self.stopping {
                child.phase = match child.phase {
                    // The driver's answer is still to come; then it is stopped.
                    Phase::Starting { until } => Phase::Starting { until },
                    _ => Phase::Absent { again: None },
                };
            }
            return;
        };
        child.phase = Phase::Stopping { pid, until };
        self.signal(engine, pid, ChildSignal::Terminate);
        self.tell_child(now, engine);
    }

    pub(super) fn signal(&mut self, engine: &str, pid: u32, signal: ChildSignal) {
        self.effects.push_back(HostEffect::SignalChild {
            engine: engine.to_string(),
            pid,
            signal,
        });
    }

    pub(super) fn child_exited(&mut self, now: Moment, engine: &str, pid: u32, exit: ChildExit, last_line: &str) {
        let Some(child) = self.children.get_mut(engine).filter(|child| child.pid() == Some(pid)) else {
            return self.exited_early(engine, pid, exit, last_line);
        };
        let asked = matches!(child.phase, Phase::Stopping { .. });
        let clean = self.policy.revive_clean_after;
        if child.since.is_none_or(|since| clean <= now.since(since)) || asked {
            child.in_a_row = 0;
        }
        child.joined = None;
        child.phase = Phase::Absent { again: None };
        let node = child.node.clone();
        self.backend.life_ended(&node);
        if self.stopping {
            return self.check_stopped();
        }
        let how = match exit {
            ChildExit::Code(code) => format!("exit code {code}"),
            ChildExit::Signal(signal) => format!("killed by signal {signal}"),
            ChildExit::Unknown => "its process is gone".to_string(),
        };
        let said = if last_line.is_empty() {
            String::new()
        } else {
            format!(": {last_line}")
        };
        let evidence = Evidence::new(EvidenceKind::ProcessGone, now, format!("process {pid}: {how}{said}"));
        let unfit = match exit {
            ChildExit::Code(2) => Some((self.policy.retry_unfit, "bad configuration")),
            ChildExit::Code(6) => Some((self.policy.retry_unfit, "no rights")),
            ChildExit::Code(8) => Some((self.policy.retry_taken, "another healer holds the engine")),
            _ => None,
        };
        match unfit {
            Some((retry, what)) if !asked => {
                let why = format!("container-watchdog of {engine} cannot run ({what}){said}");
                self.give_up(now, engine, vec![evidence], why, retry);
            }
            _ => self.revive(now, engine, evidence),
        }
        self.tell_child(now, engine);
    }

    pub(super) fn children_due(&mut self, now: Moment) {
        let engines: Vec<String> = self.children.keys().cloned().collect();
        for engine in engines {
            self.child_due(now, &engine);
            self.forget_unnamed(now, &engine);
        }
    }

    fn child_due(&mut self, now: Moment, engine: &str) {
        let settled = self.own.settled_at();
        let judged = self.own.may_judge(now);
        let Some(child) = self.children.get_mut(engine) else {
            return;
        };
        let node = child.node.clone();
        match child.phase.clone() {
            Phase::Absent { again: Some(at) } if at <= now => match self.held_until(engine) {
                Some(until) => self.put_off(engine, until),
                None => self.start_child(now, engine),
            },
            Phase::Starting { until } if until <= now => self.start_child(now, engine),
            Phase::Live { pid } => {
                let fresh_until = self.backend.child(&node).and_then(|session| session.fresh_until());
                if judged && fresh_until.is_some_and(|until| until <= now) {
                    child.phase = Phase::Doubted {
                        pid,
                        until: now + self.policy.child_ping_within,
                    };
                    self.backend.ping(now, &node);
                    self.tell_child(now, engine);
                }
            }
            Phase::Greeting { until, .. } | Phase::Doubted { until, .. } if until <= now && !judged => {
                child.excuse(settled)
            }
            Phase::Greeting { pid, until } if until <= now => {
                let what = format!(
                    "no Hello within {} s of its start",
                    self.policy.child_hello_within.as_secs()
                );
                self.kill(
                    now,
                    engine,
                    pid,
                    vec![Evidence::new(EvidenceKind::MissedSlot, now, what)],
                );
            }
            Phase::Doubted { pid, until } if until <= now => {
                let newest = self.backend.child(&node).and_then(|session| session.newest());
                let slot = newest.map_or(Moment::ZERO, |(slot, _)| slot);
                let silent = format!("nothing after slot {slot}, {:.1} s ago", now.since(slot).as_secs_f32());
                let asked = format!(
                    "a ping was not answered within {} ms",
                    self.policy.child_ping_within.as_millis()
                );
                let evidence = vec![
                    Evidence::new(EvidenceKind::MissedSlot, now, silent),
                    Evidence::new(EvidenceKind::Ping, now, asked),
                ];
                self.kill(now, engine, pid, evidence);
            }
            Phase::Stopping { pid, until } | Phase::Killing { pid, until } if until <= now => {
                child.phase = Phase::Killing {
                    pid,
                    until: now + AGAIN,
                };
                self.signal(engine, pid, ChildSignal::Kill);
                self.tell_child(now, engine);
            }
            _ => (),
        }
    }
}
