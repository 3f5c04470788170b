//! Lets faults happen.

use crate::log::{Excuse, Node, Observation};
use crate::scheduler::event::{PersonStep, SimEvent};
use crate::scheduler::fault::{Fault, Which};
use crate::scheduler::inject_wires::{excuse, of_wires};
use crate::scheduler::orders::Wish;
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::World;
use crate::scheduler::{api, asks, captures, lifecycle};
use crate::state::engine::{Program, Snapshot, Spec, Verb, load};
use watchtree_core::container::io::{ContainerInput, Namespace, RunState};
use watchtree_core::host::io::{ChildExit, HostInput};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;

const MS: Duration = Duration::from_millis(1);
/// A daemon that was asked to end has ended: the patience of its stops, and that of 26.1 with its clients.
const ENGINE_ENDS_WITHIN: Duration = Duration::from_secs(17);
/// Compose gives the old container ten seconds, which a well one does not need.
const COMPOSE_STOPS: Duration = Duration::from_millis(200);

/// Lets one fault happen, and counts it if it really did.
pub(crate) fn inject(world: &mut World, fault: Fault) {
    let happened = match fault {
        Fault::Crash { .. }
        | Fault::Oom { .. }
        | Fault::CrashLoop { .. }
        | Fault::Hang { .. }
        | Fault::LostCapture { .. }
        | Fault::SlowStart { .. }
        | Fault::JoinedCrash { .. }
        | Fault::LostDie { .. }
        | Fault::BrokenCall { .. } => of_container(world, fault),
        Fault::OperatorStop { .. }
        | Fault::OperatorKill { .. }
        | Fault::OperatorRemove { .. }
        | Fault::StopIntoRepair { .. }
        | Fault::ExitZeroOnTerm { .. }
        | Fault::OtherSignal { .. }
        | Fault::Pause { .. }
        | Fault::Rename { .. }
        | Fault::Recreate { .. }
        | Fault::Ask { .. }
        | Fault::LateOrder { .. } => of_people(world, fault),
        Fault::StreamCut { .. }
        | Fault::LostAnswer { .. }
        | Fault::EngineIll { .. }
        | Fault::EngineKill { .. }
        | Fault::EngineTerm { .. }
        | Fault::ChecksFail { .. }
        | Fault::FlagUnreadable { .. } => of_engine(world, fault),
        Fault::PowerCut { .. } | Fault::Shutdown { .. } | Fault::ClockSet { .. } | Fault::DiskFull { .. } => {
            of_machine(world, fault)
        }
        Fault::KillChild { .. }
        | Fault::FreezeChild { .. }
        | Fault::KillHost { .. }
        | Fault::FreezeHost { .. }
        | Fault::StopHost { .. }
        | Fault::KillManager { .. }
        | Fault::FreezeManager { .. } => of_watchdogs(world, fault),
        Fault::Cut { .. }
        | Fault::Partition { .. }
        | Fault::Backlog { .. }
        | Fault::BadIpc { .. }
        | Fault::BadNetwork { .. } => of_wires(world, fault),
    };
    if happened {
        world.counted(fault.kind());
        world.story.push((world.now, fault));
    }
}

fn snapshot(world: &World, which: Which) -> Snapshot {
    world.hosts[which.host].engine.snapshot(which.place)
}

/// A person can do something to it: it runs, and its machine is in order.
fn runs(world: &World, which: Which) -> bool {
    let (host, it) = (&world.hosts[which.host], snapshot(world, which));
    // On a machine that goes down nothing tells a person's stop from the engine's own.
    it.run == RunState::Running && !it.removed && host.powered && !host.going_down && host.engine.answers()
}

fn person(world: &mut World, which: Which, verb: Verb) -> bool {
    let name = snapshot(world, which).name;
    runs(world, which) && api::person(world, which.host, &name, verb)
}

fn later(world: &mut World, which: Which, after: Duration, verb: Verb) {
    let name = snapshot(world, which).name;
    world.after(after, SimEvent::Step(which.host, PersonStep::Call(name, verb)));
}

fn crash(world: &mut World, which: Which) -> bool {
    let now = world.now;
    let there = world.hosts[which.host].powered && !snapshot(world, which).removed;
    there && world.engine(which.host).process_exits(now, which.place, 1)
}

fn hang(world: &mut World, which: Which) -> bool {
    let now = world.now;
    // Without a health check nobody can see it.
    let seen = world.hosts[which.host].engine.spec(which.place).check.is_some();
    seen && world.engine(which.host).hang(now, which.place)
}

