//! One host, its engine and its container-watchdog, with times that are the same in each run: what a test or a story acts on.
//!
//! The world is that of the fleets. Unless it is asked for them, there is no manager and no host-watchdog: the test starts and
//! kills the watchdog. Times are milliseconds. What happened, was seen, decided, done and told is kept as a story.

mod faults;

pub use faults::{ApiFaults, DiskFaults};

use crate::log::{Node, Observation, Seen, StartedBy};
use crate::rng::Rng;
use crate::scheduler::{self, Delays, World, api, fleet, lifecycle};
use crate::state::engine::{Engine, Program, Spec, Verb};
use crate::story::{Kind, Story, call_words};
use watchtree_core::container::io::{ContainerInput, ContainerView, Health, ListEntry, Record, RunState};
use watchtree_core::container::{ContainerAgent, ContainerSettings};
use watchtree_core::decision::Decision;
use watchtree_core::host::io::ChildExit;
use watchtree_core::message::OrderInput;
use watchtree_core::order::{Order, OrderAnswer, Verb as OrderVerb};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::{State, Verdict};

/// See the top of this file.
pub struct Scene {
    world: World,
    calls: Vec<String>,
    decided: Vec<Decision>,
    seen: Vec<Seen>,
    story: Story,
    asked: u8,
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Scene {
    /// A machine with an engine, nothing in it, and no watchdog yet: all containers are to be healed.
    pub fn new() -> Self {
        let mut world = World::new(Rng::new(0), Delays::Exact, None);
        fleet::populate_exact(&mut world);
        let mut story = Story::default();
        story.begin(world.now);
        Self {
            world,
            calls: Vec::new(),
            decided: Vec::new(),
            seen: Vec::new(),
            story,
            asked: 0,
        }
    }

    /// A scene with these containers, which have run for long, and a watchdog that has watched for a minute.
    pub fn with(names: &[impl AsRef<str>]) -> Self {
        let mut scene = Self::new();
        names.iter().for_each(|name| scene.create(name.as_ref(), |_| {}));
        scene.watched()
    }

    /// After a minute the watchdog starts, and after another the story begins.
    #[must_use]
    pub fn watched(mut self) -> Self {
        self.run(60_000);
        self.start_agent();
        self.run(60_000);
        self.story_begins();
        self
    }

    /// The same as [`Scene::with`], below a host-watchdog and a manager.
    pub fn in_a_fleet(names: &[&str]) -> Self {
        let mut scene = Self::new();
        names.iter().for_each(|name| scene.create(name, |_| {}));
        scene.world.hosts[0].has_watchdog = true;
        scene.run(60_000);
        for node in [Node::Manager, Node::Host(0)] {
            lifecycle::start(&mut scene.world, node);
        }
        scene.run(60_000);
        scene.story_begins();
        scene
    }

    /// How the watchdog is set up at its next start.
    pub fn settings(&mut self) -> &mut ContainerSettings {
        &mut self.world.hosts[0].settings
    }

    // --- time ---

    /// What the machine's clock shows, in milliseconds.
    pub fn now(&self) -> u64 {
        self.moment().as_micros() / 1000
    }

    /// What the machine's clock shows.
    pub fn moment(&self) -> Moment {
        self.world.hosts[0].clock.local(self.world.now)
    }

    /// Lets that much time pass.
    pub fn run(&mut self, millis: u64) {
        let end = self.world.now + Duration::from_millis(millis);
        self.settle();
        while scheduler::step(&mut self.world, end) {
            self.listen();
        }
    }

    /// Lets time pass until the watchdog has called its engine.
    pub fn run_until_called(&mut self) {
        while self.calls.is_empty() {
            self.run(1);
        }
    }

    fn settle(&mut self) {
        scheduler::settle(&mut self.world);
        self.listen();
    }

    fn listen(&mut self) {
        for seen in self.world.drain_log() {
            match &seen.what {
                Observation::Posted { id, call, .. } => self.calls.push(call_words(&self.world, id, *call)),
                Observation::Decided { decision } => self.decided.push(decision.clone()),
                _ => {}
            }
            self.story.read(&self.world, &seen);
            self.seen.push(seen);
        }
        self.story.read_shown(&self.world);
    }

    /// The story begins here.
    pub fn story_begins(&mut self) {
        self.story.begin(self.world.now);
    }

    /// What happens now goes into the story.
    pub(crate) fn happens(&mut self, what: &str) {
        self.story.line(self.world.now, Kind::Happens, what);
    }

    /// The story since it began, or since it was last told.
    pub fn take_story(&mut self) -> String {
        self.story.take()
    }

    /// What came of a case, in one line: what was asked of the engine since the last outcome, and how each container stands.
    pub fn outcome(&mut self) -> String {
        let calls = match self.calls.is_empty() {
            true => "no call".into(),
            false => std::mem::take(&mut self.calls).join(", "),
        };
        let standing = |entry: ListEntry| {
            let state = self.state(&entry.name).map_or("unknown", State::as_str);
            format!("; {} {} {state}", entry.name, format!("{:?}", entry.run).to_lowercase())
        };
        let standing: String = self.world.hosts[0].engine.list().into_iter().map(standing).collect();
        calls + &standing
    }

    // --- the engine ---

    /// The id of a container of that name.
    pub fn id(name: &str) -> String {
        let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex:0<64}")
    }

