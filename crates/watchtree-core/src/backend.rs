//! The backend: a node's side towards its children. Sessions by authenticated peer, identity checks, acknowledgements.
//!
//! ```text
//!                Hello (checked)                       Goodbye
//!   no session ──────────────────▶ session ──────────────────────────▶ left (Restart until, HostShutdown)
//!       │ ▲                         │   ▲                                │        Leaving ──▶ forgotten
//!       │ └──── ReHello ◀── any other frame of an unknown life           │
//!       └──────────────────────────────────◀──────────── Hello ◀─────────┘
//! ```
//!
//! Keeps what each child reported ([`Book`]) also when its session is gone. Judges nobody: it says until when a child is
//! fresh, its owner decides what follows. Knows no socket: the link tells it who sent a frame (by key or by process
//! credentials) and over which connection.

use crate::detector::Detector;
use crate::id::{NodeIdentity, NodeName, Tier};
use crate::message::{Beat, Capabilities, Envelope, Goodbye, Header, Hello, Message, Welcome};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::tree::Book;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

mod frames;
mod io;

pub use io::{Admission, BackendInput, BackendPolicy, BookChange, Happening, Peer, Refusal};

/// A child, with or without a session.
#[derive(Clone, Debug)]
pub struct Child {
    /// What it said of itself.
    pub hello: Hello,
    /// What it reported.
    pub book: Book,
    /// How it left, until it says Hello again.
    pub left: Option<Goodbye>,
    /// Its last beat.
    pub beat: Beat,
    peer: Peer,
    detector: Detector,
    last_seq: u64,
    report_number: u64,
    mismatches: u32,
    /// It reported more subjects than are kept of one child: the digests cannot agree.
    full: bool,
    snapshot: Option<Snapshotting>,
    /// It has not said Hello since it was told of a new term: that frame may be lost.
    term_unheard: bool,
    /// Nonce of the open Ping, and when it was sent.
    ping: Option<(u64, Moment)>,
}

#[derive(Clone, Debug)]
struct Snapshotting {
    next_chunk: u32,
    verdicts: BTreeMap<SubjectId, crate::verdict::Verdict>,
}

impl Child {
    /// Until when it counts as fresh, on our clock.
    pub fn fresh_until(&self) -> Option<Moment> {
        self.detector.fresh_until()
    }

    /// True while it counts as fresh.
    pub fn is_fresh(&self, now: Moment) -> bool {
        self.detector.is_fresh(now)
    }

    /// Slot of its newest sign of life (its clock) and when that came (ours).
    pub fn newest(&self) -> Option<(Moment, Moment)> {
        self.detector.newest()
    }

    /// Its clock now, never later than the truth; `None` before it was heard.
    pub fn its_now(&self, now: Moment) -> Option<Moment> {
        self.detector.theirs(now)
    }

    /// A moment of its clock on ours.
    pub fn our_moment(&self, theirs: Moment) -> Option<Moment> {
        self.detector.ours(theirs)
    }

    /// True if the book holds, as far as its last beat tells, all that the child has to report.
    pub fn book_is_whole(&self) -> bool {
        !self.book.is_empty() && (self.full || !frames::differ(&self.beat.digest, &self.book.digest()))
    }

    /// The connection it was heard over last.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// The parent side of the link.
#[derive(Clone, Debug)]
pub struct Backend {
    identity: NodeIdentity,
    policy: BackendPolicy,
    children: BTreeMap<NodeName, Child>,
    /// When each peer was last told of a refusal or asked to say Hello: at most once per [`Backend::TELL_AGAIN`].
    told: BTreeMap<NodeName, Moment>,
    seq: u64,
    nonce: u64,
    refused: BTreeMap<Refusal, u64>,
    outgoing: VecDeque<(Peer, Envelope)>,
    happenings: VecDeque<Happening>,
}

impl Backend {
    /// A peer is told of refusals, or asked for a Hello, at most this often.
    pub const TELL_AGAIN: Duration = Duration::from_millis(200);
    /// So many beats in a row with a digest other than ours lead to a SnapshotRequest.
    pub const MISMATCHES_MAX: u32 = 3;
    /// Most children; more are refused.
    pub const CHILDREN_MAX: usize = 20_000;

    /// Speaks as `identity`. `seed` makes the nonces.
    pub fn new(identity: NodeIdentity, policy: BackendPolicy, seed: u64) -> Self {
        Self {
            identity,
            policy,
            children: BTreeMap::new(),
            told: BTreeMap::new(),
            seq: 0,
            nonce: seed,
            refused: BTreeMap::new(),
            outgoing: VecDeque::new(),
            happenings: VecDeque::new(),
        }
    }

