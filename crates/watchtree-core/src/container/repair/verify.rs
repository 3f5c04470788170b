//! The last steps of a repair: a new incarnation must show, it must stay, and be well if its health check can tell. Pure; knows
//! nothing of how it came to be.

use super::step::{Next, STAY, Scene, failed, overruled};
use crate::container::health_check::HealthEvidence;
use crate::container::observation::{ContainerObservation, Status};
use crate::decision::Outcome;
use crate::subject::Incarnation;
use crate::time::{Duration, Moment, seconds};
use alloc::format;

/// Longest wait for a health check to leave `starting` where the grace says less.
const HEALTH_WITHIN: Duration = Duration::from_secs(60);

/// After `/start` was answered, a new incarnation must show within this time.
const START_SHOWS: Duration = Duration::from_secs(2);

/// What is seen of a start that was answered.
pub(super) enum StartSeen {
    /// A new incarnation, since then.
    Runs { since: Moment, life: Incarnation },
    /// What ends the repair.
    Over(Next),
    /// It is being inspected.
    NotYet,
    /// An inspection must tell.
    Unclear,
    /// It has done nothing.
    Nothing,
}

/// Has the start that was answered at `since` led to a new incarnation? `is_new` = what is seen is not the one that ended.
pub(super) fn start_seen(now: Moment, it: &ContainerObservation, since: Moment, is_new: bool) -> StartSeen {
    let status = it.status();
    if is_new {
        match status {
            Status::Running => {
                let since = it.born_at().unwrap_or(now);
                let life = it.incarnation();
                return StartSeen::Runs { since, life };
            }
            Status::Down | Status::Backoff => return StartSeen::Over(ended_again(it)),
            Status::Paused => return StartSeen::Over(overruled("it was paused")),
            Status::Removing => return StartSeen::Over(overruled("it is being removed")),
            Status::Unknown | Status::Created => {}
        }
    }
    if it.is_being_inspected() {
        return StartSeen::NotYet;
    }
    // Where it was started, the inspection was too early.
    let too_early = status == Status::Running && it.born_at().is_some() && now < since + START_SHOWS;
    match it.was_inspected_since(since) && !too_early {
        true => StartSeen::Nothing,
        false => StartSeen::Unclear,
    }
}

/// It ended while it had to stay: by a person, or by itself.
fn ended_again(it: &ContainerObservation) -> Next {
    match it.foreign_stop() {
        Some(why) => Next::End(Outcome::Overruled, why),
        None => Next::End(Outcome::Failed, format!("it ended again ({})", it.exit_code())),
    }
}

/// It must stay up, and be well where it says so.
pub(super) fn verify(now: Moment, scene: &Scene<'_>, since: Moment, life: &Incarnation) -> Next {
    let it = scene.observation;
    match it.status() {
        Status::Running | Status::Unknown => {}
        Status::Paused => return overruled("it was paused"),
        Status::Removing => return overruled("it is being removed"),
        Status::Down | Status::Backoff | Status::Created => return ended_again(it),
    }
    if it.is_current() && it.incarnation() != *life {
        return failed("it was started once more by somebody else");
    }
    // What fails when its grace is over has failed: it need not stay up to prove it.
    let until = match it.health() {
        Some(HealthEvidence::Failing) => since + scene.grace,
        _ => since + scene.verify,
    };
    if now < until {
        return Next::Stay(Some(until));
    }
    if let Some(gap) = scene.gap_until {
        return Next::Stay(Some(gap));
    }
    let patience = since + scene.grace.max(HEALTH_WITHIN);
    let stayed = format!("a new incarnation has stayed up for {}", seconds(now - since));
    match it.health() {
        // An inspection is under way, and is repeated until one has told.
        None => STAY,
        Some(HealthEvidence::NotYet) if now < patience => Next::Stay(Some(patience)),
        Some(HealthEvidence::Failing) => failed("it is unhealthy again"),
        Some(HealthEvidence::Passing) => Next::End(Outcome::Succeeded, format!("{stayed}, healthy")),
        Some(HealthEvidence::CannotRun) => {
            let words = format!("{stayed}; its health check cannot be run");
            Next::End(Outcome::Succeeded, words)
        }
        Some(HealthEvidence::NoCheck | HealthEvidence::NotYet) => Next::End(Outcome::Succeeded, stayed),
    }
}
