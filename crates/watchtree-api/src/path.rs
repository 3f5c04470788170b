//! Paths of the API.

/// The tree.
pub const TREE: &str = "/api/v1/tree";
/// Incidents.
pub const INCIDENTS: &str = "/api/v1/incidents";
/// Events.
pub const EVENTS: &str = "/api/v1/events";
/// Why a subject is what it is.
pub const EXPLAIN: &str = "/api/v1/explain";
/// Keep repairs away.
pub const HOLD: &str = "/api/v1/hold";
/// End a hold.
pub const RELEASE: &str = "/api/v1/release";
/// Try again.
pub const RETRY: &str = "/api/v1/retry";
/// Take a host out of the tree.
pub const FORGET: &str = "/api/v1/forget";
/// Does the daemon's working loop turn?
pub const LIVEZ: &str = "/livez";
/// Does it know what it is there to know?
pub const READYZ: &str = "/readyz";
