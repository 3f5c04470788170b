//! Takes in what the engine says: events, lists, looks, stop marks. Changes what is known and marks whom it touches.

use super::agent::{CONTAINERS_MAX, ContainerAgent, Mode};
use super::facts::{Facts, Mark, Signal, Status, word_of};
use super::io::{
    ContainerId, ContainerView, EngineError, EngineEvent, EventAction, Health, ListEntry, Record, RunState,
};
use super::labels::Labels;
use super::repair::Step;
use super::subject::{Cause, Death, Subject, compose_of, subject_of};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How long a subject outlives its container where no deployment is under way.
const EMPTY_FOR: Duration = Duration::from_secs(5);
/// Most compose services whose deployment is remembered.
const DEPLOYS_MAX: usize = 1024;

impl ContainerAgent {
    pub(crate) fn on_event(&mut self, now: Moment, event: &EngineEvent) {
        let place = (event.at, event.id.clone(), word_of(&event.action));
        if let Some(how) = self.stream.saw(now, &place) {
            self.gap_ended(now, how);
        }
        if !self.facts.contains_key(&event.id) && !self.admit(now, event) {
            return;
        }
        let Some(mut facts) = self.facts.remove(&event.id) else {
            return;
        };
        let fresh = facts.take(now, event, self.stream.is_live(now));
        if fresh {
            self.counters.events += 1;
            self.react(now, &mut facts, event);
        } else {
            self.counters.duplicates += 1;
        }
        let subject = facts.subject.clone();
        self.facts.insert(event.id.clone(), facts);
        if fresh && event.action == EventAction::Destroy {
            self.forget(now, &event.id, true);
        }
        // The repair first, the bookmark after it: what is lost between is replayed, and harmless.
        if let Some(subject) = subject {
            self.touched.remove(&subject);
            self.reconcile(now, &subject);
        }
        let is_newest = self.stream.last.as_ref() == Some(&place);
        if fresh && is_newest && self.stream.gap_until().is_none() {
            self.bookmark();
        }
    }

    /// A container that was never heard of. False if it needs no memory.
    fn admit(&mut self, now: Moment, event: &EngineEvent) -> bool {
        if CONTAINERS_MAX <= self.facts.len() {
            let why = alloc::format!("more than {CONTAINERS_MAX} containers: further ones are not watched");
            self.condition("containers", Err(why));
            return false;
        }
        if event.action == EventAction::Destroy {
            return false;
        }
        self.facts.insert(event.id.clone(), Facts::new(event.id.clone(), now));
        self.look_at(now, &event.id);
        true
    }

    fn react(&mut self, now: Moment, facts: &mut Facts, event: &EngineEvent) {
        match &event.action {
            EventAction::Create | EventAction::Rename { .. } => {
                if let EventAction::Rename { .. } = event.action {
                    facts.name.clone_from(&event.name);
                    if Facts::is_temporary_name(&event.name) {
                        self.detach(now, facts);
                    }
                }
                self.deploys_begin(now, event);
                self.look(now, facts);
            }
            EventAction::Start => {
                if let Some(key) = &event.compose
                    && !Facts::is_temporary_name(&event.name)
                    && self.deploys.remove(key).is_some()
                {
                    self.touch_all();
                }
                self.look(now, facts);
            }
            EventAction::Kill { signal } if facts.is_stop_signal(*signal) => self.on_stop_signal(now, facts, event),
            EventAction::Stop => self.on_stop(now, facts, event),
            EventAction::Restart | EventAction::Pause | EventAction::Unpause | EventAction::Update => {
                self.look(now, facts);
            }
            EventAction::Die { .. } => {
                self.deploys_go_on(now, event);
                // The fast way needs no look; everything else about the end does, and so does the engine's back-off.
                let ran = facts.view.as_ref().is_some_and(|it| it.run == RunState::Running);
                if facts.life_known && ran && facts.odd_die.is_none() && !facts.engine_restarts() {
                    facts.again = facts.inspecting.is_some();
                } else {
                    self.look(now, facts);
                }
            }
            EventAction::Kill { .. } | EventAction::Oom | EventAction::Destroy | EventAction::Health(_) => {}
        }
    }

    fn deploys_begin(&mut self, now: Moment, event: &EngineEvent) {
        let Some(key) = &event.compose else { return };
        if self.deploys.len() < DEPLOYS_MAX || self.deploys.contains_key(key) {
            self.deploys.insert(key.clone(), now + self.settings.deploy_quiet);
        }
    }