    /// Names for so many containers.
    pub fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("c{n}")).collect()
    }

    /// A container that runs since now.
    pub fn create(&mut self, name: &str, set: impl FnOnce(&mut Spec)) {
        let mut spec = Spec {
            id: Self::id(name),
            ..Spec::named(name)
        };
        set(&mut spec);
        let now = self.world.now;
        self.world.engine(0).create_running(now, spec, Duration::ZERO);
        self.settle();
    }

    fn place(&self, name: &str) -> usize {
        let engine = &self.world.hosts[0].engine;
        let found = engine.find_name(name).or_else(|| engine.find(&Self::id(name)));
        found.unwrap_or_else(|| panic!("there is no container {name}"))
    }

    /// The engine, to act on; what comes of it is heard when time passes.
    pub fn engine(&mut self) -> &mut Engine {
        self.world.engine(0)
    }

    /// The daemon of the engine is killed, terminated or started now.
    pub fn dockerd(&mut self, act: impl FnOnce(&mut Engine, Moment) -> bool) {
        let now = self.world.now;
        act(self.world.engine(0), now);
    }

    /// It is as if the container had been made otherwise; an `update` tells of it.
    pub fn remake(&mut self, name: &str, set: impl FnOnce(&mut Spec)) {
        let (now, place) = (self.world.now, self.place(name));
        self.world.engine(0).remake(now, place, set);
    }

    /// An event tells of the container that nothing changed.
    pub fn touch(&mut self, name: &str) {
        self.remake(name, |_| {});
    }

    /// Another program is behind the container.
    pub fn program(&mut self, name: &str, set: impl FnOnce(&mut Program)) {
        let place = self.place(name);
        let mut program = self.world.hosts[0].engine.spec(place).program.clone();
        set(&mut program);
        self.world.engine(0).set_program(place, program);
    }

    /// It ignores every signal but KILL.
    pub fn ignores_term(&mut self, name: &str) {
        self.program(name, |program| program.handlers = Program::stubborn().handlers);
    }

    /// Its starts are refused with these words, or with none are not.
    pub fn refuses(&mut self, name: &str, words: Option<&str>) {
        self.program(name, |program| {
            program.cannot_start = words.map(|words| (128, words.into()))
        });
    }

    /// Each of its incarnations ends by itself after so many milliseconds, with 1.
    pub fn dies_after_start(&mut self, name: &str, millis: Option<u64>) {
        let runs_for = millis.map(|millis| (Duration::from_millis(millis), 1));
        self.program(name, |program| program.runs_for = runs_for);
    }

    /// The engine backs off for so many milliseconds after each of its ends.
    pub fn backs_off(&mut self, name: &str, millis: u64) {
        let place = self.place(name);
        self.world.engine(0).set_backoff(place, Duration::from_millis(millis));
    }

    /// The manual-stop flag of the container becomes that.
    pub fn forge_flag(&mut self, name: &str, set: bool) {
        let place = self.place(name);
        self.world.engine(0).forge_flag(place, set);
    }

    /// The exit code of its last end becomes that.
    pub fn forge_exit_code(&mut self, name: &str, code: i64) {
        let place = self.place(name);
        self.world.engine(0).forge_exit_code(place, code);
    }

    /// The container's init ends by itself.
    pub fn crash(&mut self, name: &str, code: i64) {
        let (now, place) = (self.world.now, self.place(name));
        self.world.engine(0).process_exits(now, place, code);
    }

    /// The container's init is killed for memory, or a child of it.
    pub fn out_of_memory(&mut self, name: &str, init: bool) {
        let (now, place) = (self.world.now, self.place(name));
        self.world.engine(0).out_of_memory(now, place, init);
    }

    /// Its next end is logged nowhere, or is again.
    pub fn lose_next_die(&mut self, name: &str, lose: bool) {
        let place = self.place(name);
        self.world.engine(0).lose_next_die(place, lose);
    }

    /// Its next start by the watchdog takes so many milliseconds.
    pub fn slow_start(&mut self, name: &str, millis: u64) {
        let place = self.place(name);
        self.world.engine(0).slow_start(place, Duration::from_millis(millis));
    }

    /// The status of its health check changes, and no event tells of it.
    pub fn health_unseen(&mut self, name: &str, health: Health) {
        let (now, place) = (self.world.now, self.place(name));
        self.world.engine(0).set_health_unseen(now, place, health);
    }

    /// What the engine would say of it, lock or not.
    pub fn inspect(&self, name: &str) -> ContainerView {
        self.world.hosts[0].engine.view(self.place(name)).clone()
    }

    /// The status of its health check changes.
    pub fn health(&mut self, name: &str, health: Health) {
        let (now, place) = (self.world.now, self.place(name));
        self.world.engine(0).set_health(now, place, health);
    }

    /// A person's call on the container.
    pub fn person(&mut self, name: &str, verb: Verb) {
        let place = self.place(name);
        let name = self.world.hosts[0].engine.snapshot(place).name;
        api::person(&mut self.world, 0, &name, verb);
    }

    /// Does it run?
    pub fn running(&self, name: &str) -> bool {
        let engine = &self.world.hosts[0].engine;
        let found = engine.find_name(name).or_else(|| engine.find(&Self::id(name)));
        found.is_some_and(|place| engine.snapshot(place).run == RunState::Running)
    }

    /// How often watchdogs have started it.
    pub fn starts(&self, name: &str) -> usize {
        let place = self.place(name);
        let by_watchdog = |seen: &&Seen| matches!(seen.what, Observation::Started { place: of, by: StartedBy::Watchdog, .. } if of == place);
        self.seen.iter().filter(by_watchdog).count()
    }

    /// How many incarnations it has had since it was made.
    pub fn incarnations(&self, name: &str) -> u64 {
        self.world.hosts[0].engine.snapshot(self.place(name)).life
    }

    /// What is wrong with the way to the engine, to change.
    pub fn api(&mut self) -> ApiFaults<'_> {
        ApiFaults(&mut self.world)
    }

    /// What may happen to the disk under the journal.
    pub fn disk(&mut self) -> DiskFaults<'_> {
        DiskFaults(&mut self.world)
    }

    // --- the watchdog ---

    /// Starts it; what it wrote before is there.
    pub fn start_agent(&mut self) {
        lifecycle::start_child(&mut self.world, 0);
        self.settle();
    }

    /// kill -9.
    pub fn kill_agent(&mut self) {
        lifecycle::child_gone(&mut self.world, 0, ChildExit::Signal(9));
        self.settle();
    }

    /// It dies as soon as so many records were written since its first start.
    pub fn dies_after_records(&mut self, count: usize) {
        self.world.hosts[0].dies_after_records = Some(count);
    }

    /// SIGSTOP.
    pub fn freeze(&mut self) {
        let now = self.world.now;
        self.world.hosts[0].child.freeze(now);
        self.world.saw(Observation::Frozen { node: Node::Child(0) });
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        let epoch = self.world.hosts[0].child.epoch();
        lifecycle::thaw(&mut self.world, Node::Child(0), epoch);
        self.settle();
    }

    /// What waits for the frozen process was dropped.
    pub fn drop_waiting(&mut self) {
        self.world.hosts[0].child.drop_waiting();
    }

    /// The event stream breaks.
    pub fn cut_stream(&mut self) {
        api::break_stream(&mut self.world, 0, "cut");
    }

    /// Tells it something, at once.
    pub fn input(&mut self, input: ContainerInput) {
        let (now, epoch) = (self.world.now, self.world.hosts[0].child.epoch());
        self.world.hosts[0].child.give(now, epoch, input);
        self.world.unsettled.insert(Node::Child(0));
        self.settle();
    }

    /// A person on the machine asks; the answers are told.
    pub fn asks(&mut self, name: &str, verb: OrderVerb) {
        self.asked += 1;
        let order = self.an_order(self.asked, name, verb);
        self.input(ContainerInput::Order(OrderInput { order, local: true }));
    }

    /// An order that this watchdog obeys.
    pub fn an_order(&self, id: u8, name: &str, verb: OrderVerb) -> Order {
        Order {
            id: [id; 16],
            target: self.world.hosts[0].child_name(),
            subject: Self::subject(name),
            incarnation: Incarnation::default(),
            verb,
            term: 1,
            boot_id: self.world.hosts[0].clock.boot_id(),
            expires: self.moment() + Duration::from_secs(30),
            asked_by: "a test".into(),
        }
    }

    /// The running watchdog, to read from.
    pub fn agent(&self) -> Option<&ContainerAgent> {
        self.world.hosts[0].child.machine()
    }

    /// Takes the running watchdog out of the scene, to be told things by hand.
    ///
    /// # Panics
    /// Where none runs.
    pub fn take_agent(&mut self) -> ContainerAgent {
        self.world.hosts[0].child.take().expect("a running watchdog")
    }

    /// Has it ended in order?
    pub fn stopped(&self) -> bool {
        self.world.hosts[0].child_stopped
    }

    /// What it asked of its engine so far.
    pub fn calls(&self) -> &[String] {
        &self.calls
    }

    /// What it decided so far.
    pub fn decided(&self) -> &[Decision] {
        &self.decided
    }

    /// Its records, of all its processes.
    pub fn records(&self) -> &[Record] {
        self.world.hosts[0].disk.records()
    }

    /// Its answers to people on the machine.
    pub fn local_answers(&self) -> &[OrderAnswer] {
        &self.world.hosts[0].local_answers
    }

    fn subject(name: &str) -> SubjectId {
        SubjectId::new(&format!("h1/docker/{name}")).expect("a plain name")
    }

    fn verdict(&self, name: &str) -> Option<&Verdict> {
        let subject = Self::subject(name);
        self.agent()?.verdicts().find(|it| it.subject == subject)
    }

    /// What the watchdog holds of it.
    pub fn state(&self, name: &str) -> Option<State> {
        self.verdict(name).map(|it| it.state)
    }

    /// Why.
    pub fn why(&self, name: &str) -> String {
        self.verdict(name).map_or(String::new(), |it| it.why.clone())
    }

    /// The incarnation that the verdict is about.
    pub fn incarnation(&self, name: &str) -> Incarnation {
        self.verdict(name)
            .map_or_else(Incarnation::default, |it| it.incarnation.clone())
    }

    // --- the machine ---

    /// The machine loses its power for that long, and boots: its clock begins at 0, the engine starts; the watchdogs only in a
    /// fleet.
    pub fn power_cut(&mut self, lasts: Duration) {
        lifecycle::power_cut(&mut self.world, 0, lasts);
        self.settle();
    }

    /// kill -9 of the host-watchdog.
    pub fn kill_host_watchdog(&mut self) {
        lifecycle::kill(&mut self.world, Node::Host(0));
        self.settle();
    }

    /// The wall clock of the machine, and with it the engine's, is set by so many milliseconds.
    pub fn set_clock(&mut self, offset_ms: i64) {
        self.world.hosts[0].clock.set_wall(offset_ms);
        self.world.engine(0).set_clock_offset_ns(offset_ms * 1_000_000);
    }
}
