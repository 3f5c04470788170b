//! What may happen at some moment of a run: the entries of its one queue.

use crate::log::{CallId, Node};
use crate::scheduler::fault::Fault;
use watchtree_core::container::io::{ContainerId, ContainerInput, EngineEvent, EngineTime, Ticket};
use watchtree_core::host::io::HostInput;
use watchtree_core::manager::io::ManagerInput;
use watchtree_core::message::Envelope;
use watchtree_core::time::Moment;

use crate::state::engine::{Asker, Verb};

/// See the top of this file. Numbers beside a host are epochs: what was meant for an older process is dropped.
pub(crate) enum SimEvent {
    /// A timer rings.
    Ring(Node),
    /// An input for the manager of that epoch.
    ToManager(u64, ManagerInput),
    /// An input for a host-watchdog of that epoch.
    ToHost(usize, u64, HostInput),
    /// An input for a container-watchdog of that epoch.
    ToChild(usize, u64, ContainerInput),
    /// The subscription of that number opens.
    StreamOpens(usize, u64, Option<EngineTime>),
    /// An event arrives on that subscription.
    EventArrives(usize, u64, EngineEvent),
    /// The engine reads out its list.
    ListRead(usize, u64),
    /// The engine inspects a container, asked at that moment.
    InspectRead(usize, u64, ContainerId, Moment),
    /// The manual-stop flag is read.
    FlagRead(usize, u64, ContainerId),
    /// A call reaches the engine.
    CallArrives(usize, ContainerId, Verb, Asker),
    /// A call's deadline.
    CallDeadline(usize, u64, Ticket),
    /// The connection of a call breaks.
    ConnectionBreaks(usize, CallId),
    /// The engine does what it put off.
    EngineDue(usize),
    /// The engine is told to end, its machine going down.
    EngineEnds(usize),
    /// The engine's daemon is started.
    EngineStarts(usize),
    /// A host's frame reaches the manager's machine.
    FrameUp(usize, u64, Envelope),
    /// A process is started.
    Start(Node),
    /// A process is killed.
    Kill(Node),
    /// A process thaws, if it is still that one.
    Thaw(Node, u64),
    /// A machine gets its power back.
    PowerOn(usize),
    /// Orders that were held back arrive.
    OrdersReleased(usize),
    /// A held-back frame is let through.
    Trickle(usize),
    /// That process tries whether the disk takes its journal again.
    JournalAgain(usize, u64),
    /// The path between a host and the manager may be open again.
    PathOpens(usize),
    /// A fault.
    Fault(Fault),
    /// A step of a person's longer work on a container.
    Step(usize, PersonStep),
    /// A quarter of a second has passed.
    Tick,
}

/// What a person or compose does next.
#[derive(Clone, Debug)]
pub(crate) enum PersonStep {
    /// A call on the container of that name.
    Call(String, Verb),
    /// Compose makes the successor of the container of that (temporary) name, under this name, and starts it.
    Recreate {
        /// The old one's name by now.
        old: String,
        /// The new one's.
        name: String,
    },
    /// The program at that place behaves as usual from here on.
    Behaves(usize),
    /// Nothing outside the containers lets their health checks fail any longer.
    ChecksWork,
    /// The manual-stop flag can be read again.
    FlagReadable,
    /// Captures come as they should.
    CapturesCome,
}
