//! The tree of verdicts: what one child reports ([`Book`]), and how it is shown, rolled up, with the root cause on top.
//!
//! A book holds what was reported and nothing else. What the observer itself thinks of the reporter (its host is lost,
//! its watchdog said goodbye) is an [`Eclipse`] laid over the book: the reported verdicts stay as they were, are shown as
//! UNWATCHED with the root cause, and are there again the moment the eclipse ends. An engine that the reporter itself calls
//! dead covers its containers in the same way.
//!
//! Knows no sessions and no time.

use crate::message::Digest;
use crate::report::{DIGEST_ALGORITHM, hash_of};
use crate::subject::{SubjectId, SubjectKind};
use crate::time::Moment;
use crate::verdict::{Level, State, Verdict};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;

/// Most subjects one child may report.
pub const SUBJECTS_PER_CHILD_MAX: usize = 16_384;

/// Everything one child reports, by subject, with the digest kept up to date.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Book {
    verdicts: BTreeMap<SubjectId, Verdict>,
    digest: u64,
}

impl Book {
    /// Takes a verdict. `None` = the book is full and the subject is new; else what was there before.
    pub fn put(&mut self, verdict: Verdict) -> Option<Before> {
        let old = self.verdicts.get(&verdict.subject);
        if old.is_none() && SUBJECTS_PER_CHILD_MAX <= self.verdicts.len() {
            return None;
        }
        let before = Before(old.map(|old| old.state));
        self.digest ^= old.map_or(0, share) ^ share(&verdict);
        self.verdicts.insert(verdict.subject.clone(), verdict);
        Some(before)
    }

    /// Forgets a subject; true if it was there.
    pub fn remove(&mut self, subject: &SubjectId) -> bool {
        let Some(old) = self.verdicts.remove(subject) else {
            return false;
        };
        self.digest ^= share(&old);
        true
    }

    /// The verdict of a subject.
    pub fn get(&self, subject: &SubjectId) -> Option<&Verdict> {
        self.verdicts.get(subject)
    }

    /// The engine above this subject, if it is so ill that nobody can know how its containers are, whatever was said of
    /// them last. A watchdog does not hang on the engine that it watches.
    pub fn dead_engine_over(&self, verdict: &Verdict) -> Option<&SubjectId> {
        let path = verdict.subject.as_str();
        let (end, _) = path.match_indices('/').nth(1)?;
        let engine = self.verdicts.get(&path[..end])?;
        let dead = matches!(engine.state, State::AgentLost | State::Unreachable | State::Down);
        let hangs_on_it = engine.kind == SubjectKind::Engine && verdict.kind != SubjectKind::Watchdog;
        (dead && hangs_on_it).then_some(&engine.subject)
    }

    /// All verdicts in order of their paths.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Verdict> {
        self.verdicts.values()
    }

    /// The verdicts of `top` and everything below it.
    pub fn within<'a>(&'a self, top: &'a SubjectId) -> impl Iterator<Item = &'a Verdict> {
        self.within_after(top, None)
    }

    /// As [`Self::within`], but only what comes after `after`.
    pub fn within_after<'a>(
        &'a self,
        top: &'a SubjectId,
        after: Option<&'a SubjectId>,
    ) -> impl Iterator<Item = &'a Verdict> {
        let from = after.map_or(Bound::Included(top), Bound::Excluded);
        self.verdicts
            .range::<SubjectId, _>((from, Bound::Unbounded))
            .map(|(_, verdict)| verdict)
            .take_while(|verdict| verdict.subject.as_str().starts_with(top.as_str()))
            .filter(|verdict| verdict.subject.is_within(top))
    }

    /// How many subjects.
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// True if nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// The digest over everything in it.
    pub fn digest(&self) -> Digest {
        Digest {
            algorithm: DIGEST_ALGORITHM.to_string(),
            value: self.digest,
        }
    }
}

fn share(verdict: &Verdict) -> u64 {
    hash_of(&verdict.subject, &verdict.incarnation, verdict.state)
}

/// What [`Book::put`] found: the state before, `None` = the subject is new.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Before(pub Option<State>);

/// The observer's own view of a reporter, laid over what it reported.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Eclipse {
    /// The verdict that takes the place of the reported one at the top, and covers everything below.
    pub verdict: Verdict,
}

impl Eclipse {
    /// True where the subjects below can no longer be believed. A mere suspicion is no reason yet.
    pub fn covers(&self) -> bool {
        covers(self.verdict.state)
    }
}

/// See [`Eclipse::covers`].
pub(crate) fn covers(state: State) -> bool {
    matches!(
        state,
        State::AgentLost | State::Unreachable | State::Down | State::Unwatched | State::Unknown
    )
}

/// One line of the shown tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TreeLine {
    /// Whose.
    pub subject: SubjectId,
    /// `None` = a group (a compose project or service) that is no subject itself.
    pub kind: Option<SubjectKind>,
    /// What is shown: the reported state, or UNWATCHED under a root cause.
    pub state: State,
    /// The worst of this and everything below.
    pub worst: State,
    /// The subject above whose illness explains this state; then `verdict` is what was reported last.
    pub root_cause: Option<SubjectId>,
    /// Since when the state is this, on the clock of whoever shows the tree, if it can be told.
    pub since: Option<Moment>,
    /// The verdict; `None` for a group.
    pub verdict: Option<Verdict>,
}

/// What of the tree is wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TreeFilter {
    /// Levels below the top to show; `None` = all.
    pub depth: Option<usize>,
    /// Only subjects whose path contains this text, with their ancestors.
    pub contains: Option<String>,
    /// Only subjects in this state, with their ancestors.
    pub state: Option<State>,
    /// Only subjects in a state that is an incident, with their ancestors.
    pub only_ill: bool,
}

