//! What a supervisor remembers of its subject: budget, limit, the last exit, back-off, a person's retry, what is shown.
//!
//! The kind of subject reads it and tells it of ends; admission reads it; only the supervisor takes from the budget.
//! Knows no repair and no kind.

use super::admission::{Block, GuardResult};
use super::budget::{FleetBudget, RestartBudget};
use super::exit::{ExitClass, ExitRecord};
use super::ill::Ill;
use super::places::Places;
use super::policy::RestartPolicy;
use super::refusal::{Refusal, RefusedTries};
use super::reported::{ReportedState, Shown};
use crate::decision::{ActionKind, Guard, GuardAnswer};
use crate::recorder::Draft;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment, Past, seconds};
use crate::verdict::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// Tells the block by a limit that is reached from others of the same guard.
pub(super) const AT_LIMIT: &str = "at its limit";

/// The restart limit is reached: a person is needed, and one half-open retry is made every so often.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    since: Past,
    why: String,
    half_open_every: Duration,
    is_unfit: bool,
    /// It is of before a restart of this watchdog: by which policy it was reached is not known yet.
    is_remembered: bool,
}

impl Limit {
    /// Reached then; why, in words.
    pub fn new(since: impl Into<Past>, why: impl Into<String>, half_open_every: Duration) -> Self {
        Self {
            since: since.into(),
            why: why.into(),
            half_open_every,
            is_unfit: false,
            is_remembered: false,
        }
    }

    /// Reached because the subject says itself that it cannot run for now; lifted as soon as it runs.
    pub fn unfit(since: impl Into<Past>, why: impl Into<String>, half_open_every: Duration) -> Self {
        Self {
            is_unfit: true,
            ..Self::new(since, why, half_open_every)
        }
    }

    /// Reached before a restart of this watchdog, by a policy that is not known yet: see [`Supervision::apply_policy`].
    pub fn remembered(since: impl Into<Past>, policy: &RestartPolicy) -> Self {
        Self {
            is_remembered: true,
            ..Self::new(since, used_up(policy), policy.half_open_every)
        }
    }

    /// The subject says itself that it cannot run.
    pub const fn is_unfit(&self) -> bool {
        self.is_unfit
    }

    /// Since when; a half-open retry begins it anew.
    pub fn since(&self) -> Moment {
        self.since.in_this_boot()
    }

    /// Why, in words.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// The record of its being reached.
    pub(super) fn draft(&self, subject: SubjectId) -> Draft {
        let why = match self.is_unfit {
            true => format!("{}: a person is needed", self.why),
            false => format!(
                "{} and it ends again: restart limit reached, a person is needed",
                self.why
            ),
        };
        Draft::new(subject, ActionKind::Escalate, why)
            .guards(vec![GuardAnswer::blocked(Guard::Budget, &*self.why)])
            .budget_left(0)
    }
}

/// The memory of one subject's supervisor.
#[derive(Clone, Debug, Default)]
pub struct Supervision {
    budget: RestartBudget,
    limit: Option<Limit>,
    exit: Option<ExitRecord>,
    /// That end has not been counted among those of late.
    is_fresh: bool,
    /// When its last end was counted so.
    failed_at: Option<Moment>,
    /// What runs is not rebooted before.
    not_before: Moment,
    /// Who asked for a try now: guards of time do not count for the next one.
    waiver: Option<String>,
    /// Which non-action was recorded last: it is recorded again only when this changes.
    recorded: Option<(Guard, Incarnation, String)>,
    /// The reboots that were refused since it ran.
    refused: Option<RefusedTries>,
    /// For which reboot it waits for a place among those under way, and since when.
    queued: Option<(Ill, Moment)>,
    reported: ReportedState,
}

impl Supervision {
    /// Takes up what was remembered of before a restart: the restarts, oldest first, and the limit.
    pub fn restore(&mut self, restarts: impl IntoIterator<Item = Past>, limit: Option<Limit>) {
        restarts.into_iter().for_each(|at| self.budget.record_restart(at));
        self.limit = limit;
    }

    /// Its policy is known now: that of a limit which was remembered as well. One that the starts alone had not reached then
    /// was reached by stops.
    pub fn apply_policy(&mut self, policy: &RestartPolicy) {
        if let Some(limit) = self.limit.as_mut().filter(|limit| limit.is_remembered) {
            let why = match self.budget.is_spent(limit.since(), policy) {
                true => used_up(policy),
                false => used_up(&policy.for_stop()),
            };
            *limit = Limit::new(limit.since, why, policy.half_open_every);
        }
    }

