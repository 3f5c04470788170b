//! Reads the machine's figures outside the loop, so that a file system that hangs blocks only the reader.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use watchtree_config::HostConfig;
use watchtree_core::host::io::HostInput;
use watchtree_runtime::Pulse;

/// Reads figures when asked.
#[derive(Debug)]
pub(crate) struct Reader {
    disks: Vec<PathBuf>,
    pulse: Pulse,
    inputs: mpsc::Sender<HostInput>,
    busy: Arc<AtomicBool>,
}

impl Reader {
    pub(crate) fn new(config: &HostConfig, pulse: Pulse, inputs: mpsc::Sender<HostInput>) -> Self {
        let disks = config.figures.disks.0.iter().map(|path| path.as_path().to_path_buf());
        // The state folder's disk matters as well: the journals lie there.
        let disks = disks.chain([config.state_dir()]).collect();
        Self {
            disks,
            pulse,
            inputs,
            busy: Arc::default(),
        }
    }

    /// Begins to read; the figures go to the inbox. While a read hangs no second one is begun.
    pub(crate) fn begin(&self) {
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (disks, lag, busy) = (self.disks.clone(), self.pulse.take_lag_max(), Arc::clone(&self.busy));
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            let figures = watchtree_os::figures::read(&disks, lag);
            busy.store(false, Ordering::Release);
            // If the loop has ended, nobody needs to know any more.
            let _ = inputs.blocking_send(HostInput::Figures(figures));
        });
    }
}
