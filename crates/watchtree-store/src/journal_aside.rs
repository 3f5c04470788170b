//! Keeps what lies in the place of a journal and is damaged, or no journal: for a person to look at and to remove.
//!
//! Contract: whoever is killed at any moment leaves a whole journal in its place. At most [`KEPT_MAX`] are kept: then the last
//! file makes room. What is kept says itself what is wrong with it, so nothing else has to be remembered over a restart.

use crate::journal_read::read;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Most that is kept.
const KEPT_MAX: usize = 4;

/// Puts the file `new` in the place of `journal` and keeps what was there. Where nothing was, it is only put there.
///
/// # Errors
/// The journal is what it was, or in its place already, and what was there is kept as `new`.
pub(crate) fn replace_and_keep(new: &Path, file: &File, journal: &Path) -> io::Result<()> {
    file.sync_data()?;
    if !exists(journal) {
        return std::fs::rename(new, journal);
    }
    let kept = free_name(journal)?;
    match renameat_with(CWD, new, CWD, journal, RenameFlags::EXCHANGE) {
        Ok(()) => std::fs::rename(new, kept),
        // Not every file system can exchange two names.
        Err(_) => std::fs::rename(journal, kept).and_then(|()| std::fs::rename(new, journal)),
    }
}

/// Where nothing but a file is to be written: another thing there is kept elsewhere.
pub(crate) fn make_way(path: &Path, journal: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(about) if !about.is_file() => std::fs::rename(path, free_name(journal)?),
        _ => Ok(()),
    }
}

/// What is kept, and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    /// Where.
    path: PathBuf,
    /// In words.
    words: String,
}

impl Kept {
    /// All that is kept of that journal.
    pub(crate) fn of(journal: &Path) -> Vec<Self> {
        let found = names(journal).filter(|path| exists(path));
        found
            .map(|path| {
                let words = match read(&path).map(|reading| reading.damage) {
                    Ok(Some(damage)) => damage.to_string(),
                    Ok(None) => "it can be read now".to_owned(),
                    Err(error) => error.to_string(),
                };
                Self { path, words }
            })
            .collect()
    }

    /// It was not removed yet.
    pub(crate) fn is_there(&self) -> bool {
        exists(&self.path)
    }

    /// For a person.
    pub(crate) fn words(&self) -> String {
        format!(
            "{}; the file is kept as {}: look at it, then remove it",
            self.words,
            self.path.display()
        )
    }
}

fn names(journal: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let first = journal.with_extension("damaged");
    let others = (2..=KEPT_MAX).map({
        let journal = journal.to_owned();
        move |n| journal.with_extension(format!("damaged-{n}"))
    });
    std::iter::once(first).chain(others)
}

/// A name that is free, or is made so.
fn free_name(journal: &Path) -> io::Result<PathBuf> {
    let mut last = journal.with_extension("damaged");
    for name in names(journal) {
        if !exists(&name) {
            return Ok(name);
        }
        last = name;
    }
    // A folder may hold anything.
    if last.symlink_metadata()?.is_file() {
        std::fs::remove_file(&last)?;
        return Ok(last);
    }
    let words = format!(
        "{KEPT_MAX} others are kept already, {} for one: remove them",
        last.display()
    );
    Err(io::Error::other(words))
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
