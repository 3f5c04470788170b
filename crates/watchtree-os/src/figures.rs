//! The machine's figures: load, memory, disks, pressure. Plain numbers; does not know which are too high.
//!
//! Call it from a blocking task: `statvfs` hangs on a file system that hangs.

use crate::pressure::{self, milli};
use std::path::{Path, PathBuf};
use watchtree_core::host::io::{DiskFigure, HostFigures};
use watchtree_core::time::Duration;

/// Reads everything at once. What this kernel does not have is 0 or `None`; a path that is not there is left out, and of
/// two paths on one file system only the first is told.
pub fn read(disks: &[PathBuf], loop_lag: Duration) -> HostFigures {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    HostFigures {
        load1_milli: text("/proc/loadavg").split(' ').next().and_then(milli).unwrap_or(0),
        cpus: count_cpus(&text("/sys/devices/system/cpu/online")),
        memory_available_milli: memory_available(&text("/proc/meminfo")),
        disks: disk_figures(disks),
        pressure: pressure::read(),
        loop_lag,
    }
}

/// `0-3,8` → 5; at least 1.
fn count_cpus(ranges: &str) -> u32 {
    let count = |range: &str| -> Option<u32> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    ranges.trim().split(',').filter_map(count).sum::<u32>().max(1)
}

fn memory_available(meminfo: &str) -> u64 {
    let value = |name: &str| -> Option<u64> {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    match (value("MemAvailable"), value("MemTotal")) {
        (Some(available), Some(total)) if 0 < total => available.saturating_mul(1000) / total,
        _ => 0,
    }
}

fn disk_figures(paths: &[PathBuf]) -> Vec<DiskFigure> {
    use std::os::unix::fs::MetadataExt;
    let mut seen = Vec::new();
    let mut figures = Vec::new();
    for path in paths.iter().take(8) {
        let Ok(device) = std::fs::metadata(path).map(|meta| meta.dev()) else {
            continue;
        };
        if seen.contains(&device) {
            continue;
        }
        seen.push(device);
        if let Some(free_milli) = free_share(path) {
            figures.push(DiskFigure {
                path: path.display().to_string(),
                free_milli,
            });
        }
    }
    figures
}

/// Free share for ordinary users in thousandths, as `df` counts it; `None` for a file system without blocks.
pub fn free_share(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let used = stat.f_blocks.checked_sub(stat.f_bfree)?;
    let all = used.checked_add(stat.f_bavail).filter(|all| 0 < *all)?;
    Some(u64::try_from(u128::from(stat.f_bavail) * 1000 / u128::from(all)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(milli("0.05"), Some(50));
        assert_eq!(milli("nan"), None);
        assert_eq!(count_cpus("0-3,8\n"), 5);
        assert_eq!(count_cpus(""), 1);
        assert_eq!(memory_available("MemTotal:  1000 kB\nMemAvailable:   250 kB\n"), 250);
    }

    #[test]
    fn this_machine_has_figures() {
        let figures = read(&["/".into(), "/".into(), "/no/such/path".into()], Duration::ZERO);
        assert!(0 < figures.cpus && 0 < figures.memory_available_milli && figures.memory_available_milli <= 1000);
        assert!(figures.disks.len() <= 1, "one file system is told once");
    }
}
