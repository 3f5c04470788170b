//! A machine on which no check ends in time: which stops of containers that are well may be forgiven there. Nobody can tell the
//! first that turns ill from one that hangs, and canaries are meant; a wave is not.

use watchtree_core::time::{Duration, Moment};

/// Before that nothing tells of it: checks that fail sooner than shares of seconds are known are nobody's.
const KNOWN_AFTER: Duration = Duration::from_secs(5);
/// Canaries are further apart.
const APART: Duration = Duration::from_secs(25);
/// The checks tell so late that it is over, and a stop may be on its way.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// See the top of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct Overload {
    since: Moment,
    until: Option<Moment>,
    stopped: Option<Moment>,
    /// No check can be run either until then: that a canary is well cannot be told.
    blind_until: Moment,
}

impl Overload {
    /// The machine is overloaded until then.
    pub(super) fn begins(&mut self, now: Moment, until: Moment) {
        if self.until.is_none_or(|until| until < now) {
            self.since = now;
        }
        self.until = self.until.max(Some(until));
    }

    /// No check can be run until then.
    pub(super) fn is_blind(&mut self, until: Moment) {
        self.blind_until = self.blind_until.max(until);
    }

    /// One that is well is stopped: the rule that this breaks, if it does. `asked` = a person asked for all of them to be tried now.
    pub(super) fn judge(&mut self, now: Moment, asked: bool) -> Option<&'static str> {
        if self.until.is_none_or(|until| until + TOLD_WITHIN <= now) {
            return Some("healthy_left_alone");
        }
        let is_wave = self.stopped.is_some_and(|stopped| now.since(stopped) < APART);
        self.stopped = Some(now);
        let excused = asked || now < self.since + KNOWN_AFTER || now < self.blind_until;
        (is_wave && !excused).then_some("no_wave")
    }
}
