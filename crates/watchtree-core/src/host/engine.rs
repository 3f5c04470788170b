//! Probes of the engines: reporting only.
//!
//! One failed `_ping` is a suspicion, two in a row say that the engine does not answer. A list or `/info` that fails
//! while `_ping` answers makes it DEGRADED. What fails while this daemon is not itself well counts for nothing.

use super::HostAgent;
use super::io::{EngineProbe, HostEffect};
use crate::container::io::EngineError;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// An answer that never comes (a defect of the driver) is not waited for longer than this beyond its deadline.
const LOST_AFTER: Duration = Duration::from_secs(10);
/// So many failures in a row make a verdict.
const FAILURES: u32 = 2;

#[derive(Clone, Debug)]
pub(super) struct Engine {
    probes: BTreeMap<EngineProbe, Probe>,
}

#[derive(Clone, Debug, Default)]
struct Probe {
    next: Moment,
    waiting: bool,
    failures: u32,
    last: Option<(Moment, Result<String, String>)>,
}

impl Engine {
    pub(super) fn new(now: Moment) -> Self {
        let probe = |probe| {
            (
                probe,
                Probe {
                    next: now,
                    ..Probe::default()
                },
            )
        };
        Self {
            probes: EngineProbe::ALL.into_iter().map(probe).collect(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.probes.values().map(|probe| probe.next).min()
    }

    /// What is believed of the engine, how sure, why, and on what facts.
    pub(super) fn words(&self) -> (State, Level, String, Vec<Evidence>) {
        let mut evidence = Vec::new();
        for (kind, probe) in &self.probes {
            if let Some((at, last)) = &probe.last {
                let detail = match last {
                    Ok(said) => format!("{} answered: {said}", kind.as_str()),
                    Err(why) => format!("{} failed {} times in a row: {why}", kind.as_str(), probe.failures),
                };
                evidence.push(Evidence::new(EvidenceKind::EngineProbe, *at, detail));
            }
        }
        let failing = |kind: EngineProbe| {
            let probe = self.probes.get(&kind)?;
            let (_, last) = probe.last.as_ref()?;
            last.as_ref().err().map(|why| (probe.failures, why.clone()))
        };
        if let Some((failures, why)) = failing(EngineProbe::Ping) {
            if FAILURES <= failures {
                return (
                    State::Unreachable,
                    Level::Strong,
                    format!("the engine does not answer: {why}"),
                    evidence,
                );
            }
            return (State::Suspect, Level::Weak, format!("a ping failed: {why}"), evidence);
        }
        for kind in [EngineProbe::List, EngineProbe::Info] {
            if let Some((_, why)) = failing(kind).filter(|(failures, _)| FAILURES <= *failures) {
                let line = format!("{} fails: {why}", kind.as_str());
                return (State::Degraded, Level::Strong, line, evidence);
            }
        }
        match self
            .probes
            .get(&EngineProbe::Ping)
            .and_then(|probe| probe.last.as_ref())
        {
            Some(_) => (State::Ok, Level::Certain, "answers".to_string(), evidence),
            None => (State::Unknown, Level::None, "not asked yet".to_string(), evidence),
        }
    }
}

impl HostAgent {
    pub(super) fn engines_due(&mut self, now: Moment) {
        let policy = &self.policy;
        for (name, engine) in &mut self.engines {
            for (kind, probe) in &mut engine.probes {
                if now < probe.next {
                    continue;
                }
                // Still waiting after its deadline and more: its answer was lost, ask anew.
                let every = if *kind == EngineProbe::Info {
                    policy.info_every
                } else {
                    policy.probe_every
                };
                probe.waiting = true;
                probe.next = now + every.max(kind.within() + LOST_AFTER);
                let within = kind.within();
                self.effects.push_back(HostEffect::ProbeEngine {
                    engine: name.clone(),
                    probe: *kind,
                    within,
                });
            }
        }
    }

    pub(super) fn probed(
        &mut self,
        now: Moment,
        engine: &str,
        kind: EngineProbe,
        took: Duration,
        result: Result<String, EngineError>,
    ) {
        let judged = self.own.may_judge(now) || result.is_ok();
        let every = if kind == EngineProbe::Info {
            self.policy.info_every
        } else {
            self.policy.probe_every
        };
        let Some(probe) = self
            .engines
            .get_mut(engine)
            .and_then(|engine| engine.probes.get_mut(&kind))
        else {
            return;
        };
        if !core::mem::take(&mut probe.waiting) {
            return;
        }
        probe.next = now + every.saturating_sub(took);
        // A probe that this daemon's own stall spoilt is not a probe that failed.
        if !judged {
            return;
        }
        let last = result
            .map(|said| format!("{said} in {} ms", took.as_millis()))
            .map_err(|error| in_words(&error));
        probe.failures = if last.is_ok() { 0 } else { probe.failures + 1 };
        probe.last = Some((now, last));
        self.tell_engine(now, engine);
    }
}

fn in_words(error: &EngineError) -> String {
    match error {
        EngineError::NotFound => "not found".to_string(),
        EngineError::Refused { status, message } => format!("refused with {status}: {message}"),
        EngineError::Deadline => "no answer within the deadline".to_string(),
        EngineError::Unreachable(why) => why.clone(),
        EngineError::BadAnswer(why) => format!("unreadable answer: {why}"),
    }
}
