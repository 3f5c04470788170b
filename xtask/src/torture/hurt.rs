//! Hurts the engine and the watchdog, and brings them back. One fault of each at a time. Each says on the tape when it is away.

use super::notes::{Presence, What};
use super::plan::{EngineFault, WatchdogFault};
use super::stage::Stage;
use crate::engine_truth::rig::Rig;
use crate::watchdog::Watchdog;
use crate::{http, interrupt};
use anyhow::{Result, bail};
use rustix::process::Signal;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// An engine that was frozen, or has lost its containerd, answers again within that.
const ANSWERS: Duration = Duration::from_secs(60);

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

/// The watchdog, and the first process of the namespaces that it lives in.
pub(super) struct Hurt {
    pub(super) target: u32,
    pub(super) watchdog: Watchdog,
}

impl Hurt {
    fn suffer(&mut self, stage: &Stage, fault: WatchdogFault) -> Result<()> {
        stage.tape.note("", What::Watchdog(Presence::Away));
        let (WatchdogFault::Kill(away) | WatchdogFault::Stop(away) | WatchdogFault::Freeze(away)) = fault;
        let it = &mut self.watchdog;
        match fault {
            WatchdogFault::Freeze(_) => it.signal(Signal::STOP)?,
            WatchdogFault::Kill(_) => it.signal(Signal::KILL).and_then(|()| it.await_end()).map(drop)?,
            WatchdogFault::Stop(_) => it.signal(Signal::TERM).and_then(|()| it.await_end()).map(drop)?,
        }
        std::thread::sleep(Duration::from_millis(away));
        match fault {
            WatchdogFault::Freeze(_) => it.signal(Signal::CONT)?,
            WatchdogFault::Kill(_) | WatchdogFault::Stop(_) => it.start(self.target)?,
        }
        self.await_ready(stage)
    }

    /// Waits until it says that it knows the containers, and notes it.
    ///
    /// # Errors
    /// It ended, or is not ready in time.
    pub(super) fn await_ready(&mut self, stage: &Stage) -> Result<()> {
        self.watchdog.await_ready(|| stage.engine_is_here())?;
        stage.tape.note("", What::Watchdog(Presence::Here));
        Ok(())
    }
}

/// Does one fault of the watchdog after the other, and sees between them that it lives.
///
/// # Errors
/// It ended by itself, or does not come back.
pub(super) fn hurt_watchdog(stage: &Stage, mut it: Hurt, faults: &Receiver<WatchdogFault>) -> Result<()> {
    while !stage.is_over() {
        match faults.recv_timeout(Duration::from_millis(200)) {
            Ok(fault) => it.suffer(stage, fault)?,
            Err(RecvTimeoutError::Timeout) => {}
            // No fault comes any more: it lives on.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(200)),
        }
        if let Some(status) = it.watchdog.has_ended()? {
            bail!("the watchdog ended by itself with {status}");
        }
    }
    it.watchdog.signal(Signal::CONT)?;
    it.watchdog.signal(Signal::TERM)?;
    it.watchdog.await_end().map(drop)
}
