//! Tells people: one JSON POST per change of an incident, to each configured URL.
//!
//! ```text
//!   tell ──▶ queue per URL (bounded) ──▶ thread per URL ──▶ POST, deadline, retries with back-off ──▶ next
//! ```
//!
//! Each URL has its own queue and thread: one receiver that is down holds up nobody else. Changes keep their order. What
//! falls out of a full queue, or is given up after its retries, is counted and said in a condition. The system's root
//! certificates are used for https.

use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use watchtree_api::{API_VERSION, EventView};
use watchtree_config::Webhook;
use watchtree_runtime::Conditions;

/// Most changes that wait for one URL; the oldest are dropped and counted.
const QUEUE_MAX: usize = 256;
/// Pause before the first retry; doubles.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// All webhooks.
pub(crate) struct Webhooks(Vec<Arc<Hook>>);

struct Hook {
    index: usize,
    config: Webhook,
    state: Mutex<State>,
    wake: Condvar,
    conditions: Conditions,
}

#[derive(Default)]
struct State {
    queue: VecDeque<String>,
    dropped: u64,
    stop: bool,
}

impl Webhooks {
    /// Starts one thread per URL.
    pub(crate) fn start(configs: Vec<Webhook>, conditions: &Conditions) -> std::io::Result<Self> {
        let mut hooks = Vec::new();
        for (index, config) in configs.into_iter().enumerate() {
            let hook = Hook {
                index,
                config,
                state: Mutex::default(),
                wake: Condvar::new(),
                conditions: conditions.clone(),
            };
            let hook = Arc::new(hook);
            let worker = Arc::clone(&hook);
            std::thread::Builder::new()
                .name(format!("webhook-{index}"))
                .spawn(move || worker.run())?;
            hooks.push(hook);
        }
        Ok(Self(hooks))
    }

    /// Queues one change for every URL. Never waits.
    pub(crate) fn tell(&self, manager: &str, change: &str, event: &EventView) {
        if self.0.is_empty() {
            return;
        }
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": "incident",
            "change": change,
            "manager": manager,
            "wall_ms": event.wall_ms,
            "text": event.text,
            "incident": event.incident,
        });
        for hook in &self.0 {
            hook.put(body.to_string());
        }
    }

    /// Gives what waits a last chance, then stops the threads.
    pub(crate) fn stop(self, within: Duration) {
        let until = Instant::now() + within;
        for hook in &self.0 {
            hook.drain(until);
        }
    }
}

impl Hook {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The condition's name. The URL may carry a secret token: only its place in the configuration is named.
    fn about(&self) -> String {
        format!("webhook {}", self.index + 1)
    }

    fn put(&self, body: String) {
        let mut state = self.lock();
        if QUEUE_MAX <= state.queue.len() {
            state.queue.pop_front();
            state.dropped += 1;
        }
        state.queue.push_back(body);
        drop(state);
        self.wake.notify_all();
    }

