//! Who is who: the containers of the engine, the subject of each, the list, and the deployments under way.
//!
//! A subject is compose project, service and number, else the container's name; it outlives its container for a while, for
//! a successor may come. Does not know how well anything is.

use super::io::{ContainerId, ContainerView, ListEntry, RunState};
use super::network_away::NetworkAway;
use super::observation::{ContainerObservation, Status};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most containers that are watched.
pub(crate) const CONTAINERS_MAX: usize = 8192;
/// Most compose services whose deployment is remembered.
const DEPLOYS_MAX: usize = 1024;
/// How long a subject outlives its container where no deployment is under way.
const EMPTY_FOR: Duration = Duration::from_secs(5);

/// Compose project and service.
pub(crate) type Service = (String, String);

#[derive(Clone, Debug)]
struct Container {
    observation: ContainerObservation,
    subject: Option<SubjectId>,
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
    deploy_quiet: Duration,
    containers: BTreeMap<ContainerId, Container>,
    places: BTreeMap<SubjectId, Place>,
    /// Compose services under deployment, and when they count as quiet.
    deploys: BTreeMap<Service, Moment>,
    is_listed: bool,
}

/// What an attachment changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attached {
    /// Subjects about which something changed.
    pub(crate) touched: Vec<SubjectId>,
    /// The subject that has this container now, if it had another or none before.
    pub(crate) taken_up_by: Option<SubjectId>,
}

