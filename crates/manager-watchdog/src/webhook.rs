//! Notifies people of incidents: one JSON POST per change of an incident, to each configured URL, at least once.
//!
//! ```text
//!   notifications ──▶ store, with the incident ──▶ receiver of each URL ──▶ POST ──▶ settled: out of the store
//!                  │  found again at the next start of the manager   ▲
//!                  └─────────────────────────────────────────────────┘
//! ```
//!
//! Makes what is told, and keeps it until it is settled. Does not know how it is delivered.

use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use watchtree_api::{API_VERSION, EventView};
use watchtree_config::Webhook;
use watchtree_core::hash::{FNV1A_BASIS, fnv1a};
use watchtree_notify::{Ledger, Receivers, Setup};
use watchtree_runtime::Conditions;
use watchtree_store::sqlite::{ChangeId, Notification, NotificationId, Outbox};

/// All webhooks.
pub(crate) struct Webhooks {
    /// The names of the receivers in the outbox, by their place.
    names: Vec<String>,
    receivers: Receivers<NotificationId>,
    manager: String,
    term: u64,
    changes: u64,
}

/// What the webhooks need to know of this life of the manager.
pub(crate) struct Start {
    pub(crate) manager: String,
    /// Never used before: with it, no two changes bear one name.
    pub(crate) term: u64,
    pub(crate) outbox: Outbox,
    /// What former lives did not settle, oldest first.
    pub(crate) notifications: Vec<Notification>,
    pub(crate) conditions: Conditions,
}

/// The store, and the conditions.
struct Books {
    outbox: Outbox,
    conditions: Conditions,
}

impl Ledger<NotificationId> for Books {
    fn settled(&self, id: NotificationId) {
        self.outbox.settled(id);
    }

    fn report(&self, about: &str, state: &Result<String, String>) {
        self.conditions.report(about, state);
    }
}

impl Webhooks {
    /// Starts one thread per URL, with what is still to be told.
    pub(crate) fn start(configs: Vec<Webhook>, start: Start) -> std::io::Result<Self> {
        let (mut names, mut setups, mut seen) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (index, config) in configs.into_iter().enumerate() {
            let url = config.url.as_str();
            let twin = seen.entry(url.to_string()).or_insert(0);
            names.push(receiver(url, *twin));
            *twin += 1;
            setups.push(Setup {
                // The URL may carry a secret token: only its place in the configuration is named.
                about: format!("webhook {}", index + 1),
                retries: config.retries,
                deliver: Box::new(watchtree_notify::Webhook::new(url, config.deadline.get())),
            });
        }
        let (outbox, conditions) = (start.outbox.clone(), start.conditions);
        let ledger: Arc<dyn Ledger<NotificationId>> = Arc::new(Books { outbox, conditions });
        let webhooks = Self {
            names,
            receivers: Receivers::start(setups, &ledger)?,
            manager: start.manager,
            term: start.term,
            changes: 0,
        };
        for notification in start.notifications {
            if !webhooks.send(&notification) {
                tracing::warn!(change = %notification.id.change, "its webhook is no longer configured: the notification is dropped");
                start.outbox.settled(notification.id);
            }
        }
        Ok(webhooks)
    }

    /// One notification per URL that tells of this change. They go to the store first, then to [`Webhooks::send`].
    pub(crate) fn notifications(&mut self, change: &str, event: &EventView) -> Vec<Notification> {
        if self.names.is_empty() {
            return Vec::new();
        }
        self.changes += 1;
        let id = ChangeId {
            term: self.term,
            count: self.changes,
        };
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": "incident",
            "id": format!("{}-{id}", self.manager),
            "change": change,
            "manager": self.manager,
            "wall_ms": event.wall_ms,
            // A line for a pager: it stands alone there.
            "text": format!("{}: {}", event.subject, event.text),
            "incident": event.incident,
        });
        let notification = |receiver: &String| Notification {
            id: NotificationId {
                change: id,
                receiver: receiver.clone(),
            },
            body: body.to_string(),
        };
        self.names.iter().map(notification).collect()
    }

    /// Queues a notification for its URL; false = there is no such URL. Never waits.
    pub(crate) fn send(&self, notification: &Notification) -> bool {
        let place = self.names.iter().position(|name| *name == notification.id.receiver);
        let (id, body) = (notification.id.clone(), notification.body.clone());
        place.is_some_and(|place| self.receivers.send(place, watchtree_notify::Notification { id, body }))
    }

    /// Gives what waits a last chance, then stops the threads. The rest is in the outbox.
    pub(crate) fn stop(self, within: Duration) {
        self.receivers.stop(within);
    }
}

/// A name that stays the same over restarts and orders of the configuration, and does not give the URL away: it may carry
/// a secret token.
fn receiver(url: &str, twin: u32) -> String {
    let hash = fnv1a(FNV1A_BASIS, url.as_bytes());
    format!("{hash:016x}.{twin}")
}

#[cfg(test)]
mod tests;
