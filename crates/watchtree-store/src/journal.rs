//! The journal of the container role: an append-only file that survives kill -9 at any moment.
//!
//! `append` returns when the kernel has the record, which kill -9 cannot undo; a thread syncs it to the disk afterwards. When the
//! file has grown it is replaced by a fold of itself:
//!
//! ```text
//!  append ──write──▶ journal ────────────────┐            a kill -9 here: `journal` is whole
//!     └────write──▶ journal.new (fold first) ─┤ sync, rename
//!                                             └▶ journal   a kill -9 here: the new one is whole
//! ```
//!
//! Contract: while the disk refuses, records are kept in memory ([`Journal::trouble`] reports it) and `append` tries again with a
//! whole new file; only the end of the process loses them. Does not decide: the fold is the core's.

use crate::journal_frame::{Frames, MAGIC, put};
use crate::journal_line::{Line, fold};
use crate::journal_sync::Syncer;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchtree_core::container::record::{Record, Recovered};

/// The file is folded when it is longer than this and than four times its last fold, in bytes.
const FOLD_AT_BYTES: u64 = 4 * 1024 * 1024;
/// A longer journal is not read, in bytes.
const READ_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How often a disk that refused is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What only a person can mend.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes this journal.
    #[error("the journal {} is in use by another process: stop that one, or give this one a state folder of its own", .0.display())]
    Taken(PathBuf),
    /// No rights.
    #[error("no rights on the journal {}: give the user of this daemon a folder it may write", .0.display())]
    NoRights(PathBuf),
}

/// What a journal held when it was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// The memory it comes to.
    pub memory: Recovered,
    /// Remarks for the log: a torn tail was cut off, records could not be read.
    pub notes: Vec<String>,
}

/// See the file's head. One writer: the folder is locked while this lives.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    memory: Recovered,
    file: Option<Arc<File>>,
    file_bytes: u64,
    /// Its successor, while that is being synced and put in its place.
    next: Option<(Arc<File>, u64)>,
    fold_at_bytes: u64,
    syncer: Syncer,
    trouble: Option<String>,
    retry_at: Instant,
    _lock: Option<File>,
}

impl Journal {
    /// Opens (or makes) `journal` in `folder` and reads it. A disk that refuses is not an error: see
    /// [`Journal::trouble`].
    ///
    /// # Errors
    /// [`JournalError`]: what only a person can mend.
    pub fn open(folder: &Path) -> Result<(Self, Opened), JournalError> {
        Self::open_with(folder, FOLD_AT_BYTES)
    }

    /// [`Journal::open`] with another size to fold at, for tests.
    ///
    /// # Errors
    /// As of [`Journal::open`].
    pub fn open_with(folder: &Path, fold_at_bytes: u64) -> Result<(Self, Opened), JournalError> {
        let path = folder.join("journal");
        let mut trouble = None;
        let made = std::fs::create_dir_all(folder).and_then(|()| lock(&path.with_extension("lock")));
        let lock = sort(&path, made, &mut trouble)?;
        let read = sort(&path, read(&path), &mut trouble)?;
        let (opened, whole_bytes) = read.unwrap_or_default();
        let file = sort(&path, open_at(&path, whole_bytes), &mut trouble)?;
        let journal = Self {
            memory: opened.memory.clone(),
            syncer: Syncer::new(folder.to_owned()),
            file_bytes: whole_bytes.max(MAGIC.len() as u64),
            file: file.map(Arc::new),
            next: None,
            fold_at_bytes,
            path,
            trouble,
            retry_at: Instant::now(),
            _lock: lock,
        };
        Ok((journal, opened))
    }

    /// Writes one record: when this returns without trouble it survives a kill -9. In trouble the record is kept in
    /// memory, and the whole memory is written as soon as the disk takes it (tried at most once a second).
    ///
    /// # Errors
    /// The reason in words, while the journal is not on disk.
    pub fn append(&mut self, record: &Record) -> Result<(), String> {
        self.memory.apply(record);
        if self.trouble.is_some() {
            return self.retry();
        }
        if let Err(error) = self.write(&Line::of(record)) {
            self.fail(&error);
            return self.state();
        }
        self.settle();
        self.state()
    }

