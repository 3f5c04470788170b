//! `cargo xtask bench idle`: what the three daemons cost while nothing happens, and what they cost the engine.
//!
//! One run on one machine: the containers are made once; in each round the engine alone, the daemons of this tree and (with
//! `--beside`) those of another version take turns, each on empty state, each measured over one window after it has settled.
//! Processor time is what the kernel says of the threads of a process that live at both ends of the window
//! (`/proc/PID/task/*/schedstat`), memory is the proportional share (`Pss` of `/proc/PID/smaps_rollup`) at its end.
//!
//! What host and container-watchdog may cost is printed below the table; it fails nothing, as a figure of another machine would.
//! It does not know what the daemons do.

use super::cpu::{pause, run_times, spent};
use super::ground::{self, Ground};
use crate::engine::Engine;
use crate::fleet::{self, Containers, Fleet};
use crate::victims::{Network, Victim, VictimSpec};
use crate::{figures, interrupt, leftovers};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Windows of each arm.
const ROUNDS: usize = 5;
/// Between the readiness of the daemons and the window: the first inspections are over.
const SETTLE: Duration = Duration::from_secs(15);
const DAEMONS: [&str; 3] = ["manager", "host", "container-docker"];
const ENGINE: &str = "engine";

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) containers: u16,
    pub(crate) window: Duration,
    pub(crate) programs: Option<PathBuf>,
    pub(crate) beside: Option<PathBuf>,
}

/// What one process used in one window.
#[derive(Clone, Copy, Debug)]
struct Use {
    /// Milliseconds of processor time in a minute.
    cpu_ms: f64,
    pss_kib: f64,
}

/// The windows of one arm, by process.
type Windows = BTreeMap<&'static str, Vec<Use>>;

/// Measures, prints, and (for this tree's own programs) writes `docs/benchmarks/idle.json` and the documents.
///
/// # Errors
/// Something could not be measured.
pub(crate) fn idle(plan: &Plan) -> Result<()> {
    let Ground {
        engine,
        programs,
        machine,
        run,
        image,
    } = ground::prepare("idle", plan.programs.clone())?;
    let beside = plan
        .beside
        .clone()
        .map(|folder| fleet::programs(Some(folder)))
        .transpose()?;
    let _containers = Containers {
        engine: engine.clone(),
        run: run.clone(),
    };
    outln!("starting {} containers", plan.containers);
    for number in 0..plan.containers {
        interrupt::check()?;
        Victim::start(&engine, &victim(&run, &image.name, number))?;
    }
    let arms: Vec<(&str, Option<&Path>)> = [
        ("engine alone", Some(None)),
        ("this tree", Some(Some(programs.as_path()))),
    ]
    .into_iter()
    .chain([("beside", beside.as_deref().map(Some))])
    .filter_map(|(name, programs)| Some((name, programs?)))
    .collect();
    let mut windows: BTreeMap<&str, Windows> = BTreeMap::new();
    for round in 1..=ROUNDS {
        for (arm, programs) in &arms {
            outln!("round {round} of {ROUNDS}: {arm}");
            let used = measure(&engine, &run, *programs, plan)?;
            let arm = windows.entry(arm).or_default();
            used.into_iter()
                .for_each(|(process, used)| arm.entry(process).or_default().push(used));
        }
    }
    let figures = json!({
        "bench": "idle",
        "machine": machine.json(),
        "containers": plan.containers,
        "window_s": plan.window.as_secs(),
        "rounds": ROUNDS,
        "arms": windows.iter().map(|(arm, windows)| ((*arm).to_owned(), medians(windows))).collect::<serde_json::Map<_, _>>(),
    });
    outln!("\n{}\n", figures::idle_table(&figures));
    if plan.programs.is_none() {
        figures::publish(figures::IDLE, &figures)?;
    }
    Ok(())
}

fn victim(run: &str, image: &str, number: u16) -> VictimSpec {
    VictimSpec {
        name: format!("wt-{run}-{number}"),
        image: image.to_owned(),
        run: run.to_owned(),
        network: Network::Host,
        healed: true,
        labels: Vec::new(),
        env: Vec::new(),
        health: None,
        restart: "no",
    }
}

/// One window, of the engine alone where there are no programs.
fn measure(engine: &Engine, run: &str, programs: Option<&Path>, plan: &Plan) -> Result<BTreeMap<&'static str, Use>> {
    let folder = leftovers::folder("idle")?;
    let fleet = programs
        .map(|programs| {
            Fleet::start(&fleet::Plan {
                programs,
                folder: folder.path(),
                run,
                engine: engine.socket(),
                webhook: None,
            })
        })
        .transpose()?;
    let mut pids = vec![(ENGINE, listener(engine.socket())?)];
    for daemon in DAEMONS {
        if let Some(fleet) = &fleet {
            pids.push((daemon, fleet.process(daemon)?.pid));
        }
    }
    pause(SETTLE)?;
    let begin = Instant::now();
    let before = pids
        .iter()
        .map(|(_, pid)| run_times(*pid))
        .collect::<Result<Vec<_>>>()?;
    pause(plan.window)?;
    let took = begin.elapsed();
    let used = pids.iter().zip(before).map(|((process, pid), before)| {
        let cpu = spent(&before, &run_times(*pid)?);
        let used = Use {
            cpu_ms: cpu.as_secs_f64() * 1000.0 * 60.0 / took.as_secs_f64(),
            pss_kib: pss_kib(*pid)?,
        };
        Ok((*process, used))
    });
    used.collect()
}

/// Who listens there, by the kernel's word.
fn listener(socket: &Path) -> Result<i32> {
    let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
    Ok(rustix::net::sockopt::socket_peercred(&stream)?
        .pid
        .as_raw_nonzero()
        .get())
}

fn pss_kib(pid: i32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse().ok());
    kib.with_context(|| format!("{path} has no line `Pss: N kB`"))
}

fn medians(windows: &Windows) -> Value {
    let of = |values: Vec<f64>| {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        json!({ "median": tenth(values[values.len() / 2]), "min": tenth(values[0]), "max": tenth(values[values.len() - 1]) })
    };
    let one = |used: &Vec<Use>| {
        json!({
            "cpu_ms_per_minute": of(used.iter().map(|used| used.cpu_ms).collect()),
            "pss_kib": of(used.iter().map(|used| used.pss_kib).collect()),
        })
    };
    windows
        .iter()
        .map(|(process, used)| ((*process).to_owned(), one(used)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::{medians, pss_kib, run_times, spent};
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn the_kernel_says_of_this_process_what_it_used() {
        let pid = i32::try_from(std::process::id()).expect("a pid fits");
        let before = run_times(pid).expect("threads");
        let begin = std::time::Instant::now();
        while begin.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        assert!(Duration::ZERO < spent(&before, &run_times(pid).expect("threads")));
        assert!(100.0 < pss_kib(pid).expect("memory"));
    }

    #[test]
    fn a_median_is_one_of_the_values() {
        let used = [5.0, 1.0, 3.04].map(|cpu_ms| super::Use { cpu_ms, pss_kib: 7.0 });
        let json = medians(&BTreeMap::from([("host", used.to_vec())]));
        assert_eq!(
            json["host"]["cpu_ms_per_minute"].to_string(),
            r#"{"max":5.0,"median":3.0,"min":1.0}"#
        );
        assert_eq!(json["host"]["pss_kib"]["median"], 7.0);
    }
}
