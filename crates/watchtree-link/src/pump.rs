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
use tokio::time::{Instant, MissedTickBehavior};

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
    // The first tick of an interval may come a millisecond late: no frame is read before the keys are.
    reader.poll();
    let mut poll = tokio::time::interval_at(Instant::now() + R::POLL_EVERY, R::POLL_EVERY);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::channel;
    use watchtree_core::time::Moment;

    /// What was read, in order.
    #[derive(Default)]
    struct Order(Vec<&'static str>);

    impl LinkReader for Order {
        type Input = Vec<&'static str>;

        fn poll(&mut self) {
            self.0.push("keys");
        }

        fn frame(&mut self, _peer: Peer, _connection: u64, _parts: Vec<Vec<u8>>) -> Option<Vec<&'static str>> {
            self.0.push("frame");
            Some(self.0.clone())
        }
    }

    fn frame() -> LinkEvent {
        LinkEvent::Frame {
            peer: Peer::Parent,
            connection: 0,
            parts: vec![Vec::new()],
            at: Moment::ZERO,
        }
    }

    #[tokio::test]
    async fn the_keys_are_read_before_the_first_frame() {
        // Left to chance, one of so many would be the other way round.
        for _ in 0..64 {
            let (sender, events) = channel(2);
            let (inputs, mut inbox) = channel(2);
            sender.send(frame()).await.expect("room");
            sender.send(LinkEvent::Closed { clean: true }).await.expect("room");
            pump("test", events, Order::default(), inputs).await;
            assert_eq!(inbox.recv().await, Some(vec!["keys", "frame"]));
            assert_eq!(inbox.recv().await, None, "closed: it has returned");
        }
    }

    #[tokio::test]
    async fn it_ends_when_nobody_takes_inputs() {
        let (sender, events) = channel(1);
        let (inputs, inbox) = channel(1);
        drop(inbox);
        sender.send(frame()).await.expect("room");
        pump("test", events, Order::default(), inputs).await;
    }
}
