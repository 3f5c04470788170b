//! Receivers: a bounded queue and a thread for each.

use crate::{Deliver, Ledger, Notification};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most notifications that wait for one receiver; the oldest are dropped and counted.
pub const QUEUE_MAX: usize = 256;
/// Pause before the first retry; doubles.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// One receiver.
pub struct Setup {
    /// What it is called in reports, such as `webhook 1`: an address may carry a secret.
    pub about: String,
    /// A notification is given up after so many more attempts; `None` = never.
    pub retries: Option<u32>,
    /// How it is reached.
    pub deliver: Box<dyn Deliver>,
}

/// All receivers.
pub struct Receivers<I: 'static>(Vec<Arc<Receiver<I>>>);

struct Receiver<I: 'static> {
    about: String,
    retries: Option<u32>,
    ledger: Arc<dyn Ledger<I>>,
    state: Mutex<State<I>>,
    wake: Condvar,
}

struct State<I> {
    queue: VecDeque<Notification<I>>,
    /// How many fell out of the full queue so far.
    dropped: u64,
    stop: bool,
}

impl<I: Clone + Eq + Send + 'static> Receivers<I> {
    /// Starts one thread for each.
    ///
    /// # Errors
    /// A thread could not be made.
    pub fn start(setups: Vec<Setup>, ledger: &Arc<dyn Ledger<I>>) -> std::io::Result<Self> {
        let mut receivers = Vec::new();
        for setup in setups {
            let receiver = Arc::new(Receiver {
                about: setup.about,
                retries: setup.retries,
                ledger: Arc::clone(ledger),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    dropped: 0,
                    stop: false,
                }),
                wake: Condvar::new(),
            });
            let (worker, mut deliver) = (Arc::clone(&receiver), setup.deliver);
            std::thread::Builder::new()
                .name(receiver.about.replace(' ', "-"))
                .spawn(move || worker.run(&mut *deliver))?;
            receivers.push(receiver);
        }
        Ok(Self(receivers))
    }

    /// Queues a notification for the receiver at that place; false = there is none. Never waits.
    pub fn send(&self, place: usize, notification: Notification<I>) -> bool {
        let receiver = self.0.get(place);
        receiver.inspect(|receiver| receiver.put(notification)).is_some()
    }

    /// How many wait for the receiver at that place.
    pub fn waiting(&self, place: usize) -> usize {
        self.0.get(place).map_or(0, |receiver| receiver.lock().queue.len())
    }

    /// Gives what waits a last chance, then stops the threads. The rest is the ledger's.
    pub fn stop(self, within: Duration) {
        let until = Instant::now() + within;
        for receiver in &self.0 {
            receiver.drain(until);
        }
    }
}

impl<I: Clone + Eq> Receiver<I> {
    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, notification: Notification<I>) {
        let mut state = self.lock();
        let oldest = (QUEUE_MAX <= state.queue.len())
            .then(|| state.queue.pop_front())
            .flatten();
        state.dropped += u64::from(oldest.is_some());
        state.queue.push_back(notification);
        drop(state);
        self.wake.notify_all();
        if let Some(oldest) = oldest {
            self.ledger.settled(oldest.id);
        }
    }

    fn drain(&self, until: Instant) {
        let mut state = self.lock();
        while !state.queue.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(
                    about = self.about,
                    left = state.queue.len(),
                    "changes were not delivered before the end; they are at the next start"
                );
                break;
            }
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.stop = true;
        drop(state);
        self.wake.notify_all();
    }

    fn run(&self, deliver: &mut dyn Deliver) {
        let (mut tries, mut given_up, mut said) = (Tries::new(), 0, 0);
        while let Some(notification) = self.next() {
            let failed = deliver.deliver(&notification.body).err();
            if let Some(failed) = failed.as_ref().filter(|failed| failed.is_worth_a_retry) {
                let pause = tries.failed(&notification.id);
                if self.retries.is_none_or(|retries| tries.count <= retries) {
                    let lost = lost_words(given_up + self.lock().dropped);
                    let words = format!("{}; tried again in {:.1} s{lost}", failed.why, pause.as_secs_f32());
                    self.ledger.report(&self.about, &Err(words));
                    if !self.pause(pause) {
                        return;
                    }
                    continue;
                }
            }
            tries = Tries::new();
            given_up += u64::from(failed.is_some());
            let lost = given_up + self.settle(notification);
            let state = match failed {
                Some(failed) => Err(format!("{}{}", failed.why, lost_words(lost))),
                // What was lost meanwhile is said once, also where all is well again.
                None if said < lost => Err(format!("delivers again{}", lost_words(lost))),
                None => Ok("delivers".to_string()),
            };
            said = lost;
            self.ledger.report(&self.about, &state);
        }
    }

    /// The oldest that waits; it stays in the queue until it is settled.
    fn next(&self) -> Option<Notification<I>> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            if let Some(notification) = state.queue.front() {
                return Some(notification.clone());
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Delivered or given up. Gives how many the full queue has dropped so far.
    fn settle(&self, notification: Notification<I>) -> u64 {
        // Out of the ledger first: an empty queue is what the end waits for.
        self.ledger.settled(notification.id.clone());
        let mut state = self.lock();
        // The queue may have dropped it meanwhile, when it was full: then the next one is at the front.
        if state.queue.front().is_some_and(|front| front.id == notification.id) {
            state.queue.pop_front();
        }
        let dropped = state.dropped;
        drop(state);
        self.wake.notify_all();
        dropped
    }

    /// False = stop.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if state.stop || left.is_zero() {
                return !state.stop;
            }
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn lost_words(lost: u64) -> String {
    match lost {
        0 => String::new(),
        lost => format!("; {lost} changes were not delivered so far"),
    }
}

/// The failed attempts since the last notification that was settled.
struct Tries<I> {
    of: Option<I>,
    count: u32,
    pause: Option<Duration>,
}

impl<I: Clone + Eq> Tries<I> {
    const fn new() -> Self {
        Self {
            of: None,
            count: 0,
            pause: None,
        }
    }

    /// One more; gives the pause after it. It grows on where the queue dropped the notification and the next one failed: it is
    /// the receiver that is ill.
    fn failed(&mut self, notification: &I) -> Duration {
        if self.of.as_ref() != Some(notification) {
            (self.of, self.count) = (Some(notification.clone()), 0);
        }
        self.count = self.count.saturating_add(1);
        let pause = self.pause.map_or(PAUSE_MIN, |pause| (pause * 2).min(PAUSE_MAX));
        self.pause = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    //! How long the pauses are. Receivers that fail are tried with real webhooks, in manager-watchdog.
    use super::*;

    #[test]
    fn pauses_grow_to_their_longest_and_stay_so_for_the_next() {
        let mut tries = Tries::new();
        let pauses: Vec<Duration> = (0..2000).map(|_| tries.failed(&1)).collect();
        assert_eq!(pauses[..2], [PAUSE_MIN, 2 * PAUSE_MIN]);
        assert!(pauses[7..].iter().all(|pause| *pause == PAUSE_MAX));
        assert_eq!(tries.count, 2000);
        assert_eq!(tries.failed(&2), PAUSE_MAX, "it is the receiver that is ill");
        assert_eq!(tries.count, 1);
    }
}
