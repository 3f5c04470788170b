//! The text of key files, and how they are opened.
//!
//! Contract: files are created only where none is (O_EXCL) and never through a link at the last step (O_NOFOLLOW); a
//! secret that group or others may touch is refused; no more than [`FILE_BYTES_MAX`] are read.

use crate::error::KeyError;
use crate::z85;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest key file, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 16 * 1024;
/// Most keys of one node.
const KEYS_PER_FILE_MAX: usize = 8;

/// What a key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// CURVE: encrypts the link and is the identity of a node.
    Curve,
    /// ed25519: signs orders.
    Order,
}

impl Kind {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Curve => "curve",
            Self::Order => "order",
        }
    }
}

/// Where a new pair of keys was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Saved {
    /// `NAME.key`, mode 0600.
    pub secret: PathBuf,
    /// `NAME.pub`, mode 0644.
    pub public: PathBuf,
}

/// What a key file says, without its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inspected {
    /// What the keys are for.
    pub kind: Kind,
    /// Whether the file has the secret too.
    pub secret: bool,
    /// The public keys in it.
    pub publics: Vec<[u8; 32]>,
}

/// Reads a key file of either kind, for people: `watchtree key show`.
///
/// # Errors
/// [`KeyError`] if it is no key file, or a secret that is open to others.
pub fn inspect(path: &Path) -> Result<Inspected, KeyError> {
    let parsed = parse(path, &read(path)?)?;
    Ok(Inspected {
        kind: parsed.kind,
        secret: parsed.secret.is_some(),
        publics: parsed.publics,
    })
}

/// Whether `name` may be the name of a key file.
pub(crate) fn check_name(name: &str) -> Result<(), KeyError> {
    let fits = (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
    if fits {
        Ok(())
    } else {
        Err(KeyError::Name(name.to_string()))
    }
}

pub(crate) fn write_pair(
    dir: &Path,
    name: &str,
    kind: Kind,
    public: &[u8; 32],
    secret: &[u8; 32],
) -> Result<Saved, KeyError> {
    check_name(name)?;
    let saved = Saved {
        secret: dir.join(format!("{name}.key")),
        public: dir.join(format!("{name}.pub")),
    };
    let public = z85::encode(public);
    let secret = Zeroizing::new(z85::encode(secret));
    let head = format!("watchtree-key v1 {}", kind.as_str());
    let text = Zeroizing::new(format!("{head} secret\npublic {public}\nsecret {}\n", *secret));
    create(&saved.secret, 0o600, &text)?;
    if let Err(error) = create(&saved.public, 0o644, &format!("{head} public\npublic {public}\n")) {
        // Half a pair is of no use, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(&saved.secret);
        return Err(error);
    }
    Ok(saved)
}

fn create(path: &Path, mode: u32, text: &str) -> Result<(), KeyError> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(mode)).map_err(|errno| match errno {
        rustix::io::Errno::EXIST => KeyError::Exists {
            path: path.to_path_buf(),
        },
        other => io_error(path, "create", other.into()),
    })?;
    let mut file = File::from(fd);
    let written = file
        .write_all(text.as_bytes())
        // The umask may have taken rights away, or an odd one left the wrong ones.
        .and_then(|()| file.set_permissions(std::fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all());
    written.map_err(|source| {
        let _ = std::fs::remove_file(path);
        io_error(path, "write", source)
    })
}

pub(crate) fn read_secret(path: &Path, kind: Kind) -> Result<([u8; 32], Zeroizing<[u8; 32]>), KeyError> {
    let parsed = parse(path, &read(path)?)?;
    expect_kind(path, &parsed, kind)?;
    match (parsed.publics.as_slice(), parsed.secret) {
        ([public], Some(secret)) => Ok((*public, secret)),
        _ => Err(content(
            path,
            1,
            "this is a public key; the secret one is in the file that ends in .key".into(),
        )),
    }
}

pub(crate) fn read_public(path: &Path, kind: Kind) -> Result<Vec<[u8; 32]>, KeyError> {
    let parsed = parse(path, &read(path)?)?;
    expect_kind(path, &parsed, kind)?;
    if parsed.secret.is_some() {
        let what = "this is a secret key; here belongs the file that ends in .pub (if it was copied, make a new key)";
        return Err(content(path, 1, what.into()));
    }
    Ok(parsed.publics)
}

