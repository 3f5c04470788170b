//! Drives a repair from step to step; see the diagram in `repair`.

use super::agent::{ContainerAgent, Mode};
use super::facts::{Facts, Status, secs};
use super::guards::grace;
use super::io::{ContainerEffect, EngineCall, EngineTime, Health, Record};
use super::record::{Desired, RepairStep};
use super::repair::{Repair, Step};
use super::subject::{Cause, Death, Subject};
use crate::decision::{ActionKind, Guard, Outcome};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// First pause before `/start` is posted again where the last one changed nothing; doubles.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Most such posts.
const TRIES_MAX: u32 = 12;
/// After `/start` was answered, a new life must show within this time.
const LIFE_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for a health check to leave `starting` where grace says less.
const HEALTH_WITHIN: Duration = Duration::from_secs(60);

/// What a step led to.
enum Next {
    /// The repair waits.
    Stay,
    /// It is in another step: look at once.
    Go,
    /// It is over.
    End(Outcome, String),
}

impl ContainerAgent {
    /// Moves the repair on. True if it is over and the subject is to be looked at afresh.
    pub(crate) fn drive(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &mut Facts) -> bool {
        let Some(mut repair) = subject.repair.take() else {
            return true;
        };
        loop {
            if let Some(why) = repair.overruled.take() {
                self.overrule(now, sid, subject, facts, &why);
                self.end_repair(now, sid, subject, repair, Outcome::Overruled, why);
                return true;
            }
            let next = match repair.step.clone() {
                Step::Recovering => Next::End(Outcome::Failed, "it was never begun".to_string()),
                Step::Stopping { lost, .. } => self.while_stopping(now, facts, &mut repair, lost),
                Step::AwaitDeath { until } => self.await_death(now, subject, facts, &mut repair, until),
                Step::StartDue { at, look } => self.start_due(now, sid, subject, facts, &mut repair, at, look),
                Step::Starting { lost, .. } => self.while_starting(now, facts, &mut repair, lost),
                Step::AwaitLife { since } => self.await_life(now, sid, subject, facts, &mut repair, since),
                Step::Verifying { since, until } => self.verify(now, subject, facts, since, until),
            };
            match next {
                Next::Go => {}
                Next::End(outcome, result) => {
                    if outcome == Outcome::Failed {
                        own_death(now, subject, facts, &repair);
                    }
                    self.end_repair(now, sid, subject, repair, outcome, result);
                    return true;
                }
                Next::Stay => {
                    self.say_repairing(now, subject, &repair);
                    subject.repair = Some(repair);
                    return false;
                }
            }
        }
    }

    fn say_repairing(&mut self, now: Moment, subject: &mut Subject, repair: &Repair) {
        let evidence = repair.decision.evidence.clone();
        let (state, why) = match &repair.step {
            Step::Stopping { lost: true, .. } | Step::Starting { lost: true, .. } => (
                State::GivenUp,
                "the engine has not answered our call in time; it is not posted again, a person is needed",
            ),
            Step::Recovering => (
                State::Repairing,
                "a repair from before the restart of this watchdog goes on",
            ),
            Step::Stopping { .. } | Step::AwaitDeath { .. } => (State::Repairing, "being stopped, to be started again"),
            Step::StartDue { .. } => (State::Repairing, "about to be started"),
            Step::Starting { .. } | Step::AwaitLife { .. } => (State::Repairing, "being started"),
            Step::Verifying { .. } => (State::Starting, "started; it must stay up to count as repaired"),
        };
        if subject.given_up.is_some() {
            subject.say(
                now,
                State::GivenUp,
                Level::Certain,
                format!("given up; slow retry: {why}"),
            );
        } else {
            subject.say(now, state, Level::Certain, why);
        }
        subject.evidence = evidence;
    }

    fn is_new_life(facts: &Facts, repair: &Repair) -> bool {
        let life = facts.incarnation();
        facts.life_known && !life.0.is_empty() && life != repair.incarnation
    }

    fn while_stopping(&self, now: Moment, facts: &mut Facts, repair: &mut Repair, lost: bool) -> Next {
        if Self::is_new_life(facts, repair) && facts.status() == Status::Running {
            return Next::End(
                Outcome::Overruled,
                "somebody else started it anew during our stop".to_string(),
            );
        }
        if lost && facts.status() == Status::Down {
            repair.step = Step::StartDue { at: now, look: None };
            return Next::Go;
        }
        Next::Stay
    }

