//! The common path of every subject: what its container does now, and what follows.

use super::agent::{ContainerAgent, Mode};
use super::cause::Judged;
use super::facts::{Facts, Status, secs};
use super::io::Record;
use super::observe::is_unhealthy;
use super::record::Desired;
use super::subject::{Cause, Death, Subject};
use crate::decision::Guard;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

impl ContainerAgent {
    /// Does what follows from what is known of that subject.
    pub(crate) fn reconcile(&mut self, now: Moment, sid: &SubjectId) {
        let Some(mut subject) = self.subjects.remove(sid) else {
            return;
        };
        if let Some(at) = subject.armed.take() {
            self.wakes.remove(&(at, sid.clone()));
        }
        subject.wake = None;
        self.queued.remove(sid);
        let facts = subject.container.clone().and_then(|id| self.facts.remove(&id));
        let gone = match facts {
            Some(mut facts) => {
                self.step(now, sid, &mut subject, &mut facts);
                self.facts.insert(facts.id.clone(), facts);
                false
            }
            None => self.without_container(now, sid, &mut subject),
        };
        if gone {
            return;
        }
        self.tell(now, sid, &subject);
        if let Some(at) = subject.wake {
            subject.armed = Some(at);
            self.wakes.insert((at, sid.clone()));
        }
        self.subjects.insert(sid.clone(), subject);
    }

    fn without_container(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject) -> bool {
        if !self.list.done {
            // From the journal; the first list will show whether it is still there.
            return false;
        }
        if let Some(repair) = subject.repair.take() {
            let why = repair
                .overruled
                .clone()
                .unwrap_or_else(|| "the container is gone".to_string());
            self.end_repair(now, sid, subject, repair, crate::decision::Outcome::Overruled, why);
        }
        subject.say(
            now,
            State::Unknown,
            Level::Certain,
            "its container was removed; a successor may come",
        );
        self.outlived(now, sid, subject)
    }

    fn step(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &mut Facts) {
        if matches!(self.mode, Mode::HandsOff { .. } | Mode::Gone) {
            subject.say(
                now,
                State::Unwatched,
                Level::None,
                "the host is shutting down: hands off",
            );
            return;
        }
        if let Some(open) = subject.recovering.clone() {
            return self.recover(now, sid, subject, facts, &open);
        }
        if subject.repair.is_some() && !self.drive(now, sid, subject, facts) {
            return;
        }
        self.count_engine_restarts(now, sid, subject, facts);
        if !facts.life_known {
            // A look is under way; the list repeats it.
            if facts.inspecting.is_none() && facts.view.is_none() {
                self.look(now, facts);
            }
            return;
        }
        match facts.status() {
            Status::Unknown => {}
            Status::Created if subject.death.is_some() => self.on_down(now, sid, subject, facts),
            Status::Created => subject.say(now, State::Stopped, Level::Certain, "made, but never started"),
            Status::Removing => subject.say(now, State::Stopped, Level::Certain, "it is being removed"),
            Status::Paused => {
                self.lives(now, sid, subject, facts);
                subject.say(now, State::Stopped, Level::Certain, "a person paused it");
            }
            Status::Running => self.on_running(now, sid, subject, facts),
            Status::Backoff => self.on_backoff(now, subject, facts),
            Status::Down => self.on_down(now, sid, subject, facts),
        }
    }

    /// It runs: notes the life, and that it is meant to.
    fn lives(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &Facts) {
        let incarnation = facts.incarnation();
        let remembered = core::mem::take(&mut subject.remembered);
        if subject.life != incarnation || remembered {
            subject.life_since = match facts.born_at {
                Some(born) => born,
                None if subject.life.0.is_empty() || remembered => self.began_at(now, facts),
                None => now,
            };
            subject.life = incarnation.clone();
            if !facts.has_foreign_signal() {
                subject.signal_at = None;
            }
        }
        subject.death = None;
        let known = subject
            .desired
            .as_ref()
            .is_some_and(|(id, life, desired)| *id == facts.id && *life == incarnation && *desired == Desired::Running);
        if !known {
            subject.desired = Some((facts.id.clone(), incarnation.clone(), Desired::Running));
            let (subject, id) = (sid.clone(), facts.id.clone());
            self.journal(Record::Desired {
                subject,
                id,
                incarnation,
                desired: Desired::Running,
            });
        }
        self.forgive(now, sid, subject, facts);
    }

