//! One container of the engine: what the engine knows of it, and the process behind it.
//!
//! The engine's knowledge (`ContainerView`, the manual-stop flag, the restart manager) and the process's truth (`alive`,
//! `hung`) differ while no daemon runs. This file changes one container at a time and logs nothing.

use super::spec::Spec;
use std::collections::VecDeque;
use watchtree_core::container::io::{ContainerView, EngineTime, Health, Inodes, Joins, RestartPolicy, RunState};
use watchtree_core::time::{Duration, Moment};

/// The first back-off of the engine's restart manager.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A run this long makes the next back-off the first one again.
const BACKOFF_RESET_NS: u64 = 10_000_000_000;

/// What is true of a container at one moment: all that an onlooker may know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the engine says it does.
    pub run: RunState,
    /// It does not answer any more, whatever its health check says yet.
    pub hung: bool,
    /// What the engine says of its health.
    pub health: Health,
    /// Its process exists.
    pub alive: bool,
    /// It was removed.
    pub removed: bool,
    /// Which life it is in; grows with each start.
    pub life: u64,
    /// `StartedAt` of that life.
    pub started_at_text: String,
    /// Since when it is in this run state, or hung.
    pub changed: Moment,
    /// When its present life began.
    pub born: Moment,
    /// When the engine's own policy is to start it.
    pub policy_due: Moment,
    /// The containers whose namespaces it joins.
    pub joins: Joins,
    /// The containers that are to be well before it is started, by our own label.
    pub depends_on: Vec<String>,
    /// Those whose restart it is to follow.
    pub restart_with: Vec<String>,
}

/// A `/stop` (or what contains one) under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stopping<A> {
    pub(super) asker: A,
    pub(super) then: AfterStop,
}

/// What follows when the process has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AfterStop {
    /// The `stop` event and the answer.
    Answer,
    /// A start: it was a `/restart`.
    Restart,
    /// The removal: it was an `rm -f`.
    Remove,
    /// Only the answer: it was a `/kill` with KILL.
    Killed,
}

/// moby's restart manager of one container.
#[derive(Clone, Debug, Default)]
pub(super) struct RestartManager {
    backoff: Duration,
    count: u32,
    /// A stop or a kill called the policy off, until a start by hand.
    pub(super) cancelled: bool,
}

impl RestartManager {
    /// After an end: how long the engine waits before it starts it again; `None` = it does not.
    pub(super) fn after_end(
        &mut self,
        policy: RestartPolicy,
        exit_code: i64,
        manually_stopped: bool,
        ran_ns: u64,
    ) -> Option<Duration> {
        if policy == RestartPolicy::No || self.cancelled {
            return None;
        }
        if BACKOFF_RESET_NS <= ran_ns {
            self.backoff = Duration::ZERO;
        }
        self.backoff = match self.backoff {
            Duration::ZERO => BACKOFF_MIN,
            before => (before * 2).min(BACKOFF_MAX),
        };
        let restarts = match policy {
            RestartPolicy::No => false,
            RestartPolicy::Always => true,
            RestartPolicy::UnlessStopped => !manually_stopped,
            RestartPolicy::OnFailure { max } => exit_code != 0 && (max == 0 || self.count < max),
        };
        if restarts {
            self.count += 1;
        }
        restarts.then_some(self.backoff)
    }
}

/// See the top of this file. `V` is a call, `A` who made it.
#[derive(Clone, Debug)]
pub(super) struct Container<V, A> {
    pub(super) view: ContainerView,
    pub(super) spec: Spec,
    pub(super) hung: bool,
    /// Its namespaces: of its process, or of the life that the container had which it joined.
    pub(super) namespaces: Inodes,
    pub(super) alive: bool,
    /// Its process ended and the daemon has not seen it: exit code, when.
    pub(super) unseen_end: Option<(i64, EngineTime)>,
    pub(super) removed: bool,
    pub(super) life: u64,
    pub(super) changed: Moment,
    pub(super) born: Moment,
    pub(super) policy_due: Moment,
    /// A start holds the container's lock.
    pub(super) starting: bool,
    /// Its shim does nothing: no call for it goes on.
    pub(super) shim_stopped: bool,
    /// Calls that wait for that lock, or for the shim.
    pub(super) waiting: VecDeque<(V, A)>,
    pub(super) stopping: Vec<Stopping<A>>,
    pub(super) manager: RestartManager,
    pub(super) manually_stopped: bool,
    /// The start under way belongs to a `/restart`.
    pub(super) restarting: bool,
    /// The kernel killed a process of this life for memory.
    pub(super) oom_seen: bool,
    /// A check is scheduled, by the monitor of that number: a new one begins with each life, and after each pause.
    pub(super) checking: bool,
    pub(super) monitor: u64,
    /// When its last check ended, or its checks began: the next follow one by one from there.
    pub(super) checked: Moment,
    /// Runs of its check that have ended.
    pub(super) checks_run: usize,
    /// Exit code and output of the last check, of this life or one before; -1 = it did not come to one.
    pub(super) last_check: Option<(i64, String)>,
    /// The engine backs off that long after each end; `None` = as it does.
    pub(super) backoff: Option<Duration>,
    /// Next start by a watchdog takes that long.
    pub(super) slow: Option<Duration>,
    /// What becomes of its next stop by a watchdog.
    pub(super) next_stop: Option<StopTrouble>,
}

