//! The JSON types of answers. Additive: a missing field has its default, an unknown one is ignored.
//!
//! Contract: states and levels are lower-case words (`agent_lost`, `given_up`, `certain`), so that an older reader can show a word
//! of a newer version.

use crate::limits::API_VERSION;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of `apiVersion`. Its default is this version's, so that no answer goes out without it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiVersion(pub String);

impl Default for ApiVersion {
    fn default() -> Self {
        Self(API_VERSION.to_string())
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One fact.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvidenceView {
    /// snake_case kind: `exited`, `missed_slot`.
    pub kind: String,
    /// In words.
    pub detail: String,
    /// How long ago it was seen, if the clock it was seen on is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
}

/// One subject with what is believed of it, and those below.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TreeNode {
    /// Its path: `h1/docker/shop/web/1`.
    pub subject: String,
    /// `host`, `engine`, `container`, `watchdog`, `manager`; `group` for a path segment that is no subject itself (a
    /// compose project or service).
    pub kind: String,
    /// What is believed: `ok`, `agent_lost`, …
    pub state: String,
    /// The worst state of it and everything below.
    pub worst: String,
    /// How sure: `none`, `weak`, `strong`, `certain`.
    pub level: String,
    /// One line in words.
    pub why: String,
    /// How long the state has been this, in milliseconds; `None` if unknown here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// True while a hold keeps repairs away.
    pub held: bool,
    /// What a person should see although the state is fine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The facts, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceView>,
    /// Who says so.
    pub observer: String,
    /// How well that one is: 0 = well, 8 = not to be believed.
    pub observer_health: u8,
    /// Which life of the subject; empty if none was seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub incarnation: String,
    /// The subject above or beside it that explains its state, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<String>,
    /// At a top: how many containers are below it, by state, whatever the depth and the filter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, u64>,
    /// Those below, in order of their paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

/// Something about the answering daemon itself that a person should know: a full disk, a missing engine.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What it is about: `store`, `journal`, `engine`, `parent`, `webhook`.
    pub about: String,
    /// True = in order again or as it should be.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

/// Answer: the tree.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TreeResponse {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Who answers.
    pub node: String,
    /// Its tier: `manager`, `host`, `container`.
    pub tier: String,
    /// Its version.
    pub version: String,
    /// How well it is itself: 0 = well.
    pub node_health: u8,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// Milliseconds since 1970 at the answerer, a label.
    pub wall_ms: u64,
    /// True if it only watches and repairs nothing.
    pub observe_only: bool,
    /// What is wrong with the answerer itself; empty = nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Frames, connections and orders that the answerer has refused since its start, by snake_case reason
    /// (`unknown_key`, `replayed_seq`); a reason that never came up is missing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
    /// How many subjects are in each state, over the whole tree (not only what is shown).
    pub counts: BTreeMap<String, u64>,
    /// Subjects that are left out because the answer would have been too large (not because of depth or filter).
    pub omitted: u64,
    /// The tops, in order.
    pub tree: Vec<TreeNode>,
}

/// Something that was wrong, from its opening to its end.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Incident {
    /// Its name: unique at its manager.
    pub id: String,
    /// About whom.
    pub subject: String,
    /// The state it is in, or was in at last: `agent_lost`.
    pub state: String,
    /// How sure.
    pub level: String,
    /// True while only one vantage point could look: `UNREACHABLE (unconfirmed)`.
    pub unconfirmed: bool,
    /// How many subjects below are touched.
    pub touched: u64,
    /// In words.
    pub why: String,
    /// Label of its opening, milliseconds since 1970.
    pub opened_wall_ms: u64,
    /// Label of its end; `None` = open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_wall_ms: Option<u64>,
    /// How it ended, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ended_by: String,
    /// The subject that explains it, if another one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<String>,
    /// The facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceView>,
    /// Decisions that belong to it, by their ids, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<String>,
}

/// Answer: incidents, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IncidentsResponse {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Who answers.
    pub node: String,
    /// Label of now, milliseconds since 1970.
    pub wall_ms: u64,
    /// True where no incidents are kept: they are the manager's. What is ill at this node is in its tree.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept_elsewhere: bool,
    /// How many older ones were asked for too and are left out: the answer has a limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
    /// Why what is older than the daemon's memory could not be read; empty = nothing is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub incomplete: String,
    /// The incidents.
    pub incidents: Vec<Incident>,
}