    /// Its restarts.
    pub const fn budget(&self) -> &RestartBudget {
        &self.budget
    }

    /// The limit, while it is reached.
    pub const fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// The last end, until the subject runs again.
    pub const fn exit(&self) -> Option<&ExitRecord> {
        self.exit.as_ref()
    }

    /// Changes the last end: new evidence, a cure that no retry is.
    pub const fn exit_mut(&mut self) -> Option<&mut ExitRecord> {
        self.exit.as_mut()
    }

    /// It has ended.
    pub fn set_exit(&mut self, exit: ExitRecord) {
        self.is_fresh = !exit.is_own_stop();
        self.exit = Some(exit);
    }

    /// True once for each end that is a failure of the subject's own.
    pub(super) fn take_failure(&mut self, now: Moment) -> bool {
        let is_failure = self.exit.as_ref().is_some_and(|exit| exit.class().wants_restart());
        let is_new = core::mem::take(&mut self.is_fresh) && is_failure;
        if is_new {
            self.failed_at = Some(now);
        }
        is_new
    }

    /// It runs again.
    pub(super) fn restarted(&mut self) {
        self.clear_exit();
        self.refused = None;
    }

    /// It runs: what was refused of an earlier incarnation is over.
    pub fn runs(&mut self, incarnation: &Incarnation) {
        self.clear_exit();
        self.refused = self.refused.take().filter(|it| it.is_of(incarnation));
    }

    /// It runs again, or its end is to be classified anew.
    pub fn clear_exit(&mut self) {
        (self.exit, self.failed_at) = (None, None);
    }

    /// Who asked for a try now, if somebody did.
    pub fn waiver(&self) -> Option<&str> {
        self.waiver.as_deref()
    }

    /// What a person asked for before is not what they want now.
    pub fn drop_waiver(&mut self) {
        self.waiver = None;
    }

    /// What is shown of it.
    pub const fn reported(&self) -> &ReportedState {
        &self.reported
    }

    /// Shows something of it.
    pub fn show(&mut self, now: Moment, shown: Shown) {
        self.reported.set(now, shown);
    }

    /// For which reboot it waits for a place among those under way, and since when.
    pub const fn queued(&self) -> Option<(Ill, Moment)> {
        self.queued
    }

    /// It does not wait for a place any more.
    pub fn leave_queue(&mut self) {
        self.queued = None;
    }

    /// A guard for what ended, by its class: may it be restarted at all? To be asked three times, in this order:
    /// [`Guard::OperatorIntent`], [`Guard::MeantToRun`], [`Guard::KnownCause`].
    pub fn guard_exit(&self, guard: Guard) -> GuardResult {
        let Some(exit) = &self.exit else {
            return GuardResult::Skip("it has not ended".to_string());
        };
        let block = |state: State| Block::new(exit.why(), state).into();
        match (guard, exit.class()) {
            (Guard::OperatorIntent, ExitClass::Operator) => block(State::Stopped),
            (Guard::OperatorIntent, ExitClass::CannotTell | ExitClass::FirstSight) => {
                GuardResult::Skip("nothing tells whether a person stopped it".to_string())
            }
            (Guard::MeantToRun, ExitClass::Finished) => block(State::Finished),
            (Guard::MeantToRun, ExitClass::FirstSight) => GuardResult::Skip("nobody saw it run".to_string()),
            (Guard::KnownCause, ExitClass::FirstSight) => block(State::Unknown),
            (Guard::KnownCause, ExitClass::CannotTell) => block(State::GivenUp),
            (Guard::OperatorIntent | Guard::KnownCause, _) => GuardResult::pass(exit.why()),
            _ => GuardResult::pass("it ran and is meant to"),
        }
    }

    /// Nothing is left for its last end, or now where it runs.
    pub(super) fn is_spent(&self, now: Moment, policy: &RestartPolicy) -> bool {
        let failed = self.exit.as_ref().map_or(now, ExitRecord::at);
        self.budget.left(now, policy.allowance) == 0 || self.budget.is_spent(failed, policy)
    }

