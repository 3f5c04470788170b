//! What one engine has told: who is there, what is known of each container, whether its events can be trusted, and which
//! subjects that touches. Each input says by its type what is to follow. Knows no supervisor and no repair.

use super::event_stream::EventStream;
use super::followup::{Followup, Holder, Taken};
use crate::container::continuity::{EventContinuity, EventCursor, GapEnd};
use crate::container::engine_lives::EngineLives;
use crate::container::inventory::{Attached, CONTAINERS_MAX, Inventory};
use crate::container::io::{
    ContainerEffect, ContainerId, ContainerView, EngineEvent, EngineTime, EventAction, Health, ListEntry, ProcessSeen,
    Record, RunState,
};
use crate::container::namespace_away::NamespaceAway;
use crate::container::never_started;
use crate::container::observation::{ContainerObservation, Status};
use crate::container::outbox::Outbox;
use crate::container::relatives::{self, Parents};
use crate::container::settings::ContainerSettings;
use crate::container::unsettled::Unsettled;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// After a gap in the events the whole list is compared often for this long: what still comes of what happened in it shows.
const WATCHED_CLOSELY: Duration = Duration::from_secs(20);

/// See the module's text.
pub(super) struct EngineView {
    inventory: Inventory,
    stream: EventStream,
    /// Subjects to be reconciled: what is known around them has changed.
    touched: BTreeSet<SubjectId>,
    unsettled: Unsettled,
    /// Containers whose names were given to others, and nobody was told yet.
    replaced: Vec<ContainerId>,
    /// Subjects that wait until all containers are known by their names.
    waiting: BTreeSet<SubjectId>,
}

/// What is known around one container.
pub(super) struct Seen<'a> {
    pub(super) observation: &'a mut ContainerObservation,
    pub(super) continuity: &'a EventContinuity,
    pub(super) lives: &'a EngineLives,
    pub(super) deploy_until: Option<Moment>,
    /// It was made or renamed a short while ago.
    pub(super) named_until: Option<Moment>,
    /// Its name was given to another.
    pub(super) replaced: Option<(String, Option<Moment>)>,
    /// What is wrong with the namespaces that it joins.
    pub(super) away: Option<NamespaceAway>,
    /// Whom it depends on.
    pub(super) parents: Parents,
}

