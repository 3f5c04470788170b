//! What the manager role is told and what it wants done: the border between the brain and the link, the store, the
//! probes from outside, the webhooks and the HTTP API.

pub use super::announced_leave::AnnouncedLeave;
use crate::backend::{BackendInput, Peer};
use crate::decision::Decision;
use crate::id::{NodeIdentity, NodeName};
use crate::incident::{Incident, IncidentChange, IncidentId};
use crate::message::{Capabilities, Envelope, Header, Look};
use crate::order::{Order, OrderAnswer, Verb};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, WallTime};
use crate::verdict::State;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Everything the manager role is born with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManagerStart {
    /// Who it is.
    pub identity: NodeIdentity,
    /// Its term (fencing token): must be greater than that of any manager before it; the store counts it up at each start.
    pub term: u64,
    /// Hosts it knew before; shown as UNKNOWN until they beat.
    pub hosts: Vec<KnownHost>,
    /// Incidents that were open, oldest first.
    pub incidents: Vec<Incident>,
    /// The newest decisions of the store, oldest first; at most 4096.
    pub decisions: Vec<Decision>,
    /// The next incident's number.
    pub next_incident: IncidentId,
    /// See [`ManagerPolicy`].
    pub policy: ManagerPolicy,
    /// For order ids, nonces and jitter: must differ from start to start (real randomness in production).
    pub seed: u64,
    /// Now, as a label.
    pub wall: WallTime,
}

/// The numbers of the manager role. `Default` is what ships (LAN).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManagerPolicy {
    /// Hosts beat this often.
    pub beat: Duration,
    /// Freshness point of the next slot: slot + interval + offset + this.
    pub margin: Duration,
    /// A BeatAck every so many beats.
    pub ack_every: u32,
    /// A host that hears nothing for this long reconnects.
    pub parent_silence: Duration,
    /// A suspect has this long to answer a Ping on the link, and its kernel to answer a probe.
    pub look_within: Duration,
    /// Rounds of probes (and Pings) that must fail before a verdict.
    pub rounds: u32,
    /// While a host is lost, its kernel is looked at this often.
    pub look_again: Duration,
    /// After the own start or a stall nobody is judged before this much healthy time.
    pub settle: Duration,
    /// A host known from before that does not come back within this time after the settling becomes SUSPECT.
    pub return_within: Duration,
    /// A host whose machine announced that it shuts down or reboots has this long to come back before it is looked for;
    /// `None` = for ever.
    pub back_after_shutdown: Option<Duration>,
    /// From this many hosts on, many falling silent at once are one incident.
    pub group_min: usize,
    /// Share of silent hosts (per cent) from which the manager holds itself to be the one cut off.
    pub cut_off_percent: u32,
    /// An order lives this long on its target's clock.
    pub order_lives: Duration,
    /// An unanswered order is sent again after this.
    pub order_again: Duration,
    /// An Unhealthy verdict becomes an incident after this.
    pub unhealthy_after: Duration,
}

impl Default for ManagerPolicy {
    fn default() -> Self {
        Self {
            beat: Duration::from_millis(500),
            margin: Duration::from_secs(1),
            ack_every: 4,
            parent_silence: Duration::from_secs(5),
            look_within: Duration::from_millis(700),
            rounds: 2,
            look_again: Duration::from_secs(2),
            settle: Duration::from_secs(2),
            return_within: Duration::from_secs(5),
            back_after_shutdown: Some(Duration::from_secs(15 * 60)),
            group_min: 4,
            cut_off_percent: 55,
            order_lives: Duration::from_secs(10),
            order_again: Duration::from_secs(1),
            unhealthy_after: Duration::from_secs(60),
        }
    }
}

/// What the store keeps of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownHost {
    /// Its last identity.
    pub identity: NodeIdentity,
    /// What it could.
    pub capabilities: Capabilities,
    /// The top of what it reports.
    pub scope: SubjectId,
    /// Addresses (`host:port`) for probes from outside.
    pub look_at: Vec<String>,
    /// Last said Hello, as a label.
    pub seen: WallTime,
    /// How it left, until it says Hello again.
    pub left: Option<AnnouncedLeave>,
}

/// A person's request through the API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// Comes back in the answer; made by the driver.
    pub ticket: u64,
    /// What.
    pub verb: Verb,
    /// Whom: a host, an engine, a project, a container.
    pub subject: SubjectId,
    /// About which life of it; empty = whichever. The target refuses an order about a life that is over.
    pub incarnation: Incarnation,
    /// Who asks, for the record.
    pub asked_by: String,
}

/// The request in words, for the record.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            asked_by,
            verb,
            subject,
            ..
        } = self;
        write!(f, "{asked_by} asked to {} {subject}", verb.as_str())
    }
}

/// What became of one target of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetAnswer {
    /// Which node.
    pub target: NodeName,
    /// Its answer; `None` = none came while the order lived.
    pub answer: Option<OrderAnswer>,
}

