//! Takes in what the engine says: stream, events, lists, inspections, flags, answers. Changes what is known and marks the
//! subjects that it touches. Does not reconcile them and decides nothing.

use super::*;

impl ContainerFleet {
    pub(crate) fn stream_opened(&mut self, now: Moment, out: &mut Outbox) {
        if self.continuity.opened(now) {
            self.events_lost(out);
            self.inventory.ids().iter().for_each(|id| self.inspect(now, id, out));
        }
    }

    /// The event stream is broken (`ended`), or this process did not look for a while.
    pub(crate) fn stream_broke(&mut self, now: Moment, ended: bool, out: &mut Outbox) {
        if ended {
            self.doubt_recent_stops(now, out);
        }
        if self.continuity.broke(now, ended) {
            self.subscribe(out);
        }
        self.touch_all();
    }

    pub(super) fn gap_ended(&mut self, now: Moment, how: GapEnd, climate: Climate<'_>, out: &mut Outbox) {
        match how {
            GapEnd::Whole => self.inventory.observations_mut().for_each(|it| it.set_uncertain(false)),
            GapEnd::Lossy { engine_away } => {
                self.events_lost(out);
                // The engine's calls ended with it: what it did of them, the containers show.
                let lost = if engine_away { self.calls.tickets() } else { Vec::new() };
                lost.into_iter().for_each(|ticket| self.engine_went(now, ticket));
            }
        }
        self.write_cursor(climate, out);
        self.touch_all();
    }

    pub(super) fn engine_went(&mut self, now: Moment, ticket: Ticket) {
        let watched = self.calls.subject_of(ticket).and_then(|sid| self.watched.get_mut(sid));
        let Some(watched) = watched else { return };
        if watched
            .supervisor
            .repair_mut()
            .is_none_or(|repair| repair.engine_went(now))
        {
            self.calls.close(ticket);
        }
    }

    /// Writes down the newest event taken. Never inside a gap, nor while nothing is judged: the cursor says that everything
    /// before it was.
    pub(super) fn write_cursor(&self, climate: Climate<'_>, out: &mut Outbox) {
        if !climate.is_leaving
            && let Some((at, id, action)) = self.continuity.cursor().cloned()
        {
            out.journal(Record::LastEvent { at, id, action });
        }
    }

    pub(super) fn events_lost(&mut self, out: &mut Outbox) {
        let lost = self.watched.values_mut().filter_map(|it| it.subject.events_lost());
        lost.for_each(|record| out.journal(record));
    }

    pub(super) fn doubt_recent_stops(&mut self, now: Moment, out: &mut Outbox) {
        let slowest = self
            .inventory
            .observations()
            .map(ContainerObservation::stop_window)
            .max();
        let within = LIFECYCLE_WITHIN + slowest.unwrap_or(Duration::ZERO);
        for (sid, Watched { subject, supervisor }) in &mut self.watched {
            let id = self.inventory.container_of(sid).cloned();
            let Some(it) = id.and_then(|id| self.inventory.get_mut(&id)) else {
                continue;
            };
            let record = subject.doubt_recent_stop(now, within, it, supervisor.supervision_mut());
            record.into_iter().for_each(|record| out.journal(record));
        }
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
        if let Some(how) = self.continuity.saw(now, &cursor) {
            self.gap_ended(now, how, climate, out);
        }
        if self.inventory.get(&event.id).is_none() {
            if event.action == EventAction::Destroy {
                return true;
            }
            if !self.inventory.admit(&event.id, now) {
                return false;
            }
            self.inspect(now, &event.id, out);
        }
        let is_live = self.continuity.is_live(now);
        let fresh = self
            .inventory
            .get_mut(&event.id)
            .is_some_and(|it| it.take(now, event, is_live));
        if fresh {
            self.counters.events += 1;
            self.react(now, event, climate, out);
        } else {
            self.counters.duplicates += 1;
        }
        let subject = self.inventory.subject_of(&event.id).cloned();
        if fresh && event.action == EventAction::Destroy {
            self.forget(now, &event.id, "it was removed during our repair");
        }
        // The repair first, the cursor after it: what is lost between is replayed, and harmless.
        if let Some(subject) = subject {
            self.dirty.remove(&subject);
            self.reconcile(now, &subject, climate, out);
        }
        if fresh && self.continuity.cursor() == Some(&cursor) && self.continuity.gap_until().is_none() {
            self.write_cursor(climate, out);
        }
        true
    }

