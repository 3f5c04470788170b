//! What one child reports ([`Book`]), and what it is shown as where something above it is lost (dependency masking).
//!
//! A book holds what was reported and nothing else. Where the observer itself says of the reporter that it is lost or has
//! said goodbye, or where the reporter calls an engine dead, the verdicts below are masked: they stay as they were, are
//! shown as UNWATCHED with the subject that masks them, and are shown as before the moment the mask ends.
//!
//! Knows no sessions and no time.

use crate::message::Digest;
use crate::report::{DIGEST_ALGORITHM, hash_of};
use crate::subject::{SubjectId, SubjectKind, within};
use crate::time::Moment;
use crate::verdict::{Level, State, Verdict};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most subjects one child may report.
pub(crate) const SUBJECTS_PER_CHILD_MAX: usize = 16_384;

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
        within(&self.verdicts, top, after).map(|(_, verdict)| verdict)
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

/// True where the observer's own word on a reporter takes the place of all that was reported below it. A mere suspicion is
/// no reason yet.
pub(crate) fn masks(state: State) -> bool {
    matches!(
        state,
        State::AgentLost | State::Unreachable | State::Down | State::Unwatched | State::Unknown
    )
}

/// What a subject under a root cause is shown as: what ended on purpose stays ended, the rest is not looked at.
pub(crate) fn masked_state(reported: State) -> State {
    match reported {
        State::Finished | State::Stopped => reported,
        _ => State::Unwatched,
    }
}

/// An empty verdict of a subject: nobody has told yet.
pub(crate) fn unknown(subject: SubjectId, kind: SubjectKind, observer: crate::id::NodeName, since: Moment) -> Verdict {
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
