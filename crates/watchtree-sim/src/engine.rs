//! A model of one container engine: what Docker 20.10 was seen to do, no more.
//!
//! Containers run, crash, hang, are stopped by an operator or by us; calls take time and go on whatever becomes of their
//! caller; events come a little after the fact, from a ring that forgets. The model keeps the truth that the invariants
//! are checked against. It knows nothing of watchdogs.

mod power;

use crate::rng::Rng;
use std::collections::{BTreeMap, VecDeque};
use watchtree_core::container::io::{
    ContainerView, EngineCall, EngineError, EngineEvent, EngineTime, EventAction, Health, ListEntry, Performed,
    RestartPolicy, RunState,
};
use watchtree_core::time::{Duration, Moment};

/// Events an engine remembers for `since` (moby: 256, of all types together).
const RING_EVENTS_MAX: usize = 256;
/// How long a hung container's health check takes to say so: 2 × (1 s + 1 s).
pub const HANG_SEEN_AFTER: Duration = Duration::from_secs(4);
/// How long after its start a container is healthy.
const HEALTHY_AFTER: Duration = Duration::from_millis(1500);

/// Who asked for something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asker {
    /// The container-watchdog, by its epoch and ticket.
    Watchdog {
        /// Epoch of the caller.
        epoch: u64,
        /// Its ticket.
        ticket: u64,
    },
    /// A person.
    Operator,
    /// The engine's own restart policy.
    Policy,
}

/// Something the engine will do later.
#[derive(Clone, Debug)]
pub enum Due {
    /// A start's work is done.
    StartDone(usize, Asker),
    /// A stop's patience with the container is over, or the container obeyed.
    StopEnds(usize, Asker, u64, bool),
    /// The restart policy acts.
    PolicyStarts(usize, u64),
    /// The health check's view changes, if the life is still the same.
    HealthTurns(usize, u64, Health),
}

/// What the engine tells the world.
#[derive(Clone, Debug)]
pub enum Out {
    /// An event was logged.
    Event(EngineEvent),
    /// A call was answered.
    Answered(Asker, Result<Performed, EngineError>),
    /// Do this at that time.
    Later(Moment, Due),
}

/// A container and the truth about it.
#[derive(Clone, Debug)]
pub struct Container {
    /// What inspect would say.
    pub view: ContainerView,
    /// The truth: it does not answer any more, whatever its health check says yet.
    pub hung: bool,
    /// The truth: a person stopped it and has not started it since.
    pub stopped_by_operator: bool,
    /// When that person asked for it.
    pub stop_asked: Moment,
    /// The event that tells of it.
    pub stop_event: EngineTime,
    /// Has the watchdog been told of it by an event that it took in?
    pub stop_told: bool,
    /// It was our own stop, and no record of it is left: nothing can tell it from a person's.
    pub unrecorded_stop: bool,
    /// The truth: removed by a person.
    pub removed: bool,
    /// Which life it is in; grows with each start.
    pub life: u64,
    /// Since when it is in this run state or hung.
    pub changed: Moment,
    /// Ends by themselves or by a hang, so far.
    pub faults: u32,
    /// Times of starts that we posted and the engine carried out.
    pub our_starts: Vec<Moment>,
    /// Times of restarts by the engine's own policy after an end.
    pub policy_starts: Vec<Moment>,
    /// When the engine's own policy is to start it.
    pub policy_due: Moment,
    /// When its present life began.
    pub born: Moment,
    /// It ran when the machine went down in order.
    ran_at_shutdown: bool,
    /// Starts under way.
    starting: u32,
    /// Stops under way: each ends with the life it stops, however that ends.
    stopping: Vec<Asker>,
    backoff: Duration,
    manually_stopped: bool,
}

impl Container {
    /// A stop that is under way, or was carried out, is known to nobody any more.
    pub fn stop_is_unrecorded(&mut self, now: Moment) {
        self.stopped_by_person(now, 0);
        self.unrecorded_stop = true;
    }

    fn stopped_by_person(&mut self, now: Moment, told_by: u64) {
        if !self.stopped_by_operator {
            self.stop_asked = now;
            self.stop_event = EngineTime(told_by);
            self.stop_told = false;
        }
        self.stopped_by_operator = true;
    }
}