    fn drain(&self, until: Instant) {
        let mut state = self.lock();
        while !state.queue.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(
                    about = self.about(),
                    left = state.queue.len(),
                    "changes were not delivered before the end"
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
        let mut given_up = 0;
        while let Some(body) = self.next() {
            let delivered = self.deliver(&agent, &body);
            let mut state = self.lock();
            // The queue may have dropped it meanwhile, when it was full: then the next one is at the front.
            if state.queue.front() == Some(&body) {
                state.queue.pop_front();
            }
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            self.wake.notify_all();
            let lost = dropped + u64::from(delivered.is_err());
            given_up += lost;
            match delivered {
                Err(Ended::Stopped) => return,
                Err(Ended::GaveUp(why)) => {
                    let words = format!("{why}; {given_up} changes were not delivered so far");
                    self.conditions.report(&self.about(), &Err(words));
                }
                Ok(()) if 0 < dropped => {
                    let words = format!("its queue of {QUEUE_MAX} was full: {given_up} changes were dropped so far");
                    self.conditions.report(&self.about(), &Err(words));
                }
                Ok(()) => {
                    self.conditions.report(&self.about(), &Ok("delivers".to_string()));
                }
            }
        }
    }

    /// The oldest that waits; it stays in the queue until it is delivered or given up.
    fn next(&self) -> Option<String> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            if let Some(body) = state.queue.front() {
                return Some(body.clone());
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&self, agent: &Agent, body: &str) -> Result<(), Ended> {
        let mut pause = PAUSE_MIN;
        for attempt in 0..=self.config.retries {
            let posted = post(agent, self.config.url.as_str(), body);
            let Err(failed) = posted else { return Ok(()) };
            if !failed.worth_a_retry || attempt == self.config.retries {
                return Err(Ended::GaveUp(failed.why));
            }
            let words = format!("{}; tried again in {:.1} s", failed.why, pause.as_secs_f32());
            self.conditions.report(&self.about(), &Err(words));
            if !self.pause(pause) {
                return Err(Ended::Stopped);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
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

/// Why a change was not delivered.
enum Ended {
    GaveUp(String),
    Stopped,
}

struct Failed {
    why: String,
    /// False where the receiver will say no to this body again (400, 401, 404, …).
    worth_a_retry: bool,
}

fn post(agent: &Agent, url: &str, body: &str) -> Result<(), Failed> {
    match agent.post(url).header("content-type", "application/json").send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(Failed {
            why: format!("answered {}", answer.status()),
            worth_a_retry: false,
        }),
        Err(ureq::Error::StatusCode(code)) => {
            let worth_a_retry = code == 408 || code == 425 || code == 429 || 500 <= code;
            Err(Failed {
                why: format!("answered {code}"),
                worth_a_retry,
            })
        }
        Err(error) => Err(Failed {
            why: error.to_string(),
            worth_a_retry: true,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    fn hooks(address: SocketAddr, conditions: &Conditions) -> Webhooks {
        let text = format!("[[webhook]]\nurl = \"http://{address}/hook\"\ndeadline = \"300ms\"\nretries = 8\n");
        let config = watchtree_config::parse_manager(&text).expect("a good configuration");
        Webhooks::start(config.webhooks, conditions).expect("threads")
    }

    fn event(text: &str) -> EventView {
        EventView {
            text: text.to_string(),
            ..EventView::default()
        }
    }

    /// Takes one request; gives its body.
    fn take(stream: &TcpStream) -> serde_json::Value {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line).expect("a header");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        serde_json::from_slice(&body).expect("json")
    }

    fn answer(mut stream: &TcpStream, status: &str) {
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).expect("answered");
    }

    fn until(what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !holds() {
            assert!(Instant::now() < end, "{what}: not in time");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_receiver_that_is_down_stalls_or_fails_gets_each_change_in_order_at_last() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let conditions = Conditions::new();
        let hooks = hooks(address, &conditions);
        hooks.tell("manager", "opened", &event("first"));
        hooks.tell("manager", "closed", &event("second"));
        until("degraded while nobody listens", || !conditions.degraded().is_empty());
        assert!(
            !conditions.degraded()[0].1.contains("hook\""),
            "the url may be a secret"
        );

        let listener = TcpListener::bind(address).expect("the port is still free");
        // It accepts and never answers: the deadline ends that.
        let (stalled, _) = listener.accept().expect("a connection");
        let (failing, _) = listener.accept().expect("another attempt");
        assert_eq!(take(&failing)["text"], "first");
        answer(&failing, "503 Service Unavailable");
        for (text, change) in [("first", "opened"), ("second", "closed")] {
            let (stream, _) = listener.accept().expect("a connection");
            let body = take(&stream);
            assert_eq!((&body["text"], &body["change"]), (&text.into(), &change.into()));
            assert_eq!(body["apiVersion"], API_VERSION);
            answer(&stream, "204 No Content");
        }
        until("in order again", || conditions.degraded().is_empty());
        drop(stalled);
        hooks.stop(Duration::from_secs(1));
    }

    #[test]
    fn a_no_is_not_asked_again_and_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let conditions = Conditions::new();
        let hooks = hooks(listener.local_addr().expect("an address"), &conditions);
        hooks.tell("manager", "opened", &event("first"));
        let (stream, _) = listener.accept().expect("a connection");
        take(&stream);
        answer(&stream, "404 Not Found");
        until("said", || {
            conditions
                .degraded()
                .iter()
                .any(|(_, why)| why.contains("404") && why.contains("1 changes"))
        });
        hooks.tell("manager", "closed", &event("second"));
        let (stream, _) = listener.accept().expect("the next change");
        assert_eq!(take(&stream)["text"], "second");
        answer(&stream, "200 OK");
        hooks.stop(Duration::from_secs(1));
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_never_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port that never answers");
        let conditions = Conditions::new();
        let hooks = hooks(listener.local_addr().expect("an address"), &conditions);
        let began = Instant::now();
        for number in 0..2 * QUEUE_MAX {
            hooks.tell("manager", "opened", &event(&number.to_string()));
        }
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(hooks.0[0].lock().queue.len(), QUEUE_MAX);
        hooks.stop(Duration::ZERO);
    }
}
