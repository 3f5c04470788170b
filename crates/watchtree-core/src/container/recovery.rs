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
    let is_posted = was_stopping(open) || open.step == RepairStep::StopLingers;
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
        return fresh.resumed(step, open.last_event, None, (started, false));
    }
    let overruled = claim_signals(it, &mut own, open);
    let step = next_step(now, open, own.is_seen(), it, same_boot);
    let id = it.id().clone();
    let fresh = Repair::stop_then_start(id, open.incarnation.clone(), own.clone(), open.stop_timeout_secs);
    let mut repair = fresh.resumed(
        step,
        open.last_event,
        Some(own),
        (started, open.step == RepairStep::StopAnswered),
    );
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
    //! Steps of the journal, and whose the replayed signals are.
    use super::*;
    use crate::container::io::{ContainerView, EngineEvent, EngineTime, EventAction, RunState};
    use crate::id::BootId;
    use crate::subject::Incarnation;
    use alloc::vec::Vec;

    fn open(step: RepairStep, incarnation: &Incarnation) -> OpenRepair {
        OpenRepair {
            id: "c1".into(),
            incarnation: incarnation.clone(),
            step,
            last_event: EngineTime(105),
            at: Moment::from_millis(1000),
            boot_id: BootId::default(),
            stop_timeout_secs: 10,
        }
    }

    /// One that began at 100 on the engine's clock, and what was replayed of it.
    fn observed(run: RunState, events: &[(u64, EventAction)]) -> ContainerObservation {
        let mut it = ContainerObservation::new("c1".into(), Moment::ZERO);
        assert!(it.begin_inspection(Moment::ZERO));
        let view = ContainerView {
            run,
            started_at: EngineTime(100),
            started_at_text: "100".into(),
            stop_signal: 15,
            ..ContainerView::default()
        };
        it.absorb(Moment::ZERO, view);
        for (at, action) in events {
            let event = EngineEvent {
                at: EngineTime(*at),
                id: "c1".into(),
                name: "web".into(),
                compose: None,
                action: action.clone(),
            };
            assert!(it.take(Moment::ZERO, &event, false));
        }
        it
    }

    #[test]
    fn our_own_signals_of_before_are_told_from_a_persons() {
        let (stopping, starting) = (RepairStep::StopPosted, RepairStep::StartPosted);
        // Whether it is the incarnation of the repair, its step, the signals; whose they are, and whether a person wins.
        let cases = [
            (true, stopping, &[(104, 15), (105, 15)][..], &[true, true][..], false),
            (true, stopping, &[(110, 15)], &[true], false),
            (true, stopping, &[(110, 9)], &[false], true),
            (true, stopping, &[(110, 15), (111, 15)], &[true, false], true),
            (true, stopping, &[(110, 1)], &[false], false),
            (true, starting, &[(110, 15)], &[false], false),
            (false, stopping, &[(90, 15)], &[false], false),
            (false, stopping, &[(100, 15), (105, 15)], &[true, true], false),
            (false, stopping, &[(110, 15)], &[false], false),
        ];
        for (same, step, signals, whose, wins) in cases {
            let events: Vec<_> = signals
                .iter()
                .map(|(at, signal)| (*at, EventAction::Kill { signal: *signal }))
                .collect();
            let mut it = observed(RunState::Running, &events);
            let life = if same { it.incarnation() } else { Incarnation::default() };
            let open = open(step, &life);
            let mut own = OwnStop::new(open.last_event, 15, Duration::from_secs(10));
            let overruled = claim_signals(&mut it, &mut own, &open);
            let mut found = Vec::new();
            it.signals_mut().claim_signals(|signal| {
                found.push(signal.own);
                false
            });
            assert_eq!(
                (&*found, overruled.is_some()),
                (whose, wins),
                "{same} {step:?} {signals:?}"
            );
        }
    }

    #[test]
    fn one_stop_is_ours_and_a_second_is_a_persons() {
        // Whether it is the incarnation of the repair, the stops; whether one is left that is not ours, and a person wins.
        let cases = [
            (true, &[104, 105][..], false, false),
            (true, &[110], false, false),
            (true, &[110, 111], true, true),
            (false, &[104], true, false),
        ];
        for (same, stops, left, wins) in cases {
            let events: Vec<_> = stops.iter().map(|at| (*at, EventAction::Stop)).collect();
            let mut it = observed(RunState::Running, &events);
            let life = if same { it.incarnation() } else { Incarnation::default() };
            let open = open(RepairStep::StopPosted, &life);
            let mut own = OwnStop::new(open.last_event, 15, Duration::from_secs(10));
            let overruled = claim_signals(&mut it, &mut own, &open);
            assert_eq!(
                (it.was_stopped_after_end(), overruled.is_some()),
                (left, wins),
                "{same} {stops:?}"
            );
        }
    }

    #[test]
    fn it_goes_on_from_what_the_journal_and_the_container_say() {
        let at = Moment::from_millis;
        let (down, runs) = (observed(RunState::Exited, &[]), observed(RunState::Running, &[]));
        let same = open(RepairStep::StopPosted, &runs.incarnation());
        let other = open(RepairStep::StopPosted, &Incarnation("c1@7".into()));
        let posted = open(RepairStep::StartPosted, &runs.incarnation());
        let due = |ms, inspect: Option<u64>| Step::StartDue {
            at: at(ms),
            inspect: inspect.map(at),
        };
        let until = |ms| Step::AwaitEnd { until: at(ms) };
        // When, the repair, whether its stop was seen, the container, the same boot; the step.
        let cases = [
            (2000, &other, false, &runs, true, Step::AwaitStart { since: at(2000) }),
            (2000, &posted, false, &runs, true, due(3000, Some(3000))),
            (2000, &posted, false, &down, true, due(3000, Some(3000))),
            (2000, &same, false, &down, true, due(2000, None)),
            (2000, &same, true, &runs, true, until(17_000)),
            (2000, &same, false, &runs, true, until(16_000)),
            (20_000, &same, false, &runs, true, until(20_000)),
            (2000, &same, false, &runs, false, until(17_000)),
        ];
        for (now, open, is_seen, it, same_boot, step) in cases {
            let status = it.status();
            assert_eq!(
                next_step(at(now), open, is_seen, it, same_boot),
                step,
                "{now} {open:?} {status:?}"
            );
        }
    }

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
            let open = open(step, &Incarnation::default());
            assert_eq!(was_stopping(&open), expected, "{step:?}");
        }
    }
}