    /// Takes what the link tells.
    pub fn handle(&mut self, now: Moment, input: BackendInput) {
        match input {
            BackendInput::Received { peer, envelope } => self.received(now, peer, envelope),
            BackendInput::Undecodable { peer, seq, why } => self.refuse(now, peer, seq, Refusal::Undecodable, why),
            BackendInput::PeerGone { name, why } => self.happenings.push_back(Happening::Gone { name, why }),
            // Reports are repeated by the child, orders by the manager, everything else is of the moment.
            BackendInput::NotSent { .. } => (),
        }
    }

    /// The next frame to send.
    pub fn poll_outgoing(&mut self) -> Option<(Peer, Envelope)> {
        self.outgoing.pop_front()
    }

    /// The next thing the owner should know.
    pub fn poll_happening(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    /// A child by name.
    pub fn child(&self, name: &NodeName) -> Option<&Child> {
        self.children.get(name)
    }

    /// All children, by name.
    pub fn children(&self) -> impl Iterator<Item = (&NodeName, &Child)> {
        self.children.iter()
    }

    /// How many frames were refused, by reason.
    pub fn refused(&self) -> &BTreeMap<Refusal, u64> {
        &self.refused
    }

    /// Sends a Ping; a Pong with its nonce shows as [`Happening::Pong`]. False if there is no session.
    pub fn ping(&mut self, now: Moment, name: &NodeName) -> bool {
        let Some(child) = self.children.get_mut(name) else {
            return false;
        };
        // Nonces need not be secret, only never come twice within a life.
        self.nonce = self
            .nonce
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let nonce = self.nonce;
        child.ping = Some((nonce, now));
        let peer = child.peer.clone();
        self.send(now, peer, Message::Ping { nonce });
        true
    }

    /// Sends a message to a child; false if it never said Hello.
    pub fn send_to(&mut self, now: Moment, name: &NodeName, message: Message) -> bool {
        let Some(peer) = self.children.get(name).map(|child| child.peer.clone()) else {
            return false;
        };
        self.send(now, peer, message);
        true
    }

    /// Sends a message under a header of [`Backend::next_header`]; false if the child never said Hello.
    pub fn send_with(&mut self, name: &NodeName, header: Header, message: Message) -> bool {
        let Some(peer) = self.children.get(name).map(|child| child.peer.clone()) else {
            return false;
        };
        self.outgoing.push_back((peer, Envelope { header, message }));
        true
    }

    /// A manager of that term has spoken: each child is told, for it must refuse what an older one ordered. A Welcome is not
    /// acknowledged, so each is asked for a Hello as well, until it says one.
    pub fn tell_term(&mut self, now: Moment, term: u64) {
        if term <= self.policy.term {
            return;
        }
        self.policy.term = term;
        self.children.values_mut().for_each(|child| child.term_unheard = true);
        let told = |child: &Child| (child.peer.clone(), Message::Welcome(self.welcome(child)));
        let welcomes: Vec<(Peer, Message)> = self.children.values().map(told).collect();
        for (peer, welcome) in welcomes {
            self.send(now, peer, welcome);
        }
    }

    /// A header for a frame that the driver completes (a signed order).
    pub fn next_header(&mut self, now: Moment, target: Option<NodeName>) -> Header {
        self.seq += 1;
        Header {
            origin: self.identity.name.clone(),
            target,
            boot_id: self.identity.boot_id,
            agent_epoch: self.identity.agent_epoch,
            seq: self.seq,
            sent: now,
            slot: now,
            hops_left: Header::HOPS_MAX,
            trace: 0,
        }
    }

    /// The kernel says that this child's process is gone: its life is over, and the next one may begin anew. What it
    /// reported stays.
    pub fn life_ended(&mut self, name: &NodeName) {
        if let Some(child) = self.children.get_mut(name) {
            child.detector = Detector::new(self.policy.beat, self.policy.margin);
            child.last_seq = 0;
            child.report_number = 0;
            child.snapshot = None;
            child.ping = None;
        }
    }

    /// Forgets a child and all it reported.
    pub fn forget(&mut self, name: &NodeName) {
        self.children.remove(name);
        self.told.remove(name);
    }

    fn send(&mut self, now: Moment, peer: Peer, message: Message) {
        let header = self.next_header(now, None);
        self.outgoing.push_back((peer, Envelope { header, message }));
    }

    fn count(&mut self, refusal: Refusal) {
        *self.refused.entry(refusal).or_default() += 1;
    }

    /// True if this peer may be told something unasked now.
    fn may_tell(&mut self, now: Moment, name: &NodeName) -> bool {
        if self.told.get(name).is_some_and(|at| now < *at + Self::TELL_AGAIN) {
            return false;
        }
        self.told.insert(name.clone(), now);
        true
    }

    fn refuse(&mut self, now: Moment, peer: Peer, seq: u64, refusal: Refusal, detail: String) {
        self.count(refusal);
        if self.may_tell(now, &peer.name) {
            self.send(
                now,
                peer,
                Message::Refused {
                    seq,
                    reason: refusal.as_str().to_string(),
                    detail,
                },
            );
        }
    }

    fn welcome(&self, child: &Child) -> Welcome {
        Welcome {
            identity: self.identity.clone(),
            minor: 0,
            capabilities: Capabilities(Capabilities::REPORTS | Capabilities::EVENTS | Capabilities::ORDERS),
            beat_every: self.policy.beat,
            ack_every: self.policy.ack_every,
            parent_silence: self.policy.parent_silence,
            term: self.policy.term,
            digest: child.book.digest(),
        }
    }

    /// Checks a Hello against the proven name; `Err` says why it is refused.
    fn check_hello(&self, now: Moment, peer: &Peer, header: &Header, hello: &Hello) -> Result<(), (Refusal, String)> {
        let id = &hello.identity;
        if id.name != peer.name {
            return Err((
                Refusal::StolenName,
                format!("your key stands for {}, not for {}", peer.name, id.name),
            ));
        }
        if (id.boot_id, id.agent_epoch) != (header.boot_id, header.agent_epoch) {
            return Err((
                Refusal::BadHeader,
                "boot id or epoch of header and identity differ".to_string(),
            ));
        }
        if hello.minor_min != 0 {
            return Err((
                Refusal::NoCommonVersion,
                "this node speaks minor version 0 of watchtree.link.v1".to_string(),
            ));
        }
        let scope = match &self.policy.admission {
            Admission::Hosts => (id.tier == Tier::Host)
                .then(|| SubjectId::new(peer.name.as_str()).ok())
                .flatten(),
            Admission::Listed(listed) => listed.get(&peer.name).filter(|_| id.tier == Tier::Container).cloned(),
        };
        let Some(scope) = scope else {
            return Err((
                Refusal::NotAdmitted,
                format!("a {} named {} is not expected here", id.tier.as_str(), id.name),
            ));
        };
        if scope != hello.scope {
            return Err((
                Refusal::OutOfScope,
                format!("your scope is {scope}, not {}", hello.scope),
            ));
        }
        let Some(known) = self.children.get(&peer.name) else {
            if Self::CHILDREN_MAX <= self.children.len() {
                return Err((
                    Refusal::NotAdmitted,
                    format!("there are {} children already", Self::CHILDREN_MAX),
                ));
            }
            return Ok(());
        };
        check_life(now, known, header, id)
    }
}

/// Tells a restart, a reboot and a reinstall (all welcome) from a clone and from the past.
fn check_life(now: Moment, known: &Child, header: &Header, id: &NodeIdentity) -> Result<(), (Refusal, String)> {
    let last = &known.hello.identity;
    let alive = known.is_fresh(now) && known.left.is_none();
    let same_boot = last.boot_id == id.boot_id;
    if last.node_id != id.node_id && alive {
        let why = format!(
            "two nodes show the name {}: node id {} lives, {} came; give one of them a name and a key of its own",
            id.name, last.node_id, id.node_id
        );
        return Err((Refusal::Clone, why));
    }
    if last.node_id == id.node_id && !same_boot && alive {
        let why = format!(
            "node {} lives in boot {} and shows up in boot {}: a copied machine? remove its state folder",
            id.name, last.boot_id, id.boot_id
        );
        return Err((Refusal::Clone, why));
    }
    if last.node_id == id.node_id && id.agent_epoch < last.agent_epoch && (same_boot || alive) {
        let why = format!("epoch {} is over, {} has spoken", id.agent_epoch.0, last.agent_epoch.0);
        return Err((Refusal::StaleEpoch, why));
    }
    if same_boot && id.agent_epoch == last.agent_epoch && last.node_id == id.node_id && header.seq <= known.last_seq {
        return Err((
            Refusal::ReplayedSeq,
            format!("seq {} after {}", header.seq, known.last_seq),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
