//! A container-watchdog in the namespaces of an engine of our own: started, signalled, awaited, asked.
//!
//! Contract: it is a process of those namespaces and ends with them. It does not know why it is hurt, nor what it heals.

use crate::engine_truth::rig::{child_of, inside, signal_inside};
use crate::{http, interrupt};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// One that was started is ready within that, while its engine answers.
const READY: Duration = Duration::from_secs(30);
/// One that was asked to end has ended.
const ENDS: Duration = Duration::from_secs(45);

/// See the top of this file.
pub(crate) struct Watchdog {
    program: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
}

impl Watchdog {
    /// Writes its configuration, and starts nothing. `socket` = the engine's, as it is to be asked.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn new(dir: &Path, program: PathBuf, socket: &Path) -> Result<Self> {
        let (at, socket) = (dir.display(), socket.display());
        let config = format!(
            "name = \"h1\"\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/wt\"\n[log]\nlevel = \"debug\"\n[heal]\nhost_budget = 500\n\
             [[engine]]\nname = \"docker\"\nsocket = \"{socket}\"\n"
        );
        std::fs::write(dir.join("host.toml"), config)?;
        Ok(Self {
            program,
            dir: dir.to_owned(),
            child: None,
        })
    }

    /// From its next start on it only watches.
    pub(crate) fn observe_only(&self) -> Result<()> {
        let path = self.dir.join("host.toml");
        let config = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(&path, config + "heal = \"observe\"\n")?)
    }

    /// Its status socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("wt/container-docker.sock")
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("watchdog.log")
    }

    /// Starts it in the namespaces whose first process is `target`.
    pub(crate) fn start(&mut self, target: u32) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let program = self.program.display().to_string();
        let config = self.dir.join("host.toml").display().to_string();
        let words = [&program, "run", "--engine", "docker", "--config", &config];
        let mut command = inside(target, &words);
        let child = command
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start `nsenter`")?;
        let outer = child.id();
        self.child = Some(child);
        // It may have ended already: whoever waits for it is told how.
        let inner = || Ok((child_of(outer).is_ok() || !self.is_running()?).then_some(()));
        interrupt::wait("its process", Instant::now(), READY, Duration::from_millis(5), inner).map(drop)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        signal_inside(self.child.as_ref().context("it does not run")?.id(), signal)
    }

    /// Waits for its end; gives how it ended, if it ran.
    pub(crate) fn await_end(&mut self) -> Result<Option<String>> {
        let Some(mut child) = self.child.take() else {
            return Ok(None);
        };
        let ended = || Ok(child.try_wait()?.map(|status| status.to_string()));
        let every = Duration::from_millis(10);
        let (status, _) = interrupt::wait("the watchdog's end", Instant::now(), ENDS, every, ended)?;
        Ok(Some(status))
    }

    /// How it has ended, if it has, by itself.
    pub(crate) fn has_ended(&mut self) -> Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?.map(|status| status.to_string()))
    }

    fn is_running(&mut self) -> Result<bool> {
        Ok(self.has_ended()?.is_none())
    }

    /// Waits until it says that it knows the containers. It cannot while its engine is away: `is_engine_here`.
    ///
    /// # Errors
    /// It ended, or is not ready in time.
    pub(crate) fn await_ready(&mut self, is_engine_here: impl Fn() -> bool) -> Result<()> {
        let mut since = Instant::now();
        let mut last = String::new();
        while since.elapsed() < READY {
            interrupt::check()?;
            if !is_engine_here() {
                since = Instant::now();
            }
            match http::ask(&self.socket(), "GET", "/readyz", &[], Duration::from_secs(5)) {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => last = String::from_utf8_lossy(&answer.body).into_owned(),
                Err(error) => last = format!("{error:#}"),
            }
            if let Some(status) = self.has_ended()? {
                bail!("the watchdog ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the watchdog is not ready within {} s: {last}", READY.as_secs())
    }
}
