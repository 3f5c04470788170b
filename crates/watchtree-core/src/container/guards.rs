//! May we act? Asks every guard in order, acts if all pass, records the one that stopped it.

use super::agent::{ContainerAgent, Mode};
use super::facts::{Facts, Status, secs};
use super::subject::{Guards, Subject, runs_once};
use crate::decision::{ActionKind, Guard};
use crate::random::mix;
use crate::restart::{RestartPolicy, delay_with_jitter};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// The engine's own restart policy gets this long for the first restart.
const ENGINE_FIRST: Duration = Duration::from_secs(2);
/// A look may get no answer: then it is asked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A stop by a person may be given any time to end well (`docker stop --time 120`), and no event tells how much: a stop of
/// ours would cut it short. Not for ever: the signal may have meant something else (QUIT: a thread dump).
const STOP_PATIENCE: Duration = Duration::from_secs(600);

/// A guard said no: what is shown, and when to ask again.
struct No {
    guard: Guard,
    detail: String,
    state: State,
    again: Option<Moment>,
    /// Recorded as a decision; a delay that is part of the policy is not one.
    record: bool,
    action: ActionKind,
}

impl No {
    fn new(guard: Guard, detail: impl Into<String>, state: State, again: Option<Moment>) -> Self {
        Self {
            guard,
            detail: detail.into(),
            state,
            again,
            record: true,
            action: ActionKind::None,
        }
    }

    fn quietly(self) -> Self {
        Self { record: false, ..self }
    }
}

impl ContainerAgent {
    /// It crashed: start it, unless a guard says no.
    pub(crate) fn want_start(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &mut Facts) {
        let mut guards = Guards::default();
        let policy = subject.labels.policy(&self.settings.policy);
        let exit = facts.exit_code();
        if let Err(no) = self.ask_before_start(now, sid, subject, facts, &policy, &mut guards) {
            let text = format!("exited ({exit}): {}", no.detail);
            return self.hold_back(now, sid, subject, guards, no, text);
        }
        let strikes = subject.ledger.strikes(now, &policy);
        let why = format!(
            "it exited with {exit} and nobody stopped it: start it, restart {} in a row",
            strikes + 1
        );
        self.begin_start(now, sid, subject, facts, guards, &policy, why);
    }

    fn ask_before_start(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &mut Facts,
        policy: &RestartPolicy,
        guards: &mut Guards,
    ) -> Result<(), No> {
        match subject.labels.heals_crash(self.settings.heal) {
            Ok(why) => guards.pass(Guard::Enabled, why),
            Err(why) => return Err(No::new(Guard::Enabled, why, State::Down, None)),
        }
        guards.pass(Guard::OperatorIntent, "nobody stopped it");
        guards.pass(Guard::MeantToRun, "it ran and is meant to");
        if let Some(words) = subject
            .death
            .as_ref()
            .and_then(|it| it.hopeless.clone())
            .filter(|_| !subject.forced)
        {
            return Err(No::new(Guard::KnownCause, words, State::GivenUp, None));
        }
        if let Some(why) = self.network_away(facts).filter(|_| !subject.forced) {
            return Err(No::new(Guard::KnownCause, why, State::Down, None));
        }
        self.ask_engine(now, subject, facts, guards)?;
        self.ask_common(now, sid, subject, facts, guards)?;
        let mass = self.is_mass(now, subject);
        self.ask_budget(now, sid, subject, policy, guards)?;
        self.ask_backoff(now, sid, subject, policy, guards)?;
        self.ask_host(now, sid, subject, mass, guards)
    }

    /// The engine refuses every start of it while the container whose network it joins does not run: why it waits, if so.
    fn network_away(&self, facts: &Facts) -> Option<String> {
        let owner = self.facts.get(facts.view.as_ref()?.joins.as_ref()?)?;
        let away = matches!(
            owner.status(),
            Status::Created | Status::Backoff | Status::Down | Status::Removing
        );
        away.then(|| {
            format!(
                "it joins the network of {}, which does not run: waits for it",
                owner.name
            )
        })
    }

