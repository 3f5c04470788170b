//! Begins what the guards let through: the record, the charge, the journal, the call; and gives up.
//!
//! The order of effects is the promise: decision, charge and step are in the journal before the engine is called.

use super::agent::ContainerAgent;
use super::facts::{Facts, secs};
use super::guards::health_evidence;
use super::io::{ContainerEffect, EngineCall, EngineTime, Record};
use super::record::RepairStep;
use super::repair::{OwnStop, Repair, Step};
use super::subject::{Guards, Subject};
use crate::decision::{ActionKind, Decision, Guard, Outcome};
use crate::restart::RestartPolicy;
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Level, State};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What a `/stop` may take on top of its own timeout.
const STOP_DEADLINE_EXTRA: Duration = Duration::from_secs(15);

impl ContainerAgent {
    /// Stops acting and asks for a person.
    pub(crate) fn give_up(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        life: Incarnation,
        policy: &RestartPolicy,
        evidence: Vec<Evidence>,
    ) {
        subject.given_up = Some(now);
        self.counters.given_up += 1;
        self.journal_given_up(now, sid);
        let mut guards = Guards::default();
        let used = format!("{} restarts in {} are used up", policy.budget, secs(policy.window));
        guards.fail(Guard::Budget, used.clone());
        let why = format!("{used} and it ends again: give up, a person is needed");
        self.decide(
            now,
            sid,
            life,
            ActionKind::Escalate,
            Outcome::NotTaken,
            why,
            evidence,
            guards,
            Some(0),
        );
    }

    fn journal_given_up(&mut self, now: Moment, sid: &SubjectId) {
        let (boot_id, wall) = (self.settings.identity.boot_id, self.settings.wall(now));
        self.journal(Record::GivenUp {
            subject: sid.clone(),
            at: now,
            boot_id,
            wall,
        });
    }

    pub(crate) fn charge_record(&mut self, now: Moment, sid: &SubjectId, mass: bool) {
        let (boot_id, wall) = (self.settings.identity.boot_id, self.settings.wall(now));
        self.journal(Record::Charged {
            subject: sid.clone(),
            at: now,
            boot_id,
            wall,
            mass,
        });
    }

    /// Charges a restart to the subject and the host.
    fn charge(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject) {
        let mass = self.is_mass(now, subject);
        subject.ledger.charge(now);
        if !mass {
            self.host_ledger.charge(now);
        }
        self.charge_record(now, sid, mass);
        if subject.given_up.is_some() {
            // The next slow retry counts from this one.
            subject.given_up = Some(now);
            self.journal_given_up(now, sid);
        }
        subject.forced = false;
        subject.noted = None;
    }

    #[expect(clippy::too_many_arguments, reason = "everything the decision was made from")]
    pub(crate) fn begin_start(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &Facts,
        guards: Guards,
        policy: &RestartPolicy,
        why: String,
    ) {
        let evidence = subject
            .death
            .as_ref()
            .map(|death| death.evidence.clone())
            .unwrap_or_default();
        let left = subject.ledger.left(now, policy.window, policy.budget).saturating_sub(1);
        let life = facts.incarnation();
        let kind = ActionKind::Start;
        let decision = self.decide(
            now,
            sid,
            life,
            kind,
            Outcome::UnderWay,
            why,
            evidence,
            guards,
            Some(left),
        );
        self.charge(now, sid, subject);
        let mut repair = self.new_repair(decision, kind, facts);
        self.post_start(now, sid, subject, &mut repair);
        subject.repair = Some(repair);
    }

    #[expect(clippy::too_many_arguments, reason = "everything the decision was made from")]
    pub(crate) fn begin_stop(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        subject: &mut Subject,
        facts: &Facts,
        guards: Guards,
        policy: &RestartPolicy,
        why: String,
    ) {
        let left = subject.ledger.left(now, policy.window, policy.budget).saturating_sub(1);
        let kind = ActionKind::StopThenStart;
        let evidence = subject.evidence.clone();
        let life = facts.incarnation();
        let decision = self.decide(
            now,
            sid,
            life,
            kind,
            Outcome::UnderWay,
            why,
            evidence,
            guards,
            Some(left),
        );
        self.charge(now, sid, subject);
        let timeout = self.stop_timeout(subject, facts);
        let mut repair = self.new_repair(decision, kind, facts);
        repair.stop_secs = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        let signal = facts.view.as_ref().map_or(15, |view| view.stop_signal);
        repair.own = Some(OwnStop::new(
            repair.last_event,
            signal,
            Duration::from_secs(repair.stop_secs.into()),
        ));
        let ticket = self.next_ticket();
        repair.step = Step::Stopping { ticket, lost: false };
        self.journal_repair(now, sid, &repair, RepairStep::StopPosted);
        self.calls.insert(ticket, sid.clone());
        subject.open_call = Some(ticket);
        self.counters.stops += 1;
        self.effects.push_back(ContainerEffect::Perform {
            ticket,
            id: repair.id.clone(),
            call: EngineCall::Stop {
                timeout_secs: repair.stop_secs,
            },
            within: timeout + STOP_DEADLINE_EXTRA,
        });
        subject.say(
            now,
            State::Repairing,
            Level::Certain,
            "unhealthy: being stopped, to be started again",
        );
        subject.prove(EvidenceKind::HealthCheck, now, health_evidence(now, facts).detail);
        subject.repair = Some(repair);
    }

    /// How long `/stop` gives it: a label, its own, or the default; whole seconds, rounded up.
    pub(crate) fn stop_timeout(&self, subject: &Subject, facts: &Facts) -> Duration {
        let own = facts.view.as_ref().and_then(|view| view.stop_timeout);
        let timeout = subject
            .labels
            .stop_timeout
            .or(own)
            .unwrap_or(self.settings.stop_timeout);
        Duration::from_secs(timeout.as_secs() + u64::from(timeout.subsec_nanos() != 0))
    }

    fn new_repair(&self, decision: Decision, kind: ActionKind, facts: &Facts) -> Repair {
        Repair {
            decision,
            kind,
            id: facts.id.clone(),
            incarnation: facts.incarnation(),
            step: Step::Recovering,
            own: None,
            last_event: self.stream.last.as_ref().map_or(EngineTime(0), |(at, _, _)| *at),
            stop_secs: 0,
            tries: 0,
            overruled: None,
            started: false,
        }
    }
}
