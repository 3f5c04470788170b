//! What the frontend is told, what it tells the role that owns it, and how it is set up.

use crate::id::{NodeIdentity, NodeName};
use crate::message::{Capabilities, Envelope};
use crate::order::SignedOrder;
use crate::subject::SubjectId;
use crate::time::Duration;
use alloc::string::String;
use alloc::vec::Vec;

/// What the link tells the frontend.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every input is a frame; a box would cost an allocation each"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FrontendInput {
    /// The transport to the parent is up (handshake done): say Hello.
    Up,
    /// The transport is down: a hint, nothing below follows from it.
    Down {
        /// In words.
        why: String,
    },
    /// A frame from the parent, decoded and within limits.
    Received(Envelope),
    /// A frame could not be handed over (link down, queue full): it is lost; reports will be repeated.
    NotSent {
        /// Its `seq`.
        seq: u64,
    },
}

/// What the role that owns the frontend should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FrontendNotice {
    /// The parent said Welcome.
    Joined {
        /// Who it is.
        parent: NodeName,
        /// The manager's term as it knows it.
        term: u64,
    },
    /// The link is down (in words).
    Lost(String),
    /// The parent has been silent for longer than it said it would be.
    ParentSilent(Duration),
    /// It speaks again.
    ParentBack,
    /// An order came; its signature is not checked yet.
    Order(SignedOrder),
    /// The parent wants a neighbour to be probed.
    ProbeRequest {
        /// Comes back in the result.
        nonce: u64,
        /// At whom.
        target: NodeName,
        /// Where.
        address: String,
        /// Within.
        within: Duration,
    },
    /// A frame of ours was refused (reason, detail).
    Refused(String, String),
    /// The parent takes our frames again, and has refused none for a while.
    Accepted,
}

/// How a frontend is set up.
#[derive(Clone, Debug)]
pub struct FrontendSettings {
    /// Who we are.
    pub identity: NodeIdentity,
    /// What we can.
    pub capabilities: Capabilities,
    /// The top of what we report.
    pub scope: SubjectId,
    /// How often we beat until the parent says otherwise.
    pub beat_wanted: Duration,
    /// Where our kernel may be looked at from outside; at most 4 are sent.
    pub look_at: Vec<String>,
}
