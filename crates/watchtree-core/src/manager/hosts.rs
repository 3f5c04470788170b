//! All hosts as the manager sees them: whose time has come, what is asked of whom, who is believed.
//!
//! Suspects the manager itself first: after its start or a stall nobody is judged before a whole healthy window. Says what
//! has become of a host ([`HostChange`]); what follows for incidents and for the view as a whole is decided above.

use super::announced_leave::AnnouncedLeave;
use super::desk::Desk;
use super::host_monitor::{HostMonitor, Observer, Phase};
use super::host_probe::HostProbes;
use super::io::{KnownHost, ManagerEffect, ManagerPolicy};
use super::partition::ViewShare;
use crate::backend::{Backend, Child};
use crate::deadlines::Deadlines;
use crate::detector::LocalHealth;
use crate::id::NodeName;
use crate::message::{Goodbye, Look};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;

/// What is late of a probe's result still counts within this time.
const PROBE_SLACK: Duration = Duration::from_millis(100);

/// What has become of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum HostChange {
    /// It is heard again: what it says of those below counts.
    Well(NodeName),
    /// It is lost, or lost in another way, or has left: what it said of those below is masked.
    Masked(NodeName),
    /// It was probed again and is lost as before: nothing of the view has changed.
    StillLost(NodeName),
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Hosts {
    /// The manager's own name.
    observer: NodeName,
    policy: ManagerPolicy,
    local: LocalHealth,
    monitors: BTreeMap<NodeName, HostMonitor>,
    deadlines: Deadlines<NodeName>,
    probes: HostProbes,
    share: ViewShare,
}

impl Hosts {
    pub(super) fn new(now: Moment, observer: NodeName, policy: ManagerPolicy, seed: u64) -> Self {
        Self {
            observer,
            local: LocalHealth::new(now, policy.settle),
            policy,
            monitors: BTreeMap::new(),
            deadlines: Deadlines::default(),
            probes: HostProbes::new(seed),
            share: ViewShare::default(),
        }
    }

    pub(super) const fn local(&self) -> &LocalHealth {
        &self.local
    }

    pub(super) const fn share(&self) -> ViewShare {
        self.share
    }

    pub(super) fn get(&self, name: &NodeName) -> Option<&HostMonitor> {
        self.monitors.get(name)
    }

    /// All of them by name.
    pub(super) const fn all(&self) -> &BTreeMap<NodeName, HostMonitor> {
        &self.monitors
    }

    /// The host whose scope holds this subject.
    pub(super) fn owner(&self, subject: &SubjectId) -> Option<(&NodeName, &HostMonitor)> {
        let name = NodeName::new(subject.root()).ok()?;
        self.monitors.get_key_value(&name)
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.next()
    }

    /// A host of a former start, unless it is known by now.
    pub(super) fn restore(&mut self, now: Moment, known: KnownHost, desk: &mut Desk) {
        let name = known.identity.name.clone();
        if self.monitors.contains_key(&name) {
            return;
        }
        let until = self.local.settled_at().max(now) + self.policy.return_within;
        let left = known.left;
        self.insert(now, known);
        let ends = match left {
            Some(leave) => self.leave(now, &name, leave, desk).map(|ends| ends.max(until)),
            None => Some(until),
        };
        self.arm(&name, ends);
    }

    /// A host said Hello.
    pub(super) fn joined(&mut self, now: Moment, child: &Child, new_life: bool, desk: &mut Desk) -> Option<HostChange> {
        let hello = child.hello();
        let name = hello.identity.name.clone();
        let known = KnownHost {
            identity: hello.identity.clone(),
            capabilities: hello.capabilities,
            scope: hello.scope.clone(),
            look_at: hello.look_at.clone(),
            seen: desk.wall(now),
            left: None,
        };
        if !self.monitors.contains_key(&name) {
            self.insert(now, known.clone());
        }
        let before = self.get(&name)?.known().clone();
        let is_news = KnownHost {
            seen: known.seen,
            ..before
        } != known;
        self.change(&name, |monitor| monitor.set_known(known.clone()));
        if new_life || is_news {
            desk.push(ManagerEffect::StoreHost(known));
        }
        let change = self.heard(now, child, desk);
        // Its Hello was under way for long. What follows it may be on the way too, else it is missed: it said it was back.
        if matches!(self.get(&name)?.phase(), Phase::Left) {
            self.arm(&name, Some(now + self.policy.beat));
        }
        change
    }

