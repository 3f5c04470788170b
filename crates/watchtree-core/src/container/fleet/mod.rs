//! The containers of one engine with their supervisors: takes in what the engine says, and reconciles what it touches.
//!
//! ```text
//! engine ─▶ engine view ─▶ touched subjects ─▶ reconcile ─▶ executor: supervisor, journal, engine call, record
//!                                  ▲               │
//!                       deadlines ─┴───────────────┘
//! ```
//!
//! Level-triggered: an input only changes what is known; each subject that it touches is then reconciled from what is known,
//! whatever order things came in. Knows no parent and no orders.

mod captured;
mod engine_illness;
mod engine_view;
mod event_stream;
mod executor;
mod followup;
mod holders;
mod ledger;
mod lost_call;
mod probing;
mod relations;
mod restored;
mod stops;
mod watched;
mod watchlist;

use crate::container::climate::Climate;
use crate::container::continuity::{EventCursor, GapEnd};
use crate::container::io::{
    CallAnswer, Captured, ContainerEffect, ContainerId, ContainerView, EngineError, EngineEvent, EngineTime,
    EventAction, ListEntry, ProbeAnswer, ProbeRun, ProcessSeen, Record, Recovered, RunState, Ticket,
};
use crate::container::outbox::Outbox;
use crate::container::policy::{ContainerPolicy, PolicyLines};
use crate::container::settings::ContainerSettings;
use crate::container::status::ContainerCounters;
use crate::container::subject::Command;
use crate::decision::Decision;
use crate::pressure::MachineLoad;
use crate::recorder::Draft;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::Verdict;
use alloc::string::String;
use engine_illness::EngineIllness;
use engine_view::EngineView;
use executor::{Executor, Replay};
use followup::{Followup, Taken};
use watchlist::Watchlist;

/// See the module's text.
pub(crate) struct ContainerFleet {
    engine: EngineView,
    watched: Watchlist,
    executor: Executor,
    illness: EngineIllness,
}

impl ContainerFleet {
    pub(crate) fn new(settings: ContainerSettings, last_event: Option<EventCursor>, now: Moment) -> Self {
        Self {
            engine: EngineView::new(&settings, last_event, now),
            watched: Watchlist::default(),
            executor: Executor::new(settings),
            illness: EngineIllness::default(),
        }
    }

    /// Takes over what the journal held.
    pub(crate) fn restore(&mut self, now: Moment, mut recovered: Recovered) {
        let settings = self.executor.settings();
        for (sid, mut memory) in core::mem::take(&mut recovered.subjects) {
            self.engine.restore_replaced(memory.replaced.take());
            if let Some((watched, observation)) = restored::restore(now, sid.clone(), memory, settings) {
                self.engine.restore(sid.clone(), observation);
                self.watched.insert(sid, watched);
            }
        }
        let boot_id = settings.identity.boot_id;
        let lives = core::mem::take(&mut recovered.engine_lives);
        self.engine.stream_mut().restore_lives(boot_id, lives);
        self.executor.restore(now, recovered);
    }

    /// (Re)opens the event stream from where a repair needs it.
    pub(crate) fn subscribe(&self, out: &mut Outbox) {
        let since = self.engine.stream().since(self.watched.needed_events());
        out.push(ContainerEffect::Subscribe { since });
    }

    /// Makes a record about something that is not a repair: an order, an escalation.
    pub(crate) fn record(&mut self, now: Moment, draft: Draft, out: &mut Outbox) {
        self.executor.record(now, draft, out);
    }

    /// All subjects are to be reconciled.
    pub(crate) fn touch_all(&mut self) {
        self.engine.touch_all();
    }

    /// The subject and all below are to be reconciled.
    pub(crate) fn touch_below(&mut self, subject: &SubjectId) {
        self.engine.touch_below(subject);
    }

