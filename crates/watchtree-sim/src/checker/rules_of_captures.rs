//! Rules about what is captured before a stop destroys it.
//!
//! `capture_delays_none`  no stop waits longer for its capture than the capture may take, whether or not it comes

use super::facts::HostFacts;
use super::reported::Broken;
use crate::log::Observation;
use std::collections::BTreeMap;
use watchtree_core::container::io::{ContainerId, EngineCall, Record};
use watchtree_core::decision::Outcome;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Duration, Moment};

/// A capture may hold a repair up for so long.
const WITHIN: Duration = Duration::from_millis(300);
/// A timer rings that much later at most.
const ROUNDED: Duration = Duration::from_millis(1);

/// A stop that waits for its capture.
#[derive(Debug)]
struct Waiting {
    subject: Option<SubjectId>,
    since: Moment,
}

/// The captures of one host that are waited for.
#[derive(Debug, Default)]
pub(super) struct Captures(BTreeMap<ContainerId, Waiting>);

impl Captures {
    /// Reads on.
    pub(super) fn take(&mut self, host: &HostFacts, now: Moment, what: &Observation) {
        match what {
            Observation::CaptureAsked {
                id, holds_a_stop: true, ..
            } => {
                let subject = host.find(id).map(|place| host.subject(place));
                self.0.insert(id.clone(), Waiting { subject, since: now });
            }
            Observation::Posted {
                id,
                call: EngineCall::Stop { .. },
                ..
            } => drop(self.0.remove(id)),
            Observation::Recorded {
                record: Record::Decided(decision),
                ..
            } if decision.outcome != Outcome::UnderWay => {
                self.0.retain(|_, it| it.subject.as_ref() != Some(&decision.subject));
            }
            Observation::ProcessEnded { .. } | Observation::PowerLost { .. } | Observation::GoesDown { .. }
                if !host.child.exists || host.going_down.is_some() =>
            {
                self.0.clear();
            }
            // What stood still, or has missed events, looks again first: it is not the capture that holds it up.
            Observation::StreamClosed { .. } | Observation::Frozen { .. } => self.0.clear(),
            _ => {}
        }
    }

    /// Every quarter of a second.
    ///
    /// # Errors
    /// The broken rule.
    pub(super) fn check(&self, now: Moment) -> Result<(), Broken> {
        let late = |it: &&Waiting| it.since + WITHIN + ROUNDED < now;
        match self.0.iter().find(|(_, it)| late(it)) {
            Some((id, it)) => {
                let waits = now.since(it.since);
                Err((
                    "capture_delays_none",
                    format!("{id:.6} is captured since {waits:?}, and not stopped"),
                ))
            }
            None => Ok(()),
        }
    }
}
