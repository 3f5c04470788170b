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

mod beats;
mod events;
mod io;
mod parent;

pub use io::{FrontendInput, FrontendNotice, FrontendSettings};

use crate::decision::Decision;
use crate::id::NodeName;
use crate::message::{Beat, BeatAck, Digest, Envelope, Goodbye, Header, Hello, Look, Message, Report, Welcome};
use crate::order::OrderAnswer;
use crate::report::Reports;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{ObserverHealth, Verdict};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use beats::BeatGrid;
use events::EventOutbox;
use parent::Parent;

/// A Hello is repeated after this time without a Welcome.
const HELLO_AGAIN: Duration = Duration::from_secs(2);
/// Most figures of a beat, and most addresses of a Hello.
const FIGURES_MAX: usize = 16;
const ADDRESSES_MAX: usize = 4;

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
    beats: BeatGrid,
    parent: Parent,
    round_trip: Duration,
    reports: Reports,
    events: EventOutbox,
    health: ObserverHealth,
    figures: Vec<(String, u64)>,
    out: VecDeque<Envelope>,
    notices: VecDeque<FrontendNotice>,
}

impl Frontend {
    /// A frontend whose link is down.
    pub fn new(settings: FrontendSettings, now: Moment) -> Self {
        let beats = BeatGrid::new(now, settings.beat_wanted);
        Self {
            settings,
            phase: Phase::Down,
            seq: 0,
            parent: Parent::new(beats.every() * 10),
            beats,
            round_trip: Duration::ZERO,
            reports: Reports::new(),
            events: EventOutbox::new(),
            health: ObserverHealth(0),
            figures: Vec::new(),
            out: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// Takes what the link says.
    pub fn handle(&mut self, now: Moment, input: FrontendInput) {
        match input {
            FrontendInput::Up => {
                self.parent.up(now);
                self.greet(now);
            }
            FrontendInput::Down { why } => {
                // The link says this once per reason, also where it never was up: a parent that was never there is named.
                self.phase = Phase::Down;
                self.parent.down();
                self.notices.push_back(FrontendNotice::Lost(why));
            }
            // A report is repeated when the link is up again or its repeat is due.
            FrontendInput::NotSent { seq } => self.events.not_sent(seq),
            FrontendInput::Received(envelope) => {
                if self.takes(now, &envelope.header) {
                    self.obey(now, envelope.message);
                }
            }
        }
        self.pump(now);
    }

    /// Beats, repeats and notices what has become due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if let Some(slot) = self.beats.pop_due(now) {
            self.beat(now, slot);
        }
        if let Phase::Greeting { again } = self.phase
            && again <= now
        {
            self.greet(now);
        }
        self.notices.extend(self.parent.check_silence(now));
        self.pump(now);
    }

    /// When `handle_timeout` wants to be called next.
    pub fn next_deadline(&self) -> Option<Moment> {
        let of_phase = match self.phase {
            Phase::Down => [None, None],
            Phase::Greeting { again } => [Some(again), None],
            Phase::Joined => [self.reports.repeat_at(), self.events.due()],
        };
        let always = [Some(self.beats.next_slot()), self.parent.silent_from()];
        always.into_iter().chain(of_phase).flatten().min()
    }

    /// Whether a frame with this header is a new one; it counts as heard then. For a driver that reads a frame itself (an order,
    /// whose signature it checks): a replay of it is refused like any other.
    pub fn takes(&mut self, now: Moment, header: &Header) -> bool {
        let is_new = self.parent.takes(header);
        if is_new {
            self.notices.extend(self.parent.heard(now));
        }
        is_new
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
        self.events.put(decision);
        self.pump(now);
    }

    /// Tells the parent what became of an order.
    pub fn order_result(&mut self, now: Moment, answer: OrderAnswer) {
        self.send(now, Message::OrderResult(answer));
    }

    /// Tells the parent the result of a probe from outside.
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
        figures.truncate(FIGURES_MAX);
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

    /// True while a parent has said Welcome, the link is up, and it is not silent.
    pub(crate) fn hears_parent(&self) -> bool {
        self.is_joined() && self.parent.silent_from().is_some()
    }

    /// True while a parent has said Welcome and the link is up.
    pub fn is_joined(&self) -> bool {
        self.phase == Phase::Joined
    }

