//! The manager's store: hosts, incidents, decisions, undelivered notifications, the term.
//!
//! ```text
//!   put ──▶ Pending (bounded, latest wins per key) ──▶ writer thread ──▶ one transaction ──▶ disk
//!                  ▲                                        │ failed: merged back, tried again every 2 s
//!                  └────────────────────────────────────────┘
//! ```
//!
//! Contract: putting never waits for the disk. A missing, read-only or full disk is not fatal: records stay in memory (up to
//! the limits of `Pending`), the health callback reports it in one line, and the next write that succeeds reports the recovery.
//! Does not know what the records mean.

use crate::sqlite_file::File;
use crate::sqlite_queue::{Query, Queue, State};
use crate::sqlite_records::Pending;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use watchtree_core::decision::Decision;
use watchtree_core::id::NodeName;
use watchtree_core::incident::Incident;
use watchtree_core::manager::io::KnownHost;

pub use crate::sqlite_outbox::Outbox;
pub use crate::sqlite_reader::Reader;
pub use crate::sqlite_records::{ChangeId, DECISIONS_MAX, Found, Notification, NotificationId, Past, StoreError};

/// A write that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(2);

/// Told when the store's health changes; must not block. The first call comes from [`ManagerStore::open`] itself if the
/// disk cannot be used at the start.
pub type OnHealth = Box<dyn Fn(Result<String, String>) + Send>;

/// Told once what the disk held, if it could not be read at the start and can be later. Called on the store's thread.
pub type OnFound = Box<dyn Fn(Found) + Send>;

/// The store. Dropping it writes what waits, if the disk lets it, within 2 s.
pub struct ManagerStore {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl ManagerStore {
    /// Opens `path` and starts the writer. Never fails: with a disk that cannot be used it begins empty, in memory, says
    /// so through `on_health`, and goes on trying. Then `next_incident` begins at `wall_secs`, so that numbers do not
    /// meet those on the disk when it comes back; its hosts and open incidents are told through `on_found` then, its
    /// notifications wait for the next start.
    pub fn open(path: &Path, wall_secs: u64, on_health: OnHealth, on_found: OnFound) -> (Self, Found) {
        let (file, found, ill) = match File::open(path, |file| file.load(DECISIONS_MAX)) {
            Ok((file, found, words)) => {
                if let Some(words) = words {
                    on_health(Err(words.clone()));
                    on_health(Ok(words));
                }
                (Some(file), found, None)
            }
            Err(error) => {
                on_health(Err(in_memory(&error)));
                (
                    None,
                    Found {
                        next_incident: wall_secs,
                        ..Found::default()
                    },
                    Some(error),
                )
            }
        };
        let queue = Arc::<Queue>::default();
        let mut writer = Writer {
            queue: Arc::clone(&queue),
            path: path.to_path_buf(),
            unread: file.is_none(),
            file,
            ill,
            reported_dropped: 0,
            on_health,
            on_found,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run());
        // Without the thread all stays in memory, as with a disk that cannot be written.
        (
            Self {
                queue,
                writer: thread.ok(),
            },
            found,
        )
    }

    /// Keeps a host.
    pub fn put_host(&self, host: KnownHost) {
        self.put(|pending| {
            pending.hosts.insert(host.identity.name.clone(), Some(host));
        });
    }

    /// Forgets a host.
    pub fn forget_host(&self, name: NodeName) {
        self.put(|pending| {
            pending.hosts.insert(name, None);
        });
    }

    /// Keeps a decision; the same id replaces the older record.
    pub fn put_decision(&self, decision: Decision) {
        self.put(|pending| {
            pending.decisions.insert(decision.id.clone(), decision);
        });
    }

    /// Keeps an incident; the same id replaces the older record.
    pub fn put_incident(&self, incident: Incident) {
        self.put_incident_with(incident, Vec::new());
    }

    /// Keeps an incident together with the notifications that tell of it: both are on disk, or neither.
    pub fn put_incident_with(&self, incident: Incident, notifications: Vec<Notification>) {
        self.put(|pending| {
            pending.incidents.insert(incident.id, incident);
            let notifications = notifications
                .into_iter()
                .map(|notification| (notification.id, Some(notification.body)));
            pending.notifications.extend(notifications);
        });
    }

    /// Where older records are read.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.queue))
    }

    /// Where notifications are taken out.
    pub fn outbox(&self) -> Outbox {
        Outbox(Arc::clone(&self.queue))
    }

