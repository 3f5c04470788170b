//! The namespaces of the kernel that a container may share with another one. Plain data.

use super::stamps::ContainerId;
use alloc::collections::BTreeMap;

/// A kind of namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Namespace {
    /// `network_mode: container:ID`: whoever joined it runs on in it, alone, when its owner ends.
    Network,
    /// `pid: container:ID`: the kernel ends whoever joined it with its owner.
    Pid,
    /// `ipc: container:ID`: as of the network.
    Ipc,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Network, Self::Pid, Self::Ipc];

    /// What is shared, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Pid => "pids",
            Self::Ipc => "ipc",
        }
    }
}

/// The containers whose namespaces one joins: by id, as the engine notes them.
pub type Joins = BTreeMap<Namespace, ContainerId>;

/// The namespaces of a process, by their inodes; what cannot be read is left out.
pub type Inodes = BTreeMap<Namespace, u64>;
