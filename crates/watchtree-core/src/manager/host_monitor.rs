//! One host as the manager sees it from outside.
//!
//! ```text
//!              Hello                          freshness point passed
//!   Unknown ──────────▶ Well ──────────────────────────────────────────▶ Suspect ── a round: Ping, and a probe whether
//!      │                 ▲ ▲ ▲                                             │  │  ▲    its kernel answers; `rounds` of them
//!      │ return_within   │ │ └──────────── fresh again, or Pong ───────────┘  │  │
//!      └─▶ Suspect       │ │                                                  ▼  │ late
//!                  Hello │ └──────────── fresh again, or Pong ──────────── Lost  │
//!                        │                     AGENT LOST (its kernel answers) / UNREACHABLE (it does not, or no probe)
//!                       Left ◀── Goodbye (UNWATCHED, never DOWN) ────────────────┘ its time ran out
//! ```
//!
//! Each change gives the effect that tells of it. Does not know when anything is due, nor what follows for incidents.

use super::announced_leave::AnnouncedLeave;
use super::host_probe::classify;
use super::io::{KnownHost, ManagerEffect};
use super::partition::ViewShare;
use super::suspicion::{Lost, Suspicion};
use crate::id::NodeName;
use crate::message::Look;
use crate::subject::{Incarnation, SubjectId, SubjectKind};
use crate::time::{Moment, WallTime};
use crate::tree::{Book, unknown};
use crate::verdict::{Evidence, EvidenceKind, Level, ObserverHealth, State, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// The manager at the moment it judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observer<'a> {
    pub(super) name: &'a NodeName,
    pub(super) health: ObserverHealth,
    pub(super) now: Moment,
    pub(super) wall: WallTime,
}

/// See the file's head.
#[derive(Clone, Debug)]
pub(super) struct HostMonitor {
    known: KnownHost,
    phase: Phase,
    /// The manager's own word on it: shown at its top unless it is well and speaks for itself.
    verdict: Verdict,
    is_unconfirmed: bool,
}

/// Where a host stands; see the diagram.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Unknown,
    Well,
    Suspect(Suspicion),
    Lost(Lost),
    Left,
}

impl HostMonitor {
    pub(super) fn new(now: Moment, known: KnownHost, observer: &NodeName) -> Self {
        let verdict = Verdict {
            why: "not heard since this manager started".to_string(),
            ..unknown(known.scope.clone(), SubjectKind::Host, observer.clone(), now)
        };
        Self {
            known,
            phase: Phase::Unknown,
            verdict,
            is_unconfirmed: false,
        }
    }

    pub(super) const fn known(&self) -> &KnownHost {
        &self.known
    }

    /// The top of what it reports.
    pub(super) const fn scope(&self) -> &SubjectId {
        &self.known.scope
    }

    pub(super) const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// True while only this manager could probe it.
    pub(super) const fn is_unconfirmed(&self) -> bool {
        self.is_unconfirmed
    }

    pub(super) const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What it says of those below is believed.
    pub(super) const fn is_well(&self) -> bool {
        matches!(self.phase, Phase::Well)
    }

