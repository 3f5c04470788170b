//! What the container role is told and what it wants done: the border between the brain and `watchtree-docker`.

use crate::decision::Decision;
use crate::frontend::FrontendInput;
use crate::message::{Envelope, OrderFrame, OrderInput};
use crate::order::OrderAnswer;
use crate::pressure::MachineLoad;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

pub use super::capture::{CaptureOrder, Captured, Usage};
pub use super::health_check::CheckRun;
pub use super::namespaces::{Inodes, Joins, Namespace};
pub use super::probes::spec::{Method, ProbeAnswer, ProbeOutcome, ProbeRun};
pub use super::record::{EngineLife, Record, Recovered};
pub use super::shim::{ShimSeen, TaskState};
pub use super::stamps::{ContainerId, EngineTime};

/// Names one engine call from the decision to its answer. Unique within an epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Ticket(pub u64);

/// The engine's word for what a container does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub enum RunState {
    /// Made, never started (or its start failed).
    #[default]
    Created,
    /// Running.
    Running,
    /// Frozen by `docker pause`.
    Paused,
    /// The engine waits out its back-off; `Running` is true and `Pid` 0 meanwhile.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// The engine failed to remove it.
    Dead,
}

/// State of the container's own health check.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub enum Health {
    /// It has none.
    #[default]
    None,
    /// Inside its start period.
    Starting,
    /// Last checks passed.
    Healthy,
    /// `retries` checks in a row failed; or the engine has stopped checking.
    Unhealthy,
}

/// The engine's own restart policy for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub enum RestartPolicy {
    /// The engine never restarts it.
    #[default]
    No,
    /// Always.
    Always,
    /// Always, unless a person stopped it.
    UnlessStopped,
    /// After an exit other than 0, at most `max` times (0 = without limit).
    OnFailure {
        /// Most restarts.
        max: u32,
    },
}

/// What inspect tells of a container, chosen fields only: never its environment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContainerView {
    /// Full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// What it does.
    pub run: RunState,
    /// Its init process on the host; 0 = none.
    pub pid: u32,
    /// Exit code of its last end.
    pub exit_code: i64,
    /// The engine says it was killed for memory.
    pub oom_killed: bool,
    /// Its limit of memory in bytes; 0 = none.
    pub memory_limit: u64,
    /// Why its last start failed, in the engine's words; cut to 512 bytes.
    pub error: String,
    /// The first source of a bind mount that is not there; looked for only where it was never started (the engine
    /// says nothing of such a start) and the files of the engine's machine can be seen.
    pub missing_mount: Option<String>,
    /// `StartedAt` as the engine writes it: half of its incarnation.
    pub started_at_text: String,
    /// The same as a number; 0 = never started.
    pub started_at: EngineTime,
    /// `FinishedAt`; 0 = never ended.
    pub finished_at: EngineTime,
    /// How often the engine restarted it by its policy since the last start by hand.
    pub restart_count: u64,
    /// Its health check.
    pub health: Health,
    /// Failed checks in a row.
    pub health_streak: u32,
    /// Failed checks in a row that make it unhealthy; 0 = not known.
    pub health_retries: u32,
    /// The newest runs of that row, oldest first; at most [`CheckRun::COUNT_MAX`].
    pub health_failures: Vec<CheckRun>,
    /// Start period of its health check (zero = none): the base of the grace.
    pub health_start_period: Duration,
    /// The engine's policy.
    pub restart_policy: RestartPolicy,
    /// Number of its stop signal (15 unless set).
    pub stop_signal: u32,
    /// True if the image or the container sets a stop signal.
    pub stop_signal_set: bool,
    /// Its own stop timeout; `None` = the engine's 10 s.
    pub stop_timeout: Option<Duration>,
    /// Removed by the engine when it ends.
    pub auto_remove: bool,
    /// It was made with a terminal, or with its standard input attached to whoever made it.
    pub terminal: bool,
    /// The containers whose namespaces it joins.
    pub joins: Joins,
    /// Its address in the first of its networks that has one; that of this machine itself where it is in its network.
    pub address: Option<IpAddr>,
    /// Its image, as it was named when it was made; cut to 512 bytes.
    pub image: String,
    /// The labels that begin with `watchtree.`, `autoheal` or `com.docker.compose.`, and one without its value of each
    /// owner of [`super::labels::OWNERS`]; those that a class is told by; nothing else.
    pub labels: BTreeMap<String, String>,
}

impl ContainerView {
    /// Will the engine restart it by its own policy?
    pub fn engine_restarts(&self) -> bool {
        match self.restart_policy {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { max } => max == 0 || self.restart_count < u64::from(max),
        }
    }
}

