//! `stale_order_refused`: no order takes effect after its time, in another boot, or under a term that is over.

use super::facts::HostFacts;
use super::reported::Broken;
use crate::log::Node;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::order::{Order, OrderAnswer};
use watchtree_core::time::{Duration, Moment};

/// A child is told of a manager's new term within this time after its host-watchdog was.
const TERM_GOES_DOWN: Duration = Duration::from_secs(1);
/// Where that frame was lost, it is asked for a Hello at its next beat, and repeats that until it is answered.
const TERM_MADE_GOOD: Duration = Duration::from_secs(3);

/// An order that reached a watchdog.
pub(super) struct Arrival<'a> {
    pub(super) node: Node,
    pub(super) order: &'a Order,
    pub(super) late: bool,
    pub(super) other_boot: bool,
}

/// What is known of orders and terms.
#[derive(Debug, Default)]
pub(super) struct OrderFacts {
    /// The term that each node was told of last: in which life of it, and when.
    told: BTreeMap<Node, (u64, u64, Moment)>,
    /// Came when they were stale.
    stale: BTreeSet<(Node, [u8; 16])>,
    /// Were carried out by that node, in that life of its memory.
    obeyed: BTreeSet<(Node, u64, [u8; 16])>,
}

impl OrderFacts {
    /// A watchdog is told the manager's term.
    pub(super) fn told(&mut self, now: Moment, node: Node, epoch: u64, term: u64) {
        self.told.insert(node, (epoch, term, now));
    }

    /// An order reaches a watchdog of that host.
    pub(super) fn arrived(&mut self, now: Moment, host: &HostFacts, order: &Arrival<'_>) {
        let known = |node: Node, epoch: u64| self.told.get(&node).filter(|(of, ..)| *of == epoch);
        let over = |known: Option<&(u64, u64, Moment)>| known.filter(|(_, term, _)| order.order.term < *term).copied();
        let above = over(known(Node::Host(host.index), host.host.epoch));
        let term_is_over = match order.node {
            Node::Child(_) => {
                let heard = over(known(order.node, host.child.epoch)).is_some();
                let known_above = above.is_some_and(|(_, _, at)| {
                    TERM_GOES_DOWN < now.since(at)
                        && TERM_GOES_DOWN < now.since(host.child.well_since)
                        && TERM_MADE_GOOD < now.since(host.ipc_bad_until)
                });
                heard || known_above
            }
            Node::Host(_) | Node::Manager => above.is_some(),
        };
        if order.late || order.other_boot || term_is_over {
            self.stale.insert((order.node, order.order.id));
        }
    }

    /// A node answers an order. An answer given again is no second obedience.
    pub(super) fn answered(&mut self, host: &HostFacts, node: Node, answer: &OrderAnswer) -> Result<(), Broken> {
        // A container-watchdog remembers what it carried out, a host-watchdog while it lives.
        let memory = match node {
            Node::Host(_) => host.host.epoch,
            Node::Child(_) | Node::Manager => 0,
        };
        let known = (node, memory, answer.id);
        if answer.result.is_err() || !self.obeyed.insert(known) {
            return Ok(());
        }
        if self.stale.contains(&(node, answer.id)) {
            let why = format!("{node:?} carried out an order that was stale: {}", answer.detail);
            return Err(("stale_order_refused", why));
        }
        Ok(())
    }
}
