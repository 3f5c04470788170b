//! What is known of one container: the last inspection of it, and the events since. No decision is made here.
//!
//! Two sources, one clock: inspection answers and events both carry the engine's time, so that an answer that overtook an
//! event (or the other way) is put right by comparing those times. Events may come twice and may be older than the
//! present incarnation; both are harmless. Should that clock be set back, stamps of before and after it tell nothing of
//! each other: then the order of arrival does. An inspection that was asked for after an event arrived knows more than
//! the event. Does not know its subject, nor what follows from what it knows.

mod asked;
mod intake;
mod signals;
#[cfg(test)]
mod tests;

pub(crate) use asked::{FLAG_WITHIN, ManualStopFlag};
pub(crate) use signals::SignalHistory;

use super::io::{ContainerId, ContainerView, EngineTime, Health, RestartPolicy, RunState};

use crate::subject::Incarnation;
use crate::time::{Duration, Moment, seconds};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use asked::Inspection;

/// Signals that end a process politely or not, whatever the container's stop signal is: INT, QUIT, KILL, TERM.
const STOP_SIGNALS: [u32; 4] = [2, 3, 9, 15];
/// Exit code of a process that SIGKILL ended, by whoever sent it: the kernel too where memory ran out.
const EXIT_BY_SIGKILL: i64 = 137;
/// The engine says that memory ran out before the end that comes of it (seen: 40 to 150 ms). Without that event its mark must
/// do, which some engines set for a child's end too.
const OUT_OF_MEMORY_BEFORE_END: Duration = Duration::from_secs(3);
/// An event may be stamped a little later than the end it leads to.
const STAMP_SLACK: Duration = Duration::from_millis(500);
/// The signal that ends a container which names no other.
const STOP_SIGNAL_DEFAULT: u32 = 15;

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

/// The engine's wait before it restarts it by its policy, after the last end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum EngineBackoff {
    #[default]
    None,
    /// An inspection showed it.
    Seen,
    /// It ended without a start; the manual-stop flag tells who ended it.
    Ended,
}

/// An end as it became known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SeenEnd {
    /// When it became known.
    pub(crate) at: Moment,
    /// By its event, not only by an inspection.
    pub(crate) by_event: bool,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerObservation {
    id: ContainerId,
    name: String,
    view: Option<ContainerView>,
    /// When the inspection that gave `view` was asked for.
    view_asked: Moment,
    inspection: Inspection,
    /// `view` is of the present incarnation (or of the one that ended last).
    is_current: bool,
    first_seen: Moment,
    /// When it was last known to run, by arrival.
    alive_at: Option<Moment>,
    /// When the start event of this incarnation arrived.
    born_at: Option<Moment>,
    end: Option<SeenEnd>,
    last_start: EngineTime,
    last_die: EngineTime,
    /// When those two events arrived.
    start_seen: Moment,
    die_seen: Moment,
    /// A stop signal or stop, and a `die`, that came live and yet are stamped before this incarnation began: the engine's
    /// clock was set back.
    odd_stop: Option<(Moment, String)>,
    odd_die: Option<Moment>,
    die_code: i64,
    signals: SignalHistory,
    health: Health,
    /// When memory ran out in this incarnation, of the container or of a child.
    oom: Option<EngineTime>,
    flag: ManualStopFlag,
    backoff: EngineBackoff,
    uncertain: bool,
    seen: VecDeque<(EngineTime, String)>,
}

