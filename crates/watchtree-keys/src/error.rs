//! Why a key could not be made, read or written: one line with place and cure.

use rustix::io::Errno;
use std::io;
use std::path::PathBuf;

/// What is wrong with a key file or a directory of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be opened, read or written.
    #[error("{path}: cannot {verb}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        verb: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A new key would overwrite a file.
    #[error("{path}: exists already; remove it first, or give another name", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A secret that others may read.
    #[error("{path}: the secret key is open to others (mode {mode:04o}); run: chmod 600 {path}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A list of trusted keys that anybody may change.
    #[error("{path}: anybody may write it (mode {mode:04o}); run: chmod o-w {path}", path = path.display())]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is not what it should be.
    #[error("{path}:{line}: {what}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong and what to do.
        what: String,
    },
    /// The name of a key or node cannot be a file name in these folders.
    #[error("{0:?}: a name has 1 to 128 characters of A-Z a-z 0-9 . _ - @ and begins with no dot")]
    Name(String),
    /// The system gave no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

impl KeyError {
    /// Whether the rights of this process are what is missing.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether the file or directory is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the system has run out of descriptors or memory: the file may be as good as ever.
    pub(crate) fn is_exhaustion(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        let errno = Errno::from_io_error(source);
        matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
    }

    /// The exit code of a program that ends for this: 6 for missing rights, else 2 (bad input).
    pub fn exit_code(&self) -> u8 {
        if self.is_permission() { 6 } else { 2 }
    }
}
