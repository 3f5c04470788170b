//! A host-watchdog with its container-watchdog as real processes, on a fake engine, in a folder of their own.
//!
//! Dropping the rig ends every process it started, also a child that outlived its host-watchdog.

use crate::fake_engine::{End, FakeEngine, Reply, Request};
use crate::programs::program;
use crate::stopwatch::Stopwatch;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use watchtree_api::{Client, TreeNode, TreeQuery};
use watchtree_os::process::{self, Process, Signal};

/// An engine without containers, of its own id, so that no other healer of this machine holds it.
fn empty_engine() -> Result<FakeEngine> {
    let id = format!("wt-fake-{}-{:?}", std::process::id(), Instant::now());
    FakeEngine::start(move |request: &Request| {
        let path = request
            .path
            .trim_start_matches("/v1.")
            .trim_start_matches(|c: char| c.is_ascii_digit());
        match path {
            "/_ping" => Reply::Full(200, "OK".into()),
            "/info" => Reply::Full(
                200,
                serde_json::json!({ "ID": id, "ServerVersion": "20.10.0" }).to_string(),
            ),
            "/version" => Reply::Full(200, r#"{"ApiVersion":"1.41","Version":"20.10.0"}"#.into()),
            "/containers/json" => Reply::Full(200, "[]".into()),
            "/events" => Reply::Pieces(Vec::new(), End::Hold),
            _ => Reply::Full(404, r#"{"message":"no such thing"}"#.into()),
        }
    })
}

/// The processes.
pub struct HostRig {
    folder: tempfile::TempDir,
    /// What the child heals.
    pub engine: FakeEngine,
    host: Option<Child>,
    /// Those that were started before it.
    former: Vec<Child>,
}

impl HostRig {
    /// Writes a configuration (plus `more` at its end) and starts a host-watchdog on it.
    ///
    /// # Errors
    /// A program is missing, or the system refuses.
    pub fn start(more: &str) -> Result<Self> {
        Self::start_with("", more)
    }

    /// As [`HostRig::start`], with `top` among the keys before the first table.
    ///
    /// # Errors
    /// As [`HostRig::start`].
    pub fn start_with(top: &str, more: &str) -> Result<Self> {
        let rig = Self::with_configuration(top, more)?;
        rig.bring_engine()?;
        Ok(rig)
    }

    /// The engine comes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn bring_engine(&self) -> Result<()> {
        std::os::unix::fs::symlink(self.engine.socket(), self.folder.path().join("engine.sock"))?;
        Ok(())
    }

    /// As [`HostRig::start`], but there is nothing at the engine's path yet.
    ///
    /// # Errors
    /// As [`HostRig::start`].
    pub fn without_engine(more: &str) -> Result<Self> {
        Self::with_configuration("", more)
    }

    fn with_configuration(top: &str, more: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("wt-host-").tempdir()?;
        let engine = empty_engine()?;
        let at = folder.path().display();
        let config = format!(
            "name = \"h1\"\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n{top}[log]\nlevel = \"info\"\n[[engine]]\nname = \
             \"docker\"\nsocket = \"{at}/engine.sock\"\nheal = \"all\"\n{more}"
        );
        std::fs::write(folder.path().join("host.toml"), config)?;
        let mut rig = Self {
            folder,
            engine,
            host: None,
            former: Vec::new(),
        };
        rig.start_host()?;
        Ok(rig)
    }

    /// Starts a host-watchdog (again).
    ///
    /// # Errors
    /// As [`HostRig::start`].
    pub fn start_host(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(program("host-watchdog")?);
        command.arg("run").arg("--config").arg(self.config());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        self.former.extend(self.host.replace(command.spawn()?));
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("host.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("host.log")
    }

    /// Everything both have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The host-watchdog's process.
    ///
    /// # Errors
    /// It is not running.
    pub fn host(&self) -> Result<Process> {
        Ok(Process::open(
            self.host.as_ref().context("no host-watchdog was started")?.id(),
        )?)
    }

    /// The living container-watchdogs of this rig; the oldest first.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn children(&self) -> Result<Vec<Process>> {
        let config = self.config().display().to_string();
        let args = ["run", "--config", &config, "--engine", "docker"].map(str::to_string);
        Ok(process::find(|found| found == args)?)
    }

    /// The one container-watchdog.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn child(&self) -> Result<Process> {
        let mut children = self.children()?;
        match (children.pop(), children.is_empty()) {
            (Some(child), true) => Ok(child),
            (None, _) => bail!("no container-watchdog lives"),
            (Some(_), false) => bail!("several container-watchdogs live"),
        }
    }

    /// Waits for the host-watchdog's own end.
    ///
    /// # Errors
    /// It does not end within that time.
    pub async fn host_end(&mut self, within: Duration) -> Result<ExitStatus> {
        let host = self.host.as_mut().context("no host-watchdog was started")?;
        let began = Stopwatch::start();
        loop {
            if let Some(status) = host.try_wait()? {
                return Ok(status);
            }
            if within < began.elapsed() {
                bail!("the host-watchdog does not end within {within:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the host-watchdog with SIGKILL and waits for it.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill_host(&mut self) -> Result<()> {
        self.host()?.signal(Signal::KILL)?;
        self.host_end(Duration::from_secs(5)).await.map(drop)
    }

    /// What the host-watchdog shows of one subject.
    ///
    /// # Errors
    /// It does not answer, or shows no such subject.
    pub async fn shown(&self, subject: &str) -> Result<TreeNode> {
        let client = Client::unix(&self.folder.path().join("run/host.sock"));
        let answer = client.tree(&TreeQuery::default()).await?;
        let mut nodes = answer.tree;
        while let Some(node) = nodes.pop() {
            if node.subject == subject {
                return Ok(node);
            }
            nodes.extend(node.children);
        }
        bail!("{subject} is not shown")
    }

    /// Waits until that subject is shown in that state.
    ///
    /// # Errors
    /// It is not within that time; the log's end is in the error.
    pub async fn await_state(&self, subject: &str, state: &str, within: Duration) -> Result<TreeNode> {
        let began = Stopwatch::start();
        let mut last = String::new();
        while began.elapsed() < within {
            match self.shown(subject).await {
                Ok(node) if node.state == state => return Ok(node),
                Ok(node) => last = format!("{}: {}", node.state, node.why),
                Err(error) => last = format!("{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "{subject} is not {state} within {within:?}; last: {last}\n{}",
            self.log()
        )
    }

    /// Waits until a container-watchdog other than that one lives alone, and tells how long that took.
    ///
    /// # Errors
    /// None does within that time; the log is in the error.
    pub async fn await_other_child(&self, old: u32, within: Duration) -> Result<(Process, Duration)> {
        let began = Stopwatch::start();
        while began.elapsed() < within {
            if let Ok(child) = self.child()
                && child.pid() != old
            {
                return Ok((child, began.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("no other container-watchdog lives within {within:?}\n{}", self.log())
    }
}

impl Drop for HostRig {
    fn drop(&mut self) {
        let kill = |process: Process| {
            if let Err(error) = process.signal(Signal::KILL) {
                eprintln!("while cleaning up: {error}");
            }
        };
        // The hosts first, or they would start another child.
        for mut host in self.former.drain(..).chain(self.host.take()) {
            let _ = host.kill();
            let _ = host.wait();
        }
        self.children().into_iter().flatten().for_each(kill);
    }
}
