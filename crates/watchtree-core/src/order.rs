//! Orders: what a person may tell the tree, and how a target decides whether to obey.
//!
//! An order is signed once, by the manager's key, over the exact bytes that are sent; every node on the way forwards
//! those bytes. The signature is checked at the edge (`watchtree-keys`); everything else is checked here: target, term,
//! incarnation, expiry on the *target's* clock, and whether it was carried out before.

use crate::id::{BootId, NodeName};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
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

/// Why an order was refused. Each has a word on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum OrderRefusal {
    /// Signed by a key this node does not trust.
    UnknownKey,
    /// The signature does not fit the bytes.
    BadSignature,
    /// The bytes are no order of this version.
    Undecodable,
    /// It is for somebody else.
    WrongTarget,
    /// It is of another boot of this machine.
    OtherBoot,
    /// It came too late.
    Expired,
    /// A manager of a later term has spoken.
    StaleTerm,
    /// The subject has another life by now.
    OtherIncarnation,
    /// No such subject here.
    UnknownSubject,
    /// The verb does not fit (a hold longer than allowed, a retry of something that is well).
    NotApplicable,
}

impl OrderRefusal {
    /// All, for tables.
    pub const ALL: [Self; 10] = [
        Self::UnknownKey,
        Self::BadSignature,
        Self::Undecodable,
        Self::WrongTarget,
        Self::OtherBoot,
        Self::Expired,
        Self::StaleTerm,
        Self::OtherIncarnation,
        Self::UnknownSubject,
        Self::NotApplicable,
    ];

    /// snake_case word: on the wire and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Undecodable => "undecodable",
            Self::WrongTarget => "wrong_target",
            Self::OtherBoot => "other_boot",
            Self::Expired => "expired",
            Self::StaleTerm => "stale_term",
            Self::OtherIncarnation => "other_incarnation",
            Self::UnknownSubject => "unknown_subject",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// The refusal of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == word)
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
