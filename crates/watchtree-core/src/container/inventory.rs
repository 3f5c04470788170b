//! Who is who: the containers of the engine, the subject of each, the list, the deployments under way, and who took whose name.
//!
//! A subject is compose project, service and number, else the container's name; it outlives its container for a while, for
//! a successor may come. Does not know how well anything is.

use super::dependencies::Dependencies;
use super::deployments::Deployments;
use super::io::{ContainerId, EngineEvent, EngineTime, EventAction, ListEntry, RunState};
use super::naming::{id_and_name, is_its_own_id, replaces, subject_of};
use super::observation::{ContainerObservation, Status};
use super::succession::Successions;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most containers that are watched.
pub(crate) const CONTAINERS_MAX: usize = 8192;
/// How long a subject outlives its container where no deployment is under way.
const EMPTY_FOR: Duration = Duration::from_secs(5);

/// Two that ran beside each other for so long do not exclude each other: the one is no replacement of the other any more.
const BESIDE: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
struct Container {
    observation: ContainerObservation,
    subject: Option<SubjectId>,
    /// Its name at the last attachment; empty = none yet.
    name: String,
    /// It has a new name, and goes to its new subject when the repair under way is over, or that subject is free.
    moves: bool,
}

#[derive(Clone, Debug, Default)]
struct Place {
    container: Option<ContainerId>,
    /// Since when it has no container.
    empty_since: Option<Moment>,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Inventory {
    engine: SubjectId,
    containers: BTreeMap<ContainerId, Container>,
    places: BTreeMap<SubjectId, Place>,
    deployments: Deployments,
    successions: Successions,
    dependencies: Dependencies,
    /// Those that were not inspected yet.
    uninspected: BTreeSet<ContainerId>,
    /// Those that a stop was heard of since they were last inspected.
    stops_heard: BTreeSet<ContainerId>,
    is_listed: bool,
}

/// What an attachment changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attached {
    /// Subjects about which something changed.
    pub(crate) touched: Vec<SubjectId>,
    /// The subject that has this container now, if it had another or none before.
    pub(crate) taken_up_by: Option<SubjectId>,
    /// Containers whose name another one was given.
    pub(crate) replaced: Vec<ContainerId>,
    /// The container that had to leave its subject to its successor, and is to be inspected for its new one.
    pub(crate) moved_out: Option<ContainerId>,
}

impl Inventory {
    /// Of the engine of that name; a deployment is over when no sign of it came for `deploy_quiet`.
    pub(crate) fn new(engine: SubjectId, deploy_quiet: Duration) -> Self {
        Self {
            deployments: Deployments::new(engine.clone(), deploy_quiet),
            engine,
            containers: BTreeMap::new(),
            places: BTreeMap::new(),
            successions: Successions::default(),
            dependencies: Dependencies::default(),
            uninspected: BTreeSet::new(),
            stops_heard: BTreeSet::new(),
            is_listed: false,
        }
    }

    /// A subject that the journal remembers, with the container it had.
    pub(crate) fn restore(&mut self, subject: SubjectId, observation: Option<ContainerObservation>) {
        let container = observation.as_ref().map(|it| it.id().clone());
        let place = Place {
            container,
            empty_since: None,
        };
        self.places.insert(subject.clone(), place);
        if let Some(observation) = observation {
            let (id, subject) = (observation.id().clone(), Some(subject));
            self.uninspected.insert(id.clone());
            self.containers.entry(id).or_insert(Container {
                observation,
                subject,
                name: String::new(),
                moves: false,
            });
        }
    }

    pub(crate) fn get(&self, id: &ContainerId) -> Option<&ContainerObservation> {
        self.containers.get(id).map(|it| &it.observation)
    }

    pub(crate) fn get_mut(&mut self, id: &ContainerId) -> Option<&mut ContainerObservation> {
        self.containers.get_mut(id).map(|it| &mut it.observation)
    }

    pub(crate) fn observations(&self) -> impl Iterator<Item = &ContainerObservation> {
        self.containers.values().map(|it| &it.observation)
    }

    pub(crate) fn observations_mut(&mut self) -> impl Iterator<Item = &mut ContainerObservation> {
        self.containers.values_mut().map(|it| &mut it.observation)
    }

