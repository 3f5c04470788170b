//! The way between a container-watchdog and its engine: streams, lists, inspects, calls, and what goes wrong on it.

use crate::log::{CallId, Excuse, Node, Observation, PersonAct, StartedBy};
use crate::scheduler::event::SimEvent;
use crate::scheduler::host::{HeldProcess, OpenCall};
use crate::scheduler::sabotage::Bug;
use crate::scheduler::world::{Hop, World};
use crate::state::engine::{Asker, Out, Verb, shim};
use watchtree_core::container::io::{
    ContainerId, ContainerInput, ContainerView, EngineCall, EngineError, EngineEvent, EngineTime, EventAction,
    ListEntry, Performed, ProcessSeen, RunState, ShimSeen, TaskState, Ticket,
};
use watchtree_core::time::{Duration, Moment};

/// A caller waits this long for an inspect, as `watchtree-docker` does.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);
/// How often an inspect that waits looks whether the start before it is over.
const LOCK_ASKED_EVERY: Duration = Duration::from_millis(20);
/// How soon the kernel tells of an end.
pub(super) const KERNEL_TELLS: Duration = Duration::from_millis(1);
/// Tickets of calls that a planted defect posts anew: a core's own never grow that far.
const AGAIN: u64 = 1 << 40;

pub(super) fn to_child(world: &mut World, h: usize, after: Duration, input: ContainerInput) {
    let epoch = world.hosts[h].child.epoch();
    world.after(after, SimEvent::ToChild(h, epoch, input));
}

/// What an engine that serves nobody answers.
fn silence(world: &World, h: usize) -> Option<EngineError> {
    if !world.hosts[h].engine.answers() {
        return Some(EngineError::Unreachable(
            "connection refused: is the engine running?".into(),
        ));
    }
    (world.now < world.hosts[h].api.ill_until).then_some(EngineError::Deadline)
}

// --- events ---

/// A subscription is asked for; an older one is dropped.
pub(super) fn subscribe(world: &mut World, h: usize, since: Option<EngineTime>) {
    close_stream(world, h);
    if !world.hosts[h].api.events_hang {
        let (number, delay) = (world.hosts[h].subscription.0, world.takes(Hop::Subscribe));
        world.after(delay, SimEvent::StreamOpens(h, number, since));
    }
}

fn close_stream(world: &mut World, h: usize) {
    let (number, open) = world.hosts[h].subscription;
    world.hosts[h].subscription = (number + 1, false);
    world.hosts[h].engine.set_stream_open(false);
    if open {
        world.saw(Observation::StreamClosed { host: h });
    }
}

/// The stream breaks, and its reader hears it.
pub(crate) fn break_stream(world: &mut World, h: usize, why: &str) {
    close_stream(world, h);
    let input = ContainerInput::StreamEnded { why: why.into() };
    to_child(world, h, Duration::from_millis(1), input);
}

/// The reader is gone.
pub(super) fn drop_stream(world: &mut World, h: usize) {
    close_stream(world, h);
}

/// The stream stays open, and nothing comes through it any more.
pub(crate) fn deafen_stream(world: &mut World, h: usize) {
    world.hosts[h].subscription.1 = false;
}

pub(super) fn stream_opens(world: &mut World, h: usize, number: u64, since: Option<EngineTime>) {
    if world.hosts[h].subscription.0 != number || !world.hosts[h].powered {
        return;
    }
    if !world.hosts[h].engine.answers() {
        let why = "connection refused: is the engine running?".to_string();
        return to_child(world, h, Duration::ZERO, ContainerInput::StreamEnded { why });
    }
    world.hosts[h].subscription.1 = true;
    world.hosts[h].engine.set_stream_open(true);
    world.saw(Observation::StreamOpened { host: h });
    let began = world.hosts[h].engine.began();
    to_child(world, h, Duration::ZERO, ContainerInput::StreamOpened { began });
    let remembered = since.map(|since| world.hosts[h].engine.events_since(since));
    for event in remembered.unwrap_or_default() {
        if let Some(event) = event.for_watchdog() {
            event_to_child(world, h, event);
        }
    }
}

