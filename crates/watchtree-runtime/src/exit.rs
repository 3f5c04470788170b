//! How every program of Watchtree ends: one line for a person, one documented code for a script.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Names a file in which a daemon that ends leaves its last line for the parent that started it: a pipe would break, and
/// with it the child's log, when the parent dies.
pub const LAST_WORDS_ENV: &str = "WATCHTREE_LAST_WORDS";

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
