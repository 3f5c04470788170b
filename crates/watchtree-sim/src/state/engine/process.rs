//! Small acts on one container and its process: create, pause, rename, signals.

use super::container::Container;
use super::health;
use super::kernel::{Asker, Due, Kernel};
use super::spec::{OnSignal, Spec};
use super::text;
use super::timing::Work;
use watchtree_core::container::io::{
    EngineError, EngineTime, EventAction, Health, Namespace, Performed, RestartPolicy, RunState,
};
use watchtree_core::time::{Duration, Moment};

/// `POST /containers/create`: the place of the new container.
///
/// # Errors
/// The name is taken, or it is asked for what excludes itself.
pub(super) fn create(k: &mut Kernel, now: Moment, mut spec: Spec) -> Result<usize, EngineError> {
    if let Some(other) = k.find_name(&spec.name) {
        return Err(text::refused(409, name_taken(k, &spec.name, other)));
    }
    if spec.auto_remove && spec.policy != RestartPolicy::No {
        return Err(text::auto_remove_and_policy());
    }
    if spec.id.is_empty() {
        spec.id = format!("{:012x}{:052x}", 0xc0de_0000_0000_u64 + k.containers.len() as u64, 0);
    }
    let i = k.containers.len();
    k.containers.push(Container::new(now, spec));
    k.event(now, i, EventAction::Create);
    k.changed(i);
    Ok(i)
}

/// A container that has run for that long, and well.
///
/// # Panics
/// Where the name is taken.
pub(super) fn create_running(k: &mut Kernel, now: Moment, spec: Spec, age: Duration) -> usize {
    let i = create(k, now, spec).expect("a name of its own");
    k.next_pid += 1;
    let (pid, at) = (k.next_pid, EngineTime(k.wall_ns(now) - age.as_nanos() as u64));
    let c = &mut k.containers[i];
    c.lives(now, at, pid);
    if c.spec.check.is_some() {
        c.view.health = Health::Healthy;
    }
    c.life = 0;
    c.born = now.saturating_sub(age);
    k.enter_namespaces(now, i);
    i
}

fn name_taken(k: &Kernel, name: &str, other: usize) -> String {
    let id = &k.containers[other].view.id;
    format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) \
         that container to be able to reuse that name."
    )
}

pub(super) fn pause(k: &mut Kernel, now: Moment, i: usize, asker: Asker) {
    let c = &mut k.containers[i];
    let id = c.view.id.clone();
    let result = match c.view.run {
        RunState::Running => Ok(Performed::Done),
        RunState::Paused => Err(text::refused(409, format!("Container {id} is already paused"))),
        RunState::Restarting => Err(text::is_restarting(&id)),
        _ => Err(text::not_running(k.settings.version, &id)),
    };
    if result.is_ok() {
        (c.view.run, c.changed) = (RunState::Paused, now);
        c.close_monitor();
        k.event(now, i, EventAction::Pause);
        k.changed(i);
    }
    k.answer(asker, result);
}

pub(super) fn unpause(k: &mut Kernel, now: Moment, i: usize, asker: Asker) {
    if k.containers[i].view.run != RunState::Paused {
        let message = format!("Container {} is not paused", k.containers[i].view.id);
        return k.answer(asker, Err(text::refused(500, message)));
    }
    resumed(k, now, i);
    k.answer(asker, Ok(Performed::Done));
}

pub(super) fn resumed(k: &mut Kernel, now: Moment, i: usize) {
    let c = &mut k.containers[i];
    (c.view.run, c.changed) = (RunState::Running, now);
    k.event(now, i, EventAction::Unpause);
    k.changed(i);
    health::begin_checks(k, now, i);
}

pub(super) fn rename(k: &mut Kernel, now: Moment, i: usize, name: String, asker: Asker) {
    if let Some(other) = k.find_name(&name) {
        let message = format!("Error when allocating new name: {}", name_taken(k, &name, other));
        return k.answer(asker, Err(text::refused(409, message)));
    }
    let c = &k.containers[i];
    if c.view.run == RunState::Restarting && !c.view.joins.contains_key(&Namespace::Network) {
        let error = text::no_sandbox(&c.other_id());
        return k.answer(asker, Err(error));
    }
    k.containers[i].spec.name.clone_from(&name);
    let old_name = std::mem::replace(&mut k.containers[i].view.name, name);
    k.event(now, i, EventAction::Rename { old_name });
    k.changed(i);
    k.answer(asker, Ok(Performed::Done));
}

/// A process in the container signals its init: no event tells of it, and KILL from inside does nothing to an init.
pub(super) fn exec_kill(k: &mut Kernel, now: Moment, i: usize, signal: u32, asker: Asker) {
    let (run, id) = (k.containers[i].view.run, &k.containers[i].view.id);
    if run != RunState::Running {
        let error = text::cannot_exec(k.settings.version, run, id);
        return k.answer(asker, Err(error));
    }
    if signal != 9 {
        send_signal(k, now, i, signal);
    }
    k.answer(asker, Ok(Performed::Done));
}

/// A signal reaches the process of the container.
pub(super) fn send_signal(k: &mut Kernel, now: Moment, i: usize, signal: u32) {
    let c = &k.containers[i];
    let held = c.hung || c.view.run == RunState::Paused;
    if !c.alive || (held && signal != 9) {
        return;
    }
    if let OnSignal::Exit { code, after } = c.spec.program.reacts(signal, c.view.stop_signal) {
        let life = c.life;
        let at = now + after + k.settings.timing.takes(Work::Exit);
        k.later(at, Due::Ends(i, life, code));
    }
}
