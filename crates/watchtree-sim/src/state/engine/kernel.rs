//! What the engine's acts share: its containers, its agenda, its log, and what it has to say. It carries out nothing by
//! itself.

use super::container::{Container, Snapshot, Stopping};
use super::event::{Action, EventLog, LoggedEvent};
use super::spec::Spec;
use super::timing::Timing;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::container::io::{
    ContainerView, EngineError, EngineTime, EventAction, Namespace, Performed, RestartPolicy, RunState,
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

/// Which engine it is, where they differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// Docker 20.10
    V20_10,
    /// Docker 26.1
    V26_1,
}

impl Version {
    /// The end of a stopped container is logged as `stop`, then `die`.
    pub(super) fn stop_before_die(self) -> bool {
        self == Self::V26_1
    }

    /// The network of a container that was made without one.
    pub(super) fn network_mode(self) -> &'static str {
        match self {
            Self::V20_10 => "default",
            Self::V26_1 => "bridge",
        }
    }

    /// `OOMKilled` stays as it is while the next life runs, and says nothing of this one until its end.
    pub(super) fn notes_oom_at_the_end(self) -> bool {
        self == Self::V20_10
    }

    /// How long the daemon waits at its end for clients that are still connected.
    pub(super) fn waits_for_clients(self) -> Duration {
        match self {
            Self::V20_10 => Duration::ZERO,
            Self::V26_1 => Duration::from_secs(5),
        }
    }
}

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// `--live-restore`
    pub live_restore: bool,
    /// Which engine it is.
    pub version: Version,
    /// How long things take.
    pub timing: Timing,
    /// It does not tell since when it answers.
    pub hides_its_beginning: bool,
}

/// What the daemon does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DaemonState {
    Up,
    /// It was asked to end and stops the containers: no new connection is taken.
    Ending,
    Down,
    /// It restores the containers: no connection is answered.
    Starting,
    /// It starts those that its policies start; the API is served when they are.
    StartingContainers,
}

/// Something the engine will do later.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A start's work is done.
    StartDone(usize, Asker),
    /// The patience of a stop is over.
    Patience(usize, u64, Asker),
    /// A process ends.
    Ends(usize, u64, i64),
    /// Events and the answer that come after an end.
    Log(usize, EventAction),
    StopDone(usize, Stopping<Asker>),
    Answer(Asker, Result<Performed, EngineError>),
    /// The restart policy acts.
    PolicyStarts(usize, u64),
    /// A run of the health check ends, of that monitor.
    CheckEnds(usize, u64),
    /// The daemon has nothing left to restore.
    Restored,
    /// The daemon has closed what was open, and ends.
    DaemonEnds,
}

/// See the top of this file.
pub(super) struct Kernel {
    pub(super) settings: EngineSettings,
    pub(super) containers: Vec<Container<Verb, Asker>>,
    pub(super) log: EventLog,
    pub(super) agenda: BTreeMap<(Moment, u64), Due>,
    pub(super) count: u64,
    pub(super) out: Vec<Out>,
    pub(super) dirty: BTreeSet<usize>,
    pub(super) daemon: DaemonState,
    /// Difference of the machine's wall clock from the true one.
    pub(super) clock_offset_ns: i64,
    pub(super) next_pid: u32,
    /// Files, networks and ports of the machine as they are not.
    pub(super) missing_mounts: BTreeSet<String>,
    pub(super) missing_networks: BTreeSet<String>,
    pub(super) taken_ports: BTreeSet<u16>,
    /// Every `exec` of this engine fails with these words.
    pub(super) exec_broken: Option<String>,
    /// When the machine was so busy that no health check ended within its timeout.
    pub(super) overload: Overload,
    pub(super) flag_readable: bool,
    /// Since when it answers, as it tells by the network that it makes at its start.
    pub(super) began: EngineTime,
    /// A client reads the events.
    pub(super) stream_open: bool,
    /// The next end of this container is logged by nobody.
    pub(super) lose_die: Option<usize>,
}

/// True wall time in nanoseconds at a moment: the moment plus a constant, so that both are readable side by side.
pub fn true_wall_ns(now: Moment) -> u64 {
    1_700_000_000_000_000_000 + now.as_micros() * 1000
}

