//! Classifies an exit: who or what ended it. Pure: it asks for missing evidence in words, and the caller gets it.
//!
//! ```text
//!  stop signal or stop by somebody else seen, and the engine answered since ──▶ operator
//!  remembered as stopped or finished before; never seen to run ────────────────▶ operator, finished; first sight
//!  ended while no engine answered ─────────────────────────────────────────────▶ engine or host
//!  ended while engine or machine were going down, and no manual-stop flag ─────▶ engine or host
//!  exit 0 without a policy, one-off, auto-remove ──────────────────────────────▶ finished
//!  every event since it was last well was seen, and none of them a stop ───────▶ crash: at once
//!  its own event is missing: the stream loses events ▶ replay from the last one seen, then as above or below
//!  else: settle, then the manual-stop flag and what it proves: see `flag_evidence`
//! a crash whose back-off the engine ended without a start ▶ the manual-stop flag, read anew
//! ```

use super::continuity::{EventContinuity, REPLAYED_WITHIN};
use super::engine_lives::EngineLives;
use super::flag_evidence::{self, EndedBy, FlagProof, Unseen};
use super::io::{RestartPolicy, RunState};
use super::naming::runs_once;
use super::observation::{ContainerObservation, EngineBackoff, FLAG_WITHIN, ManualStopFlag, is_by_sigkill};
use super::record::Desired;
use crate::subject::Incarnation;
use crate::supervisor::{ExitClass, ExitRecord};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::string::{String, ToString};

/// An end that only a list showed: its event may be on the way.
const EVENT_ON_THE_WAY: Duration = Duration::from_secs(1);

/// Everything an exit is classified by.
pub(crate) struct ExitCase<'a> {
    pub(crate) observation: &'a ContainerObservation,
    pub(crate) continuity: &'a EventContinuity,
    pub(crate) lives: &'a EngineLives,
    /// What the journal holds to be a person's wish for this container, and of which incarnation.
    pub(crate) memory: Option<(&'a Incarnation, Desired)>,
    /// How long late events are waited for.
    pub(crate) settle: Duration,
}

/// Evidence that is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Missing {
    /// Time alone brings it, or what is being asked already.
    Time,
    /// A fresh inspection.
    Inspection,
    /// The manual-stop flag.
    Flag,
    /// The events since the last one seen.
    Replay,
}

/// The class of an exit, why, and the fact that shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) class: ExitClass,
    pub(crate) why: String,
    pub(crate) fact: Evidence,
    /// One of many of one cause, for all that is known.
    pub(crate) correlated: bool,
}

/// Not classified before this evidence is there, or this moment; why, in words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Need {
    pub(crate) missing: Missing,
    pub(crate) until: Moment,
    pub(crate) why: &'static str,
}

type Classified = Result<Known, Need>;