    fn deploys_go_on(&mut self, now: Moment, event: &EngineEvent) {
        if event.compose.as_ref().is_some_and(|key| self.deploys.contains_key(key)) {
            self.deploys_begin(now, event);
        }
    }

    /// Somebody had a stop signal sent: ours, or a person's?
    fn on_stop_signal(&mut self, now: Moment, facts: &mut Facts, event: &EngineEvent) {
        let Some(last) = facts.signals.back().copied() else {
            return;
        };
        let Some(sid) = facts.subject.clone() else { return };
        let Some(subject) = self
            .subjects
            .get_mut(&sid)
            .filter(|it| it.container.as_ref() == Some(&facts.id))
        else {
            return;
        };
        let came = self.stream.is_live(now).then_some(now);
        let stale = facts.view.is_some() && last.at < facts.began();
        let repair = subject.repair.as_ref().filter(|it| it.id == facts.id);
        // While our own stop is under way, the order of arrival tells what the stamp cannot.
        let in_order = came.is_some() && repair.is_some_and(|it| it.own.is_some() && !it.started);
        if (stale && !in_order) || subject.recovering.is_some() {
            let ours = repair.is_some();
            return self.odd_stop(now, facts, ours);
        }
        if let Some(repair) = subject.repair.as_mut().filter(|it| it.id == facts.id) {
            let whose = match &mut repair.own {
                Some(own) if !repair.started => own.signal(last.at, last.signal, came),
                _ => Err(alloc::format!(
                    "signal {} was sent through the engine during our repair",
                    last.signal
                )),
            };
            match whose {
                Ok(()) => {
                    facts.odd_stop = None;
                    return own_signal(facts, last);
                }
                Err(why) => repair.overruled = Some(why),
            }
        }
        if matches!(self.mode, Mode::HandsOff { .. }) {
            // The machine goes down and its engine stops every container: that is no wish to remember after the boot.
            return;
        }
        subject.signal_at = Some(now);
        // What a person asked for before this is not what they want now.
        subject.forced = false;
        if subject.death.is_some() && facts.foreign_stop().is_some() {
            subject.death = None;
        }
        self.journal(Record::StopSeen {
            subject: sid,
            id: facts.id.clone(),
            at: event.at,
            signal: last.signal,
        });
    }

    fn on_stop(&mut self, now: Moment, facts: &mut Facts, event: &EngineEvent) {
        let Some(sid) = facts.subject.clone() else { return };
        let Some(subject) = self.subjects.get_mut(&sid) else {
            return;
        };
        let came = self.stream.is_live(now).then_some(now);
        if subject.recovering.is_some() || event.at < facts.began() {
            let ours = subject.repair.as_ref().is_some_and(|it| it.id == facts.id);
            return self.odd_stop(now, facts, ours);
        }
        if let Some(repair) = subject.repair.as_mut().filter(|it| it.id == facts.id) {
            let whose = match &mut repair.own {
                Some(own) => own.stop(event.at, came),
                None => Err("a stop was carried out through the engine during our repair".to_string()),
            };
            match whose {
                Ok(()) => {
                    if let Some(stop) = facts.stops.back_mut() {
                        stop.1 = true;
                    }
                }
                Err(why) => repair.overruled = Some(why),
            }
            return;
        }
        // It may be the late half of a stop we have already judged, or the end of the engine's own back-off.
        if subject
            .death
            .as_ref()
            .is_some_and(|death| matches!(death.cause, Cause::Crash(_) | Cause::CannotTell(_)))
        {
            subject.death = None;
        }
        self.look(now, facts);
    }

    /// A stop of before this life, or of a clock that was set back since: then a look tells what came of it.
    fn odd_stop(&mut self, now: Moment, facts: &mut Facts, ours: bool) {
        if ours {
            facts.odd_stop = None;
        }
        if facts.odd_stop.as_ref().is_some_and(|(at, _)| *at == now) {
            self.look(now, facts);
        }
    }

