//! Calls people from this host: one message per change of an alert, to each webhook and each program of the configuration, at
//! least once.
//!
//! ```text
//!   change ──▶ book (on disk, by a thread) ──▶ receiver of each webhook and program ──▶ settled: out of the book
//!           │   found again at the next start of the host                      ▲
//!           └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Makes what is told. Does not know why something is told, nor how it is delivered.

mod book;
mod program;

pub(crate) use book::Book;

use anyhow::Result;
use book::{Message, MessageId};
use program::Program;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchtree_api::API_VERSION;
use watchtree_config::HostConfig;
use watchtree_core::hash::{FNV1A_BASIS, fnv1a};
use watchtree_core::incident::{Incident, IncidentChange, IncidentId};
use watchtree_notify::{Deliver, Ledger, Notification, Receivers, Setup, Webhook};
use watchtree_runtime::{Clock, Code, Conditions, EventLog, Exit, view};

/// See the file's head.
pub(crate) struct Alerts {
    /// The names of the receivers in the book, by their place.
    names: Vec<String>,
    receivers: Receivers<MessageId>,
    book: Arc<Book>,
    host: String,
    epoch: u64,
    changes: u64,
    events: EventLog,
}

/// What a former start left.
pub(crate) struct Found {
    /// Told, and not ended.
    pub(crate) open: Vec<Incident>,
    /// The next number.
    pub(crate) next: IncidentId,
}

impl Alerts {
    /// Opens the book and starts a thread for each receiver, with what is still to be told.
    pub(crate) fn start(
        config: &HostConfig,
        epoch: u64,
        conditions: &Conditions,
        events: EventLog,
    ) -> std::io::Result<(Self, Found)> {
        let file = config.state_dir().join("alerts.json");
        let (names, setups) = receivers(config);
        let has_none = names.is_empty();
        let (book, left) = Book::open((!has_none).then_some(file), conditions.clone())?;
        let ledger: Arc<dyn Ledger<MessageId>> = book.clone();
        let alerts = Self {
            names,
            receivers: Receivers::start(setups, &ledger)?,
            book,
            host: config.name.to_string(),
            epoch,
            changes: 0,
            events,
        };
        for message in left.owed {
            if !alerts.send(&message) {
                tracing::warn!(message = %message.id.change, "its receiver is no longer configured: the message is dropped");
                alerts.book.settled(message.id);
            }
        }
        let (open, next) = (left.open, left.next);
        Ok((alerts, Found { open, next }))
    }

    /// The book, to be read.
    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// Something changed that a person is to be told. Never waits.
    pub(crate) fn tell(&mut self, change: &IncidentChange) {
        let (word, incident) = (change.as_str(), change.incident());
        let event = view::incident_event(Clock.wall(), word, incident);
        let text = format!("{}: {}", event.subject, event.text);
        tracing::warn!("{text}");
        self.changes += 1;
        let id = format!("{}-{}-{}", self.host, self.epoch, self.changes);
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": "incident",
            "id": id,
            "change": word,
            "host": self.host,
            "wall_ms": event.wall_ms,
            "text": text,
            "incident": event.incident,
        })
        .to_string();
        self.events.push(event);
        let messages: Vec<Message> = self.names.iter().map(|name| message(&id, name, &body)).collect();
        // Kept before they are sent: what is settled must not be kept after that.
        self.book.put(incident, &messages);
        for message in &messages {
            self.send(message);
        }
    }

    fn send(&self, message: &Message) -> bool {
        let place = self.names.iter().position(|name| *name == message.id.receiver);
        let (id, body) = (message.id.clone(), message.body.clone());
        place.is_some_and(|place| self.receivers.send(place, Notification { id, body }))
    }

    /// Gives what waits a last chance, then stops the threads. The rest is in the book.
    pub(crate) fn stop(self, within: Duration) {
        self.receivers.stop(within);
        self.book.close();
    }
}

fn message(id: &str, receiver: &str, body: &str) -> Message {
    Message {
        id: MessageId {
            change: id.to_owned(),
            receiver: receiver.to_owned(),
        },
        body: body.to_owned(),
    }
}

/// Sends a test message to each receiver of a configuration, one after another, and prints what came of it.
pub(crate) fn test(file: &Path, config: &HostConfig) -> Result<()> {
    let (_, setups) = receivers(config);
    if setups.is_empty() {
        let line = format!("{}: has no [[webhook]] and no [[hook]]; add one", file.display());
        return Err(Exit::new(Code::BadInput, line).into());
    }
    let (host, wall) = (config.name.as_str(), Clock.wall().0);
    let text = format!("a test of {host}'s alerts: nothing is wrong");
    let body = json!({
        "apiVersion": API_VERSION, "kind": "test", "id": format!("{host}-test-{wall}"), "change": "test", "host": host,
        "wall_ms": wall, "text": text,
    })
    .to_string();
    let mut failed = 0;
    for mut setup in setups {
        let began = Instant::now();
        match setup.deliver.deliver(&body) {
            Ok(()) => println!("{}: told in {} ms", setup.about, began.elapsed().as_millis()),
            Err(error) => {
                failed += 1;
                println!("{}: FAILED: {}", setup.about, error.why);
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Exit::new(Code::Failed, format!("{failed} could not be told")).into()),
    }
}

/// The receivers of the configuration, and names of them that stay the same over restarts and do not give an address away: it
/// may carry a secret token.
fn receivers(config: &HostConfig) -> (Vec<String>, Vec<Setup>) {
    let (mut names, mut setups, mut seen) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut add = |what: String, about: String, retries, deliver: Box<dyn Deliver>| {
        let hash = fnv1a(FNV1A_BASIS, what.as_bytes());
        let twin = seen.entry(hash).or_insert(0);
        names.push(format!("{hash:016x}.{twin}"));
        *twin += 1;
        setups.push(Setup {
            about,
            retries,
            deliver,
        });
    };
    for (at, hook) in config.webhooks.iter().enumerate() {
        let deliver = Webhook::new(hook.url.as_str(), hook.deadline.get());
        let about = format!("webhook {}", at + 1);
        add(hook.url.as_str().to_owned(), about, hook.retries, Box::new(deliver));
    }
    for (at, hook) in config.hooks.iter().enumerate() {
        let (program, arguments) = hook.command();
        let deliver = Program::new(PathBuf::from(program), arguments.to_vec(), hook.deadline.get());
        let what = format!("{}\n{}", program.display(), arguments.join("\n"));
        add(what, format!("hook {}", at + 1), hook.retries, Box::new(deliver));
    }
    (names, setups)
}

#[cfg(test)]
mod tests;
