//! The outbox of notifications: one per change of an incident and receiver, on disk until it is settled.
//!
//! Contract: a notification is written in the transaction of its incident. A manager that dies between the two finds both or
//! neither at its next start. A notification is removed after the receiver has it; a manager that dies in between sends it again
//! (at least once), under the same id. Does not know receivers.

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
