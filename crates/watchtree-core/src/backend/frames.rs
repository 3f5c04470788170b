//! What each frame of a child does to its session.

use super::{Backend, BookChange, Child, Detector, Happening, Peer, Refusal, Snapshotting};
use crate::id::NodeName;
use crate::message::{Beat, BeatAck, Digest, Envelope, Goodbye, Header, Hello, Message, Report};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::tree::{Book, SUBJECTS_PER_CHILD_MAX};
use crate::verdict::{State, Verdict};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl Backend {
    pub(super) fn received(&mut self, now: Moment, peer: Peer, envelope: Envelope) {
        let Envelope { header, message } = envelope;
        if header.origin != peer.name {
            let why = format!("your key stands for {}, not for {}", peer.name, header.origin);
            return self.refuse(now, peer, header.seq, Refusal::StolenName, why);
        }
        if header.sent < header.slot {
            let why = "the slot is later than the sending".to_string();
            return self.refuse(now, peer, header.seq, Refusal::BadHeader, why);
        }
        match message {
            Message::Hello(hello) => self.hello(now, peer, &header, hello),
            message => self.in_session(now, peer, &header, message),
        }
    }

    fn hello(&mut self, now: Moment, peer: Peer, header: &Header, hello: Hello) {
        if let Err((refusal, why)) = self.check_hello(now, &peer, header, &hello) {
            if refusal == Refusal::Clone {
                self.happenings.push_back(Happening::Cloned {
                    name: peer.name.clone(),
                    why: why.clone(),
                });
            }
            return self.refuse(now, peer, header.seq, refusal, why);
        }
        let name = peer.name.clone();
        let known = self.children.remove(&name);
        let life = |hello: &Hello| {
            (
                hello.identity.node_id,
                hello.identity.boot_id,
                hello.identity.agent_epoch,
            )
        };
        let new_life = known.as_ref().is_none_or(|known| life(&known.hello) != life(&hello));
        // A restarted daemon beats on the same clock as long as its machine did not boot: what the detector knows of that
        // clock stays, so that a Hello that was held back on the way does not pass for a fresh one.
        let same_clock = known.as_ref().filter(|known| {
            (known.hello.identity.node_id, known.hello.identity.boot_id)
                == (hello.identity.node_id, hello.identity.boot_id)
        });
        let detector = match same_clock {
            Some(known) => known.detector.clone(),
            None => Detector::new(self.policy.beat, self.policy.margin),
        };
        let mut child = match known {
            Some(known) if !new_life => Child {
                hello,
                left: None,
                peer: peer.clone(),
                snapshot: None,
                full: false,
                term_unheard: false,
                ..known
            },
            known => Child {
                book: known.map(|known| known.book).unwrap_or_default(),
                hello,
                left: None,
                beat: Beat::default(),
                peer: peer.clone(),
                detector,
                last_seq: 0,
                report_number: 0,
                mismatches: 0,
                full: false,
                snapshot: None,
                term_unheard: false,
                ping: None,
            },
        };
        take_sign(&mut child, now, header);
        let welcome = self.welcome(&child);
        let differs = differ(&child.hello.digest, &child.book.digest());
        self.children.insert(name.clone(), child);
        self.send(now, peer.clone(), Message::Welcome(welcome));
        if differs {
            self.send(now, peer, Message::SnapshotRequest);
        }
        self.happenings.push_back(Happening::Joined { name, new_life });
    }

    fn in_session(&mut self, now: Moment, peer: Peer, header: &Header, message: Message) {
        let Some(child) = self.children.get(&peer.name) else {
            return self.ask_hello(now, peer, "no session with this life of yours");
        };
        let id = &child.hello.identity;
        if id.boot_id != header.boot_id || id.agent_epoch < header.agent_epoch {
            return self.ask_hello(now, peer, "no session with this life of yours");
        }
        if header.agent_epoch < id.agent_epoch {
            let why = format!(
                "epoch {} is over, {} has spoken",
                header.agent_epoch.0, id.agent_epoch.0
            );
            return self.refuse(now, peer, header.seq, Refusal::StaleEpoch, why);
        }
        if header.seq <= child.last_seq {
            let why = format!("seq {} after {}", header.seq, child.last_seq);
            return self.refuse(now, peer, header.seq, Refusal::ReplayedSeq, why);
        }
        // What is refused changes nothing and is no sign of life: so all that refuses comes before.
        let may = may_say(child, &message);
        if let Err((refusal, why)) = may.and_then(|()| self.may_decide(&peer.name, &message)) {
            return self.refuse(now, peer, header.seq, refusal, why);
        }
        let Some(child) = self.children.get_mut(&peer.name) else {
            return;
        };
        child.peer = peer.clone();
        take_sign(child, now, header);
        self.happenings.push_back(Happening::Heard(peer.name.clone()));
        self.message(now, peer, header, message);
    }

    /// A record replaces the older one of the same id: nobody may decide in the name of a node that is not below it.
    fn may_decide(&self, child: &NodeName, message: &Message) -> Result<(), (Refusal, String)> {
        let Message::Events { decisions, .. } = message else {
            return Ok(());
        };
        match decisions.iter().find(|it| !self.speaks_for(child, &it.id.node)) {
            Some(foreign) => {
                let why = format!("decision {} is of no node below {child}", foreign.id);
                Err((Refusal::OutOfScope, why))
            }
            None => Ok(()),
        }
    }

    /// True for the child itself and for the nodes below it, whose names begin with its own: `h1.docker.watchdog` below
    /// `h1`. Another child with such a name speaks for itself.
    fn speaks_for(&self, child: &NodeName, node: &NodeName) -> bool {
        let (child, node) = (child.as_str(), node.as_str());
        let Some(below) = node.strip_prefix(child) else {
            return false;
        };
        let another = |end: usize| {
            NodeName::new(&node[..end]).is_ok_and(|name| child.len() < end && self.children.contains_key(&name))
        };
        let mut ends = node.match_indices('.').map(|(at, _)| at).chain([node.len()]);
        (below.is_empty() || below.starts_with('.')) && !ends.any(another)
    }

    fn message(&mut self, now: Moment, peer: Peer, header: &Header, message: Message) {
        match message {
            Message::Beat(beat) => self.beat(now, peer, header, beat),
            Message::Report(report) => self.report(now, peer, header, report),
            Message::Snapshot {
                scope,
                chunk,
                last,
                verdicts,
                ..
            } => {
                self.snapshot(now, peer, header, &scope, chunk, last, verdicts);
            }
            Message::Events { decisions, dropped } => self.happenings.push_back(Happening::Events {
                name: peer.name,
                decisions,
                dropped,
            }),
            Message::Pong { nonce, health } => self.pong(now, &peer, header, nonce, health),
            Message::OrderResult(answer) => {
                self.happenings.push_back(Happening::OrderAnswered {
                    name: peer.name,
                    answer,
                });
            }
            Message::Goodbye(goodbye) => self.goodbye(&peer, goodbye),
            // A child may refuse a frame of ours; the refusal is no frame to answer.
            Message::Refused { .. } | Message::ProbeResult { .. } => (),
            // `may_say` has refused these.
            Message::Hello(_)
            | Message::Welcome(_)
            | Message::ReHello { .. }
            | Message::BeatAck(_)
            | Message::Ping { .. }
            | Message::ReportAck { .. }
            | Message::Order(_)
            | Message::SnapshotRequest
            | Message::ProbeRequest { .. } => (),
        }
    }

    fn ask_hello(&mut self, now: Moment, peer: Peer, why: &str) {
        if self.may_tell(now, &peer.name) {
            self.send(now, peer, Message::ReHello { why: why.to_string() });
        }
    }

    fn beat(&mut self, now: Moment, peer: Peer, header: &Header, beat: Beat) {
        let ack_every = u64::from(self.policy.ack_every);
        let Some(child) = self.children.get_mut(&peer.name) else {
            return;
        };
        let number = beat.number;
        if differ(&beat.digest, &child.book.digest()) {
            child.mismatches += 1;
        } else {
            child.mismatches = 0;
        }
        child.beat = beat;
        let ask = Self::MISMATCHES_MAX <= child.mismatches;
        let (full, term_unheard) = (child.full, child.term_unheard);
        if ask {
            child.mismatches = 0;
        }
        if 0 < ack_every && number.is_multiple_of(ack_every) {
            let ack = BeatAck {
                number,
                sent_echo: header.sent,
                held: Duration::ZERO,
            };
            self.send(now, peer.clone(), Message::BeatAck(ack));
        }
        if term_unheard {
            self.ask_hello(now, peer.clone(), "a manager of a new term has spoken");
        }
        // Of a child with more than is kept no snapshot would bring the digests together.
        if ask && full {
            self.refuse_more(now, peer, header.seq);
        } else if ask {
            self.send(now, peer, Message::SnapshotRequest);
        }
    }

    fn report(&mut self, now: Moment, peer: Peer, header: &Header, report: Report) {
        let Some(child) = self.children.get_mut(&peer.name) else {
            return;
        };
        let mut full = false;
        if child.report_number < report.number {
            let gone: Vec<SubjectId> = report
                .gone
                .into_iter()
                .filter(|subject| child.book.remove(subject))
                .collect();
            let mut changed = Vec::new();
            for verdict in report.verdicts {
                full |= !put(&mut child.book, verdict, &mut changed);
            }
            child.report_number = report.number;
            // Where something went there is room again: the next digests may lead to a snapshot.
            child.full = full || (child.full && gone.is_empty());
            if !changed.is_empty() || !gone.is_empty() {
                let name = peer.name.clone();
                self.happenings.push_back(Happening::Changed {
                    name,
                    change: BookChange {
                        changed,
                        gone,
                        whole: false,
                    },
                });
            }
        }
        self.send(now, peer.clone(), Message::ReportAck { number: report.number });
        if full {
            self.refuse_more(now, peer, header.seq);
        }
    }

    /// More subjects than are kept of a child. What had room was taken: those that are known must go on being told.
    fn refuse_more(&mut self, now: Moment, peer: Peer, seq: u64) {
        let why = format!("at most {SUBJECTS_PER_CHILD_MAX} subjects are kept of you; those beyond are not shown");
        self.refuse(now, peer, seq, Refusal::TooManySubjects, why);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    fn snapshot(
        &mut self,
        now: Moment,
        peer: Peer,
        header: &Header,
        scope: &SubjectId,
        chunk: u32,
        last: bool,
        verdicts: Vec<Verdict>,
    ) {
        let Some(child) = self.children.get_mut(&peer.name) else {
            return;
        };
        if chunk == 0 {
            child.snapshot = Some(Snapshotting {
                next_chunk: 0,
                verdicts: BTreeMap::new(),
            });
        }
        let Some(taking) = child.snapshot.as_mut().filter(|taking| taking.next_chunk == chunk) else {
            // A chunk was lost: this snapshot is void, the next beats' digests ask for another.
            child.snapshot = None;
            return;
        };
        taking.next_chunk += 1;
        taking
            .verdicts
            .extend(verdicts.into_iter().map(|verdict| (verdict.subject.clone(), verdict)));
        if SUBJECTS_PER_CHILD_MAX < taking.verdicts.len() {
            child.snapshot = None;
            child.full = true;
            return self.refuse_more(now, peer, header.seq);
        }
        if !last {
            return;
        }
        let Some(taken) = child.snapshot.take() else { return };
        let missing = |subject: &SubjectId| subject.is_within(scope) && !taken.verdicts.contains_key(subject);
        let gone: Vec<SubjectId> = child
            .book
            .iter()
            .map(|verdict| verdict.subject.clone())
            .filter(missing)
            .collect();
        for subject in &gone {
            child.book.remove(subject);
        }
        let mut changed = Vec::new();
        child.full = false;
        for verdict in taken.verdicts.into_values() {
            child.full |= !put(&mut child.book, verdict, &mut changed);
        }
        child.mismatches = 0;
        self.happenings.push_back(Happening::Changed {
            name: peer.name,
            change: BookChange {
                changed,
                gone,
                whole: true,
            },
        });
    }

    fn pong(&mut self, now: Moment, peer: &Peer, header: &Header, nonce: u64, health: crate::verdict::ObserverHealth) {
        let Some(child) = self.children.get_mut(&peer.name) else {
            return;
        };
        let Some((_, asked)) = child.ping.filter(|(open, _)| *open == nonce) else {
            return;
        };
        child.ping = None;
        // An answer that took longer than a beat may be late was held back on the way: it proves that its sender lived
        // then, not that it lives now, and it must not teach the detector that such a delay is the way's own.
        if self.policy.margin < now.since(asked) {
            return;
        }
        child.beat.health = health;
        child.detector.confirmed(header.slot, now);
        self.happenings.push_back(Happening::Pong(peer.name.clone()));
    }

    fn goodbye(&mut self, peer: &Peer, goodbye: Goodbye) {
        if let Some(child) = self.children.get_mut(&peer.name) {
            child.left = Some(goodbye);
        }
        self.happenings.push_back(Happening::Left {
            name: peer.name.clone(),
            goodbye,
        });
    }
}

/// Whether a child in session may send this at all: only parents send some of it, and what it says must be about its own.
fn may_say(child: &Child, message: &Message) -> Result<(), (Refusal, String)> {
    let top = &child.hello.scope;
    let strange = match message {
        Message::Report(report) => stranger(top, report.verdicts.iter().map(|v| &v.subject).chain(&report.gone)),
        Message::Snapshot { scope, verdicts, .. } if scope.is_within(top) => {
            stranger(scope, verdicts.iter().map(|v| &v.subject))
        }
        Message::Snapshot { scope, .. } => Some(scope.clone()),
        // An order about everything above it (a hold of the whole host) is decided upon here too, so a decision may be about
        // an ancestor; verdicts may not.
        Message::Events { decisions, .. } => {
            let subjects = decisions.iter().map(|decision| &decision.subject);
            stranger(top, subjects.filter(|subject| !top.is_within(subject)))
        }
        Message::Beat(_)
        | Message::Pong { .. }
        | Message::OrderResult(_)
        | Message::Goodbye(_)
        | Message::Refused { .. }
        | Message::ProbeResult { .. } => None,
        Message::Hello(_)
        | Message::Welcome(_)
        | Message::ReHello { .. }
        | Message::BeatAck(_)
        | Message::Ping { .. }
        | Message::ReportAck { .. }
        | Message::Order(_)
        | Message::SnapshotRequest
        | Message::ProbeRequest { .. } => {
            return Err((Refusal::WrongDirection, "only a parent sends this".to_string()));
        }
    };
    match strange {
        Some(strange) => Err((Refusal::OutOfScope, format!("{strange} is not within {top}"))),
        None => Ok(()),
    }
}

/// Takes a frame as a sign of life, by its slot.
fn take_sign(child: &mut Child, now: Moment, header: &Header) {
    child.last_seq = header.seq;
    child.detector.heard(header.slot, now);
}

/// Puts a verdict into the book and notes what was there before; false if the book is full.
fn put(book: &mut Book, verdict: Verdict, changed: &mut Vec<(SubjectId, Option<State>)>) -> bool {
    let subject = verdict.subject.clone();
    let Some(before) = book.put(verdict) else {
        return false;
    };
    changed.push((subject, before.0));
    true
}

/// Digests of different algorithms cannot be compared: then nothing follows.
pub(super) fn differ(theirs: &Digest, ours: &Digest) -> bool {
    (theirs.algorithm == ours.algorithm || theirs.algorithm.is_empty()) && theirs.value != ours.value
}

fn stranger<'a>(scope: &SubjectId, mut subjects: impl Iterator<Item = &'a SubjectId>) -> Option<SubjectId> {
    subjects.find(|subject| !subject.is_within(scope)).cloned()
}
