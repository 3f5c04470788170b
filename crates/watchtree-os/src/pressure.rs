//! What the machine's tasks wait for, from the kernel's pressure stall information. Plain numbers; does not know which are too high.
//!
//! Contract: three small files of the kernel, which never hang. A kernel without them is `None`.

use std::time::{Duration, Instant};
use watchtree_core::pressure::Pressure;

/// A share is taken over this time at least: shorter ones are noise.
const OVER_MIN: Duration = Duration::from_secs(1);

/// The kernel's averages of ten seconds.
pub fn read() -> Option<Pressure> {
    Some(averages(read_all()?))
}

/// The share of late: the kernel's averages rise and fall over ten seconds, the share since the reading before does at once.
#[derive(Debug, Default)]
pub struct PressureMeter {
    /// The last two readings that are [`OVER_MIN`] apart, newest first.
    readings: [Option<(Instant, [Stall; 3])>; 2],
}

/// One of the kernel's files: `some`, tasks wait and others may run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Stall {
    average_milli: u64,
    total_micros: u64,
}

impl PressureMeter {
    /// The higher of the kernel's averages and the share since the reading before, for each.
    pub fn read(&mut self) -> Option<Pressure> {
        Some(self.take(Instant::now(), read_all()?))
    }

    fn take(&mut self, now: Instant, stalls: [Stall; 3]) -> Pressure {
        let is_apart = |(at, _): &&(Instant, _)| OVER_MIN <= now.duration_since(*at);
        let before = self.readings.iter().flatten().find(is_apart).copied();
        if self.readings[0].as_ref().is_none_or(|it| is_apart(&it)) {
            self.readings = [Some((now, stalls)), self.readings[0]];
        }
        let averages = averages(stalls);
        let Some((at, earlier)) = before else { return averages };
        let over = u64::try_from(now.duration_since(at).as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        let share = |i: usize| {
            let waited = stalls[i].total_micros.saturating_sub(earlier[i].total_micros);
            (waited.saturating_mul(1000) / over).min(1000)
        };
        Pressure {
            cpu_milli: averages.cpu_milli.max(share(0)),
            memory_milli: averages.memory_milli.max(share(1)),
            io_milli: averages.io_milli.max(share(2)),
        }
    }
}

fn averages([cpu, memory, io]: [Stall; 3]) -> Pressure {
    Pressure {
        cpu_milli: cpu.average_milli,
        memory_milli: memory.average_milli,
        io_milli: io.average_milli,
    }
}

fn read_all() -> Option<[Stall; 3]> {
    let stall = |what: &str| stall(&std::fs::read_to_string(format!("/proc/pressure/{what}")).ok()?);
    Some([stall("cpu")?, stall("memory")?, stall("io")?])
}

/// `1.25` → 1250.
pub(crate) fn milli(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    (0.0..1e12).contains(&value).then(|| (value * 1000.0).round() as u64)
}

/// `some avg10=12.50 avg60=0.00 avg300=0.00 total=1234`
fn stall(text: &str) -> Option<Stall> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name));
    Some(Stall {
        average_milli: field("avg10=").and_then(milli)? / 100,
        total_micros: field("total=")?.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    //! The kernel's text, and which of both figures counts.
    use super::*;

    #[test]
    fn the_kernels_text_is_read() {
        let read = stall("some avg10=12.50 avg60=0.00 avg300=0.00 total=1234\nfull avg10=1.00 total=7\n");
        let expected = Stall {
            average_milli: 125,
            total_micros: 1234,
        };
        assert_eq!(read, Some(expected));
        assert_eq!(stall(""), None);
    }

    #[test]
    fn a_share_of_late_is_known_before_the_average_has_risen() {
        let (begin, mut meter) = (Instant::now(), PressureMeter::default());
        let cpu = |average_milli, total_micros| {
            let cpu = Stall {
                average_milli,
                total_micros,
            };
            [cpu, Stall::default(), Stall::default()]
        };
        let mut after = |millis, stalls| meter.take(begin + Duration::from_millis(millis), stalls).cpu_milli;
        assert_eq!(after(0, cpu(100, 0)), 100, "there is none before");
        assert_eq!(after(500, cpu(100, 500_000)), 100, "too short a time");
        assert_eq!(after(2000, cpu(200, 1_800_000)), 900);
        assert_eq!(after(2500, cpu(200, 2_000_000)), 800, "since the one before the last");
        assert_eq!(after(12_000, cpu(700, 2_000_000)), 700, "the average falls late");
    }
}
