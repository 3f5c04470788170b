//! `cargo xtask bench heal`: how soon what failed is back, of every kind of failure, each beside what could be done by hand in the
//! same run: a crash, one that hangs again and again, all at once, and the engine's own end.
//!
//! The daemons are those that are shipped, with shipped settings, on empty state. What they cost while nothing happens is
//! `bench idle`. It judges: see `report`. It does not know how a failure is seen.

mod hands;
mod hang;
mod outage;
mod report;
mod setting;
mod wave;

use super::ground::{self, Ground};
use super::recover;
use crate::figures;
use crate::fleet::Containers;
use anyhow::{Result, bail};
use report::Measured;
use serde_json::json;
use setting::Heal;
use std::path::PathBuf;

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) programs: Option<PathBuf>,
}

/// How much is measured.
struct Amount {
    crashes: usize,
    hangs: usize,
    wave: u16,
    wave_rounds: usize,
    outage: u16,
    outage_rounds: usize,
}

const FULL: Amount = Amount {
    crashes: 50,
    hangs: 6,
    wave: 100,
    wave_rounds: 5,
    outage: 40,
    outage_rounds: 5,
};
const QUICK: Amount = Amount {
    crashes: 6,
    hangs: 2,
    wave: 20,
    wave_rounds: 1,
    outage: 10,
    outage_rounds: 1,
};

/// Measures, prints, and (of this tree's own programs, unless quick) writes `docs/benchmarks/heal.json` and the documents.
///
/// # Errors
/// Something could not be measured, or a figure misses its bar.
pub(crate) fn heal(plan: &Plan) -> Result<()> {
    let Ground {
        engine,
        programs,
        machine,
        run,
        image,
    } = ground::prepare("heal", plan.programs.clone())?;
    let runs = ["", "-others", "-hang", "-hang-floor", "-wave"].map(|end| format!("{run}{end}"));
    let _containers = runs.map(|run| Containers {
        engine: engine.clone(),
        run,
    });
    let heal = Heal {
        engine: &engine,
        image: &image.name,
        run: &run,
        programs: &programs,
    };
    let amount = if plan.quick { QUICK } else { FULL };
    let measured = Measured {
        hangs: hang::hangs(&heal, amount.hangs)?,
        outages: outage::outages(&heal, amount.outage, amount.outage_rounds)?,
        waves: wave::waves(&heal, amount.wave, amount.wave_rounds)?,
        crash: recover::crashes(&engine, &image.name, &run, &programs, amount.crashes)?,
    };
    let mut figures = measured.json();
    figures["bench"] = "heal".into();
    figures["machine"] = machine.json();
    figures["containers"] = json!({ "at_once": amount.wave, "engine_killed": amount.outage });
    outln!("\n{}\n", figures::heal_table(&figures));
    if !plan.quick && plan.programs.is_none() {
        figures::publish(figures::HEAL, &figures)?;
    }
    let bars = figures["bars"].as_array().map(Vec::as_slice).unwrap_or_default();
    match bars.iter().filter(|bar| bar["is_met"] != true).count() {
        0 => Ok(()),
        missed => bail!("{missed} figures miss their bars"),
    }
}