impl ExitCase<'_> {
    /// Who or what ended it?
    pub(crate) fn classify(&self, now: Moment) -> Classified {
        let it = self.observation;
        let foreign = it.foreign_stop();
        if let (Some(why), false) = (&foreign, it.is_uncertain()) {
            if it.unanswered_stop().is_some() {
                let why = "finding out whether its engine is going down";
                return need(Missing::Inspection, now + FLAG_WITHIN, why);
            }
            return stopped(now, why);
        }
        let same = self.memory.filter(|(life, _)| **life == it.incarnation());
        let is_meant_down = same.is_some_and(|(_, desired)| desired == Desired::Stopped);
        let is_first_sight = self.memory.is_none() && it.alive_at().is_none() && !it.ended_by_event();
        let finished = self.finished();
        match finished.filter(|_| is_meant_down || is_first_sight) {
            Some(why) => return known(now, ExitClass::Finished, EvidenceKind::Exited, why),
            None if is_meant_down => {
                let why = "the journal remembers that a person stopped it";
                return known(now, ExitClass::Operator, EvidenceKind::Journal, why);
            }
            None if is_first_sight => {
                let why = "nobody knows whether it is meant to run";
                return known(now, ExitClass::FirstSight, EvidenceKind::Journal, why);
            }
            None => {}
        }
        // A clean exit needs no event, but may be the answer to the TERM of an engine that is going away.
        let may_be_taken_along = self.lives.is_beginning() || !self.continuity.is_open();
        let waits = finished.is_none() || may_be_taken_along;
        if let Some(until) = self.continuity.gap_until().filter(|_| waits) {
            let why = "waits until the event stream is whole again";
            return need(Missing::Time, until, why);
        }
        if let Some(classified) = self.classify_by_engine(now, foreign.is_some()) {
            return classified;
        }
        if let Some(why) = finished {
            return known(now, ExitClass::Finished, EvidenceKind::Exited, why);
        }
        let ended_at = it.ended_at(now);
        let odd = it.odd_intent(ended_at);
        match (self.unseen(same.is_some()), odd) {
            (Unseen::Nothing, None) => self.classify_seen(now, ended_at),
            (unseen, odd) => self.classify_by_flag(now, unseen, foreign.or(odd)),
        }
    }

    /// Did its engine or its machine take it along? `None` = they were well then, or a person may have stopped it before. Where a
    /// signal that was no stop (a reload, a reopened log) had set the flag long before, it says nothing: then it was the engine
    /// where we saw it go and know of no stop by somebody else (`foreign`), or where it went together with most of the others.
    fn classify_by_engine(&self, now: Moment, foreign: bool) -> Option<Classified> {
        let ended = self.observation.ended();
        if self.lives.was_silent(ended) {
            let why = "it ended while no engine answered: nobody can have asked for it";
            return Some(taken_along(now, why));
        }
        if !self.lives.was_going_down(ended) {
            return None;
        }
        let flag = match self.read_flag(now) {
            Ok(flag) => flag,
            Err(need) => return Some(Err(need)),
        };
        let is_seen = !foreign && self.lives.was_seen_going_down(ended);
        let why = match flag {
            Some(false) => "it ended while its engine was going down, and the engine's manual-stop flag is not set",
            Some(true) if self.observation.flag_was_set_before() && (is_seen || self.lives.was_swept(ended)) => {
                "it ended while its engine was going down, and a signal that was no stop had set the engine's manual-stop flag before"
            }
            _ => return None,
        };
        Some(taken_along(now, why))
    }

    /// How much of what could have led to this end was not seen?
    fn unseen(&self, is_remembered: bool) -> Unseen {
        let it = self.observation;
        // An end seen live was preceded by life until just then.
        let alive = match it.end() {
            Some(end) if end.by_event => Some(end.at),
            _ => it.alive_at(),
        };
        let is_known = is_remembered || it.born_at().is_some() || it.alive_at().is_some();
        let covers = |window| self.continuity.covers(it.born_at(), alive, window);
        let stop = it.stop_terms();
        match is_known && !it.is_uncertain() {
            true if covers(stop.patience()) => Unseen::Nothing,
            // Another end is of no stop that took longer than an ordinary one; and one without its event is to be seen first.
            true if covers(stop.ordinary()) => match self.ended_by() {
                EndedBy::Politeness if it.ended_by_event() => Unseen::SlowStops,
                _ => Unseen::Nothing,
            },
            _ => Unseen::Anything,
        }
    }

    /// No stop was seen on an unbroken stream: waits for late ones, then it is a crash.
    fn classify_seen(&self, now: Moment, ended_at: Moment) -> Classified {
        let it = self.observation;
        let settled = if it.has_foreign_signal() {
            ended_at + self.settle
        } else if it.ended_by_event() {
            ended_at
        } else {
            ended_at + EVENT_ON_THE_WAY
        };
        if now < settled {
            return need(Missing::Time, settled, "finding out whether somebody stopped it");
        }
        if !it.ended_by_event() {
            // Its event never came: the stream loses events, and a person's stop may be among them. If the engine still
            // knows the last one seen, what follows that one decides; if not, the stream does not cover this end.
            let whole = self.continuity.whole_since();
            let why = "its event never came: asking for the events again";
            if whole < ended_at + EVENT_ON_THE_WAY {
                return need(Missing::Replay, now + EVENT_ON_THE_WAY, why);
            }
            if now < whole + REPLAYED_WITHIN {
                return need(Missing::Time, whole + REPLAYED_WITHIN, why);
            }
        }
        if !self.continuity.is_live(ended_at) && !it.was_inspected_since(ended_at) {
            let why = "its end is old news: inspecting whether it is still so";
            return need(Missing::Inspection, now + FLAG_WITHIN, why);
        }
        let detail = if it.ended_by_event() {
            "no stop signal was seen on an unbroken event stream"
        } else {
            "its event never came, and no stop signal is among the events asked for again"
        };
        crash(now, detail, false)
    }

    /// Events may be missing: the engine's own note of a person's stop decides, as far as it goes. `foreign` = a stop by
    /// somebody else is known, but not whether it led to this end.
    fn classify_by_flag(&self, now: Moment, unseen: Unseen, foreign: Option<String>) -> Classified {
        // Late events are waited for where they may come: not on a stream that is whole since long.
        let settled = self.observation.ended_at(now) + self.settle;
        if unseen == Unseen::Anything && now < settled {
            return need(Missing::Time, settled, "events may be missing: settling");
        }
        let flag = self.read_flag(now)?;
        let set_before = self.observation.flag_was_set_before();
        match (flag, foreign) {
            (None, Some(why)) => stopped(now, &why),
            (Some(true), Some(_)) => stopped(now, "the engine's manual-stop flag is set"),
            (flag, _) => match flag_evidence::weigh(flag, set_before, unseen, self.ended_by()) {
                FlagProof::Stopped(why) => stopped(now, why),
                FlagProof::Crashed(detail) => crash(now, detail, unseen == Unseen::Anything),
                FlagProof::Unclear(why) => known(now, ExitClass::CannotTell, EvidenceKind::StreamBroken, why),
            },
        }
    }

    fn ended_by(&self) -> EndedBy {
        let it = self.observation;
        match it.exit_code() {
            code if it.stop_terms().is_polite(code) => EndedBy::Politeness,
            code if is_by_sigkill(code) => EndedBy::Sigkill,
            _ => EndedBy::Failure,
        }
    }

    /// The engine's back-off ended without a start: did a person end it? Whatever the flag was set by before, nothing else
    /// ends a back-off.
    ///
    /// # Errors
    /// The evidence that is missing.
    pub(crate) fn who_ended_backoff(&self, now: Moment) -> Result<Option<Known>, Need> {
        let until = self.observation.ended_at(now) + self.settle;
        if now < until {
            let (missing, why) = (Missing::Time, "events may be missing: settling");
            return Err(Need { missing, until, why });
        }
        let why = "the engine ended its back-off without a start, and the manual-stop flag cannot be read";
        match self.read_flag(now)? {
            Some(false) => Ok(None),
            Some(true) => stopped(now, "the engine's manual-stop flag is set").map(Some),
            None => known(now, ExitClass::CannotTell, EvidenceKind::StreamBroken, why).map(Some),
        }
    }

    /// The manual-stop flag; `None` = it cannot be read.
    fn read_flag(&self, now: Moment) -> Result<Option<bool>, Need> {
        let why = "events may be missing: asking the engine's manual-stop flag";
        match self.observation.flag() {
            ManualStopFlag::NotAsked => need(Missing::Flag, now + FLAG_WITHIN, why),
            ManualStopFlag::Asked(at) if now < at + FLAG_WITHIN => need(Missing::Time, at + FLAG_WITHIN, why),
            ManualStopFlag::Asked(_) => Ok(None),
            ManualStopFlag::Known(answer) => Ok(answer),
        }
    }

    /// It was held to have crashed and the engine was to restart it: did the engine's back-off end without a start?
    pub(crate) fn backoff_ended(&self, now: Moment, exit: &ExitRecord) -> bool {
        let it = self.observation;
        let Some(view) = it.view() else { return false };
        let crashed = exit.class() == ExitClass::Crash && !exit.is_own_stop();
        let down = matches!(view.run, RunState::Exited | RunState::Dead);
        // A start of the engine that failed leaves its error; a back-off that was ended leaves none.
        if !crashed || !down || !view.error.is_empty() {
            return false;
        }
        match it.backoff() {
            EngineBackoff::Seen | EngineBackoff::Ended => true,
            // Nobody watched when it ended. A signal of another meaning (HUP) is known to call the restart off and to
            // leave the same flag.
            EngineBackoff::None => {
                let unasked = it.flag() == ManualStopFlag::NotAsked;
                let unseen = !self.continuity.is_live(it.ended_at(now));
                unasked && it.engine_restarts() && unseen && !it.flag_was_set_before()
            }
        }
    }

    /// Why an end is as it should be, if it is.
    fn finished(&self) -> Option<&'static str> {
        let view = self.observation.view()?;
        if let Some(why) = runs_once(view) {
            return Some(why);
        }
        // An exit code of 0 that an engine's going down brought about is nobody's wish.
        let clean = self.observation.exit_code() == 0 && !self.observation.is_uncertain();
        match view.restart_policy {
            RestartPolicy::No if clean => Some("exit code 0 and no restart policy"),
            RestartPolicy::OnFailure { .. } if clean => Some("exit code 0 and a restart policy for failures only"),
            _ => None,
        }
    }
}

