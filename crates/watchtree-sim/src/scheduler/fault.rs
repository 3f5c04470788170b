//! Which faults a run injects, and when: drawn from its seed before it begins.

use crate::rng::Rng;
use crate::scheduler::orders::Wish;
use std::collections::BTreeMap;
use watchtree_core::time::{Duration, Moment};

/// A container, by its host and its place there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Which {
    /// Host.
    pub host: usize,
    /// Place.
    pub place: usize,
}

/// Something that goes wrong, or that a person does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
#[expect(missing_docs, reason = "fields are named by what they are")]
pub enum Fault {
    // --- containers ---
    /// A container's init ends with a failure.
    Crash { which: Which },
    /// The same, for memory; with `init` false a child of it is killed, and it goes on.
    Oom { which: Which, init: bool },
    /// It crashes again and again, so many times.
    CrashLoop { which: Which, left: u32 },
    /// It stops answering.
    Hang { which: Which },
    /// It stops answering, and what is captured of it before its stop comes late or never, as with all on that host for a while.
    LostCapture {
        which: Which,
        late: Option<Duration>,
        lasts: Duration,
    },
    /// It crashes, and its start keeps the engine busy; with `breaks` the caller's connection breaks meanwhile.
    SlowStart {
        which: Which,
        lasts: Duration,
        breaks: bool,
    },
    /// It crashes together with the one whose network it joins.
    JoinedCrash { host: usize },

    // --- people ---
    /// A person stops it.
    OperatorStop { which: Which },
    /// A person kills it.
    OperatorKill { which: Which },
    /// A person removes it.
    OperatorRemove { which: Which },
    /// It hangs and, while it is being repaired, a person stops it.
    StopIntoRepair { which: Which },
    /// A person stops it, it ends with 0, and is started again later.
    ExitZeroOnTerm { which: Which, lasts: Duration },
    /// A person sends it HUP or USR1; it crashes later. With `gap` nothing is seen of either, and events are lost.
    OtherSignal { which: Which, signal: u32, gap: bool },
    /// A person freezes it for a while.
    Pause { which: Which, lasts: Duration },
    /// A person renames it, and it crashes later.
    Rename { which: Which },
    /// Compose makes it anew: stop, rename, create, start, remove.
    Recreate { which: Which },
    /// A person asks something about a container, its engine or its host; the container crashes soon after.
    Ask { which: Which, above: usize, wish: Wish },
    /// The order of a person is held back on its way; with `restart` the manager is restarted meanwhile.
    LateOrder {
        which: Which,
        above: usize,
        lasts: Duration,
        restart: bool,
    },

    // --- the engine, and the way to it ---
    /// The event of a container's end is lost.
    LostDie { which: Which },
    /// The event stream breaks; with `forget` the engine forgot its events too.
    StreamCut { host: usize, forget: bool },
    /// The next answer to a call is lost: the engine did it, the caller hears nothing.
    LostAnswer { host: usize },
    /// A container hangs, and the connection of the call that repairs it breaks while the engine is at it.
    BrokenCall { which: Which },
    /// The engine answers no list, inspect or probe for a while; what it was told to do it does.
    EngineIll { host: usize, lasts: Duration },
    /// The daemon of the engine is killed, and started again.
    EngineKill { host: usize, lasts: Duration },
    /// The daemon of the engine is stopped in order, and started again.
    EngineTerm { host: usize, lasts: Duration },
    /// All health checks fail for a cause outside the containers: no `exec` works on that engine, or its machine is overloaded.
    ChecksFail {
        host: usize,
        lasts: Duration,
        overload: bool,
    },
    /// The manual-stop flag of the engine cannot be read for a while.
    FlagUnreadable { host: usize, lasts: Duration },

    // --- machines ---
    /// The machine loses its power and boots again.
    PowerCut { host: usize, lasts: Duration },
    /// The machine is shut down in order: its watchdogs are told, or without `told` only asked to stop while one repairs; the
    /// engine stops every container, the power goes.
    Shutdown { host: usize, lasts: Duration, told: bool },
    /// The machine's wall clock is set by so many milliseconds.
    ClockSet { host: usize, offset_ms: i64 },
    /// The disk under the journal of a container-watchdog is full for a while.
    DiskFull { host: usize, lasts: Duration },

