//! An engine of one's own and a container-watchdog that heals on it: what the cases act on. It judges nothing.
//!
//! Contract: all of it lives in namespaces and in a folder, and ends with the testbed. One act on the engine or on the
//! watchdog at a time.

use super::spec::IMAGE;
use crate::engine::Engine;
use crate::engine_truth::rig::{Kind, Rig};
use crate::http::{self, Answer};
use crate::owner::Owner;
use crate::victims;
use crate::watchdog::Watchdog;
use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest request.
const CALL: Duration = Duration::from_secs(90);
/// The engine in the watchdog's tree.
const ENGINE: &str = "h1/docker";

/// A wrong healer, to see that the cases notice it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// The watchdog heals nothing.
    Observe,
    /// Somebody starts each second all that is down.
    Eager,
}

/// See the top of this file.
pub(super) struct Testbed {
    dir: PathBuf,
    socket: PathBuf,
    /// The command `watchtree`.
    cli: PathBuf,
    pub(super) live_restore: bool,
    /// The folder of the distribution whose engine it is, if that is not this machine's.
    root: Option<PathBuf>,
    rig: Mutex<Rig>,
    watchdog: Mutex<Watchdog>,
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Testbed {
    /// Starts both under that folder; `programs` = where the watchdog and `watchtree` lie.
    ///
    /// # Errors
    /// One of them does not start.
    pub(super) fn up(dir: &Path, kind: Kind, programs: &Path, sabotage: Option<Sabotage>) -> Result<Self> {
        let (live_restore, root) = (kind.live_restore, kind.root.clone());
        let rig = Rig::up(dir, kind)?;
        let dir = dir.canonicalize()?;
        // Another distribution's engine sees no folder of this machine but its own.
        let program = dir.join("container-watchdog");
        let built = programs.join("container-watchdog");
        std::fs::copy(&built, &program).with_context(|| built.display().to_string())?;
        let socket = rig.socket();
        Engine::at(socket.clone()).import(IMAGE, &Owner::me()?, &victims::victim_tar()?)?;
        let watchdog = Watchdog::new(&dir, program, &socket)?;
        if sabotage == Some(Sabotage::Observe) {
            watchdog.observe_only()?;
        }
        let testbed = Self {
            dir,
            socket,
            cli: programs.join("watchtree"),
            live_restore,
            root,
            rig: Mutex::new(rig),
            watchdog: Mutex::new(watchdog),
        };
        testbed.start_watchdog()?;
        if sabotage == Some(Sabotage::Eager) {
            let engine = testbed.socket.clone();
            std::thread::spawn(move || start_all(&engine));
        }
        Ok(testbed)
    }

    /// Where containers' files and folders lie that the engine sees too.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join("ctl").join(name)
    }

    pub(super) fn version(&self) -> Result<String> {
        Engine::at(self.socket.clone()).version()
    }

    pub(super) fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        http::ask(&self.socket, method, path, &body, CALL).with_context(|| format!("{method} {path}"))
    }

    /// Does that to the engine.
    pub(super) fn with_engine<T>(&self, act: impl FnOnce(&mut Rig) -> Result<T>) -> Result<T> {
        act(&mut lock(&self.rig))
    }

    /// What the watchdog tells of every subject over its local socket.
    pub(super) fn told(&self) -> Result<Vec<Value>> {
        let mut command = Command::new(&self.cli);
        command
            .args(["--local", "--run-dir"])
            .arg(self.dir.join("wt"))
            .args(["tree", "--json"]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("cannot start `watchtree`")?;
        // Something is ill: that is an exit code too.
        let tree: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("watchtree tree: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
        let mut all = Vec::new();
        flatten(&tree["tree"], &mut all);
        Ok(all)
    }

    /// What it tells of one; `place` = behind the engine's name.
    pub(super) fn told_of(&self, place: &str) -> Result<Option<Value>> {
        let subject = format!("{ENGINE}/{place}");
        Ok(self.told()?.into_iter().find(|it| it["subject"] == subject.as_str()))
    }

    /// docker-compose on this engine: of the same distribution as the engine, if there is one.
    pub(super) fn compose(&self) -> Result<Command> {
        let host = format!("DOCKER_HOST=unix://{}", self.socket.display());
        let words = ["env", &host, "docker-compose"];
        match &self.root {
            Some(root) if root.join("usr/bin/docker-compose").exists() => lock(&self.rig).inside(&words),
            _ => {
                let mut command = Command::new(words[0]);
                command.args(&words[1..]).stdin(Stdio::null());
                Ok(command)
            }
        }
    }

    /// Starts the watchdog, and waits until it knows the containers.
    pub(super) fn start_watchdog(&self) -> Result<()> {
        let target = lock(&self.rig).init_pid()?;
        let mut watchdog = lock(&self.watchdog);
        watchdog.start(target)?;
        watchdog.await_ready(|| true)
    }

    /// Ends it by that signal.
    pub(super) fn end_watchdog(&self, signal: Signal) -> Result<()> {
        let mut watchdog = lock(&self.watchdog);
        watchdog.signal(signal)?;
        watchdog.await_end().map(drop)
    }

    /// Fetches the one whose namespaces are gone.
    pub(super) fn fetch_watchdog(&self) -> Result<()> {
        lock(&self.watchdog).await_end().map(drop)
    }

    /// True unless it ended by itself.
    pub(super) fn watchdog_lives(&self) -> Result<bool> {
        Ok(lock(&self.watchdog).has_ended()?.is_none())
    }

    /// Copies what engine and watchdog wrote.
    pub(super) fn keep(&self, into: &Path) -> Result<()> {
        std::fs::create_dir_all(into)?;
        std::fs::copy(self.dir.join("log"), into.join("engine.log"))?;
        std::fs::copy(self.dir.join("watchdog.log"), into.join("watchdog.log"))?;
        Ok(())
    }
}

/// A healer that asks nobody, to the end of the testbed.
fn start_all(engine: &Path) {
    let list = || http::ask(engine, "GET", "/containers/json?all=1", &[], CALL)?.json();
    while engine.parent().is_some_and(Path::exists) {
        std::thread::sleep(Duration::from_secs(1));
        let all: Value = list().unwrap_or_default();
        for container in all.as_array().into_iter().flatten() {
            let down = ["exited", "created"].iter().any(|state| container["State"] == *state);
            if let Some(id) = container["Id"].as_str().filter(|_| down) {
                // Whatever comes of it is what the cases are to see.
                let _said = http::ask(engine, "POST", &format!("/containers/{id}/start"), &[], CALL);
            }
        }
    }
}

fn flatten(nodes: &Value, into: &mut Vec<Value>) {
    for node in nodes.as_array().into_iter().flatten() {
        flatten(&node["children"], into);
        let mut node = node.clone();
        if let Some(fields) = node.as_object_mut() {
            fields.remove("children");
        }
        into.push(node);
    }
}