    pub(super) fn guard_budget(&self, now: Moment, is_owed: bool, policy: &RestartPolicy) -> GuardResult {
        if is_owed {
            return GuardResult::pass("it ends what we began: counted already");
        }
        let left = self.budget.left(now, policy.allowance);
        if let Some(limit) = &self.limit {
            let half_open = limit.since.plus(limit.half_open_every);
            let retry = if policy.half_open_within_budget && !limit.is_unfit {
                half_open.max(self.budget.free_at(now, policy.allowance))
            } else {
                half_open
            };
            if now < retry {
                let every = seconds(limit.half_open_every);
                let why = format!(
                    "restart limit reached ({}); one half-open retry every {every}",
                    limit.why
                );
                return Block::new(why, State::GivenUp).until(retry).keyed(AT_LIMIT).into();
            }
            return GuardResult::pass("restart limit reached: this is the half-open retry");
        }
        if self.is_spent(now, policy) {
            let why = format!("restart limit reached: {}; a person is needed", used_up(policy));
            let block = Block::new(why, State::GivenUp).quietly();
            return match policy.allowance.budget {
                0 => block.into(),
                _ => block.until(now + policy.half_open_every).into(),
            };
        }
        let window = seconds(policy.allowance.window);
        GuardResult::pass(format!("{left} of {} left in {window}", policy.allowance.budget))
    }

    /// The delay before a restart of what ended; planned when first asked.
    pub(super) fn guard_delay(&mut self, now: Moment, policy: &RestartPolicy, seed: u64) -> GuardResult {
        let is_free = self.waiver.is_some() || self.limit.is_some();
        let failures = self.budget.consecutive_failures(now, policy);
        let left = self.budget.left(now, policy.allowance);
        let Some(exit) = &mut self.exit else {
            return GuardResult::Skip("it has not ended".to_string());
        };
        let delay = if is_free {
            Duration::ZERO
        } else {
            self.budget.next_delay(exit.at(), policy, seed)
        };
        let due = exit.due().unwrap_or(exit.at() + delay);
        exit.set_due(Some(due));
        let refused = self.refused.as_ref().filter(|it| it.is_of(exit.incarnation()));
        if let Some(block) = refused.and_then(|it| it.block(now)) {
            return block.into();
        }
        if now < due {
            let next = (policy.allowance.budget - left).saturating_add(1);
            let after = seconds(due - exit.at());
            let why = format!("restart {next} of {} in {after}", policy.allowance.budget);
            return Block::new(why, State::Repairing).until(due).quietly().into();
        }
        GuardResult::pass(match failures {
            0 => "the first after a stable run: no delay",
            _ => "the delay is over",
        })
    }

    /// The delay before the next reboot of what runs.
    pub(super) fn guard_not_before(&self, now: Moment, incarnation: &Incarnation) -> GuardResult {
        let refused = self.refused.as_ref().filter(|it| it.is_of(incarnation));
        if let Some(block) = refused.and_then(|it| it.block(now)) {
            return block.into();
        }
        if now < self.not_before {
            let block = Block::new("waits before the next try", State::Repairing);
            return block.until(self.not_before).quietly().into();
        }
        GuardResult::pass("no delay is left")
    }

    pub(super) fn guard_fleet(&self, now: Moment, fleet: &FleetBudget) -> GuardResult {
        if self.is_correlated(fleet) {
            return GuardResult::pass("one of many that failed at once: exempt from the budget of all together");
        }
        if fleet.left(now) == 0 {
            let allowance = fleet.policy().allowance;
            let window = seconds(allowance.window);
            let why = format!(
                "the host's budget of {} restarts in {window} is used up",
                allowance.budget
            );
            let again = fleet.free_at(now);
            return Block::new(why, State::GivenUp).until(again).escalating().into();
        }
        GuardResult::pass("the host's budget has some left")
    }

    /// Is there a place among the repairs under way? A wait that is longer than `long_wait` is no mere turn.
    pub(super) fn guard_place(&mut self, now: Moment, ill: Ill, places: Places) -> GuardResult {
        let place = places.of(ill);
        if place.is_free {
            self.leave_queue();
            return GuardResult::pass("a place among the repairs under way is free");
        }
        let since = self.queued.filter(|(of, _)| *of == ill).map_or(now, |(_, since)| since);
        self.queued = Some((ill, since));
        let long = since + place.long_wait;
        let why = format!("waits for its turn: {} repairs are under way", place.under_way);
        let block = Block::new(why, State::Repairing);
        if now < long {
            block.until(long).quietly().into()
        } else {
            block.into()
        }
    }