    /// It was neither heard nor judged yet.
    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::Unknown)
    }

    /// It is well, or that is only doubted.
    pub(super) const fn is_heard(&self) -> bool {
        matches!(self.phase, Phase::Well | Phase::Suspect(_))
    }

    pub(super) const fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost(_))
    }

    pub(super) fn is_unreachable(&self) -> bool {
        self.verdict.state == State::Unreachable
    }

    /// The manager's own word where it takes the place of the host's: the host is not heard, or has said nothing yet.
    pub(super) fn own_word(&self, reported: &Book) -> Option<&Verdict> {
        let speaks = self.is_well() && reported.get(self.scope()).is_some();
        (!speaks).then_some(&self.verdict)
    }

    /// What it adds to the view. One that announced its absence says nothing of our own view, also where it stays away for
    /// too long.
    pub(super) fn share(&self) -> ViewShare {
        match &self.phase {
            _ if self.known.left.is_some() => ViewShare::NOTHING,
            Phase::Left => ViewShare::NOTHING,
            Phase::Suspect(_) => ViewShare::SILENT,
            Phase::Lost(_) if self.is_unreachable() => ViewShare::SILENT,
            Phase::Unknown | Phase::Well | Phase::Lost(_) => ViewShare::HEARD,
        }
    }

    pub(super) fn set_known(&mut self, known: KnownHost) {
        self.known = known;
    }

    /// A fresh sign of life was taken.
    pub(super) fn hear(&mut self, observer: Observer<'_>) -> Option<ManagerEffect> {
        let why = match self.verdict.state {
            State::Unknown => "heard".to_string(),
            was => format!("heard again after {}", was.as_str()),
        };
        let verdict = self.judged(observer, (State::Ok, Level::Certain), why, Vec::new());
        self.enter(observer.now, Phase::Well, verdict)
    }

    /// Its absence is announced.
    pub(super) fn leave(&mut self, observer: Observer<'_>, leave: AnnouncedLeave) -> Option<ManagerEffect> {
        self.known.left = Some(leave);
        let why = leave.why();
        let evidence = vec![Evidence::new(EvidenceKind::Goodbye, observer.now, why.clone())];
        let verdict = self.judged(observer, (State::Unwatched, Level::Certain), why, evidence);
        self.enter(observer.now, Phase::Left, verdict)
    }

    /// It is missed: rounds of confirmation begin.
    pub(super) fn suspect(&mut self, observer: Observer<'_>, evidence: Evidence) -> Option<ManagerEffect> {
        let why = format!("{}; asking it and looking whether its kernel answers", evidence.detail);
        let verdict = self.judged(observer, (State::Suspect, Level::Weak), why, vec![evidence]);
        self.enter(observer.now, Phase::Suspect(Suspicion::default()), verdict)
    }

    /// Says what the probes lead to; `rounds` Pings were not answered meanwhile. Silence alone never leads to DOWN.
    pub(super) fn conclude(&mut self, observer: Observer<'_>, result: &Look, rounds: u32) -> Option<ManagerEffect> {
        let (now, finding) = (observer.now, classify(result)?);
        // A manager that is not well itself is no strong witness.
        let is_believed = observer.health < ObserverHealth(ObserverHealth::DEGRADED);
        let level = if is_believed { finding.level } else { Level::Weak };
        let why = match self.known.left {
            Some(leave) => format!("{}; {}", leave.overdue(observer.wall), finding.why),
            None => finding.why,
        };
        let mut evidence = self.verdict.evidence.clone();
        if 0 < rounds {
            let unanswered = format!("{rounds} pings on the link unanswered");
            evidence.push(Evidence::new(EvidenceKind::Ping, now, unanswered));
        }
        evidence.push(Evidence::new(finding.kind, now, finding.detail));
        if Evidence::COUNT_MAX < evidence.len() {
            // The first one stays: by it the host was missed.
            evidence.drain(1..=evidence.len() - Evidence::COUNT_MAX);
        }
        let verdict = self.judged(observer, (finding.state, level), why, evidence);
        self.is_unconfirmed = finding.state == State::Unreachable;
        self.enter(now, Phase::Lost(Lost::by(result)), verdict)
    }

    /// Its probe begins: a round of the suspicion, or one of a lost host.
    pub(super) const fn begin_probe(&mut self, nonce: u64) {
        match &mut self.phase {
            Phase::Suspect(suspicion) => suspicion.begin_round(nonce),
            Phase::Lost(lost) => lost.begin_probe(nonce),
            Phase::Unknown | Phase::Well | Phase::Left => (),
        }
    }

    /// The result of a probe.
    pub(super) fn take_probe(&mut self, nonce: u64, result: Look) {
        match &mut self.phase {
            Phase::Suspect(suspicion) => suspicion.take(nonce, result),
            Phase::Lost(lost) => lost.take(nonce, result),
            Phase::Unknown | Phase::Well | Phase::Left => (),
        }
    }

    /// The time of a probe is over: the result that a verdict follows from, and how many rounds led to it.
    pub(super) fn end_probe(&mut self, rounds: u32) -> Option<(Look, u32)> {
        match &mut self.phase {
            Phase::Suspect(suspicion) => suspicion.end_round(rounds),
            Phase::Lost(lost) => lost.end_probe(self.verdict.state, rounds).map(|result| (result, 0)),
            Phase::Unknown | Phase::Well | Phase::Left => None,
        }
    }

    /// After a stall of the manager: what was being concluded begins anew.
    pub(super) fn restart_conclusion(&mut self) {
        match &mut self.phase {
            Phase::Suspect(suspicion) => *suspicion = Suspicion::default(),
            Phase::Lost(lost) => *lost = lost.restarted(),
            Phase::Unknown | Phase::Well | Phase::Left => (),
        }
    }

    /// Notes that no incident is opened of it; true the first time since it is lost.
    pub(super) const fn suppress_incident(&mut self) -> bool {
        match &mut self.phase {
            Phase::Lost(lost) => lost.suppress(),
            Phase::Unknown | Phase::Well | Phase::Suspect(_) | Phase::Left => false,
        }
    }

    fn judged(
        &self,
        observer: Observer<'_>,
        (state, level): (State, Level),
        why: String,
        evidence: Vec<Evidence>,
    ) -> Verdict {
        Verdict {
            incarnation: Incarnation(self.known.identity.boot_id.to_string()),
            state,
            level,
            why,
            evidence,
            observer_health: observer.health,
            ..unknown(
                self.known.scope.clone(),
                SubjectKind::Host,
                observer.name.clone(),
                observer.now,
            )
        }
    }

    /// The only writer of phase and verdict.
    fn enter(&mut self, now: Moment, phase: Phase, verdict: Verdict) -> Option<ManagerEffect> {
        let (from, to) = (self.verdict.state, verdict.state);
        let since = if from == to { self.verdict.since } else { now };
        (self.phase, self.verdict) = (phase, Verdict { since, ..verdict });
        let (subject, why) = (self.verdict.subject.clone(), self.verdict.why.clone());
        (from != to).then_some(ManagerEffect::StateChanged { subject, from, to, why })
    }
}

