//! Decision records on their way to the parent: bounded, in small frames, best effort. What could not be handed to the link
//! goes back to its place; what had no room is counted. Does not know the link.

use crate::decision::Decision;
use crate::message::Message;
use crate::time::{Duration, Moment};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most records that wait.
const WAITING_MAX: usize = 1024;
/// Shortest time between two frames.
const GAP: Duration = Duration::from_millis(20);

/// See the module's text.
pub(super) struct EventOutbox {
    waiting: VecDeque<Decision>,
    dropped: u64,
    /// The last frame: its `seq`, and what went with it.
    sent: Option<(u64, Vec<Decision>, u64)>,
    not_before: Moment,
}

impl EventOutbox {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            dropped: 0,
            sent: None,
            not_before: Moment::ZERO,
        }
    }

    /// Takes a record; one with the same id is replaced. When there is no room the oldest is dropped and counted.
    pub(super) fn put(&mut self, decision: Decision) {
        if let Some(waiting) = self.waiting.iter_mut().rev().find(|it| it.id == decision.id) {
            *waiting = decision;
            return;
        }
        if WAITING_MAX <= self.waiting.len() {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(decision);
    }

    /// The next frame, if one is due; it goes out as `seq`.
    pub(super) fn pop_due(&mut self, now: Moment, seq: u64) -> Option<Message> {
        if now < self.due()? {
            return None;
        }
        let count = self.waiting.len().min(Message::DECISIONS_MAX);
        let decisions: Vec<Decision> = self.waiting.drain(..count).collect();
        let dropped = core::mem::take(&mut self.dropped);
        self.sent = Some((seq, decisions.clone(), dropped));
        self.not_before = now + GAP;
        Some(Message::Events { decisions, dropped })
    }

    /// When the next frame may go.
    pub(super) fn due(&self) -> Option<Moment> {
        (!self.waiting.is_empty()).then_some(self.not_before)
    }

    /// The frame of that `seq` was lost: what it carried waits again, but for what there is a newer record of or no room.
    pub(super) fn not_sent(&mut self, seq: u64) {
        let Some((_, decisions, dropped)) = self.sent.take_if(|(sent, _, _)| *sent == seq) else {
            return;
        };
        self.dropped += dropped;
        for decision in decisions.into_iter().rev() {
            let newer = self.waiting.iter().any(|it| it.id == decision.id);
            if !newer && self.waiting.len() < WAITING_MAX {
                self.waiting.push_front(decision);
            }
        }
    }

    /// How many were dropped since the last frame.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    //! Order, room, loss.
    use super::*;
    use crate::fixture::decision;

    fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn outbox(counts: core::ops::Range<u64>) -> EventOutbox {
        let mut outbox = EventOutbox::new();
        counts.for_each(|count| outbox.put(decision("h1/d/a", count)));
        outbox
    }

    /// The counts of the next frame's records, and how many it says were dropped.
    fn frame(outbox: &mut EventOutbox, now: Moment, seq: u64) -> Option<(Vec<u64>, u64)> {
        match outbox.pop_due(now, seq)? {
            Message::Events { decisions, dropped } => Some((decisions.iter().map(|it| it.id.count).collect(), dropped)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn they_go_in_order_in_small_frames_with_a_gap() {
        let mut outbox = outbox(0..40);
        assert_eq!(outbox.due(), Some(ms(0)));
        assert_eq!(frame(&mut outbox, ms(5), 1), Some(((0..32).collect(), 0)));
        assert_eq!((frame(&mut outbox, ms(24), 2), outbox.due()), (None, Some(ms(25))));
        assert_eq!(frame(&mut outbox, ms(25), 2), Some(((32..40).collect(), 0)));
        assert_eq!((frame(&mut outbox, ms(90), 3), outbox.due()), (None, None));
    }

    #[test]
    fn a_record_replaces_the_older_one_and_the_oldest_makes_room() {
        let mut outbox = outbox(0..1026);
        let newer = Decision {
            why: "newer".into(),
            ..decision("h1/d/a", 3)
        };
        outbox.put(newer.clone());
        assert_eq!(outbox.dropped(), 2);
        let Some(Message::Events { decisions, dropped }) = outbox.pop_due(ms(0), 1) else {
            panic!("nothing is due");
        };
        assert_eq!((decisions[0].id.count, &decisions[1], dropped), (2, &newer, 2));
        assert_eq!(outbox.dropped(), 0, "it was told");
    }

    #[test]
    fn a_lost_frame_waits_again_unless_it_was_overtaken_or_there_is_no_room() {
        let mut lost = outbox(0..3);
        frame(&mut lost, ms(0), 7);
        lost.not_sent(6);
        assert_eq!(lost.due(), None, "another frame");
        lost.put(decision("h1/d/a", 1));
        lost.not_sent(7);
        lost.not_sent(7);
        assert_eq!(frame(&mut lost, ms(20), 8), Some((alloc::vec![0, 2, 1], 0)));
        let mut full = outbox(0..1026);
        assert_eq!(frame(&mut full, ms(0), 1), Some(((2..34).collect(), 2)));
        (1026..1057).for_each(|count| full.put(decision("h1/d/a", count)));
        full.not_sent(1);
        assert_eq!(full.dropped(), 2, "and that is told again");
        assert_eq!(frame(&mut full, ms(20), 2), Some(((33..65).collect(), 2)));
    }
}
