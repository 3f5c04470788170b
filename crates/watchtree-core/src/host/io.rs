//! What the host role is told and what it wants done: the border between the brain and `watchtree-os`, `-docker`, `-link`.
//!
//! Rules for the driver:
//! - Before anything else it looks for living children of a former life of this daemon, opens a pidfd of each, and tells
//!   them by `ChildFound`, then `ChildrenLookedFor` once. No child is started before that.
//! - An Order frame from the manager whose `header.target` is this node (or `None`) is checked by the driver and comes
//!   in as `OrderFrame`; every other frame, also an Order for a child, comes in as `Link(Received)`.
//! - The own subjects of this role: `HOST`, `HOST/@agent`, and for each engine `HOST/ENGINE` and `HOST/ENGINE/@watchdog`.

pub use super::engine_io::{EngineAnswer, EngineProbe, EngineUnit, EngineWork, ProbeAnswer, RepairWhen, UnitPhase};

use crate::backend::{BackendInput, Peer};
use crate::decision::Decision;
use crate::frontend::FrontendInput;
use crate::id::NodeIdentity;
use crate::incident::{Incident, IncidentChange, IncidentId};
use crate::message::{Envelope, OrderFrame, OrderInput};
use crate::order::OrderAnswer;
use crate::pressure::Pressure;
use crate::supervisor::{Allowance, BUDGET_MAX, FleetLimits, FleetPolicy, RestartLimits, RestartPolicy};
use crate::time::{Duration, Moment, WallTime};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Everything the host role is born with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostStart {
    /// Who it is. `identity.version` is the build: a child of another one is replaced between repairs.
    pub identity: NodeIdentity,
    /// Names of the engines, one container-watchdog each; each a name segment such as `docker`.
    pub engines: Vec<String>,
    /// When each of them may be repaired; one that is not in here cannot be repaired from here.
    pub engine_repairs: BTreeMap<String, RepairWhen>,
    /// Addresses (`host:port`) at which this machine's kernel may be looked at from outside; sent in Hello.
    pub look_at: Vec<String>,
    /// See [`HostPolicy`].
    pub policy: HostPolicy,
    /// Alerts that a former start told a person and did not end.
    pub alerts: Vec<Incident>,
    /// The next alert's number.
    pub next_alert: IncidentId,
    /// For jitter.
    pub seed: u64,
    /// Now, as a label.
    pub wall: WallTime,
}

/// The numbers of the host role. `Default` is what ships.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPolicy {
    /// Children beat this often.
    pub child_beat: Duration,
    /// A child's freshness point: slot + interval + offset + this.
    pub child_margin: Duration,
    /// A silent child has this long to answer a Ping before it is killed.
    pub child_ping_within: Duration,
    /// A child just started or adopted has this long to say Hello before it counts as frozen.
    pub child_hello_within: Duration,
    /// A child asked to stop has this long before it is killed.
    pub child_stop_within: Duration,
    /// How often a child is restarted.
    pub child_restart: RestartPolicy,
    /// How often all children together are.
    pub child_fleet: FleetPolicy,
    /// Retry of a child that says it cannot run (exit 2, 6).
    pub retry_unfit: Duration,
    /// Retry of a child whose engine another healer holds (exit 8).
    pub retry_taken: Duration,
    /// Every so often `_ping`.
    pub ping_every: Duration,
    /// Every so often a list of one container.
    pub list_every: Duration,
    /// Every so often `/info`.
    pub info_every: Duration,
    /// An engine that fails again after it was ill for this long may be repaired.
    pub engine_ill_for: Duration,
    /// How often an engine is repaired.
    pub engine_restart: RestartPolicy,
    /// How often all engines together are.
    pub engine_fleet: FleetPolicy,
    /// Every so often the machine's figures are read.
    pub figures_every: Duration,
    /// Beats to the manager this often until it says otherwise.
    pub beat: Duration,
    /// Free space of a disk below this many thousandths is a remark.
    pub disk_free_milli_min: u64,
    /// Available memory below this many thousandths is a remark.
    pub memory_available_milli_min: u64,
    /// Load per processor above this many thousandths is a remark.
    pub load_per_cpu_milli_max: u64,
    /// Stall share (PSI `some avg10`, thousandths of the time) above this is a remark.
    pub psi_milli_max: u64,
    /// When a person is called from here.
    pub alerts: AlertPolicy,
}

