//! The engine's event stream as one piece: can it be trusted, which life of the engine does it belong to, and when did what it
//! tells happen. Knows no container.

use crate::container::continuity::{EventContinuity, EventCursor};
use crate::container::engine_lives::EngineLives;
use crate::container::io::{EngineEvent, EngineLife, EngineTime, Record};
use crate::container::settings::ContainerSettings;
use crate::id::BootId;
use crate::time::{Duration, Moment};
use alloc::vec::Vec;

/// See the module's text.
pub(super) struct EventStream {
    pub(super) continuity: EventContinuity,
    pub(super) lives: EngineLives,
    /// The engine's clock at the start of ours.
    zero: EngineTime,
    /// A new life of the engine: since when it answers, and the one before did. Until the stream counts as open.
    new_life: Option<(EngineTime, Option<EngineTime>)>,
}

impl EventStream {
    pub(super) fn new(settings: &ContainerSettings, last_event: Option<EventCursor>, now: Moment) -> Self {
        Self {
            continuity: EventContinuity::new(now, last_event, settings.settle),
            lives: EngineLives::new(settings.identity.boot_id, Vec::new()),
            zero: settings.engine_time(Moment::ZERO),
            new_life: None,
        }
    }

    /// Takes over the engine's lives that the journal held.
    pub(super) fn restore_lives(&mut self, boot_id: BootId, lives: Vec<EngineLife>) {
        self.lives = EngineLives::new(boot_id, lives);
    }

    /// That moment on the engine's clock, as far as it was not set since our start.
    pub(super) fn stamp(&self, now: Moment) -> EngineTime {
        self.zero.plus(now.since(Moment::ZERO))
    }

    /// When it happened, as far as the stamp of one that was replayed tells.
    pub(super) fn happened(&self, now: Moment, event: &EngineEvent) -> Moment {
        if self.continuity.is_live(now) {
            return now;
        }
        let age = Duration::from_nanos(self.stamp(now).0.saturating_sub(event.at.0));
        now.saturating_sub(age)
    }

    /// It is open, and nothing was lost.
    pub(super) fn is_whole(&self) -> bool {
        self.continuity.is_open() && self.continuity.gap_until().is_none()
    }

    /// It is open; `began` = since when the engine answers, as it says; `first` = the earliest stop that it has not answered.
    /// True for a new life of it.
    pub(super) fn engine_answers(&mut self, now: Moment, began: Option<EngineTime>, first: Option<EngineTime>) -> bool {
        let (stamp, was_refused) = (self.stamp(now), self.continuity.was_refused());
        let before = self.lives.newest();
        let is_new = match began {
            _ if !self.continuity.is_awaited() => false,
            Some(began) => self.lives.opened(began, first),
            None => self.lives.opened_untold(stamp, was_refused, first),
        };
        self.new_life = began.filter(|_| is_new).map(|began| (began, before));
        is_new
    }

    /// It counts as open from here on. True if events may have been lost before it.
    pub(super) fn opened(&mut self, now: Moment) -> bool {
        let may_have_lost = self.continuity.opened(now);
        if let Some((began, before)) = self.new_life.take() {
            self.continuity.is_of_new_life(now, began, before);
        }
        may_have_lost
    }

    /// It has `ended`, or this process did not look for a while. True if a new one is to be opened at once.
    pub(super) fn broke(&mut self, now: Moment, ended: bool) -> bool {
        if !ended {
            self.lives.stood_still();
        }
        self.continuity.broke(now, ended)
    }

    /// It has ended.
    pub(super) fn ended(&mut self, now: Moment) {
        let stamp = self.stamp(now);
        self.lives.stream_ended(stamp);
    }

    /// The gap is over, and all that the engine remembered was taken in: the life that it has begun, if it has. `ends` = the
    /// ends of the containers that are down.
    pub(super) fn begin_life(&mut self, now: Moment, ends: impl Iterator<Item = EngineTime>) -> Option<Record> {
        let stamp = self.stamp(now);
        self.lives.begin(stamp, ends).map(Record::EngineBegan)
    }

    /// The newest event taken, to be written down. None inside a gap: the cursor says that everything before it was taken.
    pub(super) fn cursor_record(&self) -> Option<Record> {
        let (at, id, action) = self.continuity.cursor().cloned()?;
        Some(Record::LastEvent { at, id, action })
    }

    /// That event is the newest taken, and no gap is open.
    pub(super) fn is_newest(&self, cursor: &EventCursor) -> bool {
        self.continuity.cursor() == Some(cursor) && self.continuity.gap_until().is_none()
    }

    /// Where to subscribe from, if repairs need the events since then. Where no event was ever taken, from the newest life of the
    /// engine that is known: should it have begun another, that one tells of its start.
    pub(super) fn since(&self, needed: impl Iterator<Item = EngineTime>) -> Option<EngineTime> {
        let since = self.continuity.since(needed.filter(|at| at.0 != 0).min());
        since.or(self.lives.newest())
    }
}