fn event_to_child(world: &mut World, h: usize, event: EngineEvent) {
    let of_person = matches!(event.action, EventAction::Kill { .. } | EventAction::Stop);
    let hidden = match world.bug {
        Some(Bug::PersonUnheard) => of_person,
        Some(Bug::EndsHidden) => matches!(event.action, EventAction::Die { .. }),
        _ => false,
    };
    if !world.hosts[h].subscription.1 || hidden {
        return;
    }
    let delay = world.takes(Hop::Event);
    // The engine writes events and answers to two sockets; only events keep their order among themselves.
    let at = world.wire(Node::Child(h), Node::Child(h), delay);
    let number = world.hosts[h].subscription.0;
    world.at(at, SimEvent::EventArrives(h, number, event));
}

/// An event arrives; true if somebody still reads that stream.
pub(super) fn event_arrives(world: &mut World, h: usize, number: u64, event: EngineEvent) {
    if world.hosts[h].subscription.0 != number {
        return;
    }
    if world.hosts[h].child.runs() {
        let event = event.clone();
        world.saw(Observation::EventTaken { host: h, event });
    }
    to_child(world, h, Duration::ZERO, ContainerInput::Event(event));
}

// --- reading ---

pub(super) fn list_read(world: &mut World, h: usize, epoch: u64) {
    let list = match silence(world, h) {
        Some(error) => Err(error),
        None => Ok(list(world, h)),
    };
    world.after(
        Duration::ZERO,
        SimEvent::ToChild(h, epoch, ContainerInput::Listed(list)),
    );
}

/// The list, where a planted defect does not hide what ended.
fn list(world: &World, h: usize) -> Vec<ListEntry> {
    let mut list = world.hosts[h].engine.list();
    if world.bug == Some(Bug::EndsHidden) {
        list.iter_mut().for_each(|entry| entry.run = RunState::Running);
    }
    list
}

/// A container is inspected.
pub(super) fn inspect(world: &mut World, h: usize, id: ContainerId) {
    let epoch = world.hosts[h].child.epoch();
    if 0 < world.hosts[h].api.late_inspects {
        world.hosts[h].api.late_inspects -= 1;
        let result = Err(EngineError::Deadline);
        return to_child(world, h, INSPECT_WITHIN, ContainerInput::Inspected { id, result });
    }
    let (delay, asked) = (world.takes(Hop::Inspect), world.now);
    world.after(delay, SimEvent::InspectRead(h, epoch, id, asked));
}

pub(super) fn inspect_read(world: &mut World, h: usize, epoch: u64, id: ContainerId, asked: Moment) {
    let late = INSPECT_WITHIN <= world.now.since(asked);
    if !late && world.hosts[h].engine.is_locked(&id) {
        return world.after(LOCK_ASKED_EVERY, SimEvent::InspectRead(h, epoch, id, asked));
    }
    let result = match (late, silence(world, h)) {
        (true, _) => Err(EngineError::Deadline),
        (_, Some(error)) => Err(error),
        _ if world.bug == Some(Bug::EndsHidden) => world.hosts[h].engine.inspect(&id).map(|view| ContainerView {
            run: RunState::Running,
            ..view
        }),
        _ if world.bug == Some(Bug::DependenciesHidden) => world.hosts[h].engine.inspect(&id).map(|mut view| {
            view.labels.remove("watchtree.depends-on");
            view
        }),
        _ => world.hosts[h].engine.inspect(&id),
    };
    let input = ContainerInput::Inspected { id, result };
    world.after(Duration::ZERO, SimEvent::ToChild(h, epoch, input));
}

/// The manual-stop flag is read from the disk, daemon or not.
pub(super) fn read_flag(world: &mut World, h: usize, id: ContainerId) {
    let epoch = world.hosts[h].child.epoch();
    let usual = world.takes(Hop::Inspect);
    let delay = world.hosts[h].api.flag_takes.unwrap_or(usual);
    world.after(delay, SimEvent::FlagRead(h, epoch, id));
}

