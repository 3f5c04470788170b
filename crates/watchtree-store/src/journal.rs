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
//! Contract: whatever is in its place, and whatever the disk does, there is a journal to append to. While the disk refuses, records
//! are kept in memory ([`Journal::complaint`] says so) and `append` tries again with a whole new file; only the end of the process
//! loses them. What is damaged is read as far as it can be, kept beside the journal, and named until a person has removed it.
//! Does not decide: the fold is the core's.

use crate::journal_aside::{Kept, make_way, replace_and_keep};
use crate::journal_frame::MAGIC;
use crate::journal_line::{Line, fold};
use crate::journal_read::{Place, Reading, frame, read};
use crate::journal_sync::Syncer;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, stat};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchtree_core::container::record::{Record, Recovered};

/// The file is folded when it is longer than this and than four times its last fold, in bytes.
const FOLD_AT_BYTES: u64 = 4 * 1024 * 1024;
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
    /// Remarks for the log: a torn tail was cut off, records of a newer version could not be read.
    pub notes: Vec<String>,
}

/// See the file's head. One writer: the folder is locked while this lives.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    memory: Recovered,
    out: Option<Out>,
    /// Its successor, while that is being synced and put in its place.
    next: Option<Out>,
    fold_at_bytes: u64,
    syncer: Syncer,
    trouble: Option<String>,
    retry_at: Instant,
    /// What is in its place is not to be written over: it is damaged, or was never read.
    keeps: bool,
    kept: Vec<Kept>,
    complaint: Option<String>,
    lock: Option<File>,
}

/// A file that is written to.
#[derive(Debug)]
struct Out {
    file: Arc<File>,
    bytes: u64,
    place: Place,
}

impl Journal {
    /// Opens (or makes) `journal` in `folder` and reads it. Neither a disk that refuses nor a damaged file is an error: see
    /// [`Journal::complaint`].
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
        let mut journal = Self {
            memory: Recovered::default(),
            out: None,
            next: None,
            fold_at_bytes,
            syncer: Syncer::new(folder.to_owned()),
            trouble: None,
            retry_at: Instant::now(),
            keeps: true,
            kept: Kept::of(&path),
            complaint: None,
            lock: None,
            path,
        };
        let mut opened = Opened::default();
        if let Err(error) = journal.begin(&mut opened) {
            let path = journal.path.clone();
            match error.kind() {
                io::ErrorKind::PermissionDenied => return Err(JournalError::NoRights(path)),
                io::ErrorKind::WouldBlock => return Err(JournalError::Taken(path)),
                _ => journal.fail(&error),
            }
        }
        opened.memory = journal.memory.clone();
        journal.complain();
        Ok((journal, opened))
    }

    /// Writes one record: when this returns and [`Journal::complaint`] names no trouble it survives a kill -9. In trouble the
    /// record is kept in memory, and the whole memory is written as soon as the disk takes it (tried at most once a second).
    pub fn append(&mut self, record: &Record) {
        self.memory.apply(record);
        if self.trouble.is_some() {
            return self.retry();
        }
        match self.write(&Line::of(record)) {
            Ok(()) => self.settle(),
            Err(error) => self.fail(&error),
        }
        self.complain();
    }

    /// To be called once a second while there is a [`Journal::complaint`]: tries a disk that refused again, puts a finished fold in
    /// place, and sees whether a person has removed what was damaged.
    pub fn retry(&mut self) {
        if self.trouble.is_some() && self.retry_at <= Instant::now() {
            match self.rewrite() {
                Ok(()) => self.trouble = None,
                Err(error) => self.fail(&error),
            }
        }
        self.settle();
        self.kept.retain(Kept::is_there);
        self.complain();
    }

    /// What is wrong, in words: records are in memory only, or were lost with a damaged file. `None` = all is on disk.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Why records are in memory only; `None` = the disk takes them.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Waits until everything written is on the disk, at most `within`; for the end of the daemon.
    pub fn sync(&mut self, within: Duration) -> bool {
        self.settle();
        if let Some(out) = &self.out {
            self.syncer.sync(&out.file);
        }
        self.syncer.wait(within)
    }

    /// Reads what is there and makes it a file to append to.
    fn begin(&mut self, opened: &mut Opened) -> io::Result<()> {
        self.lock()?;
        let reading = match read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(error) => Reading::unreadable(&error),
            Ok(reading) => reading,
        };
        opened.notes = reading.notes(&self.path);
        self.keeps = reading.damage.is_some();
        self.memory = reading.memory;
        match reading.next {
            Some(place) => {
                self.out = Some(open_at(&self.path, reading.whole_bytes, place)?);
                Ok(())
            }
            None => self.rewrite(),
        }
    }

    /// Makes sure of the folder. Another one may have taken its place since.
    fn lock(&mut self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !self.lock.as_ref().is_some_and(|locked| is_at(locked, folder)) {
            std::fs::create_dir_all(folder)?;
            let file = File::open(folder)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let words = "its folder is in use by another process";
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, words));
                }
                locked => locked?,
            }
            self.lock = Some(file);
        }
        Ok(())
    }

    fn complain(&mut self) {
        let damaged = || {
            let words = self.kept.first()?.words();
            let others = self.kept.len() - 1;
            Some(if others == 0 {
                words
            } else {
                format!("{words} ({others} more are kept beside it)")
            })
        };
        self.complaint = self.trouble.clone().or_else(damaged);
    }

    fn fail(&mut self, error: &io::Error) {
        self.trouble = Some(format!("cannot write {}: {error}", self.path.display()));
        self.retry_at = Instant::now() + RETRY_EVERY;
        // What is in the files now may be torn: they are replaced as a whole.
        (self.out, self.next) = (None, None);
        self.syncer.forget();
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let out = self.out.as_mut().ok_or_else(|| io::Error::other("it is not open"))?;
        // A finished fold may be in place and not be settled yet.
        if !is_at(&out.file, &self.path) && !self.next.as_ref().is_some_and(|next| is_at(&next.file, &self.path)) {
            return Err(io::Error::other("it was removed or replaced by somebody"));
        }
        out.write(line)?;
        if let Some(next) = &mut self.next {
            next.write(line)?;
        } else if self.fold_at_bytes < out.bytes {
            self.begin_fold()?;
        } else {
            self.syncer.sync(&out.file);
        }
        Ok(())
    }

    /// Writes the memory (which has the newest record in it) to a new file; the syncer puts it in place.
    fn begin_fold(&mut self) -> io::Result<()> {
        let (new, out) = self.write_fold()?;
        self.syncer.replace(&out.file, new, self.path.clone());
        self.next = Some(out);
        Ok(())
    }

    /// Takes note of what the syncer did.
    fn settle(&mut self) {
        if let Some(error) = self.syncer.take_error() {
            self.fail(&io::Error::other(error));
        } else if self.syncer.replaced()
            && let Some(next) = self.next.take()
        {
            self.fold_at_bytes = self.fold_at_bytes.max(next.bytes.saturating_mul(4));
            self.syncer.sync(&next.file);
            self.out = Some(next);
        }
    }

    /// The whole memory into a new file, put in place at once, since until then none of it is safe; the syncer syncs it after
    /// that. What must not be written over is kept.
    fn rewrite(&mut self) -> io::Result<()> {
        self.lock()?;
        let (new, out) = self.write_fold()?;
        let is_file = self.path.symlink_metadata().is_ok_and(|about| about.is_file());
        if self.keeps || !is_file {
            replace_and_keep(&new, &out.file, &self.path)?;
            self.keeps = false;
            self.kept = Kept::of(&self.path);
        } else {
            std::fs::rename(&new, &self.path)?;
        }
        self.syncer.sync(&out.file);
        self.out = Some(out);
        Ok(())
    }

    /// The whole memory in a file beside the journal. A disk that has no room for all of it gets it back.
    fn write_fold(&self) -> io::Result<(PathBuf, Out)> {
        let new = self.path.with_extension("new");
        make_way(&new, &self.path)?;
        let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&new, flags, Mode::from_raw_mode(0o600))?);
        let mut place = Place(RandomState::new().hash_one(&new) as u32, 0);
        let mut text = MAGIC.to_vec();
        for line in fold(&self.memory) {
            text.extend_from_slice(&frame(place, &line)?);
            place.1 += 1;
        }
        if let Err(error) = (&file).write_all(&text) {
            // That it cannot be removed either is no other news.
            let _ = std::fs::remove_file(&new);
            return Err(error);
        }
        let out = Out {
            file: Arc::new(file),
            bytes: text.len() as u64,
            place,
        };
        Ok((new, out))
    }
}

