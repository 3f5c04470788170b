//! The frontend: a node's side towards its parent. Says Hello, beats, reports, answers.
//!
//! Knows no socket: the driver tells it when the link is up or down and hands it frames; it hands out envelopes. Nothing
//! it hears or misses ever touches a subject below: losing the parent is a notice, no more.
//!
//! The parent's silence is a notice too, and nothing else. So it is told by what came last, not judged by slots as a child's
//! is: nobody acts on it. Above all it breaks no connection: a way that is dead the transport finds by itself, and a manager
//! that has only stalled would be met by the handshakes of all its hosts at once.
//!
//! ```text
//!        Up                     Welcome
//! Down ──────▶ Greeting ─────────────────▶ Joined ──┐ ReHello, Up
//!   ▲   Hello, again every 2 s  ◀───────────────────┘
//!   └────────────────── Down ───────────────────────┘      beats flow in Greeting and Joined, the rest in Joined
//! ```
//!
//! Beats keep a grid: each slot is the one before plus the interval. After a stall the missed slots are skipped (the
//! beat's number grows by them), never sent in a burst.

mod frames;
mod io;

pub use io::{FrontendInput, FrontendNotice, FrontendSettings};

use crate::decision::Decision;
use crate::id::{AgentEpoch, BootId, NodeName};
use crate::message::{Beat, Digest, Envelope, Goodbye, Header, Hello, Look, Message, Report};
use crate::order::OrderAnswer;
use crate::report::Reports;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{ObserverHealth, Verdict};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

/// Most decision records that wait for the parent.
pub const OUTBOX_DECISIONS_MAX: usize = 1024;
/// Most decision records in one frame.
const EVENTS_PER_FRAME_MAX: usize = 32;
/// A Hello is repeated after this time without a Welcome.
const HELLO_AGAIN: Duration = Duration::from_secs(2);
/// Shortest and longest beat interval a parent may ask for.
const BEAT_EVERY_MIN: Duration = Duration::from_millis(20);
const BEAT_EVERY_MAX: Duration = Duration::from_secs(60);
/// Shortest time between two frames with events.
const EVENTS_GAP: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Down,
    Greeting { again: Moment },
    Joined,
}

/// The child side of one link. See the module's text.
pub struct Frontend {
    settings: FrontendSettings,
    phase: Phase,
    seq: u64,
    beat_every: Duration,
    parent_silence: Duration,
    next_slot: Moment,
    beat_number: u64,
    /// When the parent was heard last, or the link came up.
    heard: Option<Moment>,
    silent: bool,
    /// When a frame of ours was refused last, while the role counts that as a trouble.
    refused_at: Option<Moment>,
    round_trip: Duration,
    reports: Reports,
    report_sent: Option<(u64, u64, Moment)>,
    outbox: VecDeque<Decision>,
    outbox_dropped: u64,
    events_sent: Option<(u64, Vec<Decision>, u64)>,
    events_not_before: Moment,
    health: ObserverHealth,
    figures: Vec<(String, u64)>,
    parent_seq: BTreeMap<NodeName, (BootId, AgentEpoch, u64)>,
    refused: u64,
    out: VecDeque<Envelope>,
    notices: VecDeque<FrontendNotice>,
}

impl Frontend {
    /// A frontend whose link is down.
    pub fn new(settings: FrontendSettings, now: Moment) -> Self {
        let beat_every = settings.beat_wanted.clamp(BEAT_EVERY_MIN, BEAT_EVERY_MAX);
        Self {
            settings,
            phase: Phase::Down,
            seq: 0,
            beat_every,
            parent_silence: beat_every * 10,
            next_slot: now,
            beat_number: 0,
            heard: None,
            silent: false,
            refused_at: None,
            round_trip: Duration::ZERO,
            reports: Reports::new(),
            report_sent: None,
            outbox: VecDeque::new(),
            outbox_dropped: 0,
            events_sent: None,
            events_not_before: now,
            health: ObserverHealth(0),
            figures: Vec::new(),
            parent_seq: BTreeMap::new(),
            refused: 0,
            out: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// Takes what the link says.
    pub fn handle(&mut self, now: Moment, input: FrontendInput) {
        match input {
            FrontendInput::Up => {
                self.heard = Some(now);
                self.greet(now);
            }
            FrontendInput::Down { why } => {
                // The link says this once per reason, also where it never was up: a parent that was never there is named.
                self.phase = Phase::Down;
                self.heard = None;
                self.refused_at = None;
                self.notices.push_back(FrontendNotice::Lost(why));
            }
            FrontendInput::NotSent { seq } => self.not_sent(seq),
            FrontendInput::Received(envelope) => self.received(now, envelope),
        }
        self.pump(now);
    }

    /// Beats, repeats and notices what has become due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.next_slot <= now {
            self.beat(now);
        }
        if let Phase::Greeting { again } = self.phase
            && again <= now
        {
            self.greet(now);
        }
        self.check_silence(now);
        self.pump(now);
    }

