//! The one model of a container engine: what Docker 20.10 (and, where asked for, 26.1) was seen to do, no more.
//!
//! Containers run, end, hang, are stopped by people, by watchdogs, by the engine's own policy and by its daemon; the
//! daemon crashes, stops and starts; the machine loses its power. Calls take time and go on whatever becomes of their
//! caller; a start holds the container's lock; events come from a ring that forgets. Time is passed in: `call` and the
//! other acts at their moment, `advance` when `next_deadline` has come, then `drain` for what came of it.
//!
//! The model knows nothing of watchdogs and of right or wrong.

mod act;
mod container;
mod daemon;
mod event;
mod health;
mod spec;
mod start;
mod stop;
mod text;
mod timing;

pub use container::Snapshot;
pub use event::{Action, LoggedEvent, RING_EVENTS_MAX};
pub use spec::{Check, CheckResult, OnSignal, Program, Spec};
pub use timing::{Timing, Work};

use container::Container;
use event::EventLog;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::container::io::{
    ContainerView, EngineError, EngineTime, EventAction, Health, ListEntry, Performed, RestartPolicy, RunState,
};
use watchtree_core::time::{Duration, Moment};

/// Who asked for something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Asker {
    /// The container-watchdog, by its epoch and ticket.
    Watchdog {
        /// Epoch of the caller.
        epoch: u64,
        /// Its ticket.
        ticket: u64,
    },
    /// A person, by a number that comes back with the answer.
    Person(u64),
    /// The engine's own restart policy.
    Policy,
    /// The daemon, at its start or its end.
    Daemon,
}

/// A call of the API that changes something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verb {
    /// `/start`
    Start,
    /// `/stop?t=`; `None` = the container's own timeout, or 10 s.
    Stop(Option<Duration>),
    /// `/restart?t=`
    Restart(Option<Duration>),
    /// `/kill?signal=`
    Kill(u32),
    /// `/pause`
    Pause,
    /// `/unpause`
    Unpause,
    /// `/rename`
    Rename(String),
    /// `/update` of the restart policy.
    Update(RestartPolicy),
    /// `DELETE`, with force or without.
    Remove {
        /// `-f`
        force: bool,
    },
    /// A process in the container sends its init that signal (`exec … kill -SIGNAL 1`).
    ExecKill(u32),
}

/// What the engine tells the world.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Out {
    /// An event was logged; streams that are open carry it.
    Event(LoggedEvent),
    /// A call was answered.
    Answered(Asker, Result<Performed, EngineError>),
    /// A container began a new life.
    Started {
        /// Which, by its place.
        place: usize,
        /// By whom.
        by: Asker,
    },
    /// The daemon has ended: streams and calls with it.
    DaemonEnded,
    /// The API answers again.
    DaemonReady,
}

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// `--live-restore`
    pub live_restore: bool,
    /// The end is logged as 26.1 does it: `stop` before `die`.
    pub stop_before_die: bool,
    /// How long things take.
    pub timing: Timing,
}

/// What the daemon does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DaemonState {
    Up,
    /// It was asked to end and stops the containers: no new connection is taken.
    Ending,
    Down,
    /// It restores the containers: no connection is answered.
    Starting,
}

/// Something the engine will do later.
#[derive(Clone, Debug)]
enum Due {
    /// A start's work is done.
    StartDone(usize, Asker),
    /// The patience of a stop is over.
    Patience(usize, u64, Asker),
    /// A process ends.
    Ends(usize, u64, i64),
    /// Events and the answer that come after an end.
    Log(usize, EventAction),
    StopDone(usize, container::Stopping<Asker>),
    Answer(Asker, Result<Performed, EngineError>),
    /// The restart policy acts.
    PolicyStarts(usize, u64),
    /// A run of the health check ends.
    CheckEnds(usize, u64),
    /// The daemon has nothing left to restore.
    Restored,
}

/// See the top of this file.
pub struct Engine {
    settings: EngineSettings,
    containers: Vec<Container<Verb, Asker>>,
    log: EventLog,
    agenda: BTreeMap<(Moment, u64), Due>,
    count: u64,
    out: Vec<Out>,
    dirty: BTreeSet<usize>,
    daemon: DaemonState,
    /// Difference of the machine's wall clock from the true one.
    clock_offset_ns: i64,
    next_pid: u32,
    /// Files, networks and ports of the machine as they are not.
    missing_mounts: BTreeSet<String>,
    missing_networks: BTreeSet<String>,
    taken_ports: BTreeSet<u16>,
    /// Every `exec` of this engine fails with these words.
    exec_broken: Option<String>,
    flag_readable: bool,
    /// The next end of this container is logged by nobody.
    lose_die: Option<usize>,
}

/// True wall time in nanoseconds at a moment: the moment plus a constant, so that both are readable side by side.
pub fn true_wall_ns(now: Moment) -> u64 {
    1_700_000_000_000_000_000 + now.as_micros() * 1000
}

impl Engine {
    /// An engine without containers.
    pub fn new(settings: EngineSettings) -> Self {
        Self {
            settings,
            containers: Vec::new(),
            log: EventLog::default(),
            agenda: BTreeMap::new(),
            count: 0,
            out: Vec::new(),
            dirty: BTreeSet::new(),
            daemon: DaemonState::Up,
            clock_offset_ns: 0,
            next_pid: 100,
            missing_mounts: BTreeSet::new(),
            missing_networks: BTreeSet::new(),
            taken_ports: BTreeSet::new(),
            exec_broken: None,
            flag_readable: true,
            lose_die: None,
        }
    }