    /// Reconciles what was touched, and who waits for a place while there is one.
    pub(crate) fn reconcile_touched(&mut self, now: Moment, climate: Climate<'_>, out: &mut Outbox) {
        while let Some(sid) = self.engine.next_touched() {
            self.reconcile(now, &sid, climate, out);
        }
        for (sid, lane, since) in self.executor.take_queue() {
            if self.executor.has_place(lane) {
                self.reconcile(now, &sid, climate, out);
            } else {
                self.executor.wait(sid, lane, since);
            }
        }
        while let Some(sid) = self.engine.next_touched() {
            self.reconcile(now, &sid, climate, out);
        }
    }

    /// Does what has become due.
    pub(crate) fn handle_timeout(&mut self, now: Moment, climate: Climate<'_>, out: &mut Outbox) {
        if self.engine.wants_open(now) {
            self.subscribe(out);
        }
        if let Some(how) = self.engine.settle(now) {
            self.gap_ended(now, how, climate, out);
        }
        self.engine.expire_deploys(now);
        while let Some(sid) = self.executor.pop_due(now) {
            self.engine.touch(sid);
        }
        while let Some(sid) = self.executor.prober_mut().next_lost(now) {
            self.engine.touch(sid);
        }
        probing::begin(now, self.executor.prober_mut(), out);
        self.illness.follow(now, &mut self.executor, &mut self.engine, out);
    }

