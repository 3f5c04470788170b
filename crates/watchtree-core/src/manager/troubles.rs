//! Troubles that single hosts have with the manager: one condition of each kind, however many hosts have it. A condition per
//! host would be more of them than anybody keeps.

use super::ManagerAgent;
use crate::id::NodeName;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// The hosts that have a trouble of each kind, with its words.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles {
    lossy: BTreeMap<NodeName, String>,
    cloned: BTreeMap<NodeName, String>,
}

impl ManagerAgent {
    pub(super) fn events_came(&mut self, name: &NodeName, dropped: u64) {
        let lost = format!("{dropped} decision records of {name} were lost on the way");
        put(&mut self.troubles.lossy, name, (0 < dropped).then_some(lost));
        self.tell_troubles();
    }

    pub(super) fn cloned(&mut self, name: &NodeName, why: String) {
        put(&mut self.troubles.cloned, name, Some(why));
        self.tell_troubles();
    }

    pub(super) fn not_cloned(&mut self, name: &NodeName) {
        put(&mut self.troubles.cloned, name, None);
        self.tell_troubles();
    }

    /// A host that is no more has no troubles.
    pub(super) fn no_troubles(&mut self, name: &NodeName) {
        put(&mut self.troubles.lossy, name, None);
        self.not_cloned(name);
    }

    fn tell_troubles(&mut self) {
        let lossy = state(&self.troubles.lossy, "decision records come whole");
        let cloned = state(&self.troubles.cloned, "each name is shown by one node only");
        self.set_condition("events".to_string(), lossy);
        self.set_condition("clone".to_string(), cloned);
    }
}

fn put(of: &mut BTreeMap<NodeName, String>, name: &NodeName, words: Option<String>) {
    match words {
        Some(words) => drop(of.insert(name.clone(), words)),
        None => drop(of.remove(name)),
    }
}

fn state(of: &BTreeMap<NodeName, String>, well: &str) -> Result<String, String> {
    match (of.values().next(), of.len()) {
        (None, _) => Ok(well.to_string()),
        (Some(first), 1) => Err(first.clone()),
        (Some(first), count) => Err(format!("{first} (the first of {count} hosts)")),
    }
}
