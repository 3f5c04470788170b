//! A stop of ours that may still be under way in the engine after its repair was given up: its connection broke, its deadline
//! passed, this watchdog was restarted. Whose the signals are that still come, and whose the end. Knows no repair.

use super::around::Around;
use super::exits;
use crate::container::io::{ContainerId, EngineTime};
use crate::container::observation::ContainerObservation;
use crate::container::own_stop::OwnStop;
use crate::container::record::OpenRepair;
use crate::container::repair::STOP_FOLLOWS;
use crate::subject::Incarnation;
use crate::supervisor::Supervision;
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};

/// What an engine may take for a stop on top of its time before another is posted.
const BLOCKS_FOR: Duration = Duration::from_secs(600);

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct LingeringStop {
    id: ContainerId,
    incarnation: Incarnation,
    own: OwnStop,
}

/// Whose the end is of what a stop of ours was sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EndOf {
    Ours,
    /// A late SIGKILL, and no stop after it.
    Person,
    /// Known then.
    Unknown(Moment),
}

impl LingeringStop {
    pub(super) fn new(id: ContainerId, incarnation: Incarnation, own: OwnStop) -> Self {
        Self { id, incarnation, own }
    }

    /// As the journal held it; its signals of before the restart are taken for ours.
    pub(super) fn restore(open: &OpenRepair, mut own: OwnStop, it: &mut ContainerObservation) -> Self {
        let stop = it.stop_terms();
        it.signals_mut().claim_signals(|signal| {
            let is_of_it = open.last_event < signal.at && stop.is_end(signal.signal);
            is_of_it && own.signal(signal.at, signal.signal, None).is_ok()
        });
        it.signals_mut()
            .claim_stops(|at| open.last_event < at && own.stop(at, None).is_ok());
        Self::new(open.id.clone(), open.incarnation.clone(), own)
    }

    /// True while that incarnation is the present one of that container, or the one that ended last.
    pub(super) fn is_of(&self, it: &ContainerObservation) -> bool {
        *it.id() == self.id && it.is_current() && it.incarnation() == self.incarnation
    }

    /// The event of a stop signal, or of a stop that was carried out (`signal` = `None`): is it of this stop?
    pub(super) fn takes(&mut self, at: EngineTime, signal: Option<u32>, came: Option<Moment>) -> bool {
        match signal {
            Some(signal) => self.own.signal(at, signal, came).is_ok(),
            None => self.own.stop(at, came).is_ok(),
        }
    }

    /// Until when no other stop may be posted: it would be lost in this one.
    pub(super) fn blocks_until(&self) -> Option<Moment> {
        Some(self.own.posted()? + self.own.timeout() + BLOCKS_FOR)
    }

    /// It is down.
    pub(super) fn end_of(&self, now: Moment, it: &ContainerObservation) -> EndOf {
        let told = it.ended_at(now) + STOP_FOLLOWS;
        match self.own.is_doubtful() {
            true if now < told => EndOf::Unknown(told),
            true => EndOf::Person,
            false => EndOf::Ours,
        }
    }
}

/// It is down, and a stop of ours was perhaps still under way. Returns until when that cannot be told.
pub(super) fn end(
    now: Moment,
    lingering: Option<&LingeringStop>,
    around: &Around<'_>,
    supervision: &mut Supervision,
) -> Option<Moment> {
    let it = &*around.observation;
    let lingering = lingering.filter(|lingering| lingering.is_of(it))?;
    let is_of = |life: Incarnation| supervision.exit().is_some_and(|exit| *exit.incarnation() == life);
    let is_classified = is_of(it.incarnation());
    if is_classified || it.foreign_stop().is_some() {
        return None;
    }
    let end = match around.continuity.gap_until() {
        Some(until) => EndOf::Unknown(until),
        None => lingering.end_of(now, it),
    };
    let why = match end {
        EndOf::Unknown(until) => return Some(until),
        EndOf::Ours => "a stop of ours that had been given up ended it after all",
        EndOf::Person => "SIGKILL was sent through the engine long after our stop's time, and no stop followed",
    };
    match end {
        EndOf::Person => exits::operator_exit(now, it, why, supervision),
        _ => exits::own_exit(now, it, Evidence::new(EvidenceKind::Exited, now, why), supervision),
    }
    None
}

#[cfg(test)]
mod tests {
    //! Our late SIGKILL, and a person's.
    use super::*;
    use crate::container::io::{ContainerView, RunState};
    use crate::time::Duration;
    use alloc::string::ToString;

    fn at(secs: u64) -> Moment {
        Moment::from_millis(secs * 1000)
    }

    fn stamp(secs: u64) -> EngineTime {
        EngineTime(secs * 1_000_000_000)
    }

    #[test]
    fn a_late_sigkill_is_ours_where_a_stop_follows_it_and_else_a_persons() {
        let mut it = ContainerObservation::new("c1".to_string(), at(0));
        let view = ContainerView {
            run: RunState::Exited,
            started_at: stamp(1),
            started_at_text: "1".to_string(),
            finished_at: stamp(50),
            ..ContainerView::default()
        };
        it.absorb(at(50), view);
        let mut own = OwnStop::new(stamp(2), 15, Duration::from_secs(10));
        own.post(at(3), stamp(3));
        let mut linger = LingeringStop::new("c1".to_string(), it.incarnation(), own);
        assert!(linger.is_of(&it));
        assert_eq!(linger.blocks_until(), Some(at(613)));
        assert!(linger.takes(stamp(4), Some(15), Some(at(4))), "our own TERM");
        assert!(!linger.takes(stamp(5), Some(15), Some(at(5))), "a person's");
        assert_eq!(linger.end_of(at(50), &it), EndOf::Ours, "by our TERM");
        assert!(linger.takes(stamp(50), Some(9), Some(at(50))));
        assert_eq!(linger.end_of(at(51), &it), EndOf::Unknown(at(52)));
        assert_eq!(linger.end_of(at(52), &it), EndOf::Person);
        assert!(linger.takes(stamp(51), None, Some(at(51))));
        assert_eq!(linger.end_of(at(52), &it), EndOf::Ours);
    }
}
