//! A model of a container engine in virtual time, and a driver of the real container role on top of it.
//!
//! Events, answers and looks take milliseconds of virtual time; nothing here sleeps or asks a clock. The process of the
//! agent can be killed at any moment or after any journal record, frozen, and its event stream cut; the journal survives.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses a part; names say it"
)]

mod engine;

use std::collections::{BTreeMap, VecDeque};
use watchtree_core::container::io::*;
use watchtree_core::container::{ContainerAgent, ContainerSettings};
use watchtree_core::decision::Decision;
use watchtree_core::id::{AgentEpoch, NodeIdentity, NodeName, Tier};
use watchtree_core::machine::Machine;
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, OrderAnswer, Verb};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// Virtual milliseconds of the machine's clock when a world begins.
const BOOT_AGE: u64 = 10_000_000;
const API_MS: u64 = 2;
const EVENT_MS: u64 = 3;
const START_MS: u64 = 120;

#[derive(Clone, Debug)]
pub struct Box_ {
    pub view: ContainerView,
    pub ignores_term: bool,
    pub marked: bool,
    pub busy_until: u64,
    pub life: u64,
    pub starts: u64,
    pub refuses: Option<String>,
    /// How long the engine waits before it restarts it by its policy.
    pub backoff_ms: u64,
    pub dies_after_start: Option<u64>,
}

#[derive(Clone, Debug)]
enum Act {
    Deliver(u64, Box<ContainerInput>),
    Signal {
        id: String,
        signal: u32,
        life: u64,
    },
    Die {
        id: String,
        life: u64,
        code: i64,
    },
    StopDone {
        id: String,
    },
    Started {
        id: String,
        engine: bool,
    },
    StartCall {
        id: String,
        ticket: Ticket,
        process: u64,
    },
    StopCall {
        id: String,
        ticket: Option<Ticket>,
        secs: u32,
        process: u64,
    },
}

pub struct World {
    pub now: u64,
    acts: BTreeMap<(u64, u64), Act>,
    count: u64,
    pub settings: ContainerSettings,
    pub agent: Option<ContainerAgent>,
    process: u64,
    streaming: bool,
    frozen: Option<u64>,
    frozen_inputs: VecDeque<ContainerInput>,
    pub journal: Vec<Record>,
    pub die_at_record: Option<usize>,
    pub boxes: BTreeMap<String, Box_>,
    pub ring: Vec<EngineEvent>,
    pub ring_max: usize,
    pub stop_before_die: bool,
    pub mark_readable: bool,
    pub mark_ms: u64,
    pub lose_next_die: bool,
    /// A subscription is taken, but never answered.
    pub events_hang: bool,
    /// The engine's clock goes behind by that much.
    pub clock_behind_ms: u64,
    pub hang_calls: bool,
    /// The connection of a `/start` breaks before its answer; the start goes on.
    pub break_starts: bool,
    /// That many looks are not answered in time.
    pub late_looks: u64,
    pub calls: Vec<String>,
    pub decided: Vec<Decision>,
    pub local_answers: Vec<OrderAnswer>,
    pub stopped: bool,
    pub inspects: u64,
}

