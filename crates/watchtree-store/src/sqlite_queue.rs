//! The queue between callers of the store and its writer thread: records to write, and queries to run.
//!
//! Contract: a caller never waits for the disk; both parts are bounded. Knows that a query runs on the open file, not what it
//! reads.

use crate::sqlite_file::File;
use crate::sqlite_records::{Pending, StoreError};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most queries that wait; one more is refused.
const QUERIES_MAX: usize = 128;

/// What is done with the open file, or with the reason why there is none.
pub(crate) type Query = Box<dyn FnOnce(Result<&File, StoreError>) + Send>;

/// The queue and the signal that something was put into it.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    pub(crate) wake: Condvar,
}

/// What waits, and what the writer is at.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) pending: Pending,
    /// What is to be read; answered by the writer, after what was put before.
    pub(crate) queries: VecDeque<Query>,
    /// True while the writer is at work on a batch that is not in `pending`.
    pub(crate) writing: bool,
    pub(crate) dropped: u64,
    pub(crate) stop: bool,
}

impl Queue {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something for the writer. Never waits for the disk.
    pub(crate) fn put(&self, change: impl FnOnce(&mut Pending)) {
        let mut state = self.lock();
        change(&mut state.pending);
        let dropped = state.pending.cut();
        state.dropped += dropped;
        drop(state);
        self.wake.notify_all();
    }

    /// Leaves a query for the writer. One too many is given back.
    pub(crate) fn ask(&self, query: Query) -> Result<(), Query> {
        let mut state = self.lock();
        if QUERIES_MAX <= state.queries.len() || state.stop {
            return Err(query);
        }
        state.queries.push_back(query);
        drop(state);
        self.wake.notify_all();
        Ok(())
    }
}