    /// Round trip of the last acknowledged beat; zero = none yet.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Frames from the parent that were refused (replays), and decision records dropped from the full outbox.
    pub fn counters(&self) -> (u64, u64) {
        (self.parent.not_taken(), self.events.dropped())
    }

    fn greet(&mut self, now: Moment) {
        if self.phase == Phase::Down {
            self.beats.restart(now);
        }
        self.phase = Phase::Greeting {
            again: now + HELLO_AGAIN,
        };
        self.reports.restart();
        let hello = Hello {
            identity: self.settings.identity.clone(),
            minor_min: 0,
            minor_max: 0,
            capabilities: self.settings.capabilities,
            scope: self.settings.scope.clone(),
            digest: self.reports.digest(),
            beat_wanted: self.settings.beat_wanted,
            look_at: self.settings.look_at.iter().take(ADDRESSES_MAX).cloned().collect(),
        };
        self.send(now, Message::Hello(hello));
    }

    fn beat(&mut self, now: Moment, slot: Moment) {
        let beat = Beat {
            number: self.beats.number(),
            health: self.health,
            figures: self.figures.clone(),
            digest: self.reports.digest(),
            round_trip: self.round_trip,
        };
        self.send_in_slot(now, slot, Message::Beat(beat));
    }

    fn obey(&mut self, now: Moment, message: Message) {
        match message {
            Message::Welcome(welcome) => self.welcomed(now, welcome),
            Message::ReHello { .. } => self.greet(now),
            Message::BeatAck(ack) => {
                self.measure(now, ack);
                self.accepted(now);
            }
            Message::Ping { nonce } => {
                let health = self.health;
                self.send(now, Message::Pong { nonce, health });
            }
            Message::ReportAck { number } => {
                self.reports.acknowledged(number);
                self.accepted(now);
            }
            Message::SnapshotRequest => self.snapshot(now),
            Message::Order(order) => self.notices.push_back(FrontendNotice::Order(order)),
            Message::ProbeRequest {
                nonce,
                target,
                address,
                within,
            } => {
                self.notices.push_back(FrontendNotice::ProbeRequest {
                    nonce,
                    target,
                    address,
                    within,
                });
            }
            Message::Refused { reason, detail, .. } => {
                self.parent.refused(now);
                self.notices.push_back(FrontendNotice::Refused(reason, detail));
            }
            // A parent says none of these.
            Message::Hello(_)
            | Message::Beat(_)
            | Message::Pong { .. }
            | Message::Report(_)
            | Message::Events { .. }
            | Message::OrderResult(_)
            | Message::Snapshot { .. }
            | Message::Goodbye(_)
            | Message::ProbeResult { .. } => self.parent.strayed(),
        }
    }

    fn welcomed(&mut self, now: Moment, welcome: Welcome) {
        if self.phase == Phase::Down {
            return;
        }
        self.phase = Phase::Joined;
        self.reports.restart();
        self.beats.set_every(now, welcome.beat_every);
        self.parent.welcomed(welcome.parent_silence.max(self.beats.every()));
        self.notices.push_back(FrontendNotice::Joined {
            parent: welcome.identity.name,
            term: welcome.term,
        });
    }

    fn accepted(&mut self, now: Moment) {
        self.notices.extend(self.parent.accepted(now, self.beats.every()));
    }

    fn measure(&mut self, now: Moment, ack: BeatAck) {
        if ack.number <= self.beats.number() && ack.sent_echo <= now {
            self.round_trip = (now - ack.sent_echo).saturating_sub(ack.held);
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
        let repeat = (self.beats.every() * 2).max(Duration::from_secs(1));
        if let Some(report) = self.reports.pop_due(now, repeat) {
            self.send(now, Message::Report(report));
        }
        if let Some(events) = self.events.pop_due(now, self.seq + 1) {
            self.send(now, events);
        }
    }

    /// Sends a message, which would mean nothing before a Hello.
    fn send(&mut self, now: Moment, message: Message) {
        self.send_in_slot(now, now, message);
    }

    fn send_in_slot(&mut self, now: Moment, slot: Moment, message: Message) {
        if self.phase == Phase::Down {
            return;
        }
        self.seq += 1;
        let header = Header {
            slot,
            ..Header::new(&self.settings.identity, self.seq, now)
        };
        self.out.push_back(Envelope { header, message });
    }
}

#[cfg(test)]
mod tests;
