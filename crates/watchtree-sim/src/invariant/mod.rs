//! The rules of the architecture (§7), checked while the world runs. Each has a name; a broken one ends the run with it.
//!
//! A rule about something that happens (a record, a call, an event, a changed state) is checked at that step. A rule about
//! how long something may last is checked after every step for the hosts, and every quarter of a second for the
//! containers. What must be true when the faults are over is checked at the end.
//!
//! `acts_on_record`        no call without a decision, a charge and a journal record of that very call before it
//! `posted_once`           a call is never posted while an earlier one of its kind is under way, nor on a life it was done to
//! `healthy_left_alone`    no container that is well is stopped; no watchdog that is well is killed
//! `operator_wins`         what a person stopped is not started
//! `budget_kept`           what is charged to a container, the engine's own restarts too, and to a host never exceeds the
//!                         budget, whatever crashes; nothing is started that was not charged, or given back unasked
//! `hands_off`             no call by a watchdog that knows that its machine goes down
//! `held_left_alone`       what is held is not repaired; what is said to be held is on the target's record
//! `stale_order_refused`   no order takes effect after its time, in another boot, or under a term that is over
//! `silence_is_seen`       a host that cannot be heard is not shown as OK for longer than the bound
//! `silence_is_judged`     nor as SUSPECT: it is AGENT LOST while its kernel answers, else UNREACHABLE
//! `no_false_suspicion`    nobody is suspected without a fault that explains it
//! `stall_judges_nobody`   right after its own start or stall the manager judges nobody
//! `silence_is_no_death`   a host is never DOWN
//! `decision_has_evidence` every decision names its evidence
//! `repaired_or_escalated` a failed container runs again or is given up within its bound, and given up only for a reason
//! `degraded_is_said`      a watchdog whose journal the disk refuses says so
//! `converges`             after the faults stopped, the manager believes the truth

mod containers;
mod end;
mod hosts;
mod repair;

pub(crate) use repair::Trouble;

use crate::world::World;
use watchtree_core::decision::{ActionKind, Decision};
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Duration;
use watchtree_core::verdict::State;

/// How long a fault excuses a suspicion after it ended.
const EXCUSED_FOR: Duration = Duration::from_secs(12);

impl World {
    /// After each step.
    pub fn check_step(&mut self) {
        for h in 0..self.hosts.len() {
            self.hosts[h].note_reach(self.now);
            if self.hosts[h].silent_since.is_some() {
                self.check_silence(h);
            }
        }
    }

    /// When a decision is announced, by whichever role.
    pub fn check_decision(&mut self, decision: &Decision) {
        if decision.evidence.is_empty() {
            let why = format!("{} ({})", decision.id, decision.why);
            self.breaks("decision_has_evidence", why);
        }
        let repairs = matches!(
            decision.action,
            ActionKind::Start | ActionKind::StopThenStart | ActionKind::ReviveWatchdog
        );
        if decision.guards.is_empty() && repairs {
            self.breaks("decision_has_evidence", format!("{} asked no guard", decision.id));
        }
    }

    /// Before a container-watchdog is killed by its host-watchdog.
    pub fn check_child_kill(&mut self, h: usize) {
        let excused = self.now.since(self.hosts[h].child_hurt) < EXCUSED_FOR;
        if self.hosts[h].child.runs() && !excused {
            self.breaks(
                "healthy_left_alone",
                format!("host {h}: its container-watchdog is well and is killed"),
            );
        }
    }

    /// True if a container waits, unhealthy, until its grace is over: a bound too, but a longer one than the calm.
    pub fn somebody_has_grace(&self) -> bool {
        let waits = |h: usize, c: usize| {
            let container = &self.hosts[h].engine.containers[c];
            container.hung && !container.removed && self.held(h, &self.subject(h, c)) == Some(State::Unhealthy)
        };
        (0..self.hosts.len()).any(|h| (0..self.hosts[h].engine.containers.len()).any(|c| waits(h, c)))
    }

    /// What the manager shows of a subject.
    fn shown(&self, subject: &SubjectId) -> Option<State> {
        let (manager, mut found) = (self.manager.machine.as_ref()?, None);
        manager.tree_below(self.now, subject, |shown| {
            if shown.verdict.subject == *subject {
                found = Some(shown.state);
            }
        });
        found
    }

    /// What a host's container-watchdog holds of a subject.
    fn held(&self, h: usize, subject: &SubjectId) -> Option<State> {
        let agent = self.hosts[h].child.machine.as_ref()?;
        agent
            .verdicts()
            .find(|verdict| verdict.subject == *subject)
            .map(|verdict| verdict.state)
    }

    /// Why it holds that: what a broken run is read by.
    fn held_why(&self, h: usize, subject: &SubjectId) -> String {
        let Some(agent) = self.hosts[h].child.machine.as_ref() else {
            return "no container-watchdog".into();
        };
        let found = agent.verdicts().find(|verdict| verdict.subject == *subject);
        found.map_or_else(|| "not known".into(), |verdict| verdict.why.clone())
    }
}
