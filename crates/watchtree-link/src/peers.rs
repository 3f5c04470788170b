//! Which connections belong to which peer, as learned from proven messages.
//!
//! Contract: a connection is bound only by a message that libzmq has stamped with the peer's User-Id. So a stranger that chooses
//! somebody else's routing id gains nothing: what it sends is bound under its own key. Two machines with one key (a copied
//! one) are two connections here, side by side: which of them is the node is not known at this height, and no message of
//! one takes the other's way. A peer has [`CONNECTIONS_MAX`] at most; the one that was silent longest makes room.

use crate::event::Peer;
use std::collections::HashMap;

/// Connections of one peer. A node has one, and after a broken network some dead ones that nobody has noticed yet.
pub(crate) const CONNECTIONS_MAX: usize = 8;

#[derive(Debug)]
struct Bound {
    connection: u64,
    routing_id: Vec<u8>,
    fd: Option<i32>,
    user_id: String,
    /// Grows with every message of any connection.
    heard: u64,
}

/// What binding a new connection has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct New {
    /// Its number: never used again.
    pub(crate) connection: u64,
    /// How many others of this peer are not known to be gone.
    pub(crate) others: usize,
    /// The one that made room.
    pub(crate) dropped: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Peers {
    bound: HashMap<Peer, Vec<Bound>>,
    by_fd: HashMap<i32, Vec<(Peer, u64)>>,
    peers_max: usize,
    connections: u64,
    messages: u64,
}

impl Peers {
    pub(crate) fn new(peers_max: usize) -> Self {
        Self {
            bound: HashMap::new(),
            by_fd: HashMap::new(),
            peers_max,
            connections: 0,
            messages: 0,
        }
    }

    /// How many peers.
    pub(crate) fn len(&self) -> usize {
        self.bound.len()
    }

    /// The number of that connection, if it is bound; it has just been heard.
    pub(crate) fn heard(&mut self, peer: &Peer, routing_id: &[u8], fd: Option<i32>) -> Option<u64> {
        self.messages += 1;
        let bound = self.bound.get_mut(peer)?;
        let bound = bound
            .iter_mut()
            .find(|bound| bound.routing_id == routing_id && bound.fd == fd)?;
        bound.heard = self.messages;
        Some(bound.connection)
    }

    /// Binds a new connection to the peer; `None` if there is no place for another peer.
    pub(crate) fn bind(&mut self, peer: &Peer, routing_id: &[u8], fd: Option<i32>, user_id: &str) -> Option<New> {
        if self.peers_max <= self.bound.len() && !self.bound.contains_key(peer) {
            return None;
        }
        let bound = self.bound.entry(peer.clone()).or_default();
        let oldest = bound
            .iter()
            .min_by_key(|bound| bound.heard)
            .map(|bound| bound.connection);
        let dropped = oldest.filter(|_| CONNECTIONS_MAX <= bound.len());
        self.connections += 1;
        bound.push(Bound {
            connection: self.connections,
            routing_id: routing_id.to_vec(),
            fd,
            user_id: user_id.to_string(),
            heard: self.messages,
        });
        if let Some(fd) = fd {
            self.by_fd.entry(fd).or_default().push((peer.clone(), self.connections));
        }
        let connection = self.connections;
        if let Some(dropped) = dropped {
            self.forget(peer, dropped);
        }
        let others = self.bound.get(peer).map_or(0, Vec::len).saturating_sub(1);
        Some(New {
            connection,
            others,
            dropped,
        })
    }

    /// How to send over that connection.
    pub(crate) fn routing_id(&self, peer: &Peer, connection: u64) -> Option<&[u8]> {
        let bound = self
            .bound
            .get(peer)?
            .iter()
            .find(|bound| bound.connection == connection)?;
        Some(&bound.routing_id)
    }

    /// Removes a connection; whether it was there.
    pub(crate) fn forget(&mut self, peer: &Peer, connection: u64) -> bool {
        let Some(bound) = self.bound.get_mut(peer) else {
            return false;
        };
        let Some(place) = bound.iter().position(|bound| bound.connection == connection) else {
            return false;
        };
        let gone = bound.remove(place);
        if bound.is_empty() {
            self.bound.remove(peer);
        }
        if let Some(fd) = gone.fd
            && let Some(on_fd) = self.by_fd.get_mut(&fd)
        {
            on_fd.retain(|(_, number)| *number != connection);
            if on_fd.is_empty() {
                self.by_fd.remove(&fd);
            }
        }
        true
    }

