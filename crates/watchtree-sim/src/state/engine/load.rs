//! How busy the engine's machine is: on an overloaded one no health check ends within its timeout, and the kernel says so, late: its
//! averages rise and fall over ten seconds. And the causes outside the containers for which all checks fail. Does not know who reads it.

use super::{Engine, health};
use watchtree_core::pressure::{MachineLoad, Pressure};
use watchtree_core::time::{Duration, Moment};

/// Tasks wait so long on an overloaded machine, and on another one, thousandths of the time.
const BUSY_MILLI: u64 = 920;
const IDLE_MILLI: u64 = 130;
/// The window of the kernel's averages, and of who reads the share of late as the watchdog does.
const AVERAGE: Duration = Duration::from_secs(10);
const OF_LATE: Duration = Duration::from_secs(5);

/// The machine is overloaded from here on, or no longer.
pub fn set_overloaded(engine: &mut Engine, now: Moment, overloaded: bool) {
    let kernel = &mut engine.kernel;
    if overloaded == kernel.overload.is_now() {
        return;
    }
    match overloaded {
        true => (kernel.overload.since, kernel.overload.until) = (Some(now), None),
        false => kernel.overload.until = Some(now),
    }
    (0..kernel.containers.len()).for_each(|i| health::check_again(kernel, now, i));
}

/// All checks fail from here on: the machine is overloaded, or no `exec` works on the engine.
pub fn checks_fail(engine: &mut Engine, now: Moment, overload: bool) {
    match overload {
        true => set_overloaded(engine, now, true),
        false => engine.set_exec_broken(now, Some("OCI runtime exec failed: exec failed: unknown".into())),
    }
}

/// Nothing outside the containers lets their checks fail any longer.
pub fn checks_work(engine: &mut Engine, now: Moment) {
    engine.set_exec_broken(now, None);
    set_overloaded(engine, now, false);
}

/// What the kernel tells: its averages, and, if the reader has read it before (`again`), the share of late where that is higher.
pub fn of(engine: &Engine, now: Moment, again: bool) -> MachineLoad {
    let overload = &engine.kernel.overload;
    let of_late = if again { overload.share_milli(now, OF_LATE) } else { 0 };
    let share = overload.share_milli(now, AVERAGE).max(of_late);
    let cpu_milli = IDLE_MILLI + (BUSY_MILLI - IDLE_MILLI) * share / 1000;
    MachineLoad {
        pressure: Some(Pressure {
            cpu_milli,
            ..Pressure::default()
        }),
        ..MachineLoad::default()
    }
}