/// When the host itself calls a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AlertPolicy {
    /// In sight of a manager or not.
    pub when: AlertWhen,
    /// An Unhealthy verdict becomes an alert after this.
    pub unhealthy_after: Duration,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self {
            when: AlertWhen::Never,
            unhealthy_after: Duration::from_secs(60),
        }
    }
}

/// Who calls a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AlertWhen {
    /// Never this host.
    Never,
    /// This host, where no manager was in sight for that long.
    Alone {
        /// How long.
        after: Duration,
    },
    /// This host, whoever calls as well.
    Always,
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self {
            child_beat: Duration::from_millis(500),
            child_margin: Duration::from_secs(1),
            child_ping_within: Duration::from_millis(800),
            child_hello_within: Duration::from_secs(10),
            child_stop_within: Duration::from_secs(10),
            child_restart: child_restart(),
            child_fleet: child_fleet(),
            retry_unfit: Duration::from_secs(60),
            retry_taken: Duration::from_secs(10),
            ping_every: Duration::from_secs(2),
            list_every: Duration::from_secs(4),
            info_every: Duration::from_secs(8),
            engine_ill_for: Duration::from_secs(6),
            engine_restart: engine_restart(),
            engine_fleet: FleetPolicy::default(),
            figures_every: Duration::from_secs(2),
            beat: Duration::from_millis(500),
            disk_free_milli_min: 50,
            memory_available_milli_min: 50,
            load_per_cpu_milli_max: 4000,
            psi_milli_max: 400,
            alerts: AlertPolicy::default(),
        }
    }
}

/// Ten restarts in ten minutes, the first at once; then a person is told and only slow retries follow.
fn child_restart() -> RestartPolicy {
    let limits = RestartLimits {
        allowance: Allowance {
            budget: 10,
            window: Duration::from_secs(600),
        },
        // One that hangs is killed as often as one that ends is started.
        stop_budget: 10,
        delay_first: Duration::from_millis(100),
        delay_max: Duration::from_secs(10),
        reset_after_stable: Duration::from_secs(60),
        // Its Hello is the proof.
        verify: Duration::ZERO,
        half_open_every: Duration::from_secs(60),
        half_open_within_budget: false,
        ..RestartLimits::default()
    };
    RestartPolicy::new(limits).expect("these constants are a policy")
}

/// Three repairs in an hour, the first at once, with a long pause before the next; then a person is told.
fn engine_restart() -> RestartPolicy {
    let limits = RestartLimits {
        allowance: Allowance {
            budget: 3,
            window: Duration::from_secs(3600),
        },
        delay_first: Duration::from_secs(60),
        delay_max: Duration::from_secs(600),
        reset_after_stable: Duration::from_secs(3600),
        // That it answers again is the proof.
        verify: Duration::ZERO,
        half_open_every: Duration::from_secs(1800),
        ..RestartLimits::default()
    };
    RestartPolicy::new(limits).expect("these constants are a policy")
}

/// The children of one host do not share a budget: each stands alone.
fn child_fleet() -> FleetPolicy {
    let limits = FleetLimits {
        allowance: Allowance {
            budget: BUDGET_MAX,
            window: Duration::from_secs(600),
        },
        ..FleetLimits::default()
    };
    FleetPolicy::new(limits).expect("these constants are a policy")
}

/// How a child ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum ChildExit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel says it is gone but not how (it was not our own child: adopted).
    Unknown,
}

/// A signal to a child.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum ChildSignal {
    /// SIGTERM: stop in order.
    Terminate,
    /// SIGKILL; works on a stopped (frozen) process too.
    Kill,
}

/// One file system.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DiskFigure {
    /// Where it is mounted.
    pub path: String,
    /// Free share for ordinary users, thousandths.
    pub free_milli: u64,
}

/// The machine, as it sees itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostFigures {
    /// Load average of a minute, thousandths.
    pub load1_milli: u64,
    /// Processors online.
    pub cpus: u32,
    /// Available share of the memory, thousandths.
    pub memory_available_milli: u64,
    /// The file systems that matter (root, state folder, engine's root); at most 8.
    pub disks: Vec<DiskFigure>,
    /// `None` where the kernel has no PSI.
    pub pressure: Option<Pressure>,
    /// Longest lag of the own drive loop since the last figures.
    pub loop_lag: Duration,
}

