//! `cargo xtask bench probes`: what 100 HTTP probes a second cost the container-watchdog, and how soon three of them in a row, 250 ms
//! apart, find a process that hangs.
//!
//! Every victim is in a network of its own, which the probes enter. One after the other is frozen by the kernel (SIGSTOP), ours and
//! those of the floor in turn. *Detected* is the moment that the record of the repair bears; *back* is when a new process answers.
//! The floor is the engine's own `/restart` of a process that is frozen just as well, from the request to the answer of the new one.
//!
//! It judges: see the bars below. It does not know how a probe is made.

use super::cpu::{pause, run_times, spent};
use super::ground::{self, Ground};
use super::recover::stats::Stats;
use crate::engine::Engine;
use crate::fleet::{self, Containers, Fleet};
use crate::victims::{Network, Victim, VictimSpec};
use crate::{http, interrupt, leftovers};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Of one core.
const COST_PER_CENT_MAX: f64 = 3.0;
const DETECTED_MS_MAX: f64 = 1000.0;
const FLOOR_TIMES_MAX: f64 = 1.2;
const PERIOD: Duration = Duration::from_millis(250);
/// A frozen process is restarted within this.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// Between the readiness of the daemons and what is measured.
const SETTLE: Duration = Duration::from_secs(15);
/// Between two that are frozen.
const PAUSE: Duration = Duration::from_millis(1500);

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) containers: u16,
    pub(crate) window: Duration,
    pub(crate) hangs: u16,
    pub(crate) programs: Option<PathBuf>,
}

struct Bench<'a> {
    engine: &'a Engine,
    image: &'a str,
    run: &'a str,
    others: &'a str,
    programs: &'a Path,
}

/// Milliseconds of each victim.
#[derive(Default)]
struct Times {
    detected: Vec<Duration>,
    back: Vec<Duration>,
    floor: Vec<Duration>,
}

/// Measures and prints.
///
/// # Errors
/// Something could not be measured, or a figure misses its bar.
pub(crate) fn probes(plan: &Plan) -> Result<()> {
    let Ground {
        engine,
        programs,
        machine,
        run,
        image,
    } = ground::prepare("probes", plan.programs.clone())?;
    let others = format!("{run}-others");
    let _containers = [&run, &others].map(|run| Containers {
        engine: engine.clone(),
        run: run.clone(),
    });
    let bench = Bench {
        engine: &engine,
        image: &image.name,
        run: &run,
        others: &others,
        programs: &programs,
    };
    let times = bench.hangs(plan.hangs)?;
    let cost = bench.cost(plan)?;
    let [detected, back, floor] = [&times.detected, &times.back, &times.floor].map(|it| Stats::of(it));
    let figures = json!({
        "bench": "probes",
        "machine": machine.json(),
        "containers": plan.containers,
        "window_s": plan.window.as_secs(),
        "cost_per_cent": (cost * 100.0).round() / 100.0,
        "detected": detected.json(),
        "back_after_detection": back.json(),
        "floor": floor.json(),
    });
    outln!("\n{figures:#}\n");
    let back_max = FLOOR_TIMES_MAX * floor.median_ms + PERIOD.as_secs_f64() * 1000.0;
    let bars = [
        ("cost, per cent of a core", cost, COST_PER_CENT_MAX),
        ("detected, median ms", detected.median_ms, DETECTED_MS_MAX),
        ("back after that, median ms", back.median_ms, back_max),
    ];
    let mut missed = 0;
    for (what, value, most) in bars {
        let is_met = value <= most;
        missed += u32::from(!is_met);
        outln!(
            "{} {what}: {value:.2}, at most {most:.2}",
            if is_met { "met   " } else { "MISSED" }
        );
    }
    match missed {
        0 => Ok(()),
        _ => bail!("{missed} figures miss their bars"),
    }
}