/// A guard of a decision.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardView {
    /// snake_case word: `operator_intent`, `budget`.
    pub guard: String,
    /// May the action go on? False only for `blocked`.
    pub pass: bool,
    /// `passed`, `blocked`, `waived` (the detail says by whom) or `not_asked` (the detail says why).
    pub verdict: String,
    /// In words.
    pub detail: String,
}

/// One decision, also of what was not done.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionView {
    /// `h1.docker.watchdog:7:42`
    pub id: String,
    /// Who decided.
    pub node: String,
    /// About whom.
    pub subject: String,
    /// About which life.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub incarnation: String,
    /// Label, milliseconds since 1970.
    pub wall_ms: u64,
    /// snake_case word: `start`, `stop_then_start`, `none`.
    pub action: String,
    /// snake_case word: `not_taken`, `succeeded`.
    pub outcome: String,
    /// In words.
    pub why: String,
    /// What came of it, in words; empty while nothing has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
    /// Restarts left in the window; `None` where no budget applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_left: Option<u32>,
    /// The facts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceView>,
    /// The guards, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardView>,
}

/// What kind of event it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A decision was made or has ended; `decision` is there.
    Decision,
    /// A state changed.
    State,
    /// An incident opened or closed; `incident` is there.
    Incident,
    /// The daemon itself: a full disk, a lost engine, back in order.
    Condition,
    /// A kind of a newer version.
    #[default]
    #[serde(other)]
    Other,
}

/// One event.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventView {
    /// Grows by at least one; ask for what follows with `since`.
    pub cursor: u64,
    /// Label, milliseconds since 1970.
    pub wall_ms: u64,
    /// What kind.
    pub kind: EventKind,
    /// About whom; empty = the daemon itself.
    pub subject: String,
    /// One line in words.
    pub text: String,
    /// The new state, for `State` and `Incident`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionView>,
    /// The incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
}

/// Answer: events, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsResponse {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Who answers.
    pub node: String,
    /// Changes when the cursors start anew (the daemon restarted): ask from the beginning then.
    pub stream: String,
    /// Pass this as `since` next time.
    pub next: u64,
    /// Events between `since` and the first one here that are no longer kept.
    pub lost: u64,
    /// The events.
    pub events: Vec<EventView>,
}

/// Answer: why a subject is what it is.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExplainResponse {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Who answers.
    pub node: String,
    /// Label of now, milliseconds since 1970.
    pub wall_ms: u64,
    /// The subject.
    pub subject: String,
    /// What is believed now, without those below, but of a group with its members, the ill first and at most 32;
    /// `None` = it is not in the tree (any more).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<TreeNode>,
    /// Its incidents, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
    /// How many older incidents of it are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub incidents_omitted: u64,
    /// Decisions about it, oldest first.
    pub decisions: Vec<DecisionView>,
    /// How many older decisions about it are kept and left out here.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
    /// Why what is older than the daemon's memory could not be read; empty = nothing is missing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub incomplete: String,
    /// The policy in force of a container, as its own watchdog tells it; others leave it out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<PolicyValue>,
}

/// One value of a policy.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyValue {
    /// Which, as it is written in the configuration.
    pub key: String,
    /// What is in force.
    pub value: String,
    /// Where it comes from: `default`, `configuration`, `class 2 (databases)`, `label watchtree.grace`, or why.
    pub from: String,
}

/// Answer: what became of an [`crate::Ask`]. A refusal by the target is an answer too, with `done` false.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AskAnswer {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// The order's id in hex.
    pub id: String,
    /// True = carried out.
    pub done: bool,
    /// snake_case reason of a refusal: `unknown_subject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// In words.
    pub detail: String,
    /// The node that carried it out or refused.
    pub by: String,
}

/// Answer of `/livez` and `/readyz`; status 200 if `ok`, else 503.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Is it?
    pub ok: bool,
    /// In words.
    pub detail: String,
    /// What is degraded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// As in [`TreeResponse`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
}
