//! Which faults a run injects, and when: drawn from its seed before it begins.

use crate::orders::Wish;
use crate::rng::Rng;
use std::collections::BTreeMap;
use watchtree_core::time::{Duration, Moment};

/// Something that goes wrong, or that a person does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Fault {
    /// A container's init ends with a failure.
    Crash {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// A container crashes again and again: each new life ends after this long, so many times.
    CrashLoop {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
        /// Crashes still to come.
        left: u32,
    },
    /// A container stops answering.
    Hang {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// A person stops a container.
    OperatorStop {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// A person kills a container.
    OperatorKill {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// A person removes a container.
    OperatorRemove {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// A container hangs and, while it is being repaired, a person stops it.
    StopIntoRepair {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// The event of a container's end is lost.
    LostDie {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// The event stream breaks; with `forget` the engine forgot its events too.
    StreamCut {
        /// Host.
        host: usize,
        /// True = nothing can be replayed.
        forget: bool,
    },
    /// The next answer to a call is lost: the engine did it, the caller hears nothing.
    LostAnswer {
        /// Host.
        host: usize,
    },
    /// A container crashes, and its start keeps the engine busy for long; with `breaks` the caller's connection breaks
    /// meanwhile, though the engine goes on.
    SlowStart {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
        /// How long the start takes.
        lasts: Duration,
        /// Does the connection break?
        breaks: bool,
    },
    /// A container hangs, and the connection of the call that repairs it breaks while the engine is at it.
    BrokenCall {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
    },
    /// A person asks something about a container, its engine or its host; the container crashes soon after.
    Ask {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
        /// How far above it.
        above: usize,
        /// What.
        wish: Wish,
    },
    /// The order of a person is held back on its way; with `restart` the manager is restarted meanwhile.
    LateOrder {
        /// Host.
        host: usize,
        /// Container.
        container: usize,
        /// How far above it.
        above: usize,
        /// How long.
        lasts: Duration,
        /// Is the manager restarted?
        restart: bool,
    },
    /// container-watchdog is killed.
    KillChild {
        /// Host.
        host: usize,
    },
    /// container-watchdog is frozen; its host-watchdog should kill it.
    FreezeChild {
        /// Host.
        host: usize,
        /// How long, if nobody kills it.
        lasts: Duration,
    },
    /// host-watchdog is killed.
    KillHost {
        /// Host.
        host: usize,
        /// How long until it is started again.
        lasts: Duration,
    },
    /// host-watchdog is frozen.
    FreezeHost {
        /// Host.
        host: usize,
        /// How long.
        lasts: Duration,
    },
    /// The machine loses its power and boots again.
    PowerCut {
        /// Host.
        host: usize,
        /// How long it is dark.
        lasts: Duration,
    },
    /// The machine is shut down in order: its watchdogs are told, the engine stops every container, the power goes.
    Shutdown {
        /// Host.
        host: usize,
        /// How long it is dark.
        lasts: Duration,
    },
    /// No frame and no look passes between a host and the manager.
    Cut {
        /// Host.
        host: usize,
        /// How long.
        lasts: Duration,
    },
    /// Frames of a host are held back, then its watchdog dies, then they trickle out one by one.
    Backlog {
        /// Host.
        host: usize,
    },
    /// manager-watchdog is killed.
    KillManager {
        /// How long until it is started again.
        lasts: Duration,
    },
    /// manager-watchdog is frozen.
    FreezeManager {
        /// How long.
        lasts: Duration,
    },
    /// Some frames between the two watchdogs of a host are lost, late or doubled for a while.
    BadIpc {
        /// Host.
        host: usize,
        /// How long.
        lasts: Duration,
    },
    /// The engine answers no list, look or probe for a while; what it was told to do it does.
    EngineIll {
        /// Host.
        host: usize,
        /// How long.
        lasts: Duration,
    },
    /// The disk under the journal of a container-watchdog is full for a while.
    DiskFull {
        /// Host.
        host: usize,
        /// How long.
        lasts: Duration,
    },
    /// host-watchdog is asked to stop (SIGTERM) and started again.
    StopHost {
        /// Host.
        host: usize,
        /// How long after it stopped.
        lasts: Duration,
    },
    /// Some frames are lost, late or doubled for a while.
    BadNetwork {
        /// How long.
        lasts: Duration,
    },
}

impl Fault {
    /// The kind's name: the key of the counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::CrashLoop { .. } => "crash_loop",
            Self::Hang { .. } => "hang",
            Self::OperatorStop { .. } => "operator_stop",
            Self::OperatorKill { .. } => "operator_kill",
            Self::OperatorRemove { .. } => "operator_remove",
            Self::StopIntoRepair { .. } => "stop_into_repair",
            Self::LostDie { .. } => "lost_die",
            Self::StreamCut { forget: false, .. } => "stream_cut",
            Self::StreamCut { forget: true, .. } => "stream_cut_and_forgotten",
            Self::LostAnswer { .. } => "lost_answer",
            Self::SlowStart { .. } => "slow_start",
            Self::BrokenCall { .. } => "broken_call",
            Self::Ask { wish, .. } => wish.kind(),
            Self::LateOrder { .. } => "late_order",
            Self::KillChild { .. } => "kill_container_watchdog",
            Self::FreezeChild { .. } => "freeze_container_watchdog",
            Self::KillHost { .. } => "kill_host_watchdog",
            Self::FreezeHost { .. } => "freeze_host_watchdog",
            Self::PowerCut { .. } => "power_cut",
            Self::Shutdown { .. } => "shutdown",
            Self::Cut { .. } => "cut",
            Self::Backlog { .. } => "backlog",
            Self::KillManager { .. } => "kill_manager",
            Self::FreezeManager { .. } => "freeze_manager",
            Self::BadIpc { .. } => "bad_ipc",
            Self::EngineIll { .. } => "engine_ill",
            Self::DiskFull { .. } => "disk_full",
            Self::StopHost { .. } => "stop_host_watchdog",
            Self::BadNetwork { .. } => "bad_network",
        }
    }
}

/// Every kind that 500 runs promise to have injected; besides them the frames that were really lost, late and doubled.
pub const PROMISED: [&str; 52] = [
    "crash",
    "crash_loop",
    "hang",
    "operator_stop",
    "operator_kill",
    "operator_remove",
    "stop_into_repair",
    "lost_die",
    "stream_cut",
    "stream_cut_and_forgotten",
    "lost_answer",
    "slow_start",
    "broken_call",
    "call_deadline",
    "ask_hold",
    "ask_release",
    "ask_retry",
    "late_order",
    "order_expired",
    "order_of_a_term_that_is_over",
    "kill_container_watchdog",
    "freeze_container_watchdog",
    "kill_host_watchdog",
    "freeze_host_watchdog",
    "power_cut",
    "shutdown",
    "cut",
    "backlog",
    "kill_manager",
    "freeze_manager",
    "bad_network",
    "frame_lost",
    "frame_late",
    "frame_doubled",
    "frame_lost_down",
    "frame_late_down",
    "frame_doubled_down",
    "bad_ipc",
    "ipc_frame_lost",
    "ipc_frame_late",
    "ipc_frame_doubled",
    "ipc_frame_lost_down",
    "ipc_frame_late_down",
    "ipc_frame_doubled_down",
    "engine_ill",
    "probe_failed",
    "disk_full",
    "journal_refused",
    "journal_made_good",
    "journal_lost",
    "stop_host_watchdog",
    "host_watchdog_stopped_in_order",
];

/// How often each kind really happened.
pub type Counts = BTreeMap<&'static str, u64>;

/// Draws the faults of a run between two moments.
pub fn schedule(rng: &mut Rng, from: Moment, till: Moment, hosts: usize, containers: usize) -> Vec<(Moment, Fault)> {
    let count = rng.range(12, 40);
    let span = till.since(from).as_micros() as u64;
    let mut faults: Vec<_> = (0..count)
        .map(|_| {
            (
                from + Duration::from_micros(rng.range(0, span)),
                draw(rng, hosts, containers),
            )
        })
        .collect();
    faults.sort();
    faults
}

fn draw(rng: &mut Rng, hosts: usize, containers: usize) -> Fault {
    let host = rng.range(0, hosts as u64) as usize;
    let container = rng.range(0, containers as u64) as usize;
    match rng.range(0, 44) {
        0..6 => Fault::Crash { host, container },
        6 => Fault::CrashLoop {
            host,
            container,
            left: rng.range(4, 12) as u32,
        },
        7..10 => Fault::Hang { host, container },
        10 => Fault::OperatorStop { host, container },
        11 => Fault::OperatorKill { host, container },
        12 => Fault::OperatorRemove { host, container },
        13 => Fault::StopIntoRepair { host, container },
        14 => Fault::LostDie { host, container },
        15 => Fault::StreamCut { host, forget: false },
        16 => Fault::StreamCut { host, forget: true },
        17..19 => Fault::LostAnswer { host },
        19..21 => Fault::KillChild { host },
        21..23 => Fault::FreezeChild {
            host,
            lasts: rng.millis(500, 9000),
        },
        23 => Fault::KillHost {
            host,
            lasts: rng.millis(150, 9000),
        },
        24 => Fault::FreezeHost {
            host,
            lasts: rng.millis(500, 9000),
        },
        25 => Fault::PowerCut {
            host,
            lasts: rng.millis(4000, 12000),
        },
        26 => Fault::Cut {
            host,
            lasts: rng.millis(500, 9000),
        },
        27 => Fault::Backlog { host },
        28 => Fault::KillManager {
            lasts: rng.millis(200, 6000),
        },
        29 => Fault::FreezeManager {
            lasts: rng.millis(500, 9000),
        },
        30..33 => Fault::Ask {
            host,
            container,
            above: rng.range(0, 4).saturating_sub(1) as usize,
            wish: match rng.range(0, 4) {
                0..2 => Wish::Hold(rng.millis(3000, 40_000)),
                2 => Wish::Release,
                _ => Wish::Retry,
            },
        },
        33 => Fault::LateOrder {
            host,
            container,
            above: rng.range(0, 3) as usize,
            lasts: rng.millis(3000, 14_000),
            restart: rng.chance(600),
        },
        37 => Fault::Shutdown {
            host,
            lasts: rng.millis(4000, 12_000),
        },
        40..42 => Fault::SlowStart {
            host,
            container,
            lasts: rng.millis(1000, 40_000),
            breaks: rng.chance(500),
        },
        43 => Fault::DiskFull {
            host,
            lasts: rng.millis(2000, 30_000),
        },
        42 => Fault::BrokenCall { host, container },
        34 => Fault::BadIpc {
            host,
            lasts: rng.millis(2000, 15_000),
        },
        35 => Fault::EngineIll {
            host,
            lasts: rng.millis(1000, 15_000),
        },
        36 => Fault::StopHost {
            host,
            lasts: rng.millis(200, 6000),
        },
        _ => Fault::BadNetwork {
            lasts: rng.millis(2000, 20000),
        },
    }
}