impl TreeFilter {
    fn wants(&self, line: &TreeLine) -> bool {
        self.contains
            .as_ref()
            .is_none_or(|text| line.subject.as_str().contains(text.as_str()))
            && self.state.is_none_or(|state| line.state == state)
            && (!self.only_ill || line.state.is_incident() || line.state == State::Suspect)
    }

    fn narrows(&self) -> bool {
        self.contains.is_some() || self.state.is_some() || self.only_ill
    }
}

/// The lines of one child's subtree, parents before children, its top first. `top` is shown as the eclipse says, if
/// there is one; `clock` turns a moment of the reporter's clock into one of ours.
pub fn lines(
    top: &SubjectId,
    book: &Book,
    eclipse: Option<&Eclipse>,
    clock: impl Fn(Moment) -> Option<Moment>,
    filter: &TreeFilter,
) -> Vec<TreeLine> {
    let covered = eclipse.filter(|eclipse| eclipse.covers());
    let mut all: BTreeMap<Vec<&str>, TreeLine> = BTreeMap::new();
    if let Some(eclipse) = eclipse {
        all.insert(
            segments(top),
            line_of(eclipse.verdict.clone(), None, Some(eclipse.verdict.since)),
        );
    }
    for verdict in book.iter().filter(|verdict| verdict.subject.is_within(top)) {
        let key = segments(&verdict.subject);
        if all.get(&key).is_some_and(|line| line.kind.is_some()) {
            continue;
        }
        let cause = covered.map(|_| top).or_else(|| book.dead_engine_over(verdict));
        let mut shown = line_of(verdict.clone(), cause.cloned(), clock(verdict.since));
        if cause.is_some() {
            shown.state = covered_state(verdict.state);
            shown.worst = shown.state;
        }
        all.insert(key, shown);
        add_groups(&mut all, top, &verdict.subject);
    }
    roll_up(&mut all);
    select(all, segments(top).len(), filter)
}

/// What a subject under a root cause is shown as: what ended on purpose stays ended, the rest is not looked at.
pub fn covered_state(reported: State) -> State {
    match reported {
        State::Finished | State::Stopped => reported,
        _ => State::Unwatched,
    }
}

fn line_of(verdict: Verdict, root_cause: Option<SubjectId>, since: Option<Moment>) -> TreeLine {
    TreeLine {
        subject: verdict.subject.clone(),
        kind: Some(verdict.kind),
        state: verdict.state,
        worst: verdict.state,
        root_cause,
        since,
        verdict: Some(verdict),
    }
}

fn segments(subject: &SubjectId) -> Vec<&str> {
    subject.as_str().split('/').collect()
}

/// Makes a line for every ancestor below `top` that nobody reported.
fn add_groups<'a>(all: &mut BTreeMap<Vec<&'a str>, TreeLine>, top: &SubjectId, subject: &'a SubjectId) {
    let path = segments(subject);
    let mut above = subject.parent();
    for depth in (1..path.len()).rev() {
        let Some(group) = above.filter(|group| group.is_within(top)) else {
            return;
        };
        above = group.parent();
        all.entry(path[..depth].to_vec()).or_insert_with(|| TreeLine {
            subject: group,
            kind: None,
            state: State::Ok,
            worst: State::Ok,
            root_cause: None,
            since: None,
            verdict: None,
        });
    }
}

/// Carries the worst state upwards. A group's own state is the worst below it.
fn roll_up(all: &mut BTreeMap<Vec<&str>, TreeLine>) {
    let keys: Vec<Vec<&str>> = all.keys().rev().cloned().collect();
    for key in keys {
        let Some(line) = all.get_mut(&key) else { continue };
        if line.kind.is_none() {
            line.state = line.worst;
        }
        let worst = line.worst;
        if let Some(parent) = key.split_last().and_then(|(_, above)| all.get_mut(above)) {
            parent.worst = parent.worst.max(worst);
        }
    }
}

fn select(all: BTreeMap<Vec<&str>, TreeLine>, top_depth: usize, filter: &TreeFilter) -> Vec<TreeLine> {
    let mut keep: BTreeMap<&Vec<&str>, bool> = BTreeMap::new();
    let mut wanted: Vec<Vec<&str>> = Vec::new();
    for (key, line) in &all {
        let deep = filter.depth.is_some_and(|depth| top_depth + depth < key.len());
        keep.insert(key, !deep && (!filter.narrows() || filter.wants(line)));
        if !deep && filter.narrows() && filter.wants(line) {
            wanted.extend((1..key.len()).map(|depth| key[..depth].to_vec()));
        }
    }
    for above in &wanted {
        if let Some(kept) = keep.get_mut(above) {
            *kept = true;
        }
    }
    let keep: Vec<bool> = keep.into_values().collect();
    all.into_values()
        .zip(keep)
        .filter_map(|(line, kept)| kept.then_some(line))
        .collect()
}

/// Adds up how many subjects are in each state.
pub fn count_states(lines: &[TreeLine], counts: &mut BTreeMap<State, u64>) {
    for line in lines.iter().filter(|line| line.kind.is_some()) {
        *counts.entry(line.state).or_default() += 1;
    }
}

/// An empty verdict of a subject: nobody has told yet.
pub fn unknown(subject: SubjectId, kind: SubjectKind, observer: crate::id::NodeName, since: Moment) -> Verdict {
    Verdict {
        subject,
        kind,
        incarnation: crate::subject::Incarnation::default(),
        state: State::Unknown,
        level: Level::None,
        why: String::new(),
        evidence: Vec::new(),
        observer,
        observer_health: crate::verdict::ObserverHealth::default(),
        since,
        held: false,
        remarks: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
