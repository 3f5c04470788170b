//! Where a host can be looked at from outside: where it says, else where it connected from.
//!
//! An address that several nodes connect from may be a translator's (NAT): its answer would prove nothing of the machine
//! behind it, so such a look is not made. Judges nothing else.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use watchtree_core::id::NodeName;
use watchtree_link::{LinkHandle, Peer};

/// Most machines have ssh's port open or closed; either is an answer of the kernel.
const LIKELY_PORT: u16 = 22;

/// The nodes that have connected since the manager started. Clones share them. Bounded by the allow-list.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<BTreeSet<NodeName>>>);

impl Places {
    /// This node connected.
    pub(crate) fn seen(&self, name: &NodeName) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(name) {
            seen.insert(name.clone());
        }
    }

    /// Where to look (TCP and ICMP are asked at each).
    ///
    /// # Errors
    /// Why there is no place, in words.
    pub(crate) fn of(&self, link: &LinkHandle, name: &NodeName, said: Vec<String>) -> Result<Vec<String>, String> {
        if !said.is_empty() {
            return Ok(said);
        }
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place(name, &seen, |node| link.peer_address(&Peer::Node(node.clone())))
    }
}

fn place(
    name: &NodeName,
    seen: &BTreeSet<NodeName>,
    address: impl Fn(&NodeName) -> Option<IpAddr>,
) -> Result<Vec<String>, String> {
    let Some(own) = address(name) else {
        return Err("no look_at is configured there, and it has not connected since this manager started".to_string());
    };
    let other = seen.iter().find(|other| *other != name && address(other) == Some(own));
    match other {
        Some(other) => Err(format!(
            "{other} connects from {own} too: an address translator may stand there, set look_at in its host.toml"
        )),
        None => Ok(vec![SocketAddr::new(own, LIKELY_PORT).to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).expect("a name")
    }

    #[test]
    fn where_it_came_from_counts_unless_another_came_from_there_too() {
        let seen = BTreeSet::from([name("h1"), name("h2"), name("h3")]);
        let address = |node: &NodeName| match node.as_str() {
            "h1" => Some(IpAddr::from([10, 0, 0, 1])),
            "h2" | "h3" => Some(IpAddr::from([10, 0, 0, 2])),
            _ => None,
        };
        assert_eq!(place(&name("h1"), &seen, address), Ok(vec!["10.0.0.1:22".to_string()]));
        let shared = place(&name("h2"), &seen, address).expect_err("it is shared");
        assert!(shared.starts_with("h3 connects from 10.0.0.2 too"), "{shared}");
        let never = place(&name("h9"), &seen, address).expect_err("never seen");
        assert!(never.starts_with("no look_at"), "{never}");
    }
}