fn need<T>(missing: Missing, until: Moment, why: &'static str) -> Result<T, Need> {
    Err(Need { missing, until, why })
}

fn known(now: Moment, class: ExitClass, kind: EvidenceKind, why: &str) -> Classified {
    Ok(Known {
        class,
        why: why.to_string(),
        fact: Evidence::new(kind, now, why),
        correlated: false,
    })
}

fn stopped(now: Moment, why: &str) -> Classified {
    known(now, ExitClass::Operator, EvidenceKind::OperatorStop, why)
}

fn taken_along(now: Moment, why: &str) -> Classified {
    let known = known(now, ExitClass::EngineOrHost, EvidenceKind::EngineProbe, why)?;
    Ok(Known {
        correlated: true,
        ..known
    })
}

fn crash(now: Moment, detail: &str, correlated: bool) -> Classified {
    Ok(Known {
        class: ExitClass::Crash,
        why: "nobody stopped it".to_string(),
        fact: Evidence::new(EvidenceKind::NobodyStoppedIt, now, detail),
        correlated,
    })
}

#[cfg(test)]
mod tests {
    //! One exit by the evidence there is.
    use super::*;
    use crate::container::io::{ContainerView, EngineEvent, EngineTime, EventAction};
    use crate::id::BootId;
    use alloc::format;
    use alloc::vec::Vec;