fn of_container(world: &mut World, fault: Fault) -> bool {
    let now = world.now;
    match fault {
        Fault::Crash { which } => crash(world, which),
        Fault::Oom { which, init } => {
            let there = !snapshot(world, which).removed && world.hosts[which.host].powered;
            there && world.engine(which.host).out_of_memory(now, which.place, init)
        }
        Fault::CrashLoop { which, left } => crash_loop(world, which, left),
        Fault::Hang { which } => hang(world, which),
        Fault::LostCapture { which, late, lasts } => {
            hang(world, which) && captures::get_lost(world, which.host, (late, lasts))
        }
        Fault::SlowStart { which, lasts, breaks } => {
            let crashed = crash(world, which);
            if crashed {
                world.engine(which.host).slow_start(which.place, lasts);
                world.hosts[which.host].api.break_call = breaks.then_some(which.place);
            }
            crashed
        }
        Fault::JoinedCrash { host } => {
            let engine = &world.hosts[host].engine;
            let owner_of = |place: usize| engine.spec(place).joins.get(&Namespace::Network).cloned();
            let joiner = (0..engine.len()).find_map(|place| Some((place, owner_of(place)?)));
            let Some((place, owner)) = joiner else { return false };
            let Some(owner) = world.hosts[host].engine.find(&owner) else {
                return false;
            };
            crash(world, Which { host, place }) && crash(world, Which { host, place: owner })
        }
        Fault::LostDie { which } => {
            world.engine(which.host).lose_next_die(which.place, true);
            let crashed = crash(world, which);
            world.engine(which.host).lose_next_die(which.place, false);
            crashed
        }
        Fault::BrokenCall { which } => {
            if hang(world, which) {
                world.hosts[which.host].api.break_call = Some(which.place);
            }
            false // counted when it breaks
        }
        _ => false,
    }
}

fn crash_loop(world: &mut World, which: Which, left: u32) -> bool {
    let crashed = crash(world, which);
    let left = if crashed { left - 1 } else { left };
    let over = snapshot(world, which).removed || world.calm_from <= world.now;
    if 0 < left && !over {
        if crashed && world.rng.chance(200) {
            kill_child(world, which.host);
        }
        let delay = world.rng.millis(300, 1500);
        world.after(delay, SimEvent::Fault(Fault::CrashLoop { which, left }));
    }
    crashed
}

fn of_people(world: &mut World, fault: Fault) -> bool {
    match fault {
        Fault::OperatorStop { which } => person(world, which, Verb::Stop(None)),
        Fault::OperatorKill { which } => person(world, which, Verb::Kill(9)),
        Fault::OperatorRemove { which } => person(world, which, Verb::Remove { force: true }),
        Fault::StopIntoRepair { which } => {
            if hang(world, which) {
                world.hosts[which.host].ambush = Some(which.place);
            }
            false // counted when it is sprung
        }
        Fault::ExitZeroOnTerm { which, lasts } => {
            if !runs(world, which) || snapshot(world, which).hung {
                return false;
            }
            let program = Program::on_term(0, Duration::ZERO);
            world.engine(which.host).set_program(which.place, program);
            let stopped = person(world, which, Verb::Stop(None));
            world.after(MS * 100, SimEvent::Step(which.host, PersonStep::Behaves(which.place)));
            later(world, which, lasts, Verb::Start);
            stopped
        }
        Fault::OtherSignal { which, signal, gap } => {
            if gap {
                of_engine(
                    world,
                    Fault::StreamCut {
                        host: which.host,
                        forget: true,
                    },
                );
            }
            let sent = person(world, which, Verb::Kill(signal));
            if gap {
                let crash = Fault::Crash { which };
                world.after(MS, SimEvent::Fault(crash));
                let host = which.host;
                world.after(MS * 2, SimEvent::Fault(Fault::StreamCut { host, forget: true }));
            } else {
                let delay = world.rng.millis(1500, 9000);
                world.after(delay, SimEvent::Fault(Fault::Crash { which }));
            }
            sent
        }
        Fault::Pause { which, lasts } => {
            let paused = !snapshot(world, which).hung && person(world, which, Verb::Pause);
            if paused {
                later(world, which, lasts, Verb::Unpause);
            }
            paused
        }
        Fault::Rename { which } => {
            let name = format!("{}x", snapshot(world, which).name);
            let renamed = person(world, which, Verb::Rename(name));
            if renamed {
                let delay = world.rng.millis(1500, 9000);
                world.after(delay, SimEvent::Fault(Fault::Crash { which }));
            }
            renamed
        }
        Fault::Recreate { which } => recreate(world, which),
        Fault::Ask { which, above, wish } => {
            let subject = asks::subject_above(world, which, above);
            asks::ask(world, subject, wish);
            let delay = world.rng.millis(1000, 4000);
            world.after(delay, SimEvent::Fault(Fault::Crash { which }));
            false // counted when it is asked
        }
        Fault::LateOrder {
            which,
            above,
            lasts,
            restart,
        } => {
            let subject = asks::subject_above(world, which, above);
            late_order(world, which.host, subject, lasts, restart)
        }
        _ => false,
    }
}

