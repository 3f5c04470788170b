//! How the engine starts a container: the lock, the checks before it, the work, what a refusal leaves behind.

use super::health;
use super::kernel::{Asker, Due, Kernel, Out};
use super::text;
use super::timing::Work;
use watchtree_core::container::io::{EngineError, EventAction, Namespace, Performed, RunState};
use watchtree_core::time::Moment;

/// A start that cannot be: the engine's words and what it leaves.
struct Refusal {
    error: EngineError,
    /// The exit code it leaves; `None` = it is found before the engine notes anything, its words too.
    exit_code: Option<i64>,
    /// The manual-stop flag was cleared before it was found.
    flag_cleared: bool,
}

impl Refusal {
    /// Found by the runtime, after as long as a start takes: the command cannot be run.
    fn by_runtime(&self) -> bool {
        matches!(self.exit_code, Some(126 | 127))
    }
}

pub(super) fn begin_start(k: &mut Kernel, now: Moment, i: usize, asker: Asker) {
    let c = &k.containers[i];
    if c.view.run == RunState::Paused {
        let message = "cannot start a paused container, try unpause instead".to_string();
        return k.answer(asker, Err(text::refused(409, message)));
    }
    // Also while it backs off: then this does nothing.
    if c.counts_as_running() {
        return k.answer(asker, Ok(Performed::AlreadySo));
    }
    work_on_start(k, now, i, asker);
}

pub(super) fn policy_starts(k: &mut Kernel, now: Moment, i: usize, life: u64) {
    let c = &k.containers[i];
    if c.life == life && c.view.run == RunState::Restarting && !c.removed {
        work_on_start(k, now, i, Asker::Policy);
    }
}

/// Takes the container's lock until the work is done.
pub(super) fn work_on_start(k: &mut Kernel, now: Moment, i: usize, asker: Asker) {
    let usual = match asker {
        Asker::Policy => k.settings.timing.takes(Work::PolicyStart),
        _ if k.containers[i].view.joins.contains_key(&Namespace::Network) => k.settings.timing.takes(Work::StartJoined),
        _ => k.settings.timing.takes(Work::Start),
    };
    let c = &mut k.containers[i];
    c.starting = true;
    let slow = matches!(asker, Asker::Watchdog { .. }).then(|| c.slow.take()).flatten();
    let takes = match refusal(k, i, asker) {
        Some(refusal) if !refusal.by_runtime() => k.settings.timing.takes(Work::Answer),
        _ => slow.unwrap_or(usual),
    };
    k.later(now + takes, Due::StartDone(i, asker));
}

pub(super) fn start_done(k: &mut Kernel, now: Moment, i: usize, asker: Asker) {
    k.containers[i].starting = false;
    let refusal = refusal(k, i, asker);
    let restarting = std::mem::take(&mut k.containers[i].restarting);
    let result = match refusal {
        Some(refusal) => {
            let error = refusal.error.clone();
            start_failed(k, now, i, asker, refusal);
            match restarting {
                true => Err(text::cannot_restart(&k.containers[i].view.id, error)),
                false => Err(error),
            }
        }
        None => {
            started(k, now, i, asker);
            if restarting {
                k.event(now, i, EventAction::Restart);
            }
            Ok(Performed::Done)
        }
    };
    k.answer(asker, result);
}

fn started(k: &mut Kernel, now: Moment, i: usize, asker: Asker) {
    let at = k.stamp(now);
    k.next_pid += 1;
    let pid = k.next_pid;
    let keeps_oom = k.settings.version.notes_oom_at_the_end();
    let c = &mut k.containers[i];
    c.view.oom_killed &= keeps_oom;
    if asker != Asker::Policy {
        c.reset_manager();
        c.manually_stopped = false;
    }
    c.lives(now, at, pid);
    k.enter_namespaces(now, i);
    let c = &k.containers[i];
    let (life, runs_for) = (c.life, c.spec.program.runs_for);
    if let Some((lasts, code)) = runs_for {
        k.later(now + lasts, Due::Ends(i, life, code));
    }
    k.event(now, i, EventAction::Start);
    k.containers[i].checking = false;
    health::check_again(k, now, i);
    k.out.push(Out::Started { place: i, by: asker });
    k.changed(i);
}

/// What a refused start leaves: the engine's words and a code, no event; a policy gives up.
fn start_failed(k: &mut Kernel, now: Moment, i: usize, asker: Asker, refusal: Refusal) {
    let c = &mut k.containers[i];
    if let (EngineError::Refused { message, .. }, Some(_)) = (&refusal.error, refusal.exit_code) {
        c.view.error.clone_from(message);
    }
    if asker == Asker::Policy {
        (c.view.run, c.changed) = (RunState::Exited, now);
    } else if refusal.flag_cleared {
        c.manually_stopped = false;
        c.reset_manager();
    }
    if let Some(code) = refusal
        .exit_code
        .filter(|_| c.view.exit_code == 0 || (refusal.by_runtime() && asker != Asker::Policy))
    {
        c.view.exit_code = code;
    }
    k.changed(i);
}

fn refusal(k: &Kernel, i: usize, asker: Asker) -> Option<Refusal> {
    let c = &k.containers[i];
    let by_start_call = !c.restarting && !matches!(asker, Asker::Policy | Asker::Daemon);
    let early = |error| Refusal {
        error,
        exit_code: Some(128),
        flag_cleared: false,
    };
    if let Some(path) = k.missing_mount(i) {
        return Some(match by_start_call {
            true => Refusal {
                exit_code: None,
                ..early(text::no_mount(path))
            },
            false => Refusal {
                error: text::cannot_mount(k.settings.version, path),
                exit_code: Some(127),
                flag_cleared: true,
            },
        });
    }
    if let Some(name) = c.spec.networks.iter().find(|name| k.missing_networks.contains(*name)) {
        // Once it has run, it knows its network by the id.
        let known_as = if c.life == 0 { name.clone() } else { c.other_id() };
        return Some(early(text::no_network(&known_as)));
    }
    for (namespace, other) in &c.view.joins {
        let runs = k.find(other).map(|place| k.containers[place].counts_as_running());
        match runs {
            None => return Some(early(text::joined_is_gone(*namespace, other))),
            Some(false) => return Some(early(text::cannot_join(*namespace, other))),
            Some(true) => {}
        }
    }
    if let Some(error) = port_refused(k, i) {
        return Some(early(error));
    }
    let (exit_code, message) = c.spec.program.cannot_start.clone()?;
    let error = match exit_code {
        126 | 127 => text::no_command(k.settings.version, &message),
        _ => text::refused(500, message),
    };
    Some(Refusal {
        error,
        exit_code: Some(exit_code),
        flag_cleared: true,
    })
}

fn port_refused(k: &Kernel, i: usize) -> Option<EngineError> {
    let c = &k.containers[i];
    let other_has = |port: &u16| {
        let mut others = k.containers.iter().enumerate();
        others.any(|(k, it)| k != i && it.alive && it.spec.ports.contains(port))
    };
    let (mut ports, name) = (c.spec.ports.iter(), &c.view.name);
    let endpoint = c.other_id();
    ports.find_map(|port| match (other_has(port), k.taken_ports.contains(port)) {
        (true, _) => Some(text::port_allocated(name, &endpoint, *port)),
        (_, true) => Some(text::port_in_use(name, &endpoint, *port)),
        _ => None,
    })
}
