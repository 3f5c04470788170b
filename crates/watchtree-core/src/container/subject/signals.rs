//! Whose signal it was, and what a signal of somebody else means for the container. Does not know what is done about it.

use super::*;

impl ContainerSubject {
    /// A stop signal was sent to its container, or a stop was carried out (`signal` = `None`), and its event came; `came` =
    /// when, if it came live. Ours, or a person's?
    pub(crate) fn classify_signal(
        &self,
        repair: Option<&mut Repair>,
        it: &mut ContainerObservation,
        (at, signal): (crate::container::io::EngineTime, Option<u32>),
        came: Option<Moment>,
    ) -> SignalSeen {
        let repair = repair.filter(|repair| repair.id() == it.id());
        let is_stale = at < it.began() && (signal.is_none() || it.view().is_some());
        // While our own stop is under way, the order of arrival tells what the stamp cannot.
        let in_order = signal.is_some() && came.is_some() && repair.as_ref().is_some_and(|it| it.is_stopping());
        if (is_stale && !in_order) || self.recovering.is_some() {
            if repair.is_some() {
                it.forget_odd_stop();
            }
            return SignalSeen::Odd;
        }
        let own = match (repair, signal) {
            (None, _) => return SignalSeen::Foreign,
            (Some(repair), Some(signal)) => repair.takes_signal(at, signal, came),
            (Some(repair), None) => repair.takes_stop(at, came),
        };
        match (own, signal) {
            (true, Some(_)) => {
                it.forget_odd_stop();
                it.signals_mut().claim_newest_signal();
                SignalSeen::Own
            }
            (true, None) => {
                it.signals_mut().claim_newest_stop();
                SignalSeen::Own
            }
            // A stop that is not ours has overruled the repair: that says it all.
            (false, None) => SignalSeen::Own,
            (false, Some(_)) => SignalSeen::Foreign,
        }
    }

    /// Somebody else's stop signal came: what was decided before it is to be decided anew.
    pub(crate) fn foreign_signal(&mut self, now: Moment, it: &ContainerObservation, supervision: &mut Supervision) {
        self.signal_at = Some(now);
        // What a person asked for before this is not what they want now.
        supervision.drop_waiver();
        if it.foreign_stop().is_some() {
            supervision.clear_exit();
        }
    }

    /// The event stream ended just now: a stop seen within that time may have been the engine's own, going down.
    pub(crate) fn doubt_recent_stop(
        &mut self,
        now: Moment,
        within: Duration,
        it: &mut ContainerObservation,
        supervision: &mut Supervision,
    ) -> Option<Record> {
        let recent = |at: Option<Moment>| at.is_some_and(|at| now.since(at) < within);
        let class = supervision.exit().map(ExitRecord::class);
        // An end of before this process is as old as the signal that led to it.
        let ended = it.end().filter(|end| end.by_event).map(|end| end.at).or(self.signal_at);
        // Only what is known by signals can be classified anew from them, should the stream prove whole.
        if class == Some(ExitClass::Operator) && recent(ended) && it.foreign_stop().is_some() {
            it.set_uncertain(true);
            supervision.clear_exit();
            return match self.desired {
                Some((_, _, Desired::Stopped)) => self.invalidate(),
                _ => None,
            };
        }
        if recent(self.signal_at) {
            it.set_uncertain(true);
        }
        None
    }

    /// Events may have been lost: that it ran before says nothing about who ended it since.
    pub(crate) fn events_lost(&mut self) -> Option<Record> {
        match &self.desired {
            Some((_, life, Desired::Running)) if !life.0.is_empty() => self.invalidate(),
            _ => None,
        }
    }

    pub(super) fn invalidate(&mut self) -> Option<Record> {
        let (id, _, _) = self.desired.take()?;
        self.desire(id, Incarnation::default(), Desired::Running)
    }
}
