//! What two nodes of the tree say to each other: the protocol `watchtree.link.v1` as core types.
//!
//! `watchtree-wire` converts them from and to protobuf and enforces the limits; this file gives their meaning.
//! All `Moment`s are on the clock of whoever is named in their description, and are only ever compared with moments of
//! the same clock and the same boot.

use crate::decision::Decision;
use crate::id::{AgentEpoch, BootId, NodeIdentity, NodeName};
use crate::order::{Order, OrderAnswer, SignedOrder};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
use crate::verdict::{ObserverHealth, Verdict};
use alloc::string::String;
use alloc::vec::Vec;

/// Every frame's header. Relays read this and nothing else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Who made the frame.
    pub origin: NodeName,
    /// Who it is for; `None` = the direct neighbour.
    pub target: Option<NodeName>,
    /// The origin's life: boot and epoch. `seq` and `sent` mean something only within them.
    pub boot_id: BootId,
    /// See `boot_id`.
    pub agent_epoch: AgentEpoch,
    /// One more with every frame of this origin in this epoch, from 1. A frame whose `seq` is not greater than the last
    /// one taken from that origin and epoch is a replay or a duplicate: refused and counted.
    pub seq: u64,
    /// When it was handed to the socket, on the origin's clock.
    pub sent: Moment,
    /// The send slot it counts for as a sign of life, on the origin's clock: a beat's scheduled time, else `sent`.
    pub slot: Moment,
    /// Hops left; a relay takes one off and drops at 0. At most [`Header::HOPS_MAX`].
    pub hops_left: u8,
    /// For people who follow one thing through logs; 0 = none.
    pub trace: u64,
}

impl Header {
    /// Most hops.
    pub const HOPS_MAX: u8 = 8;

    /// The header of a frame to the direct neighbour that is sent in the slot it is for.
    pub fn new(origin: &NodeIdentity, seq: u64, sent: Moment) -> Self {
        Self {
            origin: origin.name.clone(),
            target: None,
            boot_id: origin.boot_id,
            agent_epoch: origin.agent_epoch,
            seq,
            sent,
            slot: sent,
            hops_left: Self::HOPS_MAX,
            trace: 0,
        }
    }
}

/// A frame: header and message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// See [`Header`].
    pub header: Header,
    /// See [`Message`].
    pub message: Message,
}

/// All messages of version 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// Child to parent, first and after every reconnect: who I am and what I can.
    Hello(Hello),
    /// Parent to child, answers Hello: what I expect of you.
    Welcome(Welcome),
    /// Parent to child: I do not know you (any more), say Hello again.
    ReHello {
        /// Why, in words.
        why: String,
    },
    /// Child to parent: I live, this is how I am. The PING.
    Beat(Beat),
    /// Parent to child: I heard you. The PONG.
    BeatAck(BeatAck),
    /// Parent to child: answer now.
    Ping {
        /// Comes back in the Pong.
        nonce: u64,
    },
    /// Child to parent.
    Pong {
        /// Of the Ping.
        nonce: u64,
        /// How well the answerer is.
        health: ObserverHealth,
    },
    /// Child to parent: verdicts that changed. The latest wins per subject; repeated until acknowledged.
    Report(Report),
    /// Parent to child: taken up to and including this report.
    ReportAck {
        /// `Report::number`.
        number: u64,
    },
    /// Child to parent: decision records. Bounded, best effort for now; deduplicated by decision id.
    Events {
        /// The records, oldest first; at most [`Message::DECISIONS_MAX`].
        decisions: Vec<Decision>,
        /// How many had to be dropped since the last frame because the outbox was full.
        dropped: u64,
    },
    /// Parent to child: hold, release, retry, …; signed by the manager.
    Order(SignedOrder),
    /// Child to parent: what became of an order.
    OrderResult(OrderAnswer),
    /// Parent to child: your digest differs from mine, send everything.
    SnapshotRequest,
    /// Child to parent: everything. Replaces all that is known of the subjects under `scope`.
    Snapshot {
        /// The top of what it covers.
        scope: SubjectId,
        /// The chunk's place, from 0.
        chunk: u32,
        /// True on the last chunk: what no chunk named is gone.
        last: bool,
        /// Verdicts of every subject.
        verdicts: Vec<Verdict>,
        /// The digest this leads to.
        digest: Digest,
    },
    /// Child to parent: I go, on purpose.
    Goodbye(Goodbye),
    /// Parent to a node near the target: probe whether its kernel answers.
    ProbeRequest {
        /// Comes back in the result.
        nonce: u64,
        /// Who is to be looked at.
        target: NodeName,
        /// `host:port`, or an address for ICMP.
        address: String,
        /// How long the probe may take.
        within: Duration,
    },
    /// The answer. A helper that cannot say yet answers `Look::StillTrying` at 80 % of the time, so that a silent helper
    /// is not taken for a silent target.
    ProbeResult {
        /// Of the request.
        nonce: u64,
        /// Who was looked at.
        target: NodeName,
        /// What was seen.
        look: Look,
        /// How well the helper is.
        health: ObserverHealth,
    },
    /// Either way: your frame was refused. Names what would have been accepted.
    Refused {
        /// The refused frame's `seq`, 0 if unknown.
        seq: u64,
        /// The reason, a snake_case word from docs/protocol.md.
        reason: String,
        /// In words, with the cure.
        detail: String,
    },
}

impl Message {
    /// Most decision records in one `Events`.
    pub const DECISIONS_MAX: usize = 32;
}

/// A set of optional abilities, one bit each. Unknown bits are kept and ignored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Sends reports and snapshots.
    pub const REPORTS: u64 = 1;
    /// Takes orders.
    pub const ORDERS: u64 = 2;
    /// Can probe a neighbour (ProbeRequest).
    pub const PROBES: u64 = 4;
    /// Sends decision records.
    pub const EVENTS: u64 = 8;
}

