//! What an engine's answer, or a lost one, means for the repair that waits for it. A call that may still be under way is
//! never posted again before an inspection.

use super::*;

impl Repair {
    /// The engine answered its call, or did not within its deadline. Returns what to do; nothing for a call of before.
    pub(crate) fn answered(
        &mut self,
        now: Moment,
        ticket: Ticket,
        result: Result<Performed, EngineError>,
    ) -> Option<Vec<Act>> {
        if !self.waits_for(ticket) {
            return None;
        }
        let stopping = matches!(self.step, Step::Stopping { .. });
        let mut acts = Vec::new();
        match result {
            Ok(how) if stopping => {
                let is_void = |own: &mut OwnStop| how == Performed::AlreadySo && own.void();
                if self.own.as_mut().is_some_and(is_void) {
                    self.overruled = Some("somebody else had stopped it before our stop came".to_string());
                }
                acts.push(Act::Journal(RepairStep::StopAnswered));
                self.step = Step::AwaitEnd { until: now + END_SHOWS };
            }
            Ok(_) => {
                acts.push(Act::Journal(RepairStep::StartAnswered));
                self.step = Step::AwaitStart { since: now };
            }
            Err(EngineError::Deadline) => {
                if let Step::Stopping { lost, .. } | Step::Starting { lost, .. } = &mut self.step {
                    *lost = true;
                }
            }
            Err(EngineError::NotFound) => self.overruled = Some("it was removed during our repair".to_string()),
            Err(EngineError::Refused { status, message }) if stopping => {
                // It still runs: the next inspection decides, and the back-off keeps us from hammering.
                self.refusal = Some(format!("the engine refused the stop ({status}): {message}"));
                self.step = Step::AwaitEnd { until: now };
            }
            Err(EngineError::Refused { status, message }) => {
                self.step = Step::Refused(format!("the engine refused the start ({status}): {message}"));
            }
            Err(EngineError::Unreachable(_) | EngineError::BadAnswer(_)) if stopping => {
                let timeout = Duration::from_secs(self.stop_secs.into());
                self.step = Step::AwaitEnd {
                    until: now + timeout + STOP_LINGERS,
                };
            }
            Err(EngineError::Unreachable(_) | EngineError::BadAnswer(_)) => {
                // It may be under way all the same, or done. The inspection before the next one tells: in Docker a start holds
                // the container's lock to its end, and inspect waits for it (moby, daemon/start.go and daemon/inspect.go).
                let at = now + AGAIN_AFTER.saturating_mul(5 << self.tries.min(4));
                self.tries += 1;
                self.step = Step::StartDue { at, inspect: Some(at) };
            }
        }
        acts.push(Act::Inspect);
        Some(acts)
    }

    /// The engine seems to have gone and come back: a call that was lost is over. False where its own answer is still to
    /// come. The engine may have forgotten its events for another reason, so an inspection comes first.
    pub(crate) fn engine_went(&mut self, now: Moment) -> bool {
        match self.step {
            Step::Starting { lost: true, .. } => {
                self.step = Step::StartDue {
                    at: now,
                    inspect: Some(now),
                };
            }
            Step::Stopping { lost: true, .. } => self.step = Step::AwaitEnd { until: now },
            Step::Stopping { .. } | Step::Starting { .. } => return false,
            _ => {}
        }
        true
    }
}
