//! What is taken of a container before, or beside, a restart that destroys it: the order, and what came of it. Pure data and its words;
//! does not know who takes it, nor what is decided by it.
//!
//! Counts only: the lines of a log stay in the file of this machine that is named. Never arguments of a program, never an environment.

use super::stamps::EngineTime;
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Longest words of others that are passed on, in bytes.
const WORDS_BYTES_MAX: usize = 160;

/// What is to be taken of a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaptureOrder {
    /// When it was asked for: comes back with the answer, and tells it from others of the same container.
    pub asked: Moment,
    /// Its init process, as the engine sees it; 0 = it has ended, so that only its log is left.
    pub pid: u32,
    /// Its log from here on; 0 = from its beginning.
    pub logs_since: EngineTime,
    /// Its log up to here; 0 = up to its end.
    pub logs_until: EngineTime,
    /// What has not come by then is left out.
    pub within: Duration,
}

/// How much of something is used, and how much there may be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// So much.
    pub current: u64,
    /// So much at most; `None` = without limit.
    pub max: Option<u64>,
}

impl Usage {
    /// Nothing is left of it.
    pub fn is_exhausted(self) -> bool {
        self.max.is_some_and(|max| max <= self.current)
    }
}

/// What was taken. A part that could not be read is missing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Captured {
    /// The name of its file in the state folder, or why there is none.
    pub file: Option<Result<String, String>>,
    /// How many processes it had, as far as they were counted.
    pub processes: Option<u32>,
    /// Those that wait in the kernel: name, and where it waits if that can be read.
    pub in_kernel: Vec<String>,
    /// Memory in bytes.
    pub memory: Option<Usage>,
    /// How often it was at its limit of memory, since it was made.
    pub memory_at_limit: u64,
    /// Processes and threads.
    pub pids: Option<Usage>,
    /// Lines of its log, or why they cannot be read.
    pub log_lines: Option<Result<u32, String>>,
}

impl Captured {
    /// Most processes that are looked at.
    pub const PROCESSES_MAX: usize = 32;
    /// Last lines of the log that are kept.
    pub const LOG_LINES_MAX: u32 = 100;
    /// Of which so many bytes at most: the newest.
    pub const LOG_BYTES_MAX: usize = 16 * 1024;

    /// In one line, for a record: `3 processes, memory 100 MiB of 128 MiB, pids 12 of 64, 100 log lines: capture web-….txt`
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(
            self.processes
                .map(|count| counted(count.into(), "process", "processes")),
        );
        if !self.in_kernel.is_empty() {
            let which = self.in_kernel.join(", ");
            parts.push(format!(
                "{} of them in the kernel ({})",
                self.in_kernel.len(),
                cut(&which)
            ));
        }
        parts.extend(self.memory.map(|it| format!("memory {}", mebibytes(it))));
        if 0 < self.memory_at_limit {
            parts.push(format!(
                "{} at that limit",
                counted(self.memory_at_limit, "time", "times")
            ));
        }
        parts.extend(self.pids.map(|it| format!("pids {}", plain(it))));
        parts.extend(self.log_lines.as_ref().map(|lines| match lines {
            Ok(count) => counted((*count).into(), "log line", "log lines"),
            Err(why) => format!("its log is not here: {}", cut(why)),
        }));
        let what = if parts.is_empty() {
            "nothing is left of it".to_string()
        } else {
            parts.join(", ")
        };
        match &self.file {
            Some(Ok(name)) => format!("{what}: capture {name}"),
            Some(Err(why)) => format!("{what}; not kept: {}", cut(why)),
            None => what,
        }
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn cut(text: &str) -> &str {
    let end = (0..=WORDS_BYTES_MAX.min(text.len())).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn plain(it: Usage) -> String {
    match it.max {
        Some(max) if it.is_exhausted() => format!("{} of {max}, so that it can begin no more", it.current),
        Some(max) => format!("{} of {max}", it.current),
        None => format!("{} without limit", it.current),
    }
}

fn mebibytes(it: Usage) -> String {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    match it.max {
        Some(max) => format!("{} MiB of {} MiB", mib(it.current), mib(max)),
        None => format!("{} MiB without limit", mib(it.current)),
    }
}

#[cfg(test)]
mod tests {
    //! The line of a record.
    use super::*;
    use alloc::vec;

    #[test]
    fn a_line_names_what_was_found_and_where_it_is() {
        let usage = |current, max| Some(Usage { current, max });
        let mut captured = Captured {
            file: Some(Ok("web-1.txt".into())),
            processes: Some(3),
            in_kernel: vec!["postgres in io_schedule".into()],
            memory: usage(100 << 20, Some(128 << 20)),
            memory_at_limit: 7,
            pids: usage(12, None),
            log_lines: Some(Ok(100)),
        };
        assert_eq!(
            captured.words(),
            "3 processes, 1 of them in the kernel (postgres in io_schedule), memory 100 MiB of 128 MiB, 7 times at that limit, \
             pids 12 without limit, 100 log lines: capture web-1.txt"
        );
        (captured.processes, captured.log_lines) = (Some(1), Some(Ok(1)));
        assert!(captured.words().starts_with("1 process, ") && captured.words().contains(", 1 log line: "));
        captured.pids = usage(64, Some(64));
        assert!(
            captured
                .words()
                .contains("pids 64 of 64, so that it can begin no more, "),
            "{}",
            captured.words()
        );
        captured = Captured {
            file: Some(Err("no space left on device".into())),
            log_lines: Some(Err("é".repeat(200))),
            ..Captured::default()
        };
        let words = captured.words();
        assert!(words.starts_with("its log is not here: é") && words.ends_with("; not kept: no space left on device"));
        assert!(words.len() < 260, "{words}");
        assert_eq!(Captured::default().words(), "nothing is left of it");
    }

    #[test]
    fn nothing_is_left_at_the_limit() {
        let is_exhausted = |current, max| Usage { current, max }.is_exhausted();
        assert!(is_exhausted(64, Some(64)) && is_exhausted(65, Some(64)));
        assert!(!is_exhausted(63, Some(64)) && !is_exhausted(1 << 40, None));
    }
}
