//! The three probes of one container in one life: which of them count now, and what they prove together.
//!
//! ```text
//!   startup ──passed, or there is none──▶ liveness and readiness
//! ```
//!
//! Until the startup probe has passed, nothing else is asked; where it fails, the container is ill as by its liveness. Does not
//! know when a probe is run, nor what follows from what is proven.

use super::spec::{ProbeKind, ProbeOutcome, ProbeSpec, ProbeSpecs};
use super::streak::{ProbeState, Streak};
use crate::container::health_check::HealthEvidence;
use crate::time::Moment;
use alloc::format;
use alloc::string::String;

/// By which probe something is known.
const LIVENESS: &str = "its liveness probe";
/// See [`LIVENESS`].
pub(crate) const STARTUP: &str = "its startup probe";

/// What the probes of a container prove.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ProbeEvidence {
    /// By its startup and its liveness probe.
    pub(crate) health: HealthEvidence,
    /// By which: `its liveness probe`.
    pub(crate) by: &'static str,
    /// How many failures in a row.
    pub(crate) failures: u32,
    /// What that rests on, where it is not well: `http :8080/healthz: status 503`.
    pub(crate) words: String,
    pub(crate) readiness: Readiness,
}

/// What the readiness probe proves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Readiness {
    /// There is none.
    #[default]
    NoProbe,
    /// It has not passed in this life, nor failed.
    NotYet,
    Ready,
    /// In words.
    NotReady(String),
    /// It cannot be run; in words.
    Unknown(String),
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct ProbedLife {
    specs: ProbeSpecs,
    /// The startup probe has passed in this life.
    has_started: bool,
    streaks: [Streak; 3],
}

impl ProbedLife {
    /// `has_started` = it is known to have come up.
    pub(crate) fn new(specs: ProbeSpecs, has_started: bool) -> Self {
        let has_started = has_started || specs.get(ProbeKind::Startup).is_none();
        Self {
            specs,
            has_started,
            streaks: Default::default(),
        }
    }

    pub(crate) fn specs(&self) -> &ProbeSpecs {
        &self.specs
    }

    /// The probe for that, if it counts now.
    pub(crate) fn wants(&self, kind: ProbeKind) -> Option<&ProbeSpec> {
        let is_its_turn = match kind {
            ProbeKind::Startup => !self.has_started,
            ProbeKind::Liveness | ProbeKind::Readiness => self.has_started,
        };
        self.specs.get(kind).filter(|_| is_its_turn)
    }

    /// A run came to that. True if what is known has changed in kind.
    pub(crate) fn take(&mut self, now: Moment, kind: ProbeKind, outcome: ProbeOutcome) -> bool {
        let Some(timing) = self.wants(kind).map(|spec| *spec.timing()) else {
            return false;
        };
        let streak = &mut self.streaks[kind as usize];
        let is_news = streak.take(now, outcome, &timing);
        self.has_started |= kind == ProbeKind::Startup && *streak.state() == ProbeState::Passing;
        is_news
    }

    pub(crate) fn evidence(&self) -> ProbeEvidence {
        let (health, words) = self.health();
        let kind = self.kind_of_health();
        ProbeEvidence {
            health,
            failures: self.streaks[kind as usize].failures(),
            by: match kind {
                ProbeKind::Startup => STARTUP,
                ProbeKind::Liveness | ProbeKind::Readiness => LIVENESS,
            },
            words,
            readiness: self.readiness(),
        }
    }

    fn kind_of_health(&self) -> ProbeKind {
        match self.has_started {
            true => ProbeKind::Liveness,
            false => ProbeKind::Startup,
        }
    }

    fn health(&self) -> (HealthEvidence, String) {
        let kind = self.kind_of_health();
        let has_startup = self.specs.get(ProbeKind::Startup).is_some();
        let Some(spec) = self.specs.get(kind) else {
            let health = match has_startup {
                true => HealthEvidence::Passing,
                false => HealthEvidence::NoCheck,
            };
            return (health, String::new());
        };
        match self.streaks[kind as usize].state() {
            ProbeState::Unknown => (HealthEvidence::NotYet, String::new()),
            // The startup probe hands over at once.
            ProbeState::Passing => (HealthEvidence::Passing, String::new()),
            ProbeState::Failing { words, .. } => (HealthEvidence::Failing, said(spec, words)),
            ProbeState::CannotRun { words } => (HealthEvidence::CannotRun, said(spec, words)),
        }
    }

    fn readiness(&self) -> Readiness {
        let Some(spec) = self.specs.get(ProbeKind::Readiness) else {
            return Readiness::NoProbe;
        };
        match self.streaks[ProbeKind::Readiness as usize].state() {
            ProbeState::Unknown => Readiness::NotYet,
            ProbeState::Passing => Readiness::Ready,
            ProbeState::Failing { words, .. } => Readiness::NotReady(said(spec, words)),
            ProbeState::CannotRun { words } => Readiness::Unknown(said(spec, words)),
        }
    }
}

/// `http :8080/healthz: status 503`
fn said(spec: &ProbeSpec, words: &str) -> String {
    format!("{}: {words}", spec.method().words())
}

