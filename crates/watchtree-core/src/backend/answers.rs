//! What a backend says: its frames in their order, and how often it refused.
//!
//! A peer is told unasked (a refusal, a wish for its Hello) only now and then, so that no flood of bad frames makes a flood
//! of answers. Does not know why anything is said.

use super::io::{Peer, Refusal};
use super::reading::Rejection;
use crate::id::{NodeIdentity, NodeName};
use crate::message::{Envelope, Header, Message};
use crate::time::{Duration, Moment};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;

/// A peer is told of refusals, or asked for a Hello, at most this often.
const TELL_AGAIN: Duration = Duration::from_millis(200);

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    identity: NodeIdentity,
    seq: u64,
    /// When each peer was last told unasked.
    told: BTreeMap<NodeName, Moment>,
    refused: BTreeMap<Refusal, u64>,
    outgoing: VecDeque<(Peer, Envelope)>,
}

impl Answers {
    /// Speaks as `identity`.
    pub(super) fn new(identity: NodeIdentity) -> Self {
        Self {
            identity,
            seq: 0,
            told: BTreeMap::new(),
            refused: BTreeMap::new(),
            outgoing: VecDeque::new(),
        }
    }

    pub(super) fn identity(&self) -> &NodeIdentity {
        &self.identity
    }

    /// The header of the next frame.
    pub(super) fn next_header(&mut self, now: Moment) -> Header {
        self.seq += 1;
        Header::new(&self.identity, self.seq, now)
    }

    pub(super) fn send(&mut self, now: Moment, peer: Peer, message: Message) {
        let header = self.next_header(now);
        self.send_as(peer, header, message);
    }

    /// Sends under a header of [`Self::next_header`].
    pub(super) fn send_as(&mut self, peer: Peer, header: Header, message: Message) {
        self.outgoing.push_back((peer, Envelope { header, message }));
    }

    /// Counts a refusal, and tells of it: the refused frame had that `seq`.
    pub(super) fn refuse(&mut self, now: Moment, peer: Peer, seq: u64, rejection: Rejection) {
        *self.refused.entry(rejection.refusal).or_default() += 1;
        let refused = Message::Refused {
            seq,
            reason: rejection.refusal.as_str().to_string(),
            detail: rejection.why,
        };
        self.send_unasked(now, peer, refused);
    }

    pub(super) fn ask_hello(&mut self, now: Moment, peer: Peer, why: &str) {
        let why = why.to_string();
        self.send_unasked(now, peer, Message::ReHello { why });
    }

    fn send_unasked(&mut self, now: Moment, peer: Peer, message: Message) {
        if self.told.get(&peer.name).is_some_and(|at| now < *at + TELL_AGAIN) {
            return;
        }
        self.told.insert(peer.name.clone(), now);
        self.send(now, peer, message);
    }

    /// Forgets when that peer was told.
    pub(super) fn forget(&mut self, name: &NodeName) {
        self.told.remove(name);
    }

    /// How many frames were refused, by reason.
    pub(super) fn refused(&self) -> &BTreeMap<Refusal, u64> {
        &self.refused
    }

    /// The next frame.
    pub(super) fn poll(&mut self) -> Option<(Peer, Envelope)> {
        self.outgoing.pop_front()
    }
}
