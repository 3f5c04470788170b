//! From an end to its record: has it classified, or says which evidence is missing. Does not ask for evidence, and does not
//! know what follows.

use super::around::Around;
use super::present::PresentIncarnation;
use super::wishes::Wishes;
use super::words::{end_evidence, how, how_again_for_memory};
use crate::container::classifier::{ExitCase, Need};
use crate::container::observation::{ContainerObservation, Status};
use crate::container::record::RepairStep;
use crate::container::repair::Repair;
use crate::decision::Outcome;
use crate::supervisor::{ExitClass, ExitRecord, Supervision};
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::vec;

/// So many ends for memory within the window of its budget have one cause: its limit.
const MEMORY_ENDS_LOOP: usize = 3;

/// Has the end of its incarnation classified, once; and again where new evidence may show another class.
///
/// # Errors
/// The evidence that is missing.
pub(super) fn classify_end(
    now: Moment,
    around: &mut Around<'_>,
    wishes: &Wishes,
    present: &mut PresentIncarnation,
    supervision: &mut Supervision,
) -> Result<(), Need> {
    around.observation.date_end(now);
    let incarnation = around.observation.incarnation();
    if supervision.exit().is_none_or(|exit| *exit.incarnation() != incarnation) {
        let known = exit_case(around, wishes).classify(now)?;
        let it = &*around.observation;
        let window = around.policy.allowance.window;
        let is_for_memory = it.ended_out_of_memory() && known.class == ExitClass::Crash;
        let how = match is_for_memory.then(|| present.ended_for_memory(now, window)) {
            Some(count) if MEMORY_ENDS_LOOP <= count => how_again_for_memory(it, count, window),
            _ => how(it),
        };
        let exit = ExitRecord::new(incarnation, known.class, it.ended_at(now), how, known.why);
        let evidence = end_evidence(now, it).chain([known.fact]).collect();
        supervision.set_exit(exit.with_evidence(evidence).correlated(known.correlated));
    }
    reclassify_after_backoff(now, around, wishes, supervision)
}

/// The engine was to restart it and ended its back-off without a start: a person's act?
fn reclassify_after_backoff(
    now: Moment,
    around: &mut Around<'_>,
    wishes: &Wishes,
    supervision: &mut Supervision,
) -> Result<(), Need> {
    if supervision.waiver().is_some() {
        return Ok(());
    }
    let Some(exit) = supervision.exit_mut() else {
        return Ok(());
    };
    if !exit_case(around, wishes).backoff_ended(now, exit) {
        return Ok(());
    }
    around.observation.backoff_ended();
    if let Some(known) = exit_case(around, wishes).who_ended_backoff(now)? {
        exit.reclassify(known.class, known.why, known.fact);
    }
    Ok(())
}

fn exit_case<'c>(around: &'c Around<'_>, wishes: &'c Wishes) -> ExitCase<'c> {
    ExitCase {
        observation: around.observation,
        continuity: around.continuity,
        lives: around.lives,
        memory: wishes.of(around.observation.id()),
        settle: around.settings.settle,
    }
}

/// A stop of ours has left it down: that end was ours, and it is still meant to run.
pub(crate) fn own_exit(now: Moment, it: &ContainerObservation, fact: Evidence, supervision: &mut Supervision) {
    if it.status() == Status::Down {
        let (class, at) = (ExitClass::Crash, it.ended_at(now));
        let exit = ExitRecord::new(it.incarnation(), class, at, how(it), "our own stop");
        supervision.set_exit(exit.own_stop().with_evidence(vec![fact]));
    }
}

/// A person ended it during a repair of ours; why, in words.
pub(super) fn operator_exit(now: Moment, it: &ContainerObservation, why: &str, supervision: &mut Supervision) {
    if it.status() == Status::Down {
        let exit = ExitRecord::new(it.incarnation(), ExitClass::Operator, it.ended_at(now), how(it), why);
        let evidence = vec![Evidence::new(EvidenceKind::OperatorStop, now, why)];
        supervision.set_exit(exit.with_evidence(evidence));
    }
}

/// A repair is over: what it leaves behind. Returns the step to write down.
pub(super) fn after_repair(
    now: Moment,
    repair: &Repair,
    outcome: Outcome,
    it: &ContainerObservation,
    supervision: &mut Supervision,
) -> RepairStep {
    if outcome != Outcome::Failed {
        return RepairStep::Ended;
    }
    if repair.has_stopped() && it.incarnation() == *repair.incarnation() && supervision.exit().is_none() {
        let why = "a repair of ours stopped it and could not start it";
        own_exit(now, it, Evidence::new(EvidenceKind::Exited, now, why), supervision);
    }
    let is_left_down = |exit: &ExitRecord| exit.is_own_stop() && exit.incarnation() == repair.incarnation();
    match supervision.exit().is_some_and(is_left_down) {
        true => RepairStep::LeftDown,
        false => RepairStep::Ended,
    }
}