impl ProbeEvidence {
    /// What the health check of the image (`None` = an inspection must tell) and the probes prove together: either can say that it
    /// is ill, and both are needed to say that it is well.
    pub(crate) fn beside(&self, check: Option<HealthEvidence>) -> Option<HealthEvidence> {
        use HealthEvidence::{CannotRun, Failing, NoCheck, NotYet, Passing};
        Some(match (check, self.health) {
            (_, Failing) => Failing,
            (None, _) => return None,
            (Some(check), NoCheck) => check,
            (Some(NoCheck), probes) => probes,
            (Some(Failing), _) => Failing,
            (Some(CannotRun), _) | (_, CannotRun) => CannotRun,
            (Some(NotYet), _) | (_, NotYet) => NotYet,
            (Some(Passing), Passing) => Passing,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Which probe counts, and what both proofs come to.
    use super::*;
    use crate::container::probes::spec::{Method, Timing};
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    fn life(kinds: &[ProbeKind], has_started: bool) -> ProbedLife {
        let mut specs = ProbeSpecs::default();
        for kind in kinds {
            let method = Method::Exec {
                argv: vec!["/check".to_string()],
            };
            let timing = Timing {
                failure_threshold: 2,
                ..Timing::of(&method, None)
            };
            specs.set(*kind, ProbeSpec::new(*kind, method, timing).ok());
        }
        ProbedLife::new(specs, has_started)
    }

    fn wanted(life: &ProbedLife) -> Vec<ProbeKind> {
        let mut all = ProbeKind::ALL.to_vec();
        all.retain(|kind| life.wants(*kind).is_some());
        all
    }

    fn failed() -> ProbeOutcome {
        ProbeOutcome::Failed("status 503".to_string())
    }

    const NOW: Moment = Moment::ZERO;

    #[test]
    fn nothing_else_counts_before_the_startup_probe_has_passed_once() {
        use ProbeKind::{Liveness, Readiness, Startup};
        let mut it = life(&ProbeKind::ALL, false);
        assert_eq!(wanted(&it), [Startup]);
        for kind in [Liveness, Readiness] {
            assert!(!it.take(NOW, kind, failed()) && !it.take(NOW, kind, failed()));
        }
        assert_eq!(it.evidence().health, HealthEvidence::NotYet);
        assert!(it.take(NOW, Startup, ProbeOutcome::Passed));
        assert_eq!(wanted(&it), [Liveness, Readiness]);
        assert_eq!(
            it.evidence().health,
            HealthEvidence::NotYet,
            "its liveness was not asked for yet"
        );
        it.take(NOW, Liveness, ProbeOutcome::Passed);
        assert_eq!(it.evidence().health, HealthEvidence::Passing);
        assert_eq!(wanted(&life(&ProbeKind::ALL, true)), [Liveness, Readiness]);
        let mut alone = life(&[Startup], false);
        alone.take(NOW, Startup, ProbeOutcome::Passed);
        assert_eq!(alone.evidence().health, HealthEvidence::Passing);
        assert_eq!(wanted(&alone), []);
        assert_eq!(life(&[], false).evidence().health, HealthEvidence::NoCheck);
    }

    #[test]
    fn a_startup_probe_that_fails_is_an_illness_and_says_so() {
        let mut it = life(&ProbeKind::ALL, false);
        it.take(NOW, ProbeKind::Startup, failed());
        assert!(it.take(NOW, ProbeKind::Startup, failed()));
        let evidence = it.evidence();
        assert_eq!(evidence.health, HealthEvidence::Failing);
        assert_eq!((evidence.by, evidence.failures), (STARTUP, 2));
        assert_eq!(evidence.words, "exec /check: status 503");
        assert_eq!(evidence.readiness, Readiness::NotYet);
    }

    #[test]
    fn readiness_says_nothing_of_health() {
        let mut it = life(&[ProbeKind::Readiness], false);
        it.take(NOW, ProbeKind::Readiness, failed());
        it.take(NOW, ProbeKind::Readiness, failed());
        let evidence = it.evidence();
        assert_eq!(evidence.health, HealthEvidence::NoCheck);
        let words = "exec /check: status 503".to_string();
        assert_eq!(evidence.readiness, Readiness::NotReady(words));
    }

    #[test]
    fn either_can_say_that_it_is_ill_and_both_are_needed_for_well() {
        use HealthEvidence::{CannotRun, Failing, NoCheck, NotYet, Passing};
        let beside = |check, health| {
            let probes = ProbeEvidence {
                health,
                ..ProbeEvidence::default()
            };
            probes.beside(check)
        };
        for (check, probes, both) in [
            (None, NoCheck, None),
            (None, Passing, None),
            (None, Failing, Some(Failing)),
            (Some(NoCheck), NoCheck, Some(NoCheck)),
            (Some(NoCheck), Passing, Some(Passing)),
            (Some(Passing), NoCheck, Some(Passing)),
            (Some(Passing), Failing, Some(Failing)),
            (Some(Failing), Passing, Some(Failing)),
            (Some(Failing), CannotRun, Some(Failing)),
            (Some(CannotRun), Passing, Some(CannotRun)),
            (Some(Passing), CannotRun, Some(CannotRun)),
            (Some(Passing), NotYet, Some(NotYet)),
            (Some(NotYet), Passing, Some(NotYet)),
            (Some(Passing), Passing, Some(Passing)),
        ] {
            assert_eq!(beside(check, probes), both, "{check:?} {probes:?}");
        }
    }
}
