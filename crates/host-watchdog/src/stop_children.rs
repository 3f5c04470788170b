//! Ends the container-watchdogs of a host-watchdog that will not come back.
//!
//! They outlive a crash of it by design. When it cannot start again (a broken configuration, a removed package) nobody else would
//! end them: the service manager signals only the main process. They are found by their arguments, so no configuration needs to be
//! readable.

use crate::children;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;
use watchtree_os::process::{self, Process, Signal};
use watchtree_runtime::{Code, Exit};

/// An orderly end takes less; then it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn stop(config_file: &Path) -> Result<()> {
    let file = std::path::absolute(config_file).context("where is the configuration?")?;
    let parent = ["run", "--config", &config_file.display().to_string()].map(str::to_string);
    if let Some(parent) = process::find(|found| found == parent)?.first() {
        let line = format!(
            "a host-watchdog runs (pid {}) and would start them again: stop that one, it ends its children",
            parent.pid()
        );
        return Err(Exit::new(Code::Refused, line).into());
    }
    let like = children::arguments(&file, "");
    let engine = like.len() - 1;
    let left = process::find(|found| found.len() == like.len() && found[..engine] == like[..engine])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for child in left {
        let pid = child.pid();
        runtime
            .block_on(end(&child))
            .with_context(|| format!("process {pid} cannot be ended"))?;
        println!("ended container-watchdog {pid}");
    }
    Ok(())
}

async fn end(child: &Process) -> std::io::Result<()> {
    child.signal(Signal::TERM)?;
    // A frozen one gets to see the signal only when it is thawed.
    child.signal(Signal::CONT)?;
    if let Ok(ended) = tokio::time::timeout(STOP_WITHIN, child.wait()).await {
        return ended.map(drop);
    }
    child.signal(Signal::KILL)?;
    tokio::time::timeout(STOP_WITHIN, child.wait()).await?.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::tests::stand_in;

    #[test]
    fn what_was_left_behind_is_ended_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        // It need not be there.
        let file = folder.path().join("host.toml");
        let mut left = stand_in(folder.path(), "container-watchdog", &file);
        let mut other = stand_in(folder.path(), "container-watchdog", &folder.path().join("other.toml"));
        stop(&file).expect("they can be ended");
        // Reaped by whoever waited first.
        let _ = left.wait();
        assert!(Process::open(left.id()).is_err(), "it lives on");
        assert!(other.try_wait().expect("it is ours").is_none(), "the other one lives");
        other.kill().expect("it is ours");
        other.wait().expect("it ends");
    }
}