    fn await_death(
        &mut self,
        now: Moment,
        subject: &mut Subject,
        facts: &mut Facts,
        repair: &mut Repair,
        until: Moment,
    ) -> Next {
        if Self::is_new_life(facts, repair) && facts.status() != Status::Down {
            return Next::End(
                Outcome::Overruled,
                "somebody else started it anew during our stop".to_string(),
            );
        }
        // Only an unbroken stream can show a person's stop that fell into ours.
        if let Some(gap) = self.stream.gap_until() {
            subject.wake_at(gap);
            return Next::Stay;
        }
        let down = facts.status() == Status::Down;
        if down && (facts.died_by_event || until <= now) {
            repair.step = Step::StartDue { at: now, look: None };
            return Next::Go;
        }
        if now < until {
            subject.wake_at(until);
            return Next::Stay;
        }
        if facts.view_asked < until {
            self.look(now, facts);
            return Next::Stay;
        }
        let reached = repair.own.as_ref().is_some_and(super::repair::OwnStop::is_seen);
        let why = if reached {
            "it was stopped and runs on"
        } else {
            "the stop never reached it"
        };
        let words = core::mem::take(&mut repair.decision.result);
        Next::End(Outcome::Failed, if words.is_empty() { why.to_string() } else { words })
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the machine")]
    fn start_due(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &mut Facts,
        repair: &mut Repair,
        at: Moment,
        look: Option<Moment>,
    ) -> Next {
        if Self::is_new_life(facts, repair) {
            repair.step = Step::AwaitLife { since: now };
            return Next::Go;
        }
        if self.mode != Mode::Healing && !repair.is_half_done() {
            return Next::Stay;
        }
        if let Some(until) = self.deploy_until(facts) {
            subject.wake_at(until);
            return Next::Stay;
        }
        if now < at {
            subject.wake_at(at);
            return Next::Stay;
        }
        if look.is_some_and(|since| facts.view_asked < since) {
            self.look(now, facts);
            return Next::Stay;
        }
        match facts.status() {
            Status::Down | Status::Created => {
                if TRIES_MAX <= repair.tries {
                    return Next::End(
                        Outcome::Failed,
                        "the engine took the start and did nothing, again and again".to_string(),
                    );
                }
                self.post_start(now, sid, subject, repair);
                Next::Stay
            }
            Status::Removing => Next::End(Outcome::Overruled, "it is being removed".to_string()),
            Status::Paused => Next::End(Outcome::Overruled, "it was paused".to_string()),
            Status::Backoff => Next::End(Outcome::Failed, "the engine restarts it by its own policy".to_string()),
            // The engine has not yet noticed its end.
            Status::Running | Status::Unknown => self.start_again(now, subject, repair),
        }
    }

    /// Puts the next `/start` off, for a look before it.
    fn start_again(&mut self, now: Moment, subject: &mut Subject, repair: &mut Repair) -> Next {
        if TRIES_MAX <= repair.tries {
            return Next::End(
                Outcome::Failed,
                "the engine took the start and did nothing, again and again".to_string(),
            );
        }
        let at = now + AGAIN_AFTER.saturating_mul(1 << repair.tries.min(5));
        repair.tries += 1;
        repair.step = Step::StartDue { at, look: Some(at) };
        subject.wake_at(at);
        Next::Stay
    }

    pub(crate) fn post_start(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, repair: &mut Repair) {
        let ticket = self.next_ticket();
        repair.step = Step::Starting { ticket, lost: false };
        repair.started = true;
        repair.last_event = self.stream.last.as_ref().map_or(EngineTime(0), |(at, _, _)| *at);
        self.journal_repair(now, sid, repair, RepairStep::StartPosted);
        self.calls.insert(ticket, sid.clone());
        subject.open_call = Some(ticket);
        self.counters.starts += 1;
        self.effects.push_back(ContainerEffect::Perform {
            ticket,
            id: repair.id.clone(),
            call: EngineCall::Start,
            within: self.settings.start_deadline,
        });
        self.say_repairing(now, subject, repair);
    }

    fn while_starting(&mut self, now: Moment, facts: &mut Facts, repair: &mut Repair, lost: bool) -> Next {
        // The answer alone ends the call; where it is lost, the container itself must show what became of it.
        if lost && Self::is_new_life(facts, repair) {
            repair.step = Step::AwaitLife { since: now };
            return Next::Go;
        }
        Next::Stay
    }

    fn await_life(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &mut Facts,
        repair: &mut Repair,
        since: Moment,
    ) -> Next {
        if Self::is_new_life(facts, repair) {
            match facts.status() {
                Status::Running => {
                    self.lives_again(now, sid, subject, facts, repair);
                    return Next::Go;
                }
                Status::Down | Status::Backoff => return self.died_young(facts),
                Status::Paused => return Next::End(Outcome::Overruled, "it was paused".to_string()),
                Status::Removing => return Next::End(Outcome::Overruled, "it is being removed".to_string()),
                Status::Unknown | Status::Created => {}
            }
        }
        if facts.view_asked < since || facts.inspecting.is_some() {
            if facts.inspecting.is_none() {
                self.look(now, facts);
            }
            return Next::Stay;
        }
        if facts.status() == Status::Running && facts.born_at.is_some() && now < since + LIFE_WITHIN {
            // It was started; the look was too early.
            self.look(now, facts);
            return Next::Stay;
        }
        self.start_again(now, subject, repair)
    }

    fn lives_again(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &Facts, repair: &mut Repair) {
        let life = facts.incarnation();
        subject.life = life.clone();
        subject.life_since = facts.born_at.unwrap_or(now);
        subject.death = None;
        subject.signal_at = None;
        subject.engine_restarts = None;
        subject.desired = Some((facts.id.clone(), life.clone(), Desired::Running));
        let (id, incarnation) = (facts.id.clone(), life.clone());
        self.journal(Record::Desired {
            subject: sid.clone(),
            id,
            incarnation,
            desired: Desired::Running,
        });
        let policy = subject.labels.policy(&self.settings.policy);
        let until = subject.life_since + policy.verify;
        repair.step = Step::Verifying {
            since: subject.life_since,
            until,
        };
        repair.decision.outcome = Outcome::Verifying;
        repair.decision.result = format!("a new life was seen: {}", short(&life));
        push_evidence(repair, Evidence::new(EvidenceKind::NewIncarnation, now, short(&life)));
        self.record(now, &repair.decision);
    }

    fn died_young(&self, facts: &Facts) -> Next {
        match facts.foreign_stop() {
            Some(why) => Next::End(Outcome::Overruled, why),
            None => Next::End(Outcome::Failed, format!("it ended again ({})", facts.exit_code())),
        }
    }

    fn verify(&mut self, now: Moment, subject: &mut Subject, facts: &Facts, since: Moment, until: Moment) -> Next {
        match facts.status() {
            Status::Running | Status::Unknown => {}
            Status::Paused => return Next::End(Outcome::Overruled, "it was paused".to_string()),
            Status::Removing => return Next::End(Outcome::Overruled, "it is being removed".to_string()),
            Status::Down | Status::Backoff | Status::Created => return self.died_young(facts),
        }
        if facts.life_known && facts.incarnation() != subject.life {
            return Next::End(Outcome::Failed, "it was started once more by somebody else".to_string());
        }
        if now < until {
            subject.wake_at(until);
            return Next::Stay;
        }
        if let Some(gap) = self.stream.gap_until() {
            subject.wake_at(gap);
            return Next::Stay;
        }
        let policy = subject.labels.policy(&self.settings.policy);
        let grace = grace(subject, facts, &policy);
        let patience = since + grace.max(HEALTH_WITHIN);
        let stayed = format!("a new life stays up since {}", secs(now - since));
        match facts.health {
            Health::Starting if now < patience => {
                subject.wake_at(patience);
                Next::Stay
            }
            Health::Unhealthy if now < since + grace => {
                subject.wake_at(since + grace);
                Next::Stay
            }
            Health::Unhealthy => Next::End(Outcome::Failed, "it is unhealthy again".to_string()),
            Health::Healthy => Next::End(Outcome::Succeeded, format!("{stayed}, healthy")),
            Health::None | Health::Starting => Next::End(Outcome::Succeeded, stayed),
        }
    }

    /// A person's act fell into the repair: it stays as they wanted it.
    pub(crate) fn overrule(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &Facts, why: &str) {
        let life = facts.incarnation();
        subject.desired = Some((facts.id.clone(), life.clone(), Desired::Stopped));
        subject.signal_at = Some(now);
        let (id, incarnation) = (facts.id.clone(), life.clone());
        self.journal(Record::Desired {
            subject: sid.clone(),
            id,
            incarnation,
            desired: Desired::Stopped,
        });
        if facts.status() == Status::Down {
            subject.death = Some(Death {
                life,
                cause: Cause::Operator(why.to_string()),
                at: facts.died_at.unwrap_or(now),
                start_at: None,
                mass: false,
                ours: false,
                evidence: vec![Evidence::new(EvidenceKind::OperatorStop, now, why)],
                hopeless: None,
            });
            // The record of the repair says it all.
            subject.noted = Some((Guard::OperatorIntent, facts.incarnation(), why.to_string()));
        }
    }

    pub(crate) fn end_repair(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        mut repair: Repair,
        outcome: Outcome,
        result: String,
    ) {
        match outcome {
            Outcome::Succeeded => self.counters.succeeded += 1,
            Outcome::Overruled => self.counters.overruled += 1,
            _ => self.counters.failed += 1,
        }
        if outcome == Outcome::Failed {
            let policy = subject.labels.policy(&self.settings.policy);
            let delay = policy.delay(subject.ledger.strikes(now, &policy));
            subject.not_before = subject.not_before.max(now + delay);
            // The same end asks for the next try: its delay counts from this failure.
            if let Some(death) = &mut subject.death {
                death.start_at = Some(now + delay);
            }
        }
        repair.decision.outcome = outcome;
        repair.decision.result = result;
        let ours = |death: &Death| death.ours && death.life == repair.incarnation;
        let step = if outcome == Outcome::Failed && subject.death.as_ref().is_some_and(ours) {
            RepairStep::LeftDown
        } else {
            RepairStep::Ended
        };
        self.journal_repair(now, sid, &repair, step);
        self.record(now, &repair.decision);
        subject.repair = None;
        subject.noted = subject.noted.take().filter(|_| outcome == Outcome::Overruled);
    }

    pub(crate) fn journal_repair(&mut self, now: Moment, sid: &SubjectId, repair: &Repair, step: RepairStep) {
        self.journal(Record::Repair {
            subject: sid.clone(),
            id: repair.id.clone(),
            incarnation: repair.incarnation.clone(),
            step,
            last_event: repair.last_event,
            at: now,
            boot_id: self.settings.identity.boot_id,
            stop_timeout_secs: repair.stop_secs,
        });
    }
}

/// A repair of ours failed and left it down: that end was ours, and it is still meant to run.
pub(crate) fn own_death(now: Moment, subject: &mut Subject, facts: &Facts, repair: &Repair) {
    let ours = repair.kind == ActionKind::StopThenStart
        && facts.status() == Status::Down
        && facts.incarnation() == repair.incarnation;
    if ours && subject.death.is_none() {
        subject.death = Some(left_down(now, facts, repair.decision.evidence.clone()));
    }
}

/// The end that a stop of ours brought about, where no start followed.
pub(crate) fn left_down(now: Moment, facts: &Facts, evidence: Vec<Evidence>) -> Death {
    Death {
        life: facts.incarnation(),
        cause: Cause::Crash("our own stop".to_string()),
        at: facts.died_at.unwrap_or(now),
        start_at: None,
        mass: false,
        ours: true,
        evidence,
        hopeless: None,
    }
}

/// `StartedAt` of a life, for people.
fn short(life: &Incarnation) -> String {
    let (id, started) = life.0.split_once('@').unwrap_or((&life.0, ""));
    format!("{} started at {started}", id.get(..12).unwrap_or(id))
}

fn push_evidence(repair: &mut Repair, evidence: Evidence) {
    if Evidence::COUNT_MAX <= repair.decision.evidence.len() {
        repair.decision.evidence.remove(0);
    }
    repair.decision.evidence.push(evidence);
}