/// What an engine in trouble makes of a stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopTrouble {
    /// Its SIGKILL comes that much after its time.
    LateKill(Duration),
    /// Its stop signal cannot be sent, as while containerd is away: SIGKILL follows after two seconds, whatever its timeout.
    LostSignal,
}

impl<V, A> Container<V, A> {
    /// Calls for it wait.
    pub(super) fn holds_calls(&self) -> bool {
        self.starting || self.shim_stopped
    }

    /// Somebody holds its lock: an inspection waits too.
    pub(super) fn is_locked(&self) -> bool {
        self.starting || (self.shim_stopped && !self.waiting.is_empty())
    }

    /// A container that was just created.
    pub(super) fn new(now: Moment, spec: Spec) -> Self {
        Self {
            view: view_of(&spec, ContainerView::default()),
            spec,
            hung: false,
            namespaces: Inodes::new(),
            alive: false,
            unseen_end: None,
            removed: false,
            life: 0,
            changed: now,
            born: Moment::ZERO,
            policy_due: Moment::ZERO,
            starting: false,
            shim_stopped: false,
            waiting: VecDeque::new(),
            stopping: Vec::new(),
            manager: RestartManager::default(),
            manually_stopped: false,
            restarting: false,
            oom_seen: false,
            checking: false,
            monitor: 0,
            checked: Moment::ZERO,
            checks_run: 0,
            last_check: None,
            backoff: None,
            slow: None,
            next_stop: None,
        }
    }

    /// It is as if it had been made otherwise.
    pub(super) fn remade(&mut self, set: impl FnOnce(&mut Spec)) {
        set(&mut self.spec);
        self.view = view_of(&self.spec, std::mem::take(&mut self.view));
    }

    /// What is true of it now.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            id: self.view.id.clone(),
            name: self.view.name.clone(),
            run: self.view.run,
            hung: self.hung,
            health: self.view.health,
            alive: self.alive,
            removed: self.removed,
            life: self.life,
            started_at_text: self.view.started_at_text.clone(),
            changed: self.changed,
            born: self.born,
            policy_due: self.policy_due,
            joins: self.view.joins.clone(),
            depends_on: self.spec.names_in("watchtree.depends-on"),
            restart_with: self.spec.names_in("watchtree.restart-with"),
        }
    }

    /// The engine's `IsRunning`: also while it backs off, and while it is paused.
    pub(super) fn counts_as_running(&self) -> bool {
        matches!(
            self.view.run,
            RunState::Running | RunState::Paused | RunState::Restarting
        )
    }

    /// An id that differs from all others: of what the engine made for it.
    pub(super) fn other_id(&self) -> String {
        self.view.id.chars().rev().collect()
    }

    /// A start by hand or by the daemon: the policy is in force again.
    pub(super) fn reset_manager(&mut self) {
        self.manager = RestartManager::default();
        self.view.restart_count = 0;
    }

    /// A new life begins.
    pub(super) fn lives(&mut self, now: Moment, at: EngineTime, pid: u32) {
        self.life += 1;
        self.monitor += 1;
        self.born = now;
        self.checked = now;
        self.changed = now;
        self.alive = true;
        self.hung = false;
        self.unseen_end = None;
        self.view.run = RunState::Running;
        self.view.pid = pid;
        self.view.exit_code = 0;
        self.oom_seen = false;
        self.view.error.clear();
        self.view.started_at = at;
        self.view.started_at_text = format!("T{}", at.0);
        self.view.health_streak = 0;
        self.view.health_failures.clear();
        self.view.health = match self.spec.check {
            Some(_) => Health::Starting,
            None => Health::None,
        };
    }

    /// The engine takes note of its end.
    pub(super) fn ended(&mut self, now: Moment, at: EngineTime, exit_code: i64) {
        self.alive = false;
        self.hung = false;
        self.unseen_end = None;
        self.changed = now;
        self.view.run = RunState::Exited;
        self.view.pid = 0;
        self.view.exit_code = exit_code;
        self.view.oom_killed = self.oom_seen;
        self.view.finished_at = at;
        self.close_monitor();
    }

    /// The engine stops checking it, and says so by a word that reads like a failure; no event tells of it.
    pub(super) fn close_monitor(&mut self) {
        (self.monitor, self.checking) = (self.monitor + 1, false);
        if self.spec.check.is_some() {
            self.view.health = Health::Unhealthy;
        }
    }
}

/// What inspect says of it, where that follows from how it was made.
fn view_of(spec: &Spec, view: ContainerView) -> ContainerView {
    ContainerView {
        id: spec.id.clone(),
        name: spec.name.clone(),
        health_retries: spec.check.as_ref().map_or(0, |check| check.retries),
        health_start_period: spec.check.as_ref().map_or(Duration::ZERO, |check| check.start_period),
        restart_policy: spec.policy,
        stop_signal: spec.stop_signal.unwrap_or(15),
        stop_signal_set: spec.stop_signal.is_some(),
        stop_timeout: spec.stop_timeout,
        auto_remove: spec.auto_remove,
        terminal: spec.terminal,
        joins: spec.joins.clone(),
        image: spec.image.clone(),
        labels: spec.labels.clone(),
        ..view
    }
}
