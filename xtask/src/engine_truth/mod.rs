//! `cargo xtask engine-truth`: plays the table of scenarios on a real engine and keeps what its API said as data.
//!
//! The model engine of the simulator plays the same rows; see `tests/engine-truth/README.md`. The recorder starts an engine
//! of its own beside the machine's, because the rows kill it and cut its power.

mod listen;
mod observe;
mod player;
mod rig;
mod rows;
mod settings;

use crate::http;
use crate::{sh, victim};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use player::{IMAGES, Player};
use rig::{Kind, Rig};
use rows::Row;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Truth {
    /// Plays the rows on an engine that is started for it, and writes `tests/engine-truth/VERSION[-VARIANT]/ROW.json`.
    Record(Record),
    /// Names the rows.
    List,
}

/// How to record.
#[derive(Args)]
pub(crate) struct Record {
    /// Only rows with this in their name.
    #[arg(long, value_name = "ROW")]
    only: Option<String>,
    /// Only rows of which the folder has no recording yet.
    #[arg(long)]
    missing: bool,
    /// Plays each row so often: what differs becomes a range.
    #[arg(long, default_value_t = 2, value_name = "TIMES")]
    times: u32,
    /// The engine keeps its containers while it is away.
    #[arg(long)]
    live_restore: bool,
    /// Takes dockerd, containerd and runc from this folder of another distribution.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Writes here instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The engine could not be started, or a row could not be played; the others are, and written.
pub(crate) fn run(what: &Truth) -> Result<()> {
    match what {
        Truth::Record(record) => self::record(record),
        Truth::List => {
            for row in rows::load()? {
                println!(
                    "{}{}",
                    row.name,
                    if row.needs_own_engine() {
                        "   (acts on the engine)"
                    } else {
                        ""
                    }
                );
            }
            Ok(())
        }
    }
}

fn record(record: &Record) -> Result<()> {
    let only = record.only.as_deref().unwrap_or_default();
    let rows: Vec<Row> = rows::load()?
        .into_iter()
        .filter(|row| row.name.contains(only))
        .collect();
    if rows.is_empty() {
        bail!("no row is named so; see `cargo xtask engine-truth list`");
    }
    let dir = tempfile::Builder::new().prefix("truth-").tempdir()?;
    let kind = Kind {
        live_restore: record.live_restore,
        root: record.root.clone(),
    };
    let mut rig = Rig::up(dir.path(), kind)?;
    let made = play_all(record, &mut rig, dir.path(), &rows);
    if made.is_err() {
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(10).collect();
        errln!("the engine said last: {last:#?}");
    }
    made
}

fn play_all(record: &Record, rig: &mut Rig, dir: &Path, rows: &[Row]) -> Result<()> {
    let socket = rig.socket();
    let version = http::ask(&socket, "GET", "/version", &[], Duration::from_secs(10))?.json()?;
    let engine = version["Version"].as_str().unwrap_or("unknown").to_owned();
    let short: Vec<&str> = engine.split(['.', '+']).take(2).collect();
    let variant = if record.live_restore { "-live-restore" } else { "" };
    let usual = sh::root()
        .join("tests/engine-truth")
        .join(format!("{}{variant}", short.join(".")));
    let out = record.out.clone().unwrap_or(usual);
    std::fs::create_dir_all(&out)?;
    images(&socket)?;
    let mut failed = Vec::new();
    let is_there = |row: &Row| out.join(format!("{}.json", row.name)).exists();
    for row in rows.iter().filter(|row| !record.missing || !is_there(row)) {
        println!("{}", row.name);
        match play(record.times, rig, dir, row) {
            Ok(mut said) => {
                said["engine"] =
                    json!({ "version": engine, "api": version["ApiVersion"], "live_restore": record.live_restore });
                let text = serde_json::to_string_pretty(&said)? + "\n";
                std::fs::write(out.join(format!("{}.json", row.name)), text)?;
            }
            Err(error) => {
                errln!("{error:#}");
                failed.push(row.name.clone());
                rig.power_cut()?;
                rig.start()?;
                Player::new(rig, dir)?.clear()?;
            }
        }
    }
    if !failed.is_empty() {
        bail!("could not be played: {}", failed.join(", "));
    }
    Ok(())
}

fn play(times: u32, rig: &mut Rig, dir: &Path, row: &Row) -> Result<Value> {
    let mut said = Player::new(rig, dir)?.play(row)?;
    for _ in 1..times.max(1) {
        let again = Player::new(rig, dir)?.play(row)?;
        said = observe::merge("", said, again);
    }
    Ok(said)
}

/// The victim's images: two that differ in a label alone.
fn images(socket: &Path) -> Result<()> {
    let file = victim::build()?;
    let folder = file.parent().context("the victim lies in a folder")?;
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--directory").arg(folder);
    tar.args([
        "--owner=0",
        "--group=0",
        "--mode=0755",
        "--transform=s/.*/victim/",
        "watchtree-victim",
    ]);
    let output = tar.output().context("cannot start `tar`")?;
    for image in IMAGES {
        let (name, tag) = image.split_once(':').unwrap_or((image, "1"));
        let path = format!("/images/create?fromSrc=-&repo={name}&tag={tag}&changes=LABEL%20edition%3D{tag}");
        http::ask(socket, "POST", &path, &output.stdout, Duration::from_secs(60))?
            .ok("import of the victim's image")?;
    }
    Ok(())
}
