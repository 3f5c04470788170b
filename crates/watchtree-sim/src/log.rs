//! The log of a run: what was to be observed, in order. The scheduler writes it, the checker reads it, and neither sees the
//! other.
//!
//! Moments are the world's unless a field says otherwise. Nothing in it is a watchdog's own memory: only what watchdogs
//! record, send, say and show, what was really done to the world, and what is true of it.

use crate::state::engine::Snapshot;
use watchtree_core::container::io::{ContainerId, EngineCall, EngineError, EngineEvent, EngineTime, Performed, Record};
use watchtree_core::decision::Decision;
use watchtree_core::id::BootId;
use watchtree_core::message::Goodbye;
use watchtree_core::order::{Order, OrderAnswer};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// Which process.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Node {
    /// The manager-watchdog.
    Manager,
    /// The host-watchdog of that host.
    Host(usize),
    /// The container-watchdog of that host.
    Child(usize),
}

/// A caller and its call: epoch and ticket.
pub type CallId = (u64, u64);

/// Something seen at a moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub at: Moment,
    /// What.
    pub what: Observation,
}

/// What a person did to a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PersonAct {
    /// Wants it down: stop, kill, remove.
    Down,
    /// Wants it up: start, restart.
    Up,
    /// Froze or thawed it.
    Pause(bool),
    /// Sent it a signal of another meaning: the engine's manual-stop flag is set all the same.
    Signal,
}

/// Who started a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StartedBy {
    /// A container-watchdog.
    Watchdog,
    /// A person.
    Person,
    /// The engine: its policy, or its daemon at a start.
    Engine,
}

/// What a fault may explain from now on until some moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Excuse {
    /// A suspicion of that host.
    Suspicion,
    /// A kill of its container-watchdog.
    ChildKill,
    /// Frames between its two watchdogs that do not arrive.
    Ipc,
    /// Slow repairs: its engine answers nobody.
    Engine,
}

/// What the disk under a journal does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskChange {
    /// It refused a record: what follows is in memory only.
    Refused,
    /// It took all of it after all.
    Caught,
    /// The process ended first: only what it held before counts.
    Lost,
    /// A record of it was damaged before its reader began: that one is lost.
    Damaged,
    /// A person has looked at that.
    Seen,
}

/// What is to be seen.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "fields are named by what they are")]
pub enum Observation {
    // --- machines and engines ---
    /// A machine booted: its clock began at that moment.
    Booted { host: usize, boot: BootId, zero: Moment },
    /// Its wall clock was set.
    ClockSet { host: usize },
    /// It has no power any more.
    PowerLost { host: usize },
    /// It goes down. `child` = that process of its container-watchdog was told so, and not only to stop.
    GoesDown { host: usize, child: Option<u64> },
    /// The engine's daemon ended, and with it its calls.
    EngineEnded { host: usize },
    /// It answers again.
    EngineReady { host: usize },
    /// What is true of a container has changed.
    Container { host: usize, place: usize, now: Snapshot },
    /// A container was started.
    Started { host: usize, place: usize, by: StartedBy },
    /// A person acted; `event` tells of it.
    Person {
        host: usize,
        place: usize,
        act: PersonAct,
        event: EngineTime,
    },
    /// The engine has forgotten its events, or has none for a time.
    EventsForgotten { host: usize, until: Moment },

    /// The engine's manual-stop flag cannot be read until then.
    FlagUnreadable { host: usize, until: Moment },
    /// No health check of that engine can be run until then, or none ends in time on its overloaded machine.
    ChecksFail { host: usize, until: Moment, overload: bool },

    // --- processes ---
    /// A process began.
    ProcessStarted { node: Node, epoch: u64 },
    /// A process is no more.
    ProcessEnded { node: Node },
    /// It was frozen.
    Frozen { node: Node },
    /// It thawed; `told` = it was told of its stall.
    Thawed { node: Node, gap: Duration, told: bool },
    /// A fault began that explains something until then.
    Excused { host: usize, excuse: Excuse, until: Moment },

    // --- container-watchdog and engine ---
    /// Its event stream opened.
    StreamOpened { host: usize },
    /// It broke.
    StreamClosed { host: usize },
    /// It took in that event.
    EventTaken { host: usize, event: EngineEvent },
    /// It wrote a record.
    Recorded { host: usize, record: Record },
    /// The disk under its journal changed.
    Disk { host: usize, change: DiskChange },
    /// It is asked whether it says that its journal cannot be written, or was damaged.
    SaysDegraded { host: usize, says: bool },
    /// It asked for a capture of a container; `holds_a_stop` = its stop comes after that.
    CaptureAsked {
        host: usize,
        id: ContainerId,
        holds_a_stop: bool,
    },
    /// It posted a call.
    Posted {
        host: usize,
        by: CallId,
        id: ContainerId,
        call: EngineCall,
    },
    /// A call reached the engine.
    Arrived {
        host: usize,
        id: ContainerId,
        call: EngineCall,
    },
    /// The engine finished a call.
    Finished {
        host: usize,
        by: CallId,
        answer: Result<Performed, EngineError>,
    },
    /// The caller has lost it: deadline or connection.
    Lost { host: usize, by: CallId },
    /// What it holds of every subject, and why.
    Holds {
        host: usize,
        verdicts: Vec<(SubjectId, State, String)>,
    },

    // --- host-watchdog ---
    /// It killed its container-watchdog.
    KilledChild { host: usize },
    /// It did something to its engine, which was ill or not.
    WorkedOnEngine { host: usize, is_ill: bool },
    /// It said goodbye; on its machine's clock.
    SaidGoodbye { host: usize, goodbye: Goodbye },

    // --- between the nodes ---
    /// The path between a host and the manager carries frames and probes, or not.
    Path { host: usize, open: bool },
    /// The host's frames are held back, or not any more.
    HeldBack { host: usize, held: bool },
    /// The manager's machine took a frame of that host, which was due and was sent at those moments.
    Heard {
        host: usize,
        hello: bool,
        slot: Moment,
        sent: Moment,
    },
    /// A watchdog was told the manager's term.
    TermTold { node: Node, epoch: u64, term: u64 },
    /// An order reached a watchdog; `expires` on the world's clock, `other_boot` = it is of another boot of the machine.
    OrderArrived {
        node: Node,
        order: Order,
        expires: Moment,
        other_boot: bool,
    },
    /// A watchdog answered an order of its own.
    OrderAnswered { node: Node, answer: OrderAnswer },
    /// A person was told that a container-watchdog holds that subject.
    SaidHeld { host: usize, subject: SubjectId },

    // --- what is decided and shown ---
    /// A host called a person about a subject, or said that it is over.
    Alerted {
        host: usize,
        subject: SubjectId,
        is_open: bool,
    },
    /// A decision was announced.
    Decided { decision: Decision },
    /// The manager changed the state of a subject.
    StateChanged {
        subject: SubjectId,
        from: State,
        to: State,
        why: String,
    },
    /// What the manager shows of a host and of what is below it.
    Shown {
        host: usize,
        state: Option<State>,
        below: Vec<(SubjectId, State)>,
    },
    /// A quarter of a second has passed.
    Tick,
    /// The faults are over since long.
    End,
}
