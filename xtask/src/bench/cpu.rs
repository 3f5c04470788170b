//! The processor time of a process, by its threads, as the kernel counts it. Knows no daemon.

use crate::interrupt;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Waits, unless somebody interrupts.
///
/// # Errors
/// Somebody did.
pub(super) fn pause(length: Duration) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < length {
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// How long each thread of a process has run, by its number.
pub(super) fn run_times(pid: i32) -> Result<BTreeMap<String, Duration>> {
    let mut times = BTreeMap::new();
    let folder = format!("/proc/{pid}/task");
    for task in std::fs::read_dir(&folder).context(folder)? {
        let task = task?;
        // A thread that ended since the folder was read is none.
        if let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) {
            let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
            let nanos = nanos.with_context(|| format!("schedstat of {pid} reads {text:?}"))?;
            times.insert(
                task.file_name().to_string_lossy().into_owned(),
                Duration::from_nanos(nanos),
            );
        }
    }
    Ok(times)
}

/// What the threads of the second moment ran since the first; a new one all of its time.
pub(super) fn spent(before: &BTreeMap<String, Duration>, after: &BTreeMap<String, Duration>) -> Duration {
    let since =
        |(thread, time): (&String, &Duration)| time.saturating_sub(before.get(thread).copied().unwrap_or_default());
    after.iter().map(since).sum()
}

#[cfg(test)]
mod tests {
    use super::spent;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn a_thread_that_is_new_counts_whole_and_one_that_ended_not() {
        let times = |of: &[(&str, u64)]| -> BTreeMap<String, Duration> {
            of.iter()
                .map(|&(thread, ms)| (thread.to_owned(), Duration::from_millis(ms)))
                .collect()
        };
        let (before, after) = (times(&[("1", 10), ("2", 500)]), times(&[("1", 15), ("3", 7)]));
        assert_eq!(spent(&before, &after), Duration::from_millis(12));
    }
}