impl Kernel {
    /// An engine without containers.
    pub(super) fn new(settings: EngineSettings) -> Self {
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
            overload: Overload::default(),
            flag_readable: true,
            began: EngineTime(true_wall_ns(Moment::ZERO)),
            stream_open: false,
            lose_die: None,
        }
    }

    /// The first of its mounts that is not there.
    pub(super) fn missing_mount(&self, place: usize) -> Option<&String> {
        let mut mounts = self.containers[place].spec.mounts.iter();
        mounts.find(|path| self.missing_mounts.contains(*path))
    }

    /// A container as one sees it who inspects it and looks at the machine's files.
    pub(super) fn shown(&self, place: usize) -> ContainerView {
        let view = &self.containers[place].view;
        let missing = self.missing_mount(place).filter(|_| view.run == RunState::Created);
        ContainerView {
            missing_mount: missing.cloned(),
            ..view.clone()
        }
    }

    pub(super) fn later(&mut self, at: Moment, due: Due) {
        self.count += 1;
        self.agenda.insert((at, self.count), due);
    }

    /// The place of the container of that id.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.view.id == id && !c.removed)
    }

    /// The place of the container of that name.
    pub(super) fn find_name(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.view.name == name && !c.removed)
    }

    /// The engine's wall clock in nanoseconds.
    pub(super) fn wall_ns(&self, now: Moment) -> u64 {
        true_wall_ns(now).saturating_add_signed(self.clock_offset_ns)
    }

    pub(super) fn event(&mut self, now: Moment, i: usize, action: EventAction) {
        if matches!(action, EventAction::Die { .. }) && self.lose_die == Some(i) {
            self.lose_die = None;
            return;
        }
        self.log_event(now, i, Action::Container(action));
    }

    /// Its process is in namespaces of its own, or in those of the processes whose namespaces it joins.
    /// Whoever joined its namespaces before is cut off.
    pub(super) fn enter_namespaces(&mut self, now: Moment, i: usize) {
        let own = u64::from(self.containers[i].view.pid);
        let entered = Namespace::ALL.map(|namespace| {
            let owner = self.owner_of(i, namespace);
            let joined = owner.and_then(|owner| self.containers[owner].namespaces.get(&namespace));
            (namespace, joined.copied().unwrap_or(own))
        });
        self.containers[i].namespaces = entered.into();
        for it in self.joiners_of(i, &Namespace::ALL) {
            self.containers[it].changed = now;
            self.changed(it);
        }
    }

    /// How it is. One whose network went with the life of its owner is as good as hung.
    pub(super) fn snapshot(&self, i: usize) -> Snapshot {
        let c = &self.containers[i];
        let is_cut_off = Namespace::ALL.iter().any(|namespace| {
            let owner = self.owner_of(i, *namespace).map(|owner| &self.containers[owner]);
            owner.is_some_and(|owner| owner.alive && owner.namespaces.get(namespace) != c.namespaces.get(namespace))
        });
        Snapshot {
            hung: c.hung || (c.alive && is_cut_off),
            ..c.snapshot()
        }
    }

    /// It is made anew in its place, as it runs; where it joins another namespace by that, as another process.
    pub(super) fn remade(&mut self, now: Moment, i: usize, set: impl FnOnce(&mut Spec)) {
        let joined = self.containers[i].view.joins.clone();
        self.containers[i].remade(set);
        if self.containers[i].alive && self.containers[i].view.joins != joined {
            self.next_pid += 1;
            self.containers[i].view.pid = self.next_pid;
            self.enter_namespaces(now, i);
        }
    }

    fn owner_of(&self, i: usize, namespace: Namespace) -> Option<usize> {
        self.find(self.containers[i].view.joins.get(&namespace)?)
    }

    /// Those that live and join one of these namespaces of that one.
    pub(super) fn joiners_of(&self, i: usize, namespaces: &[Namespace]) -> Vec<usize> {
        let joins = |it: usize| {
            namespaces
                .iter()
                .any(|namespace| self.owner_of(it, *namespace) == Some(i))
        };
        let all = 0..self.containers.len();
        all.filter(|it| self.containers[*it].alive && joins(*it)).collect()
    }

    pub(super) fn log_event(&mut self, now: Moment, i: usize, action: Action) {
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

    pub(super) fn stamp(&mut self, now: Moment) -> EngineTime {
        let wall = self.wall_ns(now);
        self.log.stamp(wall)
    }

    pub(super) fn answer(&mut self, asker: Asker, result: Result<Performed, EngineError>) {
        if matches!(asker, Asker::Watchdog { .. } | Asker::Person(_)) {
            self.out.push(Out::Answered(asker, result));
        }
    }

    pub(super) fn changed(&mut self, i: usize) {
        self.dirty.insert(i);
    }
}

/// When the machine was overloaded last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
}

impl Overload {
    pub(super) fn is_now(&self) -> bool {
        self.since.is_some() && self.until.is_none()
    }

    /// How much of that time before `now` it was overloaded, thousandths.
    pub(super) fn share_milli(&self, now: Moment, window: Duration) -> u64 {
        let Some(since) = self.since else { return 0 };
        let end = self.until.unwrap_or(now);
        let (whole, after) = (end.since(since), now.since(end));
        let within = whole.min(window.saturating_sub(after));
        (within.as_micros() * 1000 / window.as_micros()) as u64
    }
}