impl EngineView {
    pub(super) fn new(settings: &ContainerSettings, last_event: Option<EventCursor>, now: Moment) -> Self {
        Self {
            inventory: Inventory::new(settings.engine.clone(), settings.deploy_quiet),
            stream: EventStream::new(settings, last_event, now),
            touched: BTreeSet::new(),
            unsettled: Unsettled::default(),
            replaced: Vec::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// A subject that the journal remembers, with the container it had.
    pub(super) fn restore(&mut self, subject: SubjectId, observation: Option<ContainerObservation>) {
        self.inventory.restore(subject, observation);
    }

    /// The journal remembers that another container was given the name of that one.
    pub(super) fn restore_replaced(&mut self, replaced: Option<(ContainerId, String)>) {
        if let Some((id, name)) = replaced {
            self.inventory.restore_replaced(id, name);
        }
    }

    /// Whose container's names were given to others since this was asked last: to be written down.
    pub(super) fn take_replaced(&mut self) -> Vec<(SubjectId, ContainerId, String)> {
        let ids = core::mem::take(&mut self.replaced);
        let named = ids.into_iter().filter_map(|id| {
            let subject = self.inventory.subject_of(&id)?.clone();
            let name = self.inventory.given_name(&id)?.to_string();
            Some((subject, id, name))
        });
        let named: Vec<_> = named.collect();
        self.touched.extend(named.iter().map(|(subject, ..)| subject.clone()));
        named
    }

    pub(super) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    pub(super) fn stream(&self) -> &EventStream {
        &self.stream
    }

    pub(super) fn stream_mut(&mut self) -> &mut EventStream {
        &mut self.stream
    }

    pub(super) fn continuity(&self) -> &EventContinuity {
        &self.stream.continuity
    }

    pub(super) fn get_mut(&mut self, id: &ContainerId) -> Option<&mut ContainerObservation> {
        self.inventory.get_mut(id)
    }

    /// Around the subject's present container; `now` on the engine's clock.
    pub(super) fn see(&mut self, now: EngineTime, subject: &SubjectId) -> Option<Seen<'_>> {
        let id = self.inventory.container_of(subject)?.clone();
        let it = self.inventory.get(&id)?;
        let (view, deployments) = (it.view(), self.inventory.deployments());
        let deploy_until = view.and_then(|view| deployments.of_service(view));
        let named_until = view.and_then(|view| deployments.of_name(&view.name));
        let replaced = self.inventory.replaced(it, now);
        let replaced = replaced.map(|(name, until)| (name.to_string(), until));
        let away = relatives::away(&self.inventory, it);
        let parents = relatives::parents(&self.inventory, &id);
        if parents.are_open {
            self.waiting.insert(subject.clone());
        }
        Some(Seen {
            observation: self.inventory.get_mut(&id)?,
            continuity: &self.stream.continuity,
            lives: &self.stream.lives,
            deploy_until,
            named_until,
            replaced,
            away,
            parents,
        })
    }

    pub(super) fn touch(&mut self, subject: SubjectId) {
        self.touched.insert(subject);
    }

    pub(super) fn touch_all(&mut self) {
        self.touched.extend(self.inventory.subjects().cloned());
    }

    /// The subject and all below.
    pub(super) fn touch_below(&mut self, subject: &SubjectId) {
        let below = self.inventory.subjects().filter(|it| it.is_within(subject));
        self.touched.extend(below.cloned());
    }

    /// The next subject to be reconciled.
    pub(super) fn next_touched(&mut self) -> Option<SubjectId> {
        self.touched.pop_first()
    }

    /// It is being reconciled.
    pub(super) fn untouch(&mut self, subject: &SubjectId) {
        self.touched.remove(subject);
    }

    pub(super) fn inspect(&mut self, now: Moment, id: &ContainerId, out: &mut Outbox) {
        if self.inventory.get_mut(id).is_some_and(|it| it.begin_inspection(now)) {
            out.push(ContainerEffect::Inspect { id: id.clone() });
        }
    }

    pub(super) fn inspect_all(&mut self, now: Moment, out: &mut Outbox) {
        self.inventory.ids().iter().for_each(|id| self.inspect(now, id, out));
    }

    /// The containers were listed, and the event stream is open and whole.
    pub(super) fn is_ready(&self) -> bool {
        self.inventory.is_listed() && self.stream.is_whole()
    }

    /// Inspects it, if it is believed to run. True if it is.
    pub(super) fn inspect_if_running(&mut self, now: Moment, id: &ContainerId, out: &mut Outbox) -> bool {
        let it = self.inventory.get(id);
        let runs = it.is_some_and(|it| matches!(it.status(), Status::Running | Status::Paused));
        if runs {
            self.inspect(now, id, out);
        }
        runs
    }

    /// Inspects again what the last inspection left open, and what is in motion. False if the whole list is to be asked for
    /// instead: what happens may go unseen, or that is cheaper.
    pub(super) fn inspect_unsettled<'s>(
        &mut self,
        now: Moment,
        in_motion: impl Iterator<Item = &'s SubjectId>,
        out: &mut Outbox,
    ) -> bool {
        if !self.is_ready() || now < self.stream.continuity.whole_since() + WATCHED_CLOSELY {
            return false;
        }
        let in_motion = in_motion.filter_map(|sid| self.inventory.container_of(sid));
        let due = self.unsettled.due(&self.inventory, in_motion);
        due.iter().flatten().for_each(|id| self.inspect(now, id, out));
        due.is_some()
    }

    /// The stream is open; `began` = since when the engine answers, as it says. True for a new life of it.
    pub(super) fn engine_answers(&mut self, now: Moment, began: Option<EngineTime>) -> bool {
        let all = self.inventory.observations();
        let first = all.filter_map(ContainerObservation::unanswered_stop).min();
        self.stream.engine_answers(now, began, first)
    }

    /// The engine has begun a new life: the stops that the one before had not answered were its own.
    pub(super) fn disown_unanswered_stops(&mut self, now: Moment) {
        let all = self.inventory.observations_mut();
        all.for_each(ContainerObservation::disown_unanswered);
        // What it remembers of its start is still to come.
        if self.stream.continuity.gap_until().is_none() {
            self.stream.continuity.broke(now, false);
        }
    }

    /// The stream is open. True if events may have been lost before it.
    pub(super) fn stream_opened(&mut self, now: Moment) -> bool {
        self.stream.opened(now)
    }

    /// The stream is broken, for it `ended`, or this process did not look for a while. True if a new one is to be opened at once.
    pub(super) fn stream_broke(&mut self, now: Moment, ended: bool) -> bool {
        self.touch_all();
        self.stream.broke(now, ended)
    }

    /// The gap is over, and all that the engine remembered was taken in: the life that it has begun, if it has.
    pub(super) fn begin_life(&mut self, now: Moment) -> Option<Record> {
        let down = self.inventory.observations().filter(|it| it.status() == Status::Down);
        self.stream.begin_life(now, down.map(ContainerObservation::ended))
    }

