//! Counts what this node refused since its start, by reason: both sockets, the readers of their frames, the machine, and orders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use watchtree_core::host::HostAgent;
use watchtree_core::message::Message;
use watchtree_link::{LinkHandle, Refusal};
use watchtree_runtime::view;

/// The counts. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Their counters are read when somebody asks.
    links: Vec<LinkHandle>,
    /// Reasons are constants of the program: few.
    counts: BTreeMap<String, u64>,
}

impl Refusals {
    /// From now on this link's own refusals are part of the sum.
    pub(crate) fn include(&self, link: LinkHandle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).links.push(link);
    }

    /// One more, for a constant reason.
    pub(crate) fn count(&self, reason: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.counts.entry(reason.to_string()).or_default() += 1;
    }

    /// Counts an order that this node answers with a refusal, as `order_REASON`.
    pub(crate) fn count_order(&self, answer: &Message) {
        if let Message::OrderResult(answer) = answer
            && let Err(refusal) = answer.result
        {
            self.count(&format!("order_{}", refusal.as_str()));
        }
    }

    /// All of it, with what the machine counted.
    pub(crate) fn all(&self, by_machine: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by_links = inner.links.iter().flat_map(|link| {
            let counters = link.counters();
            Refusal::ALL.map(|why| (why.as_str().to_string(), counters.refused(why)))
        });
        let here = inner.counts.iter().map(|(reason, count)| (reason.clone(), *count));
        view::refused(by_machine.into_iter().chain(by_links).chain(here))
    }
}

/// The machine's own counts: frames of children by reason, and frames of the manager that came again.
pub(crate) fn of_machine(agent: &HostAgent) -> BTreeMap<String, u64> {
    let children = agent.backend().refused().iter();
    let mut all: BTreeMap<String, u64> = children
        .map(|(why, count)| (why.as_str().to_string(), *count))
        .collect();
    all.insert("from_parent".to_string(), agent.frontend().counters().0);
    all
}
