//! The book of alerts: which are open and told, and which messages are not delivered yet. One small file, written whole by a thread.
//!
//! Contract: nobody who puts something in waits for the disk. What was put in last is on disk soon after; a disk that is full is
//! a condition, and is tried again until there is room. A host that dies before then tells it again (at least once). A file that
//! cannot be read is set aside and named.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use watchtree_core::incident::{Incident, IncidentId};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Level, State};
use watchtree_notify::Ledger;
use watchtree_runtime::Conditions;

/// A disk without room is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The condition that the book cannot be written.
const ABOUT: &str = "alerts book";
/// Largest file that is read, in bytes: each receiver's whole queue, and every open alert.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Names a message.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct MessageId {
    /// Which change: `h1-7-2`.
    pub(super) change: String,
    /// Which receiver.
    pub(super) receiver: String,
}

/// One change for one receiver.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) body: String,
}

/// What a former start left.
#[derive(Default)]
pub(super) struct Left {
    pub(super) open: Vec<Incident>,
    pub(super) next: IncidentId,
    /// Oldest first.
    pub(super) owed: Vec<Message>,
}

/// See the file's head.
pub(crate) struct Book {
    pages: Mutex<Pages>,
    wake: Condvar,
    writer: Mutex<Option<JoinHandle<()>>>,
    conditions: Conditions,
    /// There are receivers.
    is_used: bool,
}

/// The file's content, and whether it is on disk.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Pages {
    next: IncidentId,
    open: BTreeMap<String, Line>,
    /// As many as wait with the receivers: what falls out of their queues is settled too.
    owed: Vec<Message>,
    #[serde(skip)]
    is_new: bool,
    #[serde(skip)]
    is_closed: bool,
}

/// An open alert, as far as the next start needs it.
#[derive(Clone, Deserialize, Serialize)]
struct Line {
    id: IncidentId,
    state: String,
    level: String,
    why: String,
    opened_wall_ms: u64,
}

impl Book {
    /// Reads the file, if there is to be one, and starts the thread that writes it.
    pub(super) fn open(file: Option<PathBuf>, conditions: Conditions) -> io::Result<(Arc<Self>, Left)> {
        let pages = file
            .as_deref()
            .map_or_else(Pages::default, |file| read(file, &conditions));
        let left = Left {
            open: pages
                .open
                .iter()
                .filter_map(|(subject, line)| line.incident(subject))
                .collect(),
            next: pages.next.max(1),
            owed: pages.owed.clone(),
        };
        let book = Arc::new(Self {
            pages: Mutex::new(pages),
            wake: Condvar::new(),
            writer: Mutex::new(None),
            conditions,
            is_used: file.is_some(),
        });
        if let Some(file) = file {
            let own = Arc::clone(&book);
            let writer = std::thread::Builder::new()
                .name("alerts-book".into())
                .spawn(move || own.write(&file))?;
            *book.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        }
        Ok((book, left))
    }

    /// An alert changed, and these messages tell of it.
    pub(super) fn put(&self, incident: &Incident, messages: &[Message]) {
        let mut pages = self.lock();
        pages.next = pages.next.max(incident.id + 1);
        let subject = incident.subject.to_string();
        match incident.closed_wall {
            Some(_) => drop(pages.open.remove(&subject)),
            None => drop(pages.open.insert(subject, Line::of(incident))),
        }
        pages.owed.extend_from_slice(messages);
        self.changed(pages);
    }

    /// Those that are open and told; `None` = nobody is ever told from here.
    pub(crate) fn open_alerts(&self) -> Option<Vec<Incident>> {
        let pages = self.lock();
        let open = pages.open.iter().filter_map(|(subject, line)| line.incident(subject));
        self.is_used.then(|| open.collect())
    }

    /// Writes what is still to be written, once, and ends.
    pub(super) fn close(&self) {
        let mut pages = self.lock();
        pages.is_closed = true;
        self.changed(pages);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // One that panicked has said so.
        let _ = writer.map(JoinHandle::join);
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, mut pages: MutexGuard<'_, Pages>) {
        pages.is_new = true;
        drop(pages);
        self.wake.notify_all();
    }

    fn write(&self, file: &Path) {
        loop {
            let mut pages = self.lock();
            while !pages.is_new && !pages.is_closed {
                pages = self.wake.wait(pages).unwrap_or_else(PoisonError::into_inner);
            }
            pages.is_new = false;
            let (text, is_last) = (serde_json::to_vec(&*pages), pages.is_closed);
            drop(pages);
            let written = text
                .map_err(io::Error::other)
                .and_then(|text| watchtree_os::identity::write_atomic(file, &text));
            let state = match &written {
                Ok(()) => Ok(format!("{} is written", file.display())),
                Err(error) => Err(format!(
                    "{} cannot be written: {error}; after a restart alerts are told again",
                    file.display()
                )),
            };
            self.conditions.report(ABOUT, &state);
            if is_last {
                return;
            }
            if written.is_err() {
                let mut pages = self.lock();
                pages.is_new = true;
                drop(
                    self.wake
                        .wait_timeout_while(pages, AGAIN_AFTER, |pages| !pages.is_closed),
                );
            }
        }
    }
}

impl Ledger<MessageId> for Book {
    fn settled(&self, id: MessageId) {
        let mut pages = self.lock();
        pages.owed.retain(|message| message.id != id);
        self.changed(pages);
    }

    fn report(&self, about: &str, state: &Result<String, String>) {
        self.conditions.report(about, state);
    }
}

fn read(file: &Path, conditions: &Conditions) -> Pages {
    let error = match read_pages(file) {
        Ok(pages) => return pages,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Pages::default(),
        Err(error) => error,
    };
    let aside = file.with_extension("json.damaged");
    let moved = match std::fs::rename(file, &aside) {
        Ok(()) => format!("it is set aside as {}", aside.display()),
        Err(why) => format!("it cannot be set aside: {why}"),
    };
    let why = format!(
        "{} cannot be read: {error}; {moved}; what was open is told again",
        file.display()
    );
    conditions.report(ABOUT, &Err(why));
    Pages {
        is_new: true,
        ..Pages::default()
    }
}

fn read_pages(file: &Path) -> io::Result<Pages> {
    if FILE_BYTES_MAX < std::fs::metadata(file)?.len() {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}

impl Line {
    fn of(incident: &Incident) -> Self {
        Self {
            id: incident.id,
            state: incident.state.as_str().to_owned(),
            level: incident.level.as_str().to_owned(),
            why: incident.why.clone(),
            opened_wall_ms: incident.opened_wall.0,
        }
    }

    /// `None` = written by a newer version, or by hand.
    fn incident(&self, subject: &str) -> Option<Incident> {
        Some(Incident {
            id: self.id,
            subject: SubjectId::new(subject).ok()?,
            state: State::from_word(&self.state)?,
            level: Level::from_word(&self.level)?,
            unconfirmed: false,
            why: self.why.clone(),
            root_cause: None,
            touched: 0,
            opened: Moment::ZERO,
            opened_wall: WallTime(self.opened_wall_ms),
            closed_wall: None,
            closed_why: String::new(),
            evidence: Vec::new(),
            decisions: Vec::new(),
        })
    }
}
