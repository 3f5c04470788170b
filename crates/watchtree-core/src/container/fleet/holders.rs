//! Which subjects have a container, or had it last: one that is renamed is found under its former name without a look at all others.
//! Knows nothing else of either.

use crate::container::io::ContainerId;
use crate::subject::SubjectId;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// So many containers of one subject are remembered: its present one, and the one before.
const CONTAINERS_MAX: usize = 2;

/// See the module's text. As many as there are subjects.
#[derive(Default)]
pub(super) struct Holders {
    by_container: BTreeMap<ContainerId, BTreeSet<SubjectId>>,
    by_subject: BTreeMap<SubjectId, VecDeque<ContainerId>>,
}

impl Holders {
    /// That subject has that container now.
    pub(super) fn has(&mut self, sid: &SubjectId, id: &ContainerId) {
        let known = self.by_subject.entry(sid.clone()).or_default();
        known.retain(|it| it != id);
        known.push_back(id.clone());
        let too_old = (CONTAINERS_MAX < known.len()).then(|| known.pop_front()).flatten();
        self.by_container.entry(id.clone()).or_default().insert(sid.clone());
        if let Some(old) = too_old {
            self.let_go(sid, &old);
        }
    }

    /// The subject is no more.
    pub(super) fn forget(&mut self, sid: &SubjectId) {
        for id in self.by_subject.remove(sid).into_iter().flatten() {
            self.let_go(sid, &id);
        }
    }

    /// Who has that container, or had it last.
    pub(super) fn of(&self, id: &ContainerId) -> impl Iterator<Item = &SubjectId> {
        self.by_container.get(id).into_iter().flatten()
    }

    fn let_go(&mut self, sid: &SubjectId, id: &ContainerId) {
        if let Some(subjects) = self.by_container.get_mut(id) {
            subjects.remove(sid);
            if subjects.is_empty() {
                self.by_container.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Found by the container, and nothing is kept of what is over.
    use super::*;
    use crate::fixture::subject;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn a_container_is_found_under_its_former_name_until_that_is_forgotten() {
        let (web, old) = (subject("h/d/web"), subject("h/d/web-old"));
        let mut it = Holders::default();
        let of = |it: &Holders, id: &str| it.of(&id.to_string()).cloned().collect::<Vec<_>>();
        it.has(&web, &"c1".to_string());
        it.has(&old, &"c1".to_string());
        it.has(&web, &"c2".to_string());
        assert_eq!(of(&it, "c1"), [web.clone(), old.clone()]);
        it.has(&web, &"c2".to_string());
        assert_eq!(of(&it, "c1").len(), 2, "it has not changed");
        it.has(&web, &"c3".to_string());
        assert_eq!(
            (of(&it, "c1"), of(&it, "c2")),
            (alloc::vec![old.clone()], alloc::vec![web.clone()])
        );
        it.forget(&web);
        it.forget(&old);
        assert!(it.by_container.is_empty() && it.by_subject.is_empty());
    }
}