/// As compose 1.29 does it: stop, rename, create, start, remove.
fn recreate(world: &mut World, which: Which) -> bool {
    let before = snapshot(world, which);
    let joined = !world.hosts[which.host].engine.spec(which.place).joins.is_empty();
    if joined || before.hung || !person(world, which, Verb::Stop(None)) {
        return false;
    }
    let old = format!("{}_{}", &before.id[..12], before.name);
    let steps = [
        PersonStep::Call(before.name.clone(), Verb::Rename(old.clone())),
        PersonStep::Recreate {
            old: old.clone(),
            name: before.name.clone(),
        },
        PersonStep::Call(before.name, Verb::Start),
        PersonStep::Call(old, Verb::Remove { force: true }),
    ];
    let mut after = COMPOSE_STOPS;
    for step in steps {
        world.after(after, SimEvent::Step(which.host, step));
        after += world.rng.millis(30, 300);
    }
    true
}

/// A step of a person's longer work.
pub(super) fn step(world: &mut World, h: usize, step: PersonStep) {
    let now = world.now;
    match step {
        PersonStep::Call(name, verb) => {
            let down = matches!(verb, Verb::Stop(_));
            let place = world.hosts[h].engine.find_name(&name);
            let can = place.is_some_and(|place| !down || runs(world, Which { host: h, place }));
            if can && world.hosts[h].powered && !world.hosts[h].going_down {
                api::person(world, h, &name, verb);
            }
        }
        PersonStep::Recreate { old, name } => {
            let Some(place) = world.hosts[h].engine.find_name(&old) else {
                return;
            };
            let spec = Spec {
                id: String::new(),
                name,
                ..world.hosts[h].engine.spec(place).clone()
            };
            if world.engine(h).create(now, spec).is_err() {
                world.counted("recreate_failed");
            }
        }
        PersonStep::Behaves(place) => world.engine(h).set_program(place, Program::default()),
        PersonStep::ChecksWork => load::checks_work(world.engine(h), now),
        PersonStep::CapturesCome => captures::come(world, h),
        PersonStep::FlagReadable => world.engine(h).set_flag_readable(true),
    }
}

fn late_order(world: &mut World, h: usize, subject: SubjectId, lasts: Duration, restart: bool) -> bool {
    let hold = Wish::Hold(Duration::from_secs(20));
    if world.now < world.hosts[h].orders_held_until || !asks::ask(world, subject, hold) {
        return false;
    }
    world.hosts[h].orders_held_until = world.now + lasts;
    world.hosts[h].below = world.rng.chance(500);
    world.after(lasts, SimEvent::OrdersReleased(h));
    if restart {
        let lasts = MS * 300;
        world.after(MS * 200, SimEvent::Fault(Fault::KillManager { lasts }));
    }
    false // counted when it arrives
}

fn of_engine(world: &mut World, fault: Fault) -> bool {
    let now = world.now;
    match fault {
        Fault::StreamCut { host, forget } => {
            if forget {
                world.engine(host).forget_events();
                world.saw(Observation::EventsForgotten { host, until: now });
            }
            let there = world.hosts[host].child.exists();
            if there {
                api::break_stream(world, host, "the connection broke");
            }
            there
        }
        Fault::LostAnswer { host } => {
            world.hosts[host].api.lose_answers = 1;
            false // counted when an answer is lost
        }
        Fault::EngineIll { host, lasts } => {
            api::engine_ill(world, host, lasts);
            true
        }
        Fault::EngineKill { host, lasts } => {
            let killed = world.hosts[host].powered && world.engine(host).daemon_killed();
            if killed {
                world.after(lasts, SimEvent::EngineStarts(host));
            }
            killed
        }
        Fault::EngineTerm { host, lasts } => {
            let ends = world.hosts[host].powered && world.engine(host).daemon_terminated(now);
            if ends {
                world.after(lasts + ENGINE_ENDS_WITHIN, SimEvent::EngineStarts(host));
            }
            ends
        }
        Fault::ChecksFail { host, lasts, overload } => {
            load::checks_fail(world.engine(host), now, overload);
            world.after(lasts, SimEvent::Step(host, PersonStep::ChecksWork));
            let until = now + lasts;
            world.saw(Observation::ChecksFail { host, until, overload });
            true
        }
        Fault::FlagUnreadable { host, lasts } => {
            world.engine(host).set_flag_readable(false);
            world.after(lasts, SimEvent::Step(host, PersonStep::FlagReadable));
            let until = now + lasts;
            world.saw(Observation::FlagUnreadable { host, until });
            true
        }
        _ => false,
    }
}

