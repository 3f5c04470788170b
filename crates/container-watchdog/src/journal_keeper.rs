//! Writes to the journal, and tells the machine what is complained of in it.
//!
//! Contract: `append` returns when the kernel has the record, or the journal keeps it in memory. While there is a complaint (a disk
//! that refuses, a damaged file that nobody has looked at) a task looks again once a second. Each change is told once, in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use watchtree_core::container::io::{ContainerInput, Record};
use watchtree_store::journal::Journal;

/// How often a journal that is complained of is looked at.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// See the file's head. Clones keep the same journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalKeeper {
    kept: Arc<Mutex<Kept>>,
    complained: Arc<Notify>,
    inputs: mpsc::Sender<ContainerInput>,
}

#[derive(Debug)]
struct Kept {
    journal: Journal,
    /// The complaint that the machine was last told.
    told: Option<String>,
}

impl JournalKeeper {
    /// Takes over an open journal, and tells what is complained of at once.
    pub(crate) fn start(journal: Journal, inputs: mpsc::Sender<ContainerInput>) -> Self {
        let keeper = Self {
            kept: Arc::new(Mutex::new(Kept { journal, told: None })),
            complained: Arc::default(),
            inputs,
        };
        keeper.report(&mut keeper.lock());
        tokio::spawn(keeper.clone().watch());
        keeper
    }

    /// Writes a record.
    pub(crate) fn append(&self, record: &Record) {
        let mut kept = self.lock();
        kept.journal.append(record);
        self.report(&mut kept);
    }

    /// Waits until everything written is on the disk, at most `within`.
    pub(crate) fn sync(&self, within: Duration) -> bool {
        self.lock().journal.sync(within)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, kept: &mut Kept) {
        let complaint = kept.journal.complaint();
        if complaint == kept.told.as_deref() {
            return;
        }
        kept.told = complaint.map(str::to_owned);
        if kept.told.is_some() {
            self.complained.notify_one();
        }
        let state = kept.told.clone().map_or(Ok(()), Err);
        // The inbox has room for any burst the machine makes; should it be full all the same, a task waits instead of us.
        if let Err(mpsc::error::TrySendError::Full(input)) =
            self.inputs.try_send(ContainerInput::JournalHealth { state })
        {
            let inputs = self.inputs.clone();
            tokio::spawn(async move { inputs.send(input).await });
        }
    }

    /// Until the daemon ends.
    async fn watch(self) {
        loop {
            self.complained.notified().await;
            while self.lock().told.is_some() {
                tokio::time::sleep(RETRY_EVERY).await;
                let keeper = self.clone();
                let looked = tokio::task::spawn_blocking(move || {
                    let mut kept = keeper.lock();
                    kept.journal.retry();
                    keeper.report(&mut kept);
                });
                if let Err(error) = looked.await {
                    return tracing::error!(%error, "nobody looks at the journal any more");
                }
            }
        }
    }
}
