//! The manager's memory on disk: hosts, incidents, decisions, letters that are not delivered yet, the term.
//!
//! ```text
//!   put ──▶ Pending (bounded, latest wins per key) ──▶ writer thread ──▶ one transaction ──▶ disk
//!                  ▲                                        │ failed: merged back, tried again every 2 s
//!                  └────────────────────────────────────────┘
//! ```
//!
//! Putting never waits for the disk. A missing, read-only or full disk ends nothing: what was put stays in memory (up to
//! the limits of `Pending`), the health callback says so in one line, and the next write that works says that it is over.

use crate::sqlite_file::File;
use crate::sqlite_outbox::LETTERS_MAX;
use crate::sqlite_reader::{QUESTIONS_MAX, Question};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use watchtree_core::decision::{Decision, DecisionId};
use watchtree_core::id::NodeName;
use watchtree_core::incident::{Incident, IncidentId};
use watchtree_core::manager::io::KnownHost;

pub use crate::sqlite_outbox::{ChangeId, Letter, LetterId, Outbox};
pub use crate::sqlite_reader::{Past, Reader};

/// Decisions that are loaded at the start, and kept in memory while the disk cannot be written.
pub const DECISIONS_MAX: usize = 4096;
/// A write that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(2);

/// Why the disk could not be used, in words.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub(crate) String);

/// What the disk held.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Hosts, by name.
    pub hosts: Vec<KnownHost>,
    /// Open incidents, oldest first.
    pub incidents: Vec<Incident>,
    /// The newest decisions, oldest first; at most [`DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
    /// Letters that were not settled, oldest first.
    pub letters: Vec<Letter>,
    /// The number of the next incident.
    pub next_incident: IncidentId,
    /// The last term that was used; 0 = none.
    pub term: u64,
    /// Rows that this version cannot read.
    pub unreadable: u64,
}

/// What waits to be written. The latest wins per key, so that it is bounded by what there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    /// `None` = forget it.
    pub(crate) hosts: BTreeMap<NodeName, Option<KnownHost>>,
    pub(crate) incidents: BTreeMap<IncidentId, Incident>,
    pub(crate) decisions: BTreeMap<DecisionId, Decision>,
    /// `None` = settled: take it out.
    pub(crate) letters: BTreeMap<LetterId, Option<String>>,
    pub(crate) term: Option<u64>,
}

impl Pending {
    /// Most hosts that wait; more are dropped and counted.
    const HOSTS_MAX: usize = 20_000;
    /// Most incidents that wait; the oldest are dropped and counted.
    const INCIDENTS_MAX: usize = 8192;

    fn is_empty(&self) -> bool {
        self.hosts.is_empty()
            && self.incidents.is_empty()
            && self.decisions.is_empty()
            && self.letters.is_empty()
            && self.term.is_none()
    }

    /// Puts back what could not be written; what was put meanwhile is newer and wins.
    fn merge_older(&mut self, older: Self) {
        for (name, host) in older.hosts {
            self.hosts.entry(name).or_insert(host);
        }
        for (id, incident) in older.incidents {
            self.incidents.entry(id).or_insert(incident);
        }
        for (id, decision) in older.decisions {
            self.decisions.entry(id).or_insert(decision);
        }
        for (id, letter) in older.letters {
            self.letters.entry(id).or_insert(letter);
        }
        self.term = self.term.max(older.term);
    }

    /// Keeps the limits; gives back how much was dropped.
    fn cut(&mut self) -> u64 {
        let mut dropped = 0;
        while DECISIONS_MAX < self.decisions.len() {
            // The oldest by time, not by name: names order by node.
            let oldest = self
                .decisions
                .values()
                .min_by_key(|decision| decision.wall)
                .map(|decision| decision.id.clone());
            let Some(oldest) = oldest else { break };
            self.decisions.remove(&oldest);
            dropped += 1;
        }
        while Self::INCIDENTS_MAX < self.incidents.len() {
            self.incidents.pop_first();
            dropped += 1;
        }
        while LETTERS_MAX < self.letters.len() {
            self.letters.pop_first();
            dropped += 1;
        }
        while Self::HOSTS_MAX < self.hosts.len() {
            self.hosts.pop_last();
            dropped += 1;
        }
        dropped
    }
}

/// Told when the store's health changes; must not block. The first call comes from [`ManagerStore::open`] itself if the
/// disk cannot be used at the start.
pub type OnHealth = Box<dyn Fn(Result<String, String>) + Send>;

/// Told once what the disk held, if it could not be read at the start and can be later. Called on the store's thread.
pub type OnFound = Box<dyn Fn(Found) + Send>;

