//! Notifies people: what is to be told goes to each receiver in order, at least once.
//!
//! ```text
//!   Receivers::send ──▶ queue per receiver (bounded) ──▶ thread per receiver ──▶ Deliver ──▶ Ledger::settled
//!                            ▲                              │ failed: again, after a growing pause
//!                            └──────────────────────────────┘
//! ```
//!
//! Contract: each receiver has its own queue and thread, so one that is down delays no other. Notifications keep their order. A
//! failure that may pass is retried with a growing pause; only a definite refusal, or more retries than are allowed, gives one up.
//! That, and what falls out of a full queue, is counted and reported. Does not know what is told, and keeps nothing on disk: what is
//! not settled is the ledger's to remember.

mod receiver;
mod webhook;

pub use receiver::{QUEUE_MAX, Receivers, Setup};
pub use webhook::Webhook;

/// One thing to tell one receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification<I> {
    /// Its name; comes back when it is settled.
    pub id: I,
    /// What is sent.
    pub body: String,
}

/// A way to reach somebody. Called on the receiver's own thread; may block, up to a deadline of its own.
pub trait Deliver: Send + 'static {
    /// Makes one attempt.
    ///
    /// # Errors
    /// It was not taken, or it is not known that it was.
    fn deliver(&mut self, body: &str) -> Result<(), Failed>;
}

/// An attempt that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
    /// In words.
    pub why: String,
    /// False where the receiver will say no to this body again.
    pub is_worth_a_retry: bool,
}

/// Where it is written down what came of notifications. Called from the receivers' threads; must not wait.
pub trait Ledger<I>: Send + Sync {
    /// This notification need not be sent again: the receiver has it, or it was given up.
    fn settled(&self, id: I);
    /// How a receiver is: `Err` in words. `about` is the name of [`Setup::about`].
    fn report(&self, about: &str, state: &Result<String, String>);
}
