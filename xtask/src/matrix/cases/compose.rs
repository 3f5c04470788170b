//! What docker-compose does to containers that are healed: nobody fights it.

use super::case::{Case, HEALED, Lane};
use crate::matrix::container::{Container, stay};
use crate::matrix::outcome::Skipped;
use crate::matrix::spec::{CASE_LABEL, IMAGE};
use crate::matrix::testbed::Testbed;
use crate::sh;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// After each act it is seen that nothing changes any more.
const QUIET: Duration = Duration::from_secs(5);
const PROJECT: &str = "matrix";

pub(super) const CASES: fn() -> Vec<Case> = || {
    vec![Case {
        name: "compose",
        what: "docker-compose up, scale, restart, up --force-recreate, stop, start, down: no fight, and a crash between is healed",
        lane: Lane::Long,
        play,
    }]
};

/// One project.
struct Project<'a> {
    testbed: &'a Testbed,
    file: PathBuf,
}

impl Project<'_> {
    fn call(&self, words: &str) -> Result<()> {
        let mut command = self.testbed.compose()?;
        command.args(["-p", PROJECT, "-f"]).arg(&self.file);
        command.args(words.split(' '));
        let output = command.output().context("cannot start `docker-compose`")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "docker-compose {words} failed: {}",
            said.trim()
        );
        Ok(())
    }

    fn containers(&self) -> Result<Vec<Container<'_>>> {
        Container::labelled(self.testbed, &format!("com.docker.compose.project={PROJECT}"))
    }

    /// So many run and so many do not, of each its last start was asked for by compose alone, and it stays so.
    fn is(&self, act: &str, runs: usize, rest: usize) -> Result<()> {
        let all = self.containers()?;
        let seen = all.iter().map(Container::seen).collect::<Result<Vec<_>>>()?;
        let running = seen.iter().filter(|seen| seen.runs()).count();
        ensure!(
            running == runs && all.len() == runs + rest,
            "after {act} {running} of {} containers run, and {runs} of {} should",
            all.len(),
            runs + rest
        );
        if all.is_empty() {
            std::thread::sleep(QUIET);
            ensure!(self.containers()?.is_empty(), "after {act} something is there again");
            return Ok(());
        }
        let all: Vec<_> = all.into_iter().zip(seen).collect();
        stay(&all, QUIET).with_context(|| format!("after {act}"))
    }
}

fn play(testbed: &Testbed, case: &str) -> Result<String> {
    let Ok(version) = sh::read(testbed.compose()?.args(["version", "--short"])) else {
        bail!(Skipped("docker-compose is not there"));
    };
    let labels = json!({ "watchtree.enable": "true", CASE_LABEL: case });
    let service = |restart: &str| {
        json!({
            "image": IMAGE, "entrypoint": ["/victim", "play"], "restart": restart, "stop_grace_period": "1s", "labels": labels,
        })
    };
    let folder = testbed.folder("compose");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("compose.json");
    let services = json!({ "web": service("no"), "db": service("unless-stopped") });
    std::fs::write(&file, json!({ "version": "3.0", "services": services }).to_string())?;
    let project = Project { testbed, file };
    project.call("up -d")?;
    project.is("up", 2, 0)?;
    project.call("up -d --scale web=3")?;
    project.is("scale to 3", 4, 0)?;
    project.call("restart -t 1")?;
    project.is("restart", 4, 0)?;
    project.call("up -d --force-recreate --scale web=3")?;
    project.is("up --force-recreate", 4, 0)?;
    let web = project.containers()?.into_iter().find(|it| it.name.contains("web"));
    let web = web.context("there is a web")?;
    let before = web.seen()?;
    web.signal(rustix::process::Signal::KILL)?;
    web.is_started_again(&before, HEALED)?;
    project.call("up -d --scale web=1")?;
    project.is("scale to 1", 2, 0)?;
    project.call("stop -t 1")?;
    project.is("stop", 0, 2)?;
    project.call("start")?;
    project.is("start", 2, 0)?;
    project.call("down -t 1")?;
    project.is("down", 0, 0)?;
    Ok(format!("by {}", version.trim()))
}
