//! A whole fleet in one thread, from a seed: a manager, three hosts, ten containers each.
//!
//! The machines of `watchtree-core` run here exactly as in the daemons; only their drivers differ. A run is a pure
//! function of its seed: faults for 80 virtual seconds, then calm, then the final rules. It ends at the first broken
//! invariant, by name, with the seed that replays it; and it counts the faults that really happened, so that a green
//! run is known not to be an empty one.

pub mod book;
mod disk;
pub mod engine;
pub mod fault;
mod inject;
mod invariant;
mod lifecycle;
mod orders;
mod perform;
pub mod place;
pub mod process;
pub mod rng;
pub mod state;
mod wires;
pub mod world;

use fault::Counts;
use rng::Rng;
use watchtree_core::time::Duration;
use world::{Bug, Happening, World};

/// Hosts of a run.
const HOSTS: usize = 3;
/// Containers of each host.
const CONTAINERS: usize = 10;
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

/// What a run did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed it is a function of.
    pub seed: u64,
    /// Faults that really happened, by kind.
    pub counts: Counts,
    /// The first broken invariant: its name, what happened, the seed.
    pub broken: Option<String>,
    /// Happenings processed.
    pub steps: u64,
    /// The faults that really happened, in order: what a broken run is read by.
    pub story: Vec<String>,
}

/// Runs the world of one seed, with a defect switched on or none.
pub fn run(seed: u64, bug: Option<Bug>) -> Report {
    let mut world = World::new(seed, HOSTS, CONTAINERS, bug);
    let begin = world.now;
    let mut rng = Rng::new(seed ^ 0x00fa_0175);
    let (from, till) = (begin + WARM, begin + WARM + CHAOS);
    world.calm_from = till;
    for (when, fault) in fault::schedule(&mut rng, from, till, HOSTS, CONTAINERS) {
        world.at(when, Happening::Fault(fault));
    }
    world.run_until(till + CALM);
    while world.broken.is_none() && world.somebody_has_grace() && world.now < till + CALM + GRACE_MAX {
        world.run_until(world.now + STEP);
    }
    if world.broken.is_none() {
        world.check_end();
    }
    let story = world
        .story
        .iter()
        .map(|(when, fault)| format!("{when} {fault:?}"))
        .collect();
    Report {
        seed,
        counts: world.counts,
        broken: world.broken,
        steps: world.steps,
        story,
    }
}
