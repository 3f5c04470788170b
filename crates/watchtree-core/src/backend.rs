//! The backend: a node's side towards its children. Sessions by authenticated peer, identity checks, acknowledgements.
//!
//! Knows no socket: the link tells it who sent a frame (by key or by process credentials) and over which connection.

use crate::id::NodeName;
use crate::message::Envelope;
use alloc::string::String;

/// Who a frame came from, as the link proved it, and over which of its connections.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct Peer {
    /// The name its key (tcp) or its process (ipc) stands for: never what the frame says of itself.
    pub name: NodeName,
    /// Names the connection until it is gone; the link makes it of the ROUTER's routing id. A reconnect is another one.
    pub connection: u64,
}

/// What the link tells the backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BackendInput {
    /// A frame, decoded and within limits.
    Received {
        /// From whom.
        peer: Peer,
        /// What.
        envelope: Envelope,
    },
    /// Frames of this peer could not be decoded or broke a limit; only counted.
    Undecodable {
        /// Whose.
        peer: Peer,
        /// In words.
        why: String,
    },
    /// The transport reported a disconnect: a hint, nobody is judged by it.
    PeerGone {
        /// Who; the link may not know which connection it was.
        name: NodeName,
        /// In words.
        why: String,
    },
    /// A frame could not be handed over (connection gone, queue full): it is lost.
    NotSent {
        /// To whom.
        peer: Peer,
        /// Its `seq`.
        seq: u64,
    },
}