    /// A container with a restart policy gets its first restart from the engine.
    fn ask_engine(&mut self, now: Moment, subject: &Subject, facts: &mut Facts, guards: &mut Guards) -> Result<(), No> {
        if !facts.engine_restarts() {
            guards.pass(Guard::EngineFirst, "the engine will not restart it");
            return Ok(());
        }
        let Some(death) = subject.death.as_ref().filter(|_| !subject.forced) else {
            return Ok(());
        };
        let until = death.at + ENGINE_FIRST;
        let wait = "the engine's own restart policy goes first";
        if now < until {
            return Err(No::new(Guard::EngineFirst, wait, State::Repairing, Some(until)).quietly());
        }
        if facts.view_asked < until {
            self.look(now, facts);
            let again = Some(now + LOOK_AGAIN);
            return Err(No::new(Guard::EngineFirst, wait, State::Repairing, again).quietly());
        }
        guards.pass(
            Guard::EngineFirst,
            "the engine has a restart policy for it and did not act on it",
        );
        Ok(())
    }

    /// Guards of every repair: is anything else in the way?
    fn ask_common(
        &self,
        now: Moment,
        sid: &SubjectId,
        subject: &Subject,
        facts: &Facts,
        guards: &mut Guards,
    ) -> Result<(), No> {
        if self.mode != Mode::Healing {
            let why = "this watchdog is about to stop; its successor goes on";
            return Err(No::new(Guard::Observer, why, State::Repairing, None).quietly());
        }
        if let Some(until) = self.deploy_until(facts) {
            let why = "its compose service is being deployed";
            return Err(No::new(Guard::Deploy, why, State::Repairing, Some(until)));
        }
        guards.pass(Guard::Deploy, "no deployment of its service was seen");
        if let Some((by, until)) = self.hold_on(sid) {
            let why = format!("held for {} more (hold on {by})", secs(until - now));
            return Err(No {
                record: true,
                ..No::new(Guard::Hold, why, State::Down, Some(until))
            });
        }
        guards.pass(Guard::Hold, "not held");
        if subject.open_call.is_some() {
            let why = "an earlier call of ours may still be under way in the engine";
            return Err(No::new(Guard::InFlight, why, State::GivenUp, None));
        }
        guards.pass(Guard::InFlight, "no call of ours is under way");
        Ok(())
    }

    fn ask_budget(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        policy: &RestartPolicy,
        guards: &mut Guards,
    ) -> Result<(), No> {
        let left = subject.ledger.left(now, policy.window, policy.budget);
        let used = format!("{} restarts in {} are used up", policy.budget, secs(policy.window));
        if let Some(since) = subject.given_up {
            let retry = (since + policy.slow_retry).max(subject.ledger.free_at(now, policy.window, policy.budget));
            if now < retry {
                let why = format!("given up ({used}); one more try every {}", secs(policy.slow_retry));
                return Err(No::new(Guard::Budget, why, State::GivenUp, Some(retry)));
            }
            guards.pass(Guard::Budget, "given up: this is the slow retry");
            return Ok(());
        }
        if left == 0 {
            let life = subject
                .death
                .as_ref()
                .map_or_else(|| subject.life.clone(), |death| death.life.clone());
            let evidence = match &subject.death {
                Some(death) => death.evidence.clone(),
                None => subject.evidence.clone(),
            };
            self.give_up(now, sid, subject, life, policy, evidence);
            let again = (policy.budget != 0).then(|| now + policy.slow_retry);
            let why = format!("given up: {used}; a person is needed");
            return Err(No::new(Guard::Budget, why, State::GivenUp, again).quietly());
        }
        guards.pass(
            Guard::Budget,
            format!("{left} of {} left in {}", policy.budget, secs(policy.window)),
        );
        Ok(())
    }

