//! Core types to generated types and back. One pair of functions per type: `..._out` and `..._in`.
//!
//! Contract: `in` of `out` is the same value, but for texts over their limit and for what the level of truncation left out.
//! The files are layers: `fields` and `truncation`, then one file per family of messages, then `message`.

mod decision;
pub(crate) mod fields;
pub(crate) mod message;
mod order_frame;
pub(crate) mod session;
pub(crate) mod truncation;
mod verdict;
