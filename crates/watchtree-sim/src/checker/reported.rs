//! What the watchdogs of one host reported, in counters: from their records at the moment they are written and from what
//! the engine really did, never from a watchdog's own memory. Moments are the world's.

use crate::state::clock;
use std::collections::{BTreeMap, BTreeSet};
use watchtree_core::container::io::{ContainerId, EngineCall, Record};
use watchtree_core::container::record::{OpenRepair, Recovered, RepairStep};
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Outcome};
use watchtree_core::id::BootId;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::supervisor::{FleetPolicy, RestartPolicy};
use watchtree_core::time::{Duration, Moment, WallTime};

/// What became of a lost call is seen within this time after the engine has done it.
const SETTLES: Duration = Duration::from_secs(8);

/// A broken rule: its name, and what happened.
pub(super) type Broken = (&'static str, String);

/// What a call does; its times are no matter.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// `/start`
    Start,
    /// `/stop`
    Stop,
}

/// A call of a watchdog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Posted {
    /// To which container.
    pub id: ContainerId,
    /// About which life: the one that has ended or is to be ended.
    pub life: Incarnation,
    /// What it is.
    pub call: EngineCall,
}

impl Posted {
    fn key(&self) -> (ContainerId, Incarnation, Kind) {
        (self.id.clone(), self.life.clone(), kind_of(self.call))
    }
}

fn kind_of(call: EngineCall) -> Kind {
    match call {
        EngineCall::Start => Kind::Start,
        EngineCall::Stop { .. } => Kind::Stop,
    }
}

/// A decision to act that is under way, and whether its restart was charged.
#[derive(Clone, Debug)]
struct Intent {
    id: DecisionId,
    charged: bool,
}

/// See the top of this file.
#[derive(Debug, Default)]
pub(super) struct ReportedState {
    /// Calls that the engine has not finished, by the caller's epoch and ticket.
    open: BTreeMap<(u64, u64), Posted>,
    /// Those of them that no record tells of any more.
    unrecorded: BTreeSet<(u64, u64)>,
    /// When a call to that container was last posted or finished.
    called: BTreeMap<ContainerId, Moment>,
    /// Calls whose callers do not wait any more.
    given_up_on: BTreeSet<(u64, u64)>,
    /// When a caller last lost its call, though the engine went on.
    lost: BTreeMap<ContainerId, Moment>,
    /// Calls that the engine has carried out.
    done: BTreeSet<(ContainerId, Incarnation, Kind)>,
    /// What was charged to a subject and not given back.
    charges: BTreeMap<SubjectId, Vec<Moment>>,
    /// What was charged to the host.
    host_charges: Vec<Moment>,
    intents: BTreeMap<SubjectId, Intent>,
    /// Holds of the container-watchdog, and when they end.
    holds: Vec<(SubjectId, Moment)>,
    /// Repairs begun.
    begun: BTreeMap<SubjectId, Vec<Moment>>,
}