    /// How busy the machine is.
    pub(crate) fn on_load(&mut self, now: Moment, load: MachineLoad, out: &mut Outbox) {
        self.executor.outbreaks_mut().take_load(now, load.overload());
        self.illness.follow(now, &mut self.executor, &mut self.engine, out);
    }

    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let all = [self.engine.next_deadline(), self.executor.next_deadline()];
        all.into_iter().flatten().min()
    }

    /// Does what follows from what is known of that subject.
    fn reconcile(&mut self, now: Moment, sid: &SubjectId, climate: Climate<'_>, out: &mut Outbox) {
        self.executor.take_up(sid);
        let watched = self.watched.get_mut(sid);
        let Some(watched) = watched else { return };
        if self.engine.inventory().observation_of(sid).is_none() {
            return self.without_container(now, sid, out);
        }
        if climate.hands_off {
            watched.hands_off(now);
            self.executor.prober_mut().forget(sid);
        } else if watched.is_recovering() {
            self.recover(now, sid, out);
        } else {
            self.step(now, sid, climate, out);
        }
        out.reconciled(sid.clone());
    }

    fn without_container(&mut self, now: Moment, sid: &SubjectId, out: &mut Outbox) {
        // Before the first list it is of the journal: that will show whether it is still there.
        let watched = self
            .watched
            .get_mut(sid)
            .filter(|_| self.engine.inventory().is_listed());
        let Some(watched) = watched else { return };
        let replay = self.executor.without_container(now, (sid, watched), out);
        self.replay(now, replay, out);
        match self.engine.empty_until(now, sid) {
            Some(until) if until <= now => {
                self.watched.remove(sid);
                self.engine.remove_subject(sid);
                self.executor.forget(now, sid);
                self.illness.follow(now, &mut self.executor, &mut self.engine, out);
                out.journal(Record::Gone { subject: sid.clone() });
            }
            Some(until) => self.executor.wake(sid, until),
            None => {}
        }
        out.reconciled(sid.clone());
    }

    fn step(&mut self, now: Moment, sid: &SubjectId, climate: Climate<'_>, out: &mut Outbox) {
        let engine_now = self.executor.settings().engine_time(now);
        let Some(mut seen) = self.engine.see(engine_now, sid) else {
            return;
        };
        self.watched.show_parents(&mut seen.parents.seen);
        let Some(watched) = self.watched.get_mut(sid) else {
            return;
        };
        let replay = self.executor.step(now, (sid, watched), seen, climate, out);
        relations::pass_on(now, sid, &mut self.watched, &mut self.engine, self.executor.settings());
        self.replay(now, replay, out);
        self.illness.follow(now, &mut self.executor, &mut self.engine, out);
    }

    fn replay(&mut self, now: Moment, Replay(wanted): Replay, out: &mut Outbox) {
        if wanted && self.engine.continuity().gap_until().is_none() {
            self.stream_broke(now, false, out);
        }
    }

    /// Goes on with a repair that was under way when the last process of this daemon ended, once its container is known.
    fn recover(&mut self, now: Moment, sid: &SubjectId, out: &mut Outbox) {
        // A person's stop may come with the events behind the one that ends a gap.
        if let Some(until) = self.engine.continuity().replayed_until(now) {
            return self.executor.wake(sid, until);
        }
        let (Some(watched), Some(it)) = (self.watched.get_mut(sid), self.engine.observation_of_mut(sid)) else {
            return;
        };
        if !it.is_current() {
            if !it.is_being_inspected() {
                let id = it.id().clone();
                self.engine.inspect(now, &id, out);
            }
            return;
        }
        if let Some(open) = watched.take_recovering() {
            let replay = self.executor.resume(now, (sid, watched), &open, it, out);
            self.engine.touch(sid.clone());
            self.replay(now, replay, out);
        }
    }

    /// The stream is open; `began` = since when the engine answers, as it says itself.
    pub(crate) fn stream_opened(&mut self, now: Moment, began: Option<EngineTime>, out: &mut Outbox) {
        if self.engine.engine_answers(now, began) {
            self.watched.doubt_unanswered_stops(&mut self.engine, out);
            self.engine.disown_unanswered_stops(now);
            self.engine.inspect_all(now, out);
        }
        if self.engine.stream_opened(now) {
            out.journal_all(self.watched.events_lost());
            self.engine.inspect_all(now, out);
        }
    }

    /// The event stream is broken (`ended`), or this process did not look for a while.
    pub(crate) fn stream_broke(&mut self, now: Moment, ended: bool, out: &mut Outbox) {
        if ended {
            self.engine.stream_mut().ended(now);
            self.watched.doubt_unanswered_stops(&mut self.engine, out);
        }
        if self.engine.stream_broke(now, ended) {
            self.subscribe(out);
        }
    }

    fn gap_ended(&mut self, now: Moment, how: GapEnd, climate: Climate<'_>, out: &mut Outbox) {
        if let GapEnd::Lossy { engine_away } = how {
            out.journal_all(self.watched.events_lost());
            // The engine's calls ended with it: what it did of them, the containers show.
            if engine_away {
                self.executor.engine_went(now, &mut self.watched);
            }
        }
        out.journal_all(self.engine.begin_life(now));
        self.write_cursor(climate, out);
    }

    /// Writes down the newest event taken: all before it was judged. Not while nothing is, or a stop waits for an answer after it.
    fn write_cursor(&self, climate: Climate<'_>, out: &mut Outbox) {
        let is_open = climate.is_leaving || self.engine.inventory().has_unanswered_stop();
        out.journal_all(self.engine.stream().cursor_record().filter(|_| !is_open));
    }

    /// Takes an event, and reconciles whom it is about at once: nothing is faster. False if there are too many containers.
    pub(crate) fn on_event(
        &mut self,
        now: Moment,
        event: &EngineEvent,
        climate: Climate<'_>,
        out: &mut Outbox,
    ) -> bool {
        let cursor = (event.at, event.id.clone(), event.action.word());
        if let Some(how) = self.engine.saw(now, &cursor) {
            self.gap_ended(now, how, climate, out);
        }
        let followup = match self.engine.take(now, event, out) {
            Taken::Stranger => return true,
            Taken::TooMany => return false,
            Taken::Duplicate => None,
            Taken::Fresh(followup) => Some(followup),
        };
        self.watched.were_replaced(self.engine.take_replaced(), out);
        let is_fresh = followup.is_some();
        self.executor.count_event(is_fresh);
        let inspects = match followup {
            None | Some(Followup::Nothing) => false,
            Some(Followup::Inspect) => true,
            Some(Followup::Stop(signal)) => {
                let (engine, watched) = (&mut self.engine, &mut self.watched);
                stops::on_stop(now, (engine, watched), event, signal, climate)
            }
            Some(Followup::OtherSignal(signal)) => {
                let subject = self.engine.inventory().subject_of(&event.id);
                self.watched.take_other_signal(subject, event, signal, out)
            }
        };
        if inspects {
            self.engine.inspect(now, &event.id, out);
        }
        let subject = self.engine.inventory().subject_of(&event.id).cloned();
        if is_fresh && event.action == EventAction::Destroy {
            self.forget(now, &event.id, "it was removed during our repair");
        }
        // The repair first, the cursor after it: what is lost between is replayed, and harmless.
        if let Some(subject) = subject {
            self.engine.untouch(&subject);
            self.reconcile(now, &subject, climate, out);
        }
        if is_fresh && self.engine.stream().is_newest(&cursor) {
            self.write_cursor(climate, out);
        }
        true
    }

    /// The containers were listed, as asked for at that moment.
    pub(crate) fn on_listed(&mut self, now: Moment, asked: Moment, entries: &[ListEntry], out: &mut Outbox) {
        let in_motion = |sid: &SubjectId| self.watched.is_in_motion(sid);
        let running = entries.iter().filter(|entry| entry.run == RunState::Running);
        self.executor.outbreaks_mut().set_size(running.count());
        for id in self.engine.listed(now, asked, entries, in_motion, out) {
            self.forget(now, &id, "it is gone");
        }
        self.engine.note_empty(now);
    }

    /// Inspects it, if it is believed to run. True if it is.
    pub(crate) fn inspect_if_running(&mut self, now: Moment, id: &ContainerId, out: &mut Outbox) -> bool {
        self.engine.inspect_if_running(now, id, out)
    }

    /// Inspects again what is unsettled. False if the whole list is to be asked for instead.
    pub(crate) fn inspect_unsettled(&mut self, now: Moment, out: &mut Outbox) -> bool {
        self.engine.inspect_unsettled(now, self.watched.in_motion(), out)
    }

    pub(crate) fn on_inspected(&mut self, now: Moment, id: &ContainerId, view: ContainerView, out: &mut Outbox) {
        let policy = ContainerPolicy::of(&view, self.executor.settings());
        let policy = self.watched.shared(policy);
        let watched = &self.watched;
        let in_repair = |sid: &SubjectId| watched.repairs(sid, id);
        if let Some(holder) = self.engine.inspected(now, id, view, in_repair, out) {
            let watched = self.watched.taken_up(holder.subject, holder.is_new.then_some(id), out);
            let record = holder.answered.and_then(|stop| watched.stop_answered(id, stop));
            out.journal_all(record);
            watched.take_up(policy, holder.is_new, self.executor.settings());
        }
        self.watched.were_replaced(self.engine.take_replaced(), out);
    }

    /// The kernel shows that of the process of that number.
    pub(crate) fn on_process(&mut self, now: Moment, id: &ContainerId, seen: (u32, &ProcessSeen)) {
        self.engine.process_seen(now, id, seen);
    }

    pub(crate) fn inspection_failed(&mut self, now: Moment, id: &ContainerId, error: &EngineError) {
        match error {
            EngineError::NotFound => self.forget(now, id, "it is gone"),
            _ => self.engine.inspection_failed(id),
        }
    }

    pub(crate) fn on_flag(&mut self, id: &ContainerId, value: Option<bool>) {
        // It may come after it was waited for: then it tells what nothing could.
        let sid = self.engine.flag_read(id, value).filter(|_| value.is_some());
        if let Some(watched) = sid.and_then(|sid| self.watched.get_mut(&sid)) {
            watched.flag_is_known();
        }
    }

    fn forget(&mut self, now: Moment, id: &ContainerId, why: &str) {
        let subject = self.engine.forget(now, id);
        if let Some(watched) = subject.and_then(|sid| self.watched.get_mut(&sid)) {
            watched.container_gone(why);
        }
    }

    /// The engine answered a call, or did not within its deadline.
    pub(crate) fn on_performed(&mut self, now: Moment, ticket: Ticket, result: CallAnswer, out: &mut Outbox) {
        let sid = self.executor.subject_of(ticket).cloned();
        let Some(sid) = sid else { return };
        let watched = self.watched.get_mut(&sid);
        let commands = self.executor.answered(now, ticket, result, watched, out);
        self.engine.touch(sid);
        for command in commands {
            // Nothing else follows from an answer.
            if let Command::Inspect(id) = command {
                self.engine.inspect(now, &id, out);
            } else if let Command::Journal(record) = command {
                out.journal(record);
            }
        }
    }

    /// What was asked for then was captured of that container.
    pub(crate) fn on_captured(&mut self, now: Moment, id: &ContainerId, what: (Moment, &Captured), out: &mut Outbox) {
        let all = (&mut self.engine, &mut self.watched, &mut self.executor);
        captured::captured(now, all, id, what, out);
    }

    /// This process did not run for a while: nobody looked, and what was asked for before counts for nothing.
    pub(crate) fn stalled(&mut self, now: Moment, out: &mut Outbox) {
        self.executor.prober_mut().stalled(now);
        self.stream_broke(now, false, out);
    }

    /// A run of a probe came to that.
    pub(crate) fn on_probed(&mut self, now: Moment, run: ProbeRun, answer: ProbeAnswer, out: &mut Outbox) {
        if let Some(sid) = probing::answered(now, self.executor.prober_mut(), run, answer, out) {
            self.engine.touch(sid);
        }
    }

    /// A person wants tries of the subject and all below: what is done, or why nothing is.
    pub(crate) fn retry(&mut self, now: Moment, of: &SubjectId, by: &str, out: &mut Outbox) -> Result<String, String> {
        let inventory = self.engine.inventory();
        let is_there = |sid: &SubjectId| sid.is_within(of) && inventory.container_of(sid).is_some();
        let there = self.watched.iter_mut().filter(|(sid, _)| is_there(sid));
        self.executor.retry(now, there, (of, by), out)
    }

    /// What is believed of a subject; `None` if it is no more, or nothing was ever found out.
    pub(crate) fn verdict(&self, sid: &SubjectId) -> Option<Verdict> {
        if self.illness.is_of(sid, self.executor.settings()) {
            return self.illness.verdict(self.executor.settings());
        }
        let observer = &self.executor.settings().identity.name;
        relations::verdict(sid, &self.watched, self.engine.inventory(), observer)
    }

    /// The policy in force of a subject, value by value; `None` if it is not known.
    pub(crate) fn policy_lines(&self, sid: &SubjectId) -> Option<PolicyLines> {
        Some(self.watched.get(sid)?.policy_lines(self.executor.settings()))
    }

    /// True while something is to be said of a subject of that name.
    pub(crate) fn reports(&self, sid: &SubjectId) -> bool {
        self.watched.get(sid).is_some() || self.illness.is_of(sid, self.executor.settings())
    }

    /// True if anything within the subject is watched.
    pub(crate) fn watches_within(&self, subject: &SubjectId) -> bool {
        self.watched.has_within(subject)
    }

    /// A call is under way, or a stop of ours has no start yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.watched.is_busy()
    }

    /// The containers were listed, and the event stream is open and whole.
    pub(crate) fn is_ready(&self) -> bool {
        self.engine.is_ready()
    }

    /// Figures for beats: subjects, calls under way, starts, subjects at their limit.
    pub(crate) fn figures(&self) -> [(&'static str, u64); 4] {
        [
            ("containers", self.watched.len() as u64),
            ("calls_open", self.executor.open_calls().len() as u64),
            ("starts", self.executor.ledger().counters().starts),
            ("given_up", self.watched.at_limit() as u64),
        ]
    }

    pub(crate) fn settings(&self) -> &ContainerSettings {
        self.executor.settings()
    }

    pub(crate) fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.executor.ledger().decisions()
    }

    pub(crate) fn counters(&self) -> ContainerCounters {
        ContainerCounters {
            stream_losses: self.engine.continuity().losses(),
            ..self.executor.ledger().counters()
        }
    }
}
