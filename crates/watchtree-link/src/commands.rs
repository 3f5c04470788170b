//! What the handle and the link's thread share: the queue of frames to send, the wake-up, the stop, the allow-list.

use crate::counters::Live;
use crate::error::LinkError;
use crate::event::Peer;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watchtree_keys::AllowList;

/// A frame to send.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) peer: Peer,
    pub(crate) connection: u64,
    pub(crate) parts: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    wake: OwnedFd,
    requests: Mutex<Requests>,
    pub(crate) up: AtomicBool,
    pub(crate) counters: Live,
}

/// What the thread is asked for besides sending; the latest of each wins.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) allowed: Option<Arc<AllowList>>,
    /// With how long to linger.
    pub(crate) stop: Option<Duration>,
}

impl Shared {
    pub(crate) fn new() -> Result<Arc<Self>, LinkError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| LinkError::system("make an eventfd", errno))?;
        Ok(Arc::new(Self {
            wake,
            requests: Mutex::default(),
            up: AtomicBool::new(false),
            counters: Live::default(),
        }))
    }

    /// Wakes the thread. The eventfd counts, so a wake-up is never lost; that it is full means it is signalled already.
    pub(crate) fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    pub(crate) fn wake_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// Clears the wake-up; before the queue is read, so that a later command wakes again.
    pub(crate) fn drain_wake(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }

    pub(crate) fn set_allowed(&self, allowed: Arc<AllowList>) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).allowed = Some(allowed);
        self.wake();
    }

    pub(crate) fn stop(&self, linger: Duration) {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stop
            .get_or_insert(linger);
        self.wake();
    }

    pub(crate) fn take_requests(&self) -> Requests {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
