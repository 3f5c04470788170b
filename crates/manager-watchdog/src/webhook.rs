//! Notifies people: one JSON POST per change of an incident, to each configured URL, at least once.
//!
//! ```text
//!   notifications ──▶ store, with the incident ──▶ queue per URL (bounded) ──▶ thread per URL ──▶ POST ──▶ settled: out of
//!                  │  found again at the next start of the manager       ▲                               the store
//!                  └─────────────────────────────────────────────────────┘
//! ```
//!
//! Contract: each URL has its own queue and thread, so one receiver that is down delays no other. Changes keep their order. No
//! answer, and an answer that may change later, are retried with a growing pause; only a definite refusal gives a change up. That,
//! and what falls out of a full queue, is counted and shown as a condition. The system's root certificates are used for https.

use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use watchtree_api::{API_VERSION, EventView};
use watchtree_config::Webhook;
use watchtree_core::hash::{FNV1A_BASIS, fnv1a};
use watchtree_runtime::Conditions;
use watchtree_store::sqlite::{ChangeId, Notification, NotificationId, Outbox};

/// Most changes that wait for one URL; the oldest are dropped and counted.
const QUEUE_MAX: usize = 256;
/// Pause before the first retry; doubles.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// All webhooks.
pub(crate) struct Webhooks {
    hooks: Vec<Arc<Hook>>,
    manager: String,
    term: u64,
    changes: u64,
}

/// What the webhooks need to know of this life of the manager.
pub(crate) struct Start {
    pub(crate) manager: String,
    /// Never used before: with it, no two changes bear one name.
    pub(crate) term: u64,
    pub(crate) outbox: Outbox,
    /// What former lives did not settle, oldest first.
    pub(crate) notifications: Vec<Notification>,
    pub(crate) conditions: Conditions,
}

struct Hook {
    index: usize,
    /// Its name in the outbox.
    receiver: String,
    config: Webhook,
    state: Mutex<State>,
    wake: Condvar,
    outbox: Outbox,
    conditions: Conditions,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Notification>,
    /// How many fell out of the full queue so far.
    dropped: u64,
    stop: bool,
}

impl Webhooks {
    /// Starts one thread per URL, with what is still to be told.
    pub(crate) fn start(configs: Vec<Webhook>, start: Start) -> std::io::Result<Self> {
        let mut webhooks = Self {
            hooks: Vec::new(),
            manager: start.manager,
            term: start.term,
            changes: 0,
        };
        let mut seen = BTreeMap::new();
        for (index, config) in configs.into_iter().enumerate() {
            let twin = seen.entry(config.url.as_str().to_string()).or_insert(0);
            let receiver = receiver(config.url.as_str(), *twin);
            *twin += 1;
            webhooks.hooks.push(Arc::new(Hook {
                index,
                receiver,
                config,
                state: Mutex::default(),
                wake: Condvar::new(),
                outbox: start.outbox.clone(),
                conditions: start.conditions.clone(),
            }));
        }
        for notification in start.notifications {
            if !webhooks.send(&notification) {
                tracing::warn!(change = %notification.id.change, "its webhook is no longer configured: the notification is dropped");
                start.outbox.settled(notification.id);
            }
        }
        for hook in &webhooks.hooks {
            let worker = Arc::clone(hook);
            std::thread::Builder::new()
                .name(format!("webhook-{}", hook.index))
                .spawn(move || worker.run())?;
        }
        Ok(webhooks)
    }

    /// One notification per URL that tells of this change. They go to the store first, then to [`Webhooks::send`].
    pub(crate) fn notifications(&mut self, change: &str, event: &EventView) -> Vec<Notification> {
        if self.hooks.is_empty() {
            return Vec::new();
        }
        self.changes += 1;
        let id = ChangeId {
            term: self.term,
            count: self.changes,
        };
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": "incident",
            "id": format!("{}-{id}", self.manager),
            "change": change,
            "manager": self.manager,
            "wall_ms": event.wall_ms,
            "text": event.text,
            "incident": event.incident,
        });
        let notification = |hook: &Arc<Hook>| Notification {
            id: NotificationId {
                change: id,
                receiver: hook.receiver.clone(),
            },
            body: body.to_string(),
        };
        self.hooks.iter().map(notification).collect()
    }

    /// Queues a notification for its URL; false = there is no such URL. Never waits.
    pub(crate) fn send(&self, notification: &Notification) -> bool {
        let hook = self.hooks.iter().find(|hook| hook.receiver == notification.id.receiver);
        hook.inspect(|hook| hook.put(notification.clone())).is_some()
    }

    /// Gives what waits a last chance, then stops the threads. The rest is in the outbox.
    pub(crate) fn stop(self, within: Duration) {
        let until = Instant::now() + within;
        for hook in &self.hooks {
            hook.drain(until);
        }
    }
}

