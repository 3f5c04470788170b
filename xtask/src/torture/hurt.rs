//! Hurts the engine and the watchdog, and brings them back. One fault of each at a time. Each says on the tape when it is away.

use super::notes::{Presence, What};
use super::plan::{EngineFault, WatchdogFault};
use super::stage::Stage;
use crate::engine_truth::rig::{Rig, child_of, inside, signal_inside};
use crate::{http, interrupt};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// An engine that was frozen, or has lost its containerd, answers again within that.
const ANSWERS: Duration = Duration::from_secs(60);
/// A watchdog that was started is ready within that, while its engine answers.
const READY: Duration = Duration::from_secs(30);
/// A watchdog that was asked to end has ended.
const ENDS: Duration = Duration::from_secs(45);

/// Does one fault of the engine after the other; gives it back.
///
/// # Errors
/// The engine does not come back.
pub(super) fn hurt_engine(stage: &Stage, mut rig: Rig, faults: &Receiver<EngineFault>) -> Result<Rig> {
    while let Ok(fault) = faults.recv() {
        match fault {
            EngineFault::Kill(away) => begin_again(stage, &mut rig, "KILL", away)?,
            EngineFault::Restart(away) => begin_again(stage, &mut rig, "TERM", away)?,
            EngineFault::Freeze(lasts) => {
                stage.set_engine(Presence::Frozen);
                rig.signal(Signal::STOP)?;
                std::thread::sleep(Duration::from_millis(lasts));
                rig.signal(Signal::CONT)?;
            }
            EngineFault::Containerd(away) => {
                stage.set_engine(Presence::Frozen);
                rig.restart_containerd(Duration::from_millis(away))?;
            }
        }
        // `/info` asks containerd too.
        let answers = || {
            let answer = http::ask(&stage.engine, "GET", "/info", &[], Duration::from_secs(5));
            Ok(answer.is_ok_and(|it| it.status == 200).then_some(()))
        };
        interrupt::wait(
            "the engine's answer",
            Instant::now(),
            ANSWERS,
            Duration::from_millis(50),
            answers,
        )?;
        stage.set_engine(Presence::Here);
    }
    Ok(rig)
}

fn begin_again(stage: &Stage, rig: &mut Rig, signal: &str, away: u64) -> Result<()> {
    stage.set_engine(Presence::Away);
    rig.end(signal)?;
    std::thread::sleep(Duration::from_millis(away));
    rig.start()
}

/// The container-watchdog's process, in the engine's namespaces.
pub(super) struct Watchdog {
    /// The first process of the namespaces.
    target: u32,
    program: PathBuf,
    dir: PathBuf,
    child: Option<Child>,
}

impl Watchdog {
    /// Writes its configuration, and starts nothing.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(super) fn new(target: u32, dir: &Path, program: PathBuf) -> Result<Self> {
        let at = dir.display();
        let config = format!(
            "name = \"h1\"\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/wt\"\n[log]\nlevel = \"debug\"\n[heal]\nhost_budget = 500\n\
             [[engine]]\nname = \"docker\"\nsocket = \"{at}/proxy.sock\"\n"
        );
        std::fs::write(dir.join("host.toml"), config)?;
        Ok(Self {
            target,
            program,
            dir: dir.to_owned(),
            child: None,
        })
    }

    pub(super) fn start(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("watchdog.log"))?;
        let program = self.program.display().to_string();
        let config = self.dir.join("host.toml").display().to_string();
        let words = [&program, "run", "--engine", "docker", "--config", &config];
        let mut command = inside(self.target, &words);
        let child = command
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start `nsenter`")?;
        let outer = child.id();
        self.child = Some(child);
        let inner = || Ok(child_of(outer).ok());
        interrupt::wait("its process", Instant::now(), READY, Duration::from_millis(5), inner).map(drop)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        signal_inside(self.child.as_ref().context("it does not run")?.id(), signal)
    }

    fn await_end(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let ended = || Ok(child.try_wait()?.map(drop));
        interrupt::wait(
            "the watchdog's end",
            Instant::now(),
            ENDS,
            Duration::from_millis(10),
            ended,
        )
        .map(drop)
    }

    /// How it has ended, if it has, by itself.
    pub(super) fn has_ended(&mut self) -> Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?.map(|status| status.to_string()))
    }

    fn hurt(&mut self, stage: &Stage, fault: WatchdogFault) -> Result<()> {
        stage.tape.note("", What::Watchdog(Presence::Away));
        let (WatchdogFault::Kill(away) | WatchdogFault::Stop(away) | WatchdogFault::Freeze(away)) = fault;
        match fault {
            WatchdogFault::Freeze(_) => self.signal(Signal::STOP)?,
            WatchdogFault::Kill(_) => self.signal(Signal::KILL).and_then(|()| self.await_end())?,
            WatchdogFault::Stop(_) => self.signal(Signal::TERM).and_then(|()| self.await_end())?,
        }
        std::thread::sleep(Duration::from_millis(away));
        match fault {
            WatchdogFault::Freeze(_) => self.signal(Signal::CONT)?,
            WatchdogFault::Kill(_) | WatchdogFault::Stop(_) => self.start()?,
        }
        self.await_ready(stage)
    }

    /// Waits until it says that it knows the containers. It cannot while its engine is away.
    ///
    /// # Errors
    /// It ended, or is not ready in time.
    pub(super) fn await_ready(&mut self, stage: &Stage) -> Result<()> {
        let mut since = Instant::now();
        let mut last = String::new();
        while since.elapsed() < READY {
            interrupt::check()?;
            if !stage.engine_is_here() {
                since = Instant::now();
            }
            match http::ask(&stage.watchdog, "GET", "/readyz", &[], Duration::from_secs(5)) {
                Ok(answer) if answer.status == 200 => {
                    stage.tape.note("", What::Watchdog(Presence::Here));
                    return Ok(());
                }
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

/// Does one fault of the watchdog after the other, and sees between them that it lives.
///
/// # Errors
/// It ended by itself, or does not come back.
pub(super) fn hurt_watchdog(stage: &Stage, mut it: Watchdog, faults: &Receiver<WatchdogFault>) -> Result<()> {
    while !stage.is_over() {
        match faults.recv_timeout(Duration::from_millis(200)) {
            Ok(fault) => it.hurt(stage, fault)?,
            Err(RecvTimeoutError::Timeout) => {}
            // No fault comes any more: it lives on.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(200)),
        }
        if let Some(status) = it.has_ended()? {
            bail!("the watchdog ended by itself with {status}");
        }
    }
    it.signal(Signal::CONT)?;
    it.signal(Signal::TERM)?;
    it.await_end()
}
