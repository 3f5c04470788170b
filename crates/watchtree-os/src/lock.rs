//! An exclusive lock that dies with its holder: `flock` on a file that names who holds it.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A lock that is held until this is dropped or the process ends, however it ends. Children do not inherit it. The file
/// itself stays: removing it would let two holders lock two files of one name.
#[derive(Debug)]
pub struct LockFile(File);

/// Why a lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("{} is held by {owner}", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// The holder's own words, such as `pid 42 h1.docker.watchdog`; `somebody` where it wrote none.
        owner: String,
    },
    /// The file cannot be made or locked.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The kernel's words.
        source: io::Error,
    },
}

impl LockFile {
    /// Longest owner text that is read, in bytes.
    pub const OWNER_BYTES_MAX: u64 = 256;

    /// Takes the lock at once or not at all; never waits. `owner` is written into the file for others to read.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, owner: &str) -> Result<Self, LockError> {
        let io = |source: io::Error| LockError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let mut file = options
            .open(path)
            .or_else(|error| match error.kind() {
                // Another user made it: locking needs no right to write.
                io::ErrorKind::PermissionDenied => File::open(path),
                _ => Err(error),
            })
            .map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // Best effort: the lock is taken whether its owner's words can be read or not.
                let _ = (&file).take(Self::OWNER_BYTES_MAX).read_to_string(&mut text);
                let owner = text
                    .lines()
                    .next()
                    .filter(|line| !line.is_empty())
                    .unwrap_or("somebody")
                    .to_string();
                return Err(LockError::Taken {
                    path: path.to_path_buf(),
                    owner,
                });
            }
            Err(error) => return Err(io(error.into())),
        }
        // A full disk must not keep a healer from healing: the words are for people only.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{owner}"));
        Ok(Self(file))
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("engine.lock");
        let first = LockFile::take(&path, "pid 42 a long owner text").expect("it is free");
        let taken = LockFile::take(&path, "pid 43").expect_err("it is held").to_string();
        assert!(
            taken.ends_with("engine.lock is held by pid 42 a long owner text"),
            "{taken}"
        );
        drop(first);
        let _second = LockFile::take(&path, "pid 43").expect("it is free again");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "pid 43\n");
        assert!(matches!(
            LockFile::take(Path::new("/no/such/folder/x"), ""),
            Err(LockError::Io { .. })
        ));
    }
}
