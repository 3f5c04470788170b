//! Which watchdogs stand over a subject, for a person's request about it.
//!
//! The host-watchdog stands over its engines and their watchdogs; containers are their container-watchdog's. Pure.

use super::fleet_view::FleetView;
use super::io::AskError;
use crate::id::NodeName;
use crate::subject::{SubjectId, SubjectKind};
use alloc::collections::BTreeSet;
use alloc::format;

/// Most targets of one request.
const TARGETS_MAX: usize = 64;

/// The watchdogs over a subject, and the host through which they are reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Targets {
    pub(super) via: NodeName,
    /// At least one.
    pub(super) nodes: BTreeSet<NodeName>,
}

/// Who is to be asked.
///
/// # Errors
/// Why nobody can be.
pub(super) fn targets(fleet: FleetView<'_>, subject: &SubjectId) -> Result<Targets, AskError> {
    let (via, host) = fleet.owner(subject).ok_or(AskError::UnknownSubject)?;
    let Some(child) = fleet.child(via) else {
        let why = format!("{via} was not heard since this manager started");
        return Err(AskError::NobodyThere(why));
    };
    let engine = subject.as_str().split('/').nth(1);
    let is_host = engine.is_none();
    let is_known = is_host || child.book().within(subject).next().is_some() || subject.last() == "@agent";
    if !is_known {
        return Err(AskError::UnknownSubject);
    }
    if !host.is_heard() {
        let verdict = host.verdict();
        let why = format!("{via} is {}: {}", verdict.state.as_str(), verdict.why);
        return Err(AskError::NobodyThere(why));
    }
    let is_watchdog = subject.last() == "@watchdog";
    let is_engine = subject.parent().is_some_and(|above| above.parent().is_none());
    let mut nodes = BTreeSet::new();
    if is_host || is_engine || is_watchdog {
        nodes.insert(via.clone());
    }
    let engines = child
        .book()
        .iter()
        .filter(|verdict| verdict.kind == SubjectKind::Engine);
    let names = engines.map(|verdict| verdict.subject.last());
    for name in names.filter(|name| !is_watchdog && engine.is_none_or(|engine| *name == engine)) {
        nodes.extend(NodeName::new(&format!("{via}.{name}.watchdog")).ok());
    }
    if TARGETS_MAX < nodes.len() {
        let why = format!("more than {TARGETS_MAX} targets: ask for less");
        return Err(AskError::Bad(why));
    }
    if nodes.is_empty() {
        return Err(AskError::NobodyThere(format!("no watchdog stands over {subject}")));
    }
    let via = via.clone();
    Ok(Targets { via, nodes })
}
