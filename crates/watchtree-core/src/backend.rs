//! The backend: a node's side towards its children (downlink sessions). Finds the session of each frame, by the name that
//! the link proved, and says what follows to the child and to the owner.
//!
//! ```text
//!                Hello (checked)                       Goodbye
//!   no session ──────────────────▶ session ──────────────────────────▶ left (Restart until, HostShutdown)
//!       │ ▲                         │   ▲                                │        Leaving ──▶ forgotten
//!       │ └──── ReHello ◀── any other frame of an unknown life           │
//!       └──────────────────────────────────◀──────────── Hello ◀─────────┘
//! ```
//!
//! Judges nobody: a [`Child`] says until when it is fresh, and keeps what it reported also when its session is gone; the
//! owner decides what follows. Knows no socket: the link tells it who sent a frame (by key or by process credentials) and
//! over which connection.

mod answers;
mod child;
mod io;
mod reading;
mod reported;

pub use child::Child;
pub use io::{Admission, BackendInput, BackendPolicy, BookChange, Happening, Peer, Refusal};

use crate::detector::Detector;
use crate::id::{NodeIdentity, NodeName};
use crate::message::{Beat, BeatAck, Capabilities, Envelope, Header, Hello, Message, Welcome};
use crate::time::{Duration, Moment};
use crate::tree::SUBJECTS_PER_CHILD_MAX;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use answers::Answers;
use reading::{Rejection, Said};
use reported::{Missing, Taken};

/// The parent side of the link.
#[derive(Clone, Debug)]
pub struct Backend {
    policy: BackendPolicy,
    children: BTreeMap<NodeName, Child>,
    nonce: u64,
    answers: Answers,
    happenings: VecDeque<Happening>,
}

impl Backend {
    /// Most children; more are refused.
    pub const CHILDREN_MAX: usize = 20_000;

    /// Speaks as `identity`. `seed` makes the nonces.
    pub fn new(identity: NodeIdentity, policy: BackendPolicy, seed: u64) -> Self {
        Self {
            policy,
            children: BTreeMap::new(),
            nonce: seed,
            answers: Answers::new(identity),
            happenings: VecDeque::new(),
        }
    }

    /// Takes what the link tells.
    pub fn handle(&mut self, now: Moment, input: BackendInput) {
        match input {
            BackendInput::Received { peer, envelope } => self.received(now, peer, envelope),
            BackendInput::Undecodable { peer, seq, why } => {
                let rejection = Rejection::new(Refusal::Undecodable, why);
                self.answers.refuse(now, peer, seq, rejection);
            }
            BackendInput::PeerGone { name, why } => self.happenings.push_back(Happening::Gone { name, why }),
            // Reports are repeated by the child, orders by the manager, everything else is of the moment.
            BackendInput::NotSent { .. } => (),
        }
    }

    /// The next frame to send.
    pub fn poll_outgoing(&mut self) -> Option<(Peer, Envelope)> {
        self.answers.poll()
    }

