//! The fleet as the manager judges it: hosts, the view as a whole, and incidents, each following from the one before.
//!
//! ```text
//!   session event ──▶ Hosts ──▶ HostChange ──▶ Partition (is it we who are cut off?) ──▶ Incidents
//! ```
//!
//! Decides the order in which one thing follows from another, and nothing else. Knows no orders.

use super::desk::Desk;
use super::fleet_view::FleetView;
use super::host_monitor::HostMonitor;
use super::hosts::{HostChange, Hosts};
use super::incidents::{Around, Incidents};
use super::io::{KnownHost, ManagerPolicy};
use super::own_state::OwnState;
use super::partition::Partition;
use crate::backend::{Backend, BookChange};
use crate::decision::Decision;
use crate::id::NodeName;
use crate::incident::register::{Finding, IncidentRegister};
use crate::incident::{Incident, IncidentId};
use crate::message::{Goodbye, Look};
use crate::subject::SubjectKind;
use crate::time::{Duration, Moment};
use crate::tree::unknown;
use crate::verdict::{Level, State, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The condition that this process itself stalled.
const SELF: &str = "self";

/// One step of the role: the moment, the sessions with the hosts, and the desk.
pub(super) struct Step<'a> {
    pub(super) now: Moment,
    pub(super) sessions: &'a mut Backend,
    pub(super) desk: &'a mut Desk,
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Fleet {
    /// The manager's own name.
    name: NodeName,
    started: Moment,
    hosts: Hosts,
    partition: Partition,
    incidents: Incidents,
}

impl Fleet {
    pub(super) fn new(now: Moment, name: NodeName, policy: ManagerPolicy, next: IncidentId, seed: u64) -> Self {
        Self {
            started: now,
            partition: Partition::new(policy.group_min, policy.cut_off_percent),
            incidents: Incidents::new(next, policy.unhealthy_after),
            hosts: Hosts::new(now, name.clone(), policy, seed),
            name,
        }
    }

    pub(super) const fn started(&self) -> Moment {
        self.started
    }

    pub(super) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(super) const fn incidents(&self) -> &IncidentRegister {
        self.incidents.register()
    }

    pub(super) const fn view<'a>(&'a self, sessions: &'a Backend) -> FleetView<'a> {
        FleetView::new(&self.hosts, sessions)
    }

    /// What a former start knew. It may come late: what is known by now is newer.
    pub(super) fn restore(&mut self, step: &mut Step<'_>, hosts: Vec<KnownHost>, open: Vec<Incident>) {
        for known in hosts {
            self.hosts.restore(step.now, known, step.desk);
        }
        self.with_incidents(step, |incidents, around| incidents.restore(around, open));
        self.check_view(step);
    }

    /// A host said Hello.
    pub(super) fn joined(&mut self, step: &mut Step<'_>, name: &NodeName, new_life: bool) {
        let child = step.sessions.child(name);
        let change = child.and_then(|child| self.hosts.joined(step.now, child, new_life, step.desk));
        self.follow(step, change);
    }

    /// A sign of life of a host was taken.
    pub(super) fn heard(&mut self, step: &mut Step<'_>, name: &NodeName) {
        let child = step.sessions.child(name);
        let change = child.and_then(|child| self.hosts.heard(step.now, child, step.desk));
        self.follow(step, change);
    }

    /// A host said goodbye.
    pub(super) fn left(&mut self, step: &mut Step<'_>, name: &NodeName, goodbye: Goodbye) {
        if goodbye == Goodbye::Leaving {
            return self.forget(step, name, "it left for good");
        }
        let change = self.hosts.left(step.now, name, goodbye, step.desk);
        self.follow(step, change);
    }

    /// What a host reports has changed.
    pub(super) fn reported(&mut self, step: &mut Step<'_>, name: &NodeName, change: &BookChange) {
        self.with_incidents(step, |incidents, around| incidents.changed(around, name, change));
    }

    /// A decision record came up.
    pub(super) fn take_decision(&mut self, step: &mut Step<'_>, decision: Decision) {
        self.with_incidents(step, |incidents, around| incidents.take_decision(around, decision));
    }

    /// The result of a probe from outside.
    pub(super) fn probed(&mut self, nonce: u64, result: Look) {
        self.hosts.probed(nonce, result);
    }

    /// Takes a host out of the tree, with all that was known of it.
    pub(super) fn forget(&mut self, step: &mut Step<'_>, name: &NodeName, why: &str) {
        step.sessions.forget(name);
        step.desk.forget_host(name);
        let Some(known) = self.hosts.forget(name, step.desk) else {
            return;
        };
        self.with_incidents(step, |incidents, around| {
            incidents.host_is_gone(around, &known.scope, why);
        });
        self.check_view(step);
    }

    /// This process did not run for `gap`: nobody is judged by that time.
    pub(super) fn stalled(&mut self, step: &mut Step<'_>, gap: Duration) {
        self.hosts.stalled(step.now, gap);
        self.extend(step, gap);
    }

    /// Does what has become due; `due` is the deadline of the role by which it was called.
    pub(super) fn due(&mut self, step: &mut Step<'_>, due: Moment) {
        let now = step.now;
        if self.hosts.woke(now, due) {
            self.extend(step, now.since(due));
        }
        if self.hosts.local().may_judge(now) {
            let well = "judges again after a whole healthy window";
            step.desk.set_condition(SELF, Ok(well.to_string()));
        }
        while let Some(name) = self.hosts.pop_due(now) {
            let change = self.hosts.due(now, &name, step.sessions, step.desk);
            self.follow(step, change);
        }
        self.with_incidents(step, |incidents, around| incidents.due(around));
    }

    pub(super) fn next_deadline(&self, desk: &Desk) -> Option<Moment> {
        let settled = desk.conditions().is_bad(SELF).then(|| self.hosts.local().settled_at());
        let next = [self.hosts.next_deadline(), self.incidents.next_deadline(), settled];
        next.into_iter().flatten().min()
    }

    /// The manager's verdict of itself.
    pub(super) fn own_verdict(&self, now: Moment, desk: &Desk) -> Verdict {
        let bad = desk.conditions().bad().take(Verdict::REMARKS_MAX);
        let remarks: Vec<String> = bad.map(|(about, why)| format!("{about}: {why}")).collect();
        let health = self.hosts.local().health(now);
        let own_state = OwnState {
            cut_off: self.partition.is_cut_off().then(|| self.hosts.share()),
            may_judge: self.hosts.local().may_judge(now),
            health,
            remarks: &remarks,
            hosts: self.hosts.all().len(),
        };
        let (state, why) = own_state.judge();
        Verdict {
            state,
            level: Level::Certain,
            why,
            observer_health: health,
            remarks,
            ..unknown(
                desk.own().clone(),
                SubjectKind::Manager,
                self.name.clone(),
                self.started,
            )
        }
    }

    fn with_incidents(&mut self, step: &mut Step<'_>, act: impl FnOnce(&mut Incidents, &mut Around<'_>)) {
        let mut around = Around {
            now: step.now,
            fleet: FleetView::new(&self.hosts, step.sessions),
            desk: step.desk,
        };
        act(&mut self.incidents, &mut around);
    }

    fn extend(&mut self, step: &mut Step<'_>, gap: Duration) {
        let (settled, gap_ms) = (self.hosts.local().settled_at(), gap.as_millis());
        self.incidents.extend(settled);
        let why = format!("did not run for {gap_ms} ms: nobody is judged before {settled}");
        step.desk.set_condition(SELF, Err(why));
    }

    /// What follows from a change of a host: first for the view as a whole, then for incidents.
    fn follow(&mut self, step: &mut Step<'_>, change: Option<HostChange>) {
        match change {
            None => (),
            Some(HostChange::Well(name)) => {
                self.check_view(step);
                self.with_incidents(step, |incidents, around| incidents.host_is_well(around, &name));
            }
            Some(HostChange::Masked(name)) => {
                self.check_view(step);
                self.host_is_masked(step, &name);
            }
            Some(HostChange::StillLost(name)) => {
                let host = self.hosts.get(&name);
                if host.is_some_and(|host| !self.incidents().is_open(host.scope())) {
                    self.host_is_masked(step, &name);
                }
            }
        }
    }

    fn host_is_masked(&mut self, step: &mut Step<'_>, name: &NodeName) {
        let may_open = !self.partition.is_cut_off();
        self.record_suppressed(step, name);
        self.with_incidents(step, |incidents, around| {
            incidents.host_is_masked(around, name, may_open);
        });
    }

    /// How often the view as a whole was weighed.
    #[cfg(test)]
    pub(super) const fn weighed(&self) -> usize {
        self.partition.weighed
    }

    /// Most of the view silent at once: then it is we who are cut off, and no host is blamed. Hosts that are still lost when
    /// that ends become incidents of their own with their next probe: those that come back together come back one by one.
    fn check_view(&mut self, step: &mut Step<'_>) {
        let (share, own) = (self.hosts.share(), step.desk.own().clone());
        let hosts = self.hosts.all();
        let anybody_is_unreachable = || hosts.values().any(HostMonitor::is_unreachable);
        let has_changed = self.partition.update(share, anybody_is_unreachable);
        if self.partition.is_cut_off() {
            if has_changed {
                self.begin_cut_off(step);
            }
            return;
        }
        // An incident of a former start is over once every host was heard or judged, and most of them are not silent.
        let is_judged = || hosts.values().all(|host| !host.is_unknown());
        let is_former = !self.partition.is_most(share) && self.incidents().is_open(&own) && is_judged();
        let well = "most hosts are heard again";
        if has_changed {
            step.desk.set_condition("view", Ok(well.to_string()));
        }
        if has_changed || is_former {
            self.with_incidents(step, |incidents, around| incidents.close(around, &own, well));
        }
    }

    fn begin_cut_off(&mut self, step: &mut Step<'_>) {
        let share = self.hosts.share();
        let why = format!(
            "{} fell silent: this manager holds itself for the one cut off",
            share.words()
        );
        step.desk.set_condition("view", Err(why.clone()));
        let verdict = Verdict {
            why,
            state: State::Degraded,
            level: Level::Strong,
            ..self.own_verdict(step.now, step.desk)
        };
        let finding = Finding {
            touched: share.silent(),
            ..Finding::reported(&verdict)
        };
        self.with_incidents(step, |incidents, around| incidents.open_own(around, finding));
    }

    /// That a lost host becomes no incident while we are cut off is a decision, recorded once.
    fn record_suppressed(&mut self, step: &mut Step<'_>, name: &NodeName) {
        let Some(verdict) = self.hosts.get(name).map(HostMonitor::verdict).cloned() else {
            return;
        };
        let is_open = self.incidents().is_open(&verdict.subject);
        if self.partition.is_cut_off() && !is_open && self.hosts.suppress_incident(name) {
            let draft = self.partition.suppressed(self.hosts.share(), &verdict);
            step.desk.record(step.now, draft);
        }
    }
}
