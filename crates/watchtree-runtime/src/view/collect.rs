//! The tree as JSON: counts every verdict, keeps those that are shown, nests them at the end.

use super::records::{node, shown_node, state_word};
use std::collections::BTreeMap;
use watchtree_api as api;
use watchtree_api::{TREE_NODES_MAX, TreeNode, TreeQuery};
use watchtree_core::manager::page::Shown;
use watchtree_core::subject::{SubjectId, SubjectKind};
use watchtree_core::time::Moment;
use watchtree_core::verdict::{State, Verdict};

/// Collects the verdicts of a tree answer.
#[derive(Debug)]
pub struct TreeCollector {
    query: TreeQuery,
    /// Subjects per state, indexed by the state's order.
    counts: BTreeMap<State, u64>,
    /// The worst state of each path that may be shown and of everything below it.
    worst: BTreeMap<String, State>,
    shown: Vec<TreeNode>,
    /// Containers below each top, by state.
    containers: BTreeMap<String, BTreeMap<State, u64>>,
    /// Hosts, engines and such that do not fit the filter but may stand above something that does.
    above: BTreeMap<String, TreeNode>,
    omitted: u64,
}

impl TreeCollector {
    /// For this query.
    pub fn new(query: TreeQuery) -> Self {
        Self {
            query,
            counts: BTreeMap::new(),
            worst: BTreeMap::new(),
            shown: Vec::new(),
            containers: BTreeMap::new(),
            above: BTreeMap::new(),
            omitted: 0,
        }
    }

    /// Takes one verdict. `now`: see [`node`].
    pub fn add(&mut self, now: Option<Moment>, verdict: &Verdict, root_cause: Option<&SubjectId>) {
        self.place(verdict, verdict.state, || node(now, verdict, root_cause));
    }

    /// Takes one subject as the manager shows it: that wins over what its verdict says. `now` is our own clock.
    pub fn add_shown(&mut self, now: Moment, shown: &Shown<'_>) {
        self.place(shown.verdict, shown.state, || shown_node(now, shown));
    }

    /// Counts it; makes the node only if it is wanted: most of a large tree is not.
    fn place(&mut self, verdict: &Verdict, state: State, make: impl FnOnce() -> TreeNode) {
        *self.counts.entry(state).or_default() += 1;
        let (subject, is_container) = (verdict.subject.as_str(), verdict.kind == SubjectKind::Container);
        if is_container {
            self.count_container(verdict.subject.root(), state);
        }
        let depth = subject.bytes().filter(|&byte| byte == b'/').count();
        let depth_max = self.query.depth.map_or(usize::MAX, |depth| depth as usize);
        self.spread(subject, depth_max, state);
        if depth_max < depth {
            return;
        }
        if !self.fits(subject, state) {
            if !is_container && self.above.len() < TREE_NODES_MAX {
                self.above.insert(subject.to_string(), make());
            }
        } else if TREE_NODES_MAX <= self.shown.len() {
            self.omitted += 1;
        } else {
            self.shown.push(make());
        }
    }

    fn count_container(&mut self, top: &str, state: State) {
        let room = self.containers.len() < TREE_NODES_MAX;
        match self.containers.get_mut(top) {
            Some(counts) => *counts.entry(state).or_default() += 1,
            None if room => {
                self.containers.insert(top.to_string(), BTreeMap::from([(state, 1)]));
            }
            None => {}
        }
    }

    fn spread(&mut self, path: &str, depth_max: usize, state: State) {
        let ends = path.match_indices('/').map(|(index, _)| index).chain([path.len()]);
        let room = self.worst.len() < 2 * TREE_NODES_MAX;
        for end in ends.take(depth_max.saturating_add(1)) {
            match self.worst.get_mut(&path[..end]) {
                Some(worst) => *worst = (*worst).max(state),
                None if room => {
                    self.worst.insert(path[..end].to_string(), state);
                }
                None => {}
            }
        }
    }

    fn fits(&self, subject: &str, state: State) -> bool {
        match self.query.filter.as_deref() {
            None | Some("") => true,
            Some("ill") => state.is_incident() || state == State::Suspect,
            Some(filter) => subject.contains(filter) || state_word(state) == filter,
        }
    }

