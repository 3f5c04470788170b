//! Core types → the JSON types of the API. The edge: core types never learn to serialise themselves.
//!
//! A tree answer is made in two steps, so that the working loop is held up as little as possible: [`TreeCollector::add`]
//! inside a visit of the machine or over lines copied in one, [`TreeCollector::finish`] outside.

use std::collections::BTreeMap;
use watchtree_api as api;
use watchtree_api::{EventKind, TREE_NODES_MAX, TreeNode, TreeQuery};
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_core::order::OrderAnswer;
use watchtree_core::subject::{SubjectId, SubjectKind};
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::tree::TreeLine;
use watchtree_core::verdict::{Evidence, State, Verdict};

/// The word of a state in JSON: `agent_lost`.
pub fn state_word(state: State) -> String {
    state.as_str().to_ascii_lowercase().replace(' ', "_")
}

/// `now` is on the clock of whoever saw it; `None` where that clock is not known here.
pub fn evidence(now: Option<Moment>, facts: &[Evidence]) -> Vec<api::EvidenceView> {
    let view = |fact: &Evidence| api::EvidenceView {
        kind: fact.kind.as_str().to_string(),
        detail: fact.detail.clone(),
        age_ms: now.map(|now| millis(now, fact.at)),
    };
    facts.iter().map(view).collect()
}

/// One node without those below. `now` is on the observer's clock; `None` where that clock is not known here.
pub fn node(now: Option<Moment>, verdict: &Verdict, root_cause: Option<&SubjectId>) -> TreeNode {
    let state = state_word(verdict.state);
    TreeNode {
        subject: verdict.subject.to_string(),
        kind: verdict.kind.as_str().to_string(),
        worst: state.clone(),
        state,
        level: verdict.level.as_str().to_string(),
        why: verdict.why.clone(),
        since_ms: now.map(|now| millis(now, verdict.since)),
        held: verdict.held,
        remarks: verdict.remarks.clone(),
        evidence: evidence(now, &verdict.evidence),
        observer: verdict.observer.to_string(),
        observer_health: verdict.observer_health.0,
        incarnation: verdict.incarnation.to_string(),
        root_cause: root_cause.map(ToString::to_string),
        children: Vec::new(),
    }
}

/// One line of a core's tree without those below; `None` for a group, which is no subject itself. `now` is our clock.
pub fn line_node(now: Moment, line: &TreeLine) -> Option<TreeNode> {
    let verdict = line.verdict.as_ref()?;
    // The observer's clock now: as long after its own `since` as ours is after the same moment.
    let theirs = line.since.map(|since| verdict.since + now.since(since));
    let mut node = node(theirs, verdict, line.root_cause.as_ref());
    if let Some(cause) = &line.root_cause {
        let reported = verdict.state.as_str();
        node.why = format!("{cause} explains it; last reported {reported}: {}", verdict.why);
    }
    node.state = state_word(line.state);
    node.worst = state_word(line.worst);
    Some(node)
}

/// A decision record. Its evidence carries ages relative to the decision, not to now: `age_ms` is how old the fact was
/// when it was decided upon.
pub fn decision(decision: &Decision) -> api::DecisionView {
    let guards = decision.guards.iter().map(|answer| api::GuardView {
        guard: answer.guard.as_str().to_string(),
        pass: answer.pass,
        detail: answer.detail.clone(),
    });
    api::DecisionView {
        id: decision.id.to_string(),
        node: decision.id.node.to_string(),
        subject: decision.subject.to_string(),
        incarnation: decision.incarnation.to_string(),
        wall_ms: decision.wall.0,
        action: decision.action.as_str().to_string(),
        outcome: decision.outcome.as_str().to_string(),
        why: decision.why.clone(),
        result: decision.result.clone(),
        budget_left: decision.budget_left,
        evidence: evidence(Some(decision.at), &decision.evidence),
        guards: guards.collect(),
    }
}

/// An incident; ages of its evidence are not given, since its facts come from several clocks.
pub fn incident(incident: &Incident) -> api::Incident {
    api::Incident {
        id: incident.id.to_string(),
        subject: incident.subject.to_string(),
        state: state_word(incident.state),
        level: incident.level.as_str().to_string(),
        unconfirmed: incident.unconfirmed,
        touched: incident.touched,
        why: incident.why.clone(),
        opened_wall_ms: incident.opened_wall.0,
        closed_wall_ms: incident.closed_wall.map(|wall| wall.0),
        ended_by: incident.closed_why.clone(),
        root_cause: incident.root_cause.as_ref().map(ToString::to_string),
        evidence: evidence(None, &incident.evidence),
        decisions: incident.decisions.iter().map(ToString::to_string).collect(),
    }
}

/// What became of an order at `by`.
pub fn answer(by: &str, answer: &OrderAnswer) -> api::AskAnswer {
    api::AskAnswer {
        api_version: api::ApiVersion::default(),
        id: answer.id.iter().map(|byte| format!("{byte:02x}")).collect(),
        done: answer.result.is_ok(),
        refusal: answer.result.err().map(|refusal| refusal.as_str().to_string()),
        detail: answer.detail.clone(),
        by: by.to_string(),
    }
}

/// The event of a decision made or ended.
pub fn decision_event(record: &Decision) -> api::EventView {
    let view = decision(record);
    let mut text = format!("{}: {}", view.outcome.replace('_', " "), view.why);
    if !view.result.is_empty() {
        text = format!("{text}: {}", view.result);
    }
    api::EventView {
        wall_ms: view.wall_ms,
        kind: EventKind::Decision,
        subject: view.subject.clone(),
        text,
        decision: Some(view),
        ..api::EventView::default()
    }
}

