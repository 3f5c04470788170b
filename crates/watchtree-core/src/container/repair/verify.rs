//! The last step of a repair: the new incarnation must stay. Pure; knows nothing of how it came to be.

use super::step::{Next, Scene, failed, overruled};
use crate::container::io::Health;
use crate::container::observation::{ContainerObservation, Status};
use crate::decision::Outcome;
use crate::subject::Incarnation;
use crate::time::{Duration, Moment, seconds};
use alloc::format;

/// Longest wait for a health check to leave `starting` where the grace says less.
const HEALTH_WITHIN: Duration = Duration::from_secs(60);

/// It ended while it had to stay: by a person, or by itself.
pub(super) fn ended_again(it: &ContainerObservation) -> Next {
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
    let until = since + scene.verify;
    if now < until {
        return Next::Stay(Some(until));
    }
    if let Some(gap) = scene.gap_until {
        return Next::Stay(Some(gap));
    }
    let patience = since + scene.grace.max(HEALTH_WITHIN);
    let stayed = format!("a new incarnation has stayed up for {}", seconds(now - since));
    match it.health() {
        Health::Starting if now < patience => Next::Stay(Some(patience)),
        Health::Unhealthy if now < since + scene.grace => Next::Stay(Some(since + scene.grace)),
        Health::Unhealthy => failed("it is unhealthy again"),
        Health::Healthy => Next::End(Outcome::Succeeded, format!("{stayed}, healthy")),
        Health::None | Health::Starting => Next::End(Outcome::Succeeded, stayed),
    }
}
