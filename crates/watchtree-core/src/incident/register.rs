//! The register of incidents: the open ones, and the newest closed ones (the archive).
//!
//! One open incident per subject; each call says what has changed. Judges nothing, and does not know who is told.

use super::{Incident, IncidentChange, IncidentId};
use crate::decision::DecisionId;
use crate::subject::{SubjectId, within};
use crate::time::{Moment, WallTime};
use crate::verdict::{State, Verdict};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Closed incidents kept in memory; all are in the store.
const ARCHIVED_MAX: usize = 256;

/// What an incident tells of its subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) verdict: &'a Verdict,
    /// Only one vantage point could probe.
    pub(crate) is_unconfirmed: bool,
    /// How many subjects below are touched.
    pub(crate) touched: usize,
}

impl<'a> Finding<'a> {
    /// What the subject's own watchdog says of it alone.
    pub(crate) const fn reported(verdict: &'a Verdict) -> Self {
        Self {
            verdict,
            is_unconfirmed: false,
            touched: 0,
        }
    }
}

/// What an open incident explains of the subjects below it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inhibits {
    Nothing,
    /// That they are unhealthy: many turned so at once, and it is not theirs.
    Unhealthy,
    /// Whatever is said of them.
    All,
}

/// See the file's head.
#[derive(Clone, Debug)]
pub(crate) struct IncidentRegister {
    open: BTreeMap<SubjectId, Incident>,
    archive: VecDeque<Incident>,
    next: IncidentId,
}

impl IncidentRegister {
    pub(crate) fn new(next: IncidentId) -> Self {
        Self {
            open: BTreeMap::new(),
            archive: VecDeque::new(),
            next: next.max(1),
        }
    }

    /// The open ones, by subject.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// The newest closed ones, oldest first.
    pub(crate) fn archived(&self) -> impl Iterator<Item = &Incident> {
        self.archive.iter()
    }

    pub(crate) fn is_open(&self, subject: &SubjectId) -> bool {
        self.open.contains_key(subject)
    }

    pub(crate) fn is_full(&self) -> bool {
        Incident::OPEN_MAX <= self.open.len()
    }

    /// The subjects of the open ones within `top`.
    pub(crate) fn within(&self, top: &SubjectId) -> Vec<SubjectId> {
        within(&self.open, top, None)
            .map(|(subject, _)| subject.clone())
            .collect()
    }

    /// What this subject's own open incident explains below it. Only hosts and engines carry others: a container may have
    /// the name of a compose project, whose containers it has nothing to do with.
    pub(crate) fn inhibits(&self, subject: &SubjectId) -> Inhibits {
        let carries = subject.parent().is_none_or(|above| above.parent().is_none());
        match self
            .open
            .get(subject)
            .filter(|_| carries)
            .map(|incident| incident.state)
        {
            Some(State::AgentLost | State::Unreachable | State::Down) => Inhibits::All,
            Some(State::Unhealthy) => Inhibits::Unhealthy,
            _ => Inhibits::Nothing,
        }
    }

    /// True if a subject above has an open incident that explains that state of this subject.
    pub(crate) fn is_inhibited(&self, subject: &SubjectId, state: State) -> bool {
        core::iter::successors(subject.parent(), SubjectId::parent).any(|above| match self.inhibits(&above) {
            Inhibits::All => true,
            Inhibits::Unhealthy => state == State::Unhealthy,
            Inhibits::Nothing => false,
        })
    }

    /// Takes up one that was open before.
    pub(crate) fn restore(&mut self, incident: Incident) {
        self.next = self.next.max(incident.id + 1);
        self.open.insert(incident.subject.clone(), incident);
    }

    /// Takes out all that are open, to be restored again.
    pub(crate) fn take_open(&mut self) -> Vec<Incident> {
        core::mem::take(&mut self.open).into_values().collect()
    }

    /// Opens one. The caller has seen that there is room and none of this subject.
    pub(crate) fn open_new(
        &mut self,
        now: Moment,
        wall: WallTime,
        finding: Finding<'_>,
        decisions: Vec<DecisionId>,
    ) -> IncidentChange {
        let verdict = finding.verdict;
        let incident = Incident {
            id: self.next,
            subject: verdict.subject.clone(),
            state: verdict.state,
            level: verdict.level,
            unconfirmed: finding.is_unconfirmed,
            why: verdict.why.clone(),
            root_cause: None,
            touched: finding.touched as u64,
            opened: now,
            opened_wall: wall,
            closed_wall: None,
            closed_why: String::new(),
            evidence: verdict.evidence.clone(),
            decisions,
        };
        self.next += 1;
        self.open.insert(incident.subject.clone(), incident.clone());
        IncidentChange::Opened(incident)
    }

    /// Another state, level or confirmation is told to people; other facts are only stored.
    pub(crate) fn update(&mut self, finding: Finding<'_>) -> Option<IncidentChange> {
        let verdict = finding.verdict;
        let incident = self.open.get_mut(&verdict.subject)?;
        let told = |incident: &Incident| (incident.state, incident.level, incident.unconfirmed);
        let (told_before, why_before) = (told(incident), incident.why.clone());
        incident.state = verdict.state;
        incident.level = verdict.level;
        incident.unconfirmed = finding.is_unconfirmed;
        incident.why = verdict.why.clone();
        incident.evidence = verdict.evidence.clone();
        if told_before != told(incident) {
            return Some(IncidentChange::Changed(incident.clone()));
        }
        (why_before != incident.why).then(|| IncidentChange::Noted(incident.clone()))
    }