pub(super) fn flag_read(world: &mut World, h: usize, epoch: u64, id: ContainerId) {
    let mut manually_stopped = world.hosts[h].engine.manual_stop_flag(&id);
    if world.bug == Some(Bug::PersonUnheard) {
        manually_stopped = manually_stopped.map(|_| false);
    }
    let input = ContainerInput::StopMark { id, manually_stopped };
    world.after(Duration::ZERO, SimEvent::ToChild(h, epoch, input));
}

// --- the kernel ---

/// A process is to be held.
pub(super) fn hold_process(world: &mut World, h: usize, id: ContainerId, pid: u32) {
    let epoch = world.hosts[h].child.epoch();
    let host = &mut world.hosts[h];
    let seen = match host.engine.process_lives(&id, pid) && !host.api.hides_processes {
        true => ProcessSeen::Held {
            namespaces: host.engine.namespaces(&id),
        },
        false => ProcessSeen::Hidden(format!("no process {pid} here")),
    };
    if matches!(seen, ProcessSeen::Held { .. }) {
        let id = id.clone();
        host.held_processes.push(HeldProcess { epoch, id, pid });
    }
    to_child(world, h, KERNEL_TELLS, ContainerInput::Process { id, pid, seen });
}

/// How the two processes behind a container stand.
pub(super) fn look_at_shim(world: &mut World, h: usize, id: ContainerId, pid: u32) {
    let host = &world.hosts[h];
    let state = |stopped| if stopped { TaskState::Stopped } else { TaskState::Works };
    let shim = shim::of(&host.engine, &id).filter(|_| !host.api.hides_processes);
    let init = match host.engine.process_lives(&id, pid) {
        true => TaskState::Works,
        false => TaskState::Gone,
    };
    let seen = ProcessSeen::Shim(ShimSeen {
        shim: shim.map(|(shim, stopped)| (shim, state(stopped))),
        init,
    });
    to_child(world, h, KERNEL_TELLS, ContainerInput::Process { id, pid, seen });
}

pub(super) fn kill_shim(world: &mut World, h: usize, id: &str, pid: u32) {
    let (now, engine) = (world.now, world.engine(h));
    if shim::of(engine, id).is_some_and(|(shim, _)| shim == pid)
        && let Some(place) = engine.find(id)
    {
        shim::killed(engine, now, place);
    }
}

/// Tells of the processes that have ended.
fn tell_ended_processes(world: &mut World, h: usize) {
    let (epoch, engine) = (world.hosts[h].child.epoch(), &world.hosts[h].engine);
    let (lives, ended): (Vec<_>, Vec<_>) = world.hosts[h]
        .held_processes
        .iter()
        .filter(|held| held.epoch == epoch)
        .cloned()
        .partition(|held| engine.process_lives(&held.id, held.pid));
    world.hosts[h].held_processes = lives;
    for HeldProcess { id, pid, .. } in ended {
        let seen = ProcessSeen::Ended;
        to_child(world, h, KERNEL_TELLS, ContainerInput::Process { id, pid, seen });
    }
}

// --- calls ---

/// A call leaves for the engine.
pub(super) fn post(world: &mut World, h: usize, by: CallId, id: ContainerId, call: EngineCall) {
    let seen = Observation::Posted {
        host: h,
        by,
        id: id.clone(),
        call,
    };
    world.saw(seen);
    let (verb, waits) = (verb_of(call), true);
    let open = OpenCall {
        id: id.clone(),
        call,
        waits,
    };
    world.hosts[h].calls.insert(by, open);
    let id = match world.bug == Some(Bug::StopsTheNeighbour) && call != EngineCall::Start {
        true => neighbour(world, h, &id),
        false => id,
    };
    let delay = world.takes(Hop::Call);
    let (epoch, ticket) = by;
    world.after(
        delay,
        SimEvent::CallArrives(h, id, verb, Asker::Watchdog { epoch, ticket }),
    );
}

fn neighbour(world: &World, h: usize, id: &str) -> ContainerId {
    let list = world.hosts[h].engine.list();
    let mut others = list.into_iter().filter(|it| it.id != id);
    others.next_back().map_or_else(|| id.to_string(), |it| it.id)
}

