//! The view as a whole: when most of it falls silent at once, it is the manager that is cut off.

use super::ManagerAgent;
use super::hosts::{Phase, Watch};
use crate::decision::{ActionKind, Guard, GuardAnswer, Outcome};
use crate::id::NodeName;
use crate::time::Moment;
use crate::verdict::{State, Verdict};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// How many hosts there are to judge, and how many of them are silent (their kernel too).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) counted: usize,
    pub(super) silent: usize,
}

/// What one host adds to the tally: (counted, silent). One that announced its absence says nothing of our own view, also
/// where it stays away for too long.
pub(super) fn counted(watch: &Watch) -> (usize, usize) {
    if watch.known.left.is_some() {
        return (0, 0);
    }
    match &watch.phase {
        Phase::Left => (0, 0),
        Phase::Unknown | Phase::Well => (1, 0),
        Phase::Suspect(_) => (1, 1),
        Phase::Lost(_) => (1, usize::from(watch.verdict.state == State::Unreachable)),
    }
}

impl ManagerAgent {
    /// Most of the view silent at once: then it is we who are cut off, and no host is blamed.
    pub(super) fn check_view(&mut self, now: Moment) {
        let Tally { counted, silent } = self.tally;
        let most = self.policy.group_min <= counted && counted * self.policy.cut_off_percent as usize <= silent * 100;
        let concluded = most
            && !self.cut_off
            && self
                .hosts
                .values()
                .any(|watch| watch.verdict.state == State::Unreachable);
        if self.cut_off == (if self.cut_off { most } else { concluded }) {
            return self.end_former_cut(now, most);
        }
        self.cut_off = !self.cut_off;
        if self.cut_off {
            let why = format!("{silent} of {counted} hosts fell silent: this manager holds itself for the one cut off");
            self.set_condition("view".to_string(), Err(why.clone()));
            self.open_own_incident(now, why);
        } else {
            self.set_condition("view".to_string(), Ok("most hosts are heard again".to_string()));
            self.close_own_incident(now);
            // Hosts that are still lost become incidents of their own with their next look, not in this very moment:
            // those that come back together come back one by one.
        }
    }

    /// An incident of a former life in which this manager was cut off: over once every host was heard or judged, and most
    /// of them are not silent.
    fn end_former_cut(&mut self, now: Moment, most: bool) {
        let undecided = |watch: &Watch| matches!(watch.phase, Phase::Unknown);
        if !self.cut_off && !most && self.has_own_incident() && !self.hosts.values().any(undecided) {
            self.close_own_incident(now);
        }
    }

    /// That a lost host becomes no incident while we are cut off is a decision, recorded once.
    pub(super) fn note_suppressed(&mut self, now: Moment, name: &NodeName, verdict: &Verdict) {
        match self.hosts.get_mut(name).map(|watch| &mut watch.phase) {
            Some(Phase::Lost(lost)) if !lost.suppressed => lost.suppressed = true,
            _ => return,
        }
        let Tally { counted, silent } = self.tally;
        let guards = vec![GuardAnswer {
            guard: Guard::Observer,
            verdict: crate::decision::GuardVerdict::Blocked,
            detail: format!("{silent} of {counted} hosts are silent: this manager holds itself for the one cut off"),
        }];
        let why = format!(
            "{name} is {}: no incident of it while we are cut off",
            verdict.state.as_str()
        );
        let (subject, evidence) = (verdict.subject.clone(), verdict.evidence.clone());
        self.decide(
            now,
            subject,
            evidence,
            guards,
            ActionKind::Escalate,
            Outcome::NotTaken,
            why,
        );
    }
}
