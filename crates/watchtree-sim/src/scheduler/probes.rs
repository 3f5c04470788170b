//! Probes of the container-watchdog: what a container answers, by the state of its process and by what its program says.
//!
//! A hung or paused process says nothing; one that has not come up yet refuses; one that has ended, or a fault of the prober, is no
//! answer at all.

use crate::scheduler::api;
use crate::scheduler::world::World;
use watchtree_core::container::io::{ContainerId, ContainerInput, Method, ProbeOutcome, ProbeRun, RunState};
use watchtree_core::time::Duration;

/// An answer is there so soon.
const ANSWERS: Duration = Duration::from_millis(1);

/// What is asked of which container.
pub(super) struct Asked {
    pub(super) run: ProbeRun,
    pub(super) id: ContainerId,
    pub(super) pid: u32,
    pub(super) method: Method,
    pub(super) within: Duration,
}

/// A probe is run.
pub(super) fn probe(world: &mut World, h: usize, asked: Asked) {
    let (run, within) = (asked.run, asked.within);
    let outcome = outcome(world, h, &asked);
    let after = match outcome {
        ProbeOutcome::TimedOut(_) => within,
        _ => ANSWERS,
    };
    if matches!(outcome, ProbeOutcome::CannotRun(_)) {
        world.counted("probe_cannot_run");
    }
    let answer = outcome.into();
    api::to_child(world, h, after, ContainerInput::Probed { run, answer });
}

fn outcome(world: &World, h: usize, asked: &Asked) -> ProbeOutcome {
    let (host, method) = (&world.hosts[h], &asked.method);
    let cannot = |words: &str| ProbeOutcome::CannotRun(words.into());
    if let Some(words) = &host.api.probes_fail {
        return match host.api.invents_failures {
            true => ProbeOutcome::Failed(words.clone()),
            false => cannot(words),
        };
    }
    let found = host.engine.find(&asked.id);
    let Some(place) = found.filter(|_| host.engine.process_lives(&asked.id, asked.pid)) else {
        return cannot("its process has ended");
    };
    if method.is_exec() && !host.engine.answers() {
        return cannot("connection refused: is the engine running?");
    }
    let (it, program) = (host.engine.snapshot(place), &host.engine.spec(place).program);
    if it.hung || it.run == RunState::Paused {
        return ProbeOutcome::TimedOut("no answer in time".into());
    }
    if program.comes_up.is_some_and(|takes| world.now < it.born + takes) {
        return ProbeOutcome::Failed("connection refused".into());
    }
    match program.says_no.get(&method.words()) {
        Some(words) => ProbeOutcome::Failed(words.clone()),
        None => ProbeOutcome::Passed,
    }
}
