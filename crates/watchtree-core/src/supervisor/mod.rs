//! One supervisor for everything that is watched: decides when a subject is pinged, when it is rebooted, and when not.
//!
//! ```text
//!             well ──▶ shown; after a whole window the limit is reset
//! ping ─▶ ──▶ ill  ─┐                                   ┌─ blocked ─▶ shown, recorded once per reason, asked again
//!             down ─┴─▶ guards of the kind ─▶ budget, back-off, fleet, place
//!                                                       └─ admitted ─▶ record, take from the budget, reboot
//!                                                                                  │
//!        ▲                                                                         ▼
//!        └───────────── over: succeeded, failed (back off), overruled ◀─── advance … verify
//! ```
//!
//! Knows no engine, no socket and no process: a kind of subject is a [`Subject`]; what the role knows around it is passed
//! in. What is to be written down and done comes out in order, as [`Output`]s.

mod admission;
mod budget;
mod exit;
mod ill;
mod outbreak;
mod outputs;
mod overload;
mod places;
mod policy;
mod refusal;
mod reported;
mod subject;
mod supervision;
#[cfg(test)]
mod tests;
mod turn;

pub use admission::{Admission, Block, Blocked, GuardResult};
pub use budget::{FleetBudget, RestartBudget};
pub use exit::{ExitClass, ExitRecord};
pub use ill::Ill;
pub use outbreak::Outbreaks;
pub use outputs::{Output, Outputs};
pub use places::{Place, Places};
pub use policy::{Allowance, BUDGET_MAX, FleetLimits, FleetPolicy, PolicyError, RestartLimits, RestartPolicy};
pub use refusal::Refusal;
pub use reported::{ReportedState, Shown};
pub use subject::{Assessment, Progress, Subject};
pub use supervision::{Limit, Supervision};
pub use turn::Terms;

use crate::conditions::same_but_numbers;
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::recorder::Draft;
use crate::subject::{Incarnation, SubjectId};
use crate::time::Moment;
use crate::verdict::{Evidence, State};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use turn::{Case, OpenRepair, Turn};

/// Supervises one subject.
#[derive(Debug)]
pub struct Supervisor<S: Subject> {
    supervision: Supervision,
    open: Option<OpenRepair<S::Repair>>,
}

impl<S: Subject> Default for Supervisor<S> {
    fn default() -> Self {
        Self {
            supervision: Supervision::default(),
            open: None,
        }
    }
}

impl<S: Subject> Supervisor<S> {
    /// What is remembered of the subject.
    pub const fn supervision(&self) -> &Supervision {
        &self.supervision
    }

    /// The same, to be told of what was seen.
    pub const fn supervision_mut(&mut self) -> &mut Supervision {
        &mut self.supervision
    }

    /// The repair under way.
    pub fn repair(&self) -> Option<&S::Repair> {
        self.open.as_ref().map(|open| &open.repair)
    }

    /// The same, to be told of answers.
    pub fn repair_mut(&mut self) -> Option<&mut S::Repair> {
        self.open.as_mut().map(|open| &mut open.repair)
    }

    /// Goes on with a repair of before a restart of this watchdog, under its record.
    pub fn resume(&mut self, decision: Decision, repair: S::Repair) {
        self.open = Some(OpenRepair {
            decision,
            repair,
            is_of_fleet: false,
        });
    }

    /// A person wants a try now: the budget is whole again, and guards of time do not count for the next restart. What
    /// was found of its last end stays as it is.
    pub fn retry(&mut self, asked_by: &str, out: &mut Outputs<'_, S::Command>) {
        self.supervision.retry(asked_by);
        out.push(Output::LimitReset);
    }

