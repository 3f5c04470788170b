//! What is known of one container: the last inspection of it, and the events since. No decision is made here.
//!
//! Two sources, one clock: inspection answers and events both carry the engine's time, so that an answer that overtook an
//! event (or the other way) is put right by comparing those times. Events may come twice and may be older than the
//! present incarnation; both are harmless. Should that clock be set back, stamps of before and after it tell nothing of
//! each other: then the order of arrival does. An inspection that was asked for after an event arrived knows more than
//! the event. Does not know its subject, nor what follows from what it knows.

mod answered;
mod asked;
mod health;
mod present;
mod processes;
mod seen;
mod set_back;
mod signals;
mod status;
mod stop_terms;
#[cfg(test)]
mod tests;
mod times;

pub(crate) use asked::{FLAG_WITHIN, ManualStopFlag};
pub(crate) use present::{EngineBackoff, SeenEnd};
pub(crate) use processes::SeenProcesses;
pub(crate) use signals::SignalHistory;
pub(crate) use status::Status;
pub(crate) use stop_terms::{StopTerms, is_by_sigkill};

use super::health_check::HealthEvidence;
use super::io::{ContainerId, ContainerView, EngineEvent, EngineTime, EventAction, Health, RunState};
use super::probes::probed::ProbeEvidence;
use crate::subject::Incarnation;
use crate::time::Moment;
use alloc::string::String;
use answered::StopsHeard;
use asked::Inspection;
use present::Present;
use seen::SeenEvents;
use set_back::SET_BACK;
use times::EventTimes;

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
    times: EventTimes,
    present: Present,
    signals: SignalHistory,
    stops: StopsHeard,
    seen: SeenEvents,
    processes: SeenProcesses,
}