    /// The next thing the owner should know.
    pub fn poll_happening(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    /// A child by name.
    pub fn child(&self, name: &NodeName) -> Option<&Child> {
        self.children.get(name)
    }

    /// How many frames were refused, by reason.
    pub fn refused(&self) -> &BTreeMap<Refusal, u64> {
        self.answers.refused()
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
        child.pinged(now, nonce);
        self.answers.send(now, child.peer().clone(), Message::Ping { nonce });
        true
    }

    /// A header for a frame that the driver completes (a signed order).
    pub fn next_header(&mut self, now: Moment, target: Option<NodeName>) -> Header {
        Header {
            target,
            ..self.answers.next_header(now)
        }
    }

    /// Sends a message under a header of [`Backend::next_header`]; false if the child never said Hello.
    pub fn send_with(&mut self, name: &NodeName, header: Header, message: Message) -> bool {
        let child = self.children.get(name);
        child
            .map(|child| self.answers.send_as(child.peer().clone(), header, message))
            .is_some()
    }

    /// A manager of that term has spoken: each child is told, for it must refuse what an older one ordered. A Welcome is not
    /// acknowledged, so each is asked for a Hello as well, until it says one.
    pub fn tell_term(&mut self, now: Moment, term: u64) {
        if term <= self.policy.term {
            return;
        }
        self.policy.term = term;
        for child in self.children.values_mut() {
            child.told_term();
            let welcome = welcome(self.answers.identity(), &self.policy, child);
            self.answers.send(now, child.peer().clone(), Message::Welcome(welcome));
        }
    }

    /// The kernel says that this child's process is gone: its life is over, and the next one may begin anew. What it
    /// reported stays.
    pub fn life_ended(&mut self, name: &NodeName) {
        let detector = self.new_detector();
        if let Some(child) = self.children.get_mut(name) {
            child.life_ended(detector);
        }
    }

    /// Forgets a child and all it reported.
    pub fn forget(&mut self, name: &NodeName) {
        self.children.remove(name);
        self.answers.forget(name);
    }

    fn new_detector(&self) -> Detector {
        Detector::new(self.policy.beat, self.policy.margin)
    }

    fn received(&mut self, now: Moment, peer: Peer, envelope: Envelope) {
        let Envelope { header, message } = envelope;
        let taken = reading::check_header(&peer, &header).and_then(|()| match message {
            Message::Hello(hello) => self.hello(now, &peer, &header, hello),
            message => self.in_session(now, &peer, &header, message),
        });
        if let Err(rejection) = taken {
            self.answers.refuse(now, peer, header.seq, rejection);
        }
    }

    fn hello(&mut self, now: Moment, peer: &Peer, header: &Header, hello: Hello) -> Result<(), Rejection> {
        self.check_hello(now, peer, header, &hello).inspect_err(|rejection| {
            if rejection.refusal == Refusal::Clone {
                let (name, why) = (peer.name.clone(), rejection.why.clone());
                self.happenings.push_back(Happening::Cloned { name, why });
            }
        })?;
        let detector = self.new_detector();
        let known = self.children.remove(&peer.name);
        let new_life = known.as_ref().is_none_or(|known| known.is_new_life(&hello.identity));
        let mut child = match known {
            Some(known) => known.greeted(hello, peer.clone(), detector),
            None => Child::new(hello, peer.clone(), detector),
        };
        child.heard(now, peer.clone(), header);
        let welcome = welcome(self.answers.identity(), &self.policy, &child);
        self.answers.send(now, peer.clone(), Message::Welcome(welcome));
        if child.is_behind() {
            self.answers.send(now, peer.clone(), Message::SnapshotRequest);
        }
        let name = peer.name.clone();
        self.children.insert(name.clone(), child);
        self.happenings.push_back(Happening::Joined { name, new_life });
        Ok(())
    }

    fn check_hello(&self, now: Moment, peer: &Peer, header: &Header, hello: &Hello) -> Result<(), Rejection> {
        reading::check_hello(&self.policy.admission, peer, header, hello)?;
        match self.children.get(&peer.name) {
            Some(known) => known.check_hello(now, header, &hello.identity),
            None if Self::CHILDREN_MAX <= self.children.len() => {
                let why = format!("there are {} children already", Self::CHILDREN_MAX);
                Err(Rejection::new(Refusal::NotAdmitted, why))
            }
            None => Ok(()),
        }
    }

    fn in_session(&mut self, now: Moment, peer: &Peer, header: &Header, message: Message) -> Result<(), Rejection> {
        let name = &peer.name;
        let Some(child) = self.children.get(name).filter(|child| child.is_in_session(header)) else {
            let why = "no session with this life of yours";
            self.answers.ask_hello(now, peer.clone(), why);
            return Ok(());
        };
        // What is refused changes nothing and is no sign of life: so all that refuses comes before.
        child.check_frame(header)?;
        let is_child = |name: &NodeName| self.children.contains_key(name);
        let said = reading::read(message, name, &child.hello().scope, is_child)?;
        let Some(child) = self.children.get_mut(name) else {
            return Ok(());
        };
        child.heard(now, peer.clone(), header);
        self.happenings.push_back(Happening::Heard(name.clone()));
        self.take(now, peer, header, said)
    }

    /// Takes what a child said. An error is told to it, but what was taken stays taken.
    fn take(&mut self, now: Moment, peer: &Peer, header: &Header, said: Said) -> Result<(), Rejection> {
        let Some(child) = self.children.get_mut(&peer.name) else {
            return Ok(());
        };
        let name = peer.name.clone();
        let happening = match said {
            Said::Beat(beat) => return self.beat(now, peer, header, beat),
            Said::Report(report) => {
                let number = report.number;
                let taken = child.reported_mut().take_report(report);
                self.answers.send(now, peer.clone(), Message::ReportAck { number });
                return self.reported(name, taken);
            }
            Said::Snapshot(chunk) => {
                let taken = child.reported_mut().take_chunk(chunk);
                return self.reported(name, taken);
            }
            Said::Events { decisions, dropped } => Happening::Events {
                name,
                decisions,
                dropped,
            },
            Said::Pong { nonce } => match child.pong(now, header, nonce, self.policy.margin) {
                true => Happening::Pong(name),
                false => return Ok(()),
            },
            Said::OrderAnswer(answer) => Happening::OrderAnswered { name, answer },
            Said::Goodbye(goodbye) => {
                child.leave(goodbye);
                Happening::Left { name, goodbye }
            }
            Said::Nothing => return Ok(()),
        };
        self.happenings.push_back(happening);
        Ok(())
    }

    fn beat(&mut self, now: Moment, peer: &Peer, header: &Header, beat: Beat) -> Result<(), Rejection> {
        let Some(child) = self.children.get_mut(&peer.name) else {
            return Ok(());
        };
        let (number, ack_every) = (beat.number, u64::from(self.policy.ack_every));
        let missing = child.compare(beat.digest);
        if 0 < ack_every && number.is_multiple_of(ack_every) {
            let ack = BeatAck {
                number,
                sent_echo: header.sent,
                held: Duration::ZERO,
            };
            self.answers.send(now, peer.clone(), Message::BeatAck(ack));
        }
        if child.is_term_unheard() {
            let why = "a manager of a new term has spoken";
            self.answers.ask_hello(now, peer.clone(), why);
        }
        match missing {
            Missing::Nothing => Ok(()),
            Missing::Ask => {
                self.answers.send(now, peer.clone(), Message::SnapshotRequest);
                Ok(())
            }
            Missing::TooMuch => Err(too_many_subjects()),
        }
    }

    fn reported(&mut self, name: NodeName, taken: Taken) -> Result<(), Rejection> {
        let change = taken.change.map(|change| Happening::Changed { name, change });
        self.happenings.extend(change);
        if taken.was_too_much {
            return Err(too_many_subjects());
        }
        Ok(())
    }
}

fn too_many_subjects() -> Rejection {
    let why = format!("at most {SUBJECTS_PER_CHILD_MAX} subjects are kept of you; those beyond are not shown");
    Rejection::new(Refusal::TooManySubjects, why)
}

/// What a child is greeted with.
fn welcome(identity: &NodeIdentity, policy: &BackendPolicy, child: &Child) -> Welcome {
    Welcome {
        identity: identity.clone(),
        minor: 0,
        capabilities: Capabilities(Capabilities::REPORTS | Capabilities::EVENTS | Capabilities::ORDERS),
        beat_every: policy.beat,
        ack_every: policy.ack_every,
        parent_silence: policy.parent_silence,
        term: policy.term,
        digest: child.book().digest(),
    }
}

#[cfg(test)]
mod tests;