    fn ask_backoff(
        &self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        policy: &RestartPolicy,
        guards: &mut Guards,
    ) -> Result<(), No> {
        let free = subject.forced || subject.given_up.is_some();
        let strikes = subject.ledger.strikes(now, policy);
        let seed = sid
            .as_str()
            .bytes()
            .fold(self.settings.seed, |seed, byte| mix(seed ^ u64::from(byte)));
        let ledger = &subject.ledger;
        let Some(death) = &mut subject.death else { return Ok(()) };
        let delay = || {
            if free {
                Duration::ZERO
            } else {
                delay_with_jitter(policy, ledger, death.at, seed)
            }
        };
        let start_at = match death.start_at {
            Some(at) => at,
            None => death.at + delay(),
        };
        death.start_at = Some(start_at);
        if now < start_at && !subject.forced {
            let left = subject.ledger.left(now, policy.window, policy.budget);
            let next = policy.budget - left + 1;
            let why = format!("restart {next} of {} in {}", policy.budget, secs(start_at - death.at));
            return Err(No::new(Guard::Backoff, why, State::Repairing, Some(start_at)).quietly());
        }
        let why = if strikes == 0 {
            "the first after a clean run: no delay"
        } else {
            "the delay is over"
        };
        guards.pass(Guard::Backoff, why);
        Ok(())
    }

    fn ask_host(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        mass: bool,
        guards: &mut Guards,
    ) -> Result<(), No> {
        let host = self.settings.host_policy;
        if mass {
            guards.pass(
                Guard::Budget,
                "one of many that died at once: exempt from the host's budget",
            );
        } else if self.host_ledger.left(now, host.window, host.budget) == 0 {
            let again = self.host_ledger.free_at(now, host.window, host.budget);
            let why = format!(
                "the host's budget of {} restarts in {} is used up",
                host.budget,
                secs(host.window)
            );
            let no = No::new(Guard::Budget, why, State::GivenUp, Some(again));
            return Err(No {
                action: ActionKind::Escalate,
                ..no
            });
        } else {
            guards.pass(Guard::Budget, "the host's budget has some left");
        }
        let under_way = self.calls_in_time();
        if host.parallel.max(1) as usize <= under_way {
            self.queued.insert(sid.clone());
            // A wait that is longer than a start may take is no mere turn: it is recorded.
            let long = *subject.queued_since.get_or_insert(now) + self.settings.start_deadline;
            let why = format!("waits for its turn: {under_way} repairs are under way");
            let no = No::new(Guard::InFlight, why, State::Repairing, (now < long).then_some(long));
            return Err(if now < long { no.quietly() } else { no });
        }
        subject.queued_since = None;
        Ok(())
    }

    pub(crate) fn is_mass(&self, now: Moment, subject: &Subject) -> bool {
        let host = self.settings.host_policy;
        let many = self
            .crashes
            .iter()
            .filter(|(at, _)| now.since(*at) < host.mass_window)
            .count();
        subject.death.as_ref().is_some_and(|death| death.mass) || host.mass as usize <= many
    }

    /// It runs but its health check fails: stop it, look, start it, unless a guard says no.
    pub(crate) fn want_stop_then_start(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &mut Facts,
    ) {
        let mut guards = Guards::default();
        let policy = subject.labels.policy(&self.settings.policy);
        subject.evidence = vec![health_evidence(now, facts)];
        if let Err(no) = self.ask_before_stop(now, sid, subject, facts, &policy, &mut guards) {
            let state = if no.state == State::Down {
                State::Unhealthy
            } else {
                no.state
            };
            let text = format!("unhealthy: {}", no.detail);
            return self.hold_back(now, sid, subject, guards, No { state, ..no }, text);
        }
        let why = "its health check fails: stop it, look whether a person interferes, start it".to_string();
        self.begin_stop(now, sid, subject, facts, guards, &policy, why);
    }

