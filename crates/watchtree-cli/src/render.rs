//! Answers as text. Pure, but for the functions that write to standard output.
//!
//! Contract: on a terminal glyphs, lines and colour, where colour is never the only sign. Elsewhere (and with `--plain`,
//! `TERM=dumb`) one subject per line with its whole path, so that it can be searched and cut. `NO_COLOR` is obeyed.

mod explain;
mod lists;
mod style;
mod tree;

use crate::fail::{Code, Fail};
use serde::Serialize;
use std::io::{ErrorKind, Write};

pub(crate) use explain::{explain, policy};
pub(crate) use lists::{events, incidents, no_incidents_here, status};
pub(crate) use style::{Style, clean, is_ill};
pub(crate) use tree::{any_ill, tree};

/// Writes to standard output. A reader that went away (`| head`) ends the program, but is no failure.
pub(crate) fn print(text: &str) -> Result<(), Fail> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Fail::nobody_reads()),
        Err(error) => Err(Fail::new(
            Code::Failed,
            format!("cannot write to standard output: {error}"),
        )),
    }
}

/// Writes one value as JSON on one line.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Fail> {
    let text = serde_json::to_string(value).map_err(|error| Fail::new(Code::Failed, error.to_string()))?;
    print(&format!("{text}\n"))
}