    /// Keeps the term that is in use; the highest wins.
    pub fn put_term(&self, term: u64) {
        self.put(|pending| pending.term = pending.term.max(Some(term)));
    }

    fn put(&self, change: impl FnOnce(&mut Pending)) {
        self.queue.put(change);
    }

    /// Waits until everything that was put is on disk; false if it is not within `within`.
    pub fn flush(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut state = self.queue.lock();
        while !state.pending.is_empty() || state.writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.queue.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for ManagerStore {
    fn drop(&mut self) {
        self.flush(RETRY);
        self.queue.lock().stop = true;
        self.queue.wake.notify_all();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so on stderr; there is nothing left to do for it here.
            let _ = writer.join();
        }
    }
}

fn in_memory(error: &StoreError) -> String {
    format!("{error}; going on in memory, tried again every {} s", RETRY.as_secs())
}

struct Writer {
    queue: Arc<Queue>,
    path: PathBuf,
    file: Option<File>,
    /// Nobody was told yet what the disk holds.
    unread: bool,
    ill: Option<StoreError>,
    reported_dropped: u64,
    on_health: OnHealth,
    on_found: OnFound,
}

impl Writer {
    fn run(&mut self) {
        while let Some((batch, queries)) = self.next_batch() {
            let result = self.write(&batch);
            for query in queries {
                query(match (&self.file, &result) {
                    (Some(file), _) => Ok(file),
                    (None, Err(error)) => Err(error.clone()),
                    (None, Ok(())) => Err(StoreError("the database is not open".to_string())),
                });
            }
            let mut state = self.queue.lock();
            if result.is_err() {
                state.pending.merge_older(batch);
                let dropped = state.pending.cut();
                state.dropped += dropped;
            }
            state.writing = false;
            let dropped = state.dropped;
            drop(state);
            self.queue.wake.notify_all();
            self.report(result.err(), dropped);
            if self.ill.is_some() && !self.pause() {
                return;
            }
        }
    }

    /// Waits for something to write or to read; `None` = stop.
    fn next_batch(&self) -> Option<(Pending, VecDeque<Query>)> {
        let mut state = self.queue.lock();
        loop {
            // A store that is ill tries to write (nothing, if need be) without being asked: so it learns of its recovery.
            let asked = !state.pending.is_empty() || !state.queries.is_empty();
            if asked || (self.ill.is_some() && !state.stop) {
                state.writing = true;
                let State { pending, queries, .. } = &mut *state;
                return Some((std::mem::take(pending), std::mem::take(queries)));
            }
            if state.stop {
                return None;
            }
            state = self.queue.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&mut self, batch: &Pending) -> Result<(), StoreError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.open_again(batch)?;
                self.file.insert(file)
            }
        };
        if batch.is_empty() && self.ill.is_none() {
            return Ok(());
        }
        let written = file.write(batch);
        if written.is_err() {
            // Opened anew for the next try: the disk may have been mounted again, or the file removed.
            self.file = None;
        }
        written
    }

    fn open_again(&mut self, batch: &Pending) -> Result<File, StoreError> {
        let unread = self.unread;
        let (file, found, words) = File::open(&self.path, |file| unread.then(|| file.load(0)).transpose())?;
        if let Some(words) = words {
            (self.on_health)(Err(words));
        }
        self.unread = false;
        if let Some(mut found) = found {
            // Who was forgotten meanwhile stays so.
            let state = self.queue.lock();
            let forgets = |pending: &Pending, host: &KnownHost| pending.hosts.get(&host.identity.name) == Some(&None);
            found
                .hosts
                .retain(|host| !forgets(&state.pending, host) && !forgets(batch, host));
            drop(state);
            (self.on_found)(found);
        }
        Ok(file)
    }

    fn report(&mut self, error: Option<StoreError>, dropped: u64) {
        match (&self.ill, &error) {
            (None, Some(error)) => (self.on_health)(Err(in_memory(error))),
            (Some(_), None) => {
                let lost = dropped - std::mem::replace(&mut self.reported_dropped, dropped);
                let lost = if lost == 0 {
                    String::new()
                } else {
                    format!(" ({lost} records were lost meanwhile)")
                };
                (self.on_health)(Ok(format!("{} is written again{lost}", self.path.display())));
            }
            _ => {}
        }
        self.ill = error;
    }

    /// Waits between two tries; false = stop.
    fn pause(&self) -> bool {
        let until = Instant::now() + RETRY;
        let mut state = self.queue.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.stop {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            state = self
                .queue
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