    /// When a life began that this process did not see begin: by its stamp, which is of this machine's own clock.
    fn began_at(&self, now: Moment, facts: &Facts) -> Moment {
        let began = facts.view.as_ref().map_or(0, |view| view.started_at.0);
        let wall = self.settings.wall(now).0.saturating_mul(1_000_000);
        now.saturating_sub(Duration::from_nanos(wall.saturating_sub(began)))
    }

    /// Given up, but it has run for a whole window since: the slate is clean. Not of one that is ill all the while.
    fn forgive(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &Facts) {
        if subject.given_up.is_none() || is_unhealthy(facts) {
            return;
        }
        let at = subject.life_since + subject.labels.policy(&self.settings.policy).window;
        if at <= now {
            subject.given_up = None;
            subject.ledger.clear();
            self.journal(Record::Cleared { subject: sid.clone() });
        } else {
            subject.wake_at(at);
        }
    }

    fn on_running(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &mut Facts) {
        self.lives(now, sid, subject, facts);
        if is_unhealthy(facts) {
            return self.want_stop_then_start(now, sid, subject, facts);
        }
        // It is well: nothing is left to try.
        subject.forced = false;
        subject.noted = None;
        let proven = subject.life_since + subject.labels.policy(&self.settings.policy).verify;
        if subject.given_up.is_some() && now < proven {
            subject.wake_at(proven);
            return subject.say(
                now,
                State::GivenUp,
                Level::Certain,
                "given up; it runs again, but has not proven to stay",
            );
        }
        let health = facts.view.as_ref().map_or(super::io::Health::None, |_| facts.health);
        match health {
            super::io::Health::Starting => {
                subject.say(now, State::Starting, Level::Certain, "running, health check starting");
            }
            _ if !subject.labels.remarks.is_empty() => {
                subject.say(now, State::Degraded, Level::Certain, "running, with a bad label");
            }
            super::io::Health::Healthy => subject.say(now, State::Ok, Level::Certain, "running, healthy"),
            _ => subject.say(now, State::Ok, Level::Certain, "running"),
        }
    }

    /// The engine's own restarts are flaps too.
    fn count_engine_restarts(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &Facts) {
        let Some(view) = &facts.view else { return };
        let count = view.restart_count;
        let before = subject.engine_restarts.replace((facts.id.clone(), count));
        let Some((id, before)) = before else { return };
        if id != facts.id || count <= before {
            return;
        }
        let new = (count - before).min(u64::from(crate::restart::BUDGET_MAX));
        self.counters.engine_restarts += new;
        let budgeted = subject.labels.heals_crash(self.settings.heal).is_ok();
        for _ in 0..new {
            subject.ledger.charge(now);
            if budgeted {
                self.charge_record(now, sid, true);
            }
        }
        let policy = subject.labels.policy(&self.settings.policy);
        if budgeted && subject.given_up.is_none() && subject.ledger.left(now, policy.window, policy.budget) == 0 {
            let mut evidence = vec![Evidence::new(
                EvidenceKind::EngineRestart,
                now,
                format!("the engine has restarted it {count} times since its last start by hand"),
            )];
            evidence.push(Evidence::new(
                EvidenceKind::Exited,
                now,
                format!("exit code {}", facts.exit_code()),
            ));
            self.give_up(now, sid, subject, facts.incarnation(), &policy, evidence);
        }
    }

