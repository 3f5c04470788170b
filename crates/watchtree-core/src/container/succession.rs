//! Who took whose name. An updater sets a container aside under another name and gives its name to a new one: from then on
//! the old one is the updater's to keep, to bring back or to remove, and no repair of ours may bring it up beside the new one.
//!
//! Knows names and ids only; which container has a name now is its caller's to say.

use super::io::ContainerId;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// A name that is given away so long after its container left it has nothing to do with that.
const TAKEN_WITHIN: Duration = Duration::from_secs(600);
/// Most names that are remembered.
const LEFT_MAX: usize = 8192;

#[derive(Clone, Debug)]
struct LeftName {
    name: String,
    at: Moment,
    /// Another container was given it.
    is_taken: bool,
}

/// The names that containers have left, by container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Successions(BTreeMap<ContainerId, LeftName>);

impl Successions {
    /// What the journal remembers: another container was given the name of that one.
    pub(crate) fn restore(&mut self, id: ContainerId, name: String) {
        let left = LeftName {
            name,
            at: Moment::ZERO,
            is_taken: true,
        };
        self.0.insert(id, left);
    }

    /// It left a name for another. `is_given` = that other name was somebody's until now: then it is a successor, and what it
    /// left was a name for the meantime.
    pub(crate) fn renamed(&mut self, now: Moment, id: &ContainerId, (from, to): (&str, &str), is_given: bool) {
        if self.0.get(id).is_some_and(|left| left.name == to) || is_given {
            self.0.remove(id);
        } else if self.0.len() < LEFT_MAX {
            // Whoever is set aside twice was first known by the first name.
            self.0.entry(id.clone()).or_insert_with(|| LeftName {
                name: from.to_string(),
                at: now,
                is_taken: false,
            });
        }
    }

    /// Somebody left that name a short while ago, or was given up for it.
    pub(crate) fn is_left(&self, now: Moment, name: &str) -> bool {
        self.0.values().any(|left| left.name == name && left.is_open(now))
    }

    /// A container has that name now. Returns those that have been replaced by that.
    pub(crate) fn taken(&mut self, now: Moment, name: &str, by: &ContainerId) -> impl Iterator<Item = &ContainerId> {
        let left = self.0.iter_mut().filter(move |(id, _)| *id != by);
        let replaced = left.filter(move |(_, left)| left.name == name && !left.is_taken && left.is_open(now));
        replaced.map(|(id, left)| {
            left.is_taken = true;
            id
        })
    }

    /// The name that was that container's and was given to another.
    pub(crate) fn replaced(&self, id: &ContainerId) -> Option<&str> {
        self.0
            .get(id)
            .filter(|left| left.is_taken)
            .map(|left| left.name.as_str())
    }

    /// The containers whose name was given to another.
    pub(crate) fn replaced_of<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s ContainerId> {
        let of = move |(id, left): (&'s ContainerId, &'s LeftName)| (left.is_taken && left.name == name).then_some(id);
        self.0.iter().filter_map(of)
    }

    /// Only these are left.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&ContainerId) -> bool) {
        self.0.retain(|id, _| is_there(id));
    }

    /// The container is gone.
    pub(crate) fn forget(&mut self, id: &ContainerId) {
        self.0.remove(id);
    }
}

impl LeftName {
    fn is_open(&self, now: Moment) -> bool {
        self.is_taken || now.since(self.at) < TAKEN_WITHIN
    }
}

#[cfg(test)]
mod tests {
    //! Who is replaced, and who is not.
    use super::*;
    use alloc::vec::Vec;

    fn id(text: &str) -> ContainerId {
        text.to_string()
    }

    fn taken(it: &mut Successions, ms: u64, name: &str, by: &str) -> Vec<ContainerId> {
        it.taken(Moment::from_millis(ms), name, &id(by)).cloned().collect()
    }

    #[test]
    fn the_one_whose_name_was_given_away_is_replaced_until_it_has_it_back() {
        let mut it = Successions::default();
        it.renamed(Moment::ZERO, &id("old"), ("web", "web-1"), false);
        it.renamed(Moment::ZERO, &id("old"), ("web-1", "web-old"), false);
        assert_eq!(it.replaced(&id("old")), None, "nobody has its name");
        assert!(it.is_left(Moment::ZERO, "web") && !it.is_left(Moment::ZERO, "web-1"));
        assert!(taken(&mut it, 1, "web", "old").is_empty(), "not by itself");
        assert_eq!(taken(&mut it, 1, "web", "new"), ["old"]);
        assert_eq!(it.replaced(&id("old")), Some("web"));
        assert!(taken(&mut it, 2, "web", "new").is_empty(), "once");
        it.renamed(Moment::ZERO, &id("old"), ("web-old", "web"), false);
        assert_eq!(it.replaced(&id("old")), None);
    }

    #[test]
    fn a_successor_did_not_leave_its_name_and_a_late_taker_takes_nothing() {
        let mut it = Successions::default();
        it.renamed(Moment::ZERO, &id("new"), ("web-new", "web"), true);
        assert!(taken(&mut it, 1, "web-new", "newer").is_empty());
        it.renamed(Moment::ZERO, &id("a"), ("a", "b"), false);
        assert!(taken(&mut it, 600_000, "a", "c").is_empty());
        it.restore(id("x"), "w".to_string());
        assert_eq!(it.replaced(&id("x")), Some("w"));
        it.retain(|id| id == "x");
        assert_eq!(it.replaced(&id("x")), Some("w"));
        it.forget(&id("x"));
        assert_eq!(it.replaced(&id("x")), None);
    }
}