impl ContainerObservation {
    pub(crate) fn new(id: ContainerId, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            ..Self::default()
        }
    }

    /// One that the journal remembers, with the newest stop signal of somebody else.
    pub(crate) fn remembered(id: ContainerId, now: Moment, signal: Option<(EngineTime, u32)>) -> Self {
        let mut it = Self::new(id, now);
        if let Some((at, signal)) = signal {
            it.signals.record_signal(at, signal);
        }
        it
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The last inspection.
    pub(crate) fn view(&self) -> Option<&ContainerView> {
        self.view.as_ref()
    }

    /// The last inspection is of the present incarnation (or of the one that ended last).
    pub(crate) fn is_current(&self) -> bool {
        self.is_current
    }

    /// True if the last inspection was asked for at that moment or later.
    pub(crate) fn was_inspected_since(&self, at: Moment) -> bool {
        at <= self.view_asked
    }

    /// True for one that was first heard of before that.
    pub(crate) fn is_older_than(&self, at: Moment) -> bool {
        self.first_seen < at
    }

    /// Wishes for an inspection. True if a request is to be sent now: one at a time.
    pub(crate) fn begin_inspection(&mut self, now: Moment) -> bool {
        self.inspection.begin(now)
    }

    pub(crate) fn is_being_inspected(&self) -> bool {
        self.inspection.is_under_way()
    }

    /// The inspection that was just answered is not enough.
    pub(crate) fn needs_inspection(&self) -> bool {
        self.inspection.is_wanted_again() || !self.is_current
    }

    /// When it was last known to run, by arrival.
    pub(crate) fn alive_at(&self) -> Option<Moment> {
        self.alive_at
    }

    /// A list shows it running.
    pub(crate) fn saw_alive(&mut self, now: Moment) {
        self.alive_at = self.alive_at.max(Some(now));
    }

    /// When the start event of this incarnation arrived.
    pub(crate) fn born_at(&self) -> Option<Moment> {
        self.born_at
    }

    /// The end of the last incarnation, as it became known.
    pub(crate) fn end(&self) -> Option<SeenEnd> {
        self.end
    }

    /// When its end became known; `now` if that is only now.
    pub(crate) fn ended_at(&self, now: Moment) -> Moment {
        self.end.map_or(now, |end| end.at)
    }

    pub(crate) fn ended_by_event(&self) -> bool {
        self.end.is_some_and(|end| end.by_event)
    }

    /// Notes an end that no event and no inspection has dated.
    pub(crate) fn date_end(&mut self, now: Moment) {
        self.end.get_or_insert(SeenEnd {
            at: now,
            by_event: false,
        });
    }

    pub(crate) fn health(&self) -> Health {
        self.health
    }

    /// True for one that runs while its health check fails.
    pub(crate) fn is_unhealthy(&self) -> bool {
        self.status() == Status::Running && self.health == Health::Unhealthy
    }

    /// The kernel killed it for memory: not one of its children, after which it went on.
    pub(crate) fn ended_out_of_memory(&self) -> bool {
        let told = match self.oom {
            Some(at) => self.ended() <= at.plus(OUT_OF_MEMORY_BEFORE_END),
            None => self.view.as_ref().is_some_and(|view| view.oom_killed),
        };
        told && self.exit_code() == EXIT_BY_SIGKILL
    }

    /// The stop signals and stops seen, for saying which of them are ours.
    pub(crate) fn signals_mut(&mut self) -> &mut SignalHistory {
        &mut self.signals
    }

    pub(crate) fn flag(&self) -> ManualStopFlag {
        self.flag
    }

    pub(crate) fn ask_flag(&mut self, now: Moment) {
        self.flag = ManualStopFlag::Asked(now);
    }

    /// The flag was read. False if nobody had asked.
    pub(crate) fn flag_read(&mut self, value: Option<bool>) -> bool {
        let asked = matches!(self.flag, ManualStopFlag::Asked(_));
        if asked {
            self.flag = ManualStopFlag::Known(value);
        }
        asked
    }

    pub(crate) fn backoff(&self) -> EngineBackoff {
        self.backoff
    }

    /// The engine's back-off ended without a start. What the flag said of the end before says nothing of the time since.
    pub(crate) fn backoff_ended(&mut self) {
        if self.backoff == EngineBackoff::Seen {
            self.flag = ManualStopFlag::NotAsked;
        }
        self.backoff = EngineBackoff::Ended;
    }

    /// Its operator stop was seen just before the engine itself went: perhaps the engine's own.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    pub(crate) fn set_uncertain(&mut self, uncertain: bool) {
        self.uncertain = uncertain;
    }

    /// A stop of an earlier clock came at that moment.
    pub(crate) fn has_odd_stop_of(&self, now: Moment) -> bool {
        self.odd_stop.as_ref().is_some_and(|(at, _)| *at == now)
    }

    /// That stop was ours.
    pub(crate) fn forget_odd_stop(&mut self) {
        self.odd_stop = None;
    }

    /// A `die` came that is stamped before this incarnation began.
    pub(crate) fn has_odd_end(&self) -> bool {
        self.odd_die.is_some()
    }

    pub(crate) fn status(&self) -> Status {
        let Some(view) = &self.view else { return Status::Unknown };
        let began = self.began();
        match view.run {
            RunState::Removing => Status::Removing,
            RunState::Restarting => {
                // Only a look made after the end tells of the engine's back-off for that end.
                let stale = self.end.is_some_and(|end| self.view_asked < end.at)
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

    /// When the present or last incarnation began, on the engine's clock.
    pub(crate) fn began(&self) -> EngineTime {
        self.started_at().max(self.last_start)
    }

    /// When it was started, as the last inspection says; 0 = never.
    pub(crate) fn started_at(&self) -> EngineTime {
        self.view.as_ref().map_or(EngineTime(0), |view| view.started_at)
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

    /// The present (or last) incarnation; empty if it never lived or is not known.
    pub(crate) fn incarnation(&self) -> Incarnation {
        match &self.view {
            Some(view) if EngineTime(0) < view.started_at => Incarnation::container(&self.id, &view.started_at_text),
            _ => Incarnation::default(),
        }
    }

    /// True for a signal that means "end": its own stop signal, INT, QUIT, KILL or TERM.
    pub(crate) fn is_stop_signal(&self, signal: u32) -> bool {
        signal == self.stop_signal() || STOP_SIGNALS.contains(&signal)
    }

    /// The number of its stop signal.
    pub(crate) fn stop_signal(&self) -> u32 {
        self.view.as_ref().map_or(STOP_SIGNAL_DEFAULT, |view| view.stop_signal)
    }

    /// How long before its end a stop signal may have caused it.
    pub(crate) fn stop_window(&self) -> Duration {
        let timeout = self.view.as_ref().and_then(|view| view.stop_timeout);
        timeout.unwrap_or(Duration::from_secs(10)) + Duration::from_secs(2)
    }

    /// Did somebody else stop the incarnation that has ended? In words.
    pub(crate) fn foreign_stop(&self) -> Option<String> {
        // Where its beginning is known only by its start event, StartedAt is a little earlier: signals in between belong to it
        // just the same, and none can be older than the end before it.
        let (ended, window) = (self.ended(), self.stop_window());
        let since = self.view_began().max(ended.minus(window));
        let mut signals = self.signals.foreign(since);
        if let Some(it) = signals.find(|it| self.is_stop_signal(it.signal) && it.at <= ended.plus(STAMP_SLACK)) {
            let before = Duration::from_nanos(ended.0.saturating_sub(it.at.0));
            return Some(format!(
                "signal {} was sent through the engine {} before it ended",
                it.signal,
                seconds(before)
            ));
        }
        // However long after the end: the engine carries out a stop of what has ended only to end its own back-off.
        let stopped = self.signals.has_foreign_stop(since);
        stopped.then(|| "a stop was carried out through the engine".to_string())
    }

    /// Was a stop carried out after its end, by somebody else?
    pub(crate) fn was_stopped_after_end(&self) -> bool {
        self.signals.has_foreign_stop(self.ended())
    }

    /// The engine's clock was set back in this incarnation: did a stop arrive that may have ended it? Stamps cannot tell.
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

    /// A stop signal in this incarnation that is too old to have caused an end by itself, or that has not led to one yet.
    pub(crate) fn has_foreign_signal(&self) -> bool {
        let mut foreign = self.signals.foreign(self.view_began());
        foreign.any(|it| self.is_stop_signal(it.signal))
    }

    /// A signal of another meaning than "end" was sent in this incarnation.
    pub(crate) fn has_other_signal(&self) -> bool {
        let mut sent = self.signals.since(self.view_began());
        sent.any(|it| !self.is_stop_signal(it.signal))
    }

    fn view_began(&self) -> EngineTime {
        match &self.view {
            Some(view) if self.is_current => view.started_at,
            _ => self.began(),
        }
    }

    /// `Some(a name)` while compose has it under a temporary name: `<12 hex digits>_NAME`.
    pub(crate) fn is_temporary_name(name: &str) -> bool {
        let bytes = name.as_bytes();
        12 < bytes.len() && bytes[12] == b'_' && bytes[..12].iter().all(u8::is_ascii_hexdigit)
    }
}
