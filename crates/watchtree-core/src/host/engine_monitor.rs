//! Probes of one engine, and what follows from them. For reports only: nothing is repaired by it.
//!
//! One failed `_ping` is a suspicion, two in a row say that the engine does not answer. A list or `/info` that fails
//! while `_ping` answers makes it DEGRADED. What answers those would have answered a `_ping`, which is not sent then. What fails
//! is asked again at once: a frozen daemon is known 4.25 s after it froze at the latest, a frozen containerd after 14 s. The caller says which results count: one that the
//! caller's own stall spoilt is not a probe that failed. Does not know how an engine is asked, nor its container-watchdog.

use super::io::{EngineProbe, HostPolicy, ProbeAnswer};
use crate::container::io::EngineError;
use crate::deadlines::Deadlines;
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
/// While a probe fails, it is begun again this long after its beginning, or at its end.
const DOUBT_EVERY: Duration = Duration::from_secs(1);
/// A ping waits so long for the answer to another probe that was begun just before, which says as much.
const PING_WAITS: Duration = Duration::from_millis(250);

/// When to probe, what is awaited, and the newest results.
#[derive(Clone, Debug)]
pub(super) struct EngineMonitor {
    ping_every: Duration,
    list_every: Duration,
    info_every: Duration,
    timers: Deadlines<EngineProbe>,
    /// When each was begun that is not answered.
    awaited: BTreeMap<EngineProbe, Moment>,
    /// The last ping was answered, and no other is wanted at once.
    ping_may_wait: bool,
    results: BTreeMap<EngineProbe, ProbeResult>,
    live_restore: Option<bool>,
}

/// What is ill of an engine, the weakest cure first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EngineFault {
    /// The daemon answers, and does not reach containerd.
    Containerd,
    /// The daemon takes connections, and does not answer.
    Daemon,
    /// There is no daemon to connect to.
    Away,
}

/// See [`EngineMonitor::fault`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    pub(super) kind: EngineFault,
    /// When the first of the failed probes was begun.
    pub(super) since: Moment,
    /// When the newest was.
    pub(super) newest: Moment,
}

#[derive(Clone, Debug)]
struct ProbeResult {
    began: Moment,
    at: Moment,
    /// In a row.
    failures: u32,
    /// When the first of those was begun.
    failing_since: Option<Moment>,
    /// Since when it has been answered each time.
    well_since: Option<Moment>,
    /// Nothing took the connection.
    is_away: bool,
    answer: Result<String, String>,
}

/// What is believed of the engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct EngineVerdict {
    pub(super) state: State,
    pub(super) level: Level,
    pub(super) why: String,
    pub(super) evidence: Vec<Evidence>,
}

impl EngineMonitor {
    /// Every probe is due at once.
    pub(super) fn new(now: Moment, policy: &HostPolicy) -> Self {
        let mut timers = Deadlines::default();
        EngineProbe::ALL.into_iter().for_each(|probe| timers.arm(probe, now));
        Self {
            ping_every: policy.ping_every,
            list_every: policy.list_every,
            info_every: policy.info_every,
            timers,
            awaited: BTreeMap::new(),
            ping_may_wait: false,
            results: BTreeMap::new(),
            live_restore: None,
        }
    }

    /// Do its containers survive its own end?
    pub(super) fn live_restore(&self) -> Option<bool> {
        self.live_restore
    }

    /// It should answer again by now: all is asked.
    pub(super) fn ask_all(&mut self, now: Moment) {
        self.ping_may_wait = false;
        EngineProbe::ALL
            .into_iter()
            .for_each(|probe| self.timers.arm(probe, now));
    }

    /// Every probe that was begun since then was answered, and there was one of each.
    pub(super) fn answers_since(&self, at: Moment) -> bool {
        let answered = |probe| {
            let result = self.results.get(&probe);
            result.is_some_and(|it| it.answer.is_ok() && at <= it.began)
        };
        EngineProbe::ALL.into_iter().all(answered)
    }

    /// What is ill. Only a verdict counts. What a part stands on cannot be judged before the part itself answers: what failed
    /// together with it may be back as well, and its failure still on its way.
    pub(super) fn fault(&self) -> Option<Fault> {
        let failing = |probe| self.results.get(&probe).filter(|it| FAILURES <= it.failures);
        let fault = |kind, it: &ProbeResult| {
            let others = self.results.values().filter_map(|it| it.well_since).max();
            let since = it.failing_since.unwrap_or(it.began);
            Fault {
                kind,
                since: since.max(others.unwrap_or(since)),
                newest: it.began,
            }
        };
        if let Some(it) = failing(EngineProbe::Ping) {
            let kind = if it.is_away {
                EngineFault::Away
            } else {
                EngineFault::Daemon
            };
            return Some(fault(kind, it));
        }
        if self.failing(EngineProbe::Ping).is_some() {
            return None;
        }
        if let Some(it) = failing(EngineProbe::List) {
            return Some(fault(EngineFault::Daemon, it));
        }
        failing(EngineProbe::Info).map(|it| fault(EngineFault::Containerd, it))
    }

