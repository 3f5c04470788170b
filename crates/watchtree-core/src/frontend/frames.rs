//! What each frame of the parent does.

use super::{BEAT_EVERY_MAX, BEAT_EVERY_MIN, Frontend, FrontendNotice, Phase};
use crate::message::{BeatAck, Envelope, Header, Message, Welcome};
use crate::time::{Duration, Moment};

/// A frame of ours was refused: so long (or eight beats) without another refusal, and the next acknowledgement ends it.
const REFUSED_STAYS: Duration = Duration::from_secs(10);

impl Frontend {
    pub(super) fn received(&mut self, now: Moment, envelope: Envelope) {
        if self.takes(now, &envelope.header) {
            self.obey(now, envelope);
        }
    }

    /// Whether a frame with this header is a new one; it counts as heard then. For a driver that reads a frame itself (an order,
    /// whose signature it checks): a replay of it is refused like any other.
    pub fn takes(&mut self, now: Moment, header: &Header) -> bool {
        let life = (header.boot_id, header.agent_epoch);
        let known = self.parent_seq.get(&header.origin).copied();
        if known.is_some_and(|(boot, epoch, seq)| (boot, epoch) == life && header.seq <= seq) {
            self.refused += 1;
            return false;
        }
        // Orders come from the manager through the parent: a few origins at most.
        if self.parent_seq.len() < 16 || known.is_some() {
            self.parent_seq
                .insert(header.origin.clone(), (life.0, life.1, header.seq));
        }
        self.heard = Some(now);
        if core::mem::take(&mut self.silent) {
            self.notices.push_back(FrontendNotice::ParentBack);
        }
        true
    }

    fn obey(&mut self, now: Moment, envelope: Envelope) {
        match envelope.message {
            Message::Welcome(welcome) => self.welcomed(now, welcome),
            Message::ReHello { .. } => self.greet(now),
            Message::BeatAck(ack) => {
                self.measure(now, ack);
                self.taken_again(now);
            }
            Message::Ping { nonce } => {
                let health = self.health;
                self.send(now, Message::Pong { nonce, health });
            }
            Message::ReportAck { number } => {
                self.reports.acknowledged(number);
                self.report_sent.take_if(|(sent, _, _)| *sent <= number);
                self.taken_again(now);
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
                self.refused_at = Some(now);
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
            | Message::ProbeResult { .. } => self.refused += 1,
        }
    }

    fn welcomed(&mut self, now: Moment, welcome: Welcome) {
        if self.phase == Phase::Down {
            return;
        }
        self.phase = Phase::Joined;
        self.refused_at = None;
        self.report_sent = None;
        let every = welcome.beat_every.clamp(BEAT_EVERY_MIN, BEAT_EVERY_MAX);
        if every != self.beat_every {
            self.beat_every = every;
            self.next_slot = self.next_slot.min(now + every);
        }
        self.parent_silence = welcome.parent_silence.max(every);
        self.notices.push_back(FrontendNotice::Joined {
            parent: welcome.identity.name,
            term: welcome.term,
        });
    }

    /// The parent took something of ours: what it refused lately may still be repeated, what it refused long ago is over.
    fn taken_again(&mut self, now: Moment) {
        let stays = REFUSED_STAYS.max(self.beat_every * 8);
        if self.refused_at.take_if(|at| *at + stays <= now).is_some() {
            self.notices.push_back(FrontendNotice::Accepted);
        }
    }

    fn measure(&mut self, now: Moment, ack: BeatAck) {
        if ack.number <= self.beat_number && ack.sent_echo <= now {
            self.round_trip = (now - ack.sent_echo).saturating_sub(ack.held);
        }
    }
}