fn expect_kind(path: &Path, parsed: &Parsed, kind: Kind) -> Result<(), KeyError> {
    if parsed.kind == kind {
        return Ok(());
    }
    let (found, wanted) = (parsed.kind.as_str(), kind.as_str());
    let what =
        format!("this is a key of kind {found}, needed is one of kind {wanted} (watchtree key gen {wanted} PATH.key)");
    Err(content(path, 1, what))
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    // NONBLOCK: a pipe laid in our way must not hang the daemon.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::LOOP => content(path, 1, "this is a symbolic link; give the file itself".into()),
        other => io_error(path, "open", other.into()),
    })?;
    let file = File::from(fd);
    let meta = file.metadata().map_err(|source| io_error(path, "read", source))?;
    if !meta.is_file() {
        return Err(content(path, 1, "this is no regular file".into()));
    }
    if FILE_BYTES_MAX < meta.len() {
        return Err(content(
            path,
            1,
            format!("longer than {FILE_BYTES_MAX} bytes: no key file"),
        ));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(meta.len() as usize + 1));
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|source| io_error(path, "read", source))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| content(path, 1, "not a text: no key file".into()))?;
    let mode = meta.permissions().mode() & 0o7777;
    if text.lines().next().is_some_and(|line| line.ends_with(" secret")) {
        if mode & 0o077 != 0 {
            return Err(KeyError::Open {
                path: path.to_path_buf(),
                mode,
            });
        }
    } else if mode & 0o002 != 0 {
        return Err(KeyError::Writable {
            path: path.to_path_buf(),
            mode,
        });
    }
    Ok(Zeroizing::new(text.to_string()))
}

struct Parsed {
    kind: Kind,
    publics: Vec<[u8; 32]>,
    secret: Option<Zeroizing<[u8; 32]>>,
}

fn parse(path: &Path, text: &str) -> Result<Parsed, KeyError> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_end()));
    let (kind, secret_wanted) = match lines.next().map(|(_, line)| line) {
        Some("watchtree-key v1 curve secret") => (Kind::Curve, true),
        Some("watchtree-key v1 curve public") => (Kind::Curve, false),
        Some("watchtree-key v1 order secret") => (Kind::Order, true),
        Some("watchtree-key v1 order public") => (Kind::Order, false),
        _ => {
            let what =
                "no key file: the first line must be `watchtree-key v1 curve|order secret|public` (watchtree key gen)";
            return Err(content(path, 1, what.into()));
        }
    };
    let mut parsed = Parsed {
        kind,
        publics: Vec::new(),
        secret: None,
    };
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        // The value is never repeated: it may be a secret.
        let key = z85::decode(value.trim())
            .ok_or_else(|| content(path, number, "the key must be 40 characters of Z85".into()));
        match word {
            "public" => parsed.publics.push(key?),
            "secret" if secret_wanted && parsed.secret.is_none() => parsed.secret = Some(Zeroizing::new(key?)),
            _ => {
                return Err(content(
                    path,
                    number,
                    "expected `public KEY` (and in a secret file one `secret KEY`)".into(),
                ));
            }
        }
    }
    let count = parsed.publics.len();
    if secret_wanted && (count != 1 || parsed.secret.is_none()) {
        return Err(content(
            path,
            1,
            "a secret key file has one line `public KEY` and one `secret KEY`".into(),
        ));
    }
    if !(1..=KEYS_PER_FILE_MAX).contains(&count) {
        return Err(content(
            path,
            1,
            format!("a public key file has 1 to {KEYS_PER_FILE_MAX} lines `public KEY`"),
        ));
    }
    Ok(parsed)
}

pub(crate) fn io_error(path: &Path, verb: &'static str, source: io::Error) -> KeyError {
    KeyError::Io {
        path: path.to_path_buf(),
        verb,
        source,
    }
}

pub(crate) fn content(path: &Path, line: usize, what: String) -> KeyError {
    KeyError::Content {
        path: path.to_path_buf(),
        line,
        what,
    }
}