    pub(super) fn react(&mut self, now: Moment, event: &EngineEvent, climate: Climate<'_>, out: &mut Outbox) {
        let is_temporary = is_temporary_name(&event.name);
        let Some(it) = self.inventory.get_mut(&event.id) else {
            return;
        };
        let inspects = match &event.action {
            EventAction::Rename { .. } => {
                if is_temporary {
                    self.dirty.extend(self.inventory.detach(now, &event.id));
                }
                self.inventory.deploy_begins(now, event.compose.as_ref());
                true
            }
            EventAction::Create => {
                self.inventory.deploy_begins(now, event.compose.as_ref());
                true
            }
            EventAction::Start => {
                if !is_temporary && self.inventory.deploy_ends(event.compose.as_ref()) {
                    self.touch_all();
                }
                true
            }
            EventAction::Kill { signal } => {
                it.is_stop_signal(*signal) && self.on_signal(now, event, Some(*signal), climate, out)
            }
            EventAction::Stop => self.on_signal(now, event, None, climate, out),
            EventAction::Restart | EventAction::Pause | EventAction::Unpause | EventAction::Update => true,
            EventAction::Die { .. } => {
                // The fast way needs no inspection; everything else about the end does, and so does the engine's back-off.
                let ran = it.view().is_some_and(|view| view.run == RunState::Running);
                let is_plain = it.is_current() && ran && !it.has_odd_end() && !it.engine_restarts();
                if is_plain {
                    it.outdate_inspection();
                }
                self.inventory.deploy_goes_on(now, event.compose.as_ref());
                !is_plain
            }
            EventAction::Oom | EventAction::Destroy | EventAction::Health(_) => false,
        };
        if inspects {
            self.inspect(now, &event.id, out);
        }
    }

    /// A stop signal was sent or a stop (`signal` = `None`) carried out: ours, or a person's? True if an inspection is to
    /// tell what came of it.
    pub(super) fn on_signal(
        &mut self,
        now: Moment,
        event: &EngineEvent,
        signal: Option<u32>,
        climate: Climate<'_>,
        out: &mut Outbox,
    ) -> bool {
        let came = self.continuity.is_live(now).then_some(now);
        let holder = match signal {
            Some(_) => self.inventory.holder_of(&event.id),
            None => self.inventory.subject_of(&event.id),
        };
        let Some(sid) = holder.cloned() else { return false };
        let (Some(watched), Some(it)) = (self.watched.get_mut(&sid), self.inventory.get_mut(&event.id)) else {
            return false;
        };
        let Watched { subject, supervisor } = watched;
        let (at, is_recovering) = (event.at, subject.recovering().is_some());
        let stop = StopEvent { at, signal, came };
        match take_stop_event(stop, it, supervisor.repair_mut(), is_recovering) {
            SignalOrigin::Repair => return false,
            SignalOrigin::Odd => return it.has_odd_stop_of(now),
            SignalOrigin::Foreign => {}
        }
        let supervision = supervisor.supervision_mut();
        let Some(signal) = signal else {
            // It may be the late half of a stop that was classified already, or the end of the engine's own back-off.
            let class = supervision.exit().map(|exit| (exit.class(), exit.asked_by().is_some()));
            if matches!(class, Some((ExitClass::Crash, _) | (ExitClass::CannotTell, _))) {
                supervision.clear_exit();
            }
            return true;
        };
        // The machine goes down, said or not, and its engine stops every container: that is no wish to remember after the boot.
        if !climate.is_leaving {
            subject.foreign_signal(now, it, supervision);
            let (subject, id) = (sid, event.id.clone());
            out.journal(Record::StopSeen {
                subject,
                id,
                at,
                signal,
            });
        }
        false
    }

    /// The containers were listed, as asked for at that moment.
    pub(crate) fn on_listed(&mut self, now: Moment, asked: Moment, entries: &[ListEntry], out: &mut Outbox) {
        let entries = entries.iter().take(CONTAINERS_MAX);
        let there: BTreeSet<ContainerId> = entries.clone().map(|entry| entry.id.clone()).collect();
        for entry in entries {
            if self.inventory.get(&entry.id).is_none() && !self.inventory.admit(&entry.id, now) {
                continue;
            }
            let repair = self
                .inventory
                .subject_of(&entry.id)
                .and_then(|sid| self.watched.get(sid));
            let repair = repair.and_then(|it| it.supervisor.repair());
            if self.inventory.differs(entry) || repair.is_some_and(|repair| !repair.is_verifying()) {
                self.inspect(now, &entry.id, out);
            } else if let Some(it) = self
                .inventory
                .get_mut(&entry.id)
                .filter(|it| it.status() == Status::Running)
            {
                it.saw_alive(now);
            }
        }
        for id in self.inventory.listed(asked, &there) {
            self.forget(now, &id, "it is gone");
        }
        self.dirty.extend(self.inventory.note_empty(now));
    }