    /// To be called now and then (once a second): tries a disk that refused again, and puts a finished fold in place.
    ///
    /// # Errors
    /// The reason in words, while the journal is not on disk.
    pub fn retry(&mut self) -> Result<(), String> {
        if self.trouble.is_some() && self.retry_at <= Instant::now() {
            match self.rewrite() {
                Ok(()) => self.trouble = None,
                Err(error) => self.fail(&error),
            }
        }
        self.settle();
        self.state()
    }

    /// Why records are in memory only; `None` = all is on disk.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Waits until everything written is on the disk, at most `within`; for the end of the daemon.
    pub fn sync(&mut self, within: Duration) -> bool {
        self.settle();
        if let Some(file) = &self.file {
            self.syncer.sync(file);
        }
        self.syncer.wait(within)
    }

    fn state(&self) -> Result<(), String> {
        self.trouble.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: &io::Error) {
        self.trouble = Some(format!("cannot write {}: {error}", self.path.display()));
        self.retry_at = Instant::now() + RETRY_EVERY;
        // What is in the files now may be torn: they are replaced as a whole.
        (self.file, self.next) = (None, None);
        self.syncer.forget();
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let frame = frame(line)?;
        let file = self.file.as_ref().ok_or_else(|| io::Error::other("it is not open"))?;
        file.as_ref().write_all(&frame)?;
        self.file_bytes += frame.len() as u64;
        if let Some((next, bytes)) = &mut self.next {
            next.as_ref().write_all(&frame)?;
            *bytes += frame.len() as u64;
        } else if self.fold_at_bytes < self.file_bytes {
            self.begin_fold()?;
        } else {
            self.syncer.sync(file);
        }
        Ok(())
    }

    /// Writes the memory (which has the newest record in it) to a new file; the syncer puts it in place.
    fn begin_fold(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let (file, bytes) = write_fold(&new, &self.memory)?;
        let file = Arc::new(file);
        self.syncer.replace(&file, new, self.path.clone());
        self.next = Some((file, bytes));
        Ok(())
    }

    /// Takes note of what the syncer did.
    fn settle(&mut self) {
        if let Some(error) = self.syncer.take_error() {
            self.fail(&io::Error::other(error));
        } else if self.syncer.replaced()
            && let Some((next, bytes)) = self.next.take()
        {
            self.fold_at_bytes = self.fold_at_bytes.max(bytes.saturating_mul(4));
            self.syncer.sync(&next);
            (self.file, self.file_bytes) = (Some(next), bytes);
        }
    }

    /// After trouble: the whole memory into a new file, put in place at once, since until then none of it is safe; the
    /// syncer syncs it after that.
    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let (file, bytes) = write_fold(&new, &self.memory)?;
        std::fs::rename(&new, &self.path)?;
        let file = Arc::new(file);
        self.syncer.sync(&file);
        (self.file, self.file_bytes) = (Some(file), bytes);
        Ok(())
    }
}

fn frame(line: &Line) -> io::Result<Vec<u8>> {
    let payload = serde_json::to_vec(line)?;
    let mut frame = Vec::with_capacity(payload.len() + 8);
    if put(&mut frame, &payload) {
        Ok(frame)
    } else {
        Err(io::Error::other("a record is too long"))
    }
}

fn write_fold(path: &Path, memory: &Recovered) -> io::Result<(File, u64)> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?);
    let mut text = MAGIC.to_vec();
    for line in fold(memory) {
        text.extend_from_slice(&frame(&line)?);
    }
    (&file).write_all(&text)?;
    Ok((file, text.len() as u64))
}

