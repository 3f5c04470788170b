//! `xtask tether PID PROGRAM …`: becomes that program, and gets SIGTERM when the process PID, which started it, ends,
//! however it ends: what demo and bench start must not outlive them, also where they are killed.

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The command that starts a program on a tether to this process; to be started on a thread that lives as long as the
/// process, for the kernel looks at the thread.
pub(crate) fn command(program: &Path) -> Command {
    // By this name it is found also after it was built anew.
    let mut command = Command::new("/proc/self/exe");
    let us = getpid().as_raw_nonzero().to_string();
    command.args(["tether", &us]).arg(program);
    command
}

/// Becomes the program.
///
/// # Errors
/// It cannot be started, or the parent has ended already.
pub(crate) fn run(parent: i32, words: &[OsString]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("a tether to the parent")?;
    // It may have ended before this was in force.
    if getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent) {
        bail!("process {parent}, which wanted this, has ended");
    }
    let (program, arguments) = words.split_first().context("which program?")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", Path::new(program).display()))
}
