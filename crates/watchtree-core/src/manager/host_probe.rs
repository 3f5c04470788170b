//! Probes of a silent host from outside: which are under way, and what their results prove.
//!
//! A probe that could not run, or whose result did not come back, proves nothing: neither for a silence nor against one.
//! Silence alone never leads to DOWN. Does not know whom it is about, nor how often it is asked.

use crate::id::NodeName;
use crate::message::Look;
use crate::random::Random;
use crate::verdict::{EvidenceKind, Level, State};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// The probes under way: at most one per host.
#[derive(Clone, Debug)]
pub(super) struct HostProbes {
    hosts: BTreeMap<u64, NodeName>,
    random: Random,
}

impl HostProbes {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hosts: BTreeMap::new(),
            random: Random::new(seed),
        }
    }

    /// Begins a probe; the result of an older one of that host is ignored from now on. Returns its nonce.
    pub(super) fn begin(&mut self, host: &NodeName) -> u64 {
        self.cancel(host);
        let nonce = self.random.draw();
        self.hosts.insert(nonce, host.clone());
        nonce
    }

    /// The host of a probe that is over.
    pub(super) fn end(&mut self, nonce: u64) -> Option<NodeName> {
        self.hosts.remove(&nonce)
    }

    pub(super) fn cancel(&mut self, host: &NodeName) {
        self.hosts.retain(|_, probed| probed != host);
    }
}

/// How much a result shows of a kernel's silence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub(super) enum Silence {
    #[default]
    Nothing,
    Part,
    All,
}

impl Silence {
    pub(super) const fn shown_by(result: &Look) -> Self {
        match result {
            Look::Silent(_) => Self::All,
            Look::SilentInPart(_) => Self::Part,
            Look::Answered(_) | Look::NotPossible(_) | Look::StillTrying => Self::Nothing,
        }
    }
}

/// The conclusion of several results, the strongest first.
pub(super) fn strongest(results: &[Look]) -> Look {
    let newest = |wanted: fn(&Look) -> bool| results.iter().rev().find(|result| wanted(result)).cloned();
    newest(|result| matches!(result, Look::Answered(_)))
        .or_else(|| newest(|result| matches!(result, Look::Silent(_))))
        .or_else(|| newest(|result| matches!(result, Look::SilentInPart(_))))
        .or_else(|| newest(|result| matches!(result, Look::NotPossible(_))))
        .unwrap_or_else(|| Look::NotPossible("the look itself did not come back".to_string()))
}

/// What is believed of a host that does not answer itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) state: State,
    pub(super) level: Level,
    pub(super) kind: EvidenceKind,
    pub(super) detail: String,
    pub(super) why: String,
}

/// What follows from a result; `None` = nothing yet.
pub(super) fn classify(result: &Look) -> Option<Finding> {
    let (state, level, kind, detail, why) = match result {
        Look::Answered(how) => {
            let why = format!("its kernel answers ({how}), its watchdog does not");
            (State::AgentLost, Level::Strong, EvidenceKind::KernelAnswers, how, why)
        }
        Look::Silent(how) => {
            let why = format!("neither it nor its kernel answers ({how}); only this manager could look");
            (State::Unreachable, Level::Strong, EvidenceKind::KernelSilent, how, why)
        }
        Look::SilentInPart(how) => {
            let why = format!("neither it nor its kernel answers, as far as it could be asked ({how})");
            (State::Unreachable, Level::Weak, EvidenceKind::KernelSilent, how, why)
        }
        Look::NotPossible(how) => {
            let why = format!("it does not answer, and its kernel could not be looked at: {how}");
            (State::Unreachable, Level::Weak, EvidenceKind::NoLook, how, why)
        }
        Look::StillTrying => return None,
    };
    let detail = detail.clone();
    Some(Finding {
        state,
        level,
        kind,
        detail,
        why,
    })
}

#[cfg(test)]
mod tests {
    //! What results prove, and whose they are.
    use super::*;

    fn how() -> String {
        "how".to_string()
    }

    #[test]
    fn an_answer_counts_more_than_any_silence_and_the_newest_of_a_kind_is_told() {
        let (answered, silent) = (Look::Answered(how()), Look::Silent(how()));
        let (part, none) = (Look::SilentInPart(how()), Look::NotPossible(how()));
        let all = [none.clone(), part.clone(), answered.clone(), silent.clone()];
        assert_eq!(strongest(&all), answered);
        assert_eq!(strongest(&[none.clone(), part.clone(), silent.clone()]), silent);
        assert_eq!(strongest(&[part.clone(), none.clone()]), part);
        let newer = Look::NotPossible("newer".to_string());
        assert_eq!(strongest(&[none, newer.clone()]), newer);
        assert!(matches!(strongest(&[]), Look::NotPossible(why) if why.contains("did not come back")));
    }

    #[test]
    fn silence_is_never_down_and_what_could_not_be_asked_is_weak() {
        let found = |result: Look| classify(&result).map(|finding| (finding.state, finding.level));
        assert_eq!(found(Look::Answered(how())), Some((State::AgentLost, Level::Strong)));
        assert_eq!(found(Look::Silent(how())), Some((State::Unreachable, Level::Strong)));
        assert_eq!(
            found(Look::SilentInPart(how())),
            Some((State::Unreachable, Level::Weak))
        );
        assert_eq!(found(Look::NotPossible(how())), Some((State::Unreachable, Level::Weak)));
        assert_eq!(found(Look::StillTrying), None);
    }

    #[test]
    fn only_the_newest_probe_of_a_host_counts() {
        let host = NodeName::new("h1").unwrap();
        let mut probes = HostProbes::new(7);
        let (old, new) = (probes.begin(&host), probes.begin(&host));
        assert_eq!(probes.end(old), None);
        assert_eq!(probes.end(new), Some(host.clone()));
        assert_eq!(probes.end(new), None);
        let cancelled = probes.begin(&host);
        probes.cancel(&host);
        assert_eq!(probes.end(cancelled), None);
    }
}
