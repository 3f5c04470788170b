//! Conditions of the manager that single hosts cause: one of each kind, however many hosts have it. A condition per host
//! would be more of them than anybody keeps.

use crate::id::NodeName;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// The hosts that cause a condition, with its words.
#[derive(Clone, Debug, Default)]
pub(super) struct HostConditions {
    lossy: BTreeMap<NodeName, String>,
    cloned: BTreeMap<NodeName, String>,
}

impl HostConditions {
    /// Decision records came up, and so many were dropped below.
    pub(super) fn events_came(&mut self, host: &NodeName, dropped: u64) {
        let lost = format!("{dropped} decision records of {host} were lost on the way");
        set(&mut self.lossy, host, (0 < dropped).then_some(lost));
    }

    /// Two living nodes show one name; `None` = no longer.
    pub(super) fn set_cloned(&mut self, host: &NodeName, why: Option<String>) {
        set(&mut self.cloned, host, why);
    }

    /// A host that is no more causes nothing.
    pub(super) fn forget(&mut self, host: &NodeName) {
        self.lossy.remove(host);
        self.cloned.remove(host);
    }

    /// The conditions as they are now.
    pub(super) fn states(&self) -> [(&'static str, Result<String, String>); 2] {
        [
            ("events", state(&self.lossy, "decision records come whole")),
            ("clone", state(&self.cloned, "each name is shown by one node only")),
        ]
    }
}

fn set(of: &mut BTreeMap<NodeName, String>, host: &NodeName, words: Option<String>) {
    match words {
        Some(words) => drop(of.insert(host.clone(), words)),
        None => drop(of.remove(host)),
    }
}

fn state(of: &BTreeMap<NodeName, String>, well: &str) -> Result<String, String> {
    match (of.values().next(), of.len()) {
        (None, _) => Ok(well.to_string()),
        (Some(first), 1) => Err(first.clone()),
        (Some(first), count) => Err(format!("{first} (the first of {count} hosts)")),
    }
}

#[cfg(test)]
mod tests {
    //! One condition of each kind, which ends with the hosts that cause it.
    use super::*;
    use alloc::vec::Vec;

    fn bad(conditions: &HostConditions) -> Vec<String> {
        let bad = |(about, state): (&str, Result<_, String>)| Some(format!("{about}: {}", state.err()?));
        conditions.states().into_iter().filter_map(bad).collect()
    }

    #[test]
    fn those_of_many_hosts_are_one_of_each_kind_and_end_with_the_host() {
        let names = ["h1", "h2", "h3"].map(|text| NodeName::new(text).unwrap());
        let mut conditions = HostConditions::default();
        for name in &names {
            conditions.events_came(name, 7);
            conditions.set_cloned(name, Some(format!("two nodes show the name {name}")));
        }
        assert_eq!(
            bad(&conditions),
            [
                "events: 7 decision records of h1 were lost on the way (the first of 3 hosts)",
                "clone: two nodes show the name h1 (the first of 3 hosts)",
            ]
        );
        conditions.events_came(&names[0], 0);
        conditions.set_cloned(&names[0], None);
        conditions.forget(&names[1]);
        assert_eq!(
            bad(&conditions),
            [
                "events: 7 decision records of h3 were lost on the way",
                "clone: two nodes show the name h3",
            ]
        );
        conditions.forget(&names[2]);
        assert!(bad(&conditions).is_empty());
    }
}
