//! Whose a stop signal is: of a repair of ours, or of somebody else. Does not know what follows.

use crate::container::io::EngineTime;
use crate::container::observation::ContainerObservation;
use crate::container::repair::Repair;
use crate::container::subject::lingering::LingeringStop;
use crate::time::Moment;

/// The event of a stop signal, or of a stop that was carried out (`signal` = `None`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StopEvent {
    pub(crate) at: EngineTime,
    pub(crate) signal: Option<u32>,
    /// When it came, if it came live.
    pub(crate) came: Option<Moment>,
}

/// Where such an event comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignalOrigin {
    /// Of an incarnation before, or of a clock that was set back.
    Odd,
    /// It fell into a repair of ours, which knows its own, or is of a stop of ours that lingers in the engine.
    Repair,
    Foreign,
}

/// Where an event of a stop comes from. A repair that it falls into takes it for its own, or is overruled by it; before that a
/// stop of ours that lingers may take it. `is_recovering` = a repair of before a restart of ours is not yet taken up: that tells
/// whose it is.
pub(super) fn take_stop_event(
    event: StopEvent,
    it: &mut ContainerObservation,
    repair: Option<&mut Repair>,
    lingering: Option<&mut LingeringStop>,
    is_recovering: bool,
) -> SignalOrigin {
    let repair = repair.filter(|repair| repair.id() == it.id());
    let is_repairs = |signal| {
        repair
            .as_ref()
            .is_some_and(|it| it.owns_signal(event.at, signal, event.came))
    };
    if !is_recovering
        && !event.signal.is_some_and(is_repairs)
        && let Some(lingering) = lingering.filter(|lingering| lingering.is_of(it))
        && lingering.takes(event.at, event.signal, event.came)
    {
        it.forget_odd_stop();
        match event.signal {
            Some(_) => it.signals_mut().claim_newest_signal(),
            None => it.signals_mut().claim_newest_stop(),
        }
        return SignalOrigin::Repair;
    }
    let origin = match is_recovering {
        true => SignalOrigin::Odd,
        false => classify_signal(event, it, repair.as_deref()),
    };
    let Some(repair) = repair else {
        return origin;
    };
    if origin == SignalOrigin::Odd {
        it.forget_odd_stop();
        return origin;
    }
    match event.signal {
        Some(signal) if repair.takes_signal(event.at, signal, event.came) => {
            it.forget_odd_stop();
            it.signals_mut().claim_newest_signal();
        }
        Some(_) => return SignalOrigin::Foreign,
        None if repair.takes_stop(event.at, event.came) => it.signals_mut().claim_newest_stop(),
        // A stop that is not ours has overruled the repair: that says it all.
        None => {}
    }
    origin
}

/// Pure; `repair` = the one of this container that is under way.
fn classify_signal(event: StopEvent, it: &ContainerObservation, repair: Option<&Repair>) -> SignalOrigin {
    let is_signal = event.signal.is_some();
    let is_stale = event.at < it.began() && (!is_signal || it.view().is_some());
    // While our own stop is under way, the order of arrival tells what the stamp cannot.
    let in_order = is_signal && event.came.is_some() && repair.is_some_and(Repair::is_stopping);
    match repair {
        _ if is_stale && !in_order => SignalOrigin::Odd,
        Some(_) => SignalOrigin::Repair,
        None => SignalOrigin::Foreign,
    }
}

#[cfg(test)]
mod tests {
    //! A signal of now, and one of an earlier clock, with and without a repair.
    use super::*;
    use crate::container::io::ContainerView;
    use crate::container::own_stop::OwnStop;
    use crate::container::repair::Step;
    use crate::subject::Incarnation;
    use crate::time::Duration;
    use alloc::string::ToString;

    #[test]
    fn a_stamp_of_before_the_incarnation_is_odd_unless_our_stop_is_under_way() {
        let (id, now) = ("c1".to_string(), Moment::ZERO);
        let mut it = ContainerObservation::new(id.clone(), now);
        let view = ContainerView {
            started_at: EngineTime(100),
            ..ContainerView::default()
        };
        it.absorb(now, view);
        let start = Repair::start(id.clone(), Incarnation::default(), now);
        let own = OwnStop::new(EngineTime(0), 15, Duration::ZERO);
        let stop = Repair::stop_then_start(id, Incarnation::default(), own.clone(), 0);
        let stop = stop.resumed(Step::AwaitEnd { until: now }, EngineTime(0), Some(own), (false, false));
        let classes = |at, signal, came| {
            let event = StopEvent {
                at: EngineTime(at),
                signal,
                came,
            };
            [None, Some(&start), Some(&stop)].map(|repair| classify_signal(event, &it, repair))
        };
        let (odd, ours, foreign) = (SignalOrigin::Odd, SignalOrigin::Repair, SignalOrigin::Foreign);
        assert_eq!(classes(200, Some(15), Some(now)), [foreign, ours, ours]);
        assert_eq!(classes(200, None, None), [foreign, ours, ours]);
        assert_eq!(classes(50, Some(15), Some(now)), [odd, odd, ours]);
        assert_eq!(classes(50, Some(15), None), [odd, odd, odd], "replayed");
        assert_eq!(classes(50, None, Some(now)), [odd, odd, odd]);
    }
}