    /// When `handle_timeout` wants to be called next.
    pub fn next_deadline(&self) -> Option<Moment> {
        let mut next = self.next_slot;
        match self.phase {
            Phase::Greeting { again } => next = next.min(again),
            Phase::Joined => {
                if let Some((_, _, again)) = self.report_sent {
                    next = next.min(again);
                }
                if !self.outbox.is_empty() {
                    next = next.min(self.events_not_before);
                }
            }
            Phase::Down => {}
        }
        if let (Some(heard), false) = (self.heard, self.silent) {
            next = next.min(heard + self.parent_silence);
        }
        Some(next)
    }

    /// The next frame to hand to the link.
    pub fn poll_envelope(&mut self) -> Option<Envelope> {
        self.out.pop_front()
    }

    /// The next thing the role should know.
    pub fn poll_notice(&mut self) -> Option<FrontendNotice> {
        self.notices.pop_front()
    }

    /// The latest verdict of a subject; sent when it differs from what was said before. Returns whether it differed.
    pub fn report(&mut self, now: Moment, verdict: Verdict) -> bool {
        let changed = self.reports.set(verdict);
        if changed {
            self.pump(now);
        }
        changed
    }

    /// The subject is gone.
    pub fn report_gone(&mut self, now: Moment, subject: &SubjectId) {
        self.reports.remove(subject);
        self.pump(now);
    }

    /// Puts a decision record into the outbox; one with the same id is replaced. When the outbox is full the oldest is
    /// dropped and counted.
    pub fn event(&mut self, now: Moment, decision: Decision) {
        if let Some(waiting) = self.outbox.iter_mut().rev().find(|it| it.id == decision.id) {
            *waiting = decision;
        } else {
            if OUTBOX_DECISIONS_MAX <= self.outbox.len() {
                self.outbox.pop_front();
                self.outbox_dropped += 1;
            }
            self.outbox.push_back(decision);
        }
        self.pump(now);
    }

    /// Tells the parent what became of an order.
    pub fn order_result(&mut self, now: Moment, answer: OrderAnswer) {
        self.send(now, Message::OrderResult(answer));
    }

    /// Tells the parent what a look from outside saw.
    pub fn probe_result(&mut self, now: Moment, nonce: u64, target: NodeName, look: Look) {
        let health = self.health;
        self.send(
            now,
            Message::ProbeResult {
                nonce,
                target,
                look,
                health,
            },
        );
    }

    /// Says goodbye.
    pub fn goodbye(&mut self, now: Moment, goodbye: Goodbye) {
        self.send(now, Message::Goodbye(goodbye));
    }

    /// How well this node is: goes with every beat. At most 16 figures are kept.
    pub fn set_health(&mut self, health: ObserverHealth, mut figures: Vec<(String, u64)>) {
        figures.truncate(16);
        self.health = health;
        self.figures = figures;
    }

    /// How well this node is.
    pub fn health(&self) -> ObserverHealth {
        self.health
    }