/// A name that stays the same over restarts and orders of the configuration, and does not give the URL away: it may carry
/// a secret token.
fn receiver(url: &str, twin: u32) -> String {
    let hash = fnv1a(FNV1A_BASIS, url.as_bytes());
    format!("{hash:016x}.{twin}")
}

impl Hook {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The condition's name. The URL may carry a secret token: only its place in the configuration is named.
    fn about(&self) -> String {
        format!("webhook {}", self.index + 1)
    }

    fn put(&self, notification: Notification) {
        let mut state = self.lock();
        let oldest = (QUEUE_MAX <= state.queue.len())
            .then(|| state.queue.pop_front())
            .flatten();
        state.dropped += u64::from(oldest.is_some());
        state.queue.push_back(notification);
        drop(state);
        self.wake.notify_all();
        if let Some(oldest) = oldest {
            self.outbox.settled(oldest.id);
        }
    }

    fn drain(&self, until: Instant) {
        let mut state = self.lock();
        while !state.queue.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(
                    about = self.about(),
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

    fn run(&self) {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(self.config.deadline.get()))
            .max_redirects(0)
            .user_agent(concat!("watchtree/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .into();
        let (mut tries, mut given_up, mut said) = (Tries::default(), 0, 0);
        while let Some(notification) = self.next() {
            let posted = post(&agent, self.config.url.as_str(), &notification.body);
            let failed = posted.err();
            if let Some(failed) = failed.as_ref().filter(|failed| failed.worth_a_retry) {
                let pause = tries.failed(&notification.id);
                if self.config.retries.is_none_or(|retries| tries.count <= retries) {
                    let lost = lost_words(given_up + self.lock().dropped);
                    let words = format!("{}; tried again in {:.1} s{lost}", failed.why, pause.as_secs_f32());
                    self.conditions.report(&self.about(), &Err(words));
                    if !self.pause(pause) {
                        return;
                    }
                    continue;
                }
            }
            tries = Tries::default();
            given_up += u64::from(failed.is_some());
            let lost = given_up + self.settle(notification);
            let state = match failed {
                Some(failed) => Err(format!("{}{}", failed.why, lost_words(lost))),
                // What was lost meanwhile is said once, also where all is well again.
                None if said < lost => Err(format!("delivers again{}", lost_words(lost))),
                None => Ok("delivers".to_string()),
            };
            said = lost;
            self.conditions.report(&self.about(), &state);
        }
    }

    /// The oldest that waits; it stays in the queue until it is settled.
    fn next(&self) -> Option<Notification> {
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
    fn settle(&self, notification: Notification) -> u64 {
        // Out of the store first: an empty queue is what the end waits for.
        self.outbox.settled(notification.id.clone());
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
#[derive(Default)]
struct Tries {
    of: Option<NotificationId>,
    count: u32,
    pause: Option<Duration>,
}

impl Tries {
    /// One more; gives the pause after it. It grows on where the queue dropped the notification and the next one failed: it is
    /// the receiver that is ill.
    fn failed(&mut self, notification: &NotificationId) -> Duration {
        if self.of.as_ref() != Some(notification) {
            (self.of, self.count) = (Some(notification.clone()), 0);
        }
        self.count = self.count.saturating_add(1);
        let pause = self.pause.map_or(PAUSE_MIN, |pause| (pause * 2).min(PAUSE_MAX));
        self.pause = Some(pause);
        pause
    }
}

struct Failed {
    why: String,
    /// False where the receiver will say no to this body again (400, 401, 404, …).
    worth_a_retry: bool,
}

fn post(agent: &Agent, url: &str, body: &str) -> Result<(), Failed> {
    let answered = |code: u16| Failed {
        why: format!("answered {code}"),
        worth_a_retry: !(400..500).contains(&code) || matches!(code, 408 | 425 | 429),
    };
    match agent.post(url).header("content-type", "application/json").send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(answered(answer.status().as_u16())),
        Err(ureq::Error::StatusCode(code)) => Err(answered(code)),
        Err(error) => Err(Failed {
            why: error.to_string(),
            worth_a_retry: true,
        }),
    }
}

#[cfg(test)]
mod tests;
