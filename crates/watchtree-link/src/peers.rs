//! Which connection belongs to which peer, as learned from proven messages.
//!
//! Contract: a routing id is bound only by a message that libzmq has stamped with the peer's User-Id; the latest wins. So a
//! stranger that chooses somebody else's routing id gains nothing: what it sends is bound under its own key.

use crate::event::Peer;
use std::collections::HashMap;

#[derive(Debug)]
struct Bound {
    routing_id: Vec<u8>,
    fd: Option<i32>,
    user_id: String,
}

/// What a message meant for the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// The connection is the known one.
    Same,
    /// The peer was not known.
    New,
    /// The peer was known on another connection.
    Moved,
    /// The table is full.
    Full,
}

#[derive(Debug)]
pub(crate) struct Peers {
    bound: HashMap<Peer, Bound>,
    by_fd: HashMap<i32, Peer>,
    peers_max: usize,
}

impl Peers {
    pub(crate) fn new(peers_max: usize) -> Self {
        Self {
            bound: HashMap::new(),
            by_fd: HashMap::new(),
            peers_max,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bound.len()
    }

    /// Whether this is the known connection of that peer.
    pub(crate) fn is_bound(&self, peer: &Peer, routing_id: &[u8], fd: Option<i32>) -> bool {
        self.bound
            .get(peer)
            .is_some_and(|bound| bound.routing_id == routing_id && bound.fd == fd)
    }

    /// Binds the connection to the peer.
    pub(crate) fn hear(&mut self, peer: &Peer, routing_id: &[u8], fd: Option<i32>, user_id: &str) -> Heard {
        if self.is_bound(peer, routing_id, fd) {
            return Heard::Same;
        }
        let heard = match self.forget(peer) {
            true => Heard::Moved,
            false if self.peers_max <= self.bound.len() => return Heard::Full,
            false => Heard::New,
        };
        if let Some(fd) = fd {
            self.by_fd.insert(fd, peer.clone());
        }
        let bound = Bound {
            routing_id: routing_id.to_vec(),
            fd,
            user_id: user_id.to_string(),
        };
        self.bound.insert(peer.clone(), bound);
        heard
    }

    /// Where to send to that peer.
    pub(crate) fn routing_id(&self, peer: &Peer) -> Option<&[u8]> {
        self.bound.get(peer).map(|bound| bound.routing_id.as_slice())
    }

    /// Removes a peer; whether it was known.
    pub(crate) fn forget(&mut self, peer: &Peer) -> bool {
        let Some(bound) = self.bound.remove(peer) else {
            return false;
        };
        if let Some(fd) = bound.fd.filter(|fd| self.by_fd.get(fd) == Some(peer)) {
            self.by_fd.remove(&fd);
        }
        true
    }

    /// The connection with that descriptor is gone; the peer that was bound to it.
    pub(crate) fn lost(&mut self, fd: i32) -> Option<Peer> {
        let peer = self.by_fd.remove(&fd)?;
        self.bound.remove(&peer)?;
        Some(peer)
    }

    /// Removes all whose User-Id does not stand for them any more.
    pub(crate) fn retain(&mut self, is: impl Fn(&str, &Peer) -> bool) -> Vec<Peer> {
        let gone: Vec<Peer> = self
            .bound
            .iter()
            .filter(|(peer, bound)| !is(&bound.user_id, peer))
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in &gone {
            self.forget(peer);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchtree_core::id::NodeName;

    fn node(name: &str) -> Peer {
        Peer::Node(NodeName::new(name).unwrap())
    }

    #[test]
    fn the_latest_connection_wins_and_the_end_of_the_old_one_changes_nothing() {
        let mut peers = Peers::new(10);
        assert_eq!(peers.hear(&node("a"), b"1", Some(7), "k"), Heard::New);
        assert_eq!(peers.hear(&node("a"), b"1", Some(7), "k"), Heard::Same);
        assert_eq!(peers.hear(&node("a"), b"2", Some(8), "k"), Heard::Moved);
        assert_eq!(peers.lost(7), None);
        assert_eq!(peers.routing_id(&node("a")), Some(b"2".as_slice()));
        assert_eq!(peers.lost(8), Some(node("a")));
        assert_eq!(peers.routing_id(&node("a")), None);
    }

    #[test]
    fn a_descriptor_in_use_again_belongs_to_the_newer_peer() {
        let mut peers = Peers::new(10);
        peers.hear(&node("a"), b"1", Some(7), "k");
        peers.hear(&node("b"), b"2", Some(7), "l");
        peers.forget(&node("a"));
        assert_eq!(peers.lost(7), Some(node("b")));
    }

    #[test]
    fn the_table_is_bounded_but_never_against_those_in_it() {
        let mut peers = Peers::new(1);
        assert_eq!(peers.hear(&node("a"), b"1", None, "k"), Heard::New);
        assert_eq!(peers.hear(&node("b"), b"2", None, "l"), Heard::Full);
        assert_eq!(peers.hear(&node("a"), b"3", None, "k"), Heard::Moved);
    }
}