/// The store. Dropping it writes what waits, if the disk lets it, within 2 s.
pub struct ManagerStore {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    pending: Pending,
    /// What is to be read; answered by the writer, after what was put before.
    questions: VecDeque<Question>,
    /// True while the writer is at work on a batch that is not in `pending`.
    writing: bool,
    dropped: u64,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something for the writer. Never waits for the disk.
    pub(crate) fn put(&self, change: impl FnOnce(&mut Pending)) {
        let mut state = self.lock();
        change(&mut state.pending);
        let dropped = state.pending.cut();
        state.dropped += dropped;
        drop(state);
        self.wake.notify_all();
    }

    /// Leaves a question for the writer. One too many is given back.
    pub(crate) fn ask(&self, question: Question) -> Result<(), Question> {
        let mut state = self.lock();
        if QUESTIONS_MAX <= state.questions.len() || state.stop {
            return Err(question);
        }
        state.questions.push_back(question);
        drop(state);
        self.wake.notify_all();
        Ok(())
    }
}

impl ManagerStore {
    /// Opens `path` and starts the writer. Never fails: with a disk that cannot be used it begins empty, in memory, says
    /// so through `on_health`, and goes on trying. Then `next_incident` begins at `wall_secs`, so that numbers do not
    /// meet those on the disk when it comes back; its hosts and open incidents are told through `on_found` then, its
    /// letters wait for the next start.
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
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
        });
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            path: path.to_path_buf(),
            unread: file.is_none(),
            file,
            ill,
            said_dropped: 0,
            on_health,
            on_found,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run());
        // Without the thread all stays in memory, as with a disk that cannot be written.
        (
            Self {
                shared,
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
        self.put_told(incident, Vec::new());
    }

    /// Keeps an incident together with the letters that tell of it: both are on disk, or neither.
    pub fn put_told(&self, incident: Incident, letters: Vec<Letter>) {
        self.put(|pending| {
            pending.incidents.insert(incident.id, incident);
            let letters = letters.into_iter().map(|letter| (letter.id, Some(letter.body)));
            pending.letters.extend(letters);
        });
    }

    /// Where older records are read.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// Where letters are taken out.
    pub fn outbox(&self) -> Outbox {
        Outbox(Arc::clone(&self.shared))
    }

    /// Keeps the term that is in use; the highest wins.
    pub fn put_term(&self, term: u64) {
        self.put(|pending| pending.term = pending.term.max(Some(term)));
    }

    fn put(&self, change: impl FnOnce(&mut Pending)) {
        self.shared.put(change);
    }

    /// Waits until everything that was put is on disk; false if it is not within `within`.
    pub fn flush(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut state = self.shared.lock();
        while !state.pending.is_empty() || state.writing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for ManagerStore {
    fn drop(&mut self) {
        self.flush(RETRY);
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
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
    shared: Arc<Shared>,
    path: PathBuf,
    file: Option<File>,
    /// Nobody was told yet what the disk holds.
    unread: bool,
    ill: Option<StoreError>,
    said_dropped: u64,
    on_health: OnHealth,
    on_found: OnFound,
}

impl Writer {
    fn run(&mut self) {
        while let Some((batch, questions)) = self.next_batch() {
            let result = self.write(&batch);
            for question in questions {
                question(match (&self.file, &result) {
                    (Some(file), _) => Ok(file),
                    (None, Err(error)) => Err(error.clone()),
                    (None, Ok(())) => Err(StoreError("the database is not open".to_string())),
                });
            }
            let mut state = self.shared.lock();
            if result.is_err() {
                state.pending.merge_older(batch);
                let dropped = state.pending.cut();
                state.dropped += dropped;
            }
            state.writing = false;
            let dropped = state.dropped;
            drop(state);
            self.shared.wake.notify_all();
            self.tell(result.err(), dropped);
            if self.ill.is_some() && !self.pause() {
                return;
            }
        }
    }

    /// Waits for something to write or to read; `None` = stop.
    fn next_batch(&self) -> Option<(Pending, VecDeque<Question>)> {
        let mut state = self.shared.lock();
        loop {
            // A store that is ill tries to write (nothing, if need be) without being asked: so it learns of its recovery.
            let asked = !state.pending.is_empty() || !state.questions.is_empty();
            if asked || (self.ill.is_some() && !state.stop) {
                state.writing = true;
                let State { pending, questions, .. } = &mut *state;
                return Some((std::mem::take(pending), std::mem::take(questions)));
            }
            if state.stop {
                return None;
            }
            state = self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
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
            let state = self.shared.lock();
            let forgets = |pending: &Pending, host: &KnownHost| pending.hosts.get(&host.identity.name) == Some(&None);
            found
                .hosts
                .retain(|host| !forgets(&state.pending, host) && !forgets(batch, host));
            drop(state);
            (self.on_found)(found);
        }
        Ok(file)
    }

    fn tell(&mut self, error: Option<StoreError>, dropped: u64) {
        match (&self.ill, &error) {
            (None, Some(error)) => (self.on_health)(Err(in_memory(error))),
            (Some(_), None) => {
                let lost = dropped - std::mem::replace(&mut self.said_dropped, dropped);
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
        let mut state = self.shared.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.stop {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            state = self
                .shared
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
