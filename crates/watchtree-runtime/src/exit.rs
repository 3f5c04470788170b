//! How every program of Watchtree ends: one line for a person, one documented exit code for a script.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Names a file in which a daemon that ends leaves its last line for the parent that started it: a pipe would break, and
/// with it the child's log, when the parent dies.
pub const LAST_WORDS_ENV: &str = "WATCHTREE_LAST_WORDS";

/// systemd restarts a crashed daemon at once, and as often as it takes. One that ends within [`START_LASTS`] of its start
/// waits this long first: else a port that is in use would fill the log with five lines a second.
const PAUSE: Duration = Duration::from_secs(5);
/// What ends later has worked; its next life may begin at once.
const START_LASTS: Duration = Duration::from_secs(10);

static WORKS_SINCE: OnceLock<Instant> = OnceLock::new();

/// A daemon begins to work.
pub(crate) fn works_from_now() {
    WORKS_SINCE.get_or_init(Instant::now);
}

/// The exit codes. docs and unit files name them by number: never renumber.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Code {
    /// 0: all is well.
    Ok = 0,
    /// 1: it failed.
    Failed = 1,
    /// 2: bad input that only a person can mend: flags, configuration, a key file, a label file.
    BadInput = 2,
    /// 3: something in the tree is ill (command line only).
    Ill = 3,
    /// 4: unknown subject, or the daemon cannot be reached (command line only).
    Unknown = 4,
    /// 5: refused by a guard or by the target.
    Refused = 5,
    /// 6: no rights (docker.sock, files).
    NoRights = 6,
    /// 7: no answer in time.
    Timeout = 7,
    /// 8: taken: the port or socket is in use, another healer holds the engine.
    Taken = 8,
}

/// An end of the program on purpose. Carried inside `anyhow::Error`; `main` finds it with `downcast_ref`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exit {
    /// With which code.
    pub code: Code,
    /// One line: place, what, cure.
    pub line: String,
}

impl Exit {
    /// Makes one; line breaks in the text become blanks.
    pub fn new(code: Code, line: impl Into<String>) -> Self {
        Self {
            code,
            line: line.into().replace('\n', " "),
        }
    }

    /// [`Code::BadInput`].
    pub fn bad_input(line: impl Into<String>) -> Self {
        Self::new(Code::BadInput, line)
    }

    /// The code a failed system call on a file or socket stands for: 6 where rights are missing, 8 where something is in
    /// use, else 1.
    pub fn of_io(error: &std::io::Error, line: impl Into<String>) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Code::NoRights,
            std::io::ErrorKind::AddrInUse => Code::Taken,
            _ => Code::Failed,
        };
        Self::new(code, line)
    }

    /// Prints `PROGRAM: LINE` to stderr, leaves the line in the file named by [`LAST_WORDS_ENV`] if a parent wants it,
    /// and gives the code to `main`.
    pub fn report(&self, program: &str) -> ExitCode {
        // Not `eprintln!`: that panics where nobody listens any more.
        let _ = writeln!(std::io::stderr(), "{program}: {}", self.line);
        if let Some(file) = std::env::var_os(LAST_WORDS_ENV) {
            let _ = std::fs::write(file, &self.line);
        }
        let managed = std::env::var_os("NOTIFY_SOCKET").is_some();
        std::thread::sleep(pause(self.code, managed, WORKS_SINCE.get().map(Instant::elapsed)));
        self.exit_code()
    }

    /// For `main` to return.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl std::error::Error for Exit {}

/// The end of a `main` that works with boxed or `anyhow` errors: the first [`Exit`] in the chain gives the code and the
/// line; any other error is code 1 with its whole chain on one line.
pub fn finish(program: &str, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let mut link = Some(error);
    let mut words = Vec::new();
    while let Some(current) = link {
        if let Some(exit) = current.downcast_ref::<Exit>() {
            return exit.report(program);
        }
        words.push(current.to_string().replace('\n', " "));
        link = current.source();
    }
    Exit::new(Code::Failed, words.join(": ")).report(program)
}

/// How long to wait before the end. `managed`: a service manager will start the daemon again.
fn pause(code: Code, managed: bool, worked: Option<Duration>) -> Duration {
    let again = managed && matches!(code, Code::Failed | Code::Taken);
    if again && worked.is_none_or(|worked| worked < START_LASTS) {
        PAUSE
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_start_that_fails_and_is_tried_again_is_slow() {
        let soon = Some(Duration::from_secs(1));
        for worked in [None, soon] {
            assert_eq!(pause(Code::Taken, true, worked), PAUSE);
            assert_eq!(pause(Code::Failed, true, worked), PAUSE);
            assert_eq!(pause(Code::Taken, false, worked), Duration::ZERO, "by hand");
            assert_eq!(
                pause(Code::BadInput, true, worked),
                Duration::ZERO,
                "it is not tried again"
            );
        }
        let long = Some(Duration::from_secs(60));
        assert_eq!(pause(Code::Failed, true, long), Duration::ZERO);
    }

    #[test]
    fn the_units_know_what_only_a_person_can_mend() {
        let unit = |name: &str| {
            let path = format!(
                "{}/../../deploy/systemd/{name}-watchdog.service",
                env!("CARGO_MANIFEST_DIR")
            );
            std::fs::read_to_string(path).expect("the unit is there")
        };
        let (host, manager) = (unit("host"), unit("manager"));
        // Containers are healed as soon as a taken place is free; a manager's port is a person's matter.
        assert!(host.contains("\nRestartPreventExitStatus=2 6\n"));
        assert!(manager.contains("\nRestartPreventExitStatus=2 6 8\n"));
        // SIGHUP changes nothing in either.
        assert!(!host.contains("ExecReload") && !manager.contains("ExecReload"));
    }
}
