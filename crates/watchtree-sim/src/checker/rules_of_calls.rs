//! Rules about what is written, posted and done to containers, checked when it happens.
//!
//! `acts_on_record`       no call without a decision, a charge and a journal record of that very call before it
//! `posted_once`          a call is never posted while an earlier one of its kind is under way, nor on a life it was done to
//! `healthy_left_alone`   no container that is well is stopped; no watchdog that is well is killed
//! `no_wave`              of those that are well on an overloaded machine one at a time is stopped
//! `engine_left_alone`    nothing is done to an engine that is well
//! `operator_wins`        what a person stopped is not started
//! `budget_kept`          what is charged to a container, the engine's own restarts too, and to a host never exceeds the
//!                        budget, whatever crashes; nothing is started that was not charged, or given back unasked
//! `hands_off`            no call by a watchdog that knows that its machine goes down
//! `held_left_alone`      what is held is not repaired; what is said to be held is on the target's record
//! `degraded_is_said`     a watchdog whose journal the disk refuses, or was damaged, says so

use super::facts::{EXCUSED_FOR, HostFacts};
use super::reported::Broken;
use super::rules_of_dependants;
use crate::log::{Observation, StartedBy};
use watchtree_core::container::io::{EngineCall, Performed, Record};
use watchtree_core::subject::SubjectId;
use watchtree_core::supervisor::RestartPolicy;
use watchtree_core::time::{Duration, Moment};

/// A call that was on its way when a fault came.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// A person's stop is an event first, and a call may be on its way by then.
const TOLD_WITHIN: Duration = Duration::from_millis(400);
/// An order that reaches a frozen watchdog is carried out when that thaws.
const ORDERED_WITHIN: Duration = Duration::from_secs(10);

/// Checks an observation of a host against what was known before it, and keeps what was reported.
pub(super) fn check(host: &mut HostFacts, now: Moment, what: &Observation) -> Result<(), Broken> {
    match what {
        Observation::Recorded { record, .. } => recorded(host, now, record),
        Observation::Posted { by, id, call, .. } => {
            hands_off(host, now, id, *call)?;
            host.reported.post(now, &host.journal, *by, id, *call)
        }
        Observation::Arrived { id, call, .. } => {
            if *call == EngineCall::Start {
                let early = rules_of_dependants::start(host, now, id);
                host.early_starts.extend(early);
            }
            arrived(host, now, id, *call)
        }
        Observation::ChecksFail { overload, until, .. } => {
            match overload {
                true => host.overload.begins(now, *until),
                false => host.overload.is_blind(*until),
            }
            Ok(())
        }
        Observation::Finished { by, answer, .. } => {
            host.reported.finished(now, *by, *answer == Ok(Performed::Done));
            Ok(())
        }
        Observation::Lost { by, .. } => {
            host.reported.lost(now, *by);
            Ok(())
        }
        Observation::Started {
            place,
            by: StartedBy::Watchdog,
            ..
        } => started(host, *place),
        Observation::KilledChild { .. } => {
            let excused = now.since(host.child_hurt) < EXCUSED_FOR;
            match host.child.runs() && !excused {
                true => broken(
                    "healthy_left_alone",
                    "its container-watchdog is well and is killed".into(),
                ),
                false => Ok(()),
            }
        }
        Observation::WorkedOnEngine { is_ill: false, .. } => {
            broken("engine_left_alone", "its engine answers and is worked on".into())
        }
        Observation::SaysDegraded { says: false, .. } if host.disk.is_some() => {
            broken("degraded_is_said", "its journal cannot be written".into())
        }
        Observation::SaysDegraded { says: false, .. } if host.is_damaged => {
            broken("degraded_is_said", "its journal was damaged".into())
        }
        Observation::SaidHeld { subject, .. } if host.reported.held_until(subject).is_none() => {
            let why = format!("{subject} is said to be held, and no record of it was written");
            broken("held_left_alone", why)
        }
        _ => Ok(()),
    }
}

fn broken(rule: &'static str, why: String) -> Result<(), Broken> {
    Err((rule, why))
}

fn recorded(host: &mut HostFacts, now: Moment, record: &Record) -> Result<(), Broken> {
    let result = host.reported.record(now, host.zero, &host.journal, record);
    host.journal.apply(record);
    result?;
    match record {
        Record::Cleared { subject } => cleared(host, now, subject),
        _ => Ok(()),
    }
}

/// A subject's charges are given back: a person asked for it, or it has run for a whole window.
fn cleared(host: &HostFacts, now: Moment, subject: &SubjectId) -> Result<(), Broken> {
    let mut there = host.containers.iter().filter(|(_, c)| !c.now.removed);
    let Some((_, c)) = there.find(|(place, _)| host.subject(**place) == *subject) else {
        return Ok(());
    };
    let ran = now.since(c.now.born);
    if ran < RestartPolicy::default().allowance.window && ORDERED_WITHIN < now.since(host.retried) {
        let why = format!("{subject} is given its budget back unasked, {ran:?} after its start");
        return broken("budget_kept", why);
    }
    Ok(())
}

/// A call is posted: by a watchdog that does not know that the machine goes down.
fn hands_off(host: &HostFacts, now: Moment, id: &str, call: EngineCall) -> Result<(), Broken> {
    let child = &host.child;
    // One that was frozen when it was told takes it in when it thaws.
    let knows = |(told, at): (Option<u64>, Moment)| told == Some(child.epoch) && at.max(child.thawed.0) < now;
    match host.going_down.is_some_and(knows) {
        true => broken(
            "hands_off",
            format!("the machine goes down and {call:?} of {id:.6} is posted"),
        ),
        false => Ok(()),
    }
}

fn arrived(host: &mut HostFacts, now: Moment, id: &str, call: EngineCall) -> Result<(), Broken> {
    let Some(place) = host.find(id) else { return Ok(()) };
    let c = &host.containers[&place];
    let name = &c.now.name;
    match call {
        EngineCall::Stop { .. } if c.runs() && !c.now.hung && !rules_of_dependants::follows(host, c) => {
            let since = now.since(c.now.changed);
            let why = format!("{name} is well since {since:?} and is stopped");
            let asked = now.since(host.retried) <= ORDERED_WITHIN;
            if ON_ITS_WAY < since
                && let Some(rule) = host.overload.judge(now, asked)
            {
                return broken(rule, why);
            }
        }
        EngineCall::Start if !c.runs() && c.stopped_by_person => {
            let since = now.since(c.stop_asked);
            if TOLD_WITHIN < since && !host.is_blind(place) {
                let why = format!("a person asked to stop {name} {since:?} ago and it is started");
                return broken("operator_wins", why);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The engine has carried out a start of ours: it was charged, each one.
fn started(host: &HostFacts, place: usize) -> Result<(), Broken> {
    let (subject, starts) = (host.subject(place), host.containers[&place].our_starts);
    let begun = host.reported.begun(&subject);
    match begun < starts && host.containers[&place].renamed.is_none() {
        true => broken(
            "budget_kept",
            format!("{subject} was started {starts} times by {begun} charged repairs"),
        ),
        false => Ok(()),
    }
}