    /// An event that the engine remembers of its own start: of a stop of its own. True if it was.
    pub(super) fn disown_stop(&mut self, event: &EngineEvent, signal: Option<u32>) -> bool {
        let its_own = self.stream.lives.is_its_own(event.at);
        if let Some(it) = self.inventory.get_mut(&event.id).filter(|_| its_own) {
            match signal {
                Some(_) => it.signals_mut().claim_newest_signal(),
                None => it.signals_mut().claim_newest_stop(),
            }
        }
        its_own
    }

    /// An event came: how the gap ended, if this ended it.
    pub(super) fn saw(&mut self, now: Moment, cursor: &EventCursor) -> Option<GapEnd> {
        let how = self.stream.continuity.saw(now, cursor);
        self.gap_ended(how)
    }

    /// How the gap ended, if its time was up.
    pub(super) fn settle(&mut self, now: Moment) -> Option<GapEnd> {
        let how = self.stream.continuity.settle(now);
        self.gap_ended(how)
    }

    fn gap_ended(&mut self, how: Option<GapEnd>) -> Option<GapEnd> {
        if how == Some(GapEnd::Whole) {
            self.inventory.observations_mut().for_each(|it| it.set_uncertain(false));
        }
        if how.is_some() {
            self.touch_all();
        }
        how
    }

    /// True if it is time to open the stream again.
    pub(super) fn wants_open(&mut self, now: Moment) -> bool {
        self.stream.continuity.wants_open(now)
    }

