//! Reads the events of a link until it ends, and hands on what its owner makes of them.
//!
//! ```text
//!   link ── LinkEvent ──▶ pump ── one call of the reader ──▶ Input ──▶ bounded channel
//!                          └─ refused, not sent: log
//! ```
//!
//! Contract: events keep their order; a full channel holds the pump up and nothing else. It returns when the link has
//! closed or nobody takes inputs any more. Does not know what a frame says.

use crate::event::{DownReason, LinkEvent, Peer};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::MissedTickBehavior;

/// What the owner of a link makes of its events. A method that returns `None` has nothing to hand on.
pub trait LinkReader {
    /// What is handed on.
    type Input;

    /// How often [`Self::poll`] runs.
    const POLL_EVERY: Duration = Duration::from_secs(2);

    /// Reads again what may change while the link works: the files of keys.
    fn poll(&mut self) {}

    /// A dealer is connected.
    fn up(&mut self) -> Option<Self::Input> {
        None
    }

    /// A dealer is not connected.
    fn down(&mut self, _why: DownReason) -> Option<Self::Input> {
        None
    }

    /// A peer sent its first frame over a new connection of a router.
    fn peer_seen(&mut self, _peer: Peer, _connection: u64, _address: Option<IpAddr>) -> Option<Self::Input> {
        None
    }

    /// A connection of a router is gone.
    fn peer_gone(&mut self, _peer: Peer, _connection: u64) -> Option<Self::Input> {
        None
    }

    /// A frame came.
    fn frame(&mut self, peer: Peer, connection: u64, parts: Vec<Vec<u8>>) -> Option<Self::Input>;
}

/// See the file's head. `link` names it in the log.
pub async fn pump<R: LinkReader>(
    link: &'static str,
    mut events: Receiver<LinkEvent>,
    mut reader: R,
    inputs: Sender<R::Input>,
) {
    let mut poll = tokio::time::interval(R::POLL_EVERY);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            // Due now for the first time: no frame is read before the keys are.
            biased;
            _ = poll.tick() => {
                reader.poll();
                continue;
            }
            event = events.recv() => event,
        };
        let input = match event {
            None | Some(LinkEvent::Closed { .. }) => return,
            Some(LinkEvent::Up) => reader.up(),
            Some(LinkEvent::Down { why }) => reader.down(why),
            Some(LinkEvent::PeerSeen {
                peer,
                connection,
                address,
            }) => reader.peer_seen(peer, connection, address),
            Some(LinkEvent::PeerGone { peer, connection }) => reader.peer_gone(peer, connection),
            Some(LinkEvent::Frame {
                peer,
                connection,
                parts,
                at: _,
            }) => reader.frame(peer, connection, parts),
            Some(LinkEvent::Refused { why, count, address }) => {
                tracing::warn!(link, reason = why.as_str(), count, address, "refused");
                None
            }
            Some(LinkEvent::NotSent { peer, why, count }) => {
                tracing::debug!(link, %peer, %why, count, "frames are lost");
                None
            }
        };
        if let Some(input) = input
            && inputs.send(input).await.is_err()
        {
            return;
        }
    }
}
