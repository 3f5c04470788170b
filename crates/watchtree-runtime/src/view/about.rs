//! The explanation of one subject as JSON; for a group, which is no subject itself, a summary of its members.

use super::records::{node, shown_node, state_word};
use std::collections::BTreeMap;
use watchtree_api::TreeNode;
use watchtree_core::manager::page::Shown;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::Moment;
use watchtree_core::verdict::{State, Verdict};

/// Most members of a group that are named: the ill ones first.
const MEMBERS_MAX: usize = 32;

/// Takes the subject and everything below it.
#[derive(Debug)]
pub struct About {
    subject: SubjectId,
    own: Option<TreeNode>,
    counts: BTreeMap<State, u64>,
    ill: Vec<TreeNode>,
    well: Vec<TreeNode>,
}

impl About {
    /// Of this subject.
    pub fn new(subject: SubjectId) -> Self {
        Self {
            subject,
            own: None,
            counts: BTreeMap::new(),
            ill: Vec::new(),
            well: Vec::new(),
        }
    }

    /// Takes one verdict; what is not within the subject is left out. `now`: see [`node`].
    pub fn add(&mut self, now: Option<Moment>, verdict: &Verdict) {
        self.take(&verdict.subject, verdict.state, || node(now, verdict, None));
    }

    /// Takes one subject as the manager shows it. `now` is our own clock.
    pub fn add_shown(&mut self, now: Moment, shown: &Shown<'_>) {
        self.take(&shown.verdict.subject, shown.state, || shown_node(now, shown));
    }

    fn take(&mut self, subject: &SubjectId, state: State, make: impl FnOnce() -> TreeNode) {
        if !subject.is_within(&self.subject) {
            return;
        }
        *self.counts.entry(state).or_default() += 1;
        let members = if state.is_incident() {
            &mut self.ill
        } else {
            &mut self.well
        };
        if *subject == self.subject {
            self.own = Some(make());
        } else if members.len() < MEMBERS_MAX {
            members.push(make());
        }
    }

    /// The subject without those below; a group with its members; `None` = there is nothing of that name.
    pub fn finish(self) -> Option<TreeNode> {
        let worst = self.counts.keys().max().map(|state| state_word(*state))?;
        if let Some(own) = self.own {
            return Some(TreeNode { worst, ..own });
        }
        let total: u64 = self.counts.values().sum();
        let counts = self.counts.iter().rev();
        let counts: Vec<String> = counts
            .map(|(state, count)| format!("{count} {}", state.as_str()))
            .collect();
        let members = self.ill.into_iter().chain(self.well).take(MEMBERS_MAX);
        Some(TreeNode {
            subject: self.subject.to_string(),
            kind: "group".to_string(),
            state: worst.clone(),
            worst,
            why: format!("a group of {total}: {}", counts.join(", ")),
            children: members.collect(),
            ..TreeNode::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::collect::tests::verdict;
    use super::*;

    fn about(subject: &str) -> Option<TreeNode> {
        let mut about = About::new(SubjectId::new(subject).expect("a good subject"));
        for (subject, state) in [
            ("h1/docker", State::Ok),
            ("h1/docker/shop/db/1", State::Ok),
            ("h1/docker/shop/web/1", State::GivenUp),
            ("h1/docker/shop-x", State::Down),
        ] {
            about.add(Some(Moment::from_millis(3000)), &verdict(subject, state));
        }
        about.finish()
    }

    #[test]
    fn a_subject_is_itself() {
        let node = about("h1/docker").expect("it is there");
        assert_eq!((node.state.as_str(), node.worst.as_str()), ("ok", "given_up"));
        assert!(node.children.is_empty());
    }

    #[test]
    fn a_group_is_its_members_the_ill_first() {
        let node = about("h1/docker/shop").expect("it is there");
        assert_eq!((node.kind.as_str(), node.state.as_str()), ("group", "given_up"));
        assert_eq!(node.why, "a group of 2: 1 GIVEN UP, 1 OK");
        let members: Vec<&str> = node.children.iter().map(|member| member.subject.as_str()).collect();
        assert_eq!(members, ["h1/docker/shop/web/1", "h1/docker/shop/db/1"]);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        assert_eq!(about("h1/docker/sho"), None);
    }
}