    /// Others (the engine) have restarted it so many times: such restarts come out of the same budget.
    pub fn record_restarts_of_others(
        &mut self,
        now: Moment,
        count: u32,
        (subject, incarnation, evidence): (SubjectId, Incarnation, Vec<Evidence>),
        policy: &RestartPolicy,
        out: &mut Outputs<'_, S::Command>,
    ) {
        for _ in 0..count.min(BUDGET_MAX) {
            self.supervision.take_restart(now);
            out.push(Output::Restarted { correlated: true });
        }
        if self.supervision.limit().is_none() && self.supervision.budget().is_spent(now, policy) {
            let limit = Limit::new(now, supervision::used_up(policy), policy.half_open_every);
            let draft = limit.draft(subject).incarnation(incarnation).evidence(evidence);
            self.reach(now, limit, draft, out);
        }
    }

    /// A fact that has become known while the repair is under way: into its record.
    pub fn add_evidence(&mut self, fact: Evidence, out: &mut Outputs<'_, S::Command>) {
        let Some(open) = &mut self.open else { return };
        open.add_evidence(fact);
        out.update(&open.decision);
    }

    fn reach(&mut self, now: Moment, limit: Limit, draft: Draft, out: &mut Outputs<'_, S::Command>) {
        out.push(Output::LimitReached {
            since: now,
            is_new: true,
        });
        let record = out.record(now, draft);
        self.supervision.reach_limit(limit);
        // It says why nothing is done from now on: the guard that blocks for it is no news.
        self.supervision
            .is_news(Guard::Budget, &record.incarnation, supervision::AT_LIMIT);
    }

    /// The subject is gone: its repair is over.
    pub fn abandon(&mut self, outcome: Outcome, why: &str, out: &mut Outputs<'_, S::Command>) {
        if let Some(OpenRepair { mut decision, .. }) = self.open.take() {
            (decision.outcome, decision.result) = (outcome, String::from(why));
            out.update(&decision);
            out.push(Output::Repaired(outcome));
        }
    }