    // --- time ---

    /// When it has something to do next.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due at `now`, in order.
    pub fn advance(&mut self, now: Moment) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), due) = entry.remove_entry();
            self.does(at, due);
        }
    }

    /// What came of it since the last call.
    pub fn drain(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    /// The containers that changed since the last call.
    pub fn drain_changed(&mut self) -> Vec<(usize, Snapshot)> {
        let changed = std::mem::take(&mut self.dirty);
        changed.into_iter().map(|i| (i, self.containers[i].snapshot())).collect()
    }

    fn later(&mut self, at: Moment, due: Due) {
        self.count += 1;
        self.agenda.insert((at, self.count), due);
    }

    fn does(&mut self, now: Moment, due: Due) {
        match due {
            Due::StartDone(i, asker) => self.start_done(now, i, asker),
            Due::Patience(i, life, asker) => self.patience_over(now, i, life, asker),
            Due::Ends(i, life, code) => {
                if self.containers[i].life == life && self.containers[i].alive {
                    self.process_ended(now, i, code);
                }
            }
            Due::Log(i, action) => self.event(now, i, action),
            Due::StopDone(i, stopping) => self.stop_done(now, i, stopping),
            Due::Answer(asker, result) => self.answer(asker, result),
            Due::PolicyStarts(i, life) => self.policy_starts(now, i, life),
            Due::CheckEnds(i, life) => self.check_ends(now, i, life),
            Due::Restored => self.restored(now),
        }
    }

    // --- what can be read ---

    /// Is a connection taken and answered?
    pub fn answers(&self) -> bool {
        self.daemon == DaemonState::Up
    }

    /// Does the daemon's process exist?
    pub fn daemon_exists(&self) -> bool {
        self.daemon != DaemonState::Down
    }

    /// The list, as the API gives it.
    pub fn list(&self) -> Vec<ListEntry> {
        let entry = |c: &Container<Verb, Asker>| ListEntry {
            id: c.view.id.clone(),
            name: c.view.name.clone(),
            run: c.view.run,
            health: match c.view.run {
                RunState::Running => c.view.health,
                _ => Health::None,
            },
        };
        self.containers.iter().filter(|c| !c.removed).map(entry).collect()
    }

    /// Whether a start of it is under way: inspect waits for that, as the engine holds the container's lock meanwhile.
    pub fn is_locked(&self, id: &str) -> bool {
        self.find(id).is_some_and(|i| self.containers[i].starting)
    }

    /// Inspect, where the lock is free.
    ///
    /// # Errors
    /// No such container.
    pub fn inspect(&self, id: &str) -> Result<ContainerView, EngineError> {
        let found = self.find(id).map(|i| self.containers[i].view.clone());
        found.ok_or(EngineError::NotFound)
    }

    /// `HasBeenManuallyStopped`, where the file can be read.
    pub fn manual_stop_flag(&self, id: &str) -> Option<bool> {
        let i = self.find(id).filter(|_| self.flag_readable)?;
        Some(self.containers[i].manually_stopped)
    }

    /// Remembered events from `since` on, oldest first.
    pub fn events_since(&self, since: EngineTime) -> Vec<LoggedEvent> {
        self.log.since(since)
    }

    /// The place of the container of that id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.view.id == id && !c.removed)
    }

    /// The place of the container of that name.
    pub fn find_name(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.view.name == name && !c.removed)
    }

    /// How many containers there ever were.
    pub fn len(&self) -> usize {
        self.containers.len()
    }

    /// True if there never was one.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// What is true of the container at that place.
    pub fn snapshot(&self, place: usize) -> Snapshot {
        self.containers[place].snapshot()
    }

    /// How the container at that place was made.
    pub fn spec(&self, place: usize) -> &Spec {
        &self.containers[place].spec
    }

    /// The engine's wall clock in nanoseconds.
    pub fn wall_ns(&self, now: Moment) -> u64 {
        true_wall_ns(now).saturating_add_signed(self.clock_offset_ns)
    }

    // --- said ---

    fn event(&mut self, now: Moment, i: usize, action: EventAction) {
        if matches!(action, EventAction::Die { .. }) && self.lose_die == Some(i) {
            self.lose_die = None;
            return;
        }
        self.log_event(now, i, Action::Container(action));
    }

    fn log_event(&mut self, now: Moment, i: usize, action: Action) {
        let at = self.stamp(now);
        let c = &self.containers[i];
        let label = |key: &str| c.spec.labels.get(key).cloned();
        let event = LoggedEvent {
            at,
            id: c.view.id.clone(),
            name: c.view.name.clone(),
            compose: label("com.docker.compose.project").zip(label("com.docker.compose.service")),
            action,
        };
        self.log.push(event.clone());
        self.out.push(Out::Event(event));
    }

    fn stamp(&mut self, now: Moment) -> EngineTime {
        let wall = self.wall_ns(now);
        self.log.stamp(wall)
    }

    fn answer(&mut self, asker: Asker, result: Result<Performed, EngineError>) {
        if matches!(asker, Asker::Watchdog { .. } | Asker::Person(_)) {
            self.out.push(Out::Answered(asker, result));
        }
    }

    fn changed(&mut self, i: usize) {
        self.dirty.insert(i);
    }
}
