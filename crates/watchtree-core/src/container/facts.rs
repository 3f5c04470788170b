//! What is known of one container: the last look at it, and the events since. No decision is made here.
//!
//! Two sources, one clock: inspect answers and events both carry the engine's time, so that an answer that overtook an
//! event (or the other way) is put right by comparing those times. Events may come twice and may be older than the
//! present life; both are harmless. Should that clock be set back, stamps of before and after it tell nothing of each
//! other: then the order of arrival does. A look that was asked for after an event arrived knows more than the event.

use super::io::{ContainerId, ContainerView, EngineEvent, EngineTime, EventAction, Health, RestartPolicy, RunState};
use crate::subject::{Incarnation, SubjectId};
use crate::time::{Duration, Moment};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

/// Most remembered signals, stops and seen events of one container.
const REMEMBERED_MAX: usize = 16;
/// Signals that end a process politely or not, whatever the container's stop signal is: INT, QUIT, KILL, TERM.
const STOP_SIGNALS: [u32; 4] = [2, 3, 9, 15];
/// An event may be stamped a little later than the end it leads to.
const STAMP_SLACK: Duration = Duration::from_millis(500);

/// A live event stamped this much earlier than what came before it shows that the engine's clock was set back.
const SET_BACK: Duration = Duration::from_secs(2);

/// What the container does now, all sources considered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Unknown,
    Created,
    Running,
    Paused,
    /// The engine waits out its own back-off.
    Backoff,
    Down,
    Removing,
}

/// A signal sent through the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signal {
    pub(crate) at: EngineTime,
    pub(crate) signal: u32,
    /// It belongs to a stop of ours.
    pub(crate) own: bool,
}

/// The engine's own note that a person stopped it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mark {
    #[default]
    NotAsked,
    Asked(Moment),
    Known(Option<bool>),
}

/// The engine's wait before it restarts it by its policy, after the last end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Backoff {
    #[default]
    None,
    /// A look showed it.
    Seen,
    /// It ended without a start; the engine's mark is asked who ended it.
    Ended,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) id: ContainerId,
    pub(crate) name: String,
    pub(crate) subject: Option<SubjectId>,
    pub(crate) view: Option<ContainerView>,
    /// When the look that gave `view` was asked for.
    pub(crate) view_asked: Moment,
    pub(crate) inspecting: Option<Moment>,
    /// It has a new name, and goes to its new subject when the repair under way is over, or that subject is free.
    pub(crate) moves: bool,
    /// Something happened since the look under way was asked for.
    pub(crate) again: bool,
    /// `view` is of the present life (or of the life that ended last).
    pub(crate) life_known: bool,
    pub(crate) first_seen: Moment,
    /// When it was last known to run, by arrival.
    pub(crate) alive_at: Option<Moment>,
    /// When the start event of this life arrived.
    pub(crate) born_at: Option<Moment>,
    /// When its end became known, and whether by its event.
    pub(crate) died_at: Option<Moment>,
    pub(crate) died_by_event: bool,
    pub(crate) last_start: EngineTime,
    pub(crate) last_die: EngineTime,
    /// When those two events arrived.
    pub(crate) start_seen: Moment,
    pub(crate) die_seen: Moment,
    /// A stop signal or stop, and a `die`, that came live and yet are stamped before this life began: the clock was set back.
    pub(crate) odd_stop: Option<(Moment, String)>,
    pub(crate) odd_die: Option<Moment>,
    pub(crate) die_code: i64,
    pub(crate) signals: VecDeque<Signal>,
    /// `stop` events, with `own` as for signals.
    pub(crate) stops: VecDeque<(EngineTime, bool)>,
    pub(crate) health: Health,
    pub(crate) oom: bool,
    pub(crate) mark: Mark,
    pub(crate) backoff: Backoff,
    /// Its operator stop was seen just before the engine itself went: perhaps the engine's own.
    pub(crate) doubt: bool,
    pub(crate) seen: VecDeque<(EngineTime, String)>,
}

