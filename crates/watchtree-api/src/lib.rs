//! The HTTP API: its JSON types, the trait that each daemon implements, and its client.
//!
//! All three daemons answer the same API: the manager for the whole tree, host-watchdog and container-watchdog for
//! their part (`--local`). The contract: every answer carries `apiVersion`; fields are only ever added; a reader ignores
//! what it does not know. Ages are in milliseconds of the answerer's own monotonic clock, `wall_ms` are labels.
//!
//! | method and path | answers |
//! |---|---|
//! | `GET /api/v1/tree?depth=&filter=` | [`TreeResponse`] |
//! | `GET /api/v1/incidents?all=` | [`IncidentsResponse`] |
//! | `GET /api/v1/events?since=&wait_ms=&limit=&subject=` | [`EventsResponse`] |
//! | `GET /api/v1/explain?subject=` | [`ExplainResponse`] |
//! | `POST /api/v1/{hold,release,retry,forget}` with [`Ask`] | [`AskAnswer`] |
//! | `GET /livez`, `GET /readyz` | [`Health`] |
//!
//! This crate knows neither the core nor a daemon: the edge (`watchtree-runtime`) converts.

mod client;
mod error;
mod limits;
pub mod path;
mod query;
mod types;

use std::future::Future;
use std::pin::Pin;

pub use client::{Client, ClientError, Endpoint};
pub use error::{ApiError, ErrorBody, ErrorCode};
pub use limits::{
    ANSWER_BYTES_MAX, API_VERSION, EVENTS_PER_ANSWER_MAX, HOLD_MS_MAX, REQUEST_BYTES_MAX, TREE_NODES_MAX, WAIT_MS_MAX,
};
pub use query::{Ask, AskVerb, EventQuery, IncidentQuery, TreeQuery, parse_duration_ms};
pub use types::{
    ApiVersion, AskAnswer, Condition, DecisionView, EventKind, EventView, EventsResponse, EvidenceView,
    ExplainResponse, GuardView, Health, Incident, IncidentsResponse, PolicyValue, TreeNode, TreeResponse,
};

/// A future answer of an [`Api`].
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// What a daemon answers. The server puts a deadline on every call; an implementation asks the task that owns the
/// machine and must never make it wait.
pub trait Api: Send + Sync + 'static {
    /// The tree as this node sees it.
    fn tree(&self, query: TreeQuery) -> Answer<'_, TreeResponse>;
    /// Incidents as this node sees them.
    fn incidents(&self, query: IncidentQuery) -> Answer<'_, IncidentsResponse>;
    /// Events after a cursor; waits up to `wait_ms` for the first.
    fn events(&self, query: EventQuery) -> Answer<'_, EventsResponse>;
    /// What is believed of a subject, on what evidence, and what was decided.
    fn explain(&self, subject: String) -> Answer<'_, ExplainResponse>;
    /// Hold, release, retry or forget; answers when the target has answered.
    fn ask(&self, ask: Ask) -> Answer<'_, AskAnswer>;
    /// True while the working loop turns.
    fn live(&self) -> Answer<'_, Health>;
    /// True once the node knows what it is there to know.
    fn ready(&self) -> Answer<'_, Health>;
}
