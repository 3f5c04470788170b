//! Faults of the way to the engine, for scenarios. Does not know what the machine makes of them.

use crate::scheduler::World;
use std::time::Duration;

/// What may be wrong with the way to the engine.
pub struct ApiFaults<'a>(pub(super) &'a mut World);

impl ApiFaults<'_> {
    /// Subscriptions are taken and never answered.
    pub fn events_hang(&mut self, hang: bool) {
        self.0.hosts[0].api.events_hang = hang;
    }

    /// No call is answered before its deadline.
    pub fn calls_hang(&mut self, hang: bool) {
        self.0.hosts[0].api.keeps_answers = hang;
    }

    /// The connection of every `/start` breaks before its answer; the start goes on.
    pub fn starts_break(&mut self, breaks: bool) {
        self.0.hosts[0].api.breaks_starts = breaks;
    }

    /// So many inspects are not answered in time.
    pub fn late_inspects(&mut self, count: u32) {
        self.0.hosts[0].api.late_inspects = count;
    }

    /// Reading the manual-stop flag takes so many milliseconds.
    pub fn flag_takes(&mut self, millis: u64) {
        self.0.hosts[0].api.flag_takes = Some(Duration::from_millis(millis));
    }
}