fn verb_of(call: EngineCall) -> Verb {
    match call {
        EngineCall::Start => Verb::Start,
        EngineCall::Stop { timeout_secs } => Verb::Stop(Some(Duration::from_secs(u64::from(timeout_secs)))),
    }
}

pub(super) fn call_arrives(world: &mut World, h: usize, id: ContainerId, verb: Verb, asker: Asker) {
    if !world.hosts[h].powered {
        return;
    }
    let Asker::Watchdog { epoch, ticket } = asker else {
        return;
    };
    let by = (epoch, ticket);
    if let Some(call) = world.hosts[h].calls.get(&by).map(|open| open.call) {
        let (host, id) = (h, id.clone());
        world.saw(Observation::Arrived { host, id, call });
    }
    if world.hosts[h].api.forbids_posts {
        let (status, message) = (403, "Forbidden".to_string());
        return call_answered(world, h, asker, Err(EngineError::Refused { status, message }));
    }
    let (now, found) = (world.now, world.hosts[h].engine.find(&id));
    let (starts, stops) = (verb == Verb::Start, matches!(verb, Verb::Stop(_)));
    world.engine(h).call(now, &id, verb, asker);
    let api = &mut world.hosts[h].api;
    if (starts && api.breaks_starts) || (stops && api.breaks_stops) {
        let after = Duration::from_millis(10);
        world.after(after, SimEvent::ConnectionBreaks(h, by));
    } else if found.is_some() && found == api.break_call {
        api.break_call = None;
        let delay = world.rng.millis(50, 900);
        world.after(delay, SimEvent::ConnectionBreaks(h, by));
    }
}

/// The engine answers a call: the work is over, whether or not the caller still hears of it.
fn call_answered(world: &mut World, h: usize, asker: Asker, result: Result<Performed, EngineError>) {
    let Asker::Watchdog { epoch, ticket } = asker else {
        return;
    };
    let by = (epoch, ticket);
    let answer = result.clone();
    world.saw(Observation::Finished { host: h, by, answer });
    if world.hosts[h].api.keeps_answers {
        return;
    }
    let Some(open) = world.hosts[h].calls.remove(&by).filter(|open| open.waits) else {
        return; // its connection broke before
    };
    if 0 < world.hosts[h].api.lose_answers && world.hosts[h].child.epoch() == epoch {
        world.hosts[h].api.lose_answers -= 1;
        world.counted("lost_answer");
        return broken(world, h, by, open);
    }
    let delay = world.takes(Hop::Answer);
    let ticket = Ticket(ticket);
    let input = ContainerInput::Performed { ticket, result };
    world.after(delay, SimEvent::ToChild(h, epoch, input));
}

/// The caller hears that its connection broke. The defect `PostedAgain` takes that for a call that was not carried out.
fn broken(world: &mut World, h: usize, by: CallId, open: OpenCall) {
    world.saw(Observation::Lost { host: h, by });
    let (epoch, ticket) = by;
    if world.bug == Some(Bug::PostedAgain) && ticket < AGAIN {
        post(world, h, (epoch, AGAIN + ticket), open.id, open.call);
    }
    let delay = world.takes(Hop::Answer);
    let input = ContainerInput::Performed {
        ticket: Ticket(ticket),
        result: Err(EngineError::BadAnswer("the connection broke before the answer".into())),
    };
    world.after(delay, SimEvent::ToChild(h, epoch, input));
}

/// The connection of a call that is still under way breaks; the engine goes on with it.
pub(super) fn connection_breaks(world: &mut World, h: usize, by: CallId) {
    let same_life = world.hosts[h].child.epoch() == by.0;
    let Some(open) = world.hosts[h].calls.get_mut(&by).filter(|open| open.waits && same_life) else {
        return;
    };
    open.waits = false;
    let open = open.clone();
    world.counted("broken_call");
    broken(world, h, by, open);
}

