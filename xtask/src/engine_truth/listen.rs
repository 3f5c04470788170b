//! A thread that hears the engine's events of containers, so that none is lost to the ring or to the engine's end.

use super::api::Api;
use crate::engine::percent_encode;
use crate::http;
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No row takes longer.
const ROW: Duration = Duration::from_secs(600);
/// What a watchdog asks for; checks alone make three more each.
const ACTIONS: [&str; 12] = [
    "create", "start", "die", "kill", "stop", "restart", "oom", "pause", "unpause", "rename", "update", "destroy",
];

/// Events heard so far, oldest first, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<(Vec<Value>, Option<Instant>)>>);

impl Heard {
    fn push(&self, event: Value) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |it: &Value| it["timeNano"] == event["timeNano"] && it["Action"] == event["Action"];
        if !heard.0.iter().any(same) {
            heard.0.push(event);
            heard.1 = Some(Instant::now());
        }
    }

    /// All since the last call.
    pub(super) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// When the last one was heard.
    pub(super) fn last(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Hears of this run's containers until the engine ends the stream.
pub(super) fn listen(api: &Api, since_ns: u64, heard: &Heard) -> Result<JoinHandle<()>> {
    let mut events: Vec<&str> = ACTIONS.to_vec();
    events.push("health_status");
    let filters =
        percent_encode(&json!({ "type": ["container"], "event": events, "label": api.label_filter() }).to_string());
    let since = format!("{}.{:09}", since_ns / 1_000_000_000, since_ns % 1_000_000_000);
    let path = format!("/events?since={since}&filters={filters}");
    let heard = heard.clone();
    let (_, mut rest) = http::open(&api.socket, "GET", &path, "application/json", &[], ROW)?;
    Ok(std::thread::spawn(move || {
        let mut text = Vec::new();
        // The stream ends with the engine: that is no fault.
        while let Ok(Some(chunk)) = http::read_chunk(&mut rest) {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                if let Ok(event) = serde_json::from_slice(&line) {
                    heard.push(event);
                }
            }
        }
    }))
}