    const SETTLE: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    fn event(ms: u64, action: EventAction) -> EngineEvent {
        EngineEvent {
            at: EngineTime(ms * 1_000_000),
            id: "c1".into(),
            name: "web".into(),
            compose: None,
            action,
        }
    }

    /// Whole since 10 ms but for what `anchor` says; runs since 1 s of the engine's time.
    fn scene(anchored: bool) -> (ContainerObservation, EventContinuity) {
        let cursor = (EngineTime(5), "c1".into(), "start".into());
        let mut continuity = EventContinuity::new(at(0), Some(cursor.clone()), SETTLE);
        continuity.opened(at(1));
        if anchored {
            assert!(continuity.saw(at(2), &cursor).is_some());
        } else {
            assert!(continuity.settle(at(2001)).is_some());
        }
        let mut observation = ContainerObservation::new("c1".into(), at(0));
        observation.begin_inspection(at(2));
        observation.absorb(
            at(3),
            ContainerView {
                run: RunState::Running,
                started_at: EngineTime(1_000_000_000),
                started_at_text: format!("{anchored}"),
                stop_signal: 15,
                ..ContainerView::default()
            },
        );
        (observation, continuity)
    }

    fn class(now: u64, observation: &ContainerObservation, continuity: &EventContinuity) -> Result<ExitClass, Missing> {
        let life = observation.incarnation();
        let case = ExitCase {
            observation,
            continuity,
            lives: &EngineLives::new(BootId::default(), Vec::new()),
            memory: Some((&life, Desired::Running)),
            settle: SETTLE,
        };
        case.classify(at(now)).map(|it| it.class).map_err(|need| need.missing)
    }

    #[test]
    fn an_end_on_an_unbroken_stream_is_a_crash_at_once_and_one_after_a_stop_signal_a_persons() {
        let (mut it, continuity) = scene(true);
        it.take(at(5000), &event(6000, EventAction::Die { exit_code: 1 }), true);
        assert_eq!(class(5000, &it, &continuity), Ok(ExitClass::Crash));
        let (mut it, continuity) = scene(true);
        it.take(at(4000), &event(5000, EventAction::Kill { signal: 15 }), true);
        it.take(at(5000), &event(6000, EventAction::Die { exit_code: 143 }), true);
        assert_eq!(
            class(5000, &it, &continuity),
            Err(Missing::Inspection),
            "is it going down?"
        );
        it.begin_inspection(at(4001));
        let view = it.view().unwrap().clone();
        it.absorb(at(5001), view);
        assert_eq!(it.stops_answered(), Some((EngineTime(5_000_000_000), 15)));
        assert_eq!(class(5001, &it, &continuity), Ok(ExitClass::Operator));
        let (mut it, continuity) = scene(true);
        it.take(at(5000), &event(6000, EventAction::Die { exit_code: 0 }), true);
        assert_eq!(class(5000, &it, &continuity), Ok(ExitClass::Finished));
    }

    #[test]
    fn where_events_are_missing_the_flag_decides() {
        for (flag, exit_code, expected) in [
            (Some(true), 143, ExitClass::Operator),
            (Some(true), 1, ExitClass::CannotTell),
            (Some(false), 143, ExitClass::Crash),
            (None, 143, ExitClass::CannotTell),
        ] {
            let (mut it, continuity) = scene(false);
            it.take(at(2500), &event(6000, EventAction::Die { exit_code }), true);
            assert_eq!(class(2500, &it, &continuity), Err(Missing::Time), "settling");
            assert_eq!(class(4500, &it, &continuity), Err(Missing::Flag));
            it.flag_mut().ask(at(4500));
            assert_eq!(class(4501, &it, &continuity), Err(Missing::Time));
            assert!(it.flag_mut().read(flag));
            assert_eq!(class(4502, &it, &continuity), Ok(expected));
        }
    }

    #[test]
    fn an_end_without_its_event_asks_for_the_events_again() {
        let (mut it, continuity) = scene(true);
        it.begin_inspection(at(5000));
        let view = ContainerView {
            run: RunState::Exited,
            exit_code: 1,
            finished_at: EngineTime(6_000_000_000),
            ..it.view().unwrap().clone()
        };
        it.absorb(at(5001), view);
        assert_eq!(class(5001, &it, &continuity), Err(Missing::Time));
        assert_eq!(class(6001, &it, &continuity), Err(Missing::Replay));
    }
}
