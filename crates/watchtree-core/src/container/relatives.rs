//! What is known of those around one container: whom it depends on and how they stand, and who depends on it. Pure; does not know
//! what follows.

use super::dependencies::EdgeKind;
use super::dependency_labels::Condition;
use super::inventory::Inventory;
use super::io::ContainerId;
use super::namespace_away::NamespaceAway;
use super::observation::{ContainerObservation, Status};
use super::standing::Standing;
use crate::subject::{Incarnation, SubjectId};
use crate::verdict::State;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// So many of a cycle are named.
const NAMED_MAX: usize = 8;

/// One that another depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ParentSeen {
    pub(crate) name: String,
    pub(crate) subject: Option<SubjectId>,
    kind: EdgeKind,
    is_cyclic: bool,
    standing: Standing,
    incarnation: Incarnation,
    /// What its own supervisor shows of it.
    pub(crate) shown: Option<State>,
}

/// All that one depends on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Parents {
    pub(crate) seen: Vec<ParentSeen>,
    /// A name that it depends on may be that of a container which was not inspected yet.
    pub(crate) are_open: bool,
}

impl ParentSeen {
    /// Where both are down it comes first, and it is not yet good enough for that.
    fn is_missed(&self) -> bool {
        let condition = match self.kind {
            EdgeKind::DependsOn(condition) => condition,
            EdgeKind::Joins(_) => Condition::Well,
            EdgeKind::RestartWith => return false,
        };
        let is_there = match condition {
            Condition::Well => self.standing == Standing::Well,
            Condition::Completed => self.standing == Standing::Down { exit_code: 0 },
        };
        !self.is_cyclic && !is_there
    }

    /// Nothing brings it up: a person stopped it, it has finished, or it was given up.
    pub(crate) fn is_at_rest(&self) -> bool {
        match self.shown {
            None => true,
            Some(state) => matches!(
                state,
                State::Stopped | State::Finished | State::GivenUp | State::Unwatched
            ),
        }
    }

    /// It is in that incarnation, and a restart of it takes the other along.
    pub(crate) fn restarts_others(&self, incarnation: &Incarnation) -> bool {
        self.kind == EdgeKind::RestartWith && self.incarnation == *incarnation
    }

    pub(crate) fn is_well(&self) -> bool {
        self.standing == Standing::Well
    }

    pub(crate) fn is_cyclic(&self) -> bool {
        self.is_cyclic
    }

    /// It is down because a person wants that, or because it has done its work.
    pub(crate) fn is_meant_to_be_down(&self) -> bool {
        matches!(self.shown, Some(State::Stopped | State::Finished))
    }
}

/// Whom that container depends on; what their supervisors show is still to be filled in.
pub(crate) fn parents(inventory: &Inventory, id: &ContainerId) -> Parents {
    let parents = inventory.dependencies().parents(id);
    let seen = parents.filter_map(|parent| {
        let it = inventory.get(parent.id)?;
        Some(ParentSeen {
            name: it.name().to_string(),
            subject: inventory.holder_of(parent.id).cloned(),
            kind: parent.kind,
            is_cyclic: parent.is_cyclic,
            standing: Standing::of(it),
            incarnation: it.incarnation(),
            shown: None,
        })
    });
    Parents {
        seen: seen.collect(),
        are_open: inventory.dependencies().has_unknown(id) && !inventory.is_all_inspected(),
    }
}

impl Parents {
    /// It depends on nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty() && !self.are_open
    }

    /// Those that it waits for where both are down, in words.
    pub(crate) fn missed(&self) -> Option<String> {
        let missed = self.seen.iter();
        let missed = missed.filter(|parent| parent.is_missed() && !parent.is_at_rest());
        let names: BTreeSet<&str> = missed.map(|parent| parent.name.as_str()).collect();
        let mut names = names.into_iter();
        Some(match (names.next(), names.len()) {
            (None, _) if self.are_open => "those that it depends on, of which some are not known yet,".to_string(),
            (None, _) => return None,
            (Some(first), 0) => first.to_string(),
            (Some(first), 1) => format!("{first} and one other"),
            (Some(first), more) => format!("{first} and {more} others"),
        })
    }
}

/// The subjects that depend on that container.
pub(crate) fn children(inventory: &Inventory, id: &ContainerId) -> BTreeSet<SubjectId> {
    let children = inventory.dependencies().children(id);
    children
        .filter_map(|(child, _)| inventory.subject_of(child).cloned())
        .collect()
}

/// The subjects that are restarted with that container, and run.
pub(crate) fn followers(inventory: &Inventory, id: &ContainerId) -> BTreeSet<SubjectId> {
    let graph = inventory.dependencies();
    let follows = graph.children(id).filter(|(child, kind)| {
        let runs = inventory.get(child).is_some_and(|it| it.status() == Status::Running);
        let is_cyclic = || graph.parents(child).any(|parent| parent.id == id && parent.is_cyclic);
        *kind == EdgeKind::RestartWith && runs && !is_cyclic()
    });
    follows
        .filter_map(|(child, _)| inventory.holder_of(child).cloned())
        .collect()
}

/// What is wrong with the namespaces that it joins, if anything.
pub(crate) fn away(inventory: &Inventory, it: &ContainerObservation) -> Option<NamespaceAway> {
    let joins = it.view()?.joins.iter();
    let away = joins.filter_map(|(namespace, owner)| {
        let mut parents = inventory.dependencies().parents(it.id());
        let parent = parents.find(|parent| parent.kind == EdgeKind::Joins(*namespace));
        let known = parent.map(|parent| parent.id).or(Some(owner));
        let known = known.and_then(|id| inventory.get(id));
        NamespaceAway::of(it, (*namespace, owner), known, inventory.is_listed())
    });
    NamespaceAway::worst(away)
}

/// The cycle that it is on, in words.
pub(crate) fn cycle(inventory: &Inventory, id: &ContainerId) -> Option<String> {
    let way = inventory.dependencies().cycle(id)?;
    let name = |id: &&ContainerId| inventory.get(id).map_or("?", ContainerObservation::name);
    let mut names: Vec<&str> = way.iter().take(NAMED_MAX).map(name).collect();
    if names.len() < way.len() {
        names.push("…");
    }
    names.extend(way.first().map(name));
    Some(format!(
        "its dependencies lead back to itself: {}; they hold nobody and restart nobody",
        names.join(" → ")
    ))
}

/// What a person should see of its dependencies although it is fine.
pub(crate) fn remarks(inventory: &Inventory, id: &ContainerId) -> Vec<String> {
    let unknown = inventory.dependencies().unknown(id).filter(|_| inventory.is_listed());
    let unknown: BTreeSet<&str> = unknown.collect();
    let unknown = unknown
        .into_iter()
        .map(|name| format!("its labels say that it depends on {name}, and nothing here has that name"));
    cycle(inventory, id).into_iter().chain(unknown).collect()
}