#[cfg(test)]
mod tests {
    //! One host's way through its phases, without a manager.
    use super::*;
    use crate::fixture::{identity, name, subject};
    use crate::id::Tier;
    use crate::message::{Capabilities, Goodbye};

    fn monitor() -> HostMonitor {
        let known = KnownHost {
            identity: identity("h1", Tier::Host, 1),
            capabilities: Capabilities(0),
            scope: subject("h1"),
            look_at: Vec::new(),
            seen: WallTime(0),
            left: None,
        };
        HostMonitor::new(Moment::ZERO, known, &name("manager"))
    }

    fn at(name: &NodeName, secs: u64) -> Observer<'_> {
        Observer {
            name,
            health: ObserverHealth(0),
            now: Moment::from_millis(secs * 1000),
            wall: WallTime(secs * 1000),
        }
    }

    fn missed(secs: u64) -> Evidence {
        Evidence::new(EvidenceKind::MissedSlot, Moment::from_millis(secs * 1000), "late")
    }

    #[test]
    fn a_change_is_told_once_and_since_is_when_it_began() {
        let (manager, mut monitor) = (name("manager"), monitor());
        assert_eq!(
            monitor.share(),
            ViewShare::HEARD,
            "nobody is blamed before it is judged"
        );
        assert!(matches!(
            monitor.hear(at(&manager, 1)),
            Some(ManagerEffect::StateChanged { to: State::Ok, .. })
        ));
        assert_eq!(monitor.hear(at(&manager, 2)), None);
        assert_eq!(monitor.verdict().since, Moment::from_millis(1000));
        assert!(monitor.suspect(at(&manager, 3), missed(3)).is_some());
        assert!(monitor.is_heard() && !monitor.is_well());
        assert_eq!(monitor.share(), ViewShare::SILENT);
        let silent = Look::Silent("tcp: no answer".to_string());
        assert!(monitor.conclude(at(&manager, 5), &silent, 2).is_some());
        assert!(monitor.is_lost() && monitor.is_unreachable() && monitor.is_unconfirmed());
        let kinds: Vec<_> = monitor.verdict().evidence.iter().map(|it| it.kind).collect();
        assert_eq!(
            kinds,
            [EvidenceKind::MissedSlot, EvidenceKind::Ping, EvidenceKind::KernelSilent]
        );
        let answered = Look::Answered("tcp refused".to_string());
        assert!(monitor.conclude(at(&manager, 7), &answered, 0).is_some());
        assert!(!monitor.is_unconfirmed());
        assert_eq!(monitor.share(), ViewShare::HEARD, "its kernel is there");
    }

    #[test]
    fn an_ill_manager_is_no_strong_witness() {
        let (manager, mut monitor) = (name("manager"), monitor());
        let ill = Observer {
            health: ObserverHealth(ObserverHealth::DEGRADED),
            ..at(&manager, 1)
        };
        monitor.conclude(ill, &Look::Answered(String::new()), 2);
        assert_eq!(
            (monitor.verdict().state, monitor.verdict().level),
            (State::AgentLost, Level::Weak)
        );
    }

    #[test]
    fn evidence_is_bounded_and_what_it_was_missed_by_stays() {
        let (manager, mut monitor) = (name("manager"), monitor());
        monitor.suspect(at(&manager, 1), missed(1));
        for secs in 2..40 {
            monitor.conclude(at(&manager, secs), &Look::Silent(String::new()), 2);
        }
        let evidence = &monitor.verdict().evidence;
        assert_eq!(
            (evidence.len(), evidence[0].kind),
            (Evidence::COUNT_MAX, EvidenceKind::MissedSlot)
        );
        assert_eq!(evidence.last().map(|it| it.at), Some(Moment::from_millis(39_000)));
    }

    #[test]
    fn who_announced_its_leave_is_unwatched_and_says_nothing_of_our_view() {
        let (manager, mut monitor) = (name("manager"), monitor());
        let leave = AnnouncedLeave {
            goodbye: Goodbye::HostShutdown,
            at: WallTime(0),
        };
        monitor.leave(at(&manager, 1), leave);
        assert_eq!(
            (monitor.verdict().state, monitor.share()),
            (State::Unwatched, ViewShare::NOTHING)
        );
        monitor.suspect(at(&manager, 900), missed(900));
        monitor.conclude(at(&manager, 902), &Look::Silent(String::new()), 2);
        assert!(
            monitor.verdict().why.starts_with("the machine announced 15 min ago"),
            "{}",
            monitor.verdict().why
        );
        assert_eq!(monitor.share(), ViewShare::NOTHING);
    }
}
