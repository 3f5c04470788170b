//! `cargo xtask torture`: thirty containers on an engine of its own, hurt at random from a seed, under a container-watchdog that
//! is hurt too; a checker that knows what was meant judges each request of the watchdog's and the time of each repair.
//!
//! The machine's own engine is not touched. Everything lives in namespaces and in a folder that end with the run.

mod acts;
mod checker;
mod end;
mod eyes;
mod facts;
mod hurt;
mod kernel;
mod notes;
mod plan;
mod proxy;
mod repairs;
mod report;
mod seed;
mod stage;
mod world;

use crate::engine::Engine;
use crate::engine_truth::rig::{self, Kind, Rig};
use crate::owner::Owner;
use crate::watchdog::Watchdog;
use crate::{fleet, interrupt, leftovers, prerequisites, victim, victims};
use acts::Actors;
use anyhow::{Context, Result, bail};
use checker::{Checker, LAG};
use clap::Args;
use hurt::Hurt;
use notes::{Ask, Call, Clock, Ms, Note, Tape, What};
use report::Report;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The containers have been up for so long before the first fault.
const SETTLES: Ms = 8000;
/// Longest time until all is as meant, after the last fault: a delay of 60 s, and what goes with it.
const CONVERGES: Ms = 110_000;
/// All has been as meant for so long.
const STAYS: Ms = 5000;

const EXAMPLES: &str = "\
Examples:
  cargo xtask torture --seed 7 --minutes 3             builds the watchdog for release, tortures for 3 minutes
  cargo xtask torture --seed 7 --programs target/debug takes the programs in that folder
  cargo xtask torture --seed 7 --verbose --keep /tmp/t  tells every act, keeps logs and notes
  cargo xtask torture --plan --seed 7                  only tells what it would do, and when

Needs root, dockerd, containerd, runc, unshare and nsenter. Exit code 1 at any wrongful act or missed bound.";

/// How to torture.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Torture {
    /// Equal seeds give equal acts at equal times.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How long the faults last; building the world and waiting for the end come on top, up to two minutes.
    #[arg(long, default_value_t = 3, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// Takes the programs in this folder instead of building them.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// The engine keeps its containers while it is away.
    #[arg(long)]
    live_restore: bool,
    /// Tells every act when it is done.
    #[arg(long)]
    verbose: bool,
    /// Copies the logs and the notes to this folder at the end.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Prints the figures as one JSON object too.
    #[arg(long)]
    json: bool,
    /// Only tells the acts.
    #[arg(long)]
    plan: bool,
    /// Makes a wrongful request in the watchdog's name, to see that the run fails.
    #[arg(long, hide = true)]
    sabotage: bool,
}

/// What the gate plays: three minutes of one seed, with the programs in that folder.
///
/// # Errors
/// As of [`run`].
pub(crate) fn for_the_gate(programs: PathBuf) -> Result<()> {
    run(&Torture {
        seed: 7,
        minutes: 3,
        programs: Some(programs),
        live_restore: false,
        verbose: false,
        keep: None,
        json: false,
        plan: false,
        sabotage: false,
    })
}

/// Why it cannot be played here; `None` = it can.
pub(crate) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("torture starts an engine of its own: it is for root".to_owned());
    }
    let needed = ["dockerd", "containerd", "runc", "unshare", "nsenter"];
    let missing = needed.into_iter().find(|program| !prerequisites::on_path(program));
    missing.map(|program| format!("torture needs `{program}`"))
}

/// Tortures.
///
/// # Errors
/// An act was wrongful, a bound was missed, or the run could not be made.
pub(crate) fn run(how: &Torture) -> Result<()> {
    let faults = how.minutes * 60_000;
    if how.plan {
        for step in plan::plan(how.seed, 0, faults) {
            outln!("{} {:?}", notes::clock_words(step.at), step.act);
        }
        return Ok(());
    }
    if let Some(why) = missing() {
        bail!("{why}");
    }
    let programs = fleet::programs(how.programs.clone())?;
    let victim = victim::build()?;
    leftovers::sweep_folders(&|text| outln!("{text}")).context("what an earlier run left")?;
    interrupt::catch()?;
    let dir = leftovers::folder("torture")?;
    let tortured = torture(how, dir.path(), &programs.join("container-watchdog"), &victim);
    if let Err(error) = &tortured
        && error.downcast_ref::<Wrong>().is_none()
    {
        errln!("the engine said last: {:#?}", rig::last_words(dir.path()));
    }
    tortured
}

/// The run came to its end, and something was wrong.
#[derive(Debug)]
struct Wrong(String);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

