//! An engine as a [`Subject`]: its ping, its guards, its reboot.
//!
//! Ping: the probes of its daemon. What they find ill for a while is looked at from outside before anything is done.
//! Reboot, the weakest cure first, as a machine:
//!
//! ```text
//!   containerd not reached ─▶ Dumping ─▶ Working: containerd ─┐
//!   daemon does not answer ─▶ Dumping ─▶ Working: daemon ─────┼─▶ Proving ── every probe answered ──▶ succeeded
//!   daemon is away ────────────────────▶ Working: daemon ─────┘      └────── not in time ──▶ failed
//! ```
//!
//! A cure of containerd that did not help is followed by one of the daemon. A daemon whose containers end with it is
//! restarted only where that was allowed, or where most of them are down already. Does not know how work is done on an
//! engine, nor budgets, delays or records.

use super::engine_io::{EngineUnit, EngineWork, RepairWhen, UnitPhase};
use super::engine_monitor::{EngineFault, EngineMonitor};
use super::io::HostPolicy;
use crate::decision::{ActionKind, Guard, Outcome};
use crate::subject::{Incarnation, SubjectId};
use crate::supervisor::{
    Admission, Assessment, Block, GuardResult, Ill, Outputs, Progress, Shown, Subject, Supervision,
};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::{Evidence, EvidenceKind, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What was seen of the daemon from outside counts for this long.
const LOOK_LASTS: Duration = Duration::from_secs(10);
/// A look that is not answered (a defect of the driver) is asked for again after this.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// The stacks are waited for this long: a frozen daemon writes none.
const DUMP_WITHIN: Duration = Duration::from_secs(2);
/// Killing and starting takes at most this long; with live-restore it takes 2 s.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// After that it must answer within this time. Without live-restore it first stops what it finds, which takes over 10 s.
const PROVEN_WITHIN: Duration = Duration::from_secs(60);
/// While the service manager starts it, or something else is in the way that ends by itself, it is asked again this often.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What the host role knows around one engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct EngineAround<'a> {
    pub(super) policy: &'a HostPolicy,
    /// When it may be repaired; `None` = it cannot be from here.
    pub(super) when: Option<RepairWhen>,
    /// From then on this daemon may judge others.
    pub(super) settled: Moment,
    /// Until when a hold keeps repairs away.
    pub(super) held_until: Option<Moment>,
    /// The machine is going down.
    pub(super) is_going_down: bool,
    /// How many of its containers are watched, and how many of them are down or ill.
    pub(super) containers: usize,
    pub(super) failing: usize,
}

/// What is to be done for an engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EngineCommand {
    /// Look at it from outside.
    Inspect,
    /// Do that to it, within that time.
    Work(EngineWork, Duration),
}

/// Where a reboot stands; see the module's text.
#[derive(Clone, Debug)]
pub(super) struct EngineRepair {
    work: EngineWork,
    began: Moment,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    Dumping { until: Moment },
    Working { until: Moment },
    Proving { since: Moment, until: Moment },
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct EngineSubject {
    id: SubjectId,
    monitor: EngineMonitor,
    /// As it was seen from outside last.
    look: Option<(Moment, Result<EngineUnit, String>)>,
    look_asked: Option<Moment>,
    /// What was answered to the work that is under way.
    worked: Option<(EngineWork, Result<String, String>)>,
    /// A new containerd did not help.
    containerd_did_not_help: bool,
    well_since: Option<Moment>,
}

type Out<'a> = Outputs<'a, EngineCommand>;

impl EngineSubject {
    /// Nothing is known of it.
    pub(super) fn new(now: Moment, id: SubjectId, policy: &HostPolicy) -> Self {
        Self {
            id,
            monitor: EngineMonitor::new(now, policy),
            look: None,
            look_asked: None,
            worked: None,
            containerd_did_not_help: false,
            well_since: None,
        }
    }

