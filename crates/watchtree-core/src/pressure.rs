//! How busy a machine is, as its kernel and a loop that lags tell it: figures, their words, and from where on a machine is overloaded.
//!
//! Contract: plain numbers, one sentence for each. Does not know how they are read, nor what follows from them.

use crate::time::Duration;
use alloc::format;
use alloc::string::String;

/// A loop that is to turn at once and lags longer than this stands on a machine that is too busy: the smallest health check that
/// people write has a timeout of a second.
pub const LAG_MAX: Duration = Duration::from_millis(500);
/// Tasks that wait for a processor, memory or a disk more than this share of the time make checks late, thousandths. Our choice:
/// half as high again as the 400 from which people are told of it.
const OVERLOAD_MILLI: u64 = 600;

/// PSI `some avg10` of the machine, thousandths of the time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pressure {
    /// Waiting for a processor.
    pub cpu_milli: u64,
    /// Waiting for memory.
    pub memory_milli: u64,
    /// Waiting for disks.
    pub io_milli: u64,
}

impl Pressure {
    /// What tasks wait for more than that share of the time, in words; processor, memory, disks.
    pub fn stalls_above(&self, milli_max: u64) -> impl Iterator<Item = String> {
        let stalls = [
            ("cpu", self.cpu_milli),
            ("memory", self.memory_milli),
            ("io", self.io_milli),
        ];
        let above = stalls.into_iter().filter(move |(_, milli)| milli_max < *milli);
        above.map(|(what, milli)| format!("tasks wait for {what} {} of the time", percent(milli)))
    }
}

/// How busy the machine is at that moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MachineLoad {
    /// `None` = this kernel does not tell it.
    pub pressure: Option<Pressure>,
    /// The longest lag of the reader's own loop within the last ten seconds.
    pub loop_lag: Duration,
}

impl MachineLoad {
    /// Why the machine counts as overloaded, in words; `None` = it does not.
    pub fn overload(&self) -> Option<String> {
        let stall = self.pressure.and_then(|it| it.stalls_above(OVERLOAD_MILLI).next());
        let lag = || {
            (LAG_MAX < self.loop_lag).then(|| format!("the watchdog itself ran {} ms late", self.loop_lag.as_millis()))
        };
        stall.or_else(lag)
    }
}

/// Thousandths as percent, with one digit behind the point.
pub(crate) fn percent(milli: u64) -> String {
    format!("{}.{} %", milli / 10, milli % 10)
}

#[cfg(test)]
mod tests {
    //! From where on a machine is overloaded, and by what.
    use super::*;

    #[test]
    fn more_than_six_tenths_of_the_time_or_half_a_second_are_an_overload() {
        let load = |cpu_milli, io_milli, lag| MachineLoad {
            pressure: Some(Pressure {
                cpu_milli,
                memory_milli: 0,
                io_milli,
            }),
            loop_lag: Duration::from_millis(lag),
        };
        assert_eq!(load(600, 600, 500).overload(), None);
        let words = |load: MachineLoad| load.overload().unwrap_or_default();
        assert_eq!(words(load(601, 900, 900)), "tasks wait for cpu 60.1 % of the time");
        assert_eq!(words(load(0, 900, 0)), "tasks wait for io 90.0 % of the time");
        assert_eq!(words(load(0, 0, 501)), "the watchdog itself ran 501 ms late");
        let blind = MachineLoad {
            pressure: None,
            loop_lag: Duration::from_secs(1),
        };
        assert!(blind.overload().is_some() && MachineLoad::default().overload().is_none());
    }
}
