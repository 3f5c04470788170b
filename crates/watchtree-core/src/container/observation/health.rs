//! The engine's word for the health of the present incarnation, and what it is worth: see [`health_check`].
//!
//! Beside it stands what our own probes prove of it. The word comes by inspections and by events; the runs behind it only by inspections. Does not know what follows.
//!
//! [`health_check`]: crate::container::health_check

use crate::container::health_check::{HealthEvidence, of_streak};
use crate::container::io::{ContainerView, Health, RunState};
use crate::container::probes::probed::ProbeEvidence;
use alloc::string::String;

/// See the module's text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct HealthWord {
    word: Health,
    /// An event said it: no inspection has shown the runs behind it.
    is_bare: bool,
    /// The newest run when it was paused: what failed before says nothing of what runs again.
    before_pause: Option<String>,
    probes: ProbeEvidence,
}

impl HealthWord {
    pub(super) fn take_event(&mut self, word: Health) {
        (self.word, self.is_bare) = (word, word == Health::Unhealthy);
    }

    pub(super) fn take_view(&mut self, view: &ContainerView) {
        self.is_bare = false;
        self.word = match view.run {
            RunState::Running | RunState::Paused => view.health,
            _ => Health::None,
        };
        if view.run == RunState::Paused {
            self.before_pause = view.health_failures.last().map(|run| run.ended.clone());
        }
    }

    pub(super) fn set_probes(&mut self, probes: ProbeEvidence) {
        self.probes = probes;
    }

    /// What is known by it alone, and by the probes alone.
    pub(super) fn apart(&self, view: Option<&ContainerView>) -> (Option<HealthEvidence>, &ProbeEvidence) {
        (self.evidence(view), &self.probes)
    }

    /// What is known by it and by the probes; `None` = an inspection must tell.
    pub(super) fn with_probes(&self, view: Option<&ContainerView>) -> Option<HealthEvidence> {
        self.probes.beside(self.evidence(view))
    }

    /// What is known by it; `None` = an inspection must tell.
    pub(super) fn evidence(&self, view: Option<&ContainerView>) -> Option<HealthEvidence> {
        Some(match (self.word, view) {
            (Health::None, _) => HealthEvidence::NoCheck,
            (Health::Starting, _) => HealthEvidence::NotYet,
            (Health::Healthy, _) => HealthEvidence::Passing,
            (Health::Unhealthy, Some(view)) if !self.is_bare => {
                let runs = &view.health_failures;
                let newest = runs.last().map(|run| &run.ended);
                if newest.is_some() && newest == self.before_pause.as_ref() {
                    return Some(HealthEvidence::NotYet);
                }
                of_streak(runs, view.health_streak, view.health_retries)
            }
            (Health::Unhealthy, _) => return None,
        })
    }

    /// Is it open what the word is worth, or does a list have another one? While the word stays `unhealthy`, no event tells of the
    /// runs that follow.
    pub(super) fn is_open(&self, listed: Option<Health>, view: Option<&ContainerView>) -> bool {
        let is_proven = self.evidence(view) == Some(HealthEvidence::Failing);
        listed.is_some_and(|it| it != self.word) || (self.word == Health::Unhealthy && !is_proven)
    }
}

#[cfg(test)]
mod tests {
    //! The word alone, with runs behind it, and around a pause.
    use super::*;
    use crate::container::io::CheckRun;
    use alloc::format;
    use alloc::vec::Vec;

    fn view(run: RunState, runs: &[(u32, i64)]) -> ContainerView {
        let check = |&(ended, exit_code): &(u32, i64)| CheckRun {
            ended: format!("{ended}"),
            exit_code,
            ..CheckRun::default()
        };
        let health_failures: Vec<CheckRun> = runs.iter().map(check).collect();
        ContainerView {
            run,
            health: Health::Unhealthy,
            health_streak: runs.len() as u32,
            health_retries: 2,
            health_failures,
            ..ContainerView::default()
        }
    }

    fn after(word: &mut HealthWord, run: RunState, runs: &[(u32, i64)]) -> Option<HealthEvidence> {
        let view = view(run, runs);
        word.take_view(&view);
        word.evidence(Some(&view))
    }

    #[test]
    fn an_event_is_no_evidence_before_an_inspection_shows_the_runs() {
        let mut word = HealthWord::default();
        let well = ContainerView::default();
        word.take_event(Health::Unhealthy);
        assert_eq!(word.evidence(Some(&well)), None);
        assert!(word.is_open(None, Some(&well)) && word.is_open(Some(Health::Unhealthy), Some(&well)));
        let ill = [(1, 1), (2, 1)];
        assert_eq!(after(&mut word, RunState::Running, &ill), Some(HealthEvidence::Failing));
        let shown = view(RunState::Running, &ill);
        assert!(!word.is_open(None, Some(&shown)) && !word.is_open(Some(Health::Unhealthy), Some(&shown)));
        assert!(word.is_open(Some(Health::Healthy), Some(&shown)), "the list knows more");
        word.take_event(Health::Healthy);
        assert!(!word.is_open(None, Some(&well)) && !word.is_open(Some(Health::Healthy), Some(&well)));
        assert_eq!(word.evidence(Some(&well)), Some(HealthEvidence::Passing));
    }

    #[test]
    fn what_failed_before_a_pause_is_no_news_after_it() {
        let mut word = HealthWord::default();
        let ill = [(1, 1), (2, 1)];
        after(&mut word, RunState::Paused, &ill);
        assert_eq!(after(&mut word, RunState::Running, &ill), Some(HealthEvidence::NotYet));
        let again = [(1, 1), (2, 1), (3, 1)];
        assert_eq!(
            after(&mut word, RunState::Running, &again),
            Some(HealthEvidence::Failing)
        );
        let none = after(&mut HealthWord::default(), RunState::Running, &[]);
        assert_eq!(none, Some(HealthEvidence::NotYet), "committed, copied from");
    }
}
