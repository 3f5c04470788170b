//! Starts a child process that outlives this one.
//!
//! Contract: the child has its own session (no Ctrl-C of our terminal, no hang-up), no pipe to us (our end must not break its
//! log), and none of the variables by which the service manager talks to us. Nothing ties its life to ours; a process that must not
//! outlive us is started with [`ends_with_us`].

#![expect(unsafe_code, reason = "system calls between fork and exec")]

use crate::process::Process;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Makes a child to be started get SIGTERM when the *thread* that starts it ends, however it ends (also by SIGKILL): for
/// trees that must not outlive who made them. Call it, and start the child, on a thread that lives as long as the process.
pub fn ends_with_us(command: &mut Command) {
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only prctl and getppid are called: system calls that allocate nothing and take no
    // lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
            // It may have died before this was in force.
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        });
    }
}

/// A child to be started.
#[derive(Debug)]
pub struct Spawn(Command);

impl Spawn {
    /// Of this program; standard input is empty, standard output and error are ours.
    pub fn new(program: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self(command)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    /// Sets a variable for the child.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Takes a variable of ours away from the child.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// The kernel's: no such program, no right to run it, too many processes.
    pub fn start(mut self) -> io::Result<Process> {
        // SAFETY: between fork and exec only setsid is called, which is one system call, allocates nothing and takes no
        // lock.
        unsafe {
            self.0.pre_exec(|| {
                rustix::process::setsid()?;
                Ok(())
            });
        }
        // It cannot have been reaped yet, so the number is still its own even if it has ended.
        hold(self.0.spawn()?, Process::open)
    }
}

/// One that cannot be held is ended: nobody could watch it, end it, or reap it later.
fn hold(mut child: Child, open: impl FnOnce(u32) -> io::Result<Process>) -> io::Result<Process> {
    open(child.id()).inspect_err(|_| {
        // That it has ended already is no error, and there is no other.
        let _ = child.kill();
        let _ = child.wait();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_cannot_be_held_does_not_live_on() {
        let child = Command::new("/bin/sleep")
            .arg("100")
            .spawn()
            .expect("sleep can be started");
        let pid = child.id();
        let refused = hold(child, |_| Err(io::ErrorKind::Unsupported.into()));
        assert_eq!(
            refused.map(|_| ()).map_err(|error| error.kind()),
            Err(io::ErrorKind::Unsupported)
        );
        assert!(Process::open(pid).is_err(), "it was ended and reaped");
    }
}
