//! One simulated host: its machine, its engine, its two watchdogs, the disk between their lives, and what faults do to it.

use crate::log::CallId;
use crate::state::clock::Clock;
use crate::state::disk::Disk;
use crate::state::engine::Engine;
use crate::state::network::Connection;
use crate::state::process::Process;
use std::collections::BTreeMap;
use watchtree_core::container::io::EngineCall;
use watchtree_core::container::{ContainerAgent, ContainerSettings};
use watchtree_core::host::HostAgent;
use watchtree_core::id::NodeName;
use watchtree_core::incident::Incident;
use watchtree_core::message::Envelope;
use watchtree_core::order::OrderAnswer;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Duration, Moment};

/// A call of a container-watchdog that the engine has not finished, or whose answer is not there yet.
#[derive(Clone, Debug)]
pub(crate) struct OpenCall {
    pub(crate) id: String,
    pub(crate) call: EngineCall,
    /// Its caller still waits.
    pub(crate) waits: bool,
}

/// What is wrong with the way to the engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiFaults {
    /// Lists, inspects and probes get no answer until then.
    pub(crate) ill_until: Moment,
    /// Answers to calls that are lost.
    pub(crate) lose_answers: u32,
    /// The connection of the next call to this container breaks while the call is under way.
    pub(crate) break_call: Option<usize>,
    /// No call is answered before its deadline.
    pub(crate) keeps_answers: bool,
    /// The connection of every `/start` breaks before its answer.
    pub(crate) breaks_starts: bool,
    /// The same of every `/stop`.
    pub(crate) breaks_stops: bool,
    /// A filter before the socket lets no call through that changes something.
    pub(crate) forbids_posts: bool,
    /// Subscriptions are taken and never answered.
    pub(crate) events_hang: bool,
    /// So many inspects are not answered in time.
    pub(crate) late_inspects: u32,
    /// Reading the manual-stop flag takes that long; `None` = as usual.
    pub(crate) flag_takes: Option<Duration>,
    /// The list takes that long; `None` = as usual.
    pub(crate) list_takes: Option<Duration>,
    /// What becomes of captures.
    pub(crate) captures: CaptureFault,
    /// The processes of containers cannot be seen by the watchdogs.
    pub(crate) hides_processes: bool,
    /// Why no probe can be run.
    pub(crate) probes_fail: Option<String>,
    /// Nothing tells the watchdogs how busy the machine is.
    pub(crate) hides_load: bool,
    /// A planted defect: a probe that cannot be run is told as one that failed.
    pub(crate) invents_failures: bool,
}

/// What becomes of what a container-watchdog captures of a container.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum CaptureFault {
    /// It comes as it should.
    #[default]
    None,
    /// It comes after that time.
    Late(Duration),
    /// It never comes.
    Never,
}

/// A process of a container, held by a container-watchdog.
#[derive(Clone, Debug)]
pub(crate) struct HeldProcess {
    /// Of the holder.
    pub(crate) epoch: u64,
    pub(crate) id: String,
    pub(crate) pid: u32,
}

