//! What a container is meant to do: to run, or to stay stopped, as it was last written to the journal. Does not know who ended
//! it, nor what follows.

use crate::container::io::{ContainerId, Record};
use crate::container::observation::ContainerObservation;
use crate::container::record::Desired;
use crate::subject::{Incarnation, SubjectId};

/// Of which incarnation of which container, and what it is meant to do.
pub(crate) type Wish = (ContainerId, Incarnation, Desired);

/// The last wish.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes(Option<Wish>);

impl Wishes {
    /// As the journal held it.
    pub(super) fn restore(desired: Option<Wish>) -> Self {
        Self(desired)
    }

    /// The wish for that container. An empty incarnation: nothing is known of who ended it, should it have ended.
    pub(super) fn of(&self, id: &ContainerId) -> Option<(&Incarnation, Desired)> {
        let (_, incarnation, desired) = self.whole_of(id)?;
        Some((incarnation, *desired))
    }

    /// It is meant to do this. Returns what is to be written down, if anything has changed.
    pub(super) fn wish(&mut self, subject: &SubjectId, it: &ContainerObservation, desired: Desired) -> Option<Record> {
        self.set(subject, it.id().clone(), it.incarnation(), desired)
    }

    /// Such a wish no longer tells who ended it: it ran, in an incarnation that is not known.
    pub(super) fn invalidate(&mut self, subject: &SubjectId, desired: Desired) -> Option<Record> {
        let (id, ..) = self.0.as_ref().filter(|(.., known)| *known == desired)?;
        self.set(subject, id.clone(), Incarnation::default(), Desired::Running)
    }

    /// As [`Self::of`], whole.
    pub(super) fn whole_of(&self, id: &ContainerId) -> Option<&Wish> {
        self.0.as_ref().filter(|(known, ..)| known == id)
    }

    /// The container that it is about.
    pub(super) fn container(&self) -> Option<&ContainerId> {
        self.0.as_ref().map(|(id, ..)| id)
    }

    /// What the container was meant to do under another name. Returns what is to be written down.
    pub(super) fn inherit(&mut self, subject: &SubjectId, wish: Wish) -> Option<Record> {
        let (id, incarnation, desired) = wish;
        self.set(subject, id, incarnation, desired)
    }

    fn set(
        &mut self,
        subject: &SubjectId,
        id: ContainerId,
        incarnation: Incarnation,
        desired: Desired,
    ) -> Option<Record> {
        let new = (id, incarnation, desired);
        if self.0.as_ref() == Some(&new) {
            return None;
        }
        let (id, incarnation, _) = self.0.insert(new).clone();
        Some(Record::Desired {
            subject: subject.clone(),
            id,
            incarnation,
            desired,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Written down once, and doubted once.
    use super::*;
    use crate::fixture::subject;
    use crate::time::Moment;
    use alloc::string::ToString;

    #[test]
    fn a_wish_is_written_down_when_it_changes_and_no_longer_trusted_when_events_are_lost() {
        let (web, id) = (subject("h/d/web"), "c1".to_string());
        let it = ContainerObservation::new(id.clone(), Moment::ZERO);
        let life = Incarnation::container("c1", "t1");
        let mut wishes = Wishes::restore(Some((id.clone(), life.clone(), Desired::Running)));
        assert_eq!(wishes.of(&id), Some((&life, Desired::Running)));
        assert_eq!(wishes.of(&"c2".to_string()), None);
        assert_eq!(wishes.invalidate(&web, Desired::Stopped), None, "no such wish");
        assert!(wishes.invalidate(&web, Desired::Running).is_some());
        assert_eq!(wishes.of(&id), Some((&Incarnation::default(), Desired::Running)));
        assert_eq!(wishes.invalidate(&web, Desired::Running), None, "it is written down");
        assert!(wishes.wish(&web, &it, Desired::Stopped).is_some());
        assert_eq!(wishes.wish(&web, &it, Desired::Stopped), None);
        assert!(
            wishes.invalidate(&web, Desired::Stopped).is_some(),
            "perhaps the engine's stop"
        );
        assert_eq!(wishes.of(&id), Some((&Incarnation::default(), Desired::Running)));
    }
}
