//! Who depends on whom: the graph over the containers of one engine, by the namespaces that they join and by labels.
//!
//! An edge leads from a container to a *name* (an id, a name, a service of a project), and from there to whoever answers to it:
//! one that is made anew finds its place by itself. Both ways are indexed, so that a change costs as much as it has neighbours,
//! whatever else there is. Edges of a cycle are told apart: they hold nobody and restart nobody. Knows no state of a container.

use super::dependency_labels::{self, Condition, Named};
use super::io::{ContainerId, ContainerView, Namespace};
use super::naming;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// How one depends on another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum EdgeKind {
    /// It joins that namespace of it.
    Joins(Namespace),
    /// Where both are down, the other comes first.
    DependsOn(Condition),
    /// When we restarted the other, it is restarted after it.
    RestartWith,
}

/// What containers are known by.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
enum Name {
    /// An id, or a name.
    Container(String),
    /// A service of a project.
    Service(String, String),
}

/// To the first of the names that anybody answers to.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Edge {
    kind: EdgeKind,
    names: Vec<Name>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Node {
    answers_to: Vec<Name>,
    edges: Vec<Edge>,
}

/// One that another depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) struct Parent<'g> {
    pub(crate) id: &'g ContainerId,
    pub(crate) kind: EdgeKind,
    /// It depends on the other in turn.
    pub(crate) is_cyclic: bool,
}

type Index = BTreeMap<Name, BTreeSet<ContainerId>>;

/// See the module's text. As many nodes as there are containers, as many edges as their labels may name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependencies {
    nodes: BTreeMap<ContainerId, Node>,
    answering: Index,
    /// Who names that name.
    naming: Index,
    /// Of those on a cycle: the number of their component.
    cyclic: BTreeMap<ContainerId, usize>,
    /// How often a name was looked up.
    #[cfg(test)]
    asked: core::cell::Cell<usize>,
}

impl Dependencies {
    /// A container as it was inspected; `is_set_aside` = compose has it under a temporary name: it goes by its id alone.
    /// Returns whom that concerns: who depends on it, and who is or was on a cycle with it.
    pub(crate) fn set(&mut self, id: &ContainerId, view: &ContainerView, is_set_aside: bool) -> BTreeSet<ContainerId> {
        let node = match is_set_aside {
            true => Node {
                answers_to: vec![Name::Container(id.clone())],
                ..Node::default()
            },
            false => Node::of(id, view),
        };
        self.replace(id, Some(node))
    }

    /// The container is gone. Returns whom that concerns.
    pub(crate) fn remove(&mut self, id: &ContainerId) -> BTreeSet<ContainerId> {
        self.replace(id, None)
    }

    fn replace(&mut self, id: &ContainerId, node: Option<Node>) -> BTreeSet<ContainerId> {
        if self.nodes.get(id) == node.as_ref() {
            return BTreeSet::new();
        }
        let mut concerned: BTreeSet<_> = self.children(id).map(|(child, _)| child.clone()).collect();
        concerned.extend(self.cyclic.keys().cloned());
        if let Some(old) = self.nodes.remove(id) {
            old.answers_to
                .iter()
                .for_each(|name| drop_from(&mut self.answering, name, id));
            old.named().for_each(|name| drop_from(&mut self.naming, name, id));
        }
        if let Some(node) = node {
            node.answers_to
                .iter()
                .for_each(|name| add_to(&mut self.answering, name, id));
            node.named().for_each(|name| add_to(&mut self.naming, name, id));
            self.nodes.insert(id.clone(), node);
        }
        concerned.extend(self.children(id).map(|(child, _)| child.clone()));
        self.find_cycles(id);
        concerned.extend(self.cyclic.keys().cloned());
        concerned
    }

    /// Those that it depends on, each as often as it does.
    pub(crate) fn parents<'g>(&'g self, id: &'g ContainerId) -> impl Iterator<Item = Parent<'g>> {
        let edges = self.nodes.get(id).into_iter().flat_map(|node| &node.edges);
        let component = self.cyclic.get(id);
        edges.flat_map(move |edge| {
            let parent = move |parent| Parent {
                id: parent,
                kind: edge.kind,
                is_cyclic: component.is_some() && self.cyclic.get(parent) == component,
            };
            self.answering_to(&edge.names).map(parent)
        })
    }

