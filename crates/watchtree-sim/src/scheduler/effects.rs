//! Carries out the effects of the machines in the simulated world: the synchronous twin of the daemons' drivers.

use crate::log::Observation;
use crate::scheduler::event::{PersonStep, SimEvent};
use crate::scheduler::host::CaptureFault;
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::{Hop, World};
use crate::scheduler::{api, asks, captures, journal, lifecycle, probes, wires};
use crate::state::engine::{Verb, load};
use watchtree_core::container::io::{ContainerEffect, ContainerInput, EngineCall, EngineError};
use watchtree_core::decision::Decision;
use watchtree_core::host::io::{
    ChildExit, ChildSignal, EngineAnswer, EngineProbe, EngineUnit, EngineWork, HostEffect, HostFigures, HostInput,
    ProbeAnswer, UnitPhase,
};
use watchtree_core::id::NodeName;
use watchtree_core::incident::IncidentChange;
use watchtree_core::manager::io::{ManagerEffect, ManagerInput};
use watchtree_core::message::{Envelope, Look, Message};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;

/// One effect of a container-watchdog.
pub(super) fn of_child(world: &mut World, h: usize, effect: ContainerEffect) {
    let epoch = world.hosts[h].child.epoch();
    match effect {
        ContainerEffect::Subscribe { since } => api::subscribe(world, h, since),
        ContainerEffect::List => {
            let usual = world.takes(Hop::List);
            let delay = world.hosts[h].api.list_takes.unwrap_or(usual);
            world.after(delay, SimEvent::ListRead(h, epoch));
        }
        ContainerEffect::Inspect { id } => api::inspect(world, h, id),
        ContainerEffect::ReadStopMark { id } => api::read_flag(world, h, id),
        ContainerEffect::HoldProcess { id, pid } => api::hold_process(world, h, id, pid),
        ContainerEffect::Capture { id, order } => captures::capture(world, h, id, order),
        ContainerEffect::LookAtShim { id, pid } => api::look_at_shim(world, h, id, pid),
        ContainerEffect::KillShim { id, shim } => api::kill_shim(world, h, &id, shim),
        ContainerEffect::ReadLoad => read_load(world, h),
        ContainerEffect::Probe {
            run,
            id,
            pid,
            address: _,
            method,
            within,
        } => {
            let asked = probes::Asked {
                run,
                id,
                pid,
                method,
                within,
            };
            probes::probe(world, h, asked);
        }
        ContainerEffect::Journal(record) => journal::write(world, h, record),
        ContainerEffect::Perform {
            ticket,
            id,
            call,
            within,
        } => {
            if matches!(call, EngineCall::Stop { .. }) {
                spring_ambush(world, h, &id);
            }
            let waits_for_ever = matches!(world.hosts[h].api.captures, CaptureFault::Never);
            if world.bug != Some(Bug::CaptureAwaited) || !waits_for_ever || call == EngineCall::Start {
                api::post(world, h, (epoch, ticket.0), id, call);
            }
            world.after(within, SimEvent::CallDeadline(h, epoch, ticket));
        }
        ContainerEffect::Send(envelope) => wires::child_sends(world, h, envelope),
        ContainerEffect::Decided(decision) => decided(world, decision),
        ContainerEffect::LocalAnswer(answer) => world.hosts[h].local_answers.push(answer),
        ContainerEffect::Condition { about: _, state: _ } => {}
        ContainerEffect::Stopped => {
            world.hosts[h].child_stopped = true;
            lifecycle::child_gone(world, h, ChildExit::Code(0));
        }
    }
}

fn read_load(world: &mut World, h: usize) {
    let (now, host) = (world.now, &mut world.hosts[h]);
    let again = host.load_read_by.replace(host.child.epoch()) == Some(host.child.epoch());
    if !host.api.hides_load && world.bug != Some(Bug::LoadHidden) {
        let load = ContainerInput::Load(load::of(&host.engine, now, again));
        api::to_child(world, h, api::KERNEL_TELLS, load);
    }
}

fn decided(world: &mut World, mut decision: Decision) {
    if world.bug == Some(Bug::EvidenceLost) {
        decision.evidence.clear();
    }
    world.saw(Observation::Decided { decision });
}

