//! Orders: what a person may tell the tree, and how a target decides whether to obey.
//!
//! An order is signed once, by the manager's key, over the exact bytes that are sent; every node on the way forwards
//! those bytes. The signature is checked at the edge (`watchtree-keys`); everything else is checked here: target, term,
//! incarnation, expiry on the *target's* clock, and whether it was carried out before.

use crate::id::{BootId, NodeName};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
use crate::words::words;
use alloc::string::String;
use alloc::vec::Vec;

/// An order as it travels: the bytes that were signed, and by which key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedOrder {
    /// Exactly the signed bytes: an encoded `Order`.
    pub bytes: Vec<u8>,
    /// Which key signed: the first 8 bytes of SHA-256 of the public key, in hex.
    pub key_id: String,
    /// ed25519, 64 bytes.
    pub signature: Vec<u8>,
}

/// What is ordered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verb {
    /// Keep repairs away from the subject and everything below, for this long; always ends by itself.
    Hold {
        /// At most [`Verb::HOLD_MAX`].
        lasts: Duration,
    },
    /// End a hold.
    Release,
    /// Forget the used-up budget and try again now.
    Retry,
}

impl Verb {
    /// Longest hold.
    pub const HOLD_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Lower-case word, as in JSON and on the command line.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
        }
    }
}

/// The content of an order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// Unique; a second order with this id is answered with the first one's answer and not carried out again.
    pub id: [u8; 16],
    /// The node that carries it out.
    pub target: NodeName,
    /// About whom.
    pub subject: SubjectId,
    /// About which life; empty = whichever.
    pub incarnation: Incarnation,
    /// What.
    pub verb: Verb,
    /// The manager's term.
    pub term: u64,
    /// The target's boot, echoed from its last beat.
    pub boot_id: BootId,
    /// Dead after this moment on the target's clock.
    pub expires: Moment,
    /// Who asked, for the record.
    pub asked_by: String,
}

words! {
    /// Why an order was refused. Each has a word on the wire.
    pub enum OrderRefusal {
        /// Signed by a key this node does not trust.
        UnknownKey = "unknown_key",
        /// The signature does not fit the bytes.
        BadSignature = "bad_signature",
        /// The bytes are no order of this version.
        Undecodable = "undecodable",
        /// It is for somebody else.
        WrongTarget = "wrong_target",
        /// It is of another boot of this machine.
        OtherBoot = "other_boot",
        /// It came too late.
        Expired = "expired",
        /// A manager of a later term has spoken.
        StaleTerm = "stale_term",
        /// The subject has another life by now.
        OtherIncarnation = "other_incarnation",
        /// No such subject here.
        UnknownSubject = "unknown_subject",
        /// The verb does not fit (a hold longer than allowed, a retry of something that is well).
        NotApplicable = "not_applicable",
    }
}

/// What became of an order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderAnswer {
    /// Of the order; zero if it could not be read.
    pub id: [u8; 16],
    /// Carried out, or why not.
    pub result: Result<(), OrderRefusal>,
    /// In words.
    pub detail: String,
}
