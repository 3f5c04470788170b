//! A run: a fleet from a seed, its faults, and the checker over its log. Knows neither what faults do nor what is right.

use crate::checker::Checker;
use crate::log::Observation;
use crate::rng::Rng;
use crate::scheduler::fault::{Counts, Fault, Fleet};
use crate::scheduler::{self, Bug, Delays, World, fleet};
use watchtree_core::time::{Duration, Moment};

/// The fleet of a run: a manager, three hosts, ten containers each.
const FLEET: Fleet = Fleet {
    hosts: 3,
    containers: 10,
};
/// Everything settles before the first fault.
const WARM: Duration = Duration::from_secs(12);
/// Faults begin within this span.
const CHAOS: Duration = Duration::from_secs(80);
/// Calm after the last fault began: longer than the longest fault, back-off and hold together.
const CALM: Duration = Duration::from_secs(110);
/// The longest grace of the shipped policy, which a container that hangs after many restarts is given before it is
/// stopped or given up: a run waits for its end where there is one.
const GRACE_MAX: Duration = Duration::from_secs(900);
/// Steps of that wait.
const STEP: Duration = Duration::from_secs(30);

/// How many seeds a test tries: all, or no more than `WATCHTREE_SEEDS_MAX` says. Mutation testing has a few tried in each of
/// many runs.
///
/// # Panics
/// It says no number.
pub fn seeds(all: u64) -> u64 {
    let most = std::env::var("WATCHTREE_SEEDS_MAX").ok();
    most.map_or(all, |text| {
        all.min(text.parse().expect("WATCHTREE_SEEDS_MAX is a number"))
    })
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed it is a function of.
    pub seed: u64,
    /// Faults that really happened, by kind.
    pub counts: Counts,
    /// The first broken rule: its name, what happened, when.
    pub broken: Option<String>,
    /// Events of the world.
    pub steps: u64,
    /// The faults that really happened, in order: what a broken run is read by.
    pub story: Vec<String>,
}

impl Report {
    /// The name of the rule that broke.
    pub fn rule(&self) -> Option<&str> {
        self.broken.as_deref().and_then(|why| why.split(':').next())
    }
}

/// Draws the faults that a run injects over one host.
pub type Also = fn(&mut Rng, usize) -> Vec<(Duration, Fault)>;

/// What a run is given beside its seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// A planted defect.
    pub bug: Option<Bug>,
    /// Faults that are injected on top of the drawn ones, on every host in turn: each so long after a drawn moment.
    pub also: Option<Also>,
    /// Only those are injected.
    pub alone: bool,
    /// Rules that the product is known to break are checked too.
    pub strict: bool,
}

/// Runs the world of one seed.
pub fn run(seed: u64, plan: Plan) -> Report {
    let mut rng = Rng::new(seed);
    let mut world = World::new(rng.fork(), Delays::Drawn, plan.bug);
    fleet::populate(&mut world, FLEET);
    let begin = world.now();
    let mut run = Run {
        checker: Checker::new(FLEET.hosts, begin, plan.strict),
        world,
        steps: 0,
    };
    let (from, till) = (begin + WARM, begin + WARM + CHAOS);
    fleet::inject_all(&mut run.world, faults(&mut rng, plan, from, till), till);
    run.until(till + CALM);
    while run.goes_on() && run.checker.somebody_has_grace() && run.world.now() < till + CALM + GRACE_MAX {
        let end = run.world.now() + STEP;
        run.until(end);
    }
    if run.goes_on() {
        scheduler::show(&mut run.world, true);
        run.world.saw(Observation::End);
        run.read();
    }
    let story = run.world.story();
    Report {
        seed,
        counts: run.world.counts().clone(),
        broken: run.checker.broken().map(|why| format!("{why} seed {seed}")),
        steps: run.steps,
        story,
    }
}

fn faults(rng: &mut Rng, plan: Plan, from: Moment, till: Moment) -> Vec<(Moment, Fault)> {
    let mut faults = scheduler::fault::schedule(rng, from, till, FLEET);
    if plan.alone {
        faults.clear();
    }
    if let Some(also) = plan.also {
        for host in 0..FLEET.hosts {
            let at = from + rng.millis(0, 60_000);
            faults.extend(also(rng, host).into_iter().map(|(after, fault)| (at + after, fault)));
        }
        faults.sort();
    }
    faults
}

struct Run {
    world: World,
    checker: Checker,
    steps: u64,
}

impl Run {
    fn goes_on(&self) -> bool {
        self.checker.broken().is_none()
    }

    /// Lets time pass until then, or until a rule breaks.
    fn until(&mut self, end: Moment) {
        self.read();
        while self.goes_on() && scheduler::step(&mut self.world, end) {
            self.steps += 1;
            self.read();
        }
    }

    fn read(&mut self) {
        for seen in self.world.drain_log() {
            self.checker.read(&seen);
        }
    }
}