/// A call's deadline passes; said once, if the answer is still out.
pub(super) fn call_deadline(world: &mut World, h: usize, epoch: u64, ticket: Ticket) {
    let by = (epoch, ticket.0);
    if !world.hosts[h].calls.get(&by).is_some_and(|open| open.waits) {
        return;
    }
    world.counted("call_deadline");
    world.saw(Observation::Lost { host: h, by });
    let result = Err(EngineError::Deadline);
    let input = ContainerInput::Performed { ticket, result };
    world.after(Duration::ZERO, SimEvent::ToChild(h, epoch, input));
}

// --- people ---

/// A person's call on the container of that name. True if there is one.
pub(crate) fn person(world: &mut World, h: usize, name: &str, verb: Verb) -> bool {
    let Some(place) = world.hosts[h].engine.find_name(name) else {
        return false;
    };
    if !world.hosts[h].engine.answers() {
        return false;
    }
    let snapshot = world.hosts[h].engine.snapshot(place);
    let (id, now) = (snapshot.id, world.now);
    let act = match &verb {
        Verb::Stop(_) | Verb::Remove { .. } => Some(PersonAct::Down),
        Verb::Kill(signal) => Some(match [2, 3, 9, 15].contains(signal) {
            true => PersonAct::Down,
            false => PersonAct::Signal,
        }),
        Verb::Start | Verb::Restart(_) => Some(PersonAct::Up),
        Verb::Pause => Some(PersonAct::Pause(true)),
        Verb::Unpause => Some(PersonAct::Pause(false)),
        Verb::Rename(_) | Verb::Update(_) | Verb::ExecKill(_) => None,
    };
    world.engine(h).call(now, &id, verb, Asker::Person(0));
    let event = world.hosts[h].engine.newest_event();
    if let Some(act) = act {
        world.saw(Observation::Person {
            host: h,
            place,
            act,
            event,
        });
    }
    true
}

// --- the engine speaks ---

/// Passes on what an engine said: events to whoever listens, answers to whoever asked; and sets its timer.
pub(super) fn hear_engine(world: &mut World, h: usize) {
    for out in world.hosts[h].engine.drain() {
        match out {
            Out::Event(event) => {
                if let Some(event) = event.for_watchdog() {
                    event_to_child(world, h, event);
                }
            }
            Out::Answered(asker, result) => call_answered(world, h, asker, result),
            Out::Started { place, by } => {
                let by = match by {
                    Asker::Watchdog { .. } => StartedBy::Watchdog,
                    Asker::Person(_) => StartedBy::Person,
                    Asker::Policy | Asker::Daemon => StartedBy::Engine,
                };
                world.saw(Observation::Started { host: h, place, by });
            }
            Out::DaemonEnded => daemon_ended(world, h),
            Out::DaemonReady => world.saw(Observation::EngineReady { host: h }),
        }
    }
    for (place, now) in world.hosts[h].engine.drain_changed() {
        world.saw(Observation::Container { host: h, place, now });
    }
    tell_ended_processes(world, h);
    let (due, wake) = (world.hosts[h].engine.next_deadline(), world.hosts[h].engine_wake);
    if let Some(due) = due.filter(|due| wake.is_none_or(|wake| *due < wake || wake < world.now)) {
        world.hosts[h].engine_wake = Some(due);
        world.at(due, SimEvent::EngineDue(h));
    }
}

fn daemon_ended(world: &mut World, h: usize) {
    world.saw(Observation::EngineEnded { host: h });
    let until = world.now;
    world.saw(Observation::EventsForgotten { host: h, until });
    let calls = std::mem::take(&mut world.hosts[h].calls);
    if world.hosts[h].powered {
        break_stream(world, h, "the engine went");
        for (by, open) in calls {
            if open.waits && by.0 == world.hosts[h].child.epoch() {
                broken(world, h, by, open);
            }
        }
    }
}

/// The engine does what is due.
pub(super) fn engine_due(world: &mut World, h: usize) {
    world.hosts[h].engine_wake = None;
    let now = world.now;
    world.engine(h).advance(now);
}

/// The engine answers nobody until then.
pub(super) fn engine_ill(world: &mut World, h: usize, lasts: Duration) {
    let until = world.now + lasts;
    world.hosts[h].api.ill_until = until;
    let excuse = Excuse::Engine;
    world.saw(Observation::Excused { host: h, excuse, until });
}