/// Everything the host role may be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostInput {
    /// The link to the manager: up, down, frames.
    Link(FrontendInput),
    /// The ipc socket of the children.
    Children(BackendInput),
    /// At start: a living container-watchdog of a former life of this daemon; its pidfd is held by the driver.
    ChildFound {
        /// Of which engine.
        engine: String,
        /// Its process.
        pid: u32,
    },
    /// All `ChildFound` have been told; the rest may be started.
    ChildrenLookedFor,
    /// Answers `StartChild`.
    ChildStarted {
        /// Of which engine.
        engine: String,
        /// Its pid, or why it could not be started, in words.
        result: Result<u32, String>,
    },
    /// The kernel says a child is gone (pidfd).
    ChildExited {
        /// Of which engine.
        engine: String,
        /// Which process; one that is not the child's present pid is ignored.
        pid: u32,
        /// How.
        exit: ChildExit,
        /// The last line it wrote to its standard error, cut to 512 bytes; empty if unknown.
        last_line: String,
    },
    /// Answers `ProbeEngine`, `InspectEngine`, `WorkOnEngine`.
    Engine {
        /// Which engine.
        engine: String,
        /// What came.
        answer: EngineAnswer,
    },
    /// Answers `ReadFigures`.
    Figures(HostFigures),
    /// A frame with an order for this node.
    OrderFrame(OrderFrame),
    /// An order for this node whose signature was checked, or a person's local request.
    Order(OrderInput),
    /// An order for this node that the driver refused (key, signature, bytes).
    OrderRefused(OrderAnswer),
    /// The wall clock, for labels; told now and then.
    Wall(WallTime),
    /// The driver noticed that this process did not run for that long. It hands in what waits in its sockets first.
    Stalled {
        /// How long.
        gap: Duration,
    },
    /// The machine is shutting down.
    HostShutdown,
    /// This daemon shall stop: children first, in order.
    Stop,
}

/// Everything the host role may want done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostEffect {
    /// Hand this frame to the link towards the manager.
    Send(Envelope),
    /// Hand this frame to the ipc socket.
    SendToChild {
        /// Whom.
        to: Peer,
        /// What.
        envelope: Envelope,
    },
    /// Start the container-watchdog of this engine; answered by `ChildStarted`.
    StartChild {
        /// Which engine.
        engine: String,
    },
    /// Send a signal to a child, by pidfd; the end shows as `ChildExited`.
    SignalChild {
        /// Of which engine.
        engine: String,
        /// Which process.
        pid: u32,
        /// What.
        signal: ChildSignal,
    },
    /// Look at an engine's daemon from outside of its API; answered by `Inspected`.
    InspectEngine {
        /// Which.
        engine: String,
    },
    /// Do something to an engine; answered by `Worked`. One at a time per engine.
    WorkOnEngine {
        /// Which.
        engine: String,
        /// What.
        work: EngineWork,
        /// By then it is answered, done or not.
        within: Duration,
    },
    /// Probe an engine; answered by `Probed`, at the deadline at the latest. One of a kind per engine at a time.
    ProbeEngine {
        /// Which.
        engine: String,
        /// How.
        probe: EngineProbe,
        /// Deadline, body included.
        within: Duration,
    },
    /// Read the machine's figures; answered by `Figures`.
    ReadFigures,
    /// Call a person: this is new, another one, or over. Kept until it was told, and while it is open, for the next start.
    Alert(IncidentChange),
    /// A decision was made or has ended: log it and keep it for the local `explain`. (It goes up by a frame of its own.)
    Decided(Decision),
    /// The answer to an `OrderInput` with `local: true`.
    LocalAnswer(OrderAnswer),
    /// One line for the log: something is degraded (`Err`), or no longer (`Ok`).
    Condition {
        /// What it is about: `manager`, `engine docker`, `child docker`, `host`, `alerts`, `self`.
        about: String,
        /// In words.
        state: Result<String, String>,
    },
    /// Everything is in order for the process to end.
    Stopped,
}

/// One engine and its container-watchdog, for the local status page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChildView {
    /// Name of the engine.
    pub engine: String,
    /// Process of the container-watchdog; `None` = not running.
    pub pid: Option<u32>,
    /// Its build, once it said Hello.
    pub version: Option<String>,
    /// How often it was revived since this daemon started.
    pub revivals: u64,
    /// When it was last heard, by our clock.
    pub last_heard: Option<Moment>,
    /// What it is doing, in words.
    pub phase: String,
}

#[cfg(test)]
mod tests {
    //! What ships.
    use super::*;

    #[test]
    fn the_shipped_limits_of_children_are_policies() {
        let policy = HostPolicy::default();
        assert_eq!(policy.child_restart.allowance.budget, 10);
        assert_eq!(policy.child_fleet.allowance.budget, BUDGET_MAX);
    }
}