    /// The descriptor was closed: the connections that were bound to it. They stay until they are forgotten, because frames of
    /// theirs may not have been read yet; the descriptor may be in use again at once.
    pub(crate) fn closed(&mut self, fd: i32) -> Vec<(Peer, u64)> {
        self.by_fd.remove(&fd).unwrap_or_default()
    }

    /// Removes all whose User-Id does not stand for them any more.
    pub(crate) fn retain(&mut self, is: impl Fn(&str, &Peer) -> bool) -> Vec<(Peer, u64)> {
        let gone: Vec<(Peer, u64)> = self
            .bound
            .iter()
            .flat_map(|(peer, bound)| bound.iter().map(move |bound| (peer, bound)))
            .filter(|(peer, bound)| !is(&bound.user_id, peer))
            .map(|(peer, bound)| (peer.clone(), bound.connection))
            .collect();
        for (peer, connection) in &gone {
            self.forget(peer, *connection);
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

    fn bind(peers: &mut Peers, name: &str, routing_id: &[u8], fd: i32) -> u64 {
        peers.bind(&node(name), routing_id, Some(fd), "k").unwrap().connection
    }

    #[test]
    fn connections_of_one_peer_stand_side_by_side_and_end_one_by_one() {
        let mut peers = Peers::new(10);
        let (first, second) = (bind(&mut peers, "a", b"1", 7), bind(&mut peers, "a", b"2", 8));
        assert_eq!(peers.heard(&node("a"), b"1", Some(7)), Some(first));
        assert_eq!(peers.heard(&node("a"), b"2", Some(8)), Some(second));
        assert_eq!(peers.routing_id(&node("a"), first), Some(b"1".as_slice()));
        assert_eq!(peers.routing_id(&node("a"), second), Some(b"2".as_slice()));
        assert_eq!(peers.closed(7), [(node("a"), first)]);
        assert_eq!(
            peers.heard(&node("a"), b"1", Some(7)),
            Some(first),
            "its frames are still known"
        );
        assert!(peers.forget(&node("a"), first) && !peers.forget(&node("a"), first));
        assert_eq!(peers.routing_id(&node("a"), first), None);
        assert_eq!((peers.routing_id(&node("a"), second).is_some(), peers.len()), (true, 1));
    }

    #[test]
    fn a_descriptor_in_use_again_belongs_to_the_newer_connection() {
        let mut peers = Peers::new(10);
        let old = bind(&mut peers, "a", b"1", 7);
        assert_eq!(peers.closed(7), [(node("a"), old)]);
        let new = bind(&mut peers, "b", b"2", 7);
        assert!(peers.forget(&node("a"), old));
        assert_eq!(peers.closed(7), [(node("b"), new)]);
        assert_eq!(peers.closed(7), []);
    }

    #[test]
    fn the_connection_that_was_silent_longest_makes_room() {
        let mut peers = Peers::new(10);
        let numbers: Vec<u64> = (0..CONNECTIONS_MAX)
            .map(|n| bind(&mut peers, "a", &[n as u8], n as i32))
            .collect();
        for n in [0, 2, 3, 4, 5, 6, 7] {
            assert_eq!(
                peers.heard(&node("a"), &[n], Some(i32::from(n))),
                Some(numbers[usize::from(n)])
            );
        }
        let new = peers.bind(&node("a"), b"new", Some(99), "k").unwrap();
        assert_eq!((new.others, new.dropped), (CONNECTIONS_MAX - 1, Some(numbers[1])));
        assert!(peers.routing_id(&node("a"), numbers[0]).is_some());
        assert_eq!(peers.closed(1), []);
    }

    #[test]
    fn the_table_is_bounded_but_never_against_those_in_it() {
        let mut peers = Peers::new(1);
        bind(&mut peers, "a", b"1", 1);
        assert_eq!(peers.bind(&node("b"), b"2", None, "l"), None);
        assert!(peers.bind(&node("a"), b"3", None, "k").is_some());
    }

    #[test]
    fn who_is_taken_off_the_list_loses_all_connections() {
        let mut peers = Peers::new(10);
        let (one, two) = (bind(&mut peers, "a", b"1", 1), bind(&mut peers, "a", b"2", 2));
        let other = peers.bind(&node("b"), b"3", Some(3), "l").unwrap().connection;
        let mut gone = peers.retain(|user_id, _| user_id == "l");
        gone.sort();
        assert_eq!(gone, [(node("a"), one), (node("a"), two)]);
        assert!(peers.routing_id(&node("b"), other).is_some() && peers.len() == 1);
    }
}