    /// The probes.
    pub(super) fn monitor(&self) -> &EngineMonitor {
        &self.monitor
    }

    /// The same, to be told of time and results.
    pub(super) fn monitor_mut(&mut self) -> &mut EngineMonitor {
        &mut self.monitor
    }

    /// It was looked at from outside.
    pub(super) fn looked_at(&mut self, now: Moment, look: Result<EngineUnit, String>) {
        self.look_asked = None;
        self.look = Some((now, look));
    }

    /// Work on it has ended.
    pub(super) fn worked(&mut self, work: EngineWork, result: Result<String, String>) {
        self.worked = Some((work, result));
    }

    fn fault(&self) -> Option<EngineFault> {
        self.monitor.fault().map(|fault| fault.kind)
    }

    fn cure(&self) -> Option<EngineWork> {
        match self.fault()? {
            EngineFault::Containerd if !self.containerd_did_not_help => Some(EngineWork::RestartContainerd),
            EngineFault::Containerd | EngineFault::Daemon | EngineFault::Away => Some(EngineWork::RestartDaemon),
        }
    }

    fn phase(&self) -> UnitPhase {
        match &self.look {
            Some((_, Ok(unit))) => unit.phase,
            Some((_, Err(_))) | None => UnitPhase::Unknown,
        }
    }

    /// Asks for a look from outside, unless one of just now is there. `Some` = it is waited for until then.
    fn look_first(&mut self, now: Moment, ill_since: Moment, out: &mut Out<'_>) -> Option<Moment> {
        let is_fresh = |at: Moment| ill_since <= at && now < at + LOOK_LASTS;
        if self.look.as_ref().is_some_and(|(at, _)| is_fresh(*at)) {
            return None;
        }
        let asked = self.look_asked.filter(|asked| now < *asked + LOOK_WITHIN);
        let asked = asked.unwrap_or_else(|| {
            out.command(EngineCommand::Inspect);
            now
        });
        self.look_asked = Some(asked);
        Some(asked + LOOK_WITHIN)
    }

    /// The probes, and the look from outside.
    fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = self.monitor.verdict().evidence;
        if let Some((at, look)) = &self.look {
            let words = match look {
                Ok(unit) => unit.words.clone(),
                Err(why) => why.clone(),
            };
            evidence.push(Evidence::new(EvidenceKind::Observer, *at, words));
        }
        evidence
    }

    fn shown(&self) -> Shown {
        let verdict = self.monitor.verdict();
        Shown::new(verdict.state, verdict.why)
            .level(verdict.level)
            .evidence(verdict.evidence)
    }

    fn block(&self, words: impl Into<String>) -> Block {
        Block::new(words, self.monitor.verdict().state)
    }

    /// Does nothing stand against a restart of it in its own state?
    fn guard_phase(&self, now: Moment, when: Option<RepairWhen>) -> GuardResult {
        let is_away = self.fault() == Some(EngineFault::Away);
        match (self.phase(), is_away) {
            (UnitPhase::Stopped, _) => {
                let why = "it was stopped in order, by a person or a package: it is theirs to start";
                self.block(why).into()
            }
            (UnitPhase::Starting, _) => self.block("it is being started").until(now + ASK_AGAIN).into(),
            (UnitPhase::Running, true) => {
                let why = "it runs, and nothing takes a connection at its socket: a person is to look at that";
                self.block(why).until(now + ASK_AGAIN).escalating().into()
            }
            (UnitPhase::Unknown, true) if when != Some(RepairWhen::Always) => {
                let why = "it is away, and nothing here tells whether a person stopped it";
                self.block(why).until(now + ASK_AGAIN).escalating().into()
            }
            (UnitPhase::Running | UnitPhase::Failed | UnitPhase::Unknown, _) => {
                GuardResult::pass("nobody stopped it in order")
            }
        }
    }

