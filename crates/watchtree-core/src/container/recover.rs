//! After a restart of this daemon: what the journal remembers, and how a repair that was under way goes on.
//!
//! ```text
//! journal says      same life, running            same life, down            another life
//! StopPosted        await the end it would have   ─▶ start                   ─▶ over: it was restarted
//!   StopAnswered      caused; then judged anew
//! LeftDown          nothing                       ours: as a crash           nothing
//! StartPosted       ─▶ look again, start          ─▶ settle, look, start     running ─▶ verify
//!   StartAnswered                                                            down ─▶ failed, judge that end
//! ```
//!
//! A person's stop among the replayed events wins at each point. Nothing is decided before the stream's gap is judged.

use super::agent::ContainerAgent;
use super::facts::{Facts, Status};
use super::io::{EngineTime, Recovered};
use super::record::{OpenRepair, RecoveredSubject, RepairStep};
use super::repair::{OwnStop, Repair, Step};
use super::steps::left_down;
use super::subject::{Guards, Subject};
use crate::decision::{ActionKind, Decision, Outcome};
use crate::id::BootId;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment, WallTime};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

/// A start that was posted just before we died gets this long to show.
const POSTED_START_SHOWS: Duration = Duration::from_secs(1);
/// On top of its own timeout, a stop that was posted before we died gets this long to show.
const POSTED_STOP_SHOWS: Duration = Duration::from_secs(5);

impl ContainerAgent {
    /// Takes over what the journal held.
    pub(crate) fn remember(&mut self, now: Moment, recovered: Recovered) {
        for (sid, memory) in recovered.subjects {
            let subject = self.remember_subject(now, &sid, memory);
            if let Some((id, _, _)) = &subject.desired {
                let facts = Facts {
                    subject: Some(sid.clone()),
                    ..Facts::new(id.clone(), now)
                };
                self.facts.entry(id.clone()).or_insert(facts);
            }
            // A hold on a whole project leaves a memory without a container.
            let is_container = subject.container.is_some() || subject.recovering.is_some();
            if !is_container {
                continue;
            }
            self.subjects.insert(sid, subject);
        }
        for charge in recovered.host_charges {
            let at = self.moment_of(now, charge);
            if now.since(at) < self.settings.host_policy.window {
                self.host_ledger.charge(at);
            }
        }
        self.orders.extend(recovered.orders);
        self.decisions.extend(recovered.decisions);
    }

    fn remember_subject(&mut self, now: Moment, sid: &SubjectId, memory: RecoveredSubject) -> Subject {
        let mut subject = Subject {
            recovering: memory.repair,
            ..Subject::default()
        };
        for charge in memory.charges {
            let at = self.moment_of(now, charge);
            // Labels may widen the window: what is too old for it counts for nothing anyway.
            subject.ledger.charge(at);
        }
        subject.given_up = memory.given_up.map(|given_up| self.moment_of(now, given_up));
        if let Some((id, life, desired)) = memory.desired {
            subject.container = Some(id.clone());
            subject.life = life.clone();
            // Its start is not known on this clock; the first look at it tells how old it is.
            subject.life_since = subject.ledger.last().unwrap_or(Moment::ZERO);
            subject.remembered = true;
            subject.desired = Some((id, life, desired));
        }
        if let Some((at, boot, wall)) = memory.held {
            let until = self.moment_of_future(now, (at, boot, wall));
            if now < until {
                self.holds.insert(sid.clone(), until);
            }
        }
        if let Some((id, at, signal)) = memory.stop_seen
            && subject.container.as_ref() == Some(&id)
        {
            // Until the stop has had its time somebody is stopping it, also after a restart of ours.
            let age = Duration::from_nanos(self.engine_now(now).0.saturating_sub(at.0));
            subject.signal_at = Some(now.saturating_sub(age));
            self.stop_seen(now, sid, id, at, signal);
        }
        subject
    }

    fn stop_seen(&mut self, now: Moment, sid: &SubjectId, id: super::io::ContainerId, at: EngineTime, signal: u32) {
        let mut facts = Facts {
            subject: Some(sid.clone()),
            ..Facts::new(id.clone(), now)
        };
        facts.signals.push_back(super::facts::Signal { at, signal, own: false });
        self.facts.insert(id, facts);
    }

    /// A remembered moment on this boot's clock: as it is, or by its wall time if it is of another boot.
    fn moment_of(&self, now: Moment, (at, boot, wall): (Moment, BootId, WallTime)) -> Moment {
        if boot == self.settings.identity.boot_id {
            return at.min(now);
        }
        let age = Duration::from_millis(self.settings.wall(now).0.saturating_sub(wall.0));
        now.saturating_sub(age)
    }

    /// The engine stamps its events with this machine's wall clock.
    fn engine_now(&self, now: Moment) -> EngineTime {
        EngineTime(self.settings.wall(now).0.saturating_mul(1_000_000))
    }

    fn moment_of_future(&self, now: Moment, (at, boot, wall): (Moment, BootId, WallTime)) -> Moment {
        if boot == self.settings.identity.boot_id {
            return at;
        }
        now + Duration::from_millis(wall.0.saturating_sub(self.settings.wall(now).0))
    }