    pub(crate) fn on_listed(&mut self, now: Moment, result: Result<Vec<ListEntry>, EngineError>) {
        let asked = self.list.asked.take().unwrap_or(now);
        let entries = match result {
            Ok(entries) => entries,
            Err(error) => {
                self.engine_failed(&error);
                self.list.next = self.list.next.min(now + Duration::from_secs(1));
                return;
            }
        };
        self.condition("engine", Ok("the engine answers".to_string()));
        self.list.done = true;
        let mut there = BTreeSet::new();
        for entry in entries.iter().take(CONTAINERS_MAX) {
            there.insert(entry.id.clone());
            self.compare(now, entry);
        }
        let gone: Vec<ContainerId> = self
            .facts
            .iter()
            .filter(|(id, facts)| !there.contains(*id) && facts.first_seen < asked)
            .map(|(id, _)| id.clone())
            .collect();
        gone.iter().for_each(|id| self.forget(now, id, false));
        // Remembered from the journal, but not there any more.
        for (sid, subject) in &mut self.subjects {
            if subject.container.is_none() && subject.empty_since.is_none() {
                subject.empty_since = Some(now);
                self.touched.insert(sid.clone());
            }
        }
    }

    /// Looks closer where the list shows something else than what is known.
    fn compare(&mut self, now: Moment, entry: &ListEntry) {
        if !self.facts.contains_key(&entry.id) {
            if self.facts.len() < CONTAINERS_MAX {
                self.facts.insert(entry.id.clone(), Facts::new(entry.id.clone(), now));
                self.look_at(now, &entry.id);
            }
            return;
        }
        let Some(mut facts) = self.facts.remove(&entry.id) else {
            return;
        };
        let as_known = match entry.run {
            RunState::Running => facts.status() == Status::Running,
            RunState::Paused => facts.status() == Status::Paused,
            RunState::Restarting => facts.status() == Status::Backoff,
            RunState::Exited | RunState::Dead => facts.status() == Status::Down,
            RunState::Created => facts.status() == Status::Created,
            RunState::Removing => facts.status() == Status::Removing,
        };
        let same_health = entry.run != RunState::Running || entry.health == facts.health;
        let must_look = facts
            .subject
            .as_ref()
            .and_then(|sid| self.subjects.get(sid))
            .is_some_and(|it| {
                it.repair
                    .as_ref()
                    .is_some_and(|repair| !matches!(repair.step, Step::Verifying { .. }))
            });
        // The engine's restarts between two lists show in its count only.
        let restless = facts.status() == Status::Backoff;
        let renamed = facts.moves || facts.name != entry.name;
        if !as_known || !same_health || !facts.life_known || renamed || must_look || restless {
            self.look(now, &mut facts);
        } else if facts.status() == Status::Running {
            facts.alive_at = facts.alive_at.max(Some(now));
        }
        self.facts.insert(entry.id.clone(), facts);
    }

    pub(crate) fn on_inspected(&mut self, now: Moment, id: &ContainerId, result: Result<ContainerView, EngineError>) {
        let Some(mut facts) = self.facts.remove(id) else { return };
        let asked = facts.inspecting.take().unwrap_or(now);
        let view = match result {
            Ok(view) => view,
            Err(EngineError::NotFound) => {
                self.facts.insert(id.clone(), facts);
                return self.forget(now, id, false);
            }
            Err(error) => {
                // The list asks again in its own time.
                self.engine_failed(&error);
                self.facts.insert(id.clone(), facts);
                return;
            }
        };
        facts.absorb(now, asked, view);
        if facts.again || !facts.life_known {
            self.look(now, &mut facts);
        }
        self.attach(now, &mut facts);
        if let Some(sid) = &facts.subject {
            self.touched.insert(sid.clone());
        }
        self.facts.insert(id.clone(), facts);
        self.touch_those_that_join(id);
    }

    fn touch_those_that_join(&mut self, owner: &ContainerId) {
        let joins = |it: &&Facts| it.view.as_ref().is_some_and(|view| view.joins.as_ref() == Some(owner));
        let waiting = self.facts.values().filter(joins).filter_map(|it| it.subject.clone());
        self.touched.extend(waiting);
    }

    pub(crate) fn on_mark(&mut self, id: &ContainerId, manually_stopped: Option<bool>) {
        let Some(facts) = self.facts.get_mut(id) else { return };
        if !matches!(facts.mark, Mark::Asked(_)) {
            return;
        }
        facts.mark = Mark::Known(manually_stopped);
        let Some(sid) = facts.subject.clone() else { return };
        // It may come after it was waited for: then it tells what nothing could.
        if let (Some(subject), true) = (self.subjects.get_mut(&sid), manually_stopped.is_some()) {
            let told = |death: &mut Death| matches!(death.cause, Cause::CannotTell(_));
            subject.death.take_if(told);
        }
        self.touched.insert(sid);
    }

