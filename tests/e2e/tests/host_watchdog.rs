//! The host-watchdog and its child as real processes: each is killed, frozen and stopped; the right one acts, once.

use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use watchtree_e2e::host_support::HostRig;
use watchtree_os::process::Signal;

const START: Duration = Duration::from_secs(10);
const CHILD: &str = "h1/docker/@watchdog";

#[tokio::test(flavor = "multi_thread")]
async fn killed_host_leaves_its_child_healing_and_adopts_it() -> Result<()> {
    let mut rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    let child = rig.child()?.pid();
    rig.kill_host().await?;
    // Whoever asks the engine now is the child.
    let before = rig.engine.count("GET", "/containers/json");
    let began = Instant::now();
    while rig.engine.count("GET", "/containers/json") == before {
        ensure!(
            began.elapsed() < Duration::from_secs(15),
            "the child does not act without its parent\n{}",
            rig.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(rig.child()?.pid() == child, "the child lives on");
    rig.start_host()?;
    rig.await_state(CHILD, "ok", START).await?;
    ensure!(rig.child()?.pid() == child, "the same child is adopted\n{}", rig.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_child_is_revived_within_a_second() -> Result<()> {
    let rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    let child = rig.child()?;
    child.signal(Signal::KILL)?;
    rig.await_other_child(child.pid(), Duration::from_secs(1)).await?;
    rig.await_state(CHILD, "ok", Duration::from_secs(3)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_child_is_killed_and_revived_within_four_seconds() -> Result<()> {
    let rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    let child = rig.child()?;
    child.signal(Signal::STOP)?;
    let (_, took) = rig.await_other_child(child.pid(), Duration::from_secs(4)).await?;
    println!("frozen child replaced after {took:?}");
    rig.await_state(CHILD, "ok", Duration::from_secs(3)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_host_restarts_nothing_when_it_is_thawed() -> Result<()> {
    let rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    let (host, child) = (rig.host()?, rig.child()?.pid());
    host.signal(Signal::STOP)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    host.signal(Signal::CONT)?;
    // Long enough for every freshness point and ping that a wrong judgement would need.
    let thawed = Instant::now();
    while thawed.elapsed() < Duration::from_secs(5) {
        ensure!(
            rig.child()?.pid() == child,
            "the child keeps its process\n{}",
            rig.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.await_state(CHILD, "ok", Duration::from_secs(3)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_frozen_and_thawed_go_on_as_they_were() -> Result<()> {
    let rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    let (host, child) = (rig.host()?, rig.child()?);
    host.signal(Signal::STOP)?;
    child.signal(Signal::STOP)?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    child.signal(Signal::CONT)?;
    host.signal(Signal::CONT)?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    ensure!(
        rig.child()?.pid() == child.pid(),
        "the child keeps its process\n{}",
        rig.log()
    );
    rig.await_state(CHILD, "ok", Duration::from_secs(3)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_stops_the_child_in_order() -> Result<()> {
    let mut rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    rig.host()?.signal(Signal::TERM)?;
    let status = rig.host_end(Duration::from_secs(10)).await?;
    ensure!(status.success(), "in order: {status}\n{}", rig.log());
    ensure!(rig.children()?.is_empty(), "no child is left behind\n{}", rig.log());
    ensure!(
        rig.log().contains("exit=Code(0)"),
        "the child ended by itself\n{}",
        rig.log()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_engine_is_waited_for() -> Result<()> {
    let rig = HostRig::without_engine("")?;
    rig.await_state("h1/docker", "unreachable", START).await?;
    // It may be seen some time after the engine's state is.
    let child = rig.await_other_child(0, START).await?.0.pid();
    rig.bring_engine()?;
    rig.await_state("h1/docker", "ok", START).await?;
    ensure!(
        rig.child()?.pid() == child,
        "nothing was restarted for it\n{}",
        rig.log()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_ends_at_once_is_noticed_and_given_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stub = folder.path().join("container-watchdog");
    let runs = folder.path().join("runs");
    // As a child that cannot use its configuration, but faster than any real one.
    let script = format!(
        "#!/bin/sh\necho x >> {}\nprintf 'host.toml:9: no such thing' > \"$WATCHTREE_LAST_WORDS\"\nexit 2\n",
        runs.display()
    );
    std::fs::write(&stub, script)?;
    std::fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let rig = HostRig::start_with(&format!("container_watchdog = \"{}\"\n", stub.display()), "")?;
    let node = rig.await_state(CHILD, "given_up", START).await?;
    ensure!(node.why.contains("host.toml:9: no such thing"), "{}", node.why);
    // One that was taken for hung would be killed and started again after 10 s.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let started = std::fs::read_to_string(&runs)?.lines().count();
    ensure!(started == 1, "started {started} times\n{}", rig.log());
    ensure!(!rig.log().contains("no Hello"), "{}", rig.log());
    rig.await_state(CHILD, "given_up", Duration::from_secs(1)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_watchdog_is_refused() -> Result<()> {
    let mut rig = HostRig::start("")?;
    rig.await_state(CHILD, "ok", START).await?;
    let first = rig.host()?;
    rig.start_host()?;
    let status = rig.host_end(Duration::from_secs(5)).await?;
    ensure!(status.code() == Some(8), "{status}\n{}", rig.log());
    ensure!(rig.log().contains("another host-watchdog runs here"), "{}", rig.log());
    first.signal(Signal::KILL)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_one_line_and_exit_code_two() -> Result<()> {
    for (more, words) in [
        ("[heal]\nbudgett = 1\n", "unknown key `budgett`; did you mean `budget`?"),
        (
            "[parent]\nconnect = \"127.0.0.1:7411\"\n[keys]\nkey = \"/no/such/h1.key\"\n",
            "/no/such/h1.key",
        ),
    ] {
        let mut rig = HostRig::start(more)?;
        let status = rig.host_end(Duration::from_secs(5)).await?;
        ensure!(status.code() == Some(2), "{status}\n{}", rig.log());
        let log = rig.log();
        ensure!(log.lines().count() == 1 && log.contains(words), "{log}");
    }
    Ok(())
}
