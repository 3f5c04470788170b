//! `cargo xtask matrix`: the healing cases on every engine there is: a row for each case, a column for each engine.
//!
//! Each engine is one of its own in namespaces, with a container-watchdog that heals what is labelled; the machine's engine is
//! not touched. Cases that do not hurt the engine are played several at a time. What fails is said with what was seen.

mod cases;
mod container;
mod engines;
mod outcome;
mod play;
mod podman;
mod spec;
mod table;
mod testbed;

use crate::{fleet, interrupt, leftovers};
use anyhow::{Result, bail};
use clap::Args;
use outcome::Outcome;
use play::Setting;
use std::path::PathBuf;
use testbed::Sabotage;

const EXAMPLES: &str = "\
Examples:
  cargo xtask matrix --engine 20.10                  builds the watchdog for release; the engine of this machine's packages
  cargo xtask matrix --root /tmp/trixie              all engines; those of other versions from that folder
  cargo xtask matrix --only engine- --programs target/debug --keep /tmp/m
  cargo xtask matrix --root /tmp/trixie --record     writes docs/matrix.md and docs/podman.md

The folder of another distribution:
  debootstrap --variant=minbase --include=docker.io,docker-compose,iptables,iproute2,podman trixie /tmp/trixie

Needs root, dockerd, containerd, runc, unshare and nsenter. Exit code 1 if a case fails.";

/// How to play.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Matrix {
    /// Only this engine; may be given several times: 20.10, 20.10-live-restore, 26.1, podman.
    #[arg(long, value_name = "ENGINE")]
    engine: Vec<String>,
    /// Only cases with this in their name.
    #[arg(long, value_name = "CASE")]
    only: Option<String>,
    /// Takes the programs of the engines that are not this machine's from this folder of another distribution.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Takes the watchdog and `watchtree` in this folder instead of building them.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Copies the logs of engine and watchdog to this folder at the end.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Prints the results as one JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Writes the table of all engines and all cases into docs/matrix.md, and what Podman says into docs/podman.md.
    #[arg(long, conflicts_with_all = ["engine", "only"])]
    record: bool,
    /// Only names the cases.
    #[arg(long)]
    list: bool,
    /// Heals wrongly, to see that the cases fail.
    #[arg(long, hide = true, conflicts_with = "record")]
    sabotage: Option<Sabotage>,
}

/// Plays.
///
/// # Errors
/// A case failed, or an engine could not be started.
pub(crate) fn run(how: &Matrix) -> Result<()> {
    let only = how.only.as_deref().unwrap_or_default();
    let mut cases = cases::all();
    cases.retain(|case| case.name.contains(only));
    if cases.is_empty() {
        bail!("no case is named so; see `cargo xtask matrix --list`");
    }
    if how.list {
        cases.iter().for_each(|case| outln!("{:24} {}", case.name, case.what));
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("the matrix starts engines of its own: run it as root");
    }
    let columns = engines::columns(&how.engine)?;
    let root = how.root.as_deref().map(std::path::Path::canonicalize).transpose()?;
    let programs = fleet::programs(how.programs.clone())?;
    leftovers::sweep_folders(&|text| errln!("{text}"))?;
    interrupt::catch()?;
    let setting = Setting {
        root: root.as_deref(),
        programs: &programs,
        keep: how.keep.as_deref(),
        sabotage: how.sabotage,
    };
    let mut played = Vec::new();
    for column in columns {
        interrupt::check()?;
        played.push(play::column(&setting, &column, &cases)?);
    }
    let data = table::data(&cases, &played, how.programs.is_none());
    match how.json {
        true => outln!("{}", serde_json::to_string_pretty(&data)?),
        false => outln!("{}", table::table(&data)),
    }
    if how.record {
        table::publish(&data)?;
    }
    let is_fail = |outcome: &&Outcome| matches!(outcome, Outcome::Fail(_));
    match played.iter().flat_map(|it| &it.outcomes).filter(is_fail).count() {
        0 => Ok(()),
        count => bail!("{count} cases failed"),
    }
}