/// One line of the container list. `Inspect` follows only where this differs from what is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListEntry {
    /// Full id.
    pub id: ContainerId,
    /// Name without the leading slash.
    pub name: String,
    /// What it does.
    pub run: RunState,
    /// From the status text: `(healthy)`, `(unhealthy)`, `(health: starting)`.
    pub health: Health,
}

/// What an event says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EventAction {
    /// Made.
    Create,
    /// Started.
    Start,
    /// Its init ended.
    Die {
        /// Exit code.
        exit_code: i64,
    },
    /// Somebody had a signal sent to it through the engine.
    Kill {
        /// Number of the signal.
        signal: u32,
    },
    /// A stop was carried out.
    Stop,
    /// A restart was carried out.
    Restart,
    /// A process in it was killed for memory.
    Oom,
    /// Frozen.
    Pause,
    /// Thawed.
    Unpause,
    /// Renamed.
    Rename {
        /// Its former name.
        old_name: String,
    },
    /// Its limits or policy were changed: inspect again.
    Update,
    /// Removed.
    Destroy,
    /// The state of its health check changed.
    Health(Health),
}

impl EventAction {
    /// The word that tells two events of one nanosecond apart; also in the journal.
    pub fn word(&self) -> String {
        match self {
            Self::Create => "create".to_string(),
            Self::Start => "start".to_string(),
            Self::Die { exit_code } => format!("die:{exit_code}"),
            Self::Kill { signal } => format!("kill:{signal}"),
            Self::Stop => "stop".to_string(),
            Self::Restart => "restart".to_string(),
            Self::Oom => "oom".to_string(),
            Self::Pause => "pause".to_string(),
            Self::Unpause => "unpause".to_string(),
            Self::Rename { .. } => "rename".to_string(),
            Self::Update => "update".to_string(),
            Self::Destroy => "destroy".to_string(),
            Self::Health(health) => format!("health:{health:?}"),
        }
    }
}

/// One event of one container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EngineEvent {
    /// When, on the engine's clock.
    pub at: EngineTime,
    /// Of which container.
    pub id: ContainerId,
    /// Its name at that time.
    pub name: String,
    /// Compose project and service, if any.
    pub compose: Option<(String, String)>,
    /// What.
    pub action: EventAction,
}

/// Why an engine call gave no answer that helps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EngineError {
    /// No such container.
    NotFound,
    /// The engine refused (4xx, 5xx); its message cut to 512 bytes.
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// No answer within the deadline, body included. The call may still be under way in the engine.
    Deadline,
    /// The socket cannot be reached (no engine, no rights); in words with the cure.
    Unreachable(String),
    /// The answer could not be read.
    BadAnswer(String),
}

/// A call that changes something. Nothing else ever does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EngineCall {
    /// `POST /containers/ID/start`
    Start,
    /// `POST /containers/ID/stop?t=`
    Stop {
        /// Seconds between the stop signal and SIGKILL.
        timeout_secs: u32,
    },
}

/// A call's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Performed {
    /// 204: the engine did it.
    Done,
    /// 304: it was so already, and the engine did nothing.
    AlreadySo,
}

/// What the engine says to a call.
pub type CallAnswer = Result<Performed, EngineError>;

/// What the kernel shows of a process that was to be held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProcessSeen {
    /// It lives, it is that container's, and its end will be told.
    Held {
        /// The namespaces that it is in.
        namespaces: Inodes,
    },
    /// It cannot be held: none of that number can be seen, or it is another's; in words.
    Hidden(String),
    /// It has ended.
    Ended,
    /// Answers `LookAtShim`: how it stands, and the shim beside it.
    Shim(ShimSeen),
}

