//! The floor: the least that any healer must do. One thread waits for `die` on the engine's event stream and posts
//! `/start` at once; it decides nothing, writes nothing, checks nothing, and does not know Watchtree.

use crate::engine::{Engine, percent_encode};
use crate::http;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The stream may be quiet for this long: longer than any run.
const STREAM: Duration = Duration::from_secs(4 * 3600);
const START: Duration = Duration::from_secs(30);

/// Restarts what it was told to, until the process ends.
pub(crate) struct Floor {
    ids: Arc<Mutex<BTreeSet<String>>>,
    failures: Receiver<anyhow::Error>,
}

impl Floor {
    /// Opens the stream; from now on nothing of it is missed.
    ///
    /// # Errors
    /// The engine does not give it.
    pub(crate) fn start(engine: &Engine) -> Result<Self> {
        let filters = percent_encode(r#"{"type":["container"],"event":["die"]}"#);
        let path = format!("/events?filters={filters}");
        let ids = Arc::new(Mutex::new(BTreeSet::<String>::new()));
        let mine = Arc::clone(&ids);
        let (fail, failures) = channel();
        let (head, mut stream) = http::open(engine.socket(), "GET", &path, "text/plain", &[], STREAM)?;
        if head.status != 200 {
            bail!("GET /events: status {}", head.status);
        }
        let engine = engine.clone();
        std::thread::spawn(move || {
            let mut serve = || -> Result<()> {
                while let Some(chunk) = http::read_chunk(&mut stream)? {
                    let event: serde_json::Value = serde_json::from_slice(&chunk).context("an event")?;
                    let id = event["Actor"]["ID"].as_str().unwrap_or_default();
                    if !mine.lock().unwrap_or_else(PoisonError::into_inner).contains(id) {
                        continue;
                    }
                    let path = format!("/containers/{id}/start");
                    http::ask(engine.socket(), "POST", &path, &[], START)?.ok(&path)?;
                }
                bail!("the event stream ended")
            };
            if let Err(error) = serve() {
                // Nobody is left to tell once the bench is over.
                let _bench_is_over = fail.send(error);
            }
        });
        Ok(Self { ids, failures })
    }

    /// From now on this container is restarted.
    pub(crate) fn guard(&self, id: &str) {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned());
    }

    /// From now on it is not.
    pub(crate) fn release(&self, id: &str) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// An error if the thread has ended.
    pub(crate) fn check(&self) -> Result<()> {
        match self.failures.try_recv() {
            Ok(error) => Err(error).context("the floor's thread"),
            Err(_none) => Ok(()),
        }
    }
}
