//! Events of a link: peers, frames, and what was refused or not sent.

use std::fmt;
use std::net::IpAddr;
use watchtree_core::id::NodeName;
use watchtree_core::time::Moment;

/// The other side of a link, as far as it is proven.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Peer {
    /// Of a dealer: the parent it connects to (tcp: it holds the server key; ipc: it owns the socket's path).
    Parent,
    /// Of a tcp router: the node its CURVE key stands for.
    Node(NodeName),
    /// Of an ipc router: the process that connected.
    Local(LocalPeer),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("the parent"),
            Self::Node(name) => name.fmt(f),
            Self::Local(LocalPeer { uid, pid, .. }) => write!(f, "pid {pid} (uid {uid})"),
        }
    }
}

/// A process on this machine as the kernel names it at connect (SO_PEERCRED).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct LocalPeer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id, in our namespace. The process may have ended since and the number be in use again: check the start time.
    pub pid: u32,
}

/// Something a link tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkEvent {
    /// A dealer's handshake with the parent succeeded: say Hello now. Also after each reconnect.
    Up,
    /// A dealer has no connection; told once per reason until it is up again. It goes on trying by itself.
    Down {
        /// Why.
        why: DownReason,
    },
    /// A router heard the first frame of a peer on a new connection; comes before that frame. The peer may have other connections:
    /// dead ones, or those of a second machine with its key.
    PeerSeen {
        /// Who.
        peer: Peer,
        /// Over which connection; a number is never used twice.
        connection: u64,
        /// Tcp: where it connected from. Behind NAT this is the NAT's address.
        address: Option<IpAddr>,
    },
    /// A router's connection to a peer is gone; comes after its last frame. A hint, not a verdict: the peer may be back at once.
    PeerGone {
        /// Who.
        peer: Peer,
        /// Which connection.
        connection: u64,
    },
    /// A frame of a proven peer.
    Frame {
        /// Who sent it.
        peer: Peer,
        /// Over which of its connections; answers go there. 0 for a dealer, which has one.
        connection: u64,
        /// Its parts, at least one.
        parts: Vec<Vec<u8>>,
        /// When the link's thread read it.
        at: Moment,
    },
    /// Something was refused: at most one event per reason and second, with the number since the last one.
    Refused {
        /// Why.
        why: Refusal,
        /// How many since the last such event.
        count: u64,
        /// The latest one's address (tcp) or credentials (ipc), or its name; empty if unknown.
        address: String,
    },
    /// A frame that `try_send` took could not be sent after all. At most one event per peer and pass.
    NotSent {
        /// To whom.
        peer: Peer,
        /// Why.
        why: NotSent,
        /// How many frames.
        count: u64,
    },
    /// The link has ended: always the last event.
    Closed {
        /// Whether libzmq finished within its bound; else its threads were left behind.
        clean: bool,
    },
}

/// Why a dealer has no connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum DownReason {
    /// It was up, and the connection ended.
    Disconnected,
    /// Nobody answers there, or the way is blocked.
    Unreachable,
    /// The parent refuses our key (or our user, on ipc): enrolment is pending or was withdrawn.
    Refused,
    /// Somebody answers but the handshake fails: another server key, or no Watchtree at all.
    Handshake,
}

impl DownReason {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "the connection ended",
            Self::Unreachable => "nobody answers",
            Self::Refused => "the parent refuses our key or user",
            Self::Handshake => "the handshake fails: another server key, or no Watchtree",
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, thiserror::Error)]
pub enum NotSent {
    /// The dealer has no connection.
    #[error("no connection")]
    Down,
    /// The router has heard nothing of that peer over that connection, or the connection is gone.
    #[error("no such peer is connected")]
    NoPeer,
    /// That peer's queue is full: it reads too slowly.
    #[error("the peer reads too slowly")]
    PeerFull,
    /// The link's own queue is full.
    #[error("the link's queue is full")]
    QueueFull,
    /// More bytes or parts than the limits allow, or no parts.
    #[error("the frame is over the limit")]
    TooLarge,
    /// The link has been stopped.
    #[error("the link is closed")]
    Closed,
}

/// Why something was refused. The order is that of [`Counters::refused`](crate::Counters::refused).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Refusal {
    /// A key that is not on the allow-list.
    UnknownKey,
    /// A user that may not connect to the ipc socket.
    UnknownUser,
    /// An authentication request of another mechanism or form.
    BadRequest,
    /// A connection that never became a handshake: garbage, another protocol, another server key, too slow.
    BadHandshake,
    /// A message without a proven sender.
    NoIdentity,
    /// A message of a connection whose key has been taken off the allow-list.
    Revoked,
    /// A frame with too many parts or none.
    BadParts,
    /// A frame over the size limit. (One far over it ends the connection inside libzmq.)
    TooLarge,
    /// A peer beyond the number of peers that are kept.
    TooManyPeers,
    /// A connection that could not be accepted: no file descriptors left.
    NotAccepted,
}

impl Refusal {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::UnknownKey,
        Self::UnknownUser,
        Self::BadRequest,
        Self::BadHandshake,
        Self::NoIdentity,
        Self::Revoked,
        Self::BadParts,
        Self::TooLarge,
        Self::TooManyPeers,
        Self::NotAccepted,
    ];

    /// snake_case word, for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::UnknownUser => "unknown_user",
            Self::BadRequest => "bad_request",
            Self::BadHandshake => "bad_handshake",
            Self::NoIdentity => "no_identity",
            Self::Revoked => "revoked",
            Self::BadParts => "bad_parts",
            Self::TooLarge => "too_large",
            Self::TooManyPeers => "too_many_peers",
            Self::NotAccepted => "not_accepted",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