    // --- watchdogs ---
    /// container-watchdog is killed.
    KillChild { host: usize },
    /// container-watchdog is frozen; its host-watchdog should kill it.
    FreezeChild { host: usize, lasts: Duration },
    /// host-watchdog is killed.
    KillHost { host: usize, lasts: Duration },
    /// host-watchdog is frozen.
    FreezeHost { host: usize, lasts: Duration },
    /// host-watchdog is asked to stop (SIGTERM) and started again.
    StopHost { host: usize, lasts: Duration },
    /// manager-watchdog is killed.
    KillManager { lasts: Duration },
    /// manager-watchdog is frozen.
    FreezeManager { lasts: Duration },

    // --- wires ---
    /// Frames and looks between a host and the manager are lost.
    Cut { host: usize, lasts: Duration },
    /// The paths of all hosts from this one on carry nothing for a while; their connections live on.
    Partition { from: usize, lasts: Duration },
    /// Frames of a host are held back, then its watchdog dies, then they trickle out one by one.
    Backlog { host: usize },
    /// Some frames between the two watchdogs of a host are lost, late or doubled for a while.
    BadIpc { host: usize, lasts: Duration },
    /// Some frames are lost, late or doubled for a while.
    BadNetwork { lasts: Duration },
}

impl Fault {
    /// The kind's name: the key of the counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::Oom { init: true, .. } => "oom_of_init",
            Self::Oom { init: false, .. } => "oom_of_a_child",
            Self::CrashLoop { .. } => "crash_loop",
            Self::Hang { .. } => "hang",
            Self::LostCapture { .. } => "lost_capture",
            Self::SlowStart { .. } => "slow_start",
            Self::JoinedCrash { .. } => "joined_crash",
            Self::OperatorStop { .. } => "operator_stop",
            Self::OperatorKill { .. } => "operator_kill",
            Self::OperatorRemove { .. } => "operator_remove",
            Self::StopIntoRepair { .. } => "stop_into_repair",
            Self::ExitZeroOnTerm { .. } => "exit_0_on_term",
            Self::OtherSignal { gap: false, .. } => "other_signal",
            Self::OtherSignal { gap: true, .. } => "other_signal_over_a_gap",
            Self::Pause { .. } => "pause",
            Self::Rename { .. } => "rename",
            Self::Recreate { .. } => "recreate",
            Self::Ask { wish, .. } => wish.kind(),
            Self::LateOrder { .. } => "late_order",
            Self::LostDie { .. } => "lost_die",
            Self::StreamCut { forget: false, .. } => "stream_cut",
            Self::StreamCut { forget: true, .. } => "stream_cut_and_forgotten",
            Self::LostAnswer { .. } => "lost_answer",
            Self::BrokenCall { .. } => "broken_call",
            Self::EngineIll { .. } => "engine_ill",
            Self::EngineKill { .. } => "engine_kill",
            Self::EngineTerm { .. } => "engine_term",
            Self::ChecksFail { overload: true, .. } => "machine_overloaded",
            Self::ChecksFail { .. } => "checks_fail",
            Self::FlagUnreadable { .. } => "flag_unreadable",
            Self::PowerCut { .. } => "power_cut",
            Self::Shutdown { told: true, .. } => "shutdown",
            Self::Shutdown { told: false, .. } => "shutdown_untold",
            Self::ClockSet { .. } => "clock_set",
            Self::DiskFull { .. } => "disk_full",
            Self::KillChild { .. } => "kill_container_watchdog",
            Self::FreezeChild { .. } => "freeze_container_watchdog",
            Self::KillHost { .. } => "kill_host_watchdog",
            Self::FreezeHost { .. } => "freeze_host_watchdog",
            Self::StopHost { .. } => "stop_host_watchdog",
            Self::KillManager { .. } => "kill_manager",
            Self::FreezeManager { .. } => "freeze_manager",
            Self::Cut { .. } => "cut",
            Self::Partition { .. } => "partition",
            Self::Backlog { .. } => "backlog",
            Self::BadIpc { .. } => "bad_ipc",
            Self::BadNetwork { .. } => "bad_network",
        }
    }
}