    /// Those that depend on it, and how.
    pub(crate) fn children<'g>(&'g self, id: &'g ContainerId) -> impl Iterator<Item = (&'g ContainerId, EdgeKind)> {
        let names = self.nodes.get(id).into_iter().flat_map(|node| &node.answers_to);
        let named_by = names.filter_map(|name| self.naming.get(name)).flatten();
        let named_by: BTreeSet<&ContainerId> = named_by.collect();
        named_by.into_iter().flat_map(move |child| {
            let edges = self.nodes.get(child).into_iter().flat_map(|node| &node.edges);
            let leads_here = edges.filter(move |edge| self.answering_to(&edge.names).any(|parent| parent == id));
            leads_here.map(move |edge| (child, edge.kind))
        })
    }

    /// The names in its own labels that nobody answers to.
    pub(crate) fn unknown<'g>(&'g self, id: &ContainerId) -> impl Iterator<Item = &'g str> {
        let edges = self.nodes.get(id).into_iter().flat_map(|node| &node.edges);
        let unknown = edges.filter(|edge| self.answering_to(&edge.names).next().is_none());
        // What compose names may not have been made, for nobody wanted it; and whose namespaces are gone is told elsewhere.
        unknown.filter_map(|edge| match (edge.kind, edge.names.last()) {
            (EdgeKind::Joins(_), _) | (_, None | Some(Name::Service(..))) => None,
            (_, Some(Name::Container(name))) => Some(name.as_str()),
        })
    }

    /// It joins or comes after one that nobody is known to be.
    pub(crate) fn has_unknown(&self, id: &ContainerId) -> bool {
        let edges = self.nodes.get(id).into_iter().flat_map(|node| &node.edges);
        let mut first = edges.filter(|edge| edge.kind != EdgeKind::RestartWith);
        first.any(|edge| self.answering_to(&edge.names).next().is_none())
    }

    /// A shortest way from it over those that it depends on back to itself, if it is on a cycle.
    pub(crate) fn cycle(&self, id: &ContainerId) -> Option<Vec<&ContainerId>> {
        self.cyclic.get(id)?;
        let (id, _) = self.nodes.get_key_value(id)?;
        let mut before: BTreeMap<&ContainerId, &ContainerId> = BTreeMap::new();
        let mut open = VecDeque::from([id]);
        while let Some(at) = open.pop_front() {
            for Parent { id: parent, .. } in self.parents(at) {
                if parent == id {
                    let back = core::iter::successors(Some(at), |at| before.get(at).copied());
                    let mut way: Vec<_> = back.collect();
                    way.reverse();
                    return Some(way);
                }
                if let alloc::collections::btree_map::Entry::Vacant(place) = before.entry(parent) {
                    place.insert(at);
                    open.push_back(parent);
                }
            }
        }
        None
    }

    fn answering_to<'g>(&'g self, names: &'g [Name]) -> impl Iterator<Item = &'g ContainerId> {
        #[cfg(test)]
        self.asked.set(self.asked.get() + 1);
        let mut known = names.iter().filter_map(|name| self.answering.get(name));
        known.next().into_iter().flatten()
    }

    /// That container has changed: every new cycle leads through it, and every known one may be broken.
    fn find_cycles(&mut self, changed: &ContainerId) {
        let suspects: Vec<_> = self.cyclic.keys().chain([changed]).cloned().collect();
        let mut cyclic = BTreeMap::new();
        for (number, id) in suspects.iter().enumerate() {
            if !cyclic.contains_key(id) {
                let component = self.component(id);
                cyclic.extend(component.into_iter().map(|member| (member.clone(), number)));
            }
        }
        self.cyclic = cyclic;
    }

    /// All that it depends on and that depend on it, itself too; empty where it is on no cycle.
    fn component(&self, id: &ContainerId) -> BTreeSet<&ContainerId> {
        let Some((id, _)) = self.nodes.get_key_value(id) else {
            return BTreeSet::new();
        };
        // Upwards once, and back down on the ways that were seen.
        let mut ways_back: BTreeMap<&ContainerId, Vec<&ContainerId>> = BTreeMap::new();
        let (mut seen, mut open) = (BTreeSet::from([id]), vec![id]);
        while let Some(at) = open.pop() {
            for Parent { id: parent, .. } in self.parents(at) {
                ways_back.entry(parent).or_default().push(at);
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        let (mut component, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(at) = open.pop() {
            let below = ways_back.get(at).into_iter().flatten();
            open.extend(below.copied().filter(|below| component.insert(*below)));
        }
        component
    }
}

impl Node {
    fn of(id: &ContainerId, view: &ContainerView) -> Self {
        let service = naming::compose_service(view);
        let mut answers_to = vec![Name::Container(id.clone()), Name::Container(view.name.clone())];
        answers_to.extend(service.map(|(project, service)| Name::Service(project.to_string(), service.to_string())));
        let joined = view.joins.iter().map(|(namespace, owner)| Edge {
            kind: EdgeKind::Joins(*namespace),
            names: vec![Name::Container(owner.clone())],
        });
        let project = naming::compose_project(view);
        let named = dependency_labels::read(&view.labels).into_iter();
        let labelled = named.flat_map(|named| edges_of(&named, project));
        Self {
            answers_to,
            edges: joined.chain(labelled).collect(),
        }
    }

    fn named(&self) -> impl Iterator<Item = &Name> {
        self.edges.iter().flat_map(|edge| &edge.names)
    }
}

fn edges_of(named: &Named<'_>, project: Option<&str>) -> impl Iterator<Item = Edge> + use<> {
    let service = project.map(|project| Name::Service(project.to_string(), named.name.to_string()));
    let container = (!named.is_service).then(|| Name::Container(named.name.to_string()));
    let names: Vec<_> = service.into_iter().chain(container).collect();
    let first = named.first.map(EdgeKind::DependsOn);
    let restarts = named.restarts.then_some(EdgeKind::RestartWith);
    let kinds = first.into_iter().chain(restarts);
    kinds.map(move |kind| Edge {
        kind,
        names: names.clone(),
    })
}

fn add_to(index: &mut Index, name: &Name, id: &ContainerId) {
    index.entry(name.clone()).or_default().insert(id.clone());
}

fn drop_from(index: &mut Index, name: &Name, id: &ContainerId) {
    if let Some(ids) = index.get_mut(name) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
