//! From an end to its record: has it classified, and turns missing evidence into commands. Does not know who classifies, nor
//! what follows.

use super::*;

impl ContainerSubject {
    pub(super) fn on_down(
        &mut self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Assessment {
        around.observation.date_end(now);
        let life = around.observation.incarnation();
        if supervision.exit().is_none_or(|exit| *exit.incarnation() != life) {
            match self.exit_case(around).classify(now) {
                Classified::Need(what, until, why) => {
                    return self.pend(now, around, (what, until, why), supervision, out);
                }
                Classified::Known {
                    class,
                    why,
                    fact,
                    correlated,
                } => {
                    let it = &*around.observation;
                    let exit = ExitRecord::new(life, class, it.ended_at(now), how(it), why);
                    let evidence = end_evidence(now, it).chain([fact]).collect();
                    supervision.set_exit(exit.with_evidence(evidence).correlated(correlated));
                }
            }
        }
        if let Some(pending) = self.on_backoff_end(now, around, supervision, out) {
            return pending;
        }
        if supervision.exit().is_some_and(|exit| !exit.class().may_be_retried()) {
            self.wish(around.observation, Desired::Stopped, out);
        }
        Assessment::Down
    }

    /// The engine was to restart it and ended its back-off without a start: a person's act?
    pub(super) fn on_backoff_end(
        &mut self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &mut Supervision,
        out: &mut Out<'_>,
    ) -> Option<Assessment> {
        let exit = supervision.exit().filter(|_| supervision.waiver().is_none())?;
        if !self.exit_case(around).backoff_ended(now, exit) {
            return None;
        }
        around.observation.backoff_ended();
        match self.exit_case(around).classify_by_flag(now, None) {
            Classified::Need(what, until, why) => Some(self.pend(now, around, (what, until, why), supervision, out)),
            Classified::Known { class, why, fact, .. } => {
                let why = match class {
                    ExitClass::Crash => return None,
                    ExitClass::CannotTell => {
                        "the engine ended its back-off without a start, and its mark cannot be read".to_string()
                    }
                    _ => why,
                };
                if let Some(exit) = supervision.exit_mut() {
                    exit.reclassify(class, why, fact);
                }
                None
            }
        }
    }

    pub(super) fn exit_case<'c>(&'c self, around: &'c Around<'_>) -> ExitCase<'c> {
        let memory = self.desired.as_ref().filter(|(id, _, _)| id == around.observation.id());
        ExitCase {
            observation: around.observation,
            continuity: around.continuity,
            memory: memory.map(|(_, life, desired)| (life, *desired)),
            settle: around.settings.settle,
        }
    }
}