    /// Nests what was collected. Fills `tree`, `counts` and `omitted` of the answer.
    pub fn finish(mut self, mut answer: api::TreeResponse) -> api::TreeResponse {
        let mut tops = Branch::default();
        let everything = self.query.filter.as_deref().is_none_or(str::is_empty) && self.omitted == 0;
        if everything && self.query.depth.is_some() {
            // A group is shown also where all its members are deeper than wanted.
            for path in self.worst.keys() {
                tops.at(path);
            }
        }
        for node in self.shown {
            let branch = tops.at(&node.subject);
            branch.node = Some(node);
        }
        let worst = self.counts.keys().next_back().copied();
        answer.counts = words(self.counts);
        answer.omitted = self.omitted;
        answer.tree = tops.into_nodes("", &self.worst, &mut self.above);
        for top in &mut answer.tree {
            top.containers = self.containers.remove(&top.subject).map(words).unwrap_or_default();
            // The hosts hang on the manager, though their paths do not say so.
            if let Some(worst) = worst.filter(|_| top.kind == SubjectKind::Manager.as_str()) {
                top.worst = state_word(worst);
            }
        }
        answer
    }
}

fn words(counts: BTreeMap<State, u64>) -> BTreeMap<String, u64> {
    counts
        .into_iter()
        .map(|(state, count)| (state_word(state), count))
        .collect()
}

#[derive(Default)]
struct Branch {
    node: Option<TreeNode>,
    below: BTreeMap<String, Branch>,
}

impl Branch {
    /// The branch of a path, made if it is missing.
    fn at(&mut self, path: &str) -> &mut Self {
        let mut branch = self;
        for segment in path.split('/') {
            branch = branch.below.entry(segment.to_string()).or_default();
        }
        branch
    }

    /// Depth of the recursion is bounded by the number of segments a subject may have.
    fn into_nodes(
        self,
        path: &str,
        worst: &BTreeMap<String, State>,
        above: &mut BTreeMap<String, TreeNode>,
    ) -> Vec<TreeNode> {
        let nest = |(segment, mut branch): (String, Self)| {
            let path = if path.is_empty() {
                segment
            } else {
                format!("{path}/{segment}")
            };
            let node = branch.node.take().or_else(|| above.remove(&path));
            let mut node = node.unwrap_or_else(|| group(&path, worst));
            if let Some(state) = worst.get(&path) {
                node.worst = state_word(*state);
            }
            node.children = branch.into_nodes(&path, worst, above);
            node
        };
        self.below.into_iter().map(nest).collect()
    }
}

