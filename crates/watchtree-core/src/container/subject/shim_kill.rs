//! The record of a shim that is killed: made before it is done, and ended by what becomes of its container. Decides nothing.

use super::around::Out;
use crate::container::observation::{ContainerObservation, Status};
use crate::container::repair::Act;
use crate::decision::{ActionKind, Decision, Guard, GuardAnswer, Outcome};
use crate::recorder::Draft;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

/// The one whose end is still to come.
#[derive(Clone, Debug, Default)]
pub(super) struct ShimKill(Option<Decision>);

impl ShimKill {
    /// That is done after this: written down if it kills a shim.
    pub(super) fn precede(
        &mut self,
        now: Moment,
        subject: &SubjectId,
        it: &ContainerObservation,
        act: &Act,
        out: &mut Out<'_>,
    ) {
        let Act::KillShim(shim) = act else { return };
        let why =
            format!("its shim, process {shim}, is stopped and holds our stop: kill it, the container ends with it");
        let fact = Evidence::new(EvidenceKind::ShimStopped, now, format!("process {shim}, seen twice"));
        let draft = Draft::new(subject.clone(), ActionKind::KillShim, why)
            .incarnation(it.incarnation())
            .evidence(vec![fact])
            .guards(vec![
                GuardAnswer::passed(Guard::KnownCause, "the kernel shows it stopped, twice"),
                GuardAnswer::passed(Guard::InFlight, "our stop has had its time and some more"),
            ])
            .outcome(Outcome::UnderWay);
        self.0 = Some(out.record(now, draft));
    }

    /// The repair has moved on; `is_over` = as far as it can.
    pub(super) fn settle(&mut self, it: &ContainerObservation, is_over: bool, out: &mut Out<'_>) {
        let Some(decision) = &self.0 else { return };
        let has_ended = it.status() == Status::Down || it.incarnation() != decision.incarnation;
        let (outcome, result) = match (has_ended, is_over) {
            (true, _) => (Outcome::Succeeded, "its container has ended"),
            (false, true) => (Outcome::Failed, "its container runs on"),
            (false, false) => return,
        };
        if let Some(mut decision) = self.0.take() {
            (decision.outcome, decision.result) = (outcome, result.to_string());
            out.update(&decision);
        }
    }
}
