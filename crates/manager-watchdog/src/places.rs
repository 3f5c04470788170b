//! Where a host can be looked at from outside: where it says, else where it connected from.
//!
//! Where it connected from = the connection whose Hello was welcomed. Another machine with a copy of its key connects too; it is
//! refused, and a look at it would prove nothing.
//! An address that several nodes connect from may be a translator's (NAT): its answer would prove nothing of the machine
//! behind it, so such a look is not made. Judges nothing else.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use watchtree_core::backend::Peer;
use watchtree_core::id::NodeName;

/// Most machines have ssh's port open or closed; either is an answer of the kernel.
const LIKELY_PORT: u16 = 22;

/// Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Of the connections that stand; the link bounds them.
    connections: BTreeMap<u64, IpAddr>,
    /// Of the nodes that were welcomed, also when they are gone by now: that is when somebody looks. Bounded by the allow-list.
    nodes: BTreeMap<NodeName, IpAddr>,
}

impl Places {
    /// A connection came from there.
    pub(crate) fn connected(&self, connection: u64, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.lock().connections.insert(connection, address);
        }
    }

    /// That connection is gone.
    pub(crate) fn gone(&self, connection: u64) {
        self.lock().connections.remove(&connection);
    }

    /// The node of that connection is the one it says it is.
    pub(crate) fn welcomed(&self, peer: &Peer) {
        let mut known = self.lock();
        if let Some(address) = known.connections.get(&peer.connection).copied() {
            known.nodes.insert(peer.name.clone(), address);
        }
    }

    /// Where to look (TCP and ICMP are asked at each).
    ///
    /// # Errors
    /// Why there is no place, in words.
    pub(crate) fn of(&self, name: &NodeName, said: Vec<String>) -> Result<Vec<String>, String> {
        if !said.is_empty() {
            return Ok(said);
        }
        place(name, &self.lock().nodes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(name: &NodeName, nodes: &BTreeMap<NodeName, IpAddr>) -> Result<Vec<String>, String> {
    let Some(own) = nodes.get(name) else {
        return Err("no look_at is configured there, and it has not connected since this manager started".to_string());
    };
    match nodes.iter().find(|(other, address)| *other != name && *address == own) {
        Some((other, _)) => Err(format!(
            "{other} connects from {own} too: an address translator may stand there, set look_at in its host.toml"
        )),
        None => Ok(vec![SocketAddr::new(*own, LIKELY_PORT).to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).expect("a name")
    }

    fn welcome(places: &Places, text: &str, connection: u64, last_byte: u8) {
        places.connected(connection, Some(IpAddr::from([10, 0, 0, last_byte])));
        places.welcomed(&Peer {
            name: name(text),
            connection,
        });
    }

    #[test]
    fn where_it_came_from_counts_unless_another_came_from_there_too() {
        let places = Places::default();
        welcome(&places, "h1", 1, 1);
        welcome(&places, "h2", 2, 2);
        welcome(&places, "h3", 3, 2);
        let of = |text| places.of(&name(text), Vec::new());
        assert_eq!(of("h1"), Ok(vec!["10.0.0.1:22".to_string()]));
        let shared = of("h2").expect_err("it is shared");
        assert!(shared.starts_with("h3 connects from 10.0.0.2 too"), "{shared}");
        let never = of("h9").expect_err("never seen");
        assert!(never.starts_with("no look_at"), "{never}");
    }

    #[test]
    fn a_second_machine_with_the_key_of_a_node_does_not_move_it() {
        let places = Places::default();
        welcome(&places, "h1", 1, 1);
        // It was refused: nobody welcomed it.
        places.connected(2, Some(IpAddr::from([10, 0, 0, 66])));
        places.gone(2);
        places.gone(1);
        assert_eq!(places.of(&name("h1"), Vec::new()), Ok(vec!["10.0.0.1:22".to_string()]));
    }
}
