//! The thread that syncs the journal to the disk, so that no caller waits for it.
//!
//! Contract: at most one sync and one replacement are queued; later syncs of the same file are merged.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct State {
    sync: Option<Arc<File>>,
    replace: Option<(Arc<File>, PathBuf, PathBuf)>,
    busy: bool,
    replaced: bool,
    error: Option<String>,
    ends: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle on the thread; dropping it lets it finish what it was ordered and ends it.
#[derive(Debug)]
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// `folder` is synced after a file in it was replaced.
    pub(crate) fn new(folder: PathBuf) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || run(&theirs, &folder));
        let thread = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                shared.lock().error = Some(format!("no thread to sync with: {error}"));
                None
            }
        };
        Self { shared, thread }
    }

    /// Sync this file some time soon.
    pub(crate) fn sync(&self, file: &Arc<File>) {
        let mut state = self.shared.lock();
        if state.sync.is_none() {
            state.sync = Some(Arc::clone(file));
            self.shared.changed.notify_all();
        }
    }

    /// Sync this file, then rename it `from` → `to`.
    pub(crate) fn replace(&self, file: &Arc<File>, from: PathBuf, to: PathBuf) {
        let mut state = self.shared.lock();
        state.replace = Some((Arc::clone(file), from, to));
        state.replaced = false;
        self.shared.changed.notify_all();
    }

    /// Drops what was ordered and not begun.
    pub(crate) fn forget(&self) {
        let mut state = self.shared.lock();
        (state.sync, state.replace, state.replaced) = (None, None, false);
        // What is under way may still put a half file in place: it is waited for, and written over after that.
        while state.busy {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (state.replaced, state.error) = (false, None);
    }

    /// True once after a replacement was done.
    pub(crate) fn replaced(&self) -> bool {
        std::mem::take(&mut self.shared.lock().replaced)
    }

    /// The last failure, once.
    pub(crate) fn take_error(&self) -> Option<String> {
        self.shared.lock().error.take()
    }

    /// Waits until nothing is ordered and nothing under way; false if that took longer than `within`.
    pub(crate) fn wait(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut state = self.shared.lock();
        while state.busy || state.sync.is_some() || state.replace.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.error.is_none()
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // It has no panics of its own; and nothing could be done about one here.
        }
    }
}

fn run(shared: &Shared, folder: &Path) {
    loop {
        let (sync, replace) = {
            let mut state = shared.lock();
            loop {
                if state.sync.is_some() || state.replace.is_some() {
                    state.busy = true;
                    break (state.sync.take(), state.replace.take());
                }
                if state.ends {
                    return;
                }
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let replaces = replace.is_some();
        let result = carry_out(folder, sync, replace);
        let mut state = shared.lock();
        match result {
            Ok(()) => state.replaced |= replaces,
            Err(error) => state.error = Some(error.to_string()),
        }
        state.busy = false;
        shared.changed.notify_all();
    }
}

fn carry_out(
    folder: &Path,
    sync: Option<Arc<File>>,
    replace: Option<(Arc<File>, PathBuf, PathBuf)>,
) -> std::io::Result<()> {
    if let Some(file) = sync {
        file.sync_data()?;
    }
    if let Some((file, from, to)) = replace {
        file.sync_data()?;
        std::fs::rename(&from, &to)?;
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
