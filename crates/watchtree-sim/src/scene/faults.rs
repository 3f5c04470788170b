//! Faults of the way to the engine, and of the disk, for scenarios. Does not know what the machine makes of them.

use crate::scheduler::{CaptureFault, World, api, journal};
use std::time::Duration;

/// What may be wrong with the way to the engine.
pub struct ApiFaults<'a>(pub(super) &'a mut World);

impl ApiFaults<'_> {
    /// The stream stays open, but nothing comes through it any more.
    pub fn deafen_stream(&mut self) {
        api::deafen_stream(self.0, 0);
    }

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

    /// The connection of every `/stop` breaks before its answer; the stop goes on.
    pub fn stops_break(&mut self, breaks: bool) {
        self.0.hosts[0].api.breaks_stops = breaks;
    }

    /// A filter before the socket lets no call through that changes something.
    pub fn posts_forbidden(&mut self, forbidden: bool) {
        self.0.hosts[0].api.forbids_posts = forbidden;
    }

    /// So many inspects are not answered in time.
    pub fn late_inspects(&mut self, count: u32) {
        self.0.hosts[0].api.late_inspects = count;
    }

    /// Nothing tells how busy the machine is.
    pub fn hide_load(&mut self) {
        self.0.hosts[0].api.hides_load = true;
    }

    /// Reading the manual-stop flag takes so many milliseconds.
    pub fn flag_takes(&mut self, millis: u64) {
        self.0.hosts[0].api.flag_takes = Some(Duration::from_millis(millis));
    }

    /// The list takes so many milliseconds.
    pub fn list_takes(&mut self, millis: u64) {
        self.0.hosts[0].api.list_takes = Some(Duration::from_millis(millis));
    }

    /// No probe can be run, for that reason, or each can.
    pub fn probes_fail(&mut self, words: Option<String>) {
        self.0.hosts[0].api.probes_fail = words;
    }

    /// A planted defect: a probe that cannot be run is told as one that failed.
    pub fn invent_failures(&mut self) {
        self.0.hosts[0].api.invents_failures = true;
    }

    /// Captures come after so many milliseconds, or never.
    pub fn captures_come(&mut self, after_millis: Option<u64>) {
        let after = after_millis.map(Duration::from_millis);
        self.0.hosts[0].api.captures = after.map_or(CaptureFault::Never, CaptureFault::Late);
    }

    /// The watchdogs cannot see the processes of containers that start from here on.
    pub fn hides_processes(&mut self, hides: bool) {
        self.0.hosts[0].api.hides_processes = hides;
    }
}

/// What may happen to the disk under the journal.
pub struct DiskFaults<'a>(pub(super) &'a mut World);

impl DiskFaults<'_> {
    /// While no watchdog lives, a record of its journal is damaged: the newest is number 1.
    pub fn loses(&mut self, newest: usize) {
        self.0.hosts[0].disk.damage(newest);
    }

    /// A person has looked at what was damaged.
    pub fn damage_is_seen(&mut self) {
        journal::damage_is_seen(self.0, 0);
    }
}
