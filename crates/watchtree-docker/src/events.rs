//! The engine's event stream: one task that only drains it into a large queue.
//!
//! ```text
//!  engine ──unix──▶ drain task ──try_send──▶ queue ──▶ reader
//!                     │  headers within 10 s        → Opened
//!                     │  undecodable, cut, EOF      → Ended (bollard's stream is dead then in every case)
//!                     └─ queue full                 → hangs up, Ended
//! ```
//!
//! Contract: a reader that stalls would slow the whole engine (100 ms per event, measured), so the stream is closed instead and
//! subscribed anew later. The server filters by type and action: one event of an unknown type would end bollard's stream, and
//! each health check makes three exec events. A connection that is half dead looks like a quiet one; the periodic list finds it.

use crate::convert;
use crate::engine::Engine;
use crate::error::engine_error;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use watchtree_core::container::io::{EngineError, EngineEvent, EngineTime};

/// Most events that wait to be decided upon; the stream is given up when there are more.
pub const EVENT_QUEUE_EVENTS_MAX: usize = 65_536;
/// Deadline of the stream's headers.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// The actions asked for.
const ACTIONS: [&str; 13] = [
    "create",
    "start",
    "die",
    "kill",
    "stop",
    "restart",
    "oom",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
];

/// What comes out of a stream: `Opened`, then events, then `Ended` once; or `Ended` alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StreamItem {
    /// The engine took the subscription; since when it answers, where it tells.
    Opened(Option<EngineTime>),
    /// One event.
    Event(EngineEvent),
    /// It is over, in words.
    Ended(String),
}

/// A running subscription. Dropping it hangs up.
#[derive(Debug)]
pub struct EventStream {
    queue: mpsc::Receiver<StreamItem>,
}

impl EventStream {
    /// Subscribes to the events of all containers of `engine`, from `since` on (inclusive) or from now. The engine
    /// remembers 256 events at most, of all kinds together.
    pub fn open(engine: &Engine, since: Option<EngineTime>) -> Self {
        Self::open_with(engine, since, EVENT_QUEUE_EVENTS_MAX)
    }

    fn open_with(engine: &Engine, since: Option<EngineTime>, queue_max: usize) -> Self {
        let (sender, queue) = mpsc::channel(queue_max);
        let engine = engine.clone();
        tokio::spawn(async move {
            tokio::select! {
                why = drain(&engine, since, &sender) => {
                    // Nobody may be listening any more, and then nobody wants to know.
                    let _ = sender.send(StreamItem::Ended(why)).await;
                }
                () = sender.closed() => {}
            }
        });
        Self { queue }
    }

    /// The next item; `None` after `Ended`.
    pub async fn next(&mut self) -> Option<StreamItem> {
        self.queue.recv().await
    }
}

/// Runs until the stream ends; returns why.
async fn drain(engine: &Engine, since: Option<EngineTime>, queue: &mpsc::Sender<StreamItem>) -> String {
    let (docker, response) = match engine.handle("") {
        Ok(handle) => handle,
        Err(error) => return in_words(error),
    };
    let filters = engine.filters([
        ("type", vec!["container".to_owned()]),
        ("event", ACTIONS.map(str::to_owned).to_vec()),
    ]);
    let mut options = EventsOptionsBuilder::new().filters(&filters);
    if let Some(EngineTime(at)) = since {
        options = options.since(&format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000));
    }
    let mut stream = Box::pin(docker.events(Some(options.build())));
    let opened = timeout(OPEN_WITHIN, async {
        tokio::select! {
            biased;
            () = response.answered() => None,
            first = stream.next() => Some(first),
        }
    });
    let mut first = match opened.await {
        Ok(first) => first,
        Err(_) => return "no answer within 10 s".to_owned(),
    };
    if response.status() == 200 && queue.try_send(StreamItem::Opened(engine.began().await)).is_err() {
        return "the queue is full".to_owned();
    }
    loop {
        let item = match first.take() {
            Some(item) => item,
            None => stream.next().await,
        };
        let message = match item {
            Some(Ok(message)) => message,
            Some(Err(error)) => return in_words(engine_error(engine.socket(), "", error)),
            None => return "the engine ended it".to_owned(),
        };
        let Some(event) = convert::event(message) else { continue };
        if queue.try_send(StreamItem::Event(event)).is_err() {
            return format!("more than {} events were waiting", queue.max_capacity());
        }
    }
}

fn in_words(error: EngineError) -> String {
    match error {
        EngineError::NotFound => "not found".to_owned(),
        EngineError::Refused { status, message } => format!("refused with {status}: {message}"),
        EngineError::Deadline => "no answer in time".to_owned(),
        EngineError::Unreachable(words) | EngineError::BadAnswer(words) => words,
    }
}
