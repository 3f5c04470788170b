//! The path of an ipc socket: its folder, its lock, its mode.
//!
//! Contract: who holds the lock on `PATH.lock` owns PATH; a second process is refused (libzmq would silently let it take the path
//! over). The kernel releases the lock when the process ends, so a stale file is not a lock.

use crate::error::LinkError;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// sockaddr_un has room for 107 bytes and a NUL.
const PATH_BYTES_MAX: usize = 107;

/// Holds the path until dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] OwnedFd);

/// `ipc://PATH`, if the path can be one.
pub(crate) fn endpoint(path: &Path) -> Result<String, LinkError> {
    let text = path
        .to_str()
        .filter(|text| text.starts_with('/') && !text.contains('\0'));
    let text = text.ok_or_else(|| address(path, "the path must be absolute and UTF-8".into()))?;
    if PATH_BYTES_MAX < text.len() {
        return Err(address(
            path,
            format!("the path has more than {PATH_BYTES_MAX} bytes; choose a shorter one"),
        ));
    }
    Ok(format!("ipc://{text}"))
}

/// Makes the folder, takes the lock, removes a stale socket. After this the path is ours to bind.
pub(crate) fn claim(path: &Path) -> Result<Lock, LinkError> {
    let folder = path
        .parent()
        .ok_or_else(|| address(path, "the path has no folder".into()))?;
    let made = DirBuilder::new().recursive(true).mode(0o750).create(folder);
    made.map_err(|error| from_io(folder, "make the folder", error))?;
    let meta = fs::metadata(folder).map_err(|error| from_io(folder, "inspect the folder", error))?;
    if meta.mode() & 0o1002 == 0o002 {
        let what = format!(
            "anybody may write in this folder (mode {:04o}); run: chmod o-w {0}",
            meta.mode() & 0o7777
        );
        return Err(address(folder, what.replace("{0}", &folder.display().to_string())));
    }
    let lock = lock(path)?;
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            fs::remove_file(path).map_err(|error| from_io(path, "remove the stale socket", error))?;
        }
        Ok(_) => {
            return Err(address(
                path,
                "something that is no socket lies there; remove it or choose another path".into(),
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(from_io(path, "inspect the socket", error)),
    }
    Ok(lock)
}

fn lock(path: &Path) -> Result<Lock, LinkError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(&name, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| from_io(&name, "open the lock file", errno.into()))?;
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(fd)),
        Err(Errno::WOULDBLOCK) => Err(LinkError::Taken {
            place: path.display().to_string(),
            what: "another process listens on this socket; stop it first, or choose another path".into(),
        }),
        Err(errno) => Err(from_io(&name, "lock", errno.into())),
    }
}

/// After the bind: the socket's mode. Until then it has what the umask left, and the authenticator refuses strangers anyway; changing
/// the umask itself would reach into all other threads.
pub(crate) fn open_to_group(path: &Path) -> Result<(), LinkError> {
    fs::set_permissions(path, Permissions::from_mode(0o660))
        .map_err(|error| from_io(path, "set the mode of the socket", error))
}

fn from_io(place: &Path, what: &'static str, error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => LinkError::Rights {
            place: place.display().to_string(),
            what: format!("cannot {what}: {error}"),
        },
        _ => LinkError::Address {
            place: place.display().to_string(),
            what: format!("cannot {what}: {error}"),
        },
    }
}

fn address(place: &Path, what: String) -> LinkError {
    LinkError::Address {
        place: place.display().to_string(),
        what,
    }
}