fn spring_ambush(world: &mut World, h: usize, id: &str) {
    let Some(place) = world.hosts[h].ambush else { return };
    let snapshot = world.hosts[h].engine.snapshot(place);
    if snapshot.id == id {
        world.hosts[h].ambush = None;
        let delay = world.rng.millis(20, 6000);
        world.counted("stop_into_repair");
        let step = PersonStep::Call(snapshot.name, Verb::Stop(None));
        world.after(delay, SimEvent::Step(h, step));
    }
}

/// One effect of a host-watchdog.
pub(super) fn of_host(world: &mut World, h: usize, effect: HostEffect) {
    let epoch = world.hosts[h].host.epoch();
    match effect {
        HostEffect::Send(envelope) => wires::host_sends(world, h, envelope),
        HostEffect::SendToChild { to, envelope } => wires::host_to_child(world, h, &to, envelope),
        HostEffect::StartChild { engine } => {
            lifecycle::start_child(world, h);
            let result = Ok(world.hosts[h].pid);
            let input = HostInput::ChildStarted { engine, result };
            world.after(Duration::from_millis(2), SimEvent::ToHost(h, epoch, input));
        }
        HostEffect::SignalChild { engine: _, pid, signal } => signal_child(world, h, pid, signal),
        HostEffect::ProbeEngine { engine, probe, within } => {
            let said_ill = world.bug == Some(Bug::ContainerdSaidIll) && probe == EngineProbe::Info;
            let ill = said_ill || world.now < world.hosts[h].api.ill_until;
            let (took, result) = match (ill, world.hosts[h].engine.answers()) {
                (true, _) => (within, Err(EngineError::Deadline)),
                (_, false) => (
                    Duration::from_millis(1),
                    Err(EngineError::Unreachable("connection refused".into())),
                ),
                _ => {
                    let live_restore = Some(world.hosts[h].engine.has_live_restore());
                    let answer = ProbeAnswer {
                        live_restore: live_restore.filter(|_| probe == EngineProbe::Info),
                        ..ProbeAnswer::from("answers")
                    };
                    (world.rng.millis(1, 20), Ok(answer))
                }
            };
            if result.is_err() {
                world.counted("probe_failed");
            }
            let answer = EngineAnswer::Probed { probe, took, result };
            let input = HostInput::Engine { engine, answer };
            world.after(took, SimEvent::ToHost(h, epoch, input));
        }
        HostEffect::InspectEngine { engine } => {
            // A daemon that is away is started again by its service manager.
            let phase = match world.hosts[h].engine.daemon_exists() {
                true => UnitPhase::Running,
                false => UnitPhase::Starting,
            };
            let words = format!("docker.service is {phase:?}");
            let answer = EngineAnswer::Inspected(Ok(EngineUnit { phase, words }));
            let input = HostInput::Engine { engine, answer };
            world.after(Duration::from_millis(20), SimEvent::ToHost(h, epoch, input));
        }
        HostEffect::WorkOnEngine {
            engine,
            work,
            within: _,
        } => {
            let takes = work_on_engine(world, h, work);
            let result = Ok(format!("{work:?} was done"));
            let answer = EngineAnswer::Worked { work, result };
            let input = HostInput::Engine { engine, answer };
            world.after(takes, SimEvent::ToHost(h, epoch, input));
        }
        HostEffect::ReadFigures => {
            let figures = HostFigures {
                load1_milli: 100,
                cpus: 2,
                memory_available_milli: 800,
                ..HostFigures::default()
            };
            let input = HostInput::Figures(figures);
            world.after(Duration::from_millis(1), SimEvent::ToHost(h, epoch, input));
        }
        HostEffect::Decided(decision) => decided(world, decision),
        HostEffect::Alert(change) => alerted(world, h, change),
        HostEffect::LocalAnswer(_) | HostEffect::Condition { .. } => {}
        HostEffect::Stopped => lifecycle::host_stopped(world, h),
    }
}

/// A host calls a person, and keeps what is open for its next start.
fn alerted(world: &mut World, host: usize, change: IncidentChange) {
    let alerts = &mut world.hosts[host].alerts;
    let (subject, is_open) = match change {
        IncidentChange::Opened(it) | IncidentChange::Changed(it) | IncidentChange::Noted(it) => {
            let subject = it.subject.clone();
            alerts.insert(subject.clone(), it);
            (subject, true)
        }
        IncidentChange::Closed(it) => {
            alerts.remove(&it.subject);
            if world.bug == Some(Bug::EndUntold) {
                return;
            }
            (it.subject, false)
        }
    };
    world.saw(Observation::Alerted { host, subject, is_open });
}