/// See the top of this file.
pub(crate) struct Host {
    pub(crate) name: NodeName,
    pub(crate) clock: Clock,
    pub(crate) engine: Engine,
    /// When the engine is to be woken.
    pub(crate) engine_wake: Option<Moment>,
    /// The epoch of the container-watchdog that has read the load of the machine last.
    pub(crate) load_read_by: Option<u64>,
    /// A host-watchdog is started at its boot.
    pub(crate) has_watchdog: bool,
    pub(crate) host: Process<HostAgent>,
    pub(crate) child: Process<ContainerAgent>,
    /// How its container-watchdog is set up; identity, seed and clocks are set at each start.
    pub(crate) settings: ContainerSettings,
    pub(crate) disk: Disk,
    pub(crate) powered: bool,
    pub(crate) pid: u32,
    /// The present subscription, and whether it is open.
    pub(crate) subscription: (u64, bool),
    pub(crate) calls: BTreeMap<CallId, OpenCall>,
    pub(crate) api: ApiFaults,
    /// Processes of its containers that its container-watchdog holds.
    pub(crate) held_processes: Vec<HeldProcess>,
    /// Frames to the manager are held back here.
    pub(crate) backlog: Option<Vec<Envelope>>,
    /// Held-back frames that trickle out.
    pub(crate) held: Vec<Envelope>,
    /// Frames to and from the manager are lost until then.
    pub(crate) cut_until: Moment,
    /// The path to the manager carries nothing until then; the connection lives.
    pub(crate) stalled_until: Moment,
    /// What was sent while it carried nothing has not arrived yet.
    pub(crate) held_by_path: bool,
    pub(crate) up: Connection,
    pub(crate) down: Connection,
    /// Frames between its two watchdogs are lost, late or doubled until then.
    pub(crate) ipc_bad_until: Moment,
    /// What its host-watchdog told a person and did not end, as it would find it at its next start.
    pub(crate) alerts: BTreeMap<SubjectId, Incident>,
    /// The machine goes down.
    pub(crate) going_down: bool,
    /// Its host-watchdog was asked to stop and comes back this long after it did.
    pub(crate) back_after: Option<Duration>,
    /// Orders are held back until then, on the way to this host or, with `below`, from its host-watchdog to its child.
    pub(crate) orders_held_until: Moment,
    pub(crate) below: bool,
    pub(crate) held_orders: Vec<Envelope>,
    /// A person will stop this container while its repair is under way.
    pub(crate) ambush: Option<usize>,
    /// Of the up-link: grows with every reconnect.
    pub(crate) connection: u64,
    /// Where a planted defect judges frames by their receipt: the slot of the first, and when it came.
    pub(crate) slot_shift: Option<(Moment, Moment)>,
    /// Answers of its container-watchdog to orders of people on the machine.
    pub(crate) local_answers: Vec<OrderAnswer>,
    /// Its container-watchdog dies once so many records were written.
    pub(crate) dies_after_records: Option<usize>,
    /// Its container-watchdog ended in order.
    pub(crate) child_stopped: bool,
}

impl Host {
    /// A host whose machine booted at `zero` and whose watchdogs do not run yet.
    pub(crate) fn new(name: NodeName, clock: Clock, engine: Engine, settings: ContainerSettings, pid: u32) -> Self {
        Self {
            name,
            clock,
            engine,
            engine_wake: None,
            load_read_by: None,
            has_watchdog: true,
            host: Process::empty(),
            child: Process::empty(),
            settings,
            disk: Disk::default(),
            powered: true,
            pid,
            subscription: (0, false),
            calls: BTreeMap::new(),
            api: ApiFaults::default(),
            held_processes: Vec::new(),
            backlog: None,
            held: Vec::new(),
            cut_until: Moment::ZERO,
            stalled_until: Moment::ZERO,
            held_by_path: false,
            alerts: BTreeMap::new(),
            up: Connection::default(),
            down: Connection::default(),
            ipc_bad_until: Moment::ZERO,
            going_down: false,
            back_after: None,
            orders_held_until: Moment::ZERO,
            below: false,
            held_orders: Vec::new(),
            ambush: None,
            connection: 0,
            slot_shift: None,
            local_answers: Vec::new(),
            dies_after_records: None,
            child_stopped: false,
        }
    }

    /// Does the path between it and the manager carry anything?
    pub(crate) fn path_is_open(&self, now: Moment) -> bool {
        self.cut_until <= now && self.stalled_until <= now
    }

    /// Name of its container-watchdog.
    pub(crate) fn child_name(&self) -> NodeName {
        NodeName::new(&format!("{}.docker.watchdog", self.name)).expect("a host's name and a short suffix")
    }

    /// Its engine as a subject.
    pub(crate) fn engine_subject(&self) -> SubjectId {
        SubjectId::new(&format!("{}/docker", self.name)).expect("a short plain path")
    }

    /// The subject that a container of that name is.
    pub(crate) fn subject(&self, container: &str) -> SubjectId {
        SubjectId::new(&format!("{}/docker/{container}", self.name)).expect("plain names")
    }
}