fn torture(how: &Torture, dir: &Path, program: &Path, victim: &Path) -> Result<()> {
    outln!("an engine of its own, and {} containers", world::WORLD.len());
    let kind = Kind {
        live_restore: how.live_restore,
        ..Kind::default()
    };
    let rig = Rig::up(dir, kind)?;
    let target = rig.init_pid()?;
    let (to, heard) = channel();
    let tape = Tape::new(Clock::begin(), to);
    let stage = Arc::new(Stage::new(tape, dir, rig::cgroup(dir), victim.to_owned()));
    let engine = Engine::at(stage.engine.clone());
    engine.import(&stage.image, &Owner::me()?, &victims::victim_tar()?)?;
    eyes::open(&stage);
    proxy::start(&dir.join("proxy.sock"), &stage.engine, &stage.tape)?;
    let mut run = Run {
        how,
        stage: Arc::clone(&stage),
        heard,
        checker: Checker::new(),
        report: Report::new(how.seed),
    };
    let watchdog = Watchdog::new(dir, program.to_owned(), &dir.join("proxy.sock"))?;
    let ended = run.play(rig, Hurt { target, watchdog });
    stage.over.store(true, Ordering::SeqCst);
    if let Some(keep) = &how.keep {
        run.report.keep(dir, keep)?;
    }
    ended?;
    run.report.print(&run.checker, how.json);
    match run.report.wrong(&run.checker) {
        0 => Ok(()),
        count => Err(Wrong(format!(
            "{count} things were wrong; again: --seed {} --minutes {}",
            how.seed, how.minutes
        ))
        .into()),
    }
}

struct Run<'a> {
    how: &'a Torture,
    stage: Arc<Stage>,
    heard: Receiver<Note>,
    checker: Checker,
    report: Report,
}

impl Run<'_> {
    fn play(&mut self, rig: Rig, mut watchdog: Hurt) -> Result<()> {
        watchdog.watchdog.start(watchdog.target)?;
        watchdog.await_ready(&self.stage)?;
        for slot in 0..world::WORLD.len() {
            interrupt::check()?;
            self.stage.run(slot)?;
        }
        let begin = self.stage.tape.clock.now() + SETTLES;
        let steps = plan::plan(self.how.seed, begin, begin + self.how.minutes * 60_000);
        outln!(
            "{} acts in {} minutes, seed {}",
            steps.len(),
            self.how.minutes,
            self.how.seed
        );
        let (to_engine, engine_faults) = channel();
        let (to_watchdog, watchdog_faults) = channel();
        let stage = Arc::clone(&self.stage);
        let engine = std::thread::spawn(move || hurt::hurt_engine(&stage, rig, &engine_faults));
        let stage = Arc::clone(&self.stage);
        let watchdog = std::thread::spawn(move || hurt::hurt_watchdog(&stage, watchdog, &watchdog_faults));
        let mut actors = Actors::new(&self.stage, to_engine, to_watchdog);
        let verbose = self.how.verbose;
        let acts = std::thread::spawn(move || {
            let played = actors.play(&steps, verbose);
            actors.join();
            (played, std::mem::take(&mut actors.counts))
        });
        let watched = self.watch(&acts, &engine, &watchdog);
        // From here on everybody ends, whatever came before.
        let converged = watched.and_then(|()| self.converge(&watchdog));
        self.stage.over.store(true, Ordering::SeqCst);
        let (played, counts) = acts.join().map_err(|_| anyhow::anyhow!("the actors panicked"))?;
        self.report.counts = counts;
        let ended = watchdog.join().map_err(|_| anyhow::anyhow!("a panic"))?;
        let _rig = engine
            .join()
            .map_err(|_| anyhow::anyhow!("a panic"))?
            .context("the engine")?;
        // What ended by itself is the cause of the rest.
        ended.context("the watchdog").and(played).and(converged)
    }

    /// Judges while the acts are done.
    fn watch<A, E, W>(&mut self, acts: &JoinHandle<A>, engine: &JoinHandle<E>, watchdog: &JoinHandle<W>) -> Result<()> {
        while !acts.is_finished() {
            interrupt::check()?;
            if engine.is_finished() || watchdog.is_finished() {
                bail!("engine or watchdog did not come back");
            }
            self.turn();
        }
        if self.how.sabotage {
            self.sabotage()?;
        }
        Ok(())
    }

    fn turn(&mut self) {
        while let Ok(note) = self.heard.try_recv() {
            self.checker.hear(note);
        }
        let now = self.stage.tape.clock.now();
        let notes = self.checker.advance(now);
        self.report.take(notes, &self.checker, now);
        std::thread::sleep(Duration::from_millis(100));
    }

    /// Waits until all is as it was meant.
    fn converge<W>(&mut self, watchdog: &JoinHandle<W>) -> Result<()> {
        let until = self.stage.tape.clock.now() + CONVERGES;
        let mut since = None;
        outln!("the faults are over; waiting until everything is as it was meant");
        loop {
            interrupt::check()?;
            if watchdog.is_finished() {
                bail!("the watchdog has ended");
            }
            self.turn();
            let now = self.stage.tape.clock.now();
            self.report.left = end::left(&self.checker.facts);
            if !self.report.left.is_empty() {
                since = None;
            }
            let from = *since.get_or_insert(now);
            if (self.report.left.is_empty() && from + STAYS + LAG < now) || until < now {
                return Ok(());
            }
        }
    }

    /// Stops a container as a person, and starts it in the watchdog's name.
    fn sabotage(&mut self) -> Result<()> {
        let id = self.stage.id(0);
        for (ask, verb) in [(Ask::Start, "start"), (Ask::Stop, "stop?t=0")] {
            self.stage.ask(&id, ask, "POST", &format!("/containers/{id}/{verb}"));
        }
        std::thread::sleep(Duration::from_secs(2));
        self.stage.tape.note(&id, What::Posted(Call::Start, 0));
        let answer = self
            .stage
            .call("POST", &format!("/containers/{id}/start"), &serde_json::Value::Null)?;
        self.stage.tape.note(&id, What::Replied(0, Some(answer.status)));
        Ok(())
    }
}
