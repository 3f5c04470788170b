//! Counters of a link, readable from any thread at any time.

use crate::event::Refusal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reading of a link's counters; all count from its start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Frames handed to the receiver.
    pub frames_in: u64,
    /// Frames handed to libzmq.
    pub frames_out: u64,
    /// Frames that `try_send` refused or that could not be sent.
    pub not_sent: u64,
    /// Dealer: attempts to connect again. Router: peers that came over one more connection, before their others were known to be gone.
    pub reconnects: u64,
    /// Dealer: sockets made anew: after a connection ended, after a refusal, for another server key, or because nothing moved.
    pub recreated: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Handshakes that succeeded.
    pub handshakes: u64,
    /// Connections that ended.
    pub ended: u64,
    /// Events other than frames that were dropped because the receiver did not read.
    pub events_dropped: u64,
    /// Times that reading paused because the receiver did not read.
    pub pauses: u64,
    /// Router: peers known now.
    pub peers: u64,
    /// Refusals, in the order of [`Refusal::ALL`].
    refused: [u64; Refusal::ALL.len()],
}

impl Counters {
    /// How often something was refused for this reason.
    pub fn refused(&self, why: Refusal) -> u64 {
        self.refused[why as usize]
    }
}

#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) frames_in: AtomicU64,
    pub(crate) frames_out: AtomicU64,
    pub(crate) not_sent: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) recreated: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) handshakes: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
    pub(crate) pauses: AtomicU64,
    pub(crate) peers: AtomicU64,
    pub(crate) refused: [AtomicU64; Refusal::ALL.len()],
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Live {
    pub(crate) fn read(&self) -> Counters {
        let mut refused = [0; Refusal::ALL.len()];
        for (to, from) in refused.iter_mut().zip(&self.refused) {
            *to = from.load(Relaxed);
        }
        Counters {
            frames_in: self.frames_in.load(Relaxed),
            frames_out: self.frames_out.load(Relaxed),
            not_sent: self.not_sent.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            recreated: self.recreated.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
            handshakes: self.handshakes.load(Relaxed),
            ended: self.ended.load(Relaxed),
            events_dropped: self.events_dropped.load(Relaxed),
            pauses: self.pauses.load(Relaxed),
            peers: self.peers.load(Relaxed),
            refused,
        }
    }
}