impl Bench<'_> {
    fn victim(&self, run: &str, name: &str, probes: &[(&str, String)]) -> Result<Victim> {
        let labels = probes
            .iter()
            .map(|(end, value)| (format!("watchtree.{end}"), value.clone()));
        let spec = VictimSpec {
            name: format!("wt-{}-{name}", self.run),
            image: self.image.to_owned(),
            run: run.to_owned(),
            network: Network::Bridge,
            healed: run == self.run,
            labels: labels.collect(),
            env: Vec::new(),
            health: None,
            restart: "no",
        };
        Victim::start(self.engine, &spec)
    }

    fn fleet(&self) -> Result<(Fleet, tempfile::TempDir)> {
        let folder = leftovers::folder("probes")?;
        let fleet = Fleet::start(&fleet::Plan {
            programs: self.programs,
            folder: folder.path(),
            run: self.run,
            engine: self.engine.socket(),
            webhook: None,
        })?;
        Ok((fleet, folder))
    }

    fn hangs(&self, count: u16) -> Result<Times> {
        outln!("starting {count} that will hang, and {count} for the floor");
        let quick = [
            ("liveness.http", ":{port}/healthz".to_owned()),
            ("liveness.period", format!("{}ms", PERIOD.as_millis())),
            ("liveness.failure-threshold", "3".to_owned()),
            ("stop-timeout", "0s".to_owned()),
            ("grace", "0s".to_owned()),
        ];
        let mut pairs = Vec::new();
        for number in 0..count {
            interrupt::check()?;
            let ours = self.victim(self.run, &format!("hangs-{number}"), &quick)?;
            pairs.push((ours, self.victim(self.others, &format!("floor-{number}"), &[])?));
        }
        let (fleet, _folder) = self.fleet()?;
        pause(SETTLE)?;
        let mut times = Times::default();
        for (ours, floor) in &pairs {
            let (detected, back) = self.hang(&fleet, ours).with_context(|| fleet.log_ends())?;
            times.detected.push(detected);
            times.back.push(back);
            times.floor.push(self.restart(floor)?);
            outln!(
                "detected after {} ms, back {} ms later; floor {} ms",
                detected.as_millis(),
                back.as_millis(),
                times.floor.last().map_or(0, Duration::as_millis)
            );
            pause(PAUSE)?;
        }
        for (ours, floor) in &pairs {
            self.engine.remove(&ours.id)?;
            self.engine.remove(&floor.id)?;
        }
        Ok(times)
    }

    fn freeze(&self, victim: &Victim) -> Result<()> {
        let pid = self.engine.inspect(&victim.id)?.pid;
        let pid = Pid::from_raw(pid).filter(|_| 1 < pid);
        let pid = pid.with_context(|| format!("{} has a process", victim.name))?;
        Ok(kill_process(pid, Signal::STOP)?)
    }

    /// How long until it is detected, and from then until it answers again.
    fn hang(&self, fleet: &Fleet, victim: &Victim) -> Result<(Duration, Duration)> {
        let old = victim
            .incarnation()
            .with_context(|| format!("{} answers", victim.name))?;
        let (began, wall) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
        self.freeze(victim)?;
        let (_, took) = victim.await_incarnation(Some(&old), began, AWAY_MAX)?;
        let subject = format!("h1/docker/{}", victim.name);
        let answer = fleet.get("container-docker", &format!("/api/v1/explain?subject={subject}"))?;
        let explained = answer.ok("explain")?.json()?;
        let all = explained["decisions"].as_array().context("decisions")?;
        let is_repair = |it: &&serde_json::Value| it["action"] == "stop_then_start";
        let repair = all.iter().rfind(is_repair).context("a repair")?;
        let at = Duration::from_millis(repair["wall_ms"].as_u64().context("a time")?);
        // The record bears whole milliseconds.
        let detected = at.saturating_sub(wall);
        Ok((detected, took.saturating_sub(detected)))
    }

    fn restart(&self, victim: &Victim) -> Result<Duration> {
        let old = victim
            .incarnation()
            .with_context(|| format!("{} answers", victim.name))?;
        self.freeze(victim)?;
        let began = Instant::now();
        let path = format!("/containers/{}/restart?t=0", victim.id);
        http::ask(self.engine.socket(), "POST", &path, &[], AWAY_MAX)?.ok(&path)?;
        let (_, took) = victim.await_incarnation(Some(&old), began, AWAY_MAX)?;
        Ok(took)
    }

    /// Per cent of a core that the container-watchdog uses.
    fn cost(&self, plan: &Plan) -> Result<f64> {
        outln!("starting {} that are probed once a second", plan.containers);
        let probe = [
            ("liveness.http", ":{port}/healthz".to_owned()),
            ("liveness.period", "1s".to_owned()),
        ];
        for number in 0..plan.containers {
            interrupt::check()?;
            self.victim(self.run, &format!("{number}"), &probe)?;
        }
        let (fleet, _folder) = self.fleet()?;
        pause(SETTLE)?;
        let pid = fleet.process("container-docker")?.pid;
        let (began, before) = (Instant::now(), run_times(pid)?);
        pause(plan.window)?;
        let used = spent(&before, &run_times(pid)?);
        let cost = used.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
        let tree = fleet.get("container-docker", "/api/v1/tree")?.ok("the tree")?;
        let healthy = String::from_utf8_lossy(&tree.body).matches("running, healthy").count();
        if healthy < usize::from(plan.containers) {
            bail!(
                "only {healthy} of {} are known to be healthy by their probes",
                plan.containers
            );
        }
        Ok(cost)
    }
}