    /// Goes on with a repair that was under way when the last process of this daemon ended.
    pub(crate) fn recover(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &mut Facts,
        open: &OpenRepair,
    ) {
        if let Some(until) = self.stream.gap_until() {
            subject.wake_at(until);
            return;
        }
        if !facts.life_known {
            if facts.inspecting.is_none() {
                self.look(now, facts);
            }
            return;
        }
        subject.recovering = None;
        if open.step == RepairStep::LeftDown {
            let same = facts.id == open.id && facts.incarnation() == open.incarnation;
            if same && facts.status() == Status::Down {
                let why = "a repair before the restart of this watchdog stopped it and could not start it";
                let evidence = vec![Evidence::new(EvidenceKind::Journal, now, why)];
                subject.death = Some(left_down(now, facts, evidence));
            }
            self.touched.insert(sid.clone());
            return;
        }
        let mut repair = self.reopen(now, sid, subject, facts, open);
        if facts.id != open.id {
            let why = "another container took its place".to_string();
            self.end_repair(now, sid, subject, repair, Outcome::Failed, why);
        } else {
            self.whose_signals(facts, &mut repair, open);
            repair.step = self.resume(now, subject, facts, &repair, open);
            subject.repair = Some(repair);
        }
        // Looked at once more by the ordinary way, in this very turn.
        subject.wake = None;
        self.touched.insert(sid.clone());
    }

    fn resume(
        &mut self,
        now: Moment,
        subject: &mut Subject,
        facts: &mut Facts,
        repair: &Repair,
        open: &OpenRepair,
    ) -> Step {
        let life = facts.incarnation();
        let other = !life.0.is_empty() && life != open.incarnation;
        let running = !matches!(facts.status(), Status::Down | Status::Created);
        match open.step {
            RepairStep::StopPosted | RepairStep::StopAnswered if !running && !other => {
                Step::StartDue { at: now, look: None }
            }
            RepairStep::StopPosted | RepairStep::StopAnswered if !other => {
                let seen = repair.own.as_ref().is_some_and(OwnStop::is_seen);
                let wait = Duration::from_secs(open.stop_timeout_secs.into()) + POSTED_STOP_SHOWS;
                let same_boot = open.boot_id == self.settings.identity.boot_id;
                // Not seen is not never posted: its event may be the next of the replay, or be forgotten by the engine. Only
                // when a posted stop would be over is the container judged anew; a second stop would be lost in the first.
                let until = if seen || !same_boot {
                    now + wait
                } else {
                    now.max(open.at + wait)
                };
                Step::AwaitDeath { until }
            }
            RepairStep::StopPosted | RepairStep::StopAnswered => Step::AwaitLife { since: now },
            _ if other => Step::AwaitLife { since: now },
            _ => {
                subject.death = None;
                let at = now + POSTED_START_SHOWS;
                Step::StartDue { at, look: Some(at) }
            }
        }
    }

    /// Tells our own signals of before the restart from other people's.
    fn whose_signals(&self, facts: &mut Facts, repair: &mut Repair, open: &OpenRepair) {
        if repair.kind != ActionKind::StopThenStart {
            return;
        }
        let signal = facts.view.as_ref().map_or(15, |view| view.stop_signal);
        let stopping = matches!(open.step, RepairStep::StopPosted | RepairStep::StopAnswered);
        let mut own = OwnStop::new(
            open.last_event,
            signal,
            Duration::from_secs(open.stop_timeout_secs.into()),
        );
        if open.step == RepairStep::StopPosted && open.boot_id == self.settings.identity.boot_id {
            own = own.posted_before(self.engine_now(open.at));
        }
        let began = facts.began();
        let same_life = facts.incarnation() == open.incarnation;
        let meant: Vec<bool> = facts.signals.iter().map(|it| facts.is_stop_signal(it.signal)).collect();
        for (it, meant) in facts.signals.iter_mut().zip(meant) {
            if !meant || (it.at < began && !same_life) {
                continue;
            }
            if it.at <= open.last_event {
                // Before the step: judged then.
                it.own = true;
            } else if stopping && same_life {
                match own.signal(it.at, it.signal, None) {
                    Ok(()) => it.own = true,
                    Err(why) => repair.overruled = Some(why),
                }
            }
        }
        for (at, mine) in facts.stops.iter_mut().filter(|_| same_life) {
            if *at <= open.last_event {
                *mine = true;
            } else {
                match own.stop(*at, None) {
                    Ok(()) => *mine = true,
                    Err(why) => repair.overruled = Some(why),
                }
            }
        }
        repair.own = Some(own);
    }

    /// The record the repair was begun with, or one that says where it comes from.
    fn reopen(&mut self, now: Moment, sid: &SubjectId, subject: &Subject, facts: &Facts, open: &OpenRepair) -> Repair {
        let stopping = matches!(open.step, RepairStep::StopPosted | RepairStep::StopAnswered);
        let known = self
            .decisions
            .iter()
            .rev()
            .find(|it| it.subject == *sid && matches!(it.outcome, Outcome::UnderWay | Outcome::Verifying));
        let decision = match known {
            Some(decision) => decision.clone(),
            None => self.adopt(now, sid, subject, open, stopping),
        };
        let kind = if stopping {
            ActionKind::StopThenStart
        } else {
            decision.action
        };
        Repair {
            decision,
            kind,
            id: facts.id.clone(),
            incarnation: open.incarnation.clone(),
            step: Step::Recovering,
            own: None,
            last_event: open.last_event,
            stop_secs: open.stop_timeout_secs,
            tries: 0,
            overruled: None,
            started: !stopping,
        }
    }

    fn adopt(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &Subject,
        open: &OpenRepair,
        stopping: bool,
    ) -> Decision {
        let action = if stopping {
            ActionKind::StopThenStart
        } else {
            ActionKind::Start
        };
        let why = "a repair begun before the restart of this watchdog goes on".to_string();
        let evidence = vec![Evidence::new(EvidenceKind::Journal, now, why.clone())];
        let policy = subject.labels.policy(&self.settings.policy);
        let left = subject.ledger.left(now, policy.window, policy.budget);
        let life = open.incarnation.clone();
        self.decide(
            now,
            sid,
            life,
            action,
            Outcome::UnderWay,
            why,
            evidence,
            Guards::default(),
            Some(left),
        )
    }
}
