//! After a restart of this daemon: how a repair that was under way goes on. Pure: from what the journal and the container
//! say to the repair in its next step.
//!
//! ```text
//! journal says      same incarnation, running     same, down                another incarnation
//! StopPosted        await the end it would have   ─▶ start                   ─▶ over: it was restarted
//!   StopAnswered      caused; then classified anew
//! LeftDown          nothing                       ours: as a crash           nothing
//! StopLingers       the end to come is ours       ours, or a person's        nothing
//! StartPosted       ─▶ inspect, start             ─▶ settle, inspect, start  running ─▶ verify
//!   StartAnswered                                                            down ─▶ failed, classify that end
//! ```
//!
//! A person's stop among the replayed events wins at each point. Nothing is decided before the stream's gap is judged.

use super::observation::{ContainerObservation, Status};
use super::own_stop::OwnStop;
use super::record::{OpenRepair, RepairStep};
use super::repair::{Repair, Step};
use super::settings::ContainerSettings;
use crate::time::{Duration, Moment};

/// A start that was posted just before we died gets this long to show.
const POSTED_START_SHOWS: Duration = Duration::from_secs(1);
/// On top of its own timeout, a stop that was posted before we died gets this long to show.
const POSTED_STOP_SHOWS: Duration = Duration::from_secs(5);

/// True where the repair had posted its stop and not yet its start.
pub(crate) fn was_stopping(open: &OpenRepair) -> bool {
    matches!(open.step, RepairStep::StopPosted | RepairStep::StopAnswered)
}

/// What our stop does to the event stream, if it was posted by the process before this one.
pub(crate) fn own_stop(open: &OpenRepair, it: &ContainerObservation, settings: &ContainerSettings) -> OwnStop {
    let timeout = Duration::from_secs(open.stop_timeout_secs.into());
    let mut own = OwnStop::new(open.last_event, it.stop_terms().signal(), timeout);
    let is_posted = matches!(open.step, RepairStep::StopPosted | RepairStep::StopLingers);
    if is_posted && open.boot_id == settings.identity.boot_id {
        own.post(open.at, settings.engine_time(open.at));
    }
    own
}

/// The repair in its next step; `stops_first` = it began with a stop.
pub(crate) fn resume(
    now: Moment,
    open: &OpenRepair,
    stops_first: bool,
    it: &mut ContainerObservation,
    settings: &ContainerSettings,
) -> Repair {
    let mut own = own_stop(open, it, settings);
    let same_boot = open.boot_id == settings.identity.boot_id;
    let started = !was_stopping(open);
    if !stops_first {
        let step = next_step(now, open, false, it, same_boot);
        let fresh = Repair::start(it.id().clone(), open.incarnation.clone(), now);
        return fresh.resumed(step, open.last_event, None, started);
    }
    let overruled = claim_signals(it, &mut own, open);
    let step = next_step(now, open, own.is_seen(), it, same_boot);
    let id = it.id().clone();
    let fresh = Repair::stop_then_start(id, open.incarnation.clone(), own.clone(), open.stop_timeout_secs);
    let mut repair = fresh.resumed(step, open.last_event, Some(own), started);
    if let Some(why) = overruled {
        repair.overrule(&why);
    }
    repair
}

/// Tells our own signals of before the restart from other people's. Returns why a person wins, if one does.
fn claim_signals(it: &mut ContainerObservation, own: &mut OwnStop, open: &OpenRepair) -> Option<alloc::string::String> {
    let same = it.incarnation() == open.incarnation;
    let (began, stopping) = (it.began(), was_stopping(open));
    let meant = it.clone();
    let mut overruled = None;
    it.signals_mut().claim_signals(|signal| {
        if !meant.stop_terms().is_end(signal.signal) || (signal.at < began && !same) {
            return false;
        }
        // Before the step: judged then.
        if signal.at <= open.last_event {
            return true;
        }
        if !stopping || !same {
            return false;
        }
        match own.signal(signal.at, signal.signal, None) {
            Ok(()) => true,
            Err(why) => {
                overruled = Some(why);
                false
            }
        }
    });
    it.signals_mut().claim_stops(|at| {
        if !same {
            return false;
        }
        if at <= open.last_event {
            return true;
        }
        match own.stop(at, None) {
            Ok(()) => true,
            Err(why) => {
                overruled = Some(why);
                false
            }
        }
    });
    overruled
}

fn next_step(now: Moment, open: &OpenRepair, stop_seen: bool, it: &ContainerObservation, same_boot: bool) -> Step {
    let life = it.incarnation();
    let other = !life.0.is_empty() && life != open.incarnation;
    let running = !matches!(it.status(), Status::Down | Status::Created);
    if other {
        return Step::AwaitStart { since: now };
    }
    if !was_stopping(open) {
        let at = now + POSTED_START_SHOWS;
        return Step::StartDue { at, inspect: Some(at) };
    }
    if !running {
        return Step::StartDue { at: now, inspect: None };
    }
    // Not seen is not never posted: its event may be the next of the replay, or be forgotten by the engine. Only when a
    // posted stop would be over is the container judged anew; a second stop would be lost in the first.
    let wait = Duration::from_secs(open.stop_timeout_secs.into()) + POSTED_STOP_SHOWS;
    let until = if stop_seen || !same_boot {
        now + wait
    } else {
        now.max(open.at + wait)
    };
    Step::AwaitEnd { until }
}

#[cfg(test)]
mod tests {
    //! Steps of the journal.
    use super::*;
    use crate::container::io::EngineTime;
    use crate::id::BootId;
    use crate::subject::Incarnation;

    #[test]
    fn a_stop_is_under_way_until_the_start_is_posted() {
        let steps = [
            (RepairStep::StopPosted, true),
            (RepairStep::StopAnswered, true),
            (RepairStep::StartPosted, false),
            (RepairStep::StartAnswered, false),
            (RepairStep::Ended, false),
            (RepairStep::LeftDown, false),
            (RepairStep::StopLingers, false),
        ];
        for (step, expected) in steps {
            let open = OpenRepair {
                id: "c1".into(),
                incarnation: Incarnation::default(),
                step,
                last_event: EngineTime(0),
                at: Moment::ZERO,
                boot_id: BootId::default(),
                stop_timeout_secs: 10,
            };
            assert_eq!(was_stopping(&open), expected, "{step:?}");
        }
    }
}