    /// Ends the deployments that have become quiet.
    pub(super) fn expire_deploys(&mut self, now: Moment) {
        if self.inventory.deployments_mut().expire(now) {
            self.touch_all();
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let all = [
            self.stream.continuity.next_deadline(),
            self.inventory.deployments().next(),
        ];
        all.into_iter().flatten().min()
    }

    /// What is known of the subject's present container.
    pub(super) fn observation_of_mut(&mut self, subject: &SubjectId) -> Option<&mut ContainerObservation> {
        let id = self.inventory.container_of(subject)?.clone();
        self.inventory.get_mut(&id)
    }

    /// Takes an event in.
    pub(super) fn take(&mut self, now: Moment, event: &EngineEvent, out: &mut Outbox) -> Taken {
        if self.inventory.get(&event.id).is_none() {
            if event.action == EventAction::Destroy {
                return Taken::Stranger;
            }
            if !self.inventory.admit(&event.id, now) {
                return Taken::TooMany;
            }
            self.inspect(now, &event.id, out);
        }
        let is_live = self.stream.continuity.is_live(now);
        self.stream.lives.saw(event);
        let it = self.inventory.get_mut(&event.id);
        if it.is_some_and(|it| it.take(now, event, is_live)) {
            self.touch_children(&event.id);
            self.inventory.heard(event);
            Taken::Fresh(self.follow_up(now, event))
        } else {
            Taken::Duplicate
        }
    }

    fn follow_up(&mut self, now: Moment, event: &EngineEvent) -> Followup {
        let happened = self.stream.happened(now, event);
        let is_set_aside = self.inventory.is_set_aside(&event.id, &event.name);
        let Some(it) = self.inventory.get_mut(&event.id) else {
            return Followup::Nothing;
        };
        match &event.action {
            EventAction::Rename { old_name } => {
                if is_set_aside {
                    self.touched.extend(self.inventory.detach(now, &event.id));
                }
                let replaced = self.inventory.named(happened, event, Some(old_name));
                self.replaced.extend(replaced);
            }
            EventAction::Create => {
                let replaced = self.inventory.named(happened, event, None);
                self.replaced.extend(replaced);
            }
            EventAction::Start => {
                if !is_set_aside {
                    let places = self.inventory.deployments_mut().started(event);
                    places.iter().for_each(|place| self.touch_below(place));
                }
            }
            EventAction::Kill { signal } if it.stop_terms().is_end(*signal) => return Followup::Stop(Some(*signal)),
            EventAction::Kill { signal } => return Followup::OtherSignal(*signal),
            EventAction::Stop => return Followup::Stop(None),
            EventAction::Restart | EventAction::Pause | EventAction::Unpause | EventAction::Update => {}
            // The word alone is no evidence: the runs behind it are.
            EventAction::Health(Health::Unhealthy) => {}
            EventAction::Die { .. } => {
                // The fast way needs no inspection; everything else about the end does, and so does the engine's back-off.
                let ran = it.view().is_some_and(|view| view.run == RunState::Running);
                let is_plain = it.is_current() && ran && it.ended_by_event() && !it.engine_restarts();
                if is_plain {
                    it.outdate_inspection();
                }
                self.inventory.deployments_mut().ended(happened, event);
                if is_plain {
                    return Followup::Nothing;
                }
            }
            EventAction::Oom | EventAction::Destroy | EventAction::Health(_) => return Followup::Nothing,
        }
        Followup::Inspect
    }

    /// The containers were listed, as asked for at that moment; `in_motion` = a repair of that subject is not over but for
    /// its verification. Returns those that are gone.
    pub(super) fn listed(
        &mut self,
        now: Moment,
        asked: Moment,
        entries: &[ListEntry],
        in_motion: impl Fn(&SubjectId) -> bool,
        out: &mut Outbox,
    ) -> Vec<ContainerId> {
        self.stream.continuity.answered(now);
        let entries = entries.iter().take(CONTAINERS_MAX);
        let there: BTreeSet<ContainerId> = entries.clone().map(|entry| entry.id.clone()).collect();
        for entry in entries {
            if self.inventory.get(&entry.id).is_none() && !self.inventory.admit(&entry.id, now) {
                continue;
            }
            if self.inventory.differs(entry) || self.inventory.subject_of(&entry.id).is_some_and(&in_motion) {
                self.inspect(now, &entry.id, out);
            } else if let Some(it) = self.inventory.get_mut(&entry.id)
                && it.status() == Status::Running
            {
                it.saw_alive(now);
            }
        }
        for id in never_started::stalest(self.inventory.observations()) {
            self.inspect(now, &id, out);
        }
        self.inventory.listed(asked, &there)
    }

    /// Subjects that the list has shown to be without a container are touched.
    pub(super) fn note_empty(&mut self, now: Moment) {
        self.touched.extend(self.inventory.note_empty(now));
    }

    /// A container was inspected; `in_repair` = a repair of that subject is of this container. Returns who holds it now.
    pub(super) fn inspected(
        &mut self,
        now: Moment,
        id: &ContainerId,
        view: ContainerView,
        in_repair: impl Fn(&SubjectId) -> bool,
        out: &mut Outbox,
    ) -> Option<Holder> {
        let it = self.inventory.get_mut(id)?;
        it.absorb(now, view);
        self.stream.continuity.answered(now);
        let answered = self.stream.continuity.is_open().then(|| it.stops_answered()).flatten();
        if it.needs_inspection() {
            self.inspect(now, id, out);
        }
        let Attached {
            touched,
            taken_up_by,
            replaced,
            moved_out,
        } = self.inventory.attach(now, id, in_repair);
        self.touched.extend(touched);
        self.replaced.extend(replaced);
        if let Some(other) = moved_out {
            self.inspect(now, &other, out);
        }
        self.touch_children(id);
        let subject = self.inventory.holder_of(id)?.clone();
        self.touched.insert(subject.clone());
        let is_new = taken_up_by.is_some();
        Some(Holder {
            subject,
            is_new,
            answered,
        })
    }

    /// The kernel shows that of a process of it.
    pub(super) fn process_seen(&mut self, now: Moment, id: &ContainerId, (pid, seen): (u32, &ProcessSeen)) {
        let Some(it) = self.inventory.get_mut(id) else { return };
        if !it.processes_mut().take(now, pid, seen) {
            return;
        }
        self.touched.extend(self.inventory.holder_of(id).cloned());
        self.touch_children(id);
    }

    /// How that container stands may have changed: those that depend on it are to be reconciled.
    pub(super) fn touch_children(&mut self, id: &ContainerId) {
        self.touched.extend(relatives::children(&self.inventory, id));
        if self.inventory.is_all_inspected() {
            self.touched.append(&mut self.waiting);
        }
    }

    /// An inspection failed: the list asks again in its own time.
    pub(super) fn inspection_failed(&mut self, id: &ContainerId) {
        if let Some(it) = self.inventory.get_mut(id) {
            it.inspection_failed();
        }
    }

    /// The engine's manual-stop flag was read, or not. Returns whose it is, if it was asked for.
    pub(super) fn flag_read(&mut self, id: &ContainerId, value: Option<bool>) -> Option<SubjectId> {
        let is_asked = self.inventory.get_mut(id).is_some_and(|it| it.flag_mut().read(value));
        let subject = self.inventory.subject_of(id).filter(|_| is_asked)?.clone();
        self.touched.insert(subject.clone());
        Some(subject)
    }

    /// The container is gone. Returns whose present one it was.
    pub(super) fn forget(&mut self, now: Moment, id: &ContainerId) -> Option<SubjectId> {
        self.touch_children(id);
        self.touched.extend(self.inventory.replaced_by(id));
        let subject = self.inventory.forget(now, id);
        self.touched.extend(subject.clone());
        // It was perhaps the last that was not inspected.
        self.touch_children(id);
        subject
    }

    /// A subject without a container: when it is to be forgotten, if no successor comes; `None` = not while nothing is listed.
    pub(super) fn empty_until(&mut self, now: Moment, subject: &SubjectId) -> Option<Moment> {
        self.inventory.empty_until(now, subject)
    }

    /// The subject is no more.
    pub(super) fn remove_subject(&mut self, subject: &SubjectId) {
        self.inventory.remove_subject(subject);
    }
}