/// How long it takes.
fn work_on_engine(world: &mut World, h: usize, work: EngineWork) -> Duration {
    // What it did not answer while it was ill is known to have failed at the probe's deadline.
    let known_until = world.hosts[h].api.ill_until + EngineProbe::Info.within() + Duration::from_millis(100);
    let is_ill = world.now < known_until || !world.hosts[h].engine.answers();
    world.saw(Observation::WorkedOnEngine { host: h, is_ill });
    match work {
        EngineWork::DumpStacks | EngineWork::RestartContainerd => Duration::from_millis(100),
        EngineWork::RestartDaemon => {
            world.counted("engine_repaired");
            world.hosts[h].api.ill_until = world.now;
            world.engine(h).daemon_killed();
            world.after(Duration::from_secs(1), SimEvent::EngineStarts(h));
            Duration::from_millis(1500)
        }
    }
}

fn signal_child(world: &mut World, h: usize, pid: u32, signal: ChildSignal) {
    if world.hosts[h].pid != pid || !world.hosts[h].child.exists() {
        return;
    }
    match signal {
        ChildSignal::Kill => {
            world.saw(Observation::KilledChild { host: h });
            lifecycle::child_gone(world, h, ChildExit::Signal(9));
        }
        ChildSignal::Terminate => {
            let epoch = world.hosts[h].child.epoch();
            let after = Duration::from_micros(200);
            world.after(after, SimEvent::ToChild(h, epoch, ContainerInput::Stop));
        }
    }
}

/// One effect of the manager.
pub(super) fn of_manager(world: &mut World, effect: ManagerEffect) {
    match effect {
        ManagerEffect::Send { to, envelope } => wires::manager_sends(world, &to, envelope),
        ManagerEffect::SignAndSend { to, header, order } => {
            let message = Message::Order(world.orders.sign(order));
            wires::manager_sends(world, &to, Envelope { header, message });
        }
        ManagerEffect::ProbeHost {
            nonce,
            host,
            addresses: _,
            within,
        } => probe(world, nonce, &host, within),
        ManagerEffect::StoreHost(host) => {
            world.store.hosts.insert(host.identity.name.clone(), host);
        }
        ManagerEffect::ForgetHost(name) => {
            world.store.hosts.remove(&name);
        }
        ManagerEffect::IncidentOpened(incident)
        | ManagerEffect::IncidentChanged(incident)
        | ManagerEffect::IncidentNoted(incident) => {
            world.store.next_incident = world.store.next_incident.max(incident.id + 1);
            world.store.incidents.insert(incident.id, incident);
        }
        ManagerEffect::IncidentClosed(incident) => {
            world.store.incidents.remove(&incident.id);
        }
        ManagerEffect::StateChanged { subject, from, to, why } => state_changed(world, subject, (from, to), why),
        ManagerEffect::StoreDecision(decision) => decided(world, decision),
        ManagerEffect::AskAnswered { ticket, result } => asks::note_ask_answered(world, ticket, &result),
        ManagerEffect::Condition { .. } => {}
        ManagerEffect::Stopped => world.manager.kill(),
    }
}

fn state_changed(world: &mut World, subject: SubjectId, (from, mut to): (State, State), why: String) {
    if world.bug == Some(Bug::UnreachableIsDown) && to == State::Unreachable {
        to = State::Down;
    }
    world.saw(Observation::StateChanged { subject, from, to, why });
}

/// Does the host's kernel answer from outside?
fn probe(world: &mut World, nonce: u64, host: &NodeName, within: Duration) {
    let (now, epoch) = (world.now, world.manager.epoch());
    let found = world.host_of(host.as_str());
    let answers = found.is_some_and(|h| world.hosts[h].powered && world.hosts[h].path_is_open(now));
    let (look, delay) = match answers || world.bug == Some(Bug::EveryLookAnswered) {
        true => (Look::Answered("tcp refused".into()), Duration::from_millis(3)),
        false => (Look::Silent("no answer".into()), within),
    };
    world.after(
        delay,
        SimEvent::ToManager(epoch, ManagerInput::HostProbed { nonce, result: look }),
    );
}
