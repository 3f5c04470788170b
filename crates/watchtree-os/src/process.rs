//! A process held by its pidfd.
//!
//! Contract: a signal cannot hit another process that got the same number later. Does not know what the process is for.

#![expect(unsafe_code, reason = "a borrowed file descriptor is handed to the reactor")]

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::unix::AsyncFd;

pub use rustix::process::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It is gone; it was no child of ours, so the kernel does not say how.
    Unknown,
}

/// A living (or just ended) process. Clones are the same hold.
#[derive(Clone, Debug)]
pub struct Process {
    pid: u32,
    fd: Arc<OwnedFd>,
}

impl Process {
    /// Takes hold of a process by number. What it is must be checked *after* this: from here on the number cannot come
    /// to mean another process.
    ///
    /// # Errors
    /// `InvalidInput` for a pid of 0 or 1 (a signal to them would hit a whole group, or init); `NotFound` if there is
    /// none.
    pub fn open(pid: u32) -> io::Result<Self> {
        let checked = i32::try_from(pid).ok().filter(|pid| 1 < *pid).and_then(Pid::from_raw);
        let Some(raw) = checked else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("pid {pid} is never a child of ours"),
            ));
        };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(fd) => Ok(Self { pid, fd: Arc::new(fd) }),
            Err(rustix::io::Errno::SRCH) => Err(io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}"))),
            Err(error) => Err(error.into()),
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its pidfd.
    pub(crate) fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends a signal. One that has ended already is no error.
    ///
    /// # Errors
    /// The kernel's: no right to.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end and, if it is our child, reaps it. Told by the kernel at once, also for a process that is not
    /// our child. Safe to drop half-way. One waiter at a time, of all clones.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn wait(&self) -> io::Result<Exit> {
        // SAFETY: the borrow keeps the descriptor open for as long as `watched` lives, and it always names this pidfd.
        let watched = unsafe { AsyncFd::register_with_interest(self.fd.as_fd(), tokio::io::Interest::READABLE) }
            .map_err(io::Error::from)?;
        // Readable once and for ever when it has ended.
        let _ready = watched.readable().await?;
        self.reap()
    }

    /// Kills it and waits for its end, which comes at once unless it hangs in the kernel; reaps a child of ours. Blocks.
    ///
    /// # Errors
    /// The kernel's.
    pub fn end(&self) -> io::Result<Exit> {
        self.signal(Signal::KILL)?;
        self.reap()
    }

    /// How it ended, when it has; reaps a child of ours.
    fn reap(&self) -> io::Result<Exit> {
        match waitid(WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => Ok(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => Exit::Unknown,
            }),
            Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(Exit::Unknown),
            Err(error) => Err(error.into()),
        }
    }
}

/// What the kernel says a process is at: `S` (sleeps), `R` (runs), `D` (waits for a device), `T` (is stopped) …
///
/// # Errors
/// The process has ended, or cannot be looked at.
pub fn run_state(pid: u32) -> io::Result<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (state, _) = parse_stat(&stat).ok_or(io::ErrorKind::InvalidData)?;
    Ok(state)
}

/// A process, as the kernel shows it to onlookers: never its arguments, never its environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Task {
    /// Its number.
    pub pid: u32,
    /// Its name, 15 bytes at most; whatever is no plain character is replaced.
    pub name: String,
    /// See [`run_state`].
    pub state: char,
    /// Its threads.
    pub threads: u32,
    /// Where in the kernel it waits, where that can be read and it does.
    pub waits_in: Option<String>,
}

/// Looks at a process once.
///
/// # Errors
/// The process has ended, or cannot be looked at.
pub fn task(pid: u32) -> io::Result<Task> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (name, state, threads) = parse_task(&stat).ok_or(io::ErrorKind::InvalidData)?;
    let waits_in = std::fs::read_to_string(format!("/proc/{pid}/wchan")).ok();
    let waits_in = waits_in.filter(|it| !matches!(it.as_str(), "" | "0"));
    Ok(Task {
        pid,
        name: name.chars().map(|it| if it.is_control() { '?' } else { it }).collect(),
        state,
        threads,
        waits_in,
    })
}

/// Name, state and number of threads of a line of `/proc/PID/stat`.
fn parse_task(line: &str) -> Option<(&str, char, u32)> {
    let (open, close) = (line.find('(')?, line.rfind(')')?);
    let mut fields = line[close + 1..].split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // `num_threads` is field 20; the state is field 3.
    Some((line.get(open + 1..close)?, state, fields.nth(16)?.parse().ok()?))
}