    /// A sign of life was taken. Well hosts cost nothing here: their timer asks for the freshness when it fires.
    pub(super) fn heard(&mut self, now: Moment, child: &Child, desk: &mut Desk) -> Option<HostChange> {
        let name = &child.hello().identity.name;
        if self.get(name)?.is_well() || child.has_left() || !child.is_fresh(now) {
            return None;
        }
        self.judge(now, name, desk, HostMonitor::hear);
        self.arm(name, child.fresh_until());
        Some(HostChange::Well(name.clone()))
    }

    /// A host announced that it will be away for a while.
    pub(super) fn left(
        &mut self,
        now: Moment,
        name: &NodeName,
        goodbye: Goodbye,
        desk: &mut Desk,
    ) -> Option<HostChange> {
        let at = desk.wall(now);
        let left = Some(AnnouncedLeave { goodbye, at });
        let known = KnownHost {
            left,
            ..self.get(name)?.known().clone()
        };
        desk.push(ManagerEffect::StoreHost(known));
        let ends = self.leave(now, name, AnnouncedLeave { goodbye, at }, desk);
        self.arm(name, ends);
        Some(HostChange::Masked(name.clone()))
    }

    /// Takes a host out; returns what was known of it.
    pub(super) fn forget(&mut self, name: &NodeName, desk: &mut Desk) -> Option<KnownHost> {
        self.deadlines.disarm(name);
        self.probes.cancel(name);
        let monitor = self.monitors.remove(name)?;
        self.share.replace(monitor.share(), ViewShare::NOTHING);
        desk.push(ManagerEffect::ForgetHost(name.clone()));
        Some(monitor.known().clone())
    }

    /// The result of a probe.
    pub(super) fn probed(&mut self, nonce: u64, result: Look) {
        if matches!(result, Look::StillTrying) {
            return;
        }
        let host = self.probes.end(nonce);
        if let Some(monitor) = host.and_then(|host| self.monitors.get_mut(&host)) {
            monitor.take_probe(nonce, result);
        }
    }

    /// The manager did not run for `gap`: nobody is judged by that time.
    pub(super) fn stalled(&mut self, now: Moment, gap: Duration) {
        self.local.stalled(now, gap);
        self.extend_deadlines();
    }

    /// As [`Self::stalled`], noticed by a wake-up that came late. True if it was.
    pub(super) fn woke(&mut self, now: Moment, due: Moment) -> bool {
        let is_late = self.local.woke(now, due);
        if is_late {
            self.extend_deadlines();
        }
        is_late
    }

    fn extend_deadlines(&mut self) {
        let settled = self.local.settled_at();
        for (name, monitor) in &mut self.monitors {
            if let Some(at) = self.deadlines.get(name) {
                monitor.restart_conclusion();
                self.deadlines.arm(name.clone(), at.max(settled));
            }
        }
    }