pub fn settings(heal: watchtree_core::container::HealMode) -> ContainerSettings {
    let identity = NodeIdentity {
        name: NodeName::new("h1.docker.watchdog").unwrap(),
        tier: Tier::Container,
        node_id: Default::default(),
        machine_id: Default::default(),
        boot_id: Default::default(),
        agent_epoch: AgentEpoch(0),
        version: "test".into(),
    };
    ContainerSettings {
        heal,
        // One clock for the engine's stamps and the daemon's wall time, as on a real machine.
        wall_at_zero: watchtree_core::time::WallTime(1_700_000_000_000),
        ..ContainerSettings::new(identity, SubjectId::new("h1/docker").unwrap())
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            now: BOOT_AGE,
            acts: BTreeMap::new(),
            count: 0,
            settings: settings(watchtree_core::container::HealMode::All),
            agent: None,
            process: 0,
            streaming: false,
            frozen: None,
            frozen_inputs: VecDeque::new(),
            journal: Vec::new(),
            die_at_record: None,
            boxes: BTreeMap::new(),
            ring: Vec::new(),
            ring_max: 256,
            stop_before_die: true,
            mark_readable: true,
            mark_ms: API_MS,
            lose_next_die: false,
            events_hang: false,
            clock_behind_ms: 0,
            hang_calls: false,
            break_starts: false,
            late_looks: 0,
            calls: Vec::new(),
            decided: Vec::new(),
            local_answers: Vec::new(),
            stopped: false,
            inspects: 0,
        }
    }

    /// A world with these containers running for a long time, and the agent watching for a minute.
    pub fn with(names: &[&str]) -> Self {
        let mut world = Self::new();
        names.iter().for_each(|name| world.create(name, |_| {}));
        world.run(60_000);
        world.start_agent();
        world.run(60_000);
        world
    }

    pub fn id(name: &str) -> String {
        let mut id: String = name.bytes().map(|b| format!("{b:02x}")).collect();
        while id.len() < 64 {
            id.push('0');
        }
        id
    }

    pub fn moment(&self) -> Moment {
        Moment::from_millis(self.now)
    }

    fn stamp(&mut self) -> u64 {
        self.count += 1;
        1_700_000_000_000_000_000 + (self.now - self.clock_behind_ms) * 1_000_000 + self.count % 1000
    }

    fn act(&mut self, after: u64, act: Act) {
        self.count += 1;
        self.acts.insert((self.now + after, self.count), act);
    }

    pub fn create(&mut self, name: &str, set: impl FnOnce(&mut Box_)) {
        let view = ContainerView {
            id: Self::id(name),
            name: name.into(),
            stop_signal: 15,
            ..ContainerView::default()
        };
        let mut it = Box_ {
            view,
            ignores_term: false,
            marked: false,
            busy_until: 0,
            life: 0,
            starts: 0,
            refuses: None,
            backoff_ms: 300,
            dies_after_start: None,
        };
        set(&mut it);
        let id = it.view.id.clone();
        self.boxes.insert(id.clone(), it);
        self.emit(&id, EventAction::Create);
        self.started(&id, false);
    }

    pub fn get(&mut self, name: &str) -> &mut Box_ {
        self.boxes.get_mut(&Self::id(name)).unwrap()
    }

    pub fn emit(&mut self, id: &str, action: EventAction) {
        let at = EngineTime(self.stamp());
        let Some(it) = self.boxes.get(id) else { return };
        let label = |key: &str| it.view.labels.get(key).cloned();
        let compose = label("com.docker.compose.project").zip(label("com.docker.compose.service"));
        let event = EngineEvent {
            at,
            id: id.into(),
            name: it.view.name.clone(),
            compose,
            action,
        };
        if matches!(event.action, EventAction::Die { .. }) && std::mem::take(&mut self.lose_next_die) {
            return;
        }
        self.ring.push(event.clone());
        if self.ring_max < self.ring.len() {
            self.ring.remove(0);
        }
        if self.streaming {
            self.deliver(EVENT_MS, ContainerInput::Event(event));
        }
    }

    fn deliver(&mut self, after: u64, input: ContainerInput) {
        let process = self.process;
        self.act(after, Act::Deliver(process, Box::new(input)));
    }

    fn started(&mut self, id: &str, by_engine: bool) {
        let at = self.stamp();
        let Some(it) = self.boxes.get_mut(id) else { return };
        it.life += 1;
        it.view.run = RunState::Running;
        it.view.started_at = EngineTime(at);
        it.view.started_at_text = format!("T{at}");
        it.view.exit_code = 0;
        it.view.error.clear();
        it.view.health = Health::None;
        if by_engine {
            it.view.restart_count += 1;
        } else {
            it.view.restart_count = 0;
            it.marked = false;
        }
        let (life, soon) = (it.life, it.dies_after_start);
        self.emit(id, EventAction::Start);
        if let Some(after) = soon {
            self.act(
                after,
                Act::Die {
                    id: id.into(),
                    life,
                    code: 1,
                },
            );
        }
    }

    /// The container's init ends by itself.
    pub fn crash(&mut self, name: &str, code: i64) {
        let id = Self::id(name);
        let life = self.boxes[&id].life;
        self.act(0, Act::Die { id, life, code });
    }

    pub fn docker_stop(&mut self, name: &str, secs: u32) {
        self.act(
            0,
            Act::StopCall {
                id: Self::id(name),
                ticket: None,
                secs,
                process: 0,
            },
        );
    }

    pub fn docker_kill(&mut self, name: &str, signal: u32) {
        let id = Self::id(name);
        let it = self.get(name);
        it.marked = true;
        if it.view.run == RunState::Restarting {
            // It ends the back-off, and no event tells of it.
            it.view.run = RunState::Exited;
            return;
        }
        let life = it.life;
        self.act(0, Act::Signal { id, signal, life });
    }

    pub fn docker_start(&mut self, name: &str) {
        self.act(
            START_MS,
            Act::Started {
                id: Self::id(name),
                engine: false,
            },
        );
    }

    pub fn docker_rm_f(&mut self, name: &str) {
        let id = Self::id(name);
        self.emit(&id, EventAction::Kill { signal: 9 });
        self.emit(&id, EventAction::Die { exit_code: 137 });
        self.emit(&id, EventAction::Destroy);
        self.boxes.remove(&id);
    }

    pub fn health(&mut self, name: &str, health: Health) {
        let id = Self::id(name);
        self.get(name).view.health = health;
        self.emit(&id, EventAction::Health(health));
    }

    pub fn start_agent(&mut self) {
        self.process += 1;
        self.settings.identity.agent_epoch.0 += 1;
        let mut memory = Recovered::default();
        self.journal.iter().for_each(|record| memory.apply(record));
        self.agent = Some(ContainerAgent::new(self.settings.clone(), memory, self.moment()));
        self.drain();
    }

    pub fn kill_agent(&mut self) {
        self.agent = None;
        self.streaming = false;
        self.frozen = None;
        self.frozen_inputs.clear();
    }

    pub fn freeze(&mut self) {
        self.frozen = Some(self.now);
    }

    pub fn thaw(&mut self) {
        let Some(since) = self.frozen.take() else { return };
        let gap = Duration::from_millis(self.now - since);
        self.input(ContainerInput::Stalled { gap });
        while let Some(input) = self.frozen_inputs.pop_front() {
            self.input(input);
        }
    }

    pub fn cut_stream(&mut self) {
        self.streaming = false;
        self.input(ContainerInput::StreamEnded { why: "cut".into() });
    }

    /// The stream stays open, but nothing comes through it any more.
    pub fn deafen_stream(&mut self) {
        self.streaming = false;
    }

    pub fn input(&mut self, input: ContainerInput) {
        if self.frozen.is_some() {
            return self.frozen_inputs.push_back(input);
        }
        let now = self.moment();
        if let Some(agent) = &mut self.agent {
            agent.handle(now, input);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.agent.as_mut().and_then(|agent| agent.poll_effect()) {
            self.perform(effect);
            if self.die_at_record.is_some_and(|n| n <= self.journal.len()) {
                self.die_at_record = None;
                self.kill_agent();
            }
        }
    }

    /// Lets that much virtual time pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.now + millis;
        loop {
            let act = self.acts.keys().next().map(|(at, _)| *at);
            let due = self
                .agent
                .as_ref()
                .filter(|_| self.frozen.is_none())
                .and_then(Machine::next_deadline);
            let due = due.map(|at| at.as_micros().div_ceil(1000).max(self.now));
            let Some(next) = act.into_iter().chain(due).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if act.is_some_and(|at| at <= self.now) {
                let (_, act) = self.acts.pop_first().unwrap();
                self.do_act(act);
            } else {
                let now = self.moment();
                if let Some(agent) = &mut self.agent {
                    agent.handle_timeout(now);
                    let again = agent.next_deadline().is_none_or(|at| now < at);
                    assert!(again, "a deadline that is due stays due: the driver would spin");
                }
                self.drain();
            }
        }
        self.now = end;
    }

    pub fn running(&self, name: &str) -> bool {
        self.boxes
            .get(&Self::id(name))
            .is_some_and(|it| it.view.run == RunState::Running)
    }

    pub fn starts(&self, name: &str) -> u64 {
        self.boxes[&Self::id(name)].starts
    }

    pub fn subject(name: &str) -> SubjectId {
        SubjectId::new(&format!("h1/docker/{name}")).unwrap()
    }

    pub fn state(&self, name: &str) -> Option<State> {
        let subject = Self::subject(name);
        self.agent
            .as_ref()?
            .verdicts()
            .find(|it| it.subject == subject)
            .map(|it| it.state)
    }

    pub fn why(&self, name: &str) -> String {
        let subject = Self::subject(name);
        let verdict = self
            .agent
            .as_ref()
            .and_then(|it| it.verdicts().find(|it| it.subject == subject));
        verdict.map_or(String::new(), |it| it.why.clone())
    }

    pub fn order(&mut self, id: u8, name: &str, verb: Verb, local: bool) {
        let order = self.an_order(id, name, verb);
        self.input(ContainerInput::Order(OrderInput { order, local }));
    }

    /// What this watchdog obeys.
    pub fn an_order(&self, id: u8, name: &str, verb: Verb) -> Order {
        Order {
            id: [id; 16],
            target: self.settings.identity.name.clone(),
            subject: Self::subject(name),
            incarnation: Incarnation::default(),
            verb,
            term: 1,
            boot_id: self.settings.identity.boot_id,
            expires: self.moment() + Duration::from_secs(30),
            asked_by: "a test".into(),
        }
    }
}

impl World {
    /// Forgets what waits for the frozen process: the engine dropped it.
    pub fn kill_frozen_inputs(&mut self) {
        self.frozen_inputs.clear();
    }
}