    /// Does a container end by it, and may it?
    fn guard_harm(&self, now: Moment, around: &EngineAround<'_>) -> GuardResult {
        let (failing, all) = (around.failing, around.containers);
        if self.cure() == Some(EngineWork::RestartContainerd) {
            return GuardResult::pass("no container ends with containerd");
        }
        match (self.monitor.live_restore(), around.when) {
            (Some(true), _) => GuardResult::pass("live-restore is on: no container ends with it"),
            (_, Some(RepairWhen::Always)) => {
                GuardResult::pass("its containers may end with it: repair = \"always\" is set")
            }
            _ if 0 < all && all <= failing * 2 => {
                GuardResult::pass(format!("{failing} of its {all} containers are down or ill already"))
            }
            (live_restore, _) => {
                let known =
                    live_restore.map_or("it is not known whether live-restore is on", |_| "live-restore is off");
                let why = format!(
                    "{known}, so its containers would end with it: turn live-restore on, set repair = \"always\", or \
                     restart it yourself"
                );
                self.block(why).until(now + ASK_AGAIN).escalating().into()
            }
        }
    }

    fn begin_work(&mut self, now: Moment, work: EngineWork, out: &mut Out<'_>) -> Step {
        self.worked = None;
        out.command(EngineCommand::Work(work, WORK_WITHIN));
        Step::Working {
            until: now + WORK_WITHIN + LOOK_WITHIN,
        }
    }

    fn over(&mut self, now: Moment, work: EngineWork, outcome: Outcome, result: String) -> Progress {
        self.monitor.ask_all(now);
        self.containerd_did_not_help = work == EngineWork::RestartContainerd && outcome == Outcome::Failed;
        Progress::Over { outcome, result }
    }
}

impl Subject for EngineSubject {
    type Around<'a> = EngineAround<'a>;
    type Repair = EngineRepair;
    type Command = EngineCommand;

    fn id(&self) -> &SubjectId {
        &self.id
    }

    fn incarnation(&self, _: &EngineAround<'_>) -> Incarnation {
        Incarnation::default()
    }

    fn ping(
        &mut self,
        now: Moment,
        around: &mut EngineAround<'_>,
        _: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        let Some(fault) = self.monitor.fault() else {
            let shown = self.shown();
            if shown.state() != State::Ok {
                return Assessment::Pending { until: None, shown };
            }
            self.containerd_did_not_help = false;
            let since = *self.well_since.get_or_insert(now);
            return Assessment::Well { since, shown };
        };
        self.well_since = None;
        // It must have failed again after that time: an answer that comes just then is an answer.
        if fault.newest < fault.since + around.policy.engine_ill_for {
            let (until, shown) = (None, self.shown());
            return Assessment::Pending { until, shown };
        }
        if let Some(until) = self.look_first(now, fault.since, out) {
            let (until, shown) = (Some(until), self.shown());
            return Assessment::Pending { until, shown };
        }
        Assessment::Unhealthy {
            how: self.monitor.verdict().why,
            evidence: self.evidence(),
        }
    }

    fn action(&self, _: Ill) -> ActionKind {
        ActionKind::RestartEngine
    }