/// The word that tells two events of one nanosecond apart; also in the journal.
pub(crate) fn word_of(action: &EventAction) -> String {
    match action {
        EventAction::Create => "create".to_string(),
        EventAction::Start => "start".to_string(),
        EventAction::Die { exit_code } => format!("die:{exit_code}"),
        EventAction::Kill { signal } => format!("kill:{signal}"),
        EventAction::Stop => "stop".to_string(),
        EventAction::Restart => "restart".to_string(),
        EventAction::Oom => "oom".to_string(),
        EventAction::Pause => "pause".to_string(),
        EventAction::Unpause => "unpause".to_string(),
        EventAction::Rename { .. } => "rename".to_string(),
        EventAction::Update => "update".to_string(),
        EventAction::Destroy => "destroy".to_string(),
        EventAction::Health(health) => format!("health:{health:?}"),
    }
}

pub(crate) fn plus(at: EngineTime, by: Duration) -> EngineTime {
    EngineTime(at.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

fn minus(at: EngineTime, by: Duration) -> EngineTime {
    EngineTime(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

fn remember<T>(list: &mut VecDeque<T>, item: T) {
    if REMEMBERED_MAX <= list.len() {
        list.pop_front();
    }
    list.push_back(item);
}

impl Facts {
    pub(crate) fn new(id: ContainerId, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            ..Self::default()
        }
    }

    /// Takes an event; false if it was taken before. `live` = it tells of the present, it is not replayed.
    pub(crate) fn take(&mut self, now: Moment, event: &EngineEvent, live: bool) -> bool {
        let word = word_of(&event.action);
        if self.seen.iter().any(|(at, known)| *at == event.at && *known == word) {
            return false;
        }
        remember(&mut self.seen, (event.at, word));
        if !matches!(event.action, EventAction::Rename { .. }) && self.name.is_empty() {
            self.name.clone_from(&event.name);
        }
        match event.action {
            EventAction::Start if self.last_start < event.at => self.started(now, event.at),
            EventAction::Start if live && plus(event.at, SET_BACK) < self.last_start => {
                self.started_anew(now, event.at)
            }
            EventAction::Die { exit_code } if self.last_die < event.at && self.began() <= event.at => {
                (self.last_die, self.die_code, self.die_seen) = (event.at, exit_code, now);
                if self.status() == Status::Down {
                    self.died_at.get_or_insert(now);
                    self.died_by_event = true;
                }
            }
            EventAction::Die { .. } if live && self.is_odd(event.at) => self.odd_die = Some(now),
            EventAction::Kill { signal } => {
                if live && self.is_odd(event.at) && self.is_stop_signal(signal) {
                    let why = format!("signal {signal} was sent through the engine, whose clock had been set back");
                    self.odd_stop = Some((now, why));
                }
                remember(
                    &mut self.signals,
                    Signal {
                        at: event.at,
                        signal,
                        own: false,
                    },
                );
            }
            EventAction::Stop => {
                if live && self.is_odd(event.at) {
                    let why = "a stop was carried out through the engine, whose clock had been set back".to_string();
                    self.odd_stop.get_or_insert((now, why));
                }
                remember(&mut self.stops, (event.at, false));
            }
            EventAction::Oom if self.began() <= event.at => self.oom = true,
            EventAction::Health(health) if self.began() <= event.at => self.health = health,
            _ => {}
        }
        true
    }

    /// Stamped before the life it came in.
    fn is_odd(&self, at: EngineTime) -> bool {
        self.view.is_some() && plus(at, SET_BACK) < self.began()
    }

    /// Its stamp is of a clock that was set back: those of before tell nothing of this life.
    fn started_anew(&mut self, now: Moment, at: EngineTime) {
        (self.last_start, self.start_seen, self.last_die) = (at, now, EngineTime(0));
        self.signals.clear();
        self.stops.clear();
        self.begin_life();
        self.life_known = false;
        (self.born_at, self.alive_at) = (Some(now), Some(now));
    }

    fn started(&mut self, now: Moment, at: EngineTime) {
        (self.last_start, self.start_seen) = (at, now);
        let view_is_newer = self.view.as_ref().is_some_and(|view| at <= view.started_at);
        if view_is_newer || at <= self.last_die {
            return;
        }
        self.begin_life();
        self.life_known = false;
        self.born_at = Some(now);
        self.alive_at = Some(now);
    }

    fn begin_life(&mut self) {
        self.born_at = None;
        self.died_at = None;
        self.died_by_event = false;
        self.health = Health::None;
        self.oom = false;
        self.mark = Mark::NotAsked;
        self.backoff = Backoff::None;
        self.doubt = false;
        self.odd_stop = None;
        self.odd_die = None;
    }

    /// Drops stamps of events that this look, which is later than they, shows to be of a clock that was set back.
    fn drop_future(&mut self, asked: Moment, view: &ContainerView) {
        // A later life with an earlier beginning.
        let set_back = |old: &ContainerView| plus(view.started_at, SET_BACK) < old.started_at;
        if EngineTime(0) < view.started_at && self.view.as_ref().is_some_and(set_back) {
            self.signals.clear();
            self.stops.clear();
        }
        if self.start_seen < asked && plus(view.started_at, SET_BACK) < self.last_start {
            self.last_start = EngineTime(0);
        }
        if matches!(view.run, RunState::Running | RunState::Paused)
            && self.die_seen < asked
            && plus(view.started_at, SET_BACK) < self.last_die
        {
            self.last_die = EngineTime(0);
        }
    }

    /// Takes the answer of a look that was asked for at `asked`. Returns true if it shows another life than before.
    pub(crate) fn absorb(&mut self, now: Moment, asked: Moment, view: ContainerView) -> bool {
        let other_life = self
            .view
            .as_ref()
            .is_none_or(|old| old.started_at_text != view.started_at_text);
        // A look asked for before the start event may still show the life before it.
        let outdated = view.started_at < self.last_start && self.born_at.is_some_and(|born| asked < born);
        if other_life && !outdated {
            let (born, event) = (self.born_at, (self.died_at, self.died_by_event));
            let health = self.health;
            self.begin_life();
            // The start event of this life came before the look: what it told stays.
            if born.is_some() && !self.life_known {
                self.born_at = born;
                (self.died_at, self.died_by_event) = event;
                self.health = health;
            }
        }
        self.drop_future(asked, &view);
        self.life_known = !outdated;
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
                    self.died_at = None;
                    self.died_by_event = false;
                    // It lives all the same: that end was of the life before.
                    if self.odd_die.take_if(|died| *died < asked).is_some() {
                        self.odd_stop = None;
                    }
                }
                if self.status() == Status::Backoff {
                    self.backoff = Backoff::Seen;
                }
            }
            Status::Down => {
                self.died_at.get_or_insert(self.odd_die.unwrap_or(now));
                // Its event may have come before we knew of any life it could end.
                let event = EngineTime(0) < self.last_die && self.view_began() <= self.last_die;
                self.died_by_event |= event || self.odd_die.is_some();
            }
            _ => {}
        }
        other_life && !outdated
    }

    pub(crate) fn status(&self) -> Status {
        let Some(view) = &self.view else { return Status::Unknown };
        let began = self.began();
        match view.run {
            RunState::Removing => Status::Removing,
            RunState::Restarting => {
                // Only a look made after the end tells of the engine's back-off for that end.
                let stale = self.died_at.is_some_and(|died| self.view_asked < died)
                    || (self.last_die < self.last_start && self.born_at.is_some_and(|born| self.view_asked < born));
                match (stale, began < self.last_die) {
                    (false, _) => Status::Backoff,
                    (true, true) => Status::Down,
                    (true, false) => Status::Running,
                }
            }
            RunState::Running | RunState::Paused if began < self.last_die => Status::Down,
            RunState::Running => Status::Running,
            RunState::Paused => Status::Paused,
            RunState::Exited | RunState::Dead => {
                let is_older = view.finished_at.max(self.last_die).max(view.started_at) < self.last_start;
                if is_older && self.view_asked <= self.start_seen {
                    Status::Running
                } else {
                    Status::Down
                }
            }
            RunState::Created if self.last_die < self.last_start => Status::Running,
            RunState::Created if EngineTime(0) < self.last_die => Status::Down,
            RunState::Created => Status::Created,
        }
    }

    /// When the present or last life began, on the engine's clock.
    pub(crate) fn began(&self) -> EngineTime {
        let view = self.view.as_ref().map_or(EngineTime(0), |view| view.started_at);
        view.max(self.last_start)
    }

    /// When it ended.
    pub(crate) fn ended(&self) -> EngineTime {
        let finished = self.view.as_ref().map_or(EngineTime(0), |view| view.finished_at);
        self.last_die.max(if self.began() <= finished {
            finished
        } else {
            EngineTime(0)
        })
    }

    pub(crate) fn exit_code(&self) -> i64 {
        match &self.view {
            Some(view) if self.last_die <= view.finished_at && view.run != RunState::Running => view.exit_code,
            _ if EngineTime(0) < self.last_die => self.die_code,
            Some(view) => view.exit_code,
            None => 0,
        }
    }

    /// Will the engine restart it by its own policy?
    pub(crate) fn engine_restarts(&self) -> bool {
        self.view.as_ref().is_some_and(|view| match view.restart_policy {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { max } => max == 0 || view.restart_count < u64::from(max),
        })
    }

    /// The present (or last) life; empty if it never lived or is not known.
    pub(crate) fn incarnation(&self) -> Incarnation {
        match &self.view {
            Some(view) if EngineTime(0) < view.started_at => Incarnation::container(&self.id, &view.started_at_text),
            _ => Incarnation::default(),
        }
    }

    /// True for a signal that means "end": its own stop signal, INT, QUIT, KILL or TERM.
    pub(crate) fn is_stop_signal(&self, signal: u32) -> bool {
        let own = self.view.as_ref().map_or(15, |view| view.stop_signal);
        signal == own || STOP_SIGNALS.contains(&signal)
    }

    /// How long before its end a stop signal may have caused it.
    pub(crate) fn stop_window(&self) -> Duration {
        let timeout = self.view.as_ref().and_then(|view| view.stop_timeout);
        timeout.unwrap_or(Duration::from_secs(10)) + Duration::from_secs(2)
    }

    /// Did somebody else stop the life that has ended? In words.
    pub(crate) fn foreign_stop(&self) -> Option<String> {
        // Where the last life's beginning is known only by its start event, StartedAt is a little earlier: signals in
        // between belong to it just the same, and none can be older than the end before it.
        let (began, ended) = (self.view_began(), self.ended());
        let window = self.stop_window();
        let signal = self.signals.iter().rev().find(|it| {
            !it.own
                && self.is_stop_signal(it.signal)
                && began <= it.at
                && minus(ended, window) <= it.at
                && it.at <= plus(ended, STAMP_SLACK)
        });
        if let Some(it) = signal {
            let before = Duration::from_nanos(ended.0.saturating_sub(it.at.0));
            return Some(format!(
                "signal {} was sent through the engine {} before it ended",
                it.signal,
                secs(before)
            ));
        }
        // However long after the end: the engine carries out a stop of what has ended only to end its own back-off.
        let stop = self
            .stops
            .iter()
            .rev()
            .find(|(at, own)| !own && began <= *at && minus(ended, window) <= *at);
        stop.map(|_| "a stop was carried out through the engine".to_string())
    }

    /// The engine's clock was set back in this life: did a stop arrive that may have ended it? Stamps cannot tell.
    pub(crate) fn odd_intent(&self, died_at: Moment) -> Option<String> {
        let stop = self
            .odd_stop
            .as_ref()
            .filter(|(at, _)| died_at <= *at + self.stop_window());
        let before = || {
            let why = "a stop signal was sent through the engine before its clock was set back";
            (self.odd_die.is_some() && self.has_foreign_signal()).then(|| why.to_string())
        };
        stop.map(|(_, why)| why.clone()).or_else(before)
    }

    /// A stop signal in this life that is too old to have caused an end by itself, or that has not led to one yet.
    pub(crate) fn has_foreign_signal(&self) -> bool {
        let began = self.view_began();
        self.signals
            .iter()
            .any(|it| !it.own && began <= it.at && self.is_stop_signal(it.signal))
    }

    /// A signal of another meaning than "end" was sent in this life.
    pub(crate) fn has_other_signal(&self) -> bool {
        let began = self.view_began();
        self.signals
            .iter()
            .any(|it| began <= it.at && !self.is_stop_signal(it.signal))
    }

    fn view_began(&self) -> EngineTime {
        match &self.view {
            Some(view) if self.life_known => view.started_at,
            _ => self.began(),
        }
    }

    /// `Some(a name)` while compose has it under a temporary name: `<12 hex digits>_NAME`.
    pub(crate) fn is_temporary_name(name: &str) -> bool {
        let bytes = name.as_bytes();
        12 < bytes.len() && bytes[12] == b'_' && bytes[..12].iter().all(u8::is_ascii_hexdigit)
    }
}

/// `0.12 s`
pub(crate) fn secs(time: Duration) -> String {
    let millis = time.as_millis();
    if millis < 10_000 {
        format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
    } else {
        format!("{} s", millis / 1000)
    }
}
