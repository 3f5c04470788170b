//! What is watched: subjects, their place in the tree, and their lives (incarnations).
//!
//! A subject's id is a path. The first segment is the host (or the manager), then the engine, then the container by
//! compose project, service and number, or else by its name. A segment that starts with `@` is a watchdog itself:
//!
//! ```text
//! h1                      the host
//! h1/@agent               its host-watchdog
//! h1/docker               an engine on it
//! h1/docker/@watchdog     the container-watchdog of that engine
//! h1/docker/shop/web/1    container 1 of service web in compose project shop
//! h1/docker/nginx         a container without compose, by name
//! ```

use crate::hash::{FNV1A_BASIS, fnv1a};
use crate::id::{NAME_BYTES_MAX, NameError, NodeName, check_name};
use crate::words::words;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::borrow::Borrow;
use core::fmt;
use core::ops::Bound;

/// A `-` and the hash of a segment that is cut.
const HASH_BYTES: usize = 17;
/// Longest subject id in bytes.
pub const SUBJECT_BYTES_MAX: usize = 640;
/// Most segments of a subject id.
pub const SUBJECT_SEGMENTS_MAX: usize = 8;

/// The id of a subject: its path in the tree. Orders like a path, parents before children.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct SubjectId(String);

impl SubjectId {
    /// Checks a path such as `h1/docker/shop/web/1`.
    ///
    /// # Errors
    /// [`NameError`] of the first bad segment; `TooLong` also for the whole.
    pub fn new(path: &str) -> Result<Self, NameError> {
        if SUBJECT_BYTES_MAX < path.len() || SUBJECT_SEGMENTS_MAX < path.split('/').count() {
            return Err(NameError::TooLong);
        }
        path.split('/').try_for_each(check_name)?;
        Ok(Self(path.to_string()))
    }

    /// The subject of a node itself (a host, a manager): its name.
    pub fn of_node(name: &NodeName) -> Self {
        Self(name.as_str().to_string())
    }

    /// This subject's child with that last segment. Bytes that no name may have become `_`, and a long segment is cut, with a hash
    /// of the whole at its end: container names and compose labels come from outside and must neither be able to break a path nor,
    /// two that begin alike, to be one.
    pub fn child(&self, segment: &str) -> Self {
        if NAME_BYTES_MAX < segment.chars().count() {
            let hash = fnv1a(FNV1A_BASIS, segment.as_bytes());
            let kept: String = segment.chars().take(NAME_BYTES_MAX - HASH_BYTES).collect();
            return self.child(&format!("{kept}-{hash:016x}"));
        }
        let clean: String = segment
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-@".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        Self(format!("{}/{}", self.0, if clean.is_empty() { "_" } else { &clean }))
    }

    /// As [`Self::child`], for a name that others chose: it must not pass for a watchdog of ours, so an `@` in front
    /// becomes `_` too.
    pub fn outer_child(&self, segment: &str) -> Self {
        match segment.strip_prefix('@') {
            Some(rest) => self.child(&format!("_{rest}")),
            None => self.child(segment),
        }
    }

    /// The subject one level up; `None` for a host or a manager.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_string()))
    }

    /// The first segment: the host (or the manager) it lives on.
    pub fn root(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The last segment.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// True for `other` itself and everything below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(&other.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What of a map lies within `top`, itself first, and comes after `after`.
pub(crate) fn within<'a, V>(
    map: &'a BTreeMap<SubjectId, V>,
    top: &'a SubjectId,
    after: Option<&'a SubjectId>,
) -> impl Iterator<Item = (&'a SubjectId, &'a V)> {
    let from = after.map_or(Bound::Included(top), Bound::Excluded);
    map.range::<SubjectId, _>((from, Bound::Unbounded))
        .take_while(|(subject, _)| subject.as_str().starts_with(top.as_str()))
        .filter(|(subject, _)| subject.is_within(top))
}

/// So that a map is asked for a path without making a subject of it: both order and compare as their text.
impl Borrow<str> for SubjectId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What a subject is.
    pub enum SubjectKind {
        /// A machine.
        Host = "host",
        /// A container engine (dockerd, podman).
        Engine = "engine",
        /// A container.
        Container = "container",
        /// One of our own daemons.
        Watchdog = "watchdog",
        /// The manager itself.
        Manager = "manager",
    }
}

/// One life of a subject. A container's is its id and `StartedAt`; a host's is its boot id; a daemon's is its boot id
/// and agent epoch. Compared for equality only: it says *which* life, never which is newer.
#[derive(Clone, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Incarnation(pub String);

impl Incarnation {
    /// Longest incarnation in bytes.
    pub const BYTES_MAX: usize = 160;

    /// A container's life: its 64-digit id and the engine's `StartedAt`, as the engine writes both.
    pub fn container(id: &str, started_at: &str) -> Self {
        Self(format!("{id}@{started_at}"))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
