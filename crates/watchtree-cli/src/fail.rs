//! How the command ends: one line for a person, one documented exit code for a script.

use std::io::Write;
use std::process::ExitCode;
use watchtree_api::{ClientError, ErrorCode};

/// The exit codes; docs/cli.md names them by number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Code {
    Ok = 0,
    Failed = 1,
    BadInput = 2,
    Ill = 3,
    Unknown = 4,
    Refused = 5,
    NoRights = 6,
    Timeout = 7,
    Taken = 8,
}

impl Code {
    /// Of a daemon that ended with this number.
    pub(crate) fn from_number(number: i32) -> Self {
        match number {
            2 => Self::BadInput,
            6 => Self::NoRights,
            7 => Self::Timeout,
            8 => Self::Taken,
            _ => Self::Failed,
        }
    }
}

/// A failure: what, and what to do.
#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) code: Code,
    pub(crate) line: String,
    /// What to try next, each on a line of its own.
    pub(crate) hints: Vec<String>,
}

impl Fail {
    pub(crate) fn new(code: Code, line: impl Into<String>) -> Self {
        Self {
            code,
            line: line.into(),
            hints: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The reader of our output went away (`| head`): everything ends in order, and nothing is wrong.
    pub(crate) fn nobody_reads() -> Self {
        Self::new(Code::Ok, "")
    }

    pub(crate) fn report(&self) -> ExitCode {
        if self.code != Code::Ok {
            print_error(&format!("watchtree: {}", self.line.replace('\n', " ")));
        }
        for hint in &self.hints {
            print_error(&format!("  try: {hint}"));
        }
        ExitCode::from(self.code as u8)
    }
}

/// Says a line on standard error. Not `eprintln!`: that panics where nobody listens any more.
pub(crate) fn print_error(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

impl From<ClientError> for Fail {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Unreachable { .. } => Code::Unknown,
            ClientError::NoRights { .. } => Code::NoRights,
            ClientError::Deadline { .. } => Code::Timeout,
            ClientError::TooLarge { .. } | ClientError::BadAnswer { .. } => Code::Failed,
            ClientError::Api(error) => match error.code {
                ErrorCode::BadRequest | ErrorCode::WrongMethod | ErrorCode::TooLarge => Code::BadInput,
                ErrorCode::NotFound | ErrorCode::Unavailable => Code::Unknown,
                ErrorCode::Refused | ErrorCode::ReadOnly => Code::Refused,
                ErrorCode::Busy | ErrorCode::Deadline => Code::Timeout,
                ErrorCode::Internal => Code::Failed,
            },
        };
        Self::new(code, error.to_string())
    }
}