/// Splits what a person must mend from what may pass.
fn sort<T>(path: &Path, result: io::Result<T>, trouble: &mut Option<String>) -> Result<Option<T>, JournalError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(JournalError::NoRights(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(JournalError::Taken(path.to_owned())),
        Err(error) => {
            *trouble = Some(format!("cannot use {}: {error}", path.display()));
            Ok(None)
        }
    }
}

/// A file of its own is locked: the journal itself is replaced now and then.
fn lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?);
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// What the file comes to, and how many bytes of it are whole (0 = it has to be begun anew).
fn read(path: &Path) -> io::Result<(Opened, u64)> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(READ_BYTES_MAX).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Opened::default(), 0)),
        Err(error) => return Err(error),
    };
    let mut opened = Opened::default();
    let Some(body) = text.strip_prefix(MAGIC) else {
        if !MAGIC.starts_with(&text) {
            opened
                .notes
                .push(format!("{} is no journal of this version: begun anew", path.display()));
            std::fs::rename(path, path.with_extension("unreadable"))?;
        }
        return Ok((opened, 0));
    };
    let mut frames = Frames::new(body);
    let mut unreadable = 0;
    for payload in frames.by_ref() {
        let line = serde_json::from_slice::<Line>(payload).ok();
        if !line.is_some_and(|line| line.apply_to(&mut opened.memory)) {
            unreadable += 1;
        }
    }
    if unreadable != 0 {
        opened.notes.push(format!(
            "{unreadable} records of {} cannot be read by this version",
            path.display()
        ));
    }
    let torn = frames.rest().len();
    if torn != 0 {
        opened.notes.push(format!(
            "the last {torn} bytes of {} were torn: cut off",
            path.display()
        ));
    }
    Ok((opened, (text.len() - torn) as u64))
}

/// Opens the journal to append after its first `whole_bytes`.
fn open_at(path: &Path, whole_bytes: u64) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?);
    file.set_len(whole_bytes)?;
    if whole_bytes == 0 {
        (&file).write_all(MAGIC)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    //! What a newer version wrote.
    use super::*;
    use watchtree_core::subject::SubjectId;

    /// After a downgrade: what is not understood is named, and costs nothing around it.
    #[test]
    fn words_of_a_newer_version_are_left_out_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let boot = "07".repeat(16);
        let repair = format!(
            r#"{{"id":"a","incarnation":"l","step":"left_sideways","last_event":1,"at":1,"boot":"{boot}","stop_timeout_secs":3}}"#
        );
        let lines = [
            format!(
                r#"{{"is":"subject","subject":"h1/docker/a","desired":["a","l",false],"charges":[[1,"{boot}",1]],"repair":{repair},"mood":"grim"}}"#
            ),
            r#"{"is":"unheard_of","subject":"h1/docker/b"}"#.to_owned(),
            format!(r#"{{"is":"repair","subject":"h1/docker/c","repair":{repair}}}"#),
            r#"{"is":"desired","subject":"h1/docker/c","id":"c","incarnation":"l","running":true}"#.to_owned(),
        ];
        let mut text = MAGIC.to_vec();
        assert!(lines.iter().all(|line| put(&mut text, line.as_bytes())));
        std::fs::write(folder.path().join("journal"), text).expect("written");
        let (_journal, opened) = Journal::open(folder.path()).expect("a journal");
        let of = |name: &str| opened.memory.subjects.get(&SubjectId::new(name).expect("a subject"));
        let a = of("h1/docker/a").expect("remembered");
        assert!(
            a.desired.is_some() && a.charges.len() == 1 && a.repair.is_none(),
            "{a:?}"
        );
        let c = of("h1/docker/c").expect("remembered");
        assert!(c.desired.is_some() && c.repair.is_none(), "{c:?}");
        assert_eq!(opened.notes.len(), 1, "{:?}", opened.notes);
        assert!(opened.notes[0].starts_with("3 records of "), "{:?}", opened.notes);
    }
}
