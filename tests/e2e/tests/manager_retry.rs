//! A person's retry of a given-up container, from the manager's socket down to a real engine and back.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use watchtree_api::{Client, TreeQuery};
use watchtree_e2e::manager_support::{WITHIN, tree_on};
use watchtree_e2e::programs::program;
use watchtree_e2e::real_engine::{Tape, Victim, there_is_one};

/// One command to the manager: its exit code and what it printed.
fn ask(at: &Path, words: &[&str]) -> Result<(i32, String)> {
    let output = Command::new(program("watchtree")?)
        .args(words)
        .env("WATCHTREE_SOCKET", at.join("run/manager.sock"))
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().context("it ended by itself")?;
    Ok((code, String::from_utf8_lossy(&said).into_owned()))
}

/// Waits until the manager shows that subject in that state.
async fn until(client: &Client, subject: &str, wanted: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut nodes = client.tree(&TreeQuery::default()).await.map(|answer| answer.tree);
        let mut state = None;
        while let Some(node) = nodes.as_mut().ok().and_then(Vec::pop) {
            if node.subject == subject {
                state = Some(node.state);
                break;
            }
            nodes.iter_mut().for_each(|nodes| nodes.extend(node.children.clone()));
        }
        if state.as_deref() == Some(wanted) {
            return Ok(());
        }
        ensure!(began.elapsed() < WITHIN, "{subject} is {state:?}, wanted {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_given_up_container_goes_down_the_tree() -> Result<()> {
    if !there_is_one() {
        return Ok(());
    }
    let label = "wt-test=manager-retry";
    let folder = tempfile::Builder::new().prefix("wt-retry-").tempdir()?;
    let at = folder.path();
    let engine = format!(
        "socket = \"/var/run/docker.sock\"\nselect = [\"{label}\"]\n[heal]\ndelay_min = \"100ms\"\ndelay_max = \"1s\"\n"
    );
    let tape = Tape::begin(label)?;
    let (_manager, _host) = tree_on(at, "http://127.0.0.1:9/nobody", false, &engine)?;
    let client = Client::unix(&at.join("run/manager.sock"));
    until(&client, "h1/docker/@watchdog", "ok").await?;

    let labels = [
        "--label",
        label,
        "--label",
        "watchtree.enable=true",
        "--label",
        "watchtree.budget=2/10m",
    ];
    let crashing = ["--no-healthcheck", "--env", "VICTIM_MODE=crash-loop"];
    let victim = Victim::run_unseen("manager-retry", &[&labels[..], &crashing].concat())?;
    let subject = format!("h1/docker/{}", victim.name);
    until(&client, &subject, "given_up").await?;
    ensure!(tape.count(&victim, "start") == 1 + 2, "{:?}", tape.actions(&victim));

    let (code, said) = ask(at, &["retry", &subject])?;
    ensure!(code == 0, "{code}: {said}");
    let began = Instant::now();
    while tape.count(&victim, "start") < 4 {
        ensure!(began.elapsed() < WITHIN, "not started: {:?}", tape.actions(&victim));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // It was asked for once and is told at the manager, with who asked.
    let (code, said) = ask(at, &["explain", &subject])?;
    ensure!(code == 0 && said.contains("asked to retry"), "{code}: {said}");
    Ok(())
}
