//! What the backend is told, and what it tells its owner: peers, refusals, happenings.

use crate::id::NodeName;
use crate::message::{Envelope, Goodbye};
use crate::order::OrderAnswer;
use crate::subject::SubjectId;
use crate::time::Duration;
use crate::verdict::State;
use crate::words::words;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

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
#[expect(clippy::large_enum_variant, reason = "nearly all of them are frames")]
pub enum BackendInput {
    /// A frame, decoded and within limits.
    Received {
        /// From whom.
        peer: Peer,
        /// What.
        envelope: Envelope,
    },
    /// A frame of this peer could not be decoded or broke a limit; counted and told.
    Undecodable {
        /// Whose.
        peer: Peer,
        /// Its `seq`; 0 if that cannot be read either.
        seq: u64,
        /// The word and the words of the wire (`DecodeError`, as it prints itself).
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

/// Which children may say Hello, and at the top of what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Admission {
    /// Every authenticated node of tier host; its scope must be its own name (manager).
    Hosts,
    /// These container-watchdogs, each with its scope (host).
    Listed(BTreeMap<NodeName, SubjectId>),
}

/// The numbers and words a backend greets with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackendPolicy {
    /// See [`Admission`].
    pub admission: Admission,
    /// Children beat this often.
    pub beat: Duration,
    /// Freshness point: slot + interval + offset + this.
    pub margin: Duration,
    /// A BeatAck every so many beats; 0 = never.
    pub ack_every: u32,
    /// A child that hears nothing for this long says so to people.
    pub parent_silence: Duration,
    /// The manager's term; 0 where there is none.
    pub term: u64,
}

words! {
    /// Why a frame was refused. Each has a word on the wire.
    pub enum Refusal {
        /// `header.origin` or the identity is not the authenticated name.
        StolenName = "stolen_name",
        /// Two living nodes show one name.
        Clone = "clone",
        /// An older life of the same node.
        StaleEpoch = "stale_epoch",
        /// `seq` did not grow: a replay or a duplicate.
        ReplayedSeq = "replayed_seq",
        /// The frame's header and its identity contradict each other, or its slot is later than its sending.
        BadHeader = "bad_header",
        /// This node is not expected here (tier, name).
        NotAdmitted = "not_admitted",
        /// A subject outside the child's scope.
        OutOfScope = "out_of_scope",
        /// No common minor version.
        NoCommonVersion = "no_common_version",
        /// A message that only parents send.
        WrongDirection = "wrong_direction",
        /// More subjects than a child may report.
        TooManySubjects = "too_many_subjects",
        /// It could not be decoded.
        Undecodable = "undecodable",
    }
}

/// What of a child's reported verdicts changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BookChange {
    /// Subjects of which a verdict came, with the state before it; `None` = new. The state may be the same.
    pub changed: Vec<(SubjectId, Option<State>)>,
    /// Subjects that are gone.
    pub gone: Vec<SubjectId>,
    /// True if this completes a snapshot: the book is the child's whole truth now.
    pub whole: bool,
}

/// What happened among the children; the owner takes it with [`Backend::poll_happening`](super::Backend::poll_happening).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// A child said Hello and was welcomed.
    Joined {
        /// Who.
        name: NodeName,
        /// True if it is another life (or another node) than before.
        new_life: bool,
    },
    /// A sign of life was taken; how fresh the child is may have changed.
    Heard(NodeName),
    /// Verdicts changed or are gone.
    Changed {
        /// Whose.
        name: NodeName,
        /// Which.
        change: BookChange,
    },
    /// Decision records came up.
    Events {
        /// Through whom.
        name: NodeName,
        /// The records, oldest first.
        decisions: Vec<crate::decision::Decision>,
        /// How many were dropped below.
        dropped: u64,
    },
    /// An order was answered.
    OrderAnswered {
        /// Through whom.
        name: NodeName,
        /// How.
        answer: OrderAnswer,
    },
    /// Our Ping was answered.
    Pong(NodeName),
    /// A child said goodbye.
    Left {
        /// Who.
        name: NodeName,
        /// How.
        goodbye: Goodbye,
    },
    /// Two living nodes show one name; the later one is refused.
    Cloned {
        /// Which name.
        name: NodeName,
        /// In words.
        why: String,
    },
    /// The transport says that a child's connection ended: a hint.
    Gone {
        /// Who.
        name: NodeName,
        /// In words.
        why: String,
    },
}