/// The event of a changed state.
pub fn state_event(wall: WallTime, subject: &SubjectId, from: State, to: State, why: &str) -> api::EventView {
    api::EventView {
        wall_ms: wall.0,
        kind: EventKind::State,
        subject: subject.to_string(),
        text: format!("{} → {}: {why}", from.as_str(), to.as_str()),
        state: Some(state_word(to)),
        ..api::EventView::default()
    }
}

/// The event of an incident; `change` is a word such as `opened`.
pub fn incident_event(wall: WallTime, change: &str, record: &Incident) -> api::EventView {
    let why = if record.closed_why.is_empty() {
        &record.why
    } else {
        &record.closed_why
    };
    api::EventView {
        wall_ms: wall.0,
        kind: EventKind::Incident,
        subject: record.subject.to_string(),
        text: format!("incident {} {change}: {}: {why}", record.id, record.state.as_str()),
        state: Some(state_word(record.state)),
        incident: Some(incident(record)),
        ..api::EventView::default()
    }
}

/// The event of a condition of the daemon itself.
pub fn condition_event(wall: WallTime, about: &str, state: &Result<String, String>) -> api::EventView {
    let text = match state {
        Ok(words) => format!("{about} recovered: {words}"),
        Err(why) => format!("{about} DEGRADED: {why}"),
    };
    api::EventView {
        wall_ms: wall.0,
        kind: EventKind::Condition,
        text,
        ..api::EventView::default()
    }
}

/// Counts of refusals from several places, by reason; what never came up is left out.
pub fn refused(counts: impl IntoIterator<Item = (String, u64)>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (reason, count) in counts.into_iter().filter(|(_, count)| 0 < *count) {
        *all.entry(reason).or_default() += count;
    }
    all
}

/// What is degraded now, for answers.
pub fn conditions(conditions: &crate::Conditions) -> Vec<api::Condition> {
    let view = |(about, detail)| api::Condition {
        about,
        ok: false,
        detail,
    };
    conditions.degraded().into_iter().map(view).collect()
}

fn millis(now: Moment, at: Moment) -> u64 {
    u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX)
}

/// Collects the verdicts of a tree answer.
#[derive(Debug)]
pub struct TreeCollector {
    query: TreeQuery,
    /// Subjects per state, indexed by the state's order.
    counts: BTreeMap<State, u64>,
    /// The worst state of each path that may be shown and of everything below it.
    worst: BTreeMap<String, State>,
    shown: Vec<TreeNode>,
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
            above: BTreeMap::new(),
            omitted: 0,
        }
    }

    /// Takes one verdict. `now`: see [`node`].
    pub fn add(&mut self, now: Option<Moment>, verdict: &Verdict, root_cause: Option<&SubjectId>) {
        *self.counts.entry(verdict.state).or_default() += 1;
        self.place(node(now, verdict, root_cause), verdict.state, Some(verdict.kind));
    }

    fn place(&mut self, node: TreeNode, state: State, kind: Option<SubjectKind>) {
        let depth = node.subject.bytes().filter(|&byte| byte == b'/').count();
        let depth_max = self.query.depth.map_or(usize::MAX, |depth| depth as usize);
        self.spread(&node.subject, depth_max, state);
        if depth_max < depth {
            return;
        }
        if !self.fits(&node, state) {
            if kind != Some(SubjectKind::Container) && self.above.len() < TREE_NODES_MAX {
                self.above.insert(node.subject.clone(), node);
            }
        } else if TREE_NODES_MAX <= self.shown.len() {
            self.omitted += 1;
        } else {
            self.shown.push(node);
        }
    }

    /// Takes one line of a core's tree: what the line shows wins over what its verdict says. `now` is our own clock.
    pub fn add_line(&mut self, now: Moment, line: &TreeLine) {
        let Some(node) = line_node(now, line) else { return };
        *self.counts.entry(line.state).or_default() += 1;
        self.place(node, line.state, line.kind);
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

    fn fits(&self, node: &TreeNode, state: State) -> bool {
        match self.query.filter.as_deref() {
            None | Some("") => true,
            Some("ill") => state.is_incident() || state == State::Suspect,
            Some(filter) => node.subject.contains(filter) || node.state == filter,
        }
    }

    /// Nests what was collected. Fills `tree`, `counts` and `omitted` of the answer.
    pub fn finish(mut self, mut answer: api::TreeResponse) -> api::TreeResponse {
        let mut tops = Branch::default();
        for node in self.shown {
            let mut branch = &mut tops;
            for segment in node.subject.split('/') {
                branch = branch.below.entry(segment.to_string()).or_default();
            }
            branch.node = Some(node);
        }
        answer.counts = self
            .counts
            .into_iter()
            .map(|(state, count)| (state_word(state), count))
            .collect();
        answer.omitted = self.omitted;
        answer.tree = tops.into_nodes("", &self.worst, &mut self.above);
        answer
    }
}

#[derive(Default)]
struct Branch {
    node: Option<TreeNode>,
    below: BTreeMap<String, Branch>,
}

impl Branch {
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
mod tests {
    use super::*;
    use watchtree_core::id::NodeName;
    use watchtree_core::subject::Incarnation;
    use watchtree_core::verdict::{Level, ObserverHealth};

    fn verdict(subject: &str, state: State) -> Verdict {
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