    /// Does what follows from what is known now. Returns when to be called again at the latest.
    pub fn step<'a>(
        &mut self,
        now: Moment,
        subject: &mut S,
        around: &mut S::Around<'a>,
        terms: Terms<'_>,
        out: &mut Outputs<'a, S::Command>,
    ) -> Option<Moment> {
        let mut turn = Turn {
            now,
            subject,
            around,
            policy: terms.policy,
            fleet: terms.fleet,
            places: terms.places,
            seed: terms.seed,
            out,
        };
        loop {
            if self.open.is_some()
                && let Some(wake) = self.advance(&mut turn)
            {
                return wake;
            }
            let assessment = turn.subject.ping(now, turn.around, &mut self.supervision, turn.out);
            let case = match self.case(&mut turn, assessment) {
                Ok(case) => case,
                Err(wake) => return wake,
            };
            match self.admit(&mut turn, &case).finish() {
                Ok(answers) => match turn.fleet.outbreaks().load_awaited_until(now, turn.subject.id()) {
                    Some(until) => return Some(until),
                    None => self.begin(&mut turn, case, answers),
                },
                Err(blocked) => return self.hold_back(&mut turn, case, blocked),
            }
        }
    }

    /// Moves the repair on. `Some` = it waits, until that moment at the latest; `None` = it is over.
    fn advance(&mut self, turn: &mut Turn<'_, '_, S>) -> Option<Option<Moment>> {
        loop {
            let open = self.open.as_mut()?;
            let progress =
                turn.subject
                    .advance(turn.now, &mut open.repair, turn.around, &mut self.supervision, turn.out);
            match progress {
                Progress::Waits { until, shown } => {
                    let shown = self.supervision.shown_in_repair(shown);
                    let evidence = open.decision.evidence.clone();
                    self.supervision.show(turn.now, shown.evidence(evidence));
                    return Some(until);
                }
                Progress::Restarted { result, fact } => {
                    open.begins_verifying(result, fact);
                    self.supervision.restarted();
                    turn.out.update(&open.decision);
                }
                Progress::Refused { refusal, is_void } => {
                    self.refused(turn, refusal, is_void);
                    return None;
                }
                Progress::Over { outcome, result } => {
                    self.end(turn, outcome, result);
                    return None;
                }
            }
        }
    }

    fn end(&mut self, turn: &mut Turn<'_, '_, S>, outcome: Outcome, result: String) {
        let Some(OpenRepair { mut decision, .. }) = self.open.take() else {
            return;
        };
        (decision.outcome, decision.result) = (outcome, result);
        turn.out.update(&decision);
        turn.out.push(Output::Repaired(outcome));
        self.supervision.forget_recorded();
        turn.fleet.outbreaks_mut().ended(turn.now, turn.subject.id(), outcome);
        if outcome == Outcome::Failed {
            self.supervision.back_off(turn.now, &turn.policy);
        }
        if outcome == Outcome::Overruled
            && let Some(exit) = self.supervision.exit().cloned()
        {
            // The record of the repair says it all.
            let (guard, _, key) = exit.left_alone();
            self.supervision.is_news(guard, exit.incarnation(), &key);
        }
    }

    /// It was refused: that waits for its own cause. Where nothing was done (`is_void`), what it took is given back.
    fn refused(&mut self, turn: &mut Turn<'_, '_, S>, refusal: Refusal, is_void: bool) {
        let open = self.open.as_ref().map(|open| (open.decision.at, open.is_of_fleet));
        if let Some((at, is_of_fleet)) = open.filter(|_| is_void)
            && self.supervision.give_back(at)
        {
            if is_of_fleet {
                turn.fleet.give_back(at);
            }
            let correlated = !is_of_fleet;
            turn.out.push(Output::GivenBack { at, correlated });
        }
        let incarnation = match self.supervision.exit() {
            Some(exit) => exit.incarnation().clone(),
            None => turn.subject.incarnation(turn.around),
        };
        self.end(turn, Outcome::Failed, String::from(refusal.why()));
        let seldom = turn.policy.half_open_every;
        self.supervision.refuse(turn.now, refusal, incarnation, seldom);
    }

    /// What a ping leads to: a case for a reboot, or nothing but something shown, and when to ask again.
    fn case(&mut self, turn: &mut Turn<'_, '_, S>, assessment: Assessment) -> Result<Case, Option<Moment>> {
        let outbreaks = turn.fleet.outbreaks_mut();
        outbreaks.note(turn.now, turn.subject.id(), assessment.illness());
        let (shown, wake) = match assessment {
            Assessment::Unclear => return Err(None),
            Assessment::Pending { until, shown } => (shown, until),
            Assessment::LeftAlone(shown) => (shown, None),
            Assessment::Well { since, shown } => self.well(turn, since, shown),
            Assessment::Unhealthy { how, evidence } | Assessment::Unchecked { how, evidence, .. } => {
                return Ok(Case::running(how, evidence, false));
            }
            Assessment::Stale { how, evidence, is_well } => return Ok(Case::running(how, evidence, is_well)),
            Assessment::Down if self.supervision.take_failure(turn.now) => {
                turn.fleet.record_failure(turn.now, turn.subject.id());
                return self.case(turn, Assessment::Down);
            }
            Assessment::Down => match self.down(turn) {
                Ok(case) => return Ok(case),
                Err(shown) => (shown, None),
            },
        };
        self.supervision.leave_queue();
        self.supervision.show(turn.now, shown);
        Err(wake)
    }

    /// It is well: nothing is left to try. A limit that was reached is reset by a whole window of that.
    fn well(&mut self, turn: &mut Turn<'_, '_, S>, since: Moment, shown: Shown) -> (Shown, Option<Moment>) {
        self.supervision.drop_waiver();
        self.supervision.forget_recorded();
        self.supervision.restarted();
        if self.supervision.limit().is_none() {
            return (shown, None);
        }
        let (proven, forgiven) = (since + turn.policy.verify, since + turn.policy.allowance.window);
        if self.supervision.limit().is_some_and(Limit::is_unfit) {
            self.supervision.lift_limit();
            return (shown, None);
        }
        if forgiven <= turn.now {
            self.supervision.reset_limit();
            turn.out.push(Output::LimitReset);
            return (shown, None);
        }
        if turn.now < proven {
            let why = "restart limit reached; it runs again, but has not proven to stay";
            return (Shown::new(State::GivenUp, why), Some(proven));
        }
        (shown, Some(forgiven))
    }

    /// It has ended: a case for a restart, or left alone, which is a decision too.
    fn down(&mut self, turn: &mut Turn<'_, '_, S>) -> Result<Case, Shown> {
        let Some(exit) = self.supervision.exit().cloned() else {
            return Err(Shown::new(State::Down, "it has ended"));
        };
        self.follow_newest(turn, &exit);
        if exit.wants_restart() {
            return Ok(Case {
                ill: Ill::Down,
                how: String::from(exit.how()),
                evidence: exit.evidence().to_vec(),
                is_well: false,
            });
        }
        let (guard, shown, key) = exit.left_alone();
        if self.supervision.is_news(guard, exit.incarnation(), &key) {
            let draft = Draft::new(turn.subject.id().clone(), ActionKind::None, shown.why())
                .incarnation(exit.incarnation().clone())
                .evidence(exit.evidence().to_vec())
                .guards(vec![GuardAnswer::blocked(guard, exit.why())])
                .budget_left(self.supervision.budget().left(turn.now, turn.policy.allowance));
            turn.out.record(turn.now, draft);
        }
        Err(shown.evidence(exit.evidence().to_vec()))
    }

    /// The newest end alone says whether it cannot run for now, and why.
    fn follow_newest(&mut self, turn: &mut Turn<'_, '_, S>, exit: &ExitRecord) {
        let unfit = self.supervision.limit().filter(|limit| limit.is_unfit());
        match (exit.unfit(), unfit) {
            (Some((why, _)), Some(limit)) if same_but_numbers(why, limit.why()) => (),
            (Some((why, every)), _) => {
                let limit = Limit::unfit(turn.now, why, every);
                let draft = limit
                    .draft(turn.subject.id().clone())
                    .incarnation(exit.incarnation().clone())
                    .evidence(exit.evidence().to_vec());
                self.reach(turn.now, limit, draft, turn.out);
            }
            (None, Some(_)) => self.supervision.lift_limit(),
            (None, None) => (),
        }
    }

    /// Asks the guards of the kind, then those of every kind.
    fn admit(&mut self, turn: &mut Turn<'_, '_, S>, case: &Case) -> Admission {
        let now = turn.now;
        let policy = match case.ill {
            Ill::Down => turn.policy,
            Ill::Running => turn.policy.for_stop(),
        };
        let mut admission = Admission::default();
        let supervision = &mut self.supervision;
        turn.subject
            .guards(now, case.ill, turn.around, supervision, &mut admission, turn.out);
        let waiver = supervision.waiver().map(String::from);
        let waiver = waiver.as_deref();
        if case.ill == Ill::Running {
            let id = turn.subject.id();
            admission.ask_unless_waived(Guard::Level, waiver, || turn.fleet.outbreaks().guard(now, id));
            let incarnation = turn.subject.incarnation(turn.around);
            admission.ask_unless_waived(Guard::Backoff, waiver, || {
                supervision.guard_not_before(now, &incarnation)
            });
        }
        let is_owed = supervision.owes_start(case.ill);
        let is_spent = supervision.limit().is_none() && supervision.is_spent(now, &policy);
        let reaches_limit = admission.is_open() && is_spent && !is_owed;
        admission.ask(Guard::Budget, || supervision.guard_budget(now, is_owed, &policy));
        if case.ill == Ill::Down {
            admission.ask_unless_waived(Guard::Backoff, waiver, || {
                supervision.guard_delay(now, &policy, turn.seed)
            });
        }
        if !is_owed {
            admission.ask(Guard::Budget, || supervision.guard_fleet(now, turn.fleet));
        }
        if !admission.is_open() {
            supervision.leave_queue();
        }
        admission.ask(Guard::InFlight, || supervision.guard_place(now, case.ill, turn.places));
        if reaches_limit {
            let limit = Limit::new(now, supervision::used_up(&policy), policy.half_open_every);
            let incarnation = turn.subject.incarnation(turn.around);
            let draft = limit
                .draft(turn.subject.id().clone())
                .incarnation(incarnation)
                .evidence(case.evidence.clone());
            self.reach(now, limit, draft, turn.out);
        }
        admission
    }

    /// Writes down what is about to be done, takes it from the budgets, and begins.
    fn begin(&mut self, turn: &mut Turn<'_, '_, S>, case: Case, answers: Vec<GuardAnswer>) {
        let (now, policy) = (turn.now, turn.policy);
        let action = turn.subject.action(case.ill);
        let is_owed = self.supervision.owes_start(case.ill);
        let row = self.supervision.budget().consecutive_failures(now, &policy) + u32::from(!is_owed);
        let plan = turn.subject.plan(action);
        let why = match self.supervision.exit().filter(|_| case.ill == Ill::Down) {
            Some(exit) => {
                let asked = exit
                    .asked_by()
                    .map(|who| format!(" (asked for by {who})"))
                    .unwrap_or_default();
                format!("{}, {}: {plan}{asked}, restart {row} in a row", case.how, exit.why())
            }
            None => format!("{}: {plan}, restart {row} in a row", case.how),
        };
        let takes = !is_owed && !self.supervision.limit().is_some_and(Limit::is_unfit);
        let left = self.supervision.budget().left(now, policy.allowance);
        let left = left.saturating_sub(u32::from(takes));
        let draft = Draft::new(turn.subject.id().clone(), action, why)
            .incarnation(turn.subject.incarnation(turn.around))
            .evidence(case.evidence)
            .guards(answers)
            .budget_left(left)
            .outcome(Outcome::UnderWay);
        let decision = turn.out.record(now, draft);
        let correlated = self.supervision.is_correlated(turn.fleet);
        turn.fleet
            .outbreaks_mut()
            .begins(turn.subject.id(), case.ill == Ill::Running);
        let is_of_fleet = takes && !correlated;
        if is_of_fleet {
            turn.fleet.record_restart(now);
        }
        if takes {
            turn.out.push(Output::Restarted { correlated });
        }
        if takes {
            self.supervision.take_restart(now);
        }
        if let Some(since) = self.supervision.begin_restart(now) {
            turn.out.push(Output::LimitReached { since, is_new: false });
        }
        let repair = turn
            .subject
            .reboot(now, action, turn.around, &mut self.supervision, turn.out);
        self.open = Some(OpenRepair {
            decision,
            repair,
            is_of_fleet,
        });
    }

    /// A guard said no: shows it, records it once per reason, and says when to ask again.
    fn hold_back(&mut self, turn: &mut Turn<'_, '_, S>, case: Case, blocked: Blocked) -> Option<Moment> {
        // The limit is ended by a run that stays, not by a guard that puts the half-open retry off.
        let state = match (blocked.shown(), case.ill) {
            _ if case.is_well => State::Ok,
            (State::Repairing, _) if self.supervision.limit().is_some() => State::GivenUp,
            (State::Down, Ill::Running) => State::Unhealthy,
            (state, _) => state,
        };
        let why = format!("{}: {}", case.how, blocked.words());
        let incarnation = match self.supervision.exit() {
            Some(exit) => exit.incarnation().clone(),
            None => turn.subject.incarnation(turn.around),
        };
        let again = blocked.again();
        if blocked.is_recorded() && self.supervision.is_news(blocked.guard(), &incarnation, blocked.key()) {
            let left = self.supervision.budget().left(turn.now, turn.policy.allowance);
            let draft = Draft::new(turn.subject.id().clone(), blocked.action(), why.clone())
                .incarnation(incarnation)
                .evidence(case.evidence.clone())
                .guards(blocked.into_answers())
                .budget_left(left);
            turn.out.record(turn.now, draft);
        }
        self.supervision
            .show(turn.now, Shown::new(state, why).evidence(case.evidence));
        again
    }
}