/// The name of a process, as the kernel knows it: 15 bytes at most.
///
/// # Errors
/// The process has ended, or cannot be looked at.
pub fn name(pid: u32) -> io::Result<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    Ok(name.trim_end().to_owned())
}

/// The children of a process that have this name (as the kernel knows it, 15 bytes at most).
///
/// # Errors
/// `/proc` cannot be read.
pub fn children_named(parent: u32, name: &str) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name_of = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
        let Some(pid) = entry.ok().and_then(name_of) else {
            continue;
        };
        // Held first, then looked at.
        let Ok(process) = Process::open(pid) else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if parse_parent(&stat) == Some((name, parent)) {
            found.push(process);
        }
    }
    Ok(found)
}

/// Name and parent of a line of `/proc/PID/stat`.
fn parse_parent(line: &str) -> Option<(&str, u32)> {
    let (open, close) = (line.find('(')?, line.rfind(')')?);
    let parent = line[close + 1..].split_ascii_whitespace().nth(1)?;
    Some((line.get(open + 1..close)?, parent.parse().ok()?))
}

/// The control groups of a process, as `/proc` lists them: a line each.
///
/// # Errors
/// The process has ended, or cannot be looked at.
pub fn control_groups(pid: u32) -> io::Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
}

/// A namespace of a process (`net`, `pid`, `ipc`), by its inode.
///
/// # Errors
/// The process has ended, or may not be looked at.
pub fn namespace(pid: u32, kind: &str) -> io::Result<u64> {
    Ok(std::fs::metadata(format!("/proc/{pid}/ns/{kind}"))?.ino())
}

/// What `/proc` says of a process that may be a lost child of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
struct ProcStat {
    uid: u32,
    started: u64,
    args: Vec<String>,
}

/// Finds the living processes whose arguments (behind the program's name) fit, of our user and in our own pid namespace
/// (processes in containers have another one): the children of a former life of this daemon. The program's name tells
/// nothing: it is configured, and may have been another one then. The oldest comes first.
///
/// # Errors
/// `/proc` cannot be read.
pub fn find(fits: impl Fn(&[String]) -> bool) -> io::Result<Vec<Process>> {
    let own_namespace = std::fs::read_link("/proc/self/ns/pid")?;
    let own_uid = rustix::process::getuid().as_raw();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry
            .ok()
            .and_then(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        // Hold it first, then look: what is seen then is this very process.
        let Ok(process) = Process::open(pid) else { continue };
        let Some(seen) = read_stat(pid, &own_namespace) else {
            continue;
        };
        if seen.uid == own_uid && seen.args.get(1..).is_some_and(&fits) {
            found.push((seen.started, process));
        }
    }
    found.sort_by_key(|(started, process)| (*started, process.pid()));
    Ok(found.into_iter().map(|(_, process)| process).collect())
}

/// `None` for a process that has ended, is none of this namespace, or cannot be looked at.
fn read_stat(pid: u32, namespace: &std::path::Path) -> Option<ProcStat> {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let args = std::fs::read(dir.join("cmdline"))
        .ok()
        .filter(|bytes| !bytes.is_empty())?;
    let args = args.strip_suffix(b"\0").unwrap_or(&args);
    let args = args
        .split(|byte| *byte == 0)
        .map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect();
    if std::fs::read_link(dir.join("ns/pid")).ok()? != namespace {
        return None;
    }
    let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
    let (state, started) = parse_stat(&stat)?;
    let uid = MetadataExt::uid(&std::fs::metadata(&dir).ok()?);
    (state != 'Z' && state != 'X').then_some(ProcStat { uid, started, args })
}

/// State and start time (clock ticks since boot) of a line of `/proc/PID/stat`. The name in it may hold anything.
fn parse_stat(line: &str) -> Option<(char, u64)> {
    let rest = &line[line.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // `starttime` is field 22; the state is field 3.
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1";
        assert_eq!(parse_stat(line), Some(('S', 777)));
        assert_eq!(parse_stat("nonsense"), None);
        assert_eq!(parse_parent(line), Some(("a) b (c)", 1)));
        assert_eq!(parse_task(line), Some(("a) b (c)", 'S', 1)));
    }

    #[test]
    fn a_process_is_looked_at_without_its_arguments() {
        let own = task(std::process::id()).expect("it lives");
        assert!(
            0 < own.threads && !own.name.is_empty() && own.name.len() <= 15,
            "{own:?}"
        );
        assert!(task(u32::MAX).is_err());
    }
}