    fn on_down(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &mut Facts) {
        let life = facts.incarnation();
        let died_at = *facts.died_at.get_or_insert(now);
        if subject.death.as_ref().is_none_or(|death| death.life != life) {
            match self.judge(now, subject, facts) {
                Judged::Wait(until, what) => {
                    subject.wake_at(until);
                    let why = format!("exited ({}); {what}", facts.exit_code());
                    return subject.say(now, State::Suspect, Level::Certain, why);
                }
                Judged::Cause(cause, mass, proof) => {
                    let mut evidence = vec![exit_evidence(facts, died_at)];
                    if facts.oom
                        || facts
                            .view
                            .as_ref()
                            .is_some_and(|view| view.oom_killed && facts.died_at <= Some(now))
                    {
                        evidence.push(Evidence::new(
                            EvidenceKind::OutOfMemory,
                            died_at,
                            "the kernel killed it for memory",
                        ));
                    }
                    evidence.push(proof);
                    let death = Death {
                        life,
                        cause,
                        at: died_at,
                        start_at: None,
                        mass,
                        ours: false,
                        evidence,
                        hopeless: None,
                    };
                    self.note_death(now, sid, &death);
                    subject.death = Some(death);
                }
            }
        }
        match self.judge_backoff(now, subject, facts) {
            Some(Judged::Wait(until, what)) => {
                subject.wake_at(until);
                let why = format!("exited ({}); {what}", facts.exit_code());
                return subject.say(now, State::Suspect, Level::Certain, why);
            }
            Some(Judged::Cause(cause, _, proof)) => {
                if let Some(death) = &mut subject.death {
                    death.cause = cause;
                    death.evidence.push(proof);
                }
            }
            None => {}
        }
        self.after_death(now, sid, subject, facts);
    }

    fn note_death(&mut self, now: Moment, sid: &SubjectId, death: &Death) {
        if matches!(death.cause, Cause::Crash(_)) {
            let window = self.settings.host_policy.mass_window;
            self.crashes
                .retain(|(at, known)| now.since(*at) < window && known != sid);
            self.crashes.push_back((now, sid.clone()));
            if 1024 < self.crashes.len() {
                self.crashes.pop_front();
            }
        }
    }

    fn after_death(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject, facts: &mut Facts) {
        let Some(death) = subject.death.clone() else { return };
        match &death.cause {
            Cause::Operator(why) => {
                self.stays_down(sid, subject, facts);
                let text = format!("stopped by a person: {why}");
                self.note(now, sid, subject, Guard::OperatorIntent, why, &text);
                subject.say(now, State::Stopped, Level::Certain, text);
            }
            Cause::Finished(why) => {
                self.stays_down(sid, subject, facts);
                let text = format!("finished: {why}");
                self.note(now, sid, subject, Guard::MeantToRun, why, &text);
                subject.say(now, State::Finished, Level::Certain, text);
            }
            Cause::FirstSight(why) => {
                let text = format!("exited ({}) before anybody watched it: {why}", facts.exit_code());
                self.note(now, sid, subject, Guard::KnownCause, why, &text);
                subject.say(now, State::Unknown, Level::Certain, text);
            }
            Cause::CannotTell(why) => {
                let text = format!(
                    "exited ({}), and nothing can tell whether a person stopped it: {why}",
                    facts.exit_code()
                );
                self.note(now, sid, subject, Guard::KnownCause, why, &text);
                subject.say(now, State::GivenUp, Level::Certain, text);
            }
            Cause::Crash(_) => self.want_start(now, sid, subject, facts),
        }
    }

    fn stays_down(&mut self, sid: &SubjectId, subject: &mut Subject, facts: &Facts) {
        let now = (facts.id.clone(), facts.incarnation(), Desired::Stopped);
        if subject.desired.as_ref() != Some(&now) {
            subject.desired = Some(now);
            let (id, incarnation) = (facts.id.clone(), facts.incarnation());
            self.journal(Record::Desired {
                subject: sid.clone(),
                id,
                incarnation,
                desired: Desired::Stopped,
            });
        }
    }
}

fn exit_evidence(facts: &Facts, at: Moment) -> Evidence {
    let how = if facts.died_by_event {
        "by its event"
    } else {
        "by a look, its event never came"
    };
    let began = facts.began();
    let lasted = Duration::from_nanos(facts.ended().0.saturating_sub(began.0));
    Evidence::new(
        EvidenceKind::Exited,
        at,
        format!("exit code {} after {}, seen {how}", facts.exit_code(), secs(lasted)),
    )
}
