//! A host without a manager calls a person itself: real daemons, a real program.

use anyhow::{Result, ensure};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use watchtree_e2e::host_support::HostRig;
use watchtree_e2e::stopwatch::Stopwatch;

const WITHIN: Duration = Duration::from_secs(30);

async fn await_lines(file: &Path, expected: &[&str], rig: &HostRig) -> Result<()> {
    let began = Stopwatch::start();
    let mut told = String::new();
    while began.elapsed() < WITHIN {
        told = std::fs::read_to_string(file).unwrap_or_default();
        if told.lines().collect::<Vec<_>>() == expected {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("told {told:?}, not {expected:?}\n{}", rig.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_is_told_once_over_a_restart_and_its_return_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (program, told) = (folder.path().join("page"), folder.path().join("told"));
    let line = "$WATCHTREE_CHANGE $WATCHTREE_SUBJECT $WATCHTREE_STATE";
    std::fs::write(&program, format!("#!/bin/sh\necho \"{line}\" >> {}\n", told.display()))?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    let hook = format!("[[hook]]\ncommand = [\"{}\"]\n", program.display());
    let mut rig = HostRig::without_engine(&hook)?;
    await_lines(&told, &["opened h1/docker unreachable"], &rig).await?;
    rig.kill_host().await?;
    rig.start_host()?;
    rig.await_state("h1/docker", "unreachable", WITHIN).await?;
    ensure!(
        std::fs::read_to_string(&told)?.lines().count() == 1,
        "it was told before\n{}",
        rig.log()
    );
    rig.bring_engine()?;
    let both = ["opened h1/docker unreachable", "closed h1/docker unreachable"];
    await_lines(&told, &both, &rig).await
}
