//! What a person's script does: so many requests in parallel, one for each container that an event names or that is given.
//!
//! Contract: each id is asked for once; an answer other than 2xx or 304 is an error at the end. It decides nothing, writes
//! nothing, and does not know Watchtree.

use crate::engine::{Engine, RUN_LABEL, percent_encode};
use crate::http;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The stream may be quiet for this long: longer than any run.
const STREAM: Duration = Duration::from_secs(4 * 3600);
const CALL: Duration = Duration::from_secs(60);

/// How many at one time are tried; the best of them is the floor.
pub(super) const PARALLEL: [usize; 4] = [1, 2, 4, 8];

/// Who is told the ids that are heard just now.
type Hearer = Arc<Mutex<Option<Sender<String>>>>;

/// Hears one kind of event of one run's containers, until the process ends.
pub(super) struct Ear {
    socket: PathBuf,
    hearer: Hearer,
}

impl Ear {
    /// Opens the stream of `kind`; of its events those with that action are heard.
    ///
    /// # Errors
    /// The engine does not give it.
    pub(super) fn open(engine: &Engine, run: &str, kind: &str, action: &'static str) -> Result<Self> {
        let label = format!("{RUN_LABEL}={run}");
        let filters = json!({ "type": ["container"], "event": [kind], "label": [label] }).to_string();
        let path = format!("/events?filters={}", percent_encode(&filters));
        let (head, mut stream) = http::open(engine.socket(), "GET", &path, "text/plain", &[], STREAM)?;
        if head.status != 200 {
            bail!("GET /events: status {}", head.status);
        }
        let hearer = Hearer::default();
        let mine = Arc::clone(&hearer);
        std::thread::spawn(move || {
            // Where the stream ends nothing is started any more, which whoever waits for the containers tells.
            while let Ok(Some(chunk)) = http::read_chunk(&mut stream) {
                let event: Value = serde_json::from_slice(&chunk).unwrap_or_default();
                let id = event["Actor"]["ID"].as_str().unwrap_or_default().to_owned();
                let hearer = mine.lock().unwrap_or_else(PoisonError::into_inner);
                if event["Action"] == action
                    && let Some(hearer) = &*hearer
                {
                    // Nobody listens any more: the measurement is over.
                    let _ = hearer.send(id);
                }
            }
        });
        Ok(Self {
            socket: engine.socket().to_owned(),
            hearer,
        })
    }

    /// From now on every container that is heard is asked for, until the hands rest.
    pub(super) fn work(&self, parallel: usize, path: fn(&str) -> String) -> Hands<'_> {
        let (to, ids) = channel();
        *self.hearer.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
        Hands {
            ear: self,
            workers: workers(&self.socket, ids, parallel, path),
        }
    }
}

/// Requests under way.
pub(super) struct Hands<'a> {
    ear: &'a Ear,
    workers: Vec<JoinHandle<Result<()>>>,
}

impl Hands<'_> {
    /// Hears no more, and waits for what is under way.
    ///
    /// # Errors
    /// A request failed.
    pub(super) fn rest(self) -> Result<()> {
        *self.ear.hearer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        join(self.workers)
    }
}

/// Starts all of these, so many at one time; returns at once.
pub(super) fn start_all(socket: &Path, all: &[String], parallel: usize) -> Vec<JoinHandle<Result<()>>> {
    let (to, ids) = channel();
    for id in all {
        // The other end is here.
        let _ = to.send(id.clone());
    }
    workers(socket, ids, parallel, |id| format!("/containers/{id}/start"))
}

/// Waits for all of them.
///
/// # Errors
/// A request failed.
pub(super) fn join(workers: Vec<JoinHandle<Result<()>>>) -> Result<()> {
    workers
        .into_iter()
        .try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
}

fn workers(
    socket: &Path,
    ids: Receiver<String>,
    parallel: usize,
    path: fn(&str) -> String,
) -> Vec<JoinHandle<Result<()>>> {
    let ids = Arc::new(Mutex::new(ids));
    let worker = |_| {
        let (socket, ids) = (socket.to_owned(), Arc::clone(&ids));
        std::thread::spawn(move || {
            loop {
                // Who comes next waits for the lock, and then for an id.
                let next = ids.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(id) = next else { return Ok(()) };
                let path = path(&id);
                http::ask(&socket, "POST", &path, &[], CALL)
                    .and_then(|answer| answer.ok(&path))
                    .with_context(|| format!("by hand: {path}"))?;
            }
        })
    };
    (0..parallel).map(worker).collect()
}
