//! Exclusive locks that end with their holder and leave no file: a name of the machine, or a folder.
//!
//! A name is an abstract Unix socket: any user can take a free one, and whoever finds it taken asks the kernel who holds it. It
//! is seen in one network namespace. A folder is locked by `flock`, also where it is read-only; it is seen wherever the folder is.
//!
//! Contract: a lock is taken at once or not at all; it is held until it is dropped or the process ends, however it ends. Children
//! do not inherit it.

use rustix::fs::{FlockOperation, flock, fstat, major, minor};
use rustix::net::sockopt::socket_peercred;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

/// Longest text about an owner, in bytes.
const OWNER_BYTES_MAX: usize = 256;

/// A lock that is held until this is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _held: OwnedFd,
}

/// Why a lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("{what} is held by {owner}")]
    Taken {
        /// The name or the folder.
        what: String,
        /// The process, such as `pid 42 (host-watchdog run)`; `somebody` where the kernel does not tell.
        owner: String,
    },
    /// It cannot be locked.
    #[error("cannot lock {what}: {source}")]
    Io {
        /// The name or the folder.
        what: String,
        /// The kernel's words.
        source: io::Error,
    },
}

impl Lock {
    /// Longest name, in bytes.
    pub const NAME_BYTES_MAX: usize = 100;

    /// Takes a name of this machine, of at most [`Self::NAME_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn of_name(name: &str) -> Result<Self, LockError> {
        let failed = |source: io::Error| LockError::Io {
            what: name.to_owned(),
            source,
        };
        let address = SocketAddr::from_abstract_name(name).map_err(failed)?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(Self { _held: listener.into() }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(LockError::Taken {
                what: name.to_owned(),
                owner: listener_of(&address).unwrap_or_else(|| "somebody".to_owned()),
            }),
            Err(error) => Err(failed(error)),
        }
    }

    /// Locks a folder that is there.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn of_folder(path: &Path) -> Result<Self, LockError> {
        let what = || path.display().to_string();
        let failed = |source: io::Error| LockError::Io { what: what(), source };
        let folder = File::open(path).map_err(failed)?;
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _held: folder.into() }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Taken {
                what: what(),
                owner: flock_owner(&folder).unwrap_or_else(|| "somebody".to_owned()),
            }),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Who listens there.
fn listener_of(address: &SocketAddr) -> Option<String> {
    let stream = UnixStream::connect_addr(address).ok()?;
    let pid = socket_peercred(&stream).ok()?.pid;
    Some(process(&pid.as_raw_nonzero().to_string()))
}

/// Who holds the lock on that file, as the kernel lists it: `1: FLOCK  ADVISORY  WRITE 42 fd:01:1234 0 EOF`.
fn flock_owner(file: &File) -> Option<String> {
    let stat = fstat(file).ok()?;
    let inode = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let mut pids = locks.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, of, ..] = words.as_slice() else {
            return None;
        };
        (*of == inode).then_some(*pid)
    });
    pids.next().map(process)
}

fn process(pid: &str) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line[..line.len().min(OWNER_BYTES_MAX)]);
    let words: Vec<&str> = line.split('\0').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        format!("pid {pid}")
    } else {
        format!("pid {pid} ({})", words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    //! One holder, and who it is.
    use super::*;

    fn taken(result: Result<Lock, LockError>) -> (String, String) {
        match result {
            Err(LockError::Taken { what, owner }) => (what, owner),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_has_one_holder_who_can_be_named() {
        let name = format!("watchtree-test-{}", std::process::id());
        let lock = Lock::of_name(&name).expect("it is free");
        let (what, owner) = taken(Lock::of_name(&name));
        assert_eq!(what, name);
        assert!(owner.starts_with(&format!("pid {} (", std::process::id())), "{owner}");
        drop(lock);
        Lock::of_name(&name).expect("it is free again");
        let long = "x".repeat(200);
        assert!(matches!(Lock::of_name(&long), Err(LockError::Io { .. })));
        Lock::of_name(&long[..Lock::NAME_BYTES_MAX]).expect("that is short enough");
    }

    #[test]
    fn a_folder_has_one_holder_who_can_be_named() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let lock = Lock::of_folder(folder.path()).expect("it is free");
        let (what, owner) = taken(Lock::of_folder(folder.path()));
        assert_eq!(what, folder.path().display().to_string());
        // Some file systems have other numbers in the kernel's list.
        let is_us = owner.starts_with(&format!("pid {} (", std::process::id()));
        assert!(is_us || owner == "somebody", "{owner}");
        drop(lock);
        Lock::of_folder(folder.path()).expect("it is free again");
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("it is there").count(),
            0,
            "no file is left"
        );
        assert!(matches!(
            Lock::of_folder(Path::new("/no/such/folder")),
            Err(LockError::Io { .. })
        ));
    }

    #[test]
    fn a_child_does_not_inherit_it() {
        let name = format!("watchtree-test-child-{}", std::process::id());
        let lock = Lock::of_name(&name).expect("it is free");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a child");
        drop(lock);
        let again = Lock::of_name(&name);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        again.expect("it is free, whoever lives");
    }
}
