//! What the engine answered to our calls, or did not: never is a call posted again that may still be under way.

use super::agent::ContainerAgent;
use super::io::{EngineError, Performed, Ticket};
use super::record::RepairStep;
use super::repair::{Repair, Step};
use super::steps::{AGAIN_AFTER, own_death};
use super::subject::Guards;
use crate::decision::{ActionKind, Guard, Outcome};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

/// After `/stop` was answered, its `die` must come within this time, or a look decides.
const DEATH_WITHIN: Duration = Duration::from_secs(1);

impl ContainerAgent {
    pub(crate) fn on_performed(&mut self, now: Moment, ticket: Ticket, result: Result<Performed, EngineError>) {
        let Some(sid) = self.calls.get(&ticket).cloned() else {
            return;
        };
        let still_open = matches!(result, Err(EngineError::Deadline));
        if still_open {
            self.lost_calls.insert(ticket);
        } else {
            self.call_is_over(ticket);
        }
        let Some(subject) = self.subjects.get_mut(&sid) else {
            return;
        };
        if !still_open && subject.open_call == Some(ticket) {
            subject.open_call = None;
        }
        self.touched.insert(sid.clone());
        let Some(mut repair) = subject.repair.take() else {
            return;
        };
        match repair.step {
            Step::Stopping { ticket: mine, .. } if mine == ticket => self.stop_answered(now, &sid, &mut repair, result),
            Step::Starting { ticket: mine, .. } if mine == ticket => {
                if let Some((outcome, words)) = self.start_answered(now, &sid, &mut repair, result) {
                    let Some(mut subject) = self.subjects.remove(&sid) else {
                        return;
                    };
                    if let Some(facts) = self.facts.get(&repair.id) {
                        own_death(now, &mut subject, facts, &repair);
                    }
                    if let (Some(death), true) = (&mut subject.death, is_hopeless(&words)) {
                        death.hopeless = Some(words.clone());
                    }
                    self.end_repair(now, &sid, &mut subject, repair, outcome, words);
                    self.subjects.insert(sid, subject);
                    return;
                }
            }
            _ => {}
        }
        if let Some(subject) = self.subjects.get_mut(&sid) {
            subject.repair = Some(repair);
        }
    }

    fn stop_answered(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        repair: &mut Repair,
        result: Result<Performed, EngineError>,
    ) {
        match result {
            Ok(how) => {
                let void = repair
                    .own
                    .as_mut()
                    .is_some_and(|own| how == Performed::AlreadySo && own.void());
                if void {
                    repair.overruled = Some("somebody else had stopped it before our stop came".to_string());
                }
                self.journal_repair(now, sid, repair, RepairStep::StopAnswered);
                repair.step = Step::AwaitDeath {
                    until: now + DEATH_WITHIN,
                };
            }
            Err(EngineError::Deadline) => self.answer_lost(now, sid, repair, "/stop"),
            Err(EngineError::NotFound) => repair.overruled = Some("it was removed during our repair".to_string()),
            Err(EngineError::Refused { status, message }) => {
                // It still runs: the next look decides, and `not_before` keeps us from hammering.
                repair.decision.result = format!("the engine refused the stop ({status}): {message}");
                repair.step = Step::AwaitDeath { until: now };
            }
            Err(error @ (EngineError::Unreachable(_) | EngineError::BadAnswer(_))) => {
                self.engine_failed(&error);
                let timeout = Duration::from_secs(repair.stop_secs.into());
                repair.step = Step::AwaitDeath {
                    until: now + timeout + Duration::from_secs(5),
                };
            }
        }
        self.look_at(now, &repair.id);
    }

    /// `Some` = the repair is over.
    fn start_answered(
        &mut self,
        now: Moment,
        sid: &SubjectId,
        repair: &mut Repair,
        result: Result<Performed, EngineError>,
    ) -> Option<(Outcome, String)> {
        match result {
            Ok(_) => {
                self.journal_repair(now, sid, repair, RepairStep::StartAnswered);
                repair.step = Step::AwaitLife { since: now };
            }
            Err(EngineError::Deadline) => self.answer_lost(now, sid, repair, "/start"),
            Err(EngineError::NotFound) => repair.overruled = Some("it was removed during our repair".to_string()),
            Err(EngineError::Refused { status, message }) => {
                return Some((
                    Outcome::Failed,
                    format!("the engine refused the start ({status}): {message}"),
                ));
            }
            Err(error @ (EngineError::Unreachable(_) | EngineError::BadAnswer(_))) => {
                self.engine_failed(&error);
                // It may be under way all the same, or done. The look before the next one tells: in Docker a start holds the
                // container's lock to its end, and inspect waits for it (moby, daemon/start.go and daemon/inspect.go).
                let at = now + AGAIN_AFTER.saturating_mul(5 << repair.tries.min(4));
                repair.tries += 1;
                repair.step = Step::StartDue { at, look: Some(at) };
            }
        }
        self.look_at(now, &repair.id);
        None
    }

    fn answer_lost(&mut self, now: Moment, sid: &SubjectId, repair: &mut Repair, call: &str) {
        match &mut repair.step {
            Step::Stopping { lost, .. } | Step::Starting { lost, .. } => *lost = true,
            _ => return,
        }
        let mut guards = Guards::default();
        guards.fail(
            Guard::InFlight,
            format!("{call} was posted and may still be under way in the engine"),
        );
        let why =
            format!("the engine did not answer {call} in time: look, wait, never post it again; a person is needed");
        let evidence = vec![Evidence::new(
            EvidenceKind::EngineProbe,
            now,
            format!("{call} passed its deadline"),
        )];
        let life = repair.incarnation.clone();
        self.decide(
            now,
            sid,
            life,
            ActionKind::Escalate,
            Outcome::NotTaken,
            why,
            evidence,
            guards,
            None,
        );
    }

    /// The engine itself seems to have gone and come back: then a call that was under way is over, answered or not. It may
    /// have forgotten its events for another reason, so a look comes first: inspect waits while a start is under way.
    pub(crate) fn call_is_void(&mut self, now: Moment, ticket: Ticket) {
        let Some(sid) = self.calls.get(&ticket).cloned() else {
            return;
        };
        let Some(subject) = self.subjects.get_mut(&sid) else {
            return;
        };
        let is_lost = |step: &Step| {
            matches!(
                step,
                Step::Stopping { lost: true, .. } | Step::Starting { lost: true, .. }
            )
        };
        match &mut subject.repair {
            Some(repair) if is_lost(&repair.step) => {
                let starting = matches!(repair.step, Step::Starting { .. });
                repair.step = if starting {
                    Step::StartDue {
                        at: now,
                        look: Some(now),
                    }
                } else {
                    Step::AwaitDeath { until: now }
                };
            }
            // Its own answer is still to come.
            Some(repair) if repair.is_calling() => return,
            _ => {}
        }
        subject.open_call = None;
        self.call_is_over(ticket);
    }

    fn call_is_over(&mut self, ticket: Ticket) {
        self.calls.remove(&ticket);
        self.lost_calls.remove(&ticket);
    }

    /// Calls that hold a place among the parallel ones.
    pub(crate) fn calls_in_time(&self) -> usize {
        self.calls.len().saturating_sub(self.lost_calls.len())
    }
}

/// Starting it again can never work, only making it anew can: the container whose network it joins is gone. One that is
/// only down just now comes back, and then the start works.
fn is_hopeless(words: &str) -> bool {
    words.contains("No such container")
}