/// Everything the container role may be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ContainerInput {
    /// The event stream is open (asked for by `Subscribe`); what it still remembers follows as events.
    StreamOpened {
        /// When the engine's present life began to answer, as the engine itself tells it: later than whatever it did to the
        /// containers that it found at its start, earlier than anything that somebody asked of it. `None` = it cannot be read.
        began: Option<EngineTime>,
    },
    /// The event stream ended, or could not be opened.
    StreamEnded {
        /// In words.
        why: String,
    },
    /// One event. Events that were seen before may come again.
    Event(EngineEvent),
    /// Answers `List`.
    Listed(Result<Vec<ListEntry>, EngineError>),
    /// Answers `Inspect`.
    Inspected {
        /// Whose.
        id: ContainerId,
        /// What.
        result: Result<ContainerView, EngineError>,
    },
    /// Answers `ReadStopMark`: the engine's own note that a person stopped it; `None` = cannot be read here.
    StopMark {
        /// Whose.
        id: ContainerId,
        /// `HasBeenManuallyStopped`.
        manually_stopped: Option<bool>,
    },
    /// Answers `HoldProcess`: `Held` or `Hidden` at once, and `Ended` when it is time.
    Process {
        /// Whose.
        id: ContainerId,
        /// Which.
        pid: u32,
        /// What the kernel shows.
        seen: ProcessSeen,
    },
    /// Answers `Perform`. A call whose deadline passed is answered `Err(Deadline)` once; should the engine answer later
    /// all the same, a second `Performed` with that ticket follows.
    Performed {
        /// Which call.
        ticket: Ticket,
        /// What came of it.
        result: Result<Performed, EngineError>,
    },
    /// Answers `ReadLoad`.
    Load(MachineLoad),
    /// Answers `Capture`.
    Captured {
        /// Of which container.
        id: ContainerId,
        /// The `asked` of the order.
        asked: Moment,
        /// What was taken.
        captured: Captured,
    },
    /// Answers `Probe`.
    Probed {
        /// Which run.
        run: ProbeRun,
        /// What it came to.
        answer: ProbeAnswer,
    },
    /// The journal cannot be written (full disk), or was damaged and lost records; or it is in order again.
    JournalHealth {
        /// `Err` with the reason in words.
        state: Result<(), String>,
    },
    /// The link to the parent: up, down, frames. Frames with an order do not come this way: the driver checks their
    /// signature and feeds `OrderFrame`.
    Link(FrontendInput),
    /// An order whose signature was checked, or a person's local request.
    Order(OrderInput),
    /// An order that was refused at the edge (unknown key, bad signature, undecodable): tell the parent.
    OrderRefused(OrderAnswer),
    /// A frame with an order for this node, checked by the driver.
    OrderFrame(OrderFrame),
    /// The driver noticed that this process did not run for that long (SIGSTOP, a sleeping machine, starvation).
    Stalled {
        /// How long.
        gap: Duration,
    },
    /// The machine is shutting down: hands off.
    HostShutdown,
    /// This daemon shall stop: finish or leave repairs to the journal, say goodbye.
    Stop,
}

/// Everything the container role may want done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ContainerEffect {
    /// (Re)open the event stream; an older one is dropped.
    Subscribe {
        /// From this engine time on, inclusive; `None` = from now.
        since: Option<EngineTime>,
    },
    /// Get the container list.
    List,
    /// Look at one container.
    Inspect {
        /// Which.
        id: ContainerId,
    },
    /// Read the engine's stop mark of one container.
    ReadStopMark {
        /// Which.
        id: ContainerId,
    },
    /// Tell when this process ends, as the kernel knows it. It is let go by itself.
    HoldProcess {
        /// The container whose init it is.
        id: ContainerId,
        /// Its number, as the engine sees it.
        pid: u32,
    },
    /// Look at this process of a container and at the shim of that; answered by `Process`.
    LookAtShim {
        /// Which container.
        id: ContainerId,
        /// Its init, as the engine sees it; 0 = not known.
        pid: u32,
    },
    /// Kill this shim with SIGKILL, if it still is that container's. The end of the container is the answer.
    KillShim {
        /// Which container.
        id: ContainerId,
        /// Its shim.
        shim: u32,
    },
    /// Read how busy the machine is, at once; no answer is waited for long.
    ReadLoad,
    /// Take what a restart of this container destroys, and keep it in a file. Answered soon after its time at the latest; what comes
    /// later counts for nothing.
    Capture {
        /// Which container.
        id: ContainerId,
        /// What.
        order: CaptureOrder,
    },
    /// Ask a container, in its own network, or, where that cannot be entered, at its address. Answered within `within`.
    Probe {
        /// Comes back in `Probed`.
        run: ProbeRun,
        /// Which.
        id: ContainerId,
        /// Its init process, by which its network is entered.
        pid: u32,
        /// Its address, if it has one.
        address: Option<IpAddr>,
        /// What is asked.
        method: Method,
        /// After which it has timed out.
        within: Duration,
    },
    /// Write this to the journal. Every effect after it is performed only after the write returned (not the sync).
    Journal(Record),
    /// Call the engine. Never cancelled, never posted twice.
    Perform {
        /// Comes back in `Performed`.
        ticket: Ticket,
        /// Whom.
        id: ContainerId,
        /// What.
        call: EngineCall,
        /// After which `Err(Deadline)` is reported; the call itself goes on.
        within: Duration,
    },
    /// Hand this frame to the link.
    Send(Envelope),
    /// A decision was made or has ended: log it. (It is journalled and sent up by effects of their own.)
    Decided(Decision),
    /// The answer to an `OrderInput` with `local: true`.
    LocalAnswer(OrderAnswer),
    /// One line for the log: this daemon is degraded (`Err`), or no longer (`Ok`).
    Condition {
        /// What it is about: `journal`, `engine`, `stream`, `processes`, `access`, `disk`, `probes`, `captures`, `parent`.
        about: &'static str,
        /// In words.
        state: Result<String, String>,
    },
    /// Everything is in order for the process to end.
    Stopped,
}
