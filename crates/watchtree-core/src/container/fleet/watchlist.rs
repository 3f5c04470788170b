//! Everything that is watched, by subject, and what is asked of all together. Decides nothing.

use super::engine_view::EngineView;
use super::holders::Holders;
use super::watched::Watched;
use crate::container::io::{ContainerId, EngineEvent, EngineTime, Record};
use crate::container::outbox::Outbox;
use crate::container::policy::ContainerPolicy;
use crate::container::relatives::ParentSeen;
use crate::container::repair::Repair;
use crate::subject::SubjectId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// See the module's text.
#[derive(Default)]
pub(super) struct Watchlist {
    /// Boxed: the nodes of the map have room for twice as many as there are.
    all: BTreeMap<SubjectId, Box<Watched>>,
    policies: Policies,
    holders: Holders,
}

/// The policies in force. Most containers have one of few, and one takes four kilobytes.
#[derive(Default)]
struct Policies(Vec<Arc<ContainerPolicy>>);

impl Policies {
    /// Most that are compared with a new one.
    const COMPARED_MAX: usize = 32;

    fn shared(&mut self, policy: ContainerPolicy) -> Arc<ContainerPolicy> {
        if let Some(known) = self.0.iter().find(|known| ***known == policy) {
            return Arc::clone(known);
        }
        let policy = Arc::new(policy);
        self.0.retain(|known| 1 < Arc::strong_count(known));
        if self.0.len() < Self::COMPARED_MAX {
            self.0.push(Arc::clone(&policy));
        }
        policy
    }
}

impl Watchlist {
    /// That policy, or an equal one that is in force already.
    pub(super) fn shared(&mut self, policy: ContainerPolicy) -> Arc<ContainerPolicy> {
        self.policies.shared(policy)
    }

    pub(super) fn insert(&mut self, sid: SubjectId, watched: Watched) {
        if let Some(id) = watched.subject().container_of_wish() {
            self.holders.has(&sid, id);
        }
        self.all.insert(sid, Box::new(watched));
    }

    pub(super) fn remove(&mut self, sid: &SubjectId) {
        self.all.remove(sid);
        self.holders.forget(sid);
    }

    pub(super) fn get(&self, sid: &SubjectId) -> Option<&Watched> {
        self.all.get(sid).map(|it| &**it)
    }

    pub(super) fn get_mut(&mut self, sid: &SubjectId) -> Option<&mut Watched> {
        self.all.get_mut(sid).map(|it| &mut **it)
    }

    /// The one of that name, new if there is none yet.
    pub(super) fn get_or_new(&mut self, sid: SubjectId) -> &mut Watched {
        self.all
            .entry(sid.clone())
            .or_insert_with(|| Box::new(Watched::new(sid)))
    }

    /// The subject of a container that was inspected, new if there is none yet. Where the container is new to it: what that was
    /// meant to do under another name holds on.
    pub(super) fn taken_up(&mut self, sid: SubjectId, new: Option<&ContainerId>, out: &mut Outbox) -> &mut Watched {
        let wish_of = |it: &Watched| new.and_then(|id| it.subject().wish_of(id)).cloned();
        let is_known = self.get(&sid).is_some_and(|it| wish_of(it).is_some());
        let before = new.into_iter().filter(|_| !is_known).flat_map(|id| self.holders.of(id));
        let wish = before.filter_map(|sid| self.get(sid)).find_map(wish_of);
        if let Some(id) = new {
            self.holders.has(&sid, id);
        }
        let heir = self.get_or_new(sid);
        let record = wish.and_then(|wish| heir.inherit(wish));
        out.journal_all(record);
        heir
    }

    /// What is shown of those that one depends on.
    pub(super) fn show_parents(&self, parents: &mut [ParentSeen]) {
        for parent in parents {
            let watched = parent.subject.as_ref().and_then(|sid| self.get(sid));
            parent.shown = watched.map(Watched::state);
        }
    }

    /// The engine may be going down: the stops after which it answered nothing are perhaps its own.
    pub(super) fn doubt_unanswered_stops(&mut self, engine: &mut EngineView, out: &mut Outbox) {
        for (sid, watched) in self.iter_mut() {
            let it = engine.observation_of_mut(sid);
            out.journal_all(it.and_then(|it| watched.doubt_unanswered_stop(it)));
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&SubjectId, &mut Watched)> {
        self.all.iter_mut().map(|(sid, it)| (sid, &mut **it))
    }

    /// A signal that is no stop was sent to the container of that subject, and has set the engine's manual-stop flag. Nothing is
    /// to be inspected for it: false.
    pub(super) fn take_other_signal(
        &mut self,
        subject: Option<&SubjectId>,
        event: &EngineEvent,
        signal: u32,
        out: &mut Outbox,
    ) -> bool {
        let watched = subject.and_then(|sid| self.all.get_mut(sid));
        let record = watched.and_then(|it| it.other_signal(&event.id, event.at, signal));
        out.journal_all(record);
        false
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// True if anything within the subject is watched.
    pub(super) fn has_within(&self, top: &SubjectId) -> bool {
        self.all.keys().any(|sid| sid.is_within(top))
    }

    /// The newest events before the repairs under way: what came after them must be seen.
    pub(super) fn needed_events(&self) -> impl Iterator<Item = EngineTime> {
        self.all.values().flat_map(|it| it.needed_events())
    }

    /// Events may have been lost: what is to be written down of that.
    pub(super) fn events_lost(&mut self) -> impl Iterator<Item = Record> {
        self.all.values_mut().filter_map(|it| it.events_lost())
    }

    /// The names of these containers were given to others: remembered also over a restart of ours.
    pub(super) fn were_replaced(&mut self, replaced: Vec<(SubjectId, ContainerId, String)>, out: &mut Outbox) {
        for (subject, id, name) in replaced {
            if let Some(watched) = self.get_mut(&subject) {
                watched.was_replaced(&id);
            }
            out.journal(Record::Replaced { subject, id, name });
        }
    }

    /// The repair of that subject is of this container.
    pub(super) fn repairs(&self, sid: &SubjectId, id: &ContainerId) -> bool {
        self.get(sid).is_some_and(|it| it.repairs(id))
    }

    /// A repair of that subject is under way, and not only being verified.
    pub(super) fn is_in_motion(&self, sid: &SubjectId) -> bool {
        let repair = self.get(sid).and_then(Watched::repair);
        repair.is_some_and(|repair| !repair.is_verifying())
    }

    /// Those with a repair in motion, or one of before a restart of ours.
    pub(super) fn in_motion(&self) -> impl Iterator<Item = &SubjectId> {
        let all = self.all.iter();
        let in_motion = all.filter(|(sid, it)| self.is_in_motion(sid) || it.is_recovering());
        in_motion.map(|(sid, _)| sid)
    }

    /// A call is under way, or a stop of ours has no start yet.
    pub(super) fn is_busy(&self) -> bool {
        let is_busy = |it: &Repair| it.is_calling() || (it.is_half_done() && it.overruled().is_none());
        self.all.values().filter_map(|it| it.repair()).any(is_busy)
    }

    /// How many are at their restart limit.
    pub(super) fn at_limit(&self) -> usize {
        self.all.values().filter(|it| it.is_at_limit()).count()
    }
}