    fn plan(&self, _: ActionKind) -> &'static str {
        let is_away = self.fault() == Some(EngineFault::Away);
        match self.cure() {
            Some(EngineWork::RestartContainerd) => "have its stacks written, kill containerd and start it again",
            Some(EngineWork::RestartDaemon) if is_away => "start it",
            Some(EngineWork::RestartDaemon | EngineWork::DumpStacks) | None => {
                "have its stacks written, kill it and start it again"
            }
        }
    }

    fn guards(
        &mut self,
        now: Moment,
        _: Ill,
        around: &mut EngineAround<'_>,
        on: &Supervision,
        admission: &mut Admission,
        _: &mut Out<'_>,
    ) {
        admission.ask(Guard::Enabled, || match around.when {
            None => {
                let why = "it cannot be repaired from here: systemd does not run here, and no repair_command is set";
                self.block(why).into()
            }
            Some(RepairWhen::Never) => self.block("repair = \"never\" is set").into(),
            Some(RepairWhen::Safe | RepairWhen::Always) => GuardResult::pass("repairs are on"),
        });
        admission.ask(Guard::Observer, || match now < around.settled {
            true => self
                .block("this daemon stalled just now")
                .until(around.settled)
                .keyed("")
                .into(),
            false => GuardResult::pass("this daemon ran without a stall for a whole window"),
        });
        admission.ask_unless_waived(Guard::Hold, on.waiver(), || match around.held_until {
            Some(until) => {
                let why = format!("held for {} more", seconds(until.since(now)));
                self.block(why).until(until).keyed("").into()
            }
            None => GuardResult::pass("not held"),
        });
        admission.ask(Guard::HostShutdown, || match around.is_going_down {
            true => self.block("the machine is going down").into(),
            false => GuardResult::pass("the machine is not going down"),
        });
        admission.ask_unless_waived(Guard::OperatorIntent, on.waiver(), || {
            self.guard_phase(now, around.when)
        });
        admission.ask_unless_waived(Guard::Level, on.waiver(), || self.guard_harm(now, around));
    }

    fn reboot(
        &mut self,
        now: Moment,
        _: ActionKind,
        _: &mut EngineAround<'_>,
        _: &mut Supervision,
        out: &mut Out<'_>,
    ) -> EngineRepair {
        let work = self.cure().unwrap_or(EngineWork::RestartDaemon);
        let is_away = self.fault() == Some(EngineFault::Away);
        let step = if is_away {
            self.begin_work(now, work, out)
        } else {
            self.worked = None;
            out.command(EngineCommand::Work(EngineWork::DumpStacks, DUMP_WITHIN));
            Step::Dumping {
                until: now + DUMP_WITHIN * 2,
            }
        };
        EngineRepair { work, began: now, step }
    }

    fn advance(
        &mut self,
        now: Moment,
        repair: &mut EngineRepair,
        _: &mut EngineAround<'_>,
        _: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Progress {
        let answer = self.worked.take();
        let waits = |until, why: &str| Progress::Waits {
            until: Some(until),
            shown: Shown::new(State::Repairing, why),
        };
        match repair.step {
            Step::Dumping { until } => {
                let is_dumped = matches!(answer, Some((EngineWork::DumpStacks, _)));
                if !is_dumped && now < until {
                    return waits(until, "its stacks are being written");
                }
                // What a frozen daemon does not write is no reason to leave it frozen.
                repair.step = self.begin_work(now, repair.work, out);
                waits(now + WORK_WITHIN + LOOK_WITHIN, "it is being restarted")
            }
            Step::Working { until } => match answer {
                Some((work, Ok(done))) if work == repair.work => {
                    self.monitor.ask_all(now);
                    let until = now + PROVEN_WITHIN;
                    repair.step = Step::Proving { since: now, until };
                    let fact = Evidence::new(EvidenceKind::NewIncarnation, now, done.clone());
                    Progress::Restarted { result: done, fact }
                }
                Some((work, Err(why))) if work == repair.work => self.over(now, work, Outcome::Failed, why),
                Some(_) | None if now < until => waits(until, "it is being restarted"),
                Some(_) | None => {
                    let why = "nothing came of the restart in time".to_string();
                    self.over(now, repair.work, Outcome::Failed, why)
                }
            },
            Step::Proving { since, until } => {
                if self.monitor.answers_since(since) {
                    let took = seconds(now.since(repair.began));
                    let result = format!("it answers every probe again, {took} after its repair began");
                    return self.over(now, repair.work, Outcome::Succeeded, result);
                }
                if now < until {
                    return waits(until, "it was restarted, and has not answered every probe yet");
                }
                let why = format!(
                    "it was restarted, and is ill all the same: {}",
                    self.monitor.verdict().why
                );
                self.over(now, repair.work, Outcome::Failed, why)
            }
        }
    }
}

#[cfg(test)]
mod tests;
