//! What people are still to be told: one notification per change of an incident and receiver, on disk until it is settled.
//!
//! A notification is written in the transaction of its incident, so that a manager which dies between the two owes nothing: it
//! finds either both or neither, and opens the incident anew. It is taken out after the receiver has it; a manager that
//! dies in between sends it again (at least once), under the same name.

use crate::sqlite_queue::Queue;
use crate::sqlite_records::NotificationId;
use std::sync::Arc;

/// Where notifications are taken out, from any thread.
#[derive(Clone)]
pub struct Outbox(pub(crate) Arc<Queue>);

impl Outbox {
    /// This notification need not be sent again: the receiver has it, or it was given up. Never waits.
    pub fn settled(&self, id: NotificationId) {
        self.0.put(|pending| {
            pending.notifications.insert(id, None);
        });
    }
}
