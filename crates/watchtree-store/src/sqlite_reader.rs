//! Older records, read by the store's own thread: the file has one connection, and nobody else waits for the disk.
//!
//! A question is answered after everything that was put before it is written. The answer is given on the store's thread: it
//! must only hand on.

use crate::sqlite::{Shared, StoreError};
use crate::sqlite_file::File;
use std::sync::Arc;
use watchtree_core::decision::Decision;
use watchtree_core::incident::Incident;
use watchtree_core::subject::SubjectId;

/// Most questions that wait; one more is refused.
pub(crate) const QUESTIONS_MAX: usize = 128;

/// What is done with the open file, or with the reason why there is none.
pub(crate) type Question = Box<dyn FnOnce(Result<&File, StoreError>) + Send>;

/// The newest records of those that were asked for, oldest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Past<T> {
    /// The records.
    pub newest: Vec<T>,
    /// How many older ones the disk holds besides.
    pub omitted: u64,
}

/// Asks from any thread.
#[derive(Clone)]
pub struct Reader(pub(crate) Arc<Shared>);

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

    fn ask(&self, question: Question) {
        if let Err(question) = self.0.ask(question) {
            question(Err(StoreError("too many questions wait for the database".to_string())));
        }
    }
}
