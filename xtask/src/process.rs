//! A process of this machine, held by its pidfd so that it can be signalled and its end be seen.
//!
//! Contract: a signal reaches the process that was held or none. It does not know whose process that is.

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;

/// A process that is held by its pidfd, so that a number that was given away again hits nobody.
pub(crate) struct Process {
    pub(crate) pid: i32,
    handle: OwnedFd,
}

impl Process {
    /// Holds the process that has this number now.
    ///
    /// # Errors
    /// There is none, or it is one that nobody should touch.
    pub(crate) fn open(pid: i32) -> Result<Self> {
        let raw = Pid::from_raw(pid)
            .filter(|_| 1 < pid)
            .with_context(|| format!("{pid} is no process of ours"))?;
        let handle = pidfd_open(raw, PidfdFlags::empty()).with_context(|| format!("process {pid}"))?;
        Ok(Self { pid, handle })
    }

    /// Sends it a signal; one that has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("signal to process {}", self.pid)),
        }
    }

    /// True once it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
        let now = rustix::event::Timespec::default();
        rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|ready| 0 < ready)
    }
}
