//! The engine killed, without live-restore: from its API answering again to all that ran answering, ours and so many parallel
//! starts by hand in turn, on an engine of its own.
//!
//! The container-watchdog runs inside the engine's namespaces, as beside any engine, and alone: who starts the engine again
//! is not what is measured. All of this happens in a thread that is in the engine's network. It does not know why the
//! containers ended.

use super::hands::{self, PARALLEL};
use super::setting::{Heal, spec};
use super::wave::{OURS, Waves, answering, arm_words, await_all};
use crate::bench::cpu::pause;
use crate::engine::Engine;
use crate::engine_truth::rig::{self, Kind, Rig, child_of, signal_inside};
use crate::owner::Owner;
use crate::victims::{self, Victim};
use crate::{http, interrupt, leftovers};
use anyhow::{Context, Result};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// All are back within this.
const AWAY_MAX: Duration = Duration::from_secs(120);
/// The watchdog knows the containers within this, and has ended.
const READY: Duration = Duration::from_secs(60);
/// Between its readiness and the kill.
const SETTLE: Duration = Duration::from_secs(8);
const IMAGE: &str = "victim:1";

/// Measures so many containers in so many rounds.
///
/// # Errors
/// Something could not be measured.
pub(super) fn outages(heal: &Heal<'_>, count: u16, rounds: usize) -> Result<Waves> {
    outln!("an engine of its own, and {count} containers in it");
    let dir = leftovers::folder("bench")?;
    let rig = Rig::up(dir.path(), Kind::default())?;
    let outages = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let network = File::open(format!("/proc/{}/ns/net", rig.init_pid()?))?;
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            let mut outage = Outage {
                heal,
                dir: dir.path(),
                rig,
            };
            outage.measure(count, rounds)
        });
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
    });
    outages.with_context(|| format!("the engine said last: {:#?}", rig::last_words(dir.path())))
}

struct Outage<'a> {
    heal: &'a Heal<'a>,
    dir: &'a Path,
    rig: Rig,
}

impl Outage<'_> {
    fn measure(&mut self, count: u16, rounds: usize) -> Result<Waves> {
        let engine = Engine::at(self.rig.socket());
        engine.import(IMAGE, &Owner::me()?, &victims::victim_tar()?)?;
        let mut victims = Vec::new();
        for number in 0..count {
            interrupt::check()?;
            let spec = spec(IMAGE, self.heal.run, &format!("v{number}"));
            victims.push(Victim::start(&engine, &spec)?);
        }
        for victim in &victims {
            victim.await_incarnation(None, Instant::now(), AWAY_MAX)?;
        }
        let mut arms: Vec<usize> = std::iter::once(OURS).chain(PARALLEL).collect();
        let mut outages = Waves::new();
        for round in 1..=rounds {
            for &arm in &arms {
                let took = match arm {
                    OURS => self.ours(round, &victims)?,
                    parallel => self.by_hand(&victims, parallel)?,
                };
                let words = arm_words(arm);
                outln!(
                    "outage {round} of {rounds}, {words}: all answer after {:.2} s",
                    took.as_secs_f64()
                );
                outages.entry(arm).or_default().push(took);
            }
            arms.rotate_left(1);
        }
        Ok(outages)
    }

    fn ours(&mut self, round: usize, victims: &[Victim]) -> Result<Duration> {
        let watchdog = Watchdog::start(self, round)?;
        watchdog.await_ready()?;
        pause(SETTLE)?;
        let waiting = answering(victims)?;
        let at = self.kill()?;
        let took = await_all(waiting, at, AWAY_MAX).with_context(|| watchdog.log_end())?;
        watchdog.end()?;
        Ok(took)
    }

    fn by_hand(&mut self, victims: &[Victim], parallel: usize) -> Result<Duration> {
        let ids: Vec<String> = victims.iter().map(|victim| victim.id.clone()).collect();
        let waiting = answering(victims)?;
        let at = self.kill()?;
        let workers = hands::start_all(&self.rig.socket(), &ids, parallel);
        let took = await_all(waiting, at, AWAY_MAX)?;
        hands::join(workers)?;
        Ok(took)
    }

    /// Kills the engine and starts it; gives the moment from which its API answers.
    fn kill(&mut self) -> Result<Instant> {
        self.rig.end("KILL")?;
        self.rig.start()?;
        Ok(Instant::now())
    }
}

/// A container-watchdog as shipped, on empty state.
struct Watchdog {
    dir: std::path::PathBuf,
    child: Child,
}

impl Watchdog {
    fn start(outage: &Outage<'_>, round: usize) -> Result<Self> {
        let dir = outage.dir.join(format!("w{round}"));
        std::fs::create_dir_all(&dir)?;
        let (at, socket) = (dir.display(), outage.rig.socket());
        let config = format!(
            "name = \"h1\"\nstate_dir = \"{at}/state\"\nrun_dir = \"{at}/run\"\n[[engine]]\nname = \"docker\"\nsocket = \"{}\"\n",
            socket.display()
        );
        let file = dir.join("host.toml");
        std::fs::write(&file, config)?;
        let log = File::create(dir.join("log"))?;
        let program = outage.heal.programs.join("container-watchdog").display().to_string();
        let words = [&program, "run", "--config", &file.display().to_string()];
        let mut command = rig::inside(outage.rig.init_pid()?, &words);
        let child = command.stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.context("cannot start `nsenter`")?;
        Ok(Self { dir, child })
    }

    fn await_ready(&self) -> Result<()> {
        let socket = self.dir.join("run/container-docker.sock");
        let poll = || {
            let answer = http::ask(&socket, "GET", "/readyz", &[], Duration::from_secs(5));
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        };
        let every = Duration::from_millis(20);
        interrupt::wait("the watchdog is not ready", Instant::now(), READY, every, poll)
            .map(drop)
            .with_context(|| self.log_end())
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    fn end(mut self) -> Result<()> {
        signal_inside(self.child.id(), Signal::TERM)?;
        let poll = || Ok(self.child.try_wait()?.map(drop));
        let every = Duration::from_millis(10);
        interrupt::wait("the watchdog does not end", Instant::now(), READY, every, poll).map(drop)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // It has ended, mostly; else the end of the engine's namespaces ends it.
        if let Ok(None) = self.child.try_wait() {
            let _ = child_of(self.child.id()).and_then(|_| signal_inside(self.child.id(), Signal::KILL));
            let _ = self.child.wait();
        }
    }
}