/// Why a request was not even sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AskError {
    /// The tree has no such subject.
    UnknownSubject,
    /// No living watchdog stands above it just now; who was lost, in words.
    NobodyThere(String),
    /// The request itself is wrong (hold too long), in words with the cure.
    Bad(String),
    /// The host cannot be taken out: it is heard, in words with the cure.
    StillHeard(String),
    /// Too many requests under way.
    Busy,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSubject => f.write_str("the tree has no such subject"),
            Self::NobodyThere(why) => write!(f, "nobody stands over it just now: {why}"),
            Self::Bad(why) | Self::StillHeard(why) => f.write_str(why),
            Self::Busy => f.write_str("too many requests are under way"),
        }
    }
}

/// Everything the manager role may be told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are frames")]
pub enum ManagerInput {
    /// The ROUTER of the hosts.
    Hosts(BackendInput),
    /// The result of one `ProbeHost`.
    HostProbed {
        /// Comes from the effect; a result of an older probe is ignored.
        nonce: u64,
        /// What was seen; of several addresses the strongest (answered, then silent, then not possible).
        result: Look,
    },
    /// A person's request.
    Ask(Ask),
    /// A person takes a host out of the tree. Answered by `AskAnswered`, the manager itself being the target.
    Forget {
        /// As in [`Ask`].
        ticket: u64,
        /// Which.
        host: SubjectId,
        /// Who asks, for the record.
        asked_by: String,
    },
    /// What the store held, where it could not be read at the start.
    Remembered {
        /// As in [`ManagerStart`].
        hosts: Vec<KnownHost>,
        /// As in [`ManagerStart`].
        incidents: Vec<Incident>,
    },
    /// The store cannot be written (full disk), or can again.
    StoreHealth {
        /// `Err` with the reason in words.
        state: Result<(), String>,
    },
    /// The wall clock, for labels; told now and then.
    Wall(WallTime),
    /// The driver noticed that this process did not run for that long. It hands in what waits in its sockets first.
    Stalled {
        /// How long.
        gap: Duration,
    },
    /// This daemon shall stop.
    Stop,
}

/// Everything the manager role may want done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ManagerEffect {
    /// Hand this frame to the link.
    Send {
        /// Whom.
        to: Peer,
        /// What.
        envelope: Envelope,
    },
    /// Encode and sign this order and send it as `Message::Order` under this header. The bytes of a repeated order are
    /// the same because the order is.
    SignAndSend {
        /// The host through which it goes.
        to: Peer,
        /// The frame's header; its `target` is the order's.
        header: Header,
        /// What to sign.
        order: Order,
    },
    /// Probe whether that machine's kernel answers: a TCP connect to each address (accepted or refused), ICMP. Answered
    /// by `HostProbed`, at the deadline at the latest. An address the peer connected from, known to the driver, counts too.
    ProbeHost {
        /// Comes back in the answer.
        nonce: u64,
        /// Which.
        host: NodeName,
        /// `host:port` as the host gave them; may be empty.
        addresses: Vec<String>,
        /// Deadline.
        within: Duration,
    },
    /// A request is done: the answers of all its targets.
    AskAnswered {
        /// Of the `Ask` or the `Forget`.
        ticket: u64,
        /// Answers by target, or why nothing was sent.
        result: Result<Vec<TargetAnswer>, AskError>,
    },
    /// Keep this host for the next start.
    StoreHost(KnownHost),
    /// Forget this host.
    ForgetHost(NodeName),
    /// Keep this decision record: it is one of ours or came up as an Event. The same id replaces the older record.
    StoreDecision(Decision),
    /// Keep it and tell people.
    IncidentOpened(Incident),
    /// Its state, level or root cause changed: keep it and tell people.
    IncidentChanged(Incident),
    /// Only facts were added: keep it, tell nobody.
    IncidentNoted(Incident),
    /// Keep it and tell people.
    IncidentClosed(Incident),
    /// A subject's shown state changed: one line for the log and for `events --follow`.
    StateChanged {
        /// Whose.
        subject: SubjectId,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
        /// In words.
        why: String,
    },
    /// One line for the log: something is degraded (`Err`), or no longer (`Ok`).
    Condition {
        /// What it is about: `self`, `view`, `store`, `incidents`, `events`, `clone`. A handful of words, whatever happens.
        about: String,
        /// In words.
        state: Result<String, String>,
    },
    /// Everything is in order for the process to end.
    Stopped,
}

impl From<IncidentChange> for ManagerEffect {
    fn from(change: IncidentChange) -> Self {
        match change {
            IncidentChange::Opened(incident) => Self::IncidentOpened(incident),
            IncidentChange::Changed(incident) => Self::IncidentChanged(incident),
            IncidentChange::Noted(incident) => Self::IncidentNoted(incident),
            IncidentChange::Closed(incident) => Self::IncidentClosed(incident),
        }
    }
}