    /// When the next probe is due.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// The next probe to begin now.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<EngineProbe> {
        let mut probe = self.timers.pop_due(now)?;
        if probe == EngineProbe::Ping && self.ping_may_wait {
            let other = self.timers.pop_due(now);
            if other.is_some() || self.awaited.values().any(|began| now < *began + PING_WAITS) {
                self.timers.arm(probe, now + PING_WAITS);
                probe = other?;
            }
        }
        self.awaited.insert(probe, now);
        // Still awaited after its deadline and more: its answer was lost, ask anew.
        let again = self.interval(probe).max(probe.within() + LOST_AFTER);
        self.timers.arm(probe, now + again);
        Some(probe)
    }

    /// A probe that took `took` has ended. One that nobody awaits is ignored, one that does not `count` leaves the newest
    /// result as it was. True if there is a new result.
    pub(super) fn probed(
        &mut self,
        now: Moment,
        took: Duration,
        probe: EngineProbe,
        result: Result<ProbeAnswer, EngineError>,
        counts: bool,
    ) -> bool {
        if self.awaited.remove(&probe).is_none() {
            return false;
        }
        let (before, failing_since, well_since) = match self.results.get(&probe) {
            Some(result) => (result.failures, result.failing_since, result.well_since),
            None => (0, None, None),
        };
        let began = now.saturating_sub(took);
        let failures = match (&result, counts) {
            (Ok(_), _) => 0,
            (Err(_), true) => before.saturating_add(1),
            (Err(_), false) => before,
        };
        let every = if 0 < failures {
            DOUBT_EVERY
        } else {
            self.interval(probe)
        };
        self.timers.arm(probe, now + every.saturating_sub(took));
        match probe {
            EngineProbe::Ping => self.ping_may_wait = result.is_ok(),
            EngineProbe::List | EngineProbe::Info if result.is_ok() => self.spare_ping(began),
            EngineProbe::List | EngineProbe::Info => {}
        }
        if !counts {
            return false;
        }
        let known = result.as_ref().ok().and_then(|answer| answer.live_restore);
        self.live_restore = known.or(self.live_restore);
        let result = ProbeResult {
            began,
            at: now,
            failures,
            failing_since: result.is_err().then(|| failing_since.unwrap_or(began)),
            well_since: result.is_ok().then(|| well_since.unwrap_or(now)),
            is_away: matches!(result, Err(EngineError::Unreachable(_))),
            answer: result
                .map(|said| format!("{} in {} ms", said.words, took.as_millis()))
                .map_err(|error| in_words(&error)),
        };
        self.results.insert(probe, result);
        true
    }

    /// Another probe that was begun then was answered: a ping begun then would have been as well.
    fn spare_ping(&mut self, began: Moment) {
        let due = self.timers.get(&EngineProbe::Ping);
        if self.ping_may_wait && !self.awaited.contains_key(&EngineProbe::Ping) {
            let later = due.max(Some(began + self.ping_every));
            later.into_iter().for_each(|at| self.timers.arm(EngineProbe::Ping, at));
        }
    }

    /// What the newest results say.
    pub(super) fn verdict(&self) -> EngineVerdict {
        let (state, level, why) = self.state();
        let evidence = self.results.iter().map(|(probe, result)| {
            let detail = match &result.answer {
                Ok(said) => format!("{} answered: {said}", probe.as_str()),
                Err(why) => format!("{} failed {} times in a row: {why}", probe.as_str(), result.failures),
            };
            Evidence::new(EvidenceKind::EngineProbe, result.at, detail)
        });
        EngineVerdict {
            state,
            level,
            why,
            evidence: evidence.collect(),
        }
    }

    fn state(&self) -> (State, Level, String) {
        if let Some((failures, why)) = self.failing(EngineProbe::Ping) {
            return if FAILURES <= failures {
                let why = format!("the engine does not answer: {why}");
                (State::Unreachable, Level::Strong, why)
            } else {
                (State::Suspect, Level::Weak, format!("a ping failed: {why}"))
            };
        }
        for probe in [EngineProbe::List, EngineProbe::Info] {
            if let Some((_, why)) = self.failing(probe).filter(|(failures, _)| FAILURES <= *failures) {
                let why = format!("{} fails: {why}", probe.as_str());
                return (State::Degraded, Level::Strong, why);
            }
        }
        if self.results.contains_key(&EngineProbe::Ping) {
            (State::Ok, Level::Certain, "answers".to_string())
        } else {
            (State::Unknown, Level::None, "not asked yet".to_string())
        }
    }

    fn interval(&self, probe: EngineProbe) -> Duration {
        match probe {
            EngineProbe::Ping => self.ping_every,
            EngineProbe::List => self.list_every,
            EngineProbe::Info => self.info_every,
        }
    }

    fn failing(&self, probe: EngineProbe) -> Option<(u32, &str)> {
        let result = self.results.get(&probe)?;
        let why = result.answer.as_ref().err()?;
        Some((result.failures, why))
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

#[cfg(test)]
mod tests {
    //! Verdicts from results, and when the engine is asked again.
    use super::*;

    const TOOK: Duration = Duration::from_millis(5);

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn dead() -> Result<ProbeAnswer, EngineError> {
        Err(EngineError::Deadline)
    }

    /// Answers every due probe of that kind with `result`, all others well.
    fn round(
        monitor: &mut EngineMonitor,
        ms: u64,
        bad: EngineProbe,
        result: &Result<ProbeAnswer, EngineError>,
    ) -> State {
        while let Some(probe) = monitor.pop_due(at(ms)) {
            let result = if probe == bad {
                result.clone()
            } else {
                Ok("29.1".into())
            };
            monitor.probed(at(ms), TOOK, probe, result, true);
        }
        monitor.verdict().state
    }

    #[test]
    fn two_failures_in_a_row_make_a_verdict() {
        for (bad, states) in [
            (EngineProbe::Ping, [State::Suspect, State::Unreachable]),
            (EngineProbe::List, [State::Ok, State::Degraded]),
            (EngineProbe::Info, [State::Ok, State::Degraded]),
        ] {
            let mut monitor = EngineMonitor::new(at(0), &HostPolicy::default());
            assert_eq!(monitor.verdict().state, State::Unknown);
            let seen = [0, 60_000].map(|ms| round(&mut monitor, ms, bad, &dead()));
            assert_eq!(seen, states, "{bad:?}");
            assert_eq!(round(&mut monitor, 120_000, bad, &Ok("".into())), State::Ok);
        }
    }

    #[test]
    fn a_result_that_does_not_count_or_is_not_awaited_changes_nothing() {
        let mut monitor = EngineMonitor::new(at(0), &HostPolicy::default());
        while monitor.pop_due(at(0)).is_some() {}
        let mut probed = |ms, counts| monitor.probed(at(ms), TOOK, EngineProbe::Ping, dead(), counts);
        assert!(!probed(5, false));
        assert!(!probed(6, true), "it was answered before");
        assert_eq!(monitor.verdict().state, State::Unknown);
    }

    #[test]
    fn a_lost_answer_is_asked_for_anew() {
        let mut monitor = EngineMonitor::new(at(0), &HostPolicy::default());
        while monitor.pop_due(at(0)).is_some() {}
        assert_eq!(monitor.next_deadline(), Some(at(11_000)), "a second for it, and ten");
        monitor.probed(at(5), TOOK, EngineProbe::Ping, Ok("".into()), true);
        assert_eq!(
            monitor.next_deadline(),
            Some(at(2000)),
            "every two seconds from its begin"
        );
    }

    /// Milliseconds from the freezing of a part, just after what was probed then was answered, to the verdict.
    fn known_after(bad: EngineProbe, frozen_ms: u64) -> u64 {
        let mut monitor = EngineMonitor::new(at(0), &HostPolicy::default());
        let mut open: Vec<(Moment, Duration, EngineProbe, bool)> = Vec::new();
        for ms in (0..60_000).step_by(5) {
            for (_, took, probe, is_frozen) in open.extract_if(.., |it| it.0 <= at(ms)) {
                let result = if is_frozen { dead() } else { Ok("".into()) };
                monitor.probed(at(ms), took, probe, result, true);
            }
            while let Some(probe) = monitor.pop_due(at(ms)) {
                // Nothing answers while the daemon itself is frozen.
                let is_frozen = [probe, EngineProbe::Ping].contains(&bad) && frozen_ms < ms;
                let took = if is_frozen { probe.within() } else { TOOK };
                open.push((at(ms) + took, took, probe, is_frozen));
            }
            if Level::Strong <= monitor.verdict().level && monitor.verdict().state != State::Ok {
                return ms - frozen_ms;
            }
        }
        panic!("it is never known");
    }

    #[test]
    fn a_frozen_part_is_known_within_its_bound() {
        for (bad, known_ms) in [
            (EngineProbe::Ping, 4250),
            (EngineProbe::List, 8000),
            (EngineProbe::Info, 14_000),
        ] {
            let worst = (0..24_000).step_by(250).map(|ms| known_after(bad, ms)).max();
            assert_eq!(worst, Some(known_ms), "{bad:?}");
        }
    }

    #[test]
    fn a_ping_is_spared_where_another_probe_is_answered() {
        let mut monitor = EngineMonitor::new(at(0), &HostPolicy::default());
        let mut pings = Vec::new();
        for ms in (0..16_000).step_by(5) {
            while let Some(probe) = monitor.pop_due(at(ms)) {
                monitor.probed(at(ms), Duration::ZERO, probe, Ok("".into()), true);
                if probe == EngineProbe::Ping {
                    pings.push(ms);
                }
            }
            if ms == 9000 {
                monitor.ask_all(at(ms));
            }
        }
        // Lists are asked for at 4, 8, and from 9 on every 4 s.
        assert_eq!(pings, [0, 2000, 6000, 9005, 11_005, 15_005]);
    }
}