fn of_machine(world: &mut World, fault: Fault) -> bool {
    let now = world.now;
    match fault {
        Fault::PowerCut { host, lasts } => lifecycle::power_cut(world, host, lasts),
        Fault::Shutdown { host, lasts, told } => shut_down(world, host, lasts, told),
        Fault::ClockSet { host, offset_ms } => {
            world.hosts[host].clock.set_wall(offset_ms);
            world.engine(host).set_clock_offset_ns(offset_ms * 1_000_000);
            world.saw(Observation::ClockSet { host });
            world.hosts[host].powered
        }
        Fault::DiskFull { host, lasts } => {
            world.hosts[host].disk.fills_until(now + lasts);
            true
        }
        _ => false,
    }
}

fn shut_down(world: &mut World, h: usize, lasts: Duration, told: bool) -> bool {
    let host = &mut world.hosts[h];
    let held = host.backlog.is_some() || !host.held.is_empty();
    if !host.powered || host.going_down || held || !host.engine.answers() {
        return false;
    }
    host.going_down = true;
    let (epoch, child) = (host.host.epoch(), host.child.epoch());
    let child_told = told.then_some(child);
    world.saw(Observation::GoesDown {
        host: h,
        child: child_told,
    });
    excuse(world, h, Excuse::Suspicion, lasts);
    // Something ends by itself in the last moment.
    let place = world.rng.range(0, world.hosts[h].engine.len() as u64) as usize;
    let which = Which { host: h, place };
    if told {
        world.after(Duration::ZERO, SimEvent::ToHost(h, epoch, HostInput::HostShutdown));
        if world.bug != Some(Bug::ShutdownUntold) {
            world.after(
                Duration::ZERO,
                SimEvent::ToChild(h, child, ContainerInput::HostShutdown),
            );
        }
        world.after(MS * 100, SimEvent::Fault(Fault::Crash { which }));
    } else {
        // Its repair keeps the container-watchdog, which sees the engine end the others meanwhile.
        let (lasts, breaks) = (Duration::from_secs(1), false);
        world.after(
            Duration::ZERO,
            SimEvent::Fault(Fault::SlowStart { which, lasts, breaks }),
        );
        world.after(MS * 100, SimEvent::ToHost(h, epoch, HostInput::Stop));
        world.after(MS * 100, SimEvent::ToChild(h, child, ContainerInput::Stop));
    }
    world.after(MS * 200, SimEvent::EngineEnds(h));
    let fault = Fault::PowerCut { host: h, lasts };
    world.after(MS * 1500, SimEvent::Fault(fault));
    true
}

fn kill_child(world: &mut World, h: usize) -> bool {
    let ran = world.hosts[h].child.runs();
    if ran {
        excuse(world, h, Excuse::ChildKill, Duration::ZERO);
        lifecycle::child_gone(world, h, ChildExit::Signal(9));
    }
    ran
}

fn of_watchdogs(world: &mut World, fault: Fault) -> bool {
    match fault {
        Fault::KillChild { host } => kill_child(world, host),
        Fault::FreezeChild { host, lasts } => {
            excuse(world, host, Excuse::ChildKill, Duration::ZERO);
            lifecycle::freeze(world, Node::Child(host), lasts)
        }
        Fault::KillHost { host, lasts } => {
            let ran = world.hosts[host].host.runs();
            if ran {
                excuse(world, host, Excuse::Suspicion, lasts);
                lifecycle::kill(world, Node::Host(host));
                world.after(lasts, SimEvent::Start(Node::Host(host)));
            }
            ran
        }
        Fault::FreezeHost { host, lasts } => {
            excuse(world, host, Excuse::Suspicion, lasts);
            lifecycle::freeze(world, Node::Host(host), lasts)
        }
        Fault::StopHost { host, lasts } => stop_host(world, host, lasts),
        Fault::KillManager { lasts } => {
            let ran = world.manager.runs();
            if ran {
                lifecycle::kill(world, Node::Manager);
                world.after(lasts, SimEvent::Start(Node::Manager));
            }
            ran
        }
        Fault::FreezeManager { lasts } => lifecycle::freeze(world, Node::Manager, lasts),
        _ => false,
    }
}

fn stop_host(world: &mut World, h: usize, lasts: Duration) -> bool {
    // A goodbye that is held back would come out of its time.
    let host = &mut world.hosts[h];
    let held = host.backlog.is_some() || !host.held.is_empty() || host.held_by_path;
    if held || !host.host.runs() || host.back_after.is_some() {
        return false;
    }
    host.back_after = Some(lasts);
    let epoch = host.host.epoch();
    // The child has ten seconds to leave, then it is killed.
    let leaves = Duration::from_secs(10);
    excuse(world, h, Excuse::ChildKill, leaves);
    excuse(world, h, Excuse::Suspicion, leaves + lasts);
    world.after(Duration::ZERO, SimEvent::ToHost(h, epoch, HostInput::Stop));
    true
}