    /// Names the subject above whose illness explains this one; `None` = it stands for itself.
    pub(crate) fn set_inhibited_by(
        &mut self,
        subject: &SubjectId,
        above: Option<&SubjectId>,
    ) -> Option<IncidentChange> {
        let incident = self.open.get_mut(subject)?;
        if incident.root_cause.as_ref() == above {
            return None;
        }
        incident.root_cause = above.cloned();
        Some(IncidentChange::Noted(incident.clone()))
    }

    /// Adds a decision record to an open one.
    pub(crate) fn add_decision(&mut self, subject: &SubjectId, id: &DecisionId) -> Option<IncidentChange> {
        let incident = self.open.get_mut(subject)?;
        if incident.decisions.contains(id) || Incident::DECISIONS_MAX <= incident.decisions.len() {
            return None;
        }
        incident.decisions.push(id.clone());
        Some(IncidentChange::Noted(incident.clone()))
    }

    /// Closes one and puts it into the archive.
    pub(crate) fn close(&mut self, wall: WallTime, subject: &SubjectId, why: &str) -> Option<IncidentChange> {
        let mut incident = self.open.remove(subject)?;
        incident.closed_wall = Some(wall);
        incident.closed_why = why.to_string();
        if ARCHIVED_MAX <= self.archive.len() {
            self.archive.pop_front();
        }
        self.archive.push_back(incident.clone());
        Some(IncidentChange::Closed(incident))
    }
}

#[cfg(test)]
mod tests {
    //! Which changes are told, what inhibits what, and the limits.
    use super::*;
    use crate::fixture::{name, subject};
    use crate::subject::SubjectKind;
    use crate::tree::unknown;
    use crate::verdict::Level;
    use alloc::format;

    fn verdict(path: &str, state: State) -> Verdict {
        Verdict {
            state,
            level: Level::Strong,
            ..unknown(subject(path), SubjectKind::Container, name("h1"), Moment::ZERO)
        }
    }

    fn open(register: &mut IncidentRegister, path: &str, state: State) {
        let verdict = verdict(path, state);
        let effect = register.open_new(Moment::ZERO, WallTime(0), Finding::reported(&verdict), Vec::new());
        assert!(matches!(effect, IncidentChange::Opened(_)));
    }

    #[test]
    fn people_are_told_of_another_state_and_not_of_other_words() {
        let mut register = IncidentRegister::new(0);
        open(&mut register, "h1", State::AgentLost);
        let same = verdict("h1", State::AgentLost);
        assert_eq!(register.update(Finding::reported(&same)), None);
        let words = Verdict {
            why: "other words".to_string(),
            ..same.clone()
        };
        let effect = register.update(Finding::reported(&words));
        assert!(matches!(effect, Some(IncidentChange::Noted(_))), "{effect:?}");
        let unconfirmed = Finding {
            is_unconfirmed: true,
            ..Finding::reported(&words)
        };
        let effect = register.update(unconfirmed);
        assert!(matches!(effect, Some(IncidentChange::Changed(_))), "{effect:?}");
        let closed = register.close(WallTime(7), &subject("h1"), "heard").unwrap();
        assert!(matches!(closed, IncidentChange::Closed(it) if it.id == 1 && it.closed_wall == Some(WallTime(7))));
        assert_eq!(register.close(WallTime(8), &subject("h1"), "again"), None);
        assert_eq!(register.archived().count(), 1);
    }

    #[test]
    fn only_lost_hosts_and_engines_inhibit_what_is_below() {
        let mut register = IncidentRegister::new(1);
        open(&mut register, "h1/docker", State::Unreachable);
        open(&mut register, "h2/docker/web", State::Down);
        open(&mut register, "h3", State::Degraded);
        open(&mut register, "h4/docker", State::Unhealthy);
        let inhibited =
            |path| [State::Unhealthy, State::GivenUp].map(|state| register.is_inhibited(&subject(path), state));
        assert_eq!(inhibited("h1/docker/web"), [true, true]);
        assert_eq!(inhibited("h1/docker"), [false, false]);
        assert_eq!(inhibited("h2/docker/web/app/1"), [false, false]);
        assert_eq!(inhibited("h3/docker/web"), [false, false]);
        assert_eq!(
            inhibited("h4/docker/web"),
            [true, false],
            "many unhealthy at once are one cause"
        );
        assert_eq!(register.within(&subject("h2")), [subject("h2/docker/web")]);
        let (web, above) = (subject("h2/docker/web"), subject("h2"));
        assert!(register.set_inhibited_by(&web, Some(&above)).is_some());
        assert_eq!(register.set_inhibited_by(&web, Some(&above)), None);
    }

    #[test]
    fn no_number_is_used_again_and_all_is_bounded() {
        let mut register = IncidentRegister::new(5);
        open(&mut register, "h1", State::Down);
        let mut old = register.take_open().remove(0);
        assert_eq!(old.id, 5);
        old.id = 41;
        register.restore(old);
        open(&mut register, "h2", State::Down);
        assert_eq!(register.open().map(|it| it.id).collect::<Vec<_>>(), [41, 42]);
        let id = |count| DecisionId {
            node: name("h1"),
            epoch: 1,
            count,
        };
        for count in 0..100 {
            register.add_decision(&subject("h1"), &id(count));
        }
        assert_eq!(
            register.open().next().map(|it| it.decisions.len()),
            Some(Incident::DECISIONS_MAX)
        );
        for i in 0..ARCHIVED_MAX + 10 {
            let path = format!("h3/d/{i}");
            open(&mut register, &path, State::Down);
            register.close(WallTime(0), &subject(&path), "gone");
        }
        assert_eq!(register.archived().count(), ARCHIVED_MAX);
    }
}
