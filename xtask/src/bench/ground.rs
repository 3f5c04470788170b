//! What each bench stands on: root, an engine that answers and has nothing left of an earlier run, the daemons for release, an image.
//! Does not know what is measured.

use crate::engine::Engine;
use crate::machine::Machine;
use crate::victims::Image;
use crate::{fleet, interrupt, leftovers, prerequisites};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// See the file's head.
pub(super) struct Ground {
    pub(super) engine: Engine,
    /// The folder of the daemons.
    pub(super) programs: PathBuf,
    pub(super) machine: Machine,
    /// Marks what is of this run.
    pub(super) run: String,
    pub(super) image: Image,
}

/// Prepares it for the bench of that name, with the daemons of `given` or of this tree.
///
/// # Errors
/// Not root, no engine, or something cannot be built.
pub(super) fn prepare(bench: &str, given: Option<PathBuf>) -> Result<Ground> {
    if !rustix::process::geteuid().is_root() {
        bail!("bench {bench} looks into and ends processes of containers: run it as root");
    }
    prerequisites::satisfy(prerequisites::BUILD)?;
    let engine = Engine::here()?;
    engine.version().context("the bench needs an engine that answers")?;
    leftovers::sweep(&engine, &|text| outln!("{text}"));
    outln!("building the daemons for release, and the victim");
    let programs = fleet::programs(given.clone())?;
    let machine = Machine::begin(&engine, given.as_deref());
    interrupt::catch()?;
    let run = fleet::run_name(bench);
    let image = Image::make(&engine, &run)?;
    Ok(Ground {
        engine,
        programs,
        machine,
        run,
        image,
    })
}
