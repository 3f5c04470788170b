//! The protocol as a stranger speaks it: a Python peer written from docs/protocol.md alone, with another build of libzmq.
//!
//! Its own checks do the judging (tests/foreign/*.py: one line each, exit 1 if one failed). This file only gives it an
//! environment of its own under the build folder, and the real daemons. Needs python3 with venv, and the package index
//! the first time; no engine.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use watchtree_e2e::programs::program;

fn foreign() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../foreign"))
}

/// The folder with the daemons.
fn programs() -> Result<PathBuf> {
    let manager = program("manager-watchdog")?;
    program("host-watchdog")?;
    Ok(manager.parent().context("a program lies in a folder")?.to_path_buf())
}

/// The interpreter of a virtual environment that has what requirements.txt names.
fn python(programs: &Path) -> Result<PathBuf> {
    let venv = programs.join("foreign-venv");
    let (python, wanted) = (venv.join("bin/python3"), foreign().join("requirements.txt"));
    let stamp = venv.join("installed.txt");
    let requirements = std::fs::read_to_string(&wanted)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
        .context("python3 with venv is needed: apt-get install python3-venv")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(quiet).arg(&wanted))?;
    std::fs::write(&stamp, requirements)?;
    Ok(python)
}

/// Runs a command and shows what it said; an exit code other than 0 is an error.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok(said)
}

#[test]
fn the_foreign_codec_reads_and_writes_our_bytes() -> Result<()> {
    let python = python(&programs()?)?;
    let said = run(Command::new(python).arg(foreign().join("selftest.py")))?;
    ensure!(said.contains("ok"), "it checked nothing");
    Ok(())
}

#[test]
fn a_foreign_peer_is_seen_and_its_tricks_are_refused() -> Result<()> {
    let programs = programs()?;
    let python = python(&programs)?;
    let said = run(Command::new(python).arg(foreign().join("daemons.py")).arg(&programs))?;
    let checks = said.lines().filter(|line| line.contains("ok")).count();
    ensure!(20 <= checks, "only {checks} checks ran");
    Ok(())
}
