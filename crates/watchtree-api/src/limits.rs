//! The version of the API and its limits, each with its unit in its name.

/// The value of `apiVersion` in every answer of this version.
pub const API_VERSION: &str = "watchtree/v1";
/// Longest request body in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Longest answer body a client takes, in bytes.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most nodes in one tree answer; what is left out is counted in [`TreeResponse::omitted`](crate::TreeResponse::omitted).
pub const TREE_NODES_MAX: usize = 20_000;
/// Most events in one answer.
pub const EVENTS_PER_ANSWER_MAX: usize = 1000;
/// Longest time a server holds a long poll for events open, in milliseconds.
pub const WAIT_MS_MAX: u64 = 25_000;
/// Longest hold that may be asked for, in milliseconds: seven days.
pub const HOLD_MS_MAX: u64 = 7 * 24 * 3_600_000;