impl ReportedState {
    /// A record is written by a process whose clock began at `zero`; `journal` is what was written before it.
    ///
    /// # Errors
    /// A broken rule.
    pub(super) fn record(
        &mut self,
        now: Moment,
        zero: Moment,
        journal: &Recovered,
        record: &Record,
    ) -> Result<(), Broken> {
        match record {
            Record::Decided(decision) => {
                let (acts, open) = (is_repair(decision), is_under_way(decision));
                let known = self.intents.get(&decision.subject).map(|intent| &intent.id);
                if acts && open && known != Some(&decision.id) {
                    let id = decision.id.clone();
                    self.intents
                        .insert(decision.subject.clone(), Intent { id, charged: false });
                } else if !open && known == Some(&decision.id) {
                    self.intents.remove(&decision.subject);
                }
            }
            Record::Charged { subject, mass, .. } => {
                self.charges.entry(subject.clone()).or_default().push(now);
                if !mass {
                    self.host_charges.push(now);
                }
                if let Some(intent) = self.intents.get_mut(subject) {
                    intent.charged = true;
                }
            }
            Record::GivenBack { subject, mass, .. } => {
                self.charges.get_mut(subject).and_then(Vec::pop);
                if !mass {
                    self.host_charges.pop();
                }
            }
            Record::Cleared { subject } => {
                self.charges.remove(subject);
            }
            Record::Held { subject, end } => {
                self.holds.retain(|(held, _)| held != subject);
                self.holds.push((subject.clone(), clock::world(zero, end.until)));
            }
            Record::Released { subject } => {
                let of_it = self.holds.iter_mut().filter(|(held, _)| held == subject);
                of_it.for_each(|(_, until)| *until = (*until).min(now));
            }
            Record::Repair { subject, step, .. } => {
                let known = journal.subjects.get(subject).and_then(|it| it.repair.as_ref());
                let was_open = known.is_some_and(|it| !it.step.is_over());
                // A start after our own stop is of the repair that stopped it.
                let stopped = [RepairStep::LeftDown, RepairStep::StopLingers];
                let is_owed = known.is_some_and(|it| stopped.contains(&it.step)) && *step == RepairStep::StartPosted;
                if !was_open && matches!(step, RepairStep::StopPosted | RepairStep::StartPosted) {
                    return self.begins(now, subject, is_owed);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A repair begins: it was decided, it is charged, and the charge was within the budgets.
    fn begins(&mut self, now: Moment, subject: &SubjectId, is_owed: bool) -> Result<(), Broken> {
        let intent = self.intents.get(subject);
        if !intent.is_some_and(|intent| intent.charged || is_owed) {
            return Err((
                "acts_on_record",
                format!("a repair of {subject} begins without a decision and a charge before it"),
            ));
        }
        if self.held_until(subject).is_some_and(|until| now < until) {
            return Err((
                "held_left_alone",
                format!("{subject} is held and a repair of it begins"),
            ));
        }
        self.begun.entry(subject.clone()).or_default().push(now);
        let (policy, host) = (RestartPolicy::default(), FleetPolicy::default());
        let of_subject = self.charged(now, subject, policy.allowance.window);
        if policy.allowance.budget < of_subject {
            let why = format!("{subject} is charged {of_subject} restarts within its window");
            return Err(("budget_kept", why));
        }
        let of_host = within(now, &self.host_charges, host.allowance.window);
        if host.allowance.budget < of_host {
            return Err((
                "budget_kept",
                format!("the host of {subject} is charged {of_host} restarts within its window"),
            ));
        }
        Ok(())
    }

    /// A call is posted by the process of that epoch; `journal` is what is on disk.
    ///
    /// # Errors
    /// A broken rule.
    pub(super) fn post(
        &mut self,
        now: Moment,
        journal: &Recovered,
        by: (u64, u64),
        id: &str,
        call: EngineCall,
    ) -> Result<(), Broken> {
        let repair = |it: &watchtree_core::container::record::RecoveredSubject| {
            it.repair.as_ref().filter(|repair| repair.id == id).cloned()
        };
        let fits = |repair: &OpenRepair| match call {
            EngineCall::Start => repair.step == RepairStep::StartPosted,
            EngineCall::Stop { timeout_secs } => {
                repair.step == RepairStep::StopPosted && repair.stop_timeout_secs == timeout_secs
            }
        };
        // Renamed meanwhile, a container may have an old record under its old name.
        let mut all: Vec<_> = journal
            .subjects
            .iter()
            .filter_map(|(sid, it)| Some((sid, repair(it)?)))
            .collect();
        all.sort_by_key(|(_, repair)| !fits(repair));
        let Some((subject, repair)) = all.into_iter().next() else {
            return Err((
                "acts_on_record",
                format!("{call:?} of {id:.6} without a record of a repair"),
            ));
        };
        if !fits(&repair) || !self.intents.contains_key(subject) {
            let why = format!(
                "{call:?} of {subject} with the record {:?} and no decision for it",
                repair.step
            );
            return Err(("acts_on_record", why));
        }
        let posted = Posted {
            id: id.to_string(),
            life: repair.incarnation,
            call,
        };
        self.posted_once(now, by, posted)
    }

    /// A call is never posted while an earlier one of its kind is unfinished in the engine, nor on a life on which one was
    /// carried out.
    fn posted_once(&mut self, now: Moment, by: (u64, u64), posted: Posted) -> Result<(), Broken> {
        let kind = kind_of(posted.call);
        let unfinished = self
            .open
            .iter()
            .any(|(by, it)| it.id == posted.id && kind_of(it.call) == kind && !self.unrecorded.contains(by));
        let carried_out = self.done.contains(&posted.key());
        self.called.insert(posted.id.clone(), now);
        self.open.insert(by, posted.clone());
        let what = match (unfinished, carried_out) {
            (true, _) => "is posted while an earlier one is under way in the engine",
            (_, true) => "was carried out on this life and is posted again",
            _ => return Ok(()),
        };
        Err((
            "posted_once",
            format!("{kind:?} of {:.6} (life {}) {what}", posted.id, posted.life.0),
        ))
    }

    /// The engine has finished a call. `Some` = which one.
    pub(super) fn finished(&mut self, now: Moment, by: (u64, u64), carried_out: bool) -> Option<Posted> {
        let posted = self.open.remove(&by)?;
        self.called.insert(posted.id.clone(), now);
        if carried_out {
            self.done.insert(posted.key());
        }
        Some(posted)
    }

    /// Was or is a stop of ours under way for the container's present life, or any before?
    pub(super) fn was_stopped_by_us(&self, id: &str) -> bool {
        let open = self.open.values().map(Posted::key);
        let mut all = open.chain(self.done.iter().cloned());
        all.any(|(known, _, kind)| known == id && kind == Kind::Stop)
    }

    /// The engine went, and every call with it.
    pub(super) fn engine_went(&mut self) {
        self.open.clear();
    }

    /// The machine booted with another wall clock: how old charges and holds are is known to nobody.
    pub(super) fn ages_lost(&mut self, now: Moment) {
        self.host_charges.clear();
        self.charges.clear();
        self.holds.iter_mut().for_each(|(_, until)| *until = (*until).min(now));
    }

    /// The process has ended: nobody waits for its calls any more.
    pub(super) fn caller_gone(&mut self, now: Moment) {
        let open: Vec<_> = self.open.keys().copied().collect();
        open.into_iter().for_each(|by| self.lost(now, by));
    }

    /// The caller has lost that call: its deadline passed, or its connection broke.
    pub(super) fn lost(&mut self, now: Moment, by: (u64, u64)) {
        self.given_up_on.insert(by);
        if let Some(posted) = self.open.get(&by) {
            self.lost.insert(posted.id.clone(), now);
        }
    }

    /// When a caller last lost a call to that container.
    pub(super) fn lost_at(&self, id: &str) -> Option<Moment> {
        self.lost.get(id).copied()
    }

    /// When a call to that container was last posted or finished, and whether one is under way.
    pub(super) fn call_of(&self, id: &str) -> (Moment, bool) {
        let at = self.called.get(id).copied().unwrap_or(Moment::ZERO);
        (at, self.open.values().any(|it| it.id == id))
    }

    /// Is a call to that container under way that the process of that epoch still waits for?
    pub(super) fn is_waited_for(&self, id: &str, epoch: u64) -> bool {
        let mut open = self.open.iter().filter(|(_, it)| it.id == id);
        open.any(|(by, _)| by.0 == epoch && !self.given_up_on.contains(by))
    }

    /// Does the engine keep a call of ours, or did it until just now, one whose caller had lost it?
    pub(super) fn keeps_a_call(&self, now: Moment, id: &str) -> bool {
        let (at, open) = self.call_of(id);
        open || (self.lost.contains_key(id) && now.since(at) < SETTLES)
    }

    /// Restarts charged to that subject within the window.
    pub(super) fn charged(&self, now: Moment, subject: &SubjectId, window: Duration) -> u32 {
        self.charges.get(subject).map_or(0, |all| within(now, all, window))
    }

    /// Repairs of that subject begun within the window.
    pub(super) fn begun_within(&self, now: Moment, subject: &SubjectId, window: Duration) -> u32 {
        self.begun.get(subject).map_or(0, |all| within(now, all, window))
    }

    /// Until when the subject is or was held.
    pub(super) fn held_until(&self, subject: &SubjectId) -> Option<Moment> {
        let holds = self.holds.iter().filter(|(held, _)| subject.is_within(held));
        holds.map(|(_, until)| *until).max()
    }

    /// Is the host's budget used up?
    pub(super) fn host_is_used_up(&self, now: Moment) -> bool {
        let policy = FleetPolicy::default();
        policy.allowance.budget <= within(now, &self.host_charges, policy.allowance.window)
    }

    /// Did a stop of ours end that life, or will it, with no start under way?
    pub(super) fn was_stopped(&self, id: &str, life: &Incarnation) -> bool {
        let of = |kind| (id.to_string(), life.clone(), kind);
        let stopped = self.done.contains(&of(Kind::Stop)) || self.open.values().any(|it| it.key() == of(Kind::Stop));
        stopped
            && !self
                .open
                .values()
                .any(|it| it.id == id && kind_of(it.call) == Kind::Start)
    }

    /// The watchdog ended with records that the disk had refused: only what the disk holds counts from here on.
    pub(super) fn memory_lost(&mut self, now: Moment, boots: &BTreeMap<BootId, Moment>, disk: &Recovered) {
        let of_world = |at: Moment, boot: BootId| clock::world(boots.get(&boot).copied().unwrap_or_default(), at);
        let moments = |all: &[(Moment, BootId, WallTime)]| {
            all.iter().map(|(at, boot, _)| of_world(*at, *boot)).collect::<Vec<_>>()
        };
        self.host_charges = moments(&disk.host_charges);
        let known = |it: &Posted| {
            let mut repairs = disk.subjects.values().filter_map(|memory| memory.repair.as_ref());
            repairs.any(|repair| repair.id == it.id && repair.incarnation == it.life)
        };
        let unknown = self.open.iter().filter(|(_, it)| !known(it));
        self.unrecorded = unknown.map(|(by, _)| *by).collect();
        self.charges.clear();
        self.intents.clear();
        self.holds.iter_mut().for_each(|(_, until)| *until = (*until).min(now));
        for (subject, memory) in &disk.subjects {
            self.charges.insert(subject.clone(), moments(&memory.charges));
            self.holds.extend(
                memory
                    .held
                    .map(|end| (subject.clone(), of_world(end.until, end.boot_id))),
            );
            let decided = |it: &&Decision| it.subject == *subject && is_repair(it) && is_under_way(it);
            if let (Some(_), Some(decision)) = (&memory.repair, disk.decisions.iter().rev().find(decided)) {
                let (id, charged) = (decision.id.clone(), true);
                self.intents.insert(subject.clone(), Intent { id, charged });
            }
        }
    }

    /// Repairs of that subject begun so far.
    pub(super) fn begun(&self, subject: &SubjectId) -> usize {
        self.begun.get(subject).map_or(0, Vec::len)
    }
}

fn is_repair(decision: &Decision) -> bool {
    matches!(decision.action, ActionKind::Start | ActionKind::StopThenStart)
}

fn is_under_way(decision: &Decision) -> bool {
    matches!(decision.outcome, Outcome::UnderWay | Outcome::Verifying)
}

fn within(now: Moment, all: &[Moment], window: Duration) -> u32 {
    all.iter().filter(|at| now.since(**at) < window).count() as u32
}

#[cfg(test)]
mod tests;
