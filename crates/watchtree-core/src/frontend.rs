//! The frontend: a node's side towards its parent. Says Hello, beats, reports, answers.
//!
//! Knows no socket: the driver tells it when the link is up or down and hands it frames.

use crate::message::Envelope;
use alloc::string::String;

/// What the link tells the frontend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FrontendInput {
    /// The transport to the parent is up (handshake done): say Hello.
    Up,
    /// The transport is down: a hint, nothing below follows from it.
    Down {
        /// In words.
        why: String,
    },
    /// A frame from the parent, decoded and within limits.
    Received(Envelope),
    /// A frame could not be handed over (link down, queue full): it is lost; reports will be repeated.
    NotSent {
        /// Its `seq`.
        seq: u64,
    },
}