/// Every kind that the gate's runs promise to have injected, and what must have come of them.
pub const PROMISED: &[&str] = &[
    "crash",
    "oom_of_init",
    "oom_of_a_child",
    "crash_loop",
    "hang",
    "lost_capture",
    "capture_late",
    "capture_unanswered",
    "slow_start",
    "joined_crash",
    "operator_stop",
    "operator_kill",
    "operator_remove",
    "stop_into_repair",
    "exit_0_on_term",
    "other_signal",
    "other_signal_over_a_gap",
    "pause",
    "rename",
    "recreate",
    "ask_hold",
    "ask_release",
    "ask_retry",
    "late_order",
    "order_expired",
    "order_of_another_boot",
    "lost_die",
    "stream_cut",
    "stream_cut_and_forgotten",
    "lost_answer",
    "broken_call",
    "call_deadline",
    "engine_ill",
    "probe_failed",
    "checks_fail",
    "machine_overloaded",
    "flag_unreadable",
    "power_cut",
    "shutdown",
    "shutdown_untold",
    "reboot",
    "clock_set",
    "disk_full",
    "journal_refused",
    "journal_made_good",
    "journal_lost",
    "kill_container_watchdog",
    "freeze_container_watchdog",
    "kill_host_watchdog",
    "freeze_host_watchdog",
    "stop_host_watchdog",
    "host_watchdog_stopped_in_order",
    "kill_manager",
    "freeze_manager",
    "cut",
    "partition",
    "frame_retransmitted",
    "backlog",
    "bad_ipc",
    "bad_network",
    "frame_lost",
    "frame_late",
    "frame_doubled",
    "frame_lost_down",
    "frame_late_down",
    "frame_doubled_down",
    "ipc_frame_lost",
    "ipc_frame_late",
    "ipc_frame_doubled",
    "ipc_frame_lost_down",
    "ipc_frame_late_down",
    "ipc_frame_doubled_down",
];

/// By so much for each place a capture is late; from the second on that is more than it is waited for.
const LATE_CAPTURE: Duration = Duration::from_millis(250);
/// So long no capture of a host comes in time.
const CAPTURES_LOST_FOR: Duration = Duration::from_secs(30);

/// How often each kind really happened.
pub type Counts = BTreeMap<&'static str, u64>;

/// The size of a fleet.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Hosts.
    pub hosts: usize,
    /// Containers of each.
    pub containers: usize,
}

/// Draws the faults of a run between two moments.
pub(crate) fn schedule(rng: &mut Rng, from: Moment, till: Moment, fleet: Fleet) -> Vec<(Moment, Fault)> {
    let count = rng.range(12, 46);
    let span = till.since(from).as_micros() as u64;
    let mut faults: Vec<_> = (0..count)
        .map(|_| {
            let at = from + Duration::from_micros(rng.range(0, span));
            (at, draw(rng, fleet))
        })
        .collect();
    faults.sort();
    faults
}

fn draw(rng: &mut Rng, fleet: Fleet) -> Fault {
    let host = rng.range(0, fleet.hosts as u64) as usize;
    let place = rng.range(0, fleet.containers as u64) as usize;
    let which = Which { host, place };
    match rng.range(0, 5) {
        0 => of_container(rng, which),
        1 => of_people(rng, which),
        2 => of_engine(rng, which),
        3 => of_machine(rng, host),
        _ => of_wires(rng, which, fleet),
    }
}

fn of_container(rng: &mut Rng, which: Which) -> Fault {
    match rng.range(0, 16) {
        0..6 => Fault::Crash { which },
        6 => Fault::Oom { which, init: true },
        7 => Fault::Oom { which, init: false },
        8..10 => Fault::CrashLoop {
            which,
            left: rng.range(4, 12) as u32,
        },
        10..12 => Fault::Hang { which },
        12 => Fault::LostCapture {
            which,
            late: which
                .host
                .is_multiple_of(2)
                .then_some(LATE_CAPTURE * (1 + which.place as u32)),
            lasts: CAPTURES_LOST_FOR,
        },
        13..15 => Fault::SlowStart {
            which,
            lasts: rng.millis(1000, 40_000),
            breaks: rng.chance(500),
        },
        _ => Fault::JoinedCrash { host: which.host },
    }
}

