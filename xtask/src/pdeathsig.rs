//! `xtask pdeathsig PID PROGRAM …`: a wrapper that sets the parent death signal and becomes the program.
//!
//! The program gets SIGTERM when its parent, the process PID, ends, however it ends: the daemons of demo and bench must
//! not outlive a run that was killed. It does not know which program that is.

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The command that starts a program through the wrapper, with this process as the parent. Start it on a thread that lives
/// as long as the process: the kernel sends the signal when that thread ends.
pub(crate) fn command(program: &Path) -> Command {
    // By this name it is found also after it was built anew.
    let mut command = Command::new("/proc/self/exe");
    let us = getpid().as_raw_nonzero().to_string();
    command.args(["pdeathsig", &us]).arg(program);
    command
}

/// Becomes the program.
///
/// # Errors
/// It cannot be started, or the parent has ended already.
pub(crate) fn run(parent: i32, words: &[OsString]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM)).context("the parent death signal")?;
    // It may have ended before this was in force.
    if getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent) {
        bail!("process {parent}, which wanted this, has ended");
    }
    let (program, arguments) = words.split_first().context("which program?")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", Path::new(program).display()))
}
