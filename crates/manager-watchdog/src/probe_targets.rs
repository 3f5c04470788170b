//! At which addresses a host is probed from outside: those of its configuration, else the one it connected from.
//!
//! Contract: the address it connected from is that of the connection whose Hello was welcomed. Another machine with a copy of
//! the key connects too; it is refused, and a probe of it would prove nothing. An address that several nodes connect from may be
//! that of an address translator (NAT): its answer would prove nothing about the machine behind it, so it is not probed. Does not
//! know what an answer means.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use watchtree_core::backend::Peer;
use watchtree_core::id::NodeName;

/// Most machines have ssh's port open or closed; either is an answer of the kernel.
const LIKELY_PORT: u16 = 22;

/// Clones share it.
#[derive(Clone, Default)]
pub(crate) struct ProbeTargets(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Of the connections that stand; the link bounds them.
    connections: BTreeMap<u64, IpAddr>,
    /// Of the nodes that were welcomed, also when they are gone by now: that is when they are probed. Bounded by the allow-list.
    nodes: BTreeMap<NodeName, IpAddr>,
}

impl ProbeTargets {
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

    /// The addresses to probe, each by TCP and ICMP.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn of(&self, name: &NodeName, said: Vec<String>) -> Result<Vec<String>, String> {
        if !said.is_empty() {
            return Ok(said);
        }
        observed_target(name, &self.lock().nodes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn observed_target(name: &NodeName, nodes: &BTreeMap<NodeName, IpAddr>) -> Result<Vec<String>, String> {
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

    fn welcome(targets: &ProbeTargets, text: &str, connection: u64, last_byte: u8) {
        targets.connected(connection, Some(IpAddr::from([10, 0, 0, last_byte])));
        targets.welcomed(&Peer {
            name: name(text),
            connection,
        });
    }

    #[test]
    fn where_it_came_from_counts_unless_another_came_from_there_too() {
        let targets = ProbeTargets::default();
        welcome(&targets, "h1", 1, 1);
        welcome(&targets, "h2", 2, 2);
        welcome(&targets, "h3", 3, 2);
        let of = |text| targets.of(&name(text), Vec::new());
        assert_eq!(of("h1"), Ok(vec!["10.0.0.1:22".to_string()]));
        let shared = of("h2").expect_err("it is shared");
        assert!(shared.starts_with("h3 connects from 10.0.0.2 too"), "{shared}");
        let never = of("h9").expect_err("never seen");
        assert!(never.starts_with("no look_at"), "{never}");
    }

    #[test]
    fn a_second_machine_with_the_key_of_a_node_does_not_move_it() {
        let targets = ProbeTargets::default();
        welcome(&targets, "h1", 1, 1);
        // It was refused: nobody welcomed it.
        targets.connected(2, Some(IpAddr::from([10, 0, 0, 66])));
        targets.gone(2);
        targets.gone(1);
        assert_eq!(targets.of(&name("h1"), Vec::new()), Ok(vec!["10.0.0.1:22".to_string()]));
    }
}