    /// A host whose time has come.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<NodeName> {
        self.deadlines.pop_due(now)
    }

    /// Looks after a host whose time has come.
    pub(super) fn due(
        &mut self,
        now: Moment,
        name: &NodeName,
        sessions: &mut Backend,
        desk: &mut Desk,
    ) -> Option<HostChange> {
        let (settled, monitor) = (self.local.settled_at(), self.monitors.get_mut(name)?);
        if !self.local.may_judge(now) {
            monitor.restart_conclusion();
            self.arm(name, Some(settled));
            return None;
        }
        let missed = match monitor.phase() {
            Phase::Well => self.missed_slot(now, name, sessions.child(name)?)?,
            Phase::Unknown => {
                let what = "no Hello since this manager started".to_string();
                Evidence::new(EvidenceKind::MissedSlot, now, what)
            }
            Phase::Left => {
                let overdue = monitor.known().left.map(|leave| leave.overdue(desk.wall(now)));
                let what = overdue.unwrap_or_else(|| "its watchdog was back, and is silent since".to_string());
                Evidence::new(EvidenceKind::Goodbye, now, what)
            }
            Phase::Lost(lost) if lost.wants_probe() => {
                self.probe(now, name, sessions, desk);
                return None;
            }
            Phase::Suspect(_) | Phase::Lost(_) => return self.probe_over(now, name, sessions, desk),
        };
        self.judge(now, name, desk, |monitor, observer| monitor.suspect(observer, missed));
        self.probe(now, name, sessions, desk);
        None
    }

    /// How late a host is that was well; `None` = it is fresh, and is looked after when it may no longer be.
    fn missed_slot(&mut self, now: Moment, name: &NodeName, child: &Child) -> Option<Evidence> {
        let until = child.fresh_until();
        if until.is_some_and(|until| now < until) {
            self.arm(name, until);
            return None;
        }
        let slot = child.newest().map_or(Moment::ZERO, |(slot, _)| slot);
        let late = until.map_or(Duration::ZERO, |until| now.since(until)) + self.policy.margin;
        let what = format!(
            "nothing after slot {slot} of its clock; the next one is {:.1} s late",
            late.as_secs_f32()
        );
        Some(Evidence::new(EvidenceKind::MissedSlot, now, what))
    }

    /// Asks a host on the link, and its kernel from outside.
    fn probe(&mut self, now: Moment, name: &NodeName, sessions: &mut Backend, desk: &mut Desk) {
        let Some(monitor) = self.monitors.get_mut(name) else {
            return;
        };
        let (nonce, within) = (self.probes.begin(name), self.policy.look_within);
        monitor.begin_probe(nonce);
        desk.push(ManagerEffect::ProbeHost {
            nonce,
            host: name.clone(),
            addresses: monitor.known().look_at.clone(),
            within,
        });
        sessions.ping(now, name);
        self.arm(name, Some(now + within + PROBE_SLACK));
    }

    /// The time of a probe is over: for a suspect another round or a verdict, for a lost host its verdict as it is or anew.
    fn probe_over(
        &mut self,
        now: Moment,
        name: &NodeName,
        sessions: &mut Backend,
        desk: &mut Desk,
    ) -> Option<HostChange> {
        let monitor = self.monitors.get_mut(name)?;
        let concluded = monitor.end_probe(self.policy.rounds);
        if concluded.is_none() && !monitor.is_lost() {
            self.probe(now, name, sessions, desk);
            return None;
        }
        self.arm(name, Some(now + self.policy.look_again));
        let Some((result, rounds)) = concluded else {
            return Some(HostChange::StillLost(name.clone()));
        };
        self.judge(now, name, desk, |monitor, observer| {
            monitor.conclude(observer, &result, rounds)
        });
        Some(HostChange::Masked(name.clone()))
    }

    /// Notes that no incident is opened of a lost host; true the first time.
    pub(super) fn suppress_incident(&mut self, name: &NodeName) -> bool {
        self.monitors.get_mut(name).is_some_and(HostMonitor::suppress_incident)
    }

    fn insert(&mut self, now: Moment, known: KnownHost) {
        let name = known.identity.name.clone();
        let monitor = HostMonitor::new(now, known, &self.observer);
        self.share.replace(ViewShare::NOTHING, monitor.share());
        self.monitors.insert(name, monitor);
    }

    /// Its absence is announced: UNWATCHED. Returns when it counts again; `None` = never.
    fn leave(&mut self, now: Moment, name: &NodeName, leave: AnnouncedLeave, desk: &mut Desk) -> Option<Moment> {
        self.judge(now, name, desk, |monitor, observer| monitor.leave(observer, leave));
        leave.ends(now, desk.wall(now), self.policy.back_after_shutdown)
    }

    fn arm(&mut self, name: &NodeName, at: Option<Moment>) {
        match at {
            Some(at) => self.deadlines.arm(name.clone(), at),
            None => self.deadlines.disarm(name),
        }
    }

    /// Judges a host; what has changed by it is told.
    fn judge(
        &mut self,
        now: Moment,
        name: &NodeName,
        desk: &mut Desk,
        judge: impl FnOnce(&mut HostMonitor, Observer<'_>) -> Option<ManagerEffect>,
    ) {
        let own_name = self.observer.clone();
        let observer = Observer {
            name: &own_name,
            health: self.local.health(now),
            now,
            wall: desk.wall(now),
        };
        if let Some(told) = self.change(name, |monitor| judge(monitor, observer)).flatten() {
            desk.push(told);
        }
    }

    /// The only way to change a monitor so that its share of the view may change.
    fn change<R>(&mut self, name: &NodeName, change: impl FnOnce(&mut HostMonitor) -> R) -> Option<R> {
        let monitor = self.monitors.get_mut(name)?;
        let before = monitor.share();
        let result = change(monitor);
        self.share.replace(before, monitor.share());
        Some(result)
    }
}