/// See the top of this file.
pub struct Engine {
    /// By index.
    pub containers: Vec<Container>,
    /// Remembered events.
    ring: VecDeque<EngineEvent>,
    rng: Rng,
    out: Vec<Out>,
    /// Event times are unique and grow.
    last_event: u64,
    /// The next end of this container is never told.
    pub mute_die: Option<usize>,
    /// The next start of these containers by a watchdog takes that long.
    pub slow: BTreeMap<usize, Duration>,
}

impl Engine {
    /// `count` running containers; every third has a restart policy, every second a health check.
    pub fn new(now: Moment, host: usize, count: usize, mut rng: Rng) -> Self {
        let containers = (0..count)
            .map(|i| {
                let policy = if i % 3 == 2 {
                    RestartPolicy::UnlessStopped
                } else {
                    RestartPolicy::No
                };
                let health = if i % 2 == 0 { Health::Healthy } else { Health::None };
                let started = engine_time(now).0 - rng.range(60_000_000_000, 90_000_000_000);
                Container {
                    view: ContainerView {
                        id: format!("{:064x}", (host as u64 + 1) * 1000 + i as u64),
                        name: format!("c{i}"),
                        run: RunState::Running,
                        pid: 100 + i as u32,
                        started_at_text: format!("T{started}"),
                        started_at: EngineTime(started),
                        health,
                        restart_policy: policy,
                        stop_signal: 15,
                        labels: BTreeMap::from([("watchtree.enable".into(), "true".into())]),
                        ..ContainerView::default()
                    },
                    hung: false,
                    stopped_by_operator: false,
                    stop_asked: Moment::ZERO,
                    stop_event: EngineTime(0),
                    stop_told: false,
                    unrecorded_stop: false,
                    removed: false,
                    life: 0,
                    changed: now,
                    faults: 0,
                    our_starts: Vec::new(),
                    policy_starts: Vec::new(),
                    policy_due: Moment::ZERO,
                    born: Moment::ZERO,
                    ran_at_shutdown: false,
                    starting: 0,
                    stopping: Vec::new(),
                    backoff: Duration::from_millis(100),
                    manually_stopped: false,
                }
            })
            .collect();
        Self {
            containers,
            ring: VecDeque::new(),
            rng,
            out: Vec::new(),
            last_event: 0,
            mute_die: None,
            slow: BTreeMap::new(),
        }
    }

