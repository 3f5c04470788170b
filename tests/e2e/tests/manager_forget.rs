//! A host that is taken out of a real manager's tree is gone for good: from the tree, the incidents and the database.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use watchtree_api::{Client, IncidentQuery, TreeQuery};
use watchtree_e2e::manager_support::{WITHIN, daemon, end, tree};
use watchtree_e2e::programs::program;

/// The state of `h1` in the tree; `None` = it is not there.
async fn state_of_host(client: &Client) -> Option<String> {
    let tops = client.tree(&TreeQuery::default()).await.ok()?.tree;
    tops.into_iter().find(|top| top.subject == "h1").map(|top| top.state)
}

async fn until(client: &Client, wanted: &[&str]) -> Result<()> {
    let began = Instant::now();
    loop {
        let state = state_of_host(client).await;
        if state.as_deref().is_some_and(|state| wanted.contains(&state)) {
            return Ok(());
        }
        ensure!(began.elapsed() < WITHIN, "h1 is {state:?}, wanted {wanted:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn forget(at: &Path) -> Result<(Option<i32>, String)> {
    let output = Command::new(program("watchtree")?)
        .args(["forget", "h1"])
        .env("WATCHTREE_SOCKET", at.join("run/manager.sock"))
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_host_is_gone_for_good() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("wt-forget-").tempdir()?;
    let at = folder.path();
    let (mut manager, host) = tree(at, "http://127.0.0.1:9/nobody", false)?;
    let client = Client::unix(&at.join("run/manager.sock"));
    until(&client, &["ok", "degraded"]).await?;
    let (code, said) = forget(at)?;
    ensure!(
        code == Some(5) && said.contains("a host that is heard stays"),
        "{code:?} {said}"
    );

    // Its engine is not there: an incident that ends with the host.
    let began = Instant::now();
    while client.incidents(&IncidentQuery::default()).await?.incidents.is_empty() {
        ensure!(began.elapsed() < WITHIN, "no incident");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    // It says goodbye and does not come back.
    end(host)?;
    until(&client, &["unwatched", "unreachable", "agent_lost"]).await?;
    let (code, said) = forget(at)?;
    ensure!(
        code == Some(0) && said.contains("h1 is taken out of the tree"),
        "{code:?} {said}"
    );
    ensure!(state_of_host(&client).await.is_none(), "it is still shown");
    let open = client.incidents(&IncidentQuery::default()).await?.incidents;
    ensure!(open.is_empty(), "{open:?}");
    let explained = client.explain("h1").await?;
    let newest = explained.decisions.last().context("a decision")?;
    ensure!(
        (newest.action.as_str(), newest.outcome.as_str()) == ("forget", "succeeded"),
        "{newest:?}"
    );

    // Nor does the next start know it.
    watchtree_os::Process::open(manager.0.id())?.signal(watchtree_os::Signal::TERM)?;
    manager.0.wait()?;
    let _again = daemon(at, "manager-watchdog", "manager", false)?;
    let began = Instant::now();
    while client.tree(&TreeQuery::default()).await.is_err() {
        ensure!(began.elapsed() < WITHIN, "the manager is not back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    ensure!(state_of_host(&client).await.is_none(), "it came back from the disk");
    let closed = client
        .incidents(&IncidentQuery { all: true, limit: None })
        .await?
        .incidents;
    ensure!(
        closed
            .iter()
            .any(|incident| incident.subject == "h1/docker" && incident.closed_wall_ms.is_some()),
        "the database remembers its incident: {closed:?}"
    );
    Ok(())
}
