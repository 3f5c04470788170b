//! Directories of public keys, read again when they change.
//!
//! Contract: `NODE.pub` = the keys of that node. A bad file is named and skipped; a directory that cannot be read leaves
//! what was read before in force. The caller polls (about once a second); nothing here sleeps or watches.

use crate::curve::CurvePublic;
use crate::error::KeyError;
use crate::file::{self, Kind};
use crate::order::{OrderPublic, Untrusted};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Most files that are read of one directory.
const FILES_MAX: usize = 100_000;
/// A file that was changed less than this ago may change again within the same tick of the file system's clock.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Which CURVE key stands for which node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowList(BTreeMap<CurvePublic, String>);

impl AllowList {
    /// All keys with their nodes.
    pub fn iter(&self) -> impl Iterator<Item = (&CurvePublic, &str)> {
        self.0.iter().map(|(key, name)| (key, name.as_str()))
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(CurvePublic, String)> for AllowList {
    fn from_iter<T: IntoIterator<Item = (CurvePublic, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The keys whose orders are obeyed, by key id.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedOrderKeys(BTreeMap<String, OrderPublic>);

impl TrustedOrderKeys {
    /// Whether exactly these bytes were signed by a trusted key of that id.
    ///
    /// # Errors
    /// [`Untrusted`] says why not.
    pub fn verify(&self, key_id: &str, bytes: &[u8], signature: &[u8]) -> Result<(), Untrusted> {
        self.0
            .get(key_id)
            .ok_or(Untrusted::UnknownKey)?
            .verify(bytes, signature)
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody's orders are obeyed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<OrderPublic> for TrustedOrderKeys {
    fn from_iter<T: IntoIterator<Item = OrderPublic>>(keys: T) -> Self {
        Self(keys.into_iter().map(|key| (key.key_id(), key)).collect())
    }
}

/// What a directory holds now.
#[derive(Debug)]
pub struct Reload<T> {
    /// What is in force from now on.
    pub now: Arc<T>,
    /// Files that were skipped, each with place and cure.
    pub bad: Vec<KeyError>,
}

/// `/etc/watchtree/allowed`: who may connect.
#[derive(Debug)]
pub struct AllowDir(Watched);

impl AllowDir {
    /// For this directory; nothing is read yet.
    pub fn new(path: &Path) -> Self {
        Self(Watched::new(path, Kind::Curve))
    }

    /// Reads the directory if it changed since the last call (the first call always reads). `None` = unchanged.
    ///
    /// # Errors
    /// The directory itself cannot be read, or the system has no descriptors to read it with: what was read before should stay in
    /// force. The next call that can read it gives what it holds, changed or not.
    pub fn poll(&mut self) -> Result<Option<Reload<AllowList>>, KeyError> {
        let Some((files, mut bad)) = self.0.poll()? else {
            return Ok(None);
        };
        let mut list = BTreeMap::new();
        for (name, path, keys) in files {
            for key in keys.into_iter().map(CurvePublic) {
                match list.get(&key) {
                    Some(other) if *other != name => {
                        bad.push(file::content(
                            &path,
                            1,
                            format!("{other}.pub has the same key; each node needs its own"),
                        ));
                    }
                    _ => {
                        list.insert(key, name.clone());
                    }
                }
            }
        }
        Ok(Some(Reload {
            now: Arc::new(AllowList(list)),
            bad,
        }))
    }
}

/// `/etc/watchtree/order-keys`: whose orders are obeyed.
#[derive(Debug)]
pub struct OrderKeyDir(Watched);

impl OrderKeyDir {
    /// For this directory; nothing is read yet.
    pub fn new(path: &Path) -> Self {
        Self(Watched::new(path, Kind::Order))
    }

    /// As [`AllowDir::poll`].
    ///
    /// # Errors
    /// As [`AllowDir::poll`].
    pub fn poll(&mut self) -> Result<Option<Reload<TrustedOrderKeys>>, KeyError> {
        let Some((files, mut bad)) = self.0.poll()? else {
            return Ok(None);
        };
        let mut trusted = Vec::new();
        for (_, path, keys) in files {
            for key in keys {
                match OrderPublic::from_bytes(&key) {
                    Some(key) => trusted.push(key),
                    None => bad.push(file::content(
                        &path,
                        1,
                        "this is no ed25519 key (watchtree key gen)".into(),
                    )),
                }
            }
        }
        Ok(Some(Reload {
            now: Arc::new(trusted.into_iter().collect()),
            bad,
        }))
    }
}

/// One entry of a directory as far as a change of it shows: name, inode, size, change time.
type Stamp = (String, u64, u64, i64, i64);
/// Name of the node, its file, its keys.
type Keys = (String, PathBuf, Vec<[u8; 32]>);
/// The files that were read, and what was wrong with the others.
type Content = (Vec<Keys>, Vec<KeyError>);

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    kind: Kind,
    /// `None` = to be read at the next poll, whatever the stamps say.
    seen: Option<Vec<Stamp>>,
    /// What was told last: an unsettled directory is read again, but told again only if it differs.
    told: Option<(Vec<Keys>, Vec<String>)>,
}

impl Watched {
    fn new(path: &Path, kind: Kind) -> Self {
        Self {
            path: path.to_path_buf(),
            kind,
            seen: None,
            told: None,
        }
    }

    fn poll(&mut self) -> Result<Option<Content>, KeyError> {
        let read = self.read();
        if read.is_err() {
            // Whoever is told so says it to people, or forgets the keys: what is read next is news, also if it is as before.
            self.seen = None;
            self.told = None;
        }
        read
    }

    fn read(&mut self) -> Result<Option<Content>, KeyError> {
        let stamps = self.stamps()?;
        if self.seen.as_ref() == Some(&stamps) {
            return Ok(None);
        }
        let mut files = Vec::new();
        let mut bad = Vec::new();
        for (file_name, ..) in &stamps {
            let Some(name) = file_name.strip_suffix(".pub") else {
                continue;
            };
            let path = self.path.join(file_name);
            match file::check_name(name).and_then(|()| file::read_public(&path, self.kind)) {
                Ok(keys) => files.push((name.to_string(), path, keys)),
                // No fault of this file: it must not take its node off the list.
                Err(error) if error.is_exhaustion() => return Err(error),
                Err(error) => bad.push(error),
            }
        }
        let settled = stamps.iter().all(|(.., seconds, _)| is_settled(*seconds));
        self.seen = settled.then_some(stamps);
        let tell = Some((files.clone(), bad.iter().map(ToString::to_string).collect()));
        if self.told == tell {
            return Ok(None);
        }
        self.told = tell;
        Ok(Some((files, bad)))
    }

    fn stamps(&self) -> Result<Vec<Stamp>, KeyError> {
        let failed = |source| file::io_error(&self.path, "read the directory", source);
        let mut stamps = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)?.take(FILES_MAX) {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // Editors' backups and half-copied files have other endings.
            if name.starts_with('.') || !name.ends_with(".pub") {
                continue;
            }
            // A file that vanishes between the two calls is no error: it is not there.
            let Ok(meta) = entry.metadata() else { continue };
            stamps.push((name, meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()));
        }
        stamps.sort();
        Ok(stamps)
    }
}

fn is_settled(changed_s: i64) -> bool {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let changed = Duration::from_secs(changed_s.max(0) as u64);
    // A change time in the future (the clock was set back) counts as settled: it will not get younger.
    changed > now || now - changed > SETTLED_AFTER
}
