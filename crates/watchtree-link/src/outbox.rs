//! Events of the link's thread on their way to the daemon: a bounded channel, with refusals merged per reason and second.
//!
//! Contract: never blocks. Frames are read only when there is room; other events wait in a short queue, from which the oldest is
//! dropped and counted. `Closed` has a reserved place, so it always arrives.

use crate::commands::Shared;
use crate::counters::count;
use crate::event::{LinkEvent, NotSent, Peer, Refusal};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{OwnedPermit, Receiver, Sender, channel};

/// Events other than frames that wait while the receiver is slow.
const WAITING_MAX: usize = 1024;
/// One event per reason in this time.
const REFUSED_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Outbox {
    sender: Sender<LinkEvent>,
    closed: OwnedPermit<LinkEvent>,
    waiting: VecDeque<LinkEvent>,
    paused: bool,
    refused: BTreeMap<Refusal, (u64, String)>,
    refused_due: Instant,
    not_sent: BTreeMap<(Peer, NotSent), u64>,
    pub(crate) shared: Arc<Shared>,
}

impl Outbox {
    pub(crate) fn new(events_max: usize, shared: Arc<Shared>) -> (Self, Receiver<LinkEvent>) {
        let (sender, receiver) = channel(events_max.max(1) + 1);
        let closed = sender
            .clone()
            .try_reserve_owned()
            .unwrap_or_else(|_| unreachable!("a new channel has room"));
        let outbox = Self {
            sender,
            closed,
            waiting: VecDeque::new(),
            paused: false,
            refused: BTreeMap::new(),
            refused_due: Instant::now(),
            not_sent: BTreeMap::new(),
            shared,
        };
        (outbox, receiver)
    }

    /// Tells something that is no frame.
    pub(crate) fn report(&mut self, event: LinkEvent) {
        self.waiting.push_back(event);
        self.flush();
        if WAITING_MAX < self.waiting.len() {
            self.waiting.pop_front();
            count(&self.shared.counters.events_dropped);
        }
    }

    fn flush(&mut self) {
        while !self.waiting.is_empty() {
            let Ok(permit) = self.sender.try_reserve() else { return };
            if let Some(event) = self.waiting.pop_front() {
                permit.send(event);
            }
        }
    }

    /// Hands up a frame; after [`Self::is_paused`] said that there is room. (An event may have taken the place since: then it waits too.)
    pub(crate) fn frame(&mut self, frame: LinkEvent) {
        count(&self.shared.counters.frames_in);
        self.report(frame);
    }

    /// Whether the receiver has to read before more can be taken in.
    pub(crate) fn is_paused(&mut self) -> bool {
        self.flush();
        let paused = !self.waiting.is_empty() || self.sender.capacity() == 0;
        if paused && !self.paused {
            count(&self.shared.counters.pauses);
        }
        self.paused = paused;
        paused
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.sender.is_closed()
    }

    pub(crate) fn refuse(&mut self, why: Refusal, address: &str) {
        count(&self.shared.counters.refused[why as usize]);
        let entry = self.refused.entry(why).or_default();
        entry.0 += 1;
        address.clone_into(&mut entry.1);
    }

    pub(crate) fn not_sent(&mut self, peer: Peer, why: NotSent) {
        count(&self.shared.counters.not_sent);
        *self.not_sent.entry((peer, why)).or_default() += 1;
    }

    pub(crate) fn sent(&self) {
        self.shared.counters.frames_out.fetch_add(1, Relaxed);
    }

    /// Tells what was gathered; once per pass. Gives the time when there is more to tell.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Instant> {
        while let Some(((peer, why), count)) = self.not_sent.pop_first() {
            self.report(LinkEvent::NotSent { peer, why, count });
        }
        if self.refused.is_empty() {
            return None;
        }
        if now < self.refused_due {
            return Some(self.refused_due);
        }
        self.refused_due = now + REFUSED_EVERY;
        while let Some((why, (count, address))) = self.refused.pop_first() {
            tracing::warn!(reason = why.as_str(), count, address, "link: refused");
            self.report(LinkEvent::Refused { why, count, address });
        }
        None
    }

    /// Tells the end; nothing comes after it.
    pub(crate) fn close(mut self, clean: bool) {
        self.flush();
        self.closed.send(LinkEvent::Closed { clean });
    }
}
