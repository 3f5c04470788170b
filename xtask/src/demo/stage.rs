//! What all scenes share: the daemons, the engine, the receiver, and the ways to observe them from outside.
//!
//! Contract: every wait has a bound and fails on Ctrl-C. It does not know the scenes.

use super::receiver::Receiver;
use super::ui::{Tone, Ui};
use crate::engine::{Engine, percent_encode};
use crate::fleet::{ENGINE, Fleet, HOST};
use crate::interrupt;
use crate::victims::Victim;
use anyhow::Result;
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often something is looked at from outside.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(5);

/// See the file.
pub(crate) struct Stage<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) engine: &'a Engine,
    pub(crate) receiver: &'a Receiver,
}

/// A fault's moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: Instant,
    wall_ms: u64,
}

impl Fault {
    /// Now.
    pub(crate) fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            at: Instant::now(),
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The victim's place in the tree.
pub(crate) fn subject(victim: &Victim) -> String {
    format!("{HOST}/{ENGINE}/{}", victim.name)
}

impl Stage<'_> {
    /// Waits until container-watchdog's API shows the first event about the victim since the fault: the product knows.
    pub(crate) fn await_seen(
        &self,
        fleet: &Fleet,
        victim: &Victim,
        fault: Fault,
        within: Duration,
    ) -> Result<Duration> {
        let subject = subject(victim);
        let path = format!("/api/v1/events?subject={}&limit=50", percent_encode(&subject));
        let what = format!("no event about {subject}");
        let poll = || {
            // It may be dead or frozen just now, by our own doing: then it shows nothing.
            let answer = fleet
                .get("container-docker", &path)
                .ok()
                .filter(|answer| answer.status == 200);
            let Some(json) = answer.and_then(|answer| answer.json().ok()) else {
                return Ok(None);
            };
            let events = json["events"].as_array().map(Vec::as_slice).unwrap_or_default();
            let since = |event: &Value| event["wall_ms"].as_u64().is_some_and(|wall| fault.wall_ms <= wall);
            Ok(events.iter().any(since).then_some(()))
        };
        interrupt::wait(&what, fault.at, within, POLL_EVERY, poll).map(|((), after)| after)
    }

    /// Waits for an alert about a subject in that state.
    pub(crate) fn await_alert(
        &self,
        subject: &str,
        states: &[&str],
        start: Instant,
        within: Duration,
    ) -> Result<Duration> {
        let what = format!("no alert about {subject} being {}", states.join(" or "));
        let poll = || Ok(self.receiver.first(start, |body| is_about(body, subject, states)));
        interrupt::wait(&what, start, within, POLL_EVERY, poll).map(|(post, _)| post.at.duration_since(start))
    }

    /// Waits until a daemon's tree shows all of these subjects in one of those states.
    pub(crate) fn await_states(
        &self,
        fleet: &Fleet,
        daemon: &str,
        subjects: &[String],
        states: &[&str],
        within: Duration,
    ) -> Result<Duration> {
        let mut open: Vec<(String, Option<String>)> = Vec::new();
        let start = Instant::now();
        let waited = interrupt::wait(
            &format!("{daemon}: not all {}", states.join(" or ")),
            start,
            within,
            POLL_EVERY * 4,
            || {
                let json = fleet
                    .get(daemon, "/api/v1/tree")
                    .ok()
                    .and_then(|answer| answer.json().ok())
                    .unwrap_or_default();
                open = subjects
                    .iter()
                    .map(|subject| (subject.clone(), find_state(&json["tree"], subject)))
                    .collect();
                open.retain(|(_, found)| !found.as_deref().is_some_and(|found| states.contains(&found)));
                Ok(open.is_empty().then_some(()))
            },
        );
        waited
            .map(|((), took)| took)
            .map_err(|error| error.context(format!("still open: {open:?}")))
    }

    /// Says a line.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        self.ui.say(tone, text);
    }
}

/// True for an alert about that subject in one of those states, wherever in the body the incident stands.
pub(crate) fn is_about(body: &Value, subject: &str, states: &[&str]) -> bool {
    let incident = if body["incident"].is_object() {
        &body["incident"]
    } else {
        body
    };
    incident["subject"] == subject && incident["state"].as_str().is_some_and(|state| states.contains(&state))
}

fn find_state(nodes: &Value, subject: &str) -> Option<String> {
    let nodes = nodes.as_array()?;
    nodes.iter().find_map(|node| {
        if node["subject"] == subject {
            return node["state"].as_str().map(str::to_owned);
        }
        find_state(&node["children"], subject)
    })
}
