//! Deployments under way, recognised by what happens and by whom it happens to: compose's service, or a name that is given to
//! another container. While one is under way, nothing it touches is repaired. Does not know any container.

use super::io::{ContainerView, EngineEvent};
use super::naming::{places_of, service_of};
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Most places whose deployment is remembered.
const DEPLOYS_MAX: usize = 1024;

/// The places under deployment: compose services, and names.
#[derive(Clone, Debug)]
pub(crate) struct Deployments {
    engine: SubjectId,
    quiet: Duration,
    /// When each counts as quiet.
    until: BTreeMap<SubjectId, Moment>,
}

impl Deployments {
    /// On that engine; one is over when no sign of it came for `quiet`.
    pub(crate) fn new(engine: SubjectId, quiet: Duration) -> Self {
        Self {
            engine,
            quiet,
            until: BTreeMap::new(),
        }
    }

    fn sign(&mut self, now: Moment, place: SubjectId) {
        if self.until.len() < DEPLOYS_MAX || self.until.contains_key(&place) {
            self.until.insert(place, now + self.quiet);
        }
    }

    /// One was made.
    pub(crate) fn made(&mut self, now: Moment, event: &EngineEvent) {
        for place in places_of(&self.engine, event) {
            self.sign(now, place);
        }
    }

    /// One was renamed. One that takes a name which was left for it (`is_given`) is there by that.
    pub(crate) fn renamed(&mut self, now: Moment, event: &EngineEvent, old_name: &str, is_given: bool) {
        self.made(now, event);
        match is_given {
            true => _ = self.until.remove(&self.engine.outer_child(&event.name)),
            false => self.sign(now, self.engine.outer_child(old_name)),
        }
    }

    /// One ended: a further sign, if a deployment is under way there.
    pub(crate) fn ended(&mut self, now: Moment, event: &EngineEvent) {
        for place in places_of(&self.engine, event) {
            if let Some(until) = self.until.get_mut(&place) {
                *until = now + self.quiet;
            }
        }
    }

    /// The successor at that name was removed: perhaps the one it replaced is brought back.
    pub(crate) fn removed(&mut self, now: Moment, name: &str) {
        self.sign(now, self.engine.outer_child(name));
    }

    /// While that name is being deployed: until when.
    pub(crate) fn of_name(&self, name: &str) -> Option<Moment> {
        self.until.get(&self.engine.outer_child(name)).copied()
    }

    /// One was started. Returns the places whose deployment that ended.
    pub(crate) fn started(&mut self, event: &EngineEvent) -> Vec<SubjectId> {
        let places = places_of(&self.engine, event);
        places.filter(|place| self.until.remove(place).is_some()).collect()
    }

    /// Ends those that have become quiet. True if there was one.
    pub(crate) fn expire(&mut self, now: Moment) -> bool {
        let before = self.until.len();
        self.until.retain(|_, at| now < *at);
        self.until.len() < before
    }

    /// When the next one becomes quiet.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.until.values().min().copied()
    }

    /// While the container's compose service is being deployed: until when.
    pub(crate) fn of_service(&self, view: &ContainerView) -> Option<Moment> {
        let service = service_of(&self.engine, view)?;
        self.until.get(&service).copied()
    }

    /// While that subject's place, or one above it, is being deployed: until when.
    pub(crate) fn until_within(&self, subject: &SubjectId) -> Option<Moment> {
        let above = self.until.iter().filter(|(place, _)| subject.is_within(place));
        above.map(|(_, at)| *at).max()
    }
}

#[cfg(test)]
mod tests {
    //! From the first sign to the quiet after the last.
    use super::*;
    use crate::container::io::{EngineTime, EventAction};
    use crate::fixture::subject;
    use alloc::string::ToString;

    fn event(name: &str) -> EngineEvent {
        EngineEvent {
            at: EngineTime(1),
            id: "c1".to_string(),
            name: name.to_string(),
            compose: (name == "shop_web_1").then(|| ("shop".to_string(), "web".to_string())),
            action: EventAction::Create,
        }
    }

    fn until(it: &Deployments, name: &str) -> Option<u64> {
        it.of_name(name).map(|at| at.as_micros() / 1000)
    }

    #[test]
    fn a_deployment_ends_with_its_start_or_by_itself() {
        let mut it = Deployments::new(subject("h/d"), Duration::from_secs(30));
        let (at, web, db) = (Moment::from_millis, event("shop_web_1"), event("db"));
        it.ended(at(0), &web);
        assert_eq!(it.next(), None, "an end is no first sign");
        it.made(at(0), &web);
        it.made(at(1000), &db);
        it.ended(at(5000), &web);
        assert_eq!(it.until_within(&subject("h/d/shop/web/1")), Some(at(35_000)));
        assert_eq!(
            (until(&it, "shop_web_1"), until(&it, "db")),
            (Some(35_000), Some(31_000))
        );
        assert_eq!(it.next(), Some(at(31_000)));
        assert!(!it.expire(at(30_999)) && it.expire(at(31_000)));
        let mut view = ContainerView::default();
        assert_eq!(it.of_service(&view), None);
        for (key, value) in [("project", "shop"), ("service", "web")] {
            view.labels
                .insert(alloc::format!("com.docker.compose.{key}"), value.to_string());
        }
        assert_eq!(it.of_service(&view), Some(at(35_000)));
        assert!(it.started(&db).is_empty());
        assert_eq!(it.started(&web), [subject("h/d/shop/web"), subject("h/d/shop_web_1")]);
        assert_eq!(it.next(), None);
    }

    #[test]
    fn a_rename_is_a_sign_at_both_names_but_of_what_takes_a_name_that_was_left() {
        let mut it = Deployments::new(subject("h/d"), Duration::from_secs(30));
        it.renamed(Moment::ZERO, &event("old"), "web", false);
        assert_eq!((until(&it, "web"), until(&it, "old")), (Some(30_000), Some(30_000)));
        it.renamed(Moment::ZERO, &event("web"), "new", true);
        assert_eq!((until(&it, "web"), until(&it, "new")), (None, None));
    }
}