impl Inventory {
    /// Of the engine of that name; a deployment is over when no sign of it came for `deploy_quiet`.
    pub(crate) fn new(engine: SubjectId, deploy_quiet: Duration) -> Self {
        Self {
            engine,
            deploy_quiet,
            containers: BTreeMap::new(),
            places: BTreeMap::new(),
            deploys: BTreeMap::new(),
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
            self.containers.entry(id).or_insert(Container {
                observation,
                subject,
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
        self.containers.insert(
            id.clone(),
            Container {
                observation: ContainerObservation::new(id.clone(), now),
                subject: None,
                moves: false,
            },
        );
        true
    }

    /// Finds the container's subject by its last inspection, and makes it that subject's container. While a repair of the
    /// container is under way it stays where it is: what ends it must be told from our own stop.
    pub(crate) fn attach(&mut self, now: Moment, id: &ContainerId, in_repair: impl Fn(&SubjectId) -> bool) -> Attached {
        let mut out = Attached::default();
        let Some(it) = self.containers.get(id) else { return out };
        let (Some(view), old) = (it.observation.view(), it.subject.clone()) else {
            return out;
        };
        let Some(mut subject) = subject_of(&self.engine, view) else {
            out.touched.extend(self.detach(now, id));
            return out;
        };
        let by_name = self.engine.outer_child(&view.name);
        let moves = old.as_ref().is_some_and(|old| *old != subject && in_repair(old));
        let mut waits = moves;
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
        let subject = self.containers.remove(id)?.subject?;
        self.vacate(now, id, &subject).then_some(subject)
    }

    /// Subjects of containers that join the network of that one.
    pub(crate) fn joiners(&self, owner: &ContainerId) -> Vec<SubjectId> {
        let joins = |it: &&Container| {
            it.observation
                .view()
                .is_some_and(|view| view.joins.as_ref() == Some(owner))
        };
        let waiting = self.containers.values().filter(joins);
        waiting.filter_map(|it| it.subject.clone()).collect()
    }

    /// The engine refuses every start of it while the container whose network it joins does not run: where that is, if so.
    pub(crate) fn network_away(&self, it: &ContainerObservation) -> Option<NetworkAway> {
        let joins = it.view()?.joins.as_ref()?;
        NetworkAway::of(joins, self.get(joins), self.is_listed)
    }

    /// Containers were listed. Returns those that are gone: known before the list was asked for, and not on it.
    pub(crate) fn listed(&mut self, asked: Moment, there: &BTreeSet<ContainerId>) -> Vec<ContainerId> {
        self.is_listed = true;
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
            RunState::Exited | RunState::Dead => Status::Down,
            RunState::Created => Status::Created,
            RunState::Removing => Status::Removing,
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
        let deploy = self
            .deploys
            .iter()
            .find(|((project, service), _)| subject.is_within(&self.engine.outer_child(project).outer_child(service)));
        let place = self.places.get_mut(subject)?;
        let since = *place.empty_since.get_or_insert(now);
        let until = deploy.map_or(since, |(_, at)| *at).max(since + EMPTY_FOR);
        self.is_listed.then_some(until)
    }

    /// The subject is no more.
    pub(crate) fn remove_subject(&mut self, subject: &SubjectId) {
        self.places.remove(subject);
    }

    /// A sign that a service is being deployed.
    pub(crate) fn deploy_begins(&mut self, now: Moment, service: Option<&Service>) {
        let Some(key) = service else { return };
        if self.deploys.len() < DEPLOYS_MAX || self.deploys.contains_key(key) {
            self.deploys.insert(key.clone(), now + self.deploy_quiet);
        }
    }

    /// A further sign of a deployment, if one is under way.
    pub(crate) fn deploy_goes_on(&mut self, now: Moment, service: Option<&Service>) {
        if service.is_some_and(|key| self.deploys.contains_key(key)) {
            self.deploy_begins(now, service);
        }
    }

    /// The service was started. True if that ended a deployment.
    pub(crate) fn deploy_ends(&mut self, service: Option<&Service>) -> bool {
        service.is_some_and(|key| self.deploys.remove(key).is_some())
    }

    /// Ends the deployments that have become quiet. True if there was one.
    pub(crate) fn expire_deploys(&mut self, now: Moment) -> bool {
        let before = self.deploys.len();
        self.deploys.retain(|_, at| now < *at);
        self.deploys.len() < before
    }

    /// When the next deployment becomes quiet.
    pub(crate) fn next_deploy(&self) -> Option<Moment> {
        self.deploys.values().min().copied()
    }

    /// While the container's service is being deployed: until when.
    pub(crate) fn deploy_until(&self, it: &ContainerObservation) -> Option<Moment> {
        self.deploys.get(&service_of(it.view()?)?).copied()
    }
}

/// The subject a container belongs to: compose project, service and number, else its name. `None` while compose has it
/// under a temporary name: whoever that is, it is not to be started.
fn subject_of(engine: &SubjectId, view: &ContainerView) -> Option<SubjectId> {
    if is_temporary_name(&view.name) {
        return None;
    }
    let label = |key: &str| view.labels.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let compose = (
        label("com.docker.compose.project"),
        label("com.docker.compose.service"),
        label("com.docker.compose.container-number"),
    );
    match compose {
        (Some(project), Some(service), Some(number)) if !is_oneoff(view) => {
            Some(engine.outer_child(project).outer_child(service).outer_child(number))
        }
        _ => Some(engine.outer_child(&view.name)),
    }
}

/// True for a name that compose gives for a while: `<12 hex digits>_NAME`.
pub(crate) fn is_temporary_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    12 < bytes.len() && bytes[12] == b'_' && bytes[..12].iter().all(u8::is_ascii_hexdigit)
}

/// `docker compose run`: ends when its command ends.
fn is_oneoff(view: &ContainerView) -> bool {
    view.labels
        .get("com.docker.compose.oneoff")
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// Why it is not meant to be kept up, if it is not: what it began is over when it ends, and its volumes may go with it.
pub(crate) fn runs_once(view: &ContainerView) -> Option<&'static str> {
    if view.auto_remove {
        return Some("the engine removes it when it ends");
    }
    is_oneoff(view).then_some("a one-off container of compose")
}

fn service_of(view: &ContainerView) -> Option<Service> {
    let label = |key: &str| view.labels.get(key).map(ToString::to_string);
    Some((
        label("com.docker.compose.project")?,
        label("com.docker.compose.service")?,
    ))
}

#[cfg(test)]
mod tests {
    //! Attachments.
    use super::*;

    fn inventory(names: &[(&str, &str)]) -> Inventory {
        let mut it = Inventory::new(SubjectId::new("h/d").unwrap(), Duration::from_secs(30));
        for (id, name) in names {
            it.admit(&id.to_string(), Moment::ZERO);
            inspect(&mut it, id, name);
        }
        it
    }

    fn inspect(it: &mut Inventory, id: &str, name: &str) {
        let view = ContainerView {
            name: name.into(),
            ..ContainerView::default()
        };
        it.get_mut(&id.to_string()).unwrap().absorb(Moment::ZERO, view);
    }

    fn attach(it: &mut Inventory, id: &str, in_repair: bool) -> Option<String> {
        it.attach(Moment::ZERO, &id.to_string(), |_| in_repair);
        it.holder_of(&id.to_string()).map(ToString::to_string)
    }

    #[test]
    fn a_name_is_one_subject_and_a_temporary_one_is_none() {
        let mut it = inventory(&[("c1", "web"), ("c2", "web"), ("c3", "0123456789ab_web")]);
        assert_eq!(attach(&mut it, "c1", false).as_deref(), Some("h/d/web"));
        assert_eq!(attach(&mut it, "c2", false), None, "the place is taken");
        assert_eq!(attach(&mut it, "c3", false), None);
        assert_eq!(it.forget(Moment::ZERO, &"c1".to_string()).unwrap().as_str(), "h/d/web");
        assert_eq!(attach(&mut it, "c2", false).as_deref(), Some("h/d/web"));
    }

    #[test]
    fn what_is_renamed_in_a_repair_moves_when_that_is_over() {
        let mut it = inventory(&[("c1", "web")]);
        attach(&mut it, "c1", false);
        inspect(&mut it, "c1", "db");
        assert_eq!(attach(&mut it, "c1", true).as_deref(), Some("h/d/web"));
        assert_eq!(attach(&mut it, "c1", false).as_deref(), Some("h/d/db"));
        let web = SubjectId::new("h/d/web").unwrap();
        assert_eq!(it.container_of(&web), None);
        assert_eq!(it.empty_until(Moment::ZERO, &web), None, "nothing is listed yet");
        it.listed(Moment::ZERO, &BTreeSet::new());
        assert_eq!(it.empty_until(Moment::ZERO, &web), Some(Moment::ZERO + EMPTY_FOR));
    }

    #[test]
    fn compose_gives_temporary_names() {
        let names = [
            "0123456789ab_web",
            "0123456789ab_",
            "web",
            "0123456789abc_web",
            "0123456789zz_web",
        ];
        let temporary: Vec<bool> = names.map(is_temporary_name).to_vec();
        assert_eq!(temporary, [true, true, false, false, false]);
    }

    #[test]
    fn a_service_of_compose_is_one_subject_and_what_it_runs_once_is_another() {
        let number = ("com.docker.compose.container-number", "1");
        let compose = [
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", "web"),
        ];
        let engine = SubjectId::new("h/d").unwrap();
        type Labels<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Labels<'_>, &str); 4] = [
            ("all three labels", &[compose[0], compose[1], number], "h/d/shop/web/1"),
            ("no number", &compose, "h/d/x"),
            (
                "an empty label",
                &[compose[0], ("com.docker.compose.service", ""), number],
                "h/d/x",
            ),
            (
                "compose run",
                &[compose[0], compose[1], number, ("com.docker.compose.oneoff", "True")],
                "h/d/x",
            ),
        ];
        for (case, labels, expected) in cases {
            let view = ContainerView {
                name: "x".into(),
                labels: labels
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.to_string()))
                    .collect(),
                ..ContainerView::default()
            };
            assert_eq!(subject_of(&engine, &view).unwrap().as_str(), expected, "{case}");
        }
    }
}