/// A digest over (subject, incarnation, state) of everything a node reports, with the algorithm by name, so that both
/// can change. The only one of version 1 is `fnv1a64-xor`: the XOR of `report::hash_of` of each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Digest {
    /// Algorithm.
    pub algorithm: String,
    /// Value.
    pub value: u64,
}

/// See [`Message::Hello`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// Who.
    pub identity: NodeIdentity,
    /// Lowest minor version of protocol 1 it speaks.
    pub minor_min: u32,
    /// Highest minor version of protocol 1 it speaks.
    pub minor_max: u32,
    /// What it can.
    pub capabilities: Capabilities,
    /// The subject at the top of what it reports.
    pub scope: SubjectId,
    /// The digest of what the parent acknowledged last, or of nothing.
    pub digest: Digest,
    /// How often it would like to beat; the parent decides.
    pub beat_wanted: Duration,
    /// Addresses (`host:port`) at which its kernel may be looked at from outside; at most 4.
    pub look_at: Vec<String>,
}

/// See [`Message::Welcome`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Welcome {
    /// The parent.
    pub identity: NodeIdentity,
    /// The minor version to speak from now on.
    pub minor: u32,
    /// What the parent can.
    pub capabilities: Capabilities,
    /// Beat this often.
    pub beat_every: Duration,
    /// Every how many beats a BeatAck comes back; 0 = never.
    pub ack_every: u32,
    /// Silence of the parent after which the child says so to people: nothing else follows from it.
    pub parent_silence: Duration,
    /// The manager's term (fencing token); orders of a lower one are stale.
    pub term: u64,
    /// The digest the parent holds of this child; if it differs, a SnapshotRequest follows.
    pub digest: Digest,
}

/// See [`Message::Beat`]. Its slot and send time are in the header.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Beat {
    /// Counts beats from 1 within an epoch; beat n was scheduled one interval after beat n-1 unless the interval changed.
    pub number: u64,
    /// How well the sender is.
    pub health: ObserverHealth,
    /// Figures of the sender itself, in milli-units by name (`load1_milli`, `loop_lag_ms`, `disk_free_milli`); at most 16.
    pub figures: Vec<(String, u64)>,
    /// Digest of everything it reports.
    pub digest: Digest,
    /// Round trip of the last acknowledged beat as the child measured it; zero = none yet.
    pub round_trip: Duration,
}

/// See [`Message::BeatAck`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BeatAck {
    /// Of the beat.
    pub number: u64,
    /// `sent` of that beat's frame, echoed: the child's clock.
    pub sent_echo: Moment,
    /// Time between receiving the beat and sending this, on the parent's clock.
    pub held: Duration,
}

/// See [`Message::Report`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Counts reports from 1 within an epoch.
    pub number: u64,
    /// Verdicts that changed since the last acknowledged report; at most [`Report::VERDICTS_MAX`].
    pub verdicts: Vec<Verdict>,
    /// Subjects that are gone (a container was removed); at most [`Report::GONE_MAX`].
    pub gone: Vec<SubjectId>,
    /// Digest after this report.
    pub digest: Digest,
}

impl Report {
    /// Most verdicts in one report or snapshot chunk.
    pub const VERDICTS_MAX: usize = 64;
    /// Most subjects that are gone in one report; the rest goes with the next.
    pub const GONE_MAX: usize = 128;
}

/// Why a node leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Goodbye {
    /// The daemon is stopped or replaced and means to be back within this time. Its subjects become UNWATCHED.
    Restart {
        /// After which its absence counts again.
        back_within: Duration,
    },
    /// The machine is shutting down or rebooting, in order. Its subjects become UNWATCHED; a power-off announced is the
    /// one silence that proves something.
    HostShutdown,
    /// It is taken out of the tree: forget it.
    Leaving,
}

/// The result of a probe from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Look {
    /// The kernel answered; how, in words (`tcp refused`, `tcp accepted`, `icmp echo`).
    Answered(String),
    /// Asked and not answered in time.
    Silent(String),
    /// As far as it could be asked it did not answer in time, but not every way could be tried; which ones, in words.
    SilentInPart(String),
    /// It could not be made: no rights, no address, no route. Never counts as silence.
    NotPossible(String),
    /// The helper is still trying.
    StillTrying,
}

/// Where an order came from, for the machines below (the wire's bytes stay with the driver).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderInput {
    /// Its content, decoded from exactly the bytes that were signed.
    pub order: Order,
    /// True for `--local`: a person on this machine, through the 0660 status socket.
    pub local: bool,
}

/// A frame with an order for this node, whose signature and bytes the driver has checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderFrame {
    /// Of the frame: one that came before is refused, order and all.
    pub header: Header,
    /// What it orders, or how it is refused.
    pub checked: Result<Order, OrderAnswer>,
}

/// How often a node would like to beat; its parent decides.
pub const BEAT_WANTED: Duration = Duration::from_millis(500);

/// The life a watchdog's own subject is in.
pub fn watchdog_incarnation(boot_id: BootId, epoch: AgentEpoch) -> Incarnation {
    Incarnation(alloc::format!("{boot_id}+{}", epoch.0))
}

#[cfg(test)]
mod tests {
    //! Words of lives, bits of capabilities.
    use super::*;

    #[test]
    fn a_watchdog_lives_as_long_as_its_boot_and_its_epoch() {
        let life = watchdog_incarnation(BootId([0xa1; 16]), AgentEpoch(3));
        assert_eq!(life.0, "a1".repeat(16) + "+3");
    }
}