    /// Finds the container's subject by its last look, and makes it that subject's container.
    fn attach(&mut self, now: Moment, facts: &mut Facts) {
        let Some(view) = &facts.view else { return };
        let Some(mut sid) = subject_of(&self.settings.engine, view) else {
            return self.detach(now, facts);
        };
        let labels = Labels::read(&view.labels, &self.settings);
        // Renamed during our repair: what ends it must be told from our own stop, so it moves when that is over.
        let in_repair = |old: &SubjectId| {
            let repair = self.subjects.get(old).and_then(|it| it.repair.as_ref());
            *old != sid && repair.is_some_and(|it| it.id == facts.id)
        };
        facts.moves = facts.subject.as_ref().is_some_and(in_repair);
        if facts.moves {
            self.touched.extend(facts.subject.clone());
            return;
        }
        let taken = |agent: &Self, sid: &SubjectId| {
            let owner = agent.subjects.get(sid).and_then(|it| it.container.clone());
            owner.is_some_and(|owner| owner != facts.id && agent.facts.contains_key(&owner))
        };
        if taken(self, &sid) && facts.subject.as_ref() != Some(&sid) {
            // Two containers claim one place (a project started from two folders): the second goes by its name.
            sid = self.settings.engine.outer_child(&view.name);
            if taken(self, &sid) {
                // Perhaps that one is about to be known by another name: asked again with the next list.
                facts.moves = true;
                return;
            }
        }
        if facts.subject.as_ref() != Some(&sid) {
            self.detach(now, facts);
            facts.subject = Some(sid.clone());
        }
        let subject = self.subjects.entry(sid.clone()).or_default();
        if subject.container.as_ref() != Some(&facts.id) {
            subject.container = Some(facts.id.clone());
            subject.death = None;
            subject.signal_at = None;
        }
        subject.empty_since = None;
        subject.labels = labels;
        self.touched.insert(sid);
    }

    /// The container belongs to no subject (any more): compose gave it a temporary name.
    fn detach(&mut self, now: Moment, facts: &mut Facts) {
        let Some(sid) = facts.subject.take() else { return };
        if let Some(subject) = self
            .subjects
            .get_mut(&sid)
            .filter(|it| it.container.as_ref() == Some(&facts.id))
        {
            subject.container = None;
            subject.empty_since = Some(now);
        }
        self.touched.insert(sid);
    }

    /// The container is gone. `seen` = its removal was an event: somebody's act.
    pub(crate) fn forget(&mut self, now: Moment, id: &ContainerId, seen: bool) {
        let Some(facts) = self.facts.remove(id) else { return };
        self.touch_those_that_join(id);
        let Some(sid) = facts.subject else { return };
        let Some(subject) = self
            .subjects
            .get_mut(&sid)
            .filter(|it| it.container.as_ref() == Some(id))
        else {
            return;
        };
        subject.container = None;
        subject.empty_since = Some(now);
        subject.death = None;
        if let Some(repair) = &mut subject.repair {
            let why = if seen {
                "it was removed during our repair"
            } else {
                "it is gone"
            };
            repair.overruled.get_or_insert(why.to_string());
        }
        self.touched.insert(sid);
    }

    /// A subject without a container: it is forgotten when no successor comes. True = gone.
    pub(crate) fn outlived(&mut self, now: Moment, sid: &SubjectId, subject: &mut Subject) -> bool {
        let since = *subject.empty_since.get_or_insert(now);
        let deploy = self.deploy_of(sid);
        let until = deploy.unwrap_or(since).max(since + EMPTY_FOR);
        if !self.list.done {
            return false;
        }
        if now < until {
            subject.wake_at(until);
            return false;
        }
        self.journal(Record::Gone { subject: sid.clone() });
        self.frontend.report_gone(now, sid);
        true
    }

    /// The quiet moment of the deployment a subject (by its path) is part of.
    fn deploy_of(&self, sid: &SubjectId) -> Option<Moment> {
        let of = |key: &(String, String)| sid.is_within(&self.settings.engine.outer_child(&key.0).outer_child(&key.1));
        self.deploys.iter().find(|(key, _)| of(key)).map(|(_, at)| *at)
    }

    pub(crate) fn deploy_until(&self, facts: &Facts) -> Option<Moment> {
        let key = compose_of(facts.view.as_ref()?)?;
        self.deploys.get(&key).copied()
    }
}

fn own_signal(facts: &mut Facts, which: Signal) {
    if let Some(it) = facts.signals.iter_mut().rev().find(|it| **it == which) {
        it.own = true;
    }
}

/// True for a container whose health check fails.
pub(crate) fn is_unhealthy(facts: &Facts) -> bool {
    facts.status() == Status::Running && facts.health == Health::Unhealthy
}