impl ContainerObservation {
    pub(crate) fn new(id: ContainerId, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            ..Self::default()
        }
    }

    /// One that the journal remembers, with signals of others.
    pub(crate) fn remembered(
        id: ContainerId,
        now: Moment,
        signals: impl IntoIterator<Item = (EngineTime, u32)>,
    ) -> Self {
        let mut it = Self::new(id, now);
        for (at, signal) in signals {
            it.signals.record_signal(at, signal);
            it.stops = StopsHeard::remembered(at);
        }
        it
    }

    /// Takes an event; false if it was taken before. `live` = it tells of the present, it is not replayed.
    pub(crate) fn take(&mut self, now: Moment, event: &EngineEvent, live: bool) -> bool {
        if !self.seen.take(event.at, event.action.word()) {
            return false;
        }
        if !matches!(event.action, EventAction::Rename { .. }) && self.name.is_empty() {
            self.name.clone_from(&event.name);
        }
        match event.action {
            EventAction::Start if self.times.start() < event.at => self.started(now, event.at),
            EventAction::Start if live && event.at.plus(SET_BACK) < self.times.start() => {
                self.started_anew(now, event.at)
            }
            EventAction::Die { exit_code } if self.times.die() < event.at && self.began() <= event.at => {
                self.times.died(now, event.at, exit_code);
                if self.status() == Status::Down {
                    let at = self.ended_at(now);
                    self.present.end = Some(SeenEnd { at, by_event: true });
                }
            }
            EventAction::Die { .. } if live && self.is_odd(event.at) => self.present.set_back.saw_die(now),
            EventAction::Kill { signal } => {
                if live && self.is_odd(event.at) && self.stop_terms().is_end(signal) {
                    self.present.set_back.saw_signal(now, signal);
                }
                self.signals.record_signal(event.at, signal);
                self.heard_stop(now, event.at, live && self.stop_terms().is_end(signal));
            }
            EventAction::Stop => {
                if live && self.is_odd(event.at) {
                    self.present.set_back.saw_stop(now);
                }
                self.signals.record_stop(event.at);
                self.heard_stop(now, event.at, false);
            }
            EventAction::Pause if live && self.began() <= event.at => {
                status::shown_as(&mut self.view, RunState::Running, RunState::Paused)
            }
            EventAction::Unpause if live && self.began() <= event.at => {
                status::shown_as(&mut self.view, RunState::Paused, RunState::Running)
            }
            EventAction::Oom if self.began() <= event.at => self.present.oom = Some(event.at),
            EventAction::Health(word) if self.began() <= event.at => self.present.health.take_event(word),
            _ => {}
        }
        true
    }

    /// `shows` = it came live, and may lead to an end.
    fn heard_stop(&mut self, now: Moment, at: EngineTime, shows: bool) {
        self.stops.heard(at, now);
        self.present.stop_came = Some((at, now)).filter(|_| shows).or(self.present.stop_came);
    }

    /// Stamped before the life it came in.
    fn is_odd(&self, at: EngineTime) -> bool {
        self.view.is_some() && at.plus(SET_BACK) < self.began()
    }

    /// Its stamp is of a clock that was set back: those of before tell nothing of this incarnation.
    fn started_anew(&mut self, now: Moment, at: EngineTime) {
        self.times.started(now, at);
        self.times.forget_die();
        self.signals.clear();
        self.begin_incarnation(now);
    }

    fn started(&mut self, now: Moment, at: EngineTime) {
        self.times.started(now, at);
        let view_is_newer = self.view.as_ref().is_some_and(|view| at <= view.started_at);
        if !view_is_newer && self.times.die() < at {
            self.begin_incarnation(now);
        }
    }

    fn begin_incarnation(&mut self, now: Moment) {
        self.present = Present {
            born_at: Some(now),
            ..Present::default()
        };
        self.is_current = false;
        self.alive_at = Some(now);
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
        // An inspection asked for before the start event may still show the one before it.
        let outdated = view.started_at < self.times.start() && self.present.born_at.is_some_and(|born| asked < born);
        if is_other && !outdated {
            self.present.begin_another(self.is_current);
        }
        // A later incarnation with an earlier beginning.
        let set_back = |old: &ContainerView| view.started_at.plus(SET_BACK) < old.started_at;
        if EngineTime(0) < view.started_at && self.view.as_ref().is_some_and(set_back) {
            self.signals.clear();
        }
        self.times.drop_future(asked, &view);
        self.is_current = !outdated;
        if self.is_current && view.restart_count == 0 {
            self.signals.started_by_hand(view.started_at);
        }
        self.name.clone_from(&view.name);
        self.view_asked = asked;
        self.present.health.take_view(&view);
        self.view = Some(view);
        match self.status() {
            Status::Running | Status::Paused | Status::Backoff => {
                self.alive_at = Some(asked);
                if self.status() == Status::Running {
                    self.present.end = None;
                    // It runs all the same: that end was of the incarnation before.
                    self.present.set_back.saw_running(asked);
                }
                if self.status() == Status::Backoff {
                    self.present.backoff = EngineBackoff::Seen;
                }
            }
            Status::Down => {
                // Its event may have come before we knew of any incarnation it could end.
                let event = EngineTime(0) < self.times.die() && self.view_began() <= self.times.die();
                self.present.saw_down(now, event);
            }
            Status::Unknown | Status::Created | Status::Removing => {}
        }
    }

    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the kernel has shown of its processes.
    pub(crate) fn processes(&self) -> &SeenProcesses {
        &self.processes
    }

    pub(crate) fn processes_mut(&mut self) -> &mut SeenProcesses {
        &mut self.processes
    }

    /// The last inspection.
    pub(crate) fn view(&self) -> Option<&ContainerView> {
        self.view.as_ref()
    }

    /// The last inspection is of the present incarnation (or of the one that ended last).
    pub(crate) fn is_current(&self) -> bool {
        self.is_current
    }

    /// When the last inspection was asked for.
    pub(crate) fn inspected_at(&self) -> Moment {
        self.view_asked
    }

    /// True if the last inspection was asked for at that moment or later.
    pub(crate) fn was_inspected_since(&self, at: Moment) -> bool {
        at <= self.view_asked
    }

    /// When it was first heard of.
    pub(crate) fn first_seen(&self) -> Moment {
        self.first_seen
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
        self.present.born_at
    }

    /// The end of the last incarnation, as it became known.
    pub(crate) fn end(&self) -> Option<SeenEnd> {
        self.present.end
    }

    /// When its end became known; `now` if that is only now.
    pub(crate) fn ended_at(&self, now: Moment) -> Moment {
        self.present.end.map_or(now, |end| end.at)
    }

    pub(crate) fn ended_by_event(&self) -> bool {
        self.present.end.is_some_and(|end| end.by_event)
    }

    /// Notes an end that no event and no inspection has dated.
    pub(crate) fn date_end(&mut self, now: Moment) {
        self.present.saw_down(now, false);
    }

    /// What its health check and its probes prove; `None` = an inspection must tell.
    pub(crate) fn health(&self) -> Option<HealthEvidence> {
        self.present.health.with_probes(self.view.as_ref())
    }

    /// What its health check alone, and what its probes alone prove.
    pub(crate) fn check_and_probes(&self) -> (Option<HealthEvidence>, &ProbeEvidence) {
        self.present.health.apart(self.view.as_ref())
    }

    pub(crate) fn set_probes(&mut self, probes: ProbeEvidence) {
        self.present.health.set_probes(probes);
    }

    /// Is it open what the engine's word for its health is worth, or does a list have another word?
    pub(crate) fn is_health_open(&self, listed: Option<Health>) -> bool {
        self.present.health.is_open(listed, self.view.as_ref())
    }

    /// The kernel killed it for memory: not one of its children, after which it went on.
    pub(crate) fn ended_out_of_memory(&self) -> bool {
        let is_marked = self.view.as_ref().is_some_and(|view| view.oom_killed);
        self.present.out_of_memory(self.ended(), is_marked) && is_by_sigkill(self.exit_code())
    }

    /// The stop signals and stops seen, for saying which of them are ours.
    pub(crate) fn signals_mut(&mut self) -> &mut SignalHistory {
        &mut self.signals
    }

    pub(crate) fn flag(&self) -> ManualStopFlag {
        self.present.flag
    }

    pub(crate) fn flag_mut(&mut self) -> &mut ManualStopFlag {
        &mut self.present.flag
    }

    pub(crate) fn backoff(&self) -> EngineBackoff {
        self.present.backoff
    }

    /// The engine's back-off ended without a start. What the flag said of the end before says nothing of the time since.
    pub(crate) fn backoff_ended(&mut self) {
        self.present.backoff_ended();
    }

    /// Its operator stop was seen just before the engine itself went: perhaps the engine's own.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.present.uncertain
    }

    pub(crate) fn set_uncertain(&mut self, uncertain: bool) {
        self.present.uncertain = uncertain;
    }

    /// A stop of an earlier clock came at that moment.
    pub(crate) fn has_odd_stop_of(&self, now: Moment) -> bool {
        self.present.set_back.has_stop_of(now)
    }

    /// That stop was ours.
    pub(crate) fn forget_odd_stop(&mut self) {
        self.present.set_back.forget_stop();
    }

    pub(crate) fn status(&self) -> Status {
        match &self.view {
            Some(view) => status::status((view, self.view_asked), &self.times, &self.present),
            None => Status::Unknown,
        }
    }

    /// When the present or last incarnation began, on the engine's clock.
    pub(crate) fn began(&self) -> EngineTime {
        self.times.began(self.view.as_ref())
    }

    /// When it was started, as the last inspection says; 0 = never.
    pub(crate) fn started_at(&self) -> EngineTime {
        self.view.as_ref().map_or(EngineTime(0), |view| view.started_at)
    }

    /// When it ended.
    pub(crate) fn ended(&self) -> EngineTime {
        self.times.ended(self.view.as_ref())
    }

    pub(crate) fn exit_code(&self) -> i64 {
        self.times.exit_code(self.view.as_ref())
    }

    /// Will the engine restart it by its own policy?
    pub(crate) fn engine_restarts(&self) -> bool {
        self.view.as_ref().is_some_and(ContainerView::engine_restarts)
    }

    /// The present (or last) incarnation; empty if it never lived or is not known.
    pub(crate) fn incarnation(&self) -> Incarnation {
        match &self.view {
            Some(view) if EngineTime(0) < view.started_at => Incarnation::container(&self.id, &view.started_at_text),
            _ => Incarnation::default(),
        }
    }

    /// How it is stopped.
    pub(crate) fn stop_terms(&self) -> StopTerms {
        StopTerms::of(self.view.as_ref())
    }

    /// Did somebody else stop the incarnation that has ended? In words. Where the clock was set between, their arrival tells.
    pub(crate) fn foreign_stop(&self) -> Option<String> {
        // Where its beginning is known only by its start event, StartedAt is a little earlier: signals in between belong to it
        // just the same, and none can be older than the end before it.
        let (ended, stop) = (self.ended(), self.stop_terms());
        let since = self.view_began().max(ended.minus(stop.patience()));
        let came = self
            .present
            .stop_came
            .filter(|(_, came)| self.ended_at(*came) <= *came + stop.patience());
        let (since, ended) = came.map_or((since, ended), |(at, _)| (since.min(at), ended.max(at)));
        self.signals.foreign_stop(since, ended, stop)
    }

    /// The engine of the same stream answered the last inspection: it answered the stops that had come by then too. Returns the
    /// newest stop signal of somebody else, if that is news.
    pub(crate) fn stops_answered(&mut self) -> Option<(EngineTime, u32)> {
        let before = self.stops.answered_to();
        self.stops.answered(self.view_asked);
        let newest = self.signals.newest_foreign(self.stop_terms())?;
        (before < newest.0 && newest.0 <= self.stops.answered_to()).then_some(newest)
    }

    /// The first stop of somebody else in this incarnation after which the engine has answered nothing yet.
    pub(crate) fn unanswered_stop(&self) -> Option<EngineTime> {
        let since = self.view_began().max(EngineTime(self.stops.answered_to().0 + 1));
        self.signals.first_foreign(since, self.stop_terms())
    }

    /// The engine went down: the stops that it had not answered were its own.
    pub(crate) fn disown_unanswered(&mut self) {
        let answered_to = self.stops.answered_to();
        self.signals.claim_signals(|it| answered_to < it.at);
        self.signals.claim_stops(|at| answered_to < at);
        self.present.uncertain = false;
    }

    /// Was a stop carried out after its end, by somebody else?
    pub(crate) fn was_stopped_after_end(&self) -> bool {
        self.signals.has_foreign_stop(self.ended())
    }

    /// The engine's clock was set back in this incarnation: did a stop arrive that may have ended it? Stamps cannot tell.
    pub(crate) fn odd_intent(&self, died_at: Moment) -> Option<String> {
        let set_back = &self.present.set_back;
        set_back.intent(died_at, self.stop_terms().patience(), self.has_foreign_signal())
    }

    /// A stop signal in this incarnation that is too old to have caused an end by itself, or that has not led to one yet.
    pub(crate) fn has_foreign_signal(&self) -> bool {
        self.signals.has_foreign_signal(self.view_began(), self.stop_terms())
    }

    /// A signal that was no stop is known to have set the manual-stop flag before it ended.
    pub(crate) fn flag_was_set_before(&self) -> bool {
        self.signals.flag_was_set_before(self.ended(), self.stop_terms())
    }

    /// When it was last started by hand, which clears the manual-stop flag; 0 = not known.
    pub(crate) fn flag_cleared(&self) -> EngineTime {
        self.signals.flag_cleared()
    }

    fn view_began(&self) -> EngineTime {
        match &self.view {
            Some(view) if self.is_current => view.started_at,
            _ => self.began(),
        }
    }
}