    pub(crate) fn on_inspected(&mut self, now: Moment, id: &ContainerId, view: ContainerView, out: &mut Outbox) {
        let labels = Labels::read(&view.labels, &self.settings);
        let Some(it) = self.inventory.get_mut(id) else { return };
        it.absorb(now, view);
        if it.needs_inspection() {
            self.inspect(now, id, out);
        }
        let watched = &self.watched;
        let in_repair = |sid: &SubjectId| watched.get(sid).is_some_and(|it| it.repairs(id));
        let Attached { touched, taken_up_by } = self.inventory.attach(now, id, in_repair);
        self.dirty.extend(touched);
        if let Some(sid) = self.inventory.holder_of(id).cloned() {
            let watched = self
                .watched
                .entry(sid.clone())
                .or_insert_with(|| Watched::new(sid.clone()));
            if taken_up_by.is_some() {
                watched.subject.present_mut().forget_signal();
                watched.supervisor.supervision_mut().clear_exit();
            }
            let policy = labels.policy(&self.policy);
            watched.supervisor.supervision_mut().apply_policy(&policy);
            watched.subject.set_labels(labels);
            self.dirty.insert(sid);
        }
        self.dirty.extend(self.inventory.joiners(id));
    }

    pub(crate) fn inspection_failed(&mut self, now: Moment, id: &ContainerId, error: &EngineError) {
        if *error == EngineError::NotFound {
            self.forget(now, id, "it is gone");
        } else if let Some(it) = self.inventory.get_mut(id) {
            // The list asks again in its own time.
            it.inspection_failed();
        }
    }

    pub(crate) fn on_flag(&mut self, id: &ContainerId, value: Option<bool>) {
        if !self.inventory.get_mut(id).is_some_and(|it| it.flag_read(value)) {
            return;
        }
        let Some(sid) = self.inventory.subject_of(id) else {
            return;
        };
        // It may come after it was waited for: then it tells what nothing could.
        if let (Some(watched), true) = (self.watched.get_mut(sid), value.is_some()) {
            let supervision = watched.supervisor.supervision_mut();
            let untold = |exit: &&crate::supervisor::ExitRecord| {
                exit.class() == ExitClass::CannotTell && exit.asked_by().is_none()
            };
            if supervision.exit().filter(untold).is_some() {
                supervision.clear_exit();
            }
        }
        self.dirty.insert(sid.clone());
    }

    /// The container is gone.
    pub(super) fn forget(&mut self, now: Moment, id: &ContainerId, why: &str) {
        self.dirty.extend(self.inventory.joiners(id));
        let Some(sid) = self.inventory.forget(now, id) else {
            return;
        };
        if let Some(Watched { supervisor, .. }) = self.watched.get_mut(&sid) {
            supervisor.supervision_mut().clear_exit();
            if let Some(repair) = supervisor.repair_mut() {
                repair.overrule(why);
            }
        }
        self.dirty.insert(sid);
    }

    /// The engine answered a call, or did not within its deadline.
    pub(crate) fn on_performed(
        &mut self,
        now: Moment,
        ticket: Ticket,
        result: Result<Performed, EngineError>,
        out: &mut Outbox,
    ) {
        let Some(sid) = self.calls.subject_of(ticket).cloned() else {
            return;
        };
        let is_lost = result == Err(EngineError::Deadline);
        if is_lost {
            self.calls.lose(ticket);
        } else {
            self.calls.close(ticket);
        }
        let Some(Watched { supervisor, .. }) = self.watched.get_mut(&sid) else {
            return;
        };
        self.dirty.insert(sid.clone());
        let Some(repair) = supervisor.repair_mut() else { return };
        let Some(acts) = repair.answered(now, ticket, result) else {
            return;
        };
        let lost = repair.lost_call().filter(|_| is_lost);
        let lost = lost.map(|call| (call, repair.incarnation().clone()));
        let commands: Vec<Command> = acts
            .into_iter()
            .map(|act| Command::of(&sid, now, repair, act, &self.settings))
            .collect();
        if let Some((call, life)) = lost {
            let why = format!(
                "the engine did not answer {call} in time: inspect, wait, never post it again; a person is needed"
            );
            let detail = format!("{call} was posted and may still be under way in the engine");
            let fact = Evidence::new(EvidenceKind::EngineProbe, now, format!("{call} passed its deadline"));
            let draft = Draft::new(sid, ActionKind::Escalate, why)
                .incarnation(life)
                .evidence(vec![fact])
                .guards(vec![GuardAnswer::blocked(Guard::InFlight, detail)]);
            self.record(now, draft, out);
        }
        for command in commands {
            match command {
                Command::Inspect(id) => self.inspect(now, &id, out),
                Command::Journal(record) => out.journal(record),
                Command::ReadFlag(_) | Command::Replay | Command::Post { .. } => {}
            }
        }
    }
}