    fn ask_before_stop(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &mut Facts,
        policy: &RestartPolicy,
        guards: &mut Guards,
    ) -> Result<(), No> {
        match subject.labels.heals_unhealthy(self.settings.heal) {
            Ok(why) => guards.pass(Guard::Enabled, why),
            Err(why) => return Err(No::new(Guard::Enabled, why, State::Unhealthy, None)),
        }
        // What a stop would end, no start brings back: not even where a person asked for a retry.
        if let Some(why) = facts.view.as_ref().and_then(runs_once) {
            return Err(No::new(Guard::MeantToRun, why, State::Unhealthy, None));
        }
        guards.pass(Guard::MeantToRun, "it is meant to be kept up");
        if let Some(until) = self.stream.gap_until() {
            let why = "waits until the event stream is whole again";
            return Err(No::new(Guard::KnownCause, why, State::Unhealthy, Some(until)).quietly());
        }
        if !self.stream.is_live(now) && facts.view_asked < self.stream.whole_since() {
            self.look(now, facts);
            let why = "old news: looking whether it is still so";
            let again = Some(now + LOOK_AGAIN);
            return Err(No::new(Guard::KnownCause, why, State::Unhealthy, again).quietly());
        }
        // A retry that was asked for since waives what goes beyond the ordinary time of a stop, and no more.
        let patience = if facts.has_foreign_signal() && !subject.forced {
            facts.stop_window().max(STOP_PATIENCE)
        } else {
            facts.stop_window()
        };
        let being_stopped = subject.signal_at.map(|at| at + patience).filter(|until| now < *until);
        if let Some(until) = being_stopped {
            let why = "somebody sent it a stop signal, and it may be ending as it should";
            return Err(No::new(Guard::OperatorIntent, why, State::Unhealthy, Some(until)));
        }
        guards.pass(Guard::OperatorIntent, "nobody is stopping it");
        let grace = grace(subject, facts, policy);
        let until = subject.life_since + grace;
        if now < until && !subject.forced {
            let why = format!("inside its grace of {} after the start", secs(grace));
            return Err(No::new(Guard::Grace, why, State::Unhealthy, Some(until)));
        }
        guards.pass(Guard::Grace, "its grace is over");
        self.ask_common(now, sid, subject, facts, guards)?;
        if now < subject.not_before && !subject.forced {
            let why = "waits before the next try";
            return Err(No::new(Guard::Backoff, why, State::Repairing, Some(subject.not_before)).quietly());
        }
        let mass = self.is_mass(now, subject);
        self.ask_budget(now, sid, subject, policy, guards)?;
        self.ask_host(now, sid, subject, mass, guards)
    }

    fn hold_back(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        mut guards: Guards,
        no: No,
        text: String,
    ) {
        if let Some(again) = no.again.filter(|at| *at != Moment::FAR_FUTURE) {
            subject.wake_at(again);
        }
        let kept = core::mem::take(&mut subject.evidence);
        // Given up is ended by a life that stays, not by a guard that puts the slow retry off: its incident must not close.
        let state = match no.state {
            State::Repairing if subject.given_up.is_some() => State::GivenUp,
            state => state,
        };
        subject.say(now, state, Level::Certain, text.clone());
        if subject.evidence.is_empty() {
            subject.evidence = kept;
        }
        if no.record {
            // Times in the text change with every look; the reason is the guard and what it is about.
            let key = match no.guard {
                Guard::Hold | Guard::Grace => String::new(),
                _ => no.detail.clone(),
            };
            guards.fail(no.guard, no.detail);
            self.note_guards(now, sid, subject, guards, no.action, &key, &text);
        }
    }

    /// Lets queued subjects go on while there is room.
    pub(crate) fn serve_queue(&mut self, now: Moment) {
        while self.calls_in_time() < self.settings.host_policy.parallel.max(1) as usize {
            let Some(sid) = self.queued.pop_first() else { return };
            self.reconcile(now, &sid);
        }
    }
}

/// The grace of the present life, by the restarts that it began with: one that leaves the window later shortens it not.
pub(crate) fn grace(subject: &Subject, facts: &Facts, policy: &RestartPolicy) -> Duration {
    let charges = subject.ledger.used(subject.life_since, policy.window);
    policy.grace(grace_base(subject, facts), charges)
}

/// What the container's own grace is.
fn grace_base(subject: &Subject, facts: &Facts) -> Duration {
    let start_period = facts
        .view
        .as_ref()
        .map_or(Duration::ZERO, |view| view.health_start_period);
    subject.labels.grace.unwrap_or(start_period)
}

pub(crate) fn health_evidence(now: Moment, facts: &Facts) -> Evidence {
    let streak = facts.view.as_ref().map_or(0, |view| view.health_streak);
    let output = facts.view.as_ref().map_or("", |view| view.health_output.trim());
    let mut detail = "its health check fails".to_string();
    if streak != 0 {
        detail = format!("{detail}, {streak} times in a row");
    }
    if !output.is_empty() {
        detail = format!("{detail}: {output}");
    }
    Evidence::new(EvidenceKind::HealthCheck, now, detail)
}
