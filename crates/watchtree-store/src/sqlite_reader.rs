//! Queries of older records, run by the store's own thread: the file has one connection, and no caller waits for the disk.
//!
//! Contract: a query runs after everything that was put before it is written. Its answer is given on the store's thread, so
//! the callback must only pass it on. Does not know who asks.

use crate::sqlite_queue::{Query, Queue};
use crate::sqlite_records::{Past, StoreError};
use std::sync::Arc;
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_core::subject::SubjectId;

/// Asks from any thread.
#[derive(Clone)]
pub struct Reader(pub(crate) Arc<Queue>);

impl Reader {
    /// The newest `max` decisions about a subject. Never waits.
    pub fn decisions_of(
        &self,
        subject: SubjectId,
        max: usize,
        answer: impl FnOnce(Result<Past<Decision>, StoreError>) + Send + 'static,
    ) {
        self.ask(Box::new(move |file| {
            answer(file.and_then(|file| file.decisions_of(&subject, max)));
        }));
    }

    /// The newest `max` incidents, open and closed: all, or those of one subject. Never waits.
    pub fn incidents(
        &self,
        of: Option<SubjectId>,
        max: usize,
        answer: impl FnOnce(Result<Past<Incident>, StoreError>) + Send + 'static,
    ) {
        self.ask(Box::new(move |file| {
            answer(file.and_then(|file| file.incidents(of.as_ref(), max)));
        }));
    }

    fn ask(&self, query: Query) {
        if let Err(query) = self.0.ask(query) {
            query(Err(StoreError("too many queries wait for the database".to_string())));
        }
    }
}
