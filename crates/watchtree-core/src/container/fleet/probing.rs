//! Between the prober and the containers: who is to be probed now, which runs begin, and what their answers touch. Knows no
//! policy but that of the probes.

use super::watched::Watched;
use crate::container::io::{ContainerEffect, ProbeAnswer, ProbeRun};
use crate::container::observation::{ContainerObservation, Status};
use crate::container::outbox::Outbox;
use crate::container::probes::prober::{Prober, Target};
use crate::container::repair::Repair;
use crate::subject::SubjectId;
use crate::time::Moment;

/// How that container is to be probed: while it runs, was inspected since it does, and no repair of ours is about to end it.
pub(super) fn target<'a>(watched: &'a Watched, it: &'a ContainerObservation, is_leaving: bool) -> Option<Target<'a>> {
    let in_motion = watched.repair().is_some_and(|repair: &Repair| !repair.is_verifying());
    if is_leaving || in_motion || it.status() != Status::Running || !it.is_current() {
        return None;
    }
    let view = it.view().filter(|view| view.pid != 0)?;
    let (subject, present) = (watched.subject(), watched.subject().present());
    let life = it.incarnation();
    // It may be the first time that this life is seen to run.
    let since = match *present.incarnation() == life {
        true => present.since(),
        false => it.born_at().unwrap_or(Moment::ZERO),
    };
    Some(Target {
        id: it.id(),
        has_started: subject.has_been_well(&life),
        life,
        pid: view.pid,
        address: view.address,
        since,
        not_before: present.signal_at().map(|at| at + it.stop_terms().patience()),
        specs: subject.policy().probes(),
    })
}

/// Begins every run that is due and has a place, and says where they are asked from.
pub(super) fn begin(now: Moment, prober: &mut Prober, out: &mut Outbox) {
    if let Some(state) = prober.take_places() {
        out.condition("probes", state);
    }
    while let Some(begun) = prober.next_run(now) {
        out.push(ContainerEffect::Probe {
            run: begun.run,
            id: begun.id,
            pid: begun.pid,
            address: begun.address,
            method: begun.method,
            within: begun.within,
        });
    }
}

/// Takes an answer in, and begins what waited for its place. Returns of whom more is known than before.
pub(super) fn answered(
    now: Moment,
    prober: &mut Prober,
    run: ProbeRun,
    answer: ProbeAnswer,
    out: &mut Outbox,
) -> Option<SubjectId> {
    let subject = prober.answered(now, run, answer);
    begin(now, prober, out);
    subject
}