fn of_people(rng: &mut Rng, which: Which) -> Fault {
    match rng.range(0, 14) {
        0 => Fault::OperatorStop { which },
        1 => Fault::OperatorKill { which },
        2 => Fault::OperatorRemove { which },
        3 => Fault::StopIntoRepair { which },
        4 => Fault::ExitZeroOnTerm {
            which,
            lasts: rng.millis(2000, 20_000),
        },
        5 => Fault::OtherSignal {
            which,
            signal: if rng.chance(500) { 1 } else { 10 },
            gap: which.place.is_multiple_of(2),
        },
        6 => Fault::Pause {
            which,
            lasts: rng.millis(500, 20_000),
        },
        7 => Fault::Rename { which },
        8 => Fault::Recreate { which },
        9..13 => Fault::Ask {
            which,
            above: rng.range(0, 4).saturating_sub(1) as usize,
            wish: match rng.range(0, 4) {
                0..2 => Wish::Hold(rng.millis(3000, 40_000)),
                2 => Wish::Release,
                _ => Wish::Retry,
            },
        },
        _ => Fault::LateOrder {
            which,
            above: rng.range(0, 3) as usize,
            lasts: rng.millis(3000, 14_000),
            restart: rng.chance(600),
        },
    }
}

fn of_engine(rng: &mut Rng, which: Which) -> Fault {
    let host = which.host;
    match rng.range(0, 10) {
        0..2 => Fault::LostDie { which },
        2 => Fault::StreamCut { host, forget: false },
        3 => Fault::StreamCut { host, forget: true },
        4..6 => Fault::LostAnswer { host },
        6 => Fault::BrokenCall { which },
        7 => Fault::FlagUnreadable {
            host,
            lasts: rng.millis(2000, 30_000),
        },
        8 => {
            let lasts = rng.millis(5000, 40_000);
            let overload = lasts.as_millis().is_multiple_of(2);
            Fault::ChecksFail { host, lasts, overload }
        }
        _ => Fault::EngineIll {
            host,
            lasts: rng.millis(1000, 15_000),
        },
    }
}

fn of_machine(rng: &mut Rng, host: usize) -> Fault {
    match rng.range(0, 11) {
        0..2 => Fault::KillChild { host },
        2..4 => Fault::FreezeChild {
            host,
            lasts: rng.millis(500, 9000),
        },
        4 => Fault::KillHost {
            host,
            lasts: rng.millis(150, 9000),
        },
        5 => Fault::FreezeHost {
            host,
            lasts: rng.millis(500, 9000),
        },
        6 => Fault::StopHost {
            host,
            lasts: rng.millis(200, 6000),
        },
        7 => Fault::PowerCut {
            host,
            lasts: rng.millis(4000, 12_000),
        },
        8 => {
            let lasts = rng.millis(4000, 12_000);
            let told = lasts.as_micros().is_multiple_of(2);
            Fault::Shutdown { host, lasts, told }
        }
        9 => Fault::DiskFull {
            host,
            lasts: rng.millis(2000, 30_000),
        },
        _ => Fault::ClockSet {
            host,
            offset_ms: rng.range(0, 3_600_000) as i64 - 1000,
        },
    }
}

fn of_wires(rng: &mut Rng, which: Which, fleet: Fleet) -> Fault {
    let host = which.host;
    match rng.range(0, 11) {
        0 => Fault::Cut {
            host,
            lasts: rng.millis(500, 9000),
        },
        1 => Fault::Partition {
            from: rng.range(0, fleet.hosts as u64) as usize,
            lasts: rng.millis(3000, 12_000),
        },
        2 => Fault::Backlog { host },
        3 => Fault::KillManager {
            lasts: rng.millis(200, 6000),
        },
        4 => Fault::FreezeManager {
            lasts: rng.millis(500, 9000),
        },
        5..7 => Fault::BadIpc {
            host,
            lasts: rng.millis(2000, 15_000),
        },
        _ => Fault::BadNetwork {
            lasts: rng.millis(2000, 20_000),
        },
    }
}
