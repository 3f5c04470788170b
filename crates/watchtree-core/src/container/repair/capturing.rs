//! What a restart destroys is captured first, and holds the repair up for [`WITHIN`] at most: then the stop is posted, whatever has come.
//! Of what has ended by itself only the log is left, which a start does not touch: it is captured after that, and delays nothing.
//! Does not know what is captured, nor what is told of it.

use super::step::{Act, Next, STAY, Scene, failed, overruled};
use crate::container::capture::CaptureOrder;
use crate::container::health_check::HealthEvidence;
use crate::container::io::EngineTime;
use crate::container::observation::{ContainerObservation, Status};
use crate::time::{Duration, Moment};
use alloc::vec::Vec;

/// A repair waits for its capture this long at most.
const WITHIN: Duration = Duration::from_millis(300);
/// What was known when it began is old news by then: this process stood still, or its events had a gap.
const IS_OLD_AFTER: Duration = Duration::from_secs(1);

/// What is left of a container by which it is captured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Remains {
    /// Its init; 0 = none.
    pid: u32,
    began: EngineTime,
    /// 0 = it runs.
    ended: EngineTime,
    /// It was shown to be well when the repair began: that it is so now is no news.
    was_well: bool,
}

impl Remains {
    /// Of a container as it is seen now.
    pub(crate) fn of(it: &ContainerObservation) -> Self {
        let runs = it.status() == Status::Running;
        Self {
            pid: it.view().filter(|_| runs).map_or(0, |view| view.pid),
            began: it.began(),
            ended: if runs { EngineTime(0) } else { it.ended() },
            was_well: it.health() == Some(HealthEvidence::Passing),
        }
    }
}

/// See the module's text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capturing {
    remains: Remains,
    /// When it was asked for, the last time.
    since: Moment,
    /// The same until it has come.
    asked: Option<Moment>,
}

impl Capturing {
    /// By this.
    pub(super) fn of(remains: Remains) -> Self {
        Self {
            remains,
            ..Self::default()
        }
    }

    /// What was asked for then has come. False if it was not asked for, or has come before.
    pub(super) fn has_come(&mut self, asked: Moment) -> bool {
        self.asked.take_if(|it| *it == asked).is_some()
    }

    pub(super) fn order(&mut self, now: Moment) -> Act {
        let Remains { pid, began, ended, .. } = self.remains;
        (self.since, self.asked) = (now, Some(now));
        Act::Capture(CaptureOrder {
            asked: now,
            pid,
            logs_since: began,
            logs_until: ended,
            within: WITHIN,
        })
    }

    /// After the start of what had ended by itself.
    pub(super) fn after_start(&mut self, now: Moment, stops_first: bool) -> Option<Act> {
        let is_wanted = !stops_first && self.remains != Remains::default();
        is_wanted.then(|| self.order(now))
    }

    /// What holds the stop back, or makes it needless; nothing when what was captured has come, or its time is over. `is_new` = another
    /// incarnation is seen.
    pub(super) fn hold(&self, now: Moment, scene: &Scene<'_>, is_new: bool, acts: &mut Vec<Act>) -> Option<Next> {
        let (it, until) = (scene.observation, self.since + WITHIN);
        if is_new {
            return Some(overruled("somebody else started it anew before our stop"));
        }
        if let Some(end) = self.is_obsolete(it) {
            return Some(end);
        }
        if scene.is_leaving {
            let why = "this watchdog was asked to stop before our stop was posted: nothing was done";
            return Some(failed(why));
        }
        if self.asked.is_some() && now < until {
            return Some(Next::Stay(Some(until)));
        }
        // Only an unbroken stream can show a person's stop that came meanwhile.
        if let Some(gap) = scene.gap_until {
            return Some(Next::Stay(Some(gap)));
        }
        if self.since + IS_OLD_AFTER < now && !it.was_inspected_since(until) {
            acts.push(Act::Inspect);
            return Some(STAY);
        }
        None
    }

    /// What has happened meanwhile that leaves nothing to stop.
    fn is_obsolete(&self, it: &ContainerObservation) -> Option<Next> {
        match it.status() {
            Status::Running | Status::Unknown => {}
            Status::Paused => return Some(overruled("it was paused")),
            Status::Removing => return Some(overruled("it is being removed")),
            Status::Down | Status::Backoff | Status::Created => {
                return Some(failed("it had ended before our stop came"));
            }
        }
        let is_well = it.health() == Some(HealthEvidence::Passing) && !self.remains.was_well;
        is_well.then(|| failed("it became well before our stop came"))
    }
}