impl Out {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        let frame = frame(self.place, line)?;
        self.file.as_ref().write_all(&frame)?;
        self.bytes += frame.len() as u64;
        self.place.1 += 1;
        Ok(())
    }
}

/// True while that open file is what the path names.
fn is_at(file: &File, path: &Path) -> bool {
    let known = fstat(file).map(|it| (it.st_dev, it.st_ino));
    known.is_ok() && known == stat(path).map(|it| (it.st_dev, it.st_ino))
}

/// Opens the journal to append after its first `whole_bytes`.
fn open_at(path: &Path, whole_bytes: u64, place: Place) -> io::Result<Out> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    file.set_len(whole_bytes)?;
    Ok(Out {
        file: Arc::new(file),
        bytes: whole_bytes,
        place,
    })
}

#[cfg(test)]
mod tests {
    //! What other versions wrote.
    use super::*;
    use crate::journal_frame::put;
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

    /// It knew no places: what is lost is not counted, but it is no more.
    #[test]
    fn a_journal_of_an_older_version_is_read_past_its_damage() {
        let line = |name: &str| {
            format!(r#"{{"is":"desired","subject":"h1/docker/{name}","id":"c","incarnation":"l","running":true}}"#)
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut text = MAGIC.to_vec();
        assert!(["a", "b", "c"].iter().all(|name| put(&mut text, line(name).as_bytes())));
        let open_it = |text: &[u8]| {
            std::fs::write(&path, text).expect("written");
            let (journal, opened) = Journal::open(folder.path()).expect("a journal");
            let names = opened.memory.subjects.keys().map(|it| it.as_str().to_owned());
            (
                names.collect::<Vec<_>>().join(" "),
                journal.complaint().map(str::to_owned),
            )
        };
        assert_eq!(open_it(&text), ("h1/docker/a h1/docker/b h1/docker/c".to_owned(), None));
        let middle = text.len() - line("c").len() - 20;
        text[middle] ^= 1;
        let (names, complaint) = open_it(&text);
        assert_eq!(names, "h1/docker/a h1/docker/c");
        let complaint = complaint.expect("it is said");
        assert!(
            complaint.contains("at least 1 of its records is lost, 2 were read"),
            "{complaint}"
        );
    }
}