/// A path that is no subject itself: a compose project or service.
fn group(path: &str, worst: &BTreeMap<String, State>) -> TreeNode {
    let state = worst.get(path).map_or_else(String::new, |state| state_word(*state));
    TreeNode {
        subject: path.to_string(),
        kind: "group".to_string(),
        state: state.clone(),
        worst: state,
        ..TreeNode::default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use watchtree_core::id::NodeName;
    use watchtree_core::subject::Incarnation;
    use watchtree_core::verdict::{Level, ObserverHealth};

    pub(crate) fn verdict(subject: &str, state: State) -> Verdict {
        Verdict {
            subject: SubjectId::new(subject).expect("a good subject"),
            kind: if subject.matches('/').count() < 2 {
                SubjectKind::Host
            } else {
                SubjectKind::Container
            },
            incarnation: Incarnation::default(),
            state,
            level: Level::Certain,
            why: String::new(),
            evidence: Vec::new(),
            observer: NodeName::new("h1").expect("a good name"),
            observer_health: ObserverHealth(0),
            since: Moment::from_millis(1000),
            held: false,
            remarks: Vec::new(),
        }
    }

    fn lines(nodes: &[TreeNode], lines: &mut Vec<String>) {
        for node in nodes {
            lines.push(format!(
                "{} {} {} worst {}",
                node.subject, node.kind, node.state, node.worst
            ));
            self::lines(&node.children, lines);
        }
    }

    fn tree(query: TreeQuery) -> Vec<String> {
        let mut collector = TreeCollector::new(query);
        for (subject, state) in [
            ("h1", State::Ok),
            ("h1/docker", State::Ok),
            ("h1/docker/shop/web/1", State::GivenUp),
            ("h1/docker/shop-x", State::Ok),
            ("h1-b", State::AgentLost),
        ] {
            collector.add(Some(Moment::from_millis(3000)), &verdict(subject, state), None);
        }
        let answer = collector.finish(api::TreeResponse::default());
        assert_eq!(answer.counts["ok"], 3);
        let mut all = Vec::new();
        lines(&answer.tree, &mut all);
        all
    }

    #[test]
    fn paths_become_a_tree_and_the_worst_rises() {
        assert_eq!(
            tree(TreeQuery::default()),
            [
                "h1 host ok worst given_up",
                "h1/docker host ok worst given_up",
                "h1/docker/shop group given_up worst given_up",
                "h1/docker/shop/web group given_up worst given_up",
                "h1/docker/shop/web/1 container given_up worst given_up",
                "h1/docker/shop-x container ok worst ok",
                "h1-b host agent_lost worst agent_lost",
            ]
        );
    }

    #[test]
    fn the_manager_is_as_ill_as_the_worst_of_its_hosts() {
        let depth = Some(0);
        let mut collector = TreeCollector::new(TreeQuery { depth, filter: None });
        let own = Verdict {
            kind: SubjectKind::Manager,
            ..verdict("manager", State::Ok)
        };
        collector.add(None, &own, None);
        collector.add(None, &verdict("h1", State::Ok), None);
        collector.add(None, &verdict("h1/docker/web", State::GivenUp), None);
        let answer = collector.finish(api::TreeResponse::default());
        let tops = answer
            .tree
            .iter()
            .map(|top| format!("{} {} {}", top.subject, top.state, top.worst));
        assert_eq!(tops.collect::<Vec<_>>(), ["h1 ok given_up", "manager ok given_up"]);
    }

    #[test]
    fn depth_hides_but_does_not_forget() {
        assert_eq!(
            tree(TreeQuery {
                depth: Some(0),
                filter: None
            }),
            ["h1 host ok worst given_up", "h1-b host agent_lost worst agent_lost"]
        );
    }

    #[test]
    fn a_group_is_shown_although_its_members_are_too_deep() {
        let depth = Some(2);
        assert_eq!(
            tree(TreeQuery { depth, filter: None }),
            [
                "h1 host ok worst given_up",
                "h1/docker host ok worst given_up",
                "h1/docker/shop group given_up worst given_up",
                "h1/docker/shop-x container ok worst ok",
                "h1-b host agent_lost worst agent_lost",
            ]
        );
    }

    #[test]
    fn each_top_says_how_many_containers_it_has_at_any_depth() {
        let depth = Some(0);
        let mut collector = TreeCollector::new(TreeQuery { depth, filter: None });
        for number in 0..TREE_NODES_MAX + 5 {
            let (subject, state) = (
                format!("h1/docker/c{number}"),
                if number < 2 { State::Down } else { State::Ok },
            );
            collector.add(None, &verdict(&subject, state), None);
        }
        let answer = collector.finish(api::TreeResponse::default());
        assert_eq!((answer.omitted, answer.tree.len()), (0, 1));
        assert_eq!(
            answer.tree[0].containers,
            [("down".to_string(), 2), ("ok".to_string(), TREE_NODES_MAX as u64 + 3)].into()
        );
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut collector = TreeCollector::new(TreeQuery::default());
        for number in 0..TREE_NODES_MAX + 5 {
            collector.add(None, &verdict(&format!("h{number}"), State::Ok), None);
        }
        let answer = collector.finish(api::TreeResponse::default());
        assert_eq!((answer.omitted, answer.tree.len()), (5, TREE_NODES_MAX));
    }

    #[test]
    fn a_filter_keeps_the_ancestors() {
        assert_eq!(
            tree(TreeQuery {
                depth: None,
                filter: Some("shop-x".into())
            }),
            [
                "h1 host ok worst given_up",
                "h1/docker host ok worst given_up",
                "h1/docker/shop-x container ok worst ok",
            ]
        );
        assert_eq!(
            tree(TreeQuery {
                depth: None,
                filter: Some("agent_lost".into())
            })
            .len(),
            1
        );
    }

    #[test]
    fn ages_are_on_the_observers_clock() {
        let node = node(Some(Moment::from_millis(3000)), &verdict("h1", State::Ok), None);
        assert_eq!(node.since_ms, Some(2000));
    }
}
