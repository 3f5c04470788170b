//! An exclusive lock that ends with its holder: `flock` on a file that names the holder.

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock};
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

    /// Takes the lock at once or not at all; never waits. `owner` is written into the file for others to read. Any user
    /// who reaches the file can lock it, also on a file system that is read-only for him.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, owner: &str) -> Result<Self, LockError> {
        let io = |source: io::Error| LockError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut file = open(path).map_err(io)?;
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

/// Opens the file, or makes one that everybody may read: locking needs no right to write.
fn open(path: &Path) -> io::Result<File> {
    // The folder may be anybody's: a planted link is not followed, a planted pipe not waited for.
    let safe = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = match options.mode(0o644).custom_flags(safe).open(path) {
        Ok(file) => {
            // The mode above is what the umask leaves of it. Only the owner may mend that, and he did when he made it.
            let _ = fchmod(&file, Mode::from_raw_mode(0o644));
            file
        }
        Err(error) => match error.kind() {
            // Another user made it, or it lies where we may only read.
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                let read_only = OpenOptions::new().read(true).custom_flags(safe).open(path);
                // That there is none says nothing of why none can be made.
                read_only.map_err(|again| {
                    if again.kind() == io::ErrorKind::NotFound {
                        error
                    } else {
                        again
                    }
                })?
            }
            _ => return Err(error),
        },
    };
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
    #[test]
    fn everybody_may_read_it_whatever_mode_it_had() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("engine.lock");
        std::fs::write(&path, "").expect("room for a file");
        // As a strict umask leaves it.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("it is ours");
        let lock = LockFile::take(&path, "pid 42").expect("it is free");
        let mode = lock.file().metadata().expect("it is open").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("link.lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).expect("room for a link");
        assert!(LockFile::take(&path, "").is_err());
        assert!(!dir.path().join("elsewhere").exists(), "the link was not followed");
        let path = dir.path().join("pipe.lock");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("mkfifo runs").success());
        assert!(LockFile::take(&path, "").is_err());
    }
}