    /// Its end is one of many of one cause.
    pub(super) fn is_correlated(&self, fleet: &FleetBudget) -> bool {
        let in_burst = self.failed_at.is_some_and(|at| fleet.is_in_burst(at));
        in_burst || self.exit.as_ref().is_some_and(ExitRecord::is_correlated)
    }

    /// True the first time that this non-action is seen, of this incarnation.
    pub(super) fn is_news(&mut self, guard: Guard, incarnation: &Incarnation, key: &str) -> bool {
        let key = (guard, incarnation.clone(), key.to_string());
        if self.recorded.as_ref() == Some(&key) {
            return false;
        }
        self.recorded = Some(key);
        true
    }

    pub(super) fn forget_recorded(&mut self) {
        self.recorded = None;
    }

    /// A restart counts against the budget, whoever does it.
    pub fn take_restart(&mut self, now: Moment) {
        self.budget.record_restart(now);
    }

    /// A repair of ours has stopped it, and no start has followed: that start is no further restart.
    pub(super) fn owes_start(&self, ill: Ill) -> bool {
        ill == Ill::Down && self.exit.as_ref().is_some_and(ExitRecord::is_own_stop)
    }

    /// A restart of ours begins: what a person had waived for it is used up, and the half-open pause begins anew.
    pub(super) fn begin_restart(&mut self, now: Moment) -> Option<Moment> {
        self.waiver = None;
        self.recorded = None;
        self.queued = None;
        if self.owes_start(Ill::Down) {
            return None;
        }
        let limit = self.limit.as_mut()?;
        limit.since = now.into();
        Some(now)
    }

    /// A repair failed: the next try waits, the longer the more failed in a row.
    pub(super) fn back_off(&mut self, now: Moment, policy: &RestartPolicy) {
        let until = now + policy.delay(self.budget.consecutive_failures(now, policy));
        self.not_before = self.not_before.max(until);
        if let Some(exit) = &mut self.exit {
            exit.set_due(Some(until));
        }
    }

    /// A reboot of that incarnation was refused: the next try waits, and no longer than a cause outside it is worth.
    pub(super) fn refuse(&mut self, now: Moment, refusal: Refusal, incarnation: Incarnation, seldom: Duration) {
        let tries = RefusedTries::one_more(self.refused.take(), now, refusal, incarnation, seldom);
        self.not_before = tries.again();
        if let Some(exit) = &mut self.exit {
            exit.set_due(Some(tries.again()));
        }
        self.refused = Some(tries);
    }

    /// Gives back the restart of that moment. False if there is none.
    pub(super) fn give_back(&mut self, at: Moment) -> bool {
        self.budget.give_back(at)
    }

    /// What is shown while a repair is under way: what it is at its limit, or was when it was refused, it is until it runs.
    pub(super) fn shown_in_repair(&self, shown: Shown) -> Shown {
        if self.limit.is_some() {
            let why = format!("restart limit reached; half-open retry: {}", shown.why());
            return Shown::new(State::GivenUp, why);
        }
        match self.refused.is_some() && shown.state() == State::Repairing {
            true => Shown::new(self.reported.state(), self.reported.why()),
            false => shown,
        }
    }

    pub(super) fn reach_limit(&mut self, limit: Limit) {
        self.limit = Some(limit);
    }

    /// It runs after all: what it said of itself is over. Its restarts still count.
    pub(super) fn lift_limit(&mut self) {
        self.limit = None;
    }

    pub(super) fn reset_limit(&mut self) {
        self.limit = None;
        self.budget.reset();
    }

    pub(super) fn retry(&mut self, asked_by: &str) {
        self.reset_limit();
        (self.not_before, self.refused) = (Moment::ZERO, None);
        self.waiver = Some(asked_by.to_string());
        self.recorded = None;
        if let Some(exit) = &mut self.exit {
            exit.retry(asked_by);
        }
    }
}

/// `5 restarts in 600 s are used up`
pub(super) fn used_up(policy: &RestartPolicy) -> String {
    let allowance = policy.allowance;
    format!(
        "{} restarts in {} are used up",
        allowance.budget,
        seconds(allowance.window)
    )
}
