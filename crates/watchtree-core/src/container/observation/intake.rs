//! Takes in what comes: events, and the answers of inspections.

use super::signals::push_bounded;
use super::{ContainerObservation, EngineBackoff, ManualStopFlag, SeenEnd, Status};
use crate::container::io::{ContainerView, EngineEvent, EngineTime, EventAction, Health, RunState};
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::ToString;

/// A live event stamped this much earlier than what came before it shows that the engine's clock was set back.
const SET_BACK: Duration = Duration::from_secs(2);

impl ContainerObservation {
    /// Takes an event; false if it was taken before. `live` = it tells of the present, it is not replayed.
    pub(crate) fn take(&mut self, now: Moment, event: &EngineEvent, live: bool) -> bool {
        let word = event.action.word();
        if self.seen.iter().any(|(at, known)| *at == event.at && *known == word) {
            return false;
        }
        push_bounded(&mut self.seen, (event.at, word));
        if !matches!(event.action, EventAction::Rename { .. }) && self.name.is_empty() {
            self.name.clone_from(&event.name);
        }
        match event.action {
            EventAction::Start if self.last_start < event.at => self.started(now, event.at),
            EventAction::Start if live && event.at.plus(SET_BACK) < self.last_start => self.started_anew(now, event.at),
            EventAction::Die { exit_code } if self.last_die < event.at && self.began() <= event.at => {
                (self.last_die, self.die_code, self.die_seen) = (event.at, exit_code, now);
                if self.status() == Status::Down {
                    let at = self.ended_at(now);
                    self.end = Some(SeenEnd { at, by_event: true });
                }
            }
            EventAction::Die { .. } if live && self.is_odd(event.at) => self.odd_die = Some(now),
            EventAction::Kill { signal } => {
                if live && self.is_odd(event.at) && self.is_stop_signal(signal) {
                    let why = format!("signal {signal} was sent through the engine, whose clock had been set back");
                    self.odd_stop = Some((now, why));
                }
                self.signals.record_signal(event.at, signal);
            }
            EventAction::Stop => {
                if live && self.is_odd(event.at) {
                    let why = "a stop was carried out through the engine, whose clock had been set back".to_string();
                    self.odd_stop.get_or_insert((now, why));
                }
                self.signals.record_stop(event.at);
            }
            EventAction::Pause if live && self.began() <= event.at => self.runs_as(RunState::Running, RunState::Paused),
            EventAction::Unpause if live && self.began() <= event.at => {
                self.runs_as(RunState::Paused, RunState::Running)
            }
            EventAction::Oom if self.began() <= event.at => self.oom = Some(event.at),
            EventAction::Health(health) if self.began() <= event.at => self.health = health,
            _ => {}
        }
        true
    }

    /// A person's pause counts from its event on, however long the next inspection takes. A replayed one may be over by now.
    fn runs_as(&mut self, before: RunState, after: RunState) {
        if let Some(view) = self.view.as_mut().filter(|view| view.run == before) {
            view.run = after;
        }
    }

    /// Stamped before the life it came in.
    fn is_odd(&self, at: EngineTime) -> bool {
        self.view.is_some() && at.plus(SET_BACK) < self.began()
    }

    /// Its stamp is of a clock that was set back: those of before tell nothing of this life.
    fn started_anew(&mut self, now: Moment, at: EngineTime) {
        (self.last_start, self.start_seen, self.last_die) = (at, now, EngineTime(0));
        self.signals.clear();
        self.begin_incarnation();
        self.is_current = false;
        (self.born_at, self.alive_at) = (Some(now), Some(now));
    }

    fn started(&mut self, now: Moment, at: EngineTime) {
        (self.last_start, self.start_seen) = (at, now);
        let view_is_newer = self.view.as_ref().is_some_and(|view| at <= view.started_at);
        if view_is_newer || at <= self.last_die {
            return;
        }
        self.begin_incarnation();
        self.is_current = false;
        self.born_at = Some(now);
        self.alive_at = Some(now);
    }

    fn begin_incarnation(&mut self) {
        self.born_at = None;
        self.end = None;
        self.health = Health::None;
        self.oom = None;
        self.flag = ManualStopFlag::NotAsked;
        self.backoff = EngineBackoff::None;
        self.uncertain = false;
        self.odd_stop = None;
        self.odd_die = None;
    }

    /// Drops stamps of events that this inspection, which is later than they, shows to be of a clock that was set back.
    fn drop_future(&mut self, asked: Moment, view: &ContainerView) {
        // A later life with an earlier beginning.
        let set_back = |old: &ContainerView| view.started_at.plus(SET_BACK) < old.started_at;
        if EngineTime(0) < view.started_at && self.view.as_ref().is_some_and(set_back) {
            self.signals.clear();
        }
        if self.start_seen < asked && view.started_at.plus(SET_BACK) < self.last_start {
            self.last_start = EngineTime(0);
        }
        if matches!(view.run, RunState::Running | RunState::Paused)
            && self.die_seen < asked
            && view.started_at.plus(SET_BACK) < self.last_die
        {
            self.last_die = EngineTime(0);
        }
    }

    /// No inspection came of the request under way.
    pub(crate) fn inspection_failed(&mut self) {
        self.inspection.end();
    }

    /// What an inspection under way will show is perhaps outdated.
    pub(crate) fn outdate_inspection(&mut self) {
        self.inspection.outdate();
    }

    /// Takes the answer of the inspection under way.
    pub(crate) fn absorb(&mut self, now: Moment, view: ContainerView) {
        let asked = self.inspection.end().unwrap_or(now);
        let is_other = self
            .view
            .as_ref()
            .is_none_or(|old| old.started_at_text != view.started_at_text);
        // An inspection asked for before the start event may still show the life before it.
        let outdated = view.started_at < self.last_start && self.born_at.is_some_and(|born| asked < born);
        if is_other && !outdated {
            let (born, end) = (self.born_at, self.end);
            let health = self.health;
            self.begin_incarnation();
            // The start event of this life came before the inspection: what it told stays.
            if born.is_some() && !self.is_current {
                self.born_at = born;
                self.end = end;
                self.health = health;
            }
        }
        self.drop_future(asked, &view);
        self.is_current = !outdated;
        self.name.clone_from(&view.name);
        self.view_asked = asked;
        self.health = if matches!(view.run, RunState::Running | RunState::Paused) {
            view.health
        } else {
            Health::None
        };
        self.view = Some(view);
        match self.status() {
            Status::Running | Status::Paused | Status::Backoff => {
                self.alive_at = Some(asked);
                if self.status() == Status::Running {
                    self.end = None;
                    // It lives all the same: that end was of the life before.
                    if self.odd_die.take_if(|died| *died < asked).is_some() {
                        self.odd_stop = None;
                    }
                }
                if self.status() == Status::Backoff {
                    self.backoff = EngineBackoff::Seen;
                }
            }
            Status::Down => {
                // Its event may have come before we knew of any incarnation it could end.
                let event = EngineTime(0) < self.last_die && self.view_began() <= self.last_die;
                let first = SeenEnd {
                    at: self.odd_die.unwrap_or(now),
                    by_event: false,
                };
                let end = self.end.get_or_insert(first);
                end.by_event |= event || self.odd_die.is_some();
            }
            Status::Unknown | Status::Created | Status::Removing => {}
        }
    }
}
