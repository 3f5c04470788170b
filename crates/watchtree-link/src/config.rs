//! The configuration of a link: where it connects or listens, keys, limits, clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use watchtree_core::time::Moment;
use watchtree_keys::{AllowList, CurveKeys, CurvePublic};

/// Says what time it is on this machine's monotonic clock. Called from the link's thread, once per frame.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Where the parent is.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// Over the network, encrypted by CURVE.
    Tcp {
        /// `tcp://HOST:PORT`. A name is looked up again at each attempt, and its first IPv4 address is used; an IPv6 address is
        /// given as such, `tcp://[2001:db8::1]:7411`.
        endpoint: String,
        /// Our own key: who we are to the parent.
        keys: CurveKeys,
        /// The parent's public key; a second one while it is being rotated (tried in turn after failed handshakes).
        server_keys: Vec<CurvePublic>,
    },
    /// A unix socket on this machine; the kernel vouches for both sides.
    Ipc {
        /// Of the parent's socket; at most 107 bytes. It need not be there yet.
        path: PathBuf,
    },
}

/// For [`Dealer::start`](crate::Dealer::start).
#[derive(Clone, Debug)]
pub struct DealerConfig {
    /// The parent.
    pub upstream: Upstream,
    /// Sizes and counts.
    pub limits: Limits,
    /// tcp: the wait before each attempt to reconnect is random between this and twice this, without growth.
    pub reconnect: Duration,
}

impl DealerConfig {
    /// With the limits and waits that fit a child: frames up to 1 MiB down and 256 KiB up, an attempt to reconnect every 0.8–1.6 s.
    pub fn new(upstream: Upstream) -> Self {
        let limits = Limits {
            in_bytes_max: 1024 * 1024,
            out_bytes_max: 256 * 1024,
            ..Limits::default()
        };
        Self {
            upstream,
            limits,
            reconnect: Duration::from_millis(800),
        }
    }
}

/// Where children connect.
#[derive(Clone, Debug)]
pub enum Listen {
    /// Over the network, encrypted by CURVE, for the keys of an allow-list.
    Tcp {
        /// Each `tcp://ADDRESS:PORT` (`*` for all addresses; port 0 or `*` = any, see
        /// [`LinkHandle::bound`](crate::LinkHandle::bound)).
        endpoints: Vec<String>,
        /// Our own key: children hold its public half.
        keys: CurveKeys,
        /// Who may connect; exchanged later by [`LinkHandle::set_allowed`](crate::LinkHandle::set_allowed).
        allowed: Arc<AllowList>,
    },
    /// A unix socket, mode 0660, in a folder that is made with mode 0750; a lock file `PATH.lock` keeps a second one from stealing it.
    Ipc {
        /// At most 107 bytes.
        path: PathBuf,
        /// Users that may connect besides our own and root.
        uids: Vec<u32>,
    },
}

/// For [`Router::start`](crate::Router::start).
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// Where.
    pub listen: Listen,
    /// Sizes and counts.
    pub limits: Limits,
    /// Threads of libzmq that move bytes: 1 to 4; one per 3,000 peers is enough.
    pub io_threads: u8,
}

impl RouterConfig {
    /// With the limits that fit a parent: frames up to 256 KiB up and 1 MiB down, one thread for bytes.
    pub fn new(listen: Listen) -> Self {
        let limits = Limits {
            in_bytes_max: 256 * 1024,
            out_bytes_max: 1024 * 1024,
            ..Limits::default()
        };
        Self {
            listen,
            limits,
            io_threads: 1,
        }
    }
}

/// What is bounded, and by how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest frame received: the bytes of all its parts.
    pub in_bytes_max: usize,
    /// Largest frame sent: the bytes of all its parts.
    pub out_bytes_max: usize,
    /// Most parts of a frame.
    pub parts_max: usize,
    /// Events and frames that wait for the receiver; when full, reading from the socket pauses.
    pub events_max: usize,
    /// Frames that wait to be sent by the link's thread; when full, `try_send` says so.
    pub commands_max: usize,
    /// Peers that are known at a time.
    pub peers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_bytes_max: 256 * 1024,
            out_bytes_max: 256 * 1024,
            parts_max: 8,
            events_max: 1024,
            commands_max: 1024,
            peers_max: 16_384,
        }
    }
}
