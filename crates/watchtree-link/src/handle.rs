//! The tokio side of a link: send, stop, read counters. Never blocks.

use crate::commands::{Command, Shared};
use crate::config::Limits;
use crate::counters::{Counters, count};
use crate::event::{NotSent, Peer};
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;
use watchtree_keys::AllowList;

/// Longest time that frames in flight may hold up the end, whatever [`LinkHandle::stop`] was given.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(1);

/// A running link. Clones share it; when the last one is dropped the link stops without lingering.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
    limits: Limits,
    bound: Vec<String>,
}

impl LinkHandle {
    pub(crate) fn new(commands: SyncSender<Command>, shared: Arc<Shared>, limits: Limits, bound: Vec<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                commands,
                shared,
                limits,
                bound,
            }),
        }
    }

    /// Dealer: hands a frame for the parent to the link's thread, as [`Self::try_send`] does.
    ///
    /// # Errors
    /// [`NotSent`] says why it was not taken.
    pub fn try_send_up(&self, parts: Vec<Vec<u8>>) -> Result<(), NotSent> {
        self.try_send(&Peer::Parent, 0, parts)
    }

    /// Hands a frame to the link's thread; the parts are sent as they are, to that peer over that connection (as a
    /// [`Frame`](crate::LinkEvent::Frame) named it) and no other. Never blocks. `Ok` = taken, not delivered: an event
    /// [`NotSent`](crate::LinkEvent::NotSent) may follow, and a frame in flight is lost with its connection.
    ///
    /// # Errors
    /// [`NotSent`] says why it was not taken.
    pub fn try_send(&self, peer: &Peer, connection: u64, parts: Vec<Vec<u8>>) -> Result<(), NotSent> {
        let result = self.take(peer, connection, parts);
        if result.is_err() {
            count(&self.inner.shared.counters.not_sent);
        }
        result
    }

    fn take(&self, peer: &Peer, connection: u64, parts: Vec<Vec<u8>>) -> Result<(), NotSent> {
        let Inner {
            commands,
            shared,
            limits,
            ..
        } = &*self.inner;
        let bytes: usize = parts.iter().map(Vec::len).sum();
        if parts.is_empty() || limits.parts_max < parts.len() || limits.out_bytes_max < bytes {
            return Err(NotSent::TooLarge);
        }
        if *peer == Peer::Parent && !shared.up.load(Acquire) {
            return Err(NotSent::Down);
        }
        match commands.try_send(Command {
            peer: peer.clone(),
            connection,
            parts,
        }) {
            Ok(()) => {
                shared.wake();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(NotSent::QueueFull),
            Err(TrySendError::Disconnected(_)) => Err(NotSent::Closed),
        }
    }

    /// Tcp router: from now on these keys and no others. A peer whose key is gone is cut off at once: what it sends is refused, and nothing
    /// is sent to it.
    pub fn set_allowed(&self, allowed: Arc<AllowList>) {
        self.inner.shared.set_allowed(allowed);
    }

    /// Ends the link in order: what was taken is sent, frames in flight may linger that long (at most 1 s), then the sockets close. The last
    /// event is [`Closed`](crate::LinkEvent::Closed), at most 0.5 s after that; then the channel ends. Returns at once.
    pub fn stop(&self, linger: Duration) {
        self.inner.shared.stop(linger.min(LINGER_MAX));
    }

    /// Dealer: whether it is connected and the handshake is done.
    pub fn is_up(&self) -> bool {
        self.inner.shared.up.load(Acquire)
    }

    /// Router: the endpoints it listens at, with the real ports. Empty for a dealer.
    pub fn bound(&self) -> &[String] {
        &self.inner.bound
    }

    /// Reads all counters.
    pub fn counters(&self) -> Counters {
        self.inner.shared.counters.read()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop(Duration::ZERO);
    }
}
