//! Reads what a child says: each frame becomes something its session takes, or a refusal with words for its sender.
//!
//! Pure: a frame that is refused here has changed nothing. Does not know what follows from what is taken.

use super::io::{Admission, Peer, Refusal};
use crate::decision::Decision;
use crate::id::{NodeName, Tier};
use crate::message::{Beat, Digest, Goodbye, Header, Hello, Message, Report};
use crate::order::OrderAnswer;
use crate::subject::SubjectId;
use crate::verdict::Verdict;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Why a frame is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rejection {
    pub(super) refusal: Refusal,
    /// In words, with the cure.
    pub(super) why: String,
}

impl Rejection {
    pub(super) fn new(refusal: Refusal, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { refusal, why }
    }
}

/// What only a child in session says, and about its own alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Said {
    Beat(Beat),
    Report(Report),
    Snapshot(SnapshotChunk),
    Events {
        decisions: Vec<Decision>,
        dropped: u64,
    },
    Pong {
        nonce: u64,
    },
    OrderAnswer(OrderAnswer),
    Goodbye(Goodbye),
    /// A refusal of a frame of ours is no frame to answer; no node asks another for probes yet.
    Nothing,
}

/// One chunk of a snapshot of everything under `scope`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SnapshotChunk {
    pub(super) scope: SubjectId,
    /// Its place, from 0.
    pub(super) place: u32,
    pub(super) is_last: bool,
    pub(super) verdicts: Vec<Verdict>,
}

/// Checks the header of any frame: it speaks in its sender's name, and not from the future.
pub(super) fn check_header(peer: &Peer, header: &Header) -> Result<(), Rejection> {
    if header.origin != peer.name {
        return Err(stolen(peer, &header.origin));
    }
    if header.sent < header.slot {
        return Err(Rejection::new(Refusal::BadHeader, "the slot is later than the sending"));
    }
    Ok(())
}

/// Checks a Hello against the proven name and what may say Hello here.
pub(super) fn check_hello(admission: &Admission, peer: &Peer, header: &Header, hello: &Hello) -> Result<(), Rejection> {
    let id = &hello.identity;
    if id.name != peer.name {
        return Err(stolen(peer, &id.name));
    }
    if (id.boot_id, id.agent_epoch) != (header.boot_id, header.agent_epoch) {
        let why = "boot id or epoch of header and identity differ";
        return Err(Rejection::new(Refusal::BadHeader, why));
    }
    if hello.minor_min != 0 {
        let why = "this node speaks minor version 0 of watchtree.link.v1";
        return Err(Rejection::new(Refusal::NoCommonVersion, why));
    }
    let scope = match admission {
        Admission::Hosts => (id.tier == Tier::Host).then(|| SubjectId::of_node(&peer.name)),
        Admission::Listed(listed) => listed.get(&peer.name).filter(|_| id.tier == Tier::Container).cloned(),
    };
    let Some(scope) = scope else {
        let why = format!("a {} named {} is not expected here", id.tier.as_str(), id.name);
        return Err(Rejection::new(Refusal::NotAdmitted, why));
    };
    if scope != hello.scope {
        let why = format!("your scope is {scope}, not {}", hello.scope);
        return Err(Rejection::new(Refusal::OutOfScope, why));
    }
    Ok(())
}

fn stolen(peer: &Peer, name: &NodeName) -> Rejection {
    let why = format!("your key stands for {}, not for {name}", peer.name);
    Rejection::new(Refusal::StolenName, why)
}

/// Reads a frame of a child in session, whose scope is `top`. `is_child` knows the names of all children.
pub(super) fn read(
    message: Message,
    child: &NodeName,
    top: &SubjectId,
    is_child: impl Fn(&NodeName) -> bool,
) -> Result<Said, Rejection> {
    let said = match message {
        Message::Beat(beat) => Said::Beat(beat),
        Message::Report(report) => {
            let subjects = report.verdicts.iter().map(|verdict| &verdict.subject);
            all_within(top, top, subjects.chain(&report.gone))?;
            Said::Report(report)
        }
        Message::Snapshot {
            scope,
            chunk,
            last,
            verdicts,
            digest: _,
        } => {
            all_within(top, top, [&scope])?;
            all_within(&scope, top, verdicts.iter().map(|verdict| &verdict.subject))?;
            Said::Snapshot(SnapshotChunk {
                scope,
                place: chunk,
                is_last: last,
                verdicts,
            })
        }
        Message::Events { decisions, dropped } => {
            // An order about everything above it (a hold of the whole host) is decided upon here too, so a decision may be
            // about an ancestor; verdicts may not.
            let subjects = decisions.iter().map(|decision| &decision.subject);
            all_within(top, top, subjects.filter(|subject| !top.is_within(subject)))?;
            may_decide(child, &decisions, is_child)?;
            Said::Events { decisions, dropped }
        }
        Message::Pong { nonce, health: _ } => Said::Pong { nonce },
        Message::OrderResult(answer) => Said::OrderAnswer(answer),
        Message::Goodbye(goodbye) => Said::Goodbye(goodbye),
        Message::Refused { .. } | Message::ProbeResult { .. } => Said::Nothing,
        // A Hello begins a session and is never said in one; the rest only parents send.
        Message::Hello(_)
        | Message::Welcome(_)
        | Message::ReHello { .. }
        | Message::BeatAck(_)
        | Message::Ping { .. }
        | Message::ReportAck { .. }
        | Message::Order(_)
        | Message::SnapshotRequest
        | Message::ProbeRequest { .. } => {
            return Err(Rejection::new(Refusal::WrongDirection, "only a parent sends this"));
        }
    };
    Ok(said)
}

/// Refuses the first subject that is not within `scope`.
fn all_within<'a>(
    scope: &SubjectId,
    top: &SubjectId,
    subjects: impl IntoIterator<Item = &'a SubjectId>,
) -> Result<(), Rejection> {
    match subjects.into_iter().find(|subject| !subject.is_within(scope)) {
        Some(strange) => {
            let why = format!("{strange} is not within {top}");
            Err(Rejection::new(Refusal::OutOfScope, why))
        }
        None => Ok(()),
    }
}

/// A record replaces the older one of the same id: nobody may decide in the name of a node that is not below it.
fn may_decide(child: &NodeName, decisions: &[Decision], is_child: impl Fn(&NodeName) -> bool) -> Result<(), Rejection> {
    match decisions.iter().find(|it| !speaks_for(child, &it.id.node, &is_child)) {
        Some(foreign) => {
            let why = format!("decision {} is of no node below {child}", foreign.id);
            Err(Rejection::new(Refusal::OutOfScope, why))
        }
        None => Ok(()),
    }
}

/// True for the child itself and for the nodes below it, whose names begin with its own: `h1.docker.watchdog` below
/// `h1`. Another child with such a name speaks for itself.
fn speaks_for(child: &NodeName, node: &NodeName, is_child: impl Fn(&NodeName) -> bool) -> bool {
    let (child, node) = (child.as_str(), node.as_str());
    let Some(below) = node.strip_prefix(child) else {
        return false;
    };
    let another = |end: usize| child.len() < end && NodeName::new(&node[..end]).is_ok_and(|name| is_child(&name));
    let mut ends = node.match_indices('.').map(|(at, _)| at).chain([node.len()]);
    (below.is_empty() || below.starts_with('.')) && !ends.any(another)
}

/// Digests of different algorithms cannot be compared: then nothing follows.
pub(super) fn differ(theirs: &Digest, ours: &Digest) -> bool {
    (theirs.algorithm == ours.algorithm || theirs.algorithm.is_empty()) && theirs.value != ours.value
}