    /// Every subject, with a container or remembered without one.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &SubjectId> {
        self.places.keys()
    }

    pub(crate) fn ids(&self) -> Vec<ContainerId> {
        self.containers.keys().cloned().collect()
    }

    /// The containers were listed at least once.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// The subject that the container belongs to, whether or not it is that subject's present one.
    pub(crate) fn subject_of(&self, id: &ContainerId) -> Option<&SubjectId> {
        self.containers.get(id)?.subject.as_ref()
    }

    /// The subject whose present container it is.
    pub(crate) fn holder_of(&self, id: &ContainerId) -> Option<&SubjectId> {
        let subject = self.subject_of(id)?;
        (self.container_of(subject) == Some(id)).then_some(subject)
    }

    pub(crate) fn container_of(&self, subject: &SubjectId) -> Option<&ContainerId> {
        self.places.get(subject)?.container.as_ref()
    }

    /// What is known of the subject's present container.
    pub(crate) fn observation_of(&self, subject: &SubjectId) -> Option<&ContainerObservation> {
        self.get(self.container_of(subject)?)
    }

    /// Begins to watch a container that was never heard of. False if there are too many.
    pub(crate) fn admit(&mut self, id: &ContainerId, now: Moment) -> bool {
        if CONTAINERS_MAX <= self.containers.len() {
            return false;
        }
        self.uninspected.insert(id.clone());
        self.containers.insert(
            id.clone(),
            Container {
                observation: ContainerObservation::new(id.clone(), now),
                subject: None,
                name: String::new(),
                moves: false,
            },
        );
        true
    }

    /// An event of a container was taken in.
    pub(crate) fn heard(&mut self, event: &EngineEvent) {
        if matches!(event.action, EventAction::Kill { .. } | EventAction::Stop)
            && self.containers.contains_key(&event.id)
        {
            self.stops_heard.insert(event.id.clone());
        }
    }

    /// Has the engine not yet answered after a stop of somebody else?
    pub(crate) fn has_unanswered_stop(&self) -> bool {
        let mut heard = self.stops_heard.iter().filter_map(|id| self.get(id));
        heard.any(|it| it.unanswered_stop().is_some())
    }

    /// Finds the container's subject by its last inspection, and makes it that subject's container. While a repair of the
    /// container is under way it stays where it is: what ends it must be told from our own stop.
    pub(crate) fn attach(&mut self, now: Moment, id: &ContainerId, in_repair: impl Fn(&SubjectId) -> bool) -> Attached {
        let mut out = Attached::default();
        let Some(it) = self.containers.get(id) else { return out };
        let (Some(view), old) = (it.observation.view(), it.subject.clone()) else {
            return out;
        };
        let (name, set_aside) = (view.name.clone(), self.is_set_aside(id, &view.name));
        self.uninspected.remove(id);
        if it.observation.unanswered_stop().is_none() {
            self.stops_heard.remove(id);
        }
        let concerned = self.dependencies.set(id, view, set_aside);
        out.touched
            .extend(concerned.iter().filter_map(|id| self.subject_of(id).cloned()));
        let (by_name, mut subject) = (self.engine.outer_child(&name), subject_of(&self.engine, view));
        out.replaced = self.note_name(now, id, &name, old.as_ref());
        if set_aside {
            out.touched.extend(self.detach(now, id));
            return out;
        }
        if self.successions.replaced(id).is_some() {
            // Its successor has the same labels.
            subject = by_name.clone();
        }
        let moves = old.as_ref().is_some_and(|old| *old != subject && in_repair(old));
        let mut waits = moves;
        out.moved_out = self.make_room(now, &subject, id, &in_repair);
        if !moves && old.as_ref() != Some(&subject) && self.is_taken(&subject, id) {
            // Two containers claim one place (a project started from two folders): the second goes by its name. Where that
            // is taken too, perhaps that one is about to be known by another name: asked again with the next list.
            subject = by_name;
            waits = self.is_taken(&subject, id);
        }
        if let Some(it) = self.containers.get_mut(id) {
            it.moves = waits;
        }
        if waits {
            out.touched.extend(old.filter(|_| moves));
            return out;
        }
        if old.as_ref() != Some(&subject) {
            out.touched.extend(self.detach(now, id));
            if let Some(it) = self.containers.get_mut(id) {
                it.subject = Some(subject.clone());
            }
        }
        let place = self.places.entry(subject.clone()).or_default();
        if place.container.as_ref() != Some(id) {
            place.container = Some(id.clone());
            out.taken_up_by = Some(subject.clone());
        }
        place.empty_since = None;
        out.touched.push(subject);
        out
    }

    /// Notes under which name it is known. Returns the containers that are replaced by that.
    fn note_name(&mut self, now: Moment, id: &ContainerId, name: &str, old: Option<&SubjectId>) -> Vec<ContainerId> {
        let Some(it) = self.containers.get_mut(id) else {
            return Vec::new();
        };
        let mut before = core::mem::replace(&mut it.name, name.to_string());
        if before == name {
            return Vec::new();
        }
        let is_news =
            |old: &&SubjectId| old.parent().as_ref() == Some(&self.engine) && **old != self.engine.outer_child(name);
        if let Some(old) = old.filter(|_| before.is_empty()).filter(is_news) {
            // The journal knows it by another name.
            before = old.last().to_string();
        }
        self.renamed(now, id, (&before, name))
    }

    /// It has another name than before (empty = it had none). Returns the containers that are replaced by that, itself too.
    fn renamed(&mut self, now: Moment, id: &ContainerId, (before, name): (&str, &str)) -> Vec<ContainerId> {
        if before != name && !before.is_empty() {
            let is_given = self.successions.is_left(now, name);
            self.successions.renamed(now, id, (before, name), is_given);
        }
        let mut replaced: Vec<_> = self.successions.taken(now, name, id).cloned().collect();
        if before.is_empty() {
            return replaced;
        }
        // Seen late, and in any order: perhaps its old name has a new owner already.
        let mut others = self.containers.iter().filter(|(other, _)| *other != id);
        if let Some((other, _)) = others.find(|(_, it)| it.name == before) {
            replaced.extend(self.successions.taken(now, before, other).cloned());
        }
        replaced
    }

    /// Where another container of that subject was replaced by this one, it leaves the subject to it. Returns which did.
    fn make_room(
        &mut self,
        now: Moment,
        subject: &SubjectId,
        id: &ContainerId,
        in_repair: impl Fn(&SubjectId) -> bool,
    ) -> Option<ContainerId> {
        let owner = self.container_of(subject).filter(|owner| *owner != id)?.clone();
        let is_replaced = self.successions.replaced(&owner).is_some() && self.successions.replaced(id).is_none();
        if !is_replaced || in_repair(subject) {
            return None;
        }
        self.detach(now, &owner);
        Some(owner)
    }

    fn is_taken(&self, subject: &SubjectId, by_other_than: &ContainerId) -> bool {
        let owner = self.container_of(subject);
        owner.is_some_and(|owner| owner != by_other_than && self.containers.contains_key(owner))
    }

    /// The container belongs to no subject any more. Returns whose it was.
    pub(crate) fn detach(&mut self, now: Moment, id: &ContainerId) -> Option<SubjectId> {
        let subject = self.containers.get_mut(id)?.subject.take()?;
        self.vacate(now, id, &subject);
        Some(subject)
    }

    fn vacate(&mut self, now: Moment, id: &ContainerId, subject: &SubjectId) -> bool {
        let Some(place) = self.places.get_mut(subject) else {
            return false;
        };
        let is_its = place.container.as_ref() == Some(id);
        if is_its {
            (place.container, place.empty_since) = (None, Some(now));
        }
        is_its
    }

    /// The container is gone. Returns its subject, if it was that one's present container.
    pub(crate) fn forget(&mut self, now: Moment, id: &ContainerId) -> Option<SubjectId> {
        let Container { name, subject, .. } = self.containers.remove(id)?;
        self.successions.forget(id);
        self.dependencies.remove(id);
        self.uninspected.remove(id);
        self.stops_heard.remove(id);
        if self.successions.replaced_of(&name).next().is_some() {
            self.deployments.removed(now, &name);
        }
        let subject = subject?;
        self.vacate(now, id, &subject).then_some(subject)
    }

    /// Subjects of containers whose name that one was given.
    pub(crate) fn replaced_by(&self, id: &ContainerId) -> Vec<SubjectId> {
        let name = self.containers.get(id).map_or("", |it| &it.name);
        let replaced = self.successions.replaced_of(name);
        replaced.filter_map(|id| self.subject_of(id).cloned()).collect()
    }

    /// Each container was inspected at least once.
    pub(crate) fn is_all_inspected(&self) -> bool {
        self.uninspected.is_empty()
    }

    /// Who depends on whom.
    pub(crate) fn dependencies(&self) -> &Dependencies {
        &self.dependencies
    }

    /// Containers were listed. Returns those that are gone: known before the list was asked for, and not on it.
    pub(crate) fn listed(&mut self, asked: Moment, there: &BTreeSet<ContainerId>) -> Vec<ContainerId> {
        self.is_listed = true;
        self.successions.retain(|id| there.contains(id));
        let gone = self.containers.iter();
        gone.filter(|(id, it)| !there.contains(*id) && it.observation.first_seen() < asked)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Subjects without a container that nobody has noted as such: remembered from the journal, and not there any more.
    pub(crate) fn note_empty(&mut self, now: Moment) -> Vec<SubjectId> {
        let mut empty = Vec::new();
        for (subject, place) in &mut self.places {
            if place.container.is_none() && place.empty_since.is_none() {
                place.empty_since = Some(now);
                empty.push(subject.clone());
            }
        }
        empty
    }

    /// True where the list shows something else than what is known.
    pub(crate) fn differs(&self, entry: &ListEntry) -> bool {
        let Some(Container { observation, moves, .. }) = self.containers.get(&entry.id) else {
            return true;
        };
        let expected = match entry.run {
            RunState::Running => Status::Running,
            RunState::Paused => Status::Paused,
            RunState::Restarting => Status::Backoff,
            RunState::Exited => Status::Down,
            RunState::Created => Status::Created,
            RunState::Removing | RunState::Dead => Status::Removing,
        };
        let status = observation.status();
        let same_health = entry.run != RunState::Running || !observation.is_health_open(Some(entry.health));
        let renamed = *moves || observation.name() != entry.name;
        // The engine's restarts between two lists show in its count only.
        status != expected || !same_health || !observation.is_current() || renamed || status == Status::Backoff
    }

    /// Containers that go to another subject.
    pub(crate) fn moving(&self) -> impl Iterator<Item = &ContainerId> {
        self.containers.iter().filter(|(_, it)| it.moves).map(|(id, _)| id)
    }

    /// A subject without a container: when it is to be forgotten, if no successor comes; `None` = not while nothing is listed.
    pub(crate) fn empty_until(&mut self, now: Moment, subject: &SubjectId) -> Option<Moment> {
        let deploy = self.deployments.until_within(subject);
        let place = self.places.get_mut(subject)?;
        let since = *place.empty_since.get_or_insert(now);
        let until = deploy.unwrap_or(since).max(since + EMPTY_FOR);
        self.is_listed.then_some(until)
    }

    /// The subject is no more.
    pub(crate) fn remove_subject(&mut self, subject: &SubjectId) {
        self.places.remove(subject);
    }

    pub(crate) fn deployments(&self) -> &Deployments {
        &self.deployments
    }

    pub(crate) fn deployments_mut(&mut self) -> &mut Deployments {
        &mut self.deployments
    }

    /// It was made, or renamed from `old_name`. Returns the containers that are replaced by that.
    pub(crate) fn named(&mut self, now: Moment, event: &EngineEvent, old_name: Option<&str>) -> Vec<ContainerId> {
        let is_given = self.successions.is_left(now, &event.name);
        match old_name {
            Some(old_name) => self.deployments.renamed(now, event, old_name, is_given),
            None => self.deployments.made(now, event),
        }
        if let Some(it) = self.containers.get_mut(&event.id) {
            it.name.clone_from(&event.name);
        }
        self.renamed(now, &event.id, (old_name.unwrap_or_default(), &event.name))
    }

    /// True while compose has it under a temporary name.
    pub(crate) fn is_set_aside(&self, id: &ContainerId, name: &str) -> bool {
        let Some((digits, rest)) = id_and_name(name) else {
            return false;
        };
        let mut known = self.containers.range(digits.to_string()..);
        let is_known = known.next().is_some_and(|(id, _)| is_its_own_id(id, digits));
        let view = self.get(id).and_then(ContainerObservation::view);
        is_known || is_its_own_id(id, digits) || view.is_some_and(|view| replaces(view, (digits, rest)))
    }

    /// What the journal remembers: another container was given the name of that one.
    pub(crate) fn restore_replaced(&mut self, id: ContainerId, name: String) {
        self.successions.restore(id, name);
    }

    /// The name that was the container's, and that another one was given.
    pub(crate) fn given_name(&self, id: &ContainerId) -> Option<&str> {
        self.successions.replaced(id)
    }

    /// While it is another's to bring the container up, for its name was given away: the name, and until when at the latest.
    /// Not where the two get on with each other.
    pub(crate) fn replaced(&self, it: &ContainerObservation, now: EngineTime) -> Option<(&str, Option<Moment>)> {
        let name = self.successions.replaced(it.id())?;
        let mut others = self.containers.iter().filter(|(id, _)| *id != it.id());
        let Some((_, successor)) = others.find(|(_, other)| other.name == name) else {
            return self.deployments.of_name(name).map(|until| (name, Some(until)));
        };
        let successor = &successor.observation;
        let until = if it.status() == Status::Running {
            now
        } else {
            it.ended()
        };
        let beside = Duration::from_nanos(until.0.saturating_sub(successor.began().0));
        (successor.status() != Status::Running || beside < BESIDE).then_some((name, None))
    }
}

#[cfg(test)]
mod tests;
