//! What people are still to be told: one letter per change of an incident and receiver, on disk until it is settled.
//!
//! A letter is written in the transaction of its incident, so that a manager which dies between the two owes nothing: it
//! finds either both or neither, and opens the incident anew. It is taken out after the receiver has it; a manager that
//! dies in between sends it again (at least once), under the same name.

use crate::sqlite::Shared;
use std::fmt;
use std::sync::Arc;

/// Most letters that are loaded at the start and wait in memory for the disk.
pub(crate) const LETTERS_MAX: usize = 8192;

/// One change, whoever is told of it. Ordered by when it was: a term is never used twice.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ChangeId {
    /// The manager's term.
    pub term: u64,
    /// Counts the changes of that term.
    pub count: u64,
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.count)
    }
}

/// Names a letter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LetterId {
    /// Which change.
    pub change: ChangeId,
    /// Which receiver: a name that stays the same over restarts.
    pub receiver: String,
}

/// One change for one receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// What is sent.
    pub body: String,
}

/// Where letters are taken out, from any thread.
#[derive(Clone)]
pub struct Outbox(pub(crate) Arc<Shared>);

impl Outbox {
    /// This letter need not be sent again: the receiver has it, or it was given up. Never waits.
    pub fn settled(&self, id: LetterId) {
        self.0.put(|pending| {
            pending.letters.insert(id, None);
        });
    }
}