    /// All verdicts reported so far, parents before children.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.reports.verdicts()
    }

    /// One subject's verdict.
    pub fn verdict(&self, subject: &SubjectId) -> Option<&Verdict> {
        self.reports.get(subject)
    }

    /// Digest of all verdicts.
    pub fn digest(&self) -> Digest {
        self.reports.digest()
    }

    /// True after a Welcome, while the link is up.
    pub fn is_joined(&self) -> bool {
        self.phase == Phase::Joined
    }

    /// Round trip of the last acknowledged beat; zero = none yet.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Frames from the parent that were refused (replays), and decision records dropped from the full outbox.
    pub fn counters(&self) -> (u64, u64) {
        (self.refused, self.outbox_dropped)
    }

    fn greet(&mut self, now: Moment) {
        if self.phase == Phase::Down {
            self.next_slot = now;
        }
        self.phase = Phase::Greeting {
            again: now + HELLO_AGAIN,
        };
        self.report_sent = None;
        let hello = Hello {
            identity: self.settings.identity.clone(),
            minor_min: 0,
            minor_max: 0,
            capabilities: self.settings.capabilities,
            scope: self.settings.scope.clone(),
            digest: self.reports.digest(),
            beat_wanted: self.settings.beat_wanted,
            look_at: self.settings.look_at.iter().take(4).cloned().collect(),
        };
        self.push(now, now, Message::Hello(hello));
    }

    fn beat(&mut self, now: Moment) {
        let every = u64::try_from(self.beat_every.as_micros()).unwrap_or(u64::MAX).max(1);
        let missed = now.as_micros().saturating_sub(self.next_slot.as_micros()) / every;
        let slot = self.next_slot + Duration::from_micros(missed.saturating_mul(every));
        self.beat_number += missed + 1;
        self.next_slot = slot + self.beat_every;
        if self.phase == Phase::Down {
            return;
        }
        let beat = Beat {
            number: self.beat_number,
            health: self.health,
            figures: self.figures.clone(),
            digest: self.reports.digest(),
            round_trip: self.round_trip,
        };
        self.push(now, slot, Message::Beat(beat));
    }

    fn check_silence(&mut self, now: Moment) {
        let Some(heard) = self.heard else { return };
        if !self.silent && heard + self.parent_silence <= now {
            self.silent = true;
            self.notices.push_back(FrontendNotice::ParentSilent(now - heard));
        }
    }

    fn not_sent(&mut self, seq: u64) {
        if self.report_sent.is_some_and(|(_, sent, _)| sent == seq) {
            // Repeated when the link is up again or the repeat is due.
            return;
        }
        if let Some((_, decisions, dropped)) = self.events_sent.take_if(|(sent, _, _)| *sent == seq) {
            self.outbox_dropped += dropped;
            for decision in decisions.into_iter().rev() {
                let newer = self.outbox.iter().any(|it| it.id == decision.id);
                if !newer && self.outbox.len() < OUTBOX_DECISIONS_MAX {
                    self.outbox.push_front(decision);
                }
            }
        }
    }

    fn snapshot(&mut self, now: Moment) {
        let verdicts: Vec<Verdict> = self.reports.verdicts().cloned().collect();
        let digest = self.reports.digest();
        let scope = self.settings.scope.clone();
        let chunks = verdicts.len().div_ceil(Report::VERDICTS_MAX).max(1);
        for chunk in 0..chunks {
            let part = verdicts
                .iter()
                .skip(chunk * Report::VERDICTS_MAX)
                .take(Report::VERDICTS_MAX);
            let message = Message::Snapshot {
                scope: scope.clone(),
                chunk: u32::try_from(chunk).unwrap_or(u32::MAX),
                last: chunk + 1 == chunks,
                verdicts: part.cloned().collect(),
                digest: digest.clone(),
            };
            self.send(now, message);
        }
    }

    /// Sends what waits: one report at a time, and events in small frames.
    fn pump(&mut self, now: Moment) {
        if self.phase != Phase::Joined {
            return;
        }
        if self.report_sent.is_none_or(|(_, _, again)| again <= now) {
            self.report_sent = None;
            if let Some(report) = self.reports.next_report() {
                let number = report.number;
                self.push(now, now, Message::Report(report));
                let again = now + (self.beat_every * 2).max(Duration::from_secs(1));
                self.report_sent = Some((number, self.seq, again));
            }
        }
        if !self.outbox.is_empty() && self.events_not_before <= now {
            let count = self.outbox.len().min(EVENTS_PER_FRAME_MAX);
            let decisions: Vec<Decision> = self.outbox.drain(..count).collect();
            let dropped = core::mem::take(&mut self.outbox_dropped);
            self.push(
                now,
                now,
                Message::Events {
                    decisions: decisions.clone(),
                    dropped,
                },
            );
            self.events_sent = Some((self.seq, decisions, dropped));
            self.events_not_before = now + EVENTS_GAP;
        }
    }

    /// Sends a message that means nothing before a Hello.
    fn send(&mut self, now: Moment, message: Message) {
        if self.phase != Phase::Down {
            self.push(now, now, message);
        }
    }

    fn push(&mut self, now: Moment, slot: Moment, message: Message) {
        self.seq += 1;
        let header = Header {
            origin: self.settings.identity.name.clone(),
            target: None,
            boot_id: self.settings.identity.boot_id,
            agent_epoch: self.settings.identity.agent_epoch,
            seq: self.seq,
            sent: now,
            slot,
            hops_left: Header::HOPS_MAX,
            trace: 0,
        };
        self.out.push_back(Envelope { header, message });
    }
}

#[cfg(test)]
mod tests;