    /// What happened since the last call.
    pub fn drain(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.out)
    }

    /// Events from `since` on that are still remembered.
    pub fn remembered(&self, since: EngineTime) -> Vec<EngineEvent> {
        self.ring.iter().filter(|event| since <= event.at).cloned().collect()
    }

    /// Forgets all events, as an engine's restart does.
    pub fn forget_events(&mut self) {
        self.ring.clear();
    }

    /// The list.
    pub fn list(&self) -> Vec<ListEntry> {
        let entry = |c: &Container| ListEntry {
            id: c.view.id.clone(),
            name: c.view.name.clone(),
            run: c.view.run,
            health: if c.view.run == RunState::Running {
                c.view.health
            } else {
                Health::None
            },
        };
        self.containers.iter().filter(|c| !c.removed).map(entry).collect()
    }

    /// Whether a start of it is under way: inspect waits for that, as the engine holds the container's lock meanwhile.
    pub fn is_starting(&self, id: &str) -> bool {
        self.find(id).is_some_and(|i| 0 < self.containers[i].starting)
    }

    /// Inspect.
    pub fn inspect(&self, id: &str) -> Result<ContainerView, EngineError> {
        self.find(id)
            .map(|i| self.containers[i].view.clone())
            .ok_or(EngineError::NotFound)
    }

    /// The stop mark.
    pub fn stop_mark(&self, id: &str) -> Option<bool> {
        self.find(id).map(|i| self.containers[i].manually_stopped)
    }

    /// The place of that container.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.view.id == id && !c.removed)
    }

    fn event(&mut self, now: Moment, i: usize, action: EventAction) {
        if matches!(action, EventAction::Die { .. }) && self.mute_die == Some(i) {
            self.mute_die = None;
            return;
        }
        self.last_event = (self.last_event + 1).max(engine_time(now).0);
        let c = &self.containers[i];
        let event = EngineEvent {
            at: EngineTime(self.last_event),
            id: c.view.id.clone(),
            name: c.view.name.clone(),
            compose: None,
            action,
        };
        if self.ring.len() == RING_EVENTS_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(event.clone());
        self.out.push(Out::Event(event));
    }

    /// A call arrives.
    pub fn call(&mut self, now: Moment, id: &str, call: EngineCall, asker: Asker) {
        let Some(i) = self.find(id) else {
            self.out.push(Out::Answered(asker, Err(EngineError::NotFound)));
            return;
        };
        match call {
            EngineCall::Start => self.begin_start(now, i, asker),
            EngineCall::Stop { timeout_secs } => {
                self.begin_stop(now, i, Duration::from_secs(u64::from(timeout_secs)), asker);
            }
        }
    }

    fn begin_start(&mut self, now: Moment, i: usize, asker: Asker) {
        if self.containers[i].view.run != RunState::Exited {
            self.out.push(Out::Answered(asker, Ok(Performed::AlreadySo)));
            return;
        }
        self.containers[i].starting += 1;
        if asker == Asker::Operator {
            self.containers[i].stopped_by_operator = false;
        }
        let usual = self.rng.millis(80, 500);
        let slow = matches!(asker, Asker::Watchdog { .. })
            .then(|| self.slow.remove(&i))
            .flatten();
        let at = now + slow.unwrap_or(usual);
        self.out.push(Out::Later(at, Due::StartDone(i, asker)));
    }

    fn begin_stop(&mut self, now: Moment, i: usize, patience: Duration, asker: Asker) {
        if self.containers[i].view.run != RunState::Running {
            self.out.push(Out::Answered(asker, Ok(Performed::AlreadySo)));
            return;
        }
        let signal = self.containers[i].view.stop_signal;
        self.event(now, i, EventAction::Kill { signal });
        self.containers[i].manually_stopped = true;
        if asker == Asker::Operator {
            self.containers[i].stopped_by_person(now, self.last_event);
        }
        let obeys = !self.containers[i].hung;
        let after = if obeys { self.rng.millis(20, 60) } else { patience };
        let c = &mut self.containers[i];
        c.stopping.push(asker);
        let due = Due::StopEnds(i, asker, c.life, !obeys);
        self.out.push(Out::Later(now + after, due));
    }

    /// An operator's `docker kill`.
    pub fn kill(&mut self, now: Moment, i: usize) {
        if self.containers[i].removed || self.containers[i].view.run != RunState::Running {
            return;
        }
        self.event(now, i, EventAction::Kill { signal: 9 });
        self.containers[i].manually_stopped = true;
        self.containers[i].stopped_by_person(now, self.last_event);
        self.ends(now, i, 137);
    }

    /// An operator's `docker rm -f`.
    pub fn remove(&mut self, now: Moment, i: usize) {
        if self.containers[i].removed {
            return;
        }
        self.kill(now, i);
        self.event(now, i, EventAction::Destroy);
        self.containers[i].removed = true;
        self.containers[i].stopped_by_operator = true;
    }

    /// The container's init ends by itself.
    pub fn crash(&mut self, now: Moment, i: usize, exit_code: i64) -> bool {
        if self.containers[i].removed || self.containers[i].view.run != RunState::Running {
            return false;
        }
        self.containers[i].faults += 1;
        self.ends(now, i, exit_code);
        true
    }

    /// The container stops answering; only those with a health check can be seen to.
    pub fn hang(&mut self, now: Moment, i: usize) -> bool {
        let c = &mut self.containers[i];
        if c.removed || c.view.run != RunState::Running || c.view.health == Health::None || c.hung {
            return false;
        }
        c.hung = true;
        c.changed = now;
        c.faults += 1;
        self.out.push(Out::Later(
            now + HANG_SEEN_AFTER,
            Due::HealthTurns(i, c.life, Health::Unhealthy),
        ));
        true
    }

    fn ends(&mut self, now: Moment, i: usize, exit_code: i64) {
        let c = &mut self.containers[i];
        let ran = engine_time(now).0 - c.view.started_at.0;
        c.view.run = RunState::Exited;
        c.view.pid = 0;
        c.view.exit_code = exit_code;
        c.view.finished_at = engine_time(now);
        c.hung = false;
        c.changed = now;
        let by_policy = c.view.restart_policy != RestartPolicy::No && !c.manually_stopped;
        if 10_000_000_000 < ran {
            c.backoff = Duration::from_millis(100);
        }
        let life = c.life;
        let backoff = c.backoff;
        let stopping = std::mem::take(&mut c.stopping);
        self.event(now, i, EventAction::Die { exit_code });
        for asker in stopping {
            self.event(now, i, EventAction::Stop);
            self.out.push(Out::Answered(asker, Ok(Performed::Done)));
        }
        if by_policy {
            let c = &mut self.containers[i];
            c.view.run = RunState::Restarting;
            c.policy_due = now + backoff;
            c.backoff = (c.backoff * 2).min(Duration::from_secs(60));
            self.out.push(Out::Later(now + backoff, Due::PolicyStarts(i, life)));
        }
    }

    /// Something that was put off is due.
    pub fn due(&mut self, now: Moment, due: Due) {
        match due {
            Due::StartDone(i, asker) => self.start_done(now, i, asker),
            Due::StopEnds(i, asker, life, by_force) => self.stop_ends(now, i, asker, life, by_force),
            Due::PolicyStarts(i, life) => {
                let c = &mut self.containers[i];
                if c.life == life && c.view.run == RunState::Restarting && !c.removed {
                    c.view.run = RunState::Exited;
                    c.starting += 1;
                    let at = now + self.rng.millis(80, 400);
                    self.out.push(Out::Later(at, Due::StartDone(i, Asker::Policy)));
                }
            }
            Due::HealthTurns(i, life, health) => {
                let c = &mut self.containers[i];
                let true_now = (health == Health::Unhealthy) == c.hung;
                if c.life == life && c.view.run == RunState::Running && !c.removed && true_now {
                    c.view.health = health;
                    c.view.health_streak = if health == Health::Unhealthy { 2 } else { 0 };
                    self.event(now, i, EventAction::Health(health));
                }
            }
        }
    }

    fn start_done(&mut self, now: Moment, i: usize, asker: Asker) {
        let c = &mut self.containers[i];
        c.starting -= 1;
        if c.removed {
            self.out.push(Out::Answered(asker, Err(EngineError::NotFound)));
            return;
        }
        if c.view.run == RunState::Running {
            self.out.push(Out::Answered(asker, Ok(Performed::AlreadySo)));
            return;
        }
        c.life += 1;
        c.born = now;
        if std::mem::take(&mut c.unrecorded_stop) {
            c.stopped_by_operator = false;
        }
        c.view.run = RunState::Running;
        c.view.pid = 100 + i as u32;
        c.view.started_at = engine_time(now);
        c.view.started_at_text = format!("T{}", c.view.started_at.0);
        c.manually_stopped = false;
        c.changed = now;
        match asker {
            Asker::Watchdog { .. } => {
                c.our_starts.push(now);
                c.view.restart_count = 0;
            }
            Asker::Policy => {
                c.policy_starts.push(now);
                c.view.restart_count += 1;
            }
            Asker::Operator => c.view.restart_count = 0,
        }
        if c.view.health != Health::None {
            c.view.health = Health::Starting;
            c.view.health_streak = 0;
            self.out.push(Out::Later(
                now + HEALTHY_AFTER,
                Due::HealthTurns(i, c.life, Health::Healthy),
            ));
        }
        self.event(now, i, EventAction::Start);
        self.out.push(Out::Answered(asker, Ok(Performed::Done)));
    }

    /// Ends the life that was to be stopped, unless it ended meanwhile: a stop never reaches into the next life.
    fn stop_ends(&mut self, now: Moment, i: usize, asker: Asker, life: u64, by_force: bool) {
        let c = &self.containers[i];
        if c.life != life || !c.stopping.contains(&asker) {
            return;
        }
        if by_force {
            self.event(now, i, EventAction::Kill { signal: 9 });
        }
        self.ends(now, i, if by_force { 137 } else { 143 });
    }
}

/// The engine's wall clock at a moment: the moment plus a constant, so that both are readable side by side.
pub fn engine_time(now: Moment) -> EngineTime {
    EngineTime(1_700_000_000_000_000_000 + now.as_micros() * 1000)
}
