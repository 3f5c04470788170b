//! `cargo xtask engine-truth`: plays the table of scenarios on a real engine and keeps what its API said as data.
//!
//! The model engine of the simulator plays the same rows; see `tests/engine-truth/README.md`. The recorder starts an engine
//! of its own beside the machine's, because rows kill it and cut its power; the other rows it also plays on an engine that
//! others use.

mod api;
pub(crate) mod init;
mod listen;
mod observe;
mod place;
mod player;
pub(crate) mod rig;
mod rows;
mod settings;

use crate::{interrupt, sh};
use anyhow::{Context, Result, bail};
use api::{About, Api};
use clap::{Args, Subcommand};
use place::{Place, Shared};
use player::Player;
use rig::{Kind, Rig};
use rows::Row;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Truth {
    /// Plays the rows on an engine that is started for it, or with `--engine` on one that runs, and writes `tests/engine-truth/VERSION[-VARIANT]/ROW.json`.
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
    /// Plays on the engine that serves this socket, and leaves out the rows that need more than its API. It must see this
    /// machine's folder for temporary files.
    #[arg(long, value_name = "SOCKET", conflicts_with_all = ["live_restore", "root"])]
    engine: Option<PathBuf>,
    /// The engine keeps its containers while it is away.
    #[arg(long)]
    live_restore: bool,
    /// Takes dockerd, containerd and runc from this folder of another distribution.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Writes into this folder, instead of the one that is named by the engine's version.
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
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
    let mut rows: Vec<Row> = rows::load()?
        .into_iter()
        .filter(|row| row.name.contains(only))
        .collect();
    if record.engine.is_some() {
        let left_out: Vec<Row> = rows.extract_if(.., |row| row.needs_own_engine()).collect();
        let names: Vec<&str> = left_out.iter().map(|row| row.name.as_str()).collect();
        if !names.is_empty() {
            println!(
                "{} rows are left out, which act on the engine: {}",
                names.len(),
                names.join(", ")
            );
        }
    }
    if rows.is_empty() {
        bail!("no row to play is named so; see `cargo xtask engine-truth list`");
    }
    let dir = tempfile::Builder::new().prefix("truth-").tempdir()?;
    let mut place = place(record, dir.path())?;
    let api = place.api()?;
    let made = api
        .import_images()
        .and_then(|()| play_all(record, &mut place, dir.path(), &rows));
    if matches!(place, Place::Shared(_)) {
        // What an engine of our own has goes with it.
        for cleared in [api.clear(), api.remove_images()] {
            cleared.unwrap_or_else(|error| errln!("while cleaning up: {error:#}"));
        }
    } else if made.is_err() {
        errln!("the engine said last: {:#?}", rig::last_words(dir.path()));
    }
    made
}

fn place(record: &Record, dir: &Path) -> Result<Place> {
    let Some(socket) = &record.engine else {
        let kind = Kind {
            live_restore: record.live_restore,
            root: record.root.clone(),
        };
        return Rig::up(dir, kind).map(Place::Own);
    };
    // What was made there is removed also then.
    interrupt::catch()?;
    let api = Api::shared(socket.clone())?;
    let data_root = api.about()?.data_root;
    Ok(Place::Shared(Shared {
        api,
        data_root,
        dir: dir.to_owned(),
    }))
}

fn play_all(record: &Record, place: &mut Place, dir: &Path, rows: &[Row]) -> Result<()> {
    let about = place.api()?.about()?;
    let usual = || sh::root().join("tests/engine-truth").join(about.folder());
    let folder = record.into.clone().unwrap_or_else(usual);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut failed = Vec::new();
    let file = |row: &Row| folder.join(format!("{}.json", row.name));
    for row in rows.iter().filter(|row| !record.missing || !file(row).exists()) {
        interrupt::check()?;
        println!("{}", row.name);
        match play(record.times, place, dir, row) {
            Ok(said) => std::fs::write(file(row), text(said, &about)?)?,
            Err(error) => {
                errln!("{error:#}");
                failed.push(row.name.clone());
                place.begin_anew()?;
            }
        }
    }
    if !failed.is_empty() {
        bail!("could not be played: {}", failed.join(", "));
    }
    Ok(())
}

fn text(mut said: Value, about: &About) -> Result<String> {
    said["engine"] = json!({ "version": about.version, "api": about.api, "live_restore": about.live_restore });
    Ok(serde_json::to_string_pretty(&said)? + "\n")
}

fn play(times: u32, place: &mut Place, dir: &Path, row: &Row) -> Result<Value> {
    let mut said = Player::new(place, dir)?.play(row)?;
    for _ in 1..times.max(1) {
        let again = Player::new(place, dir)?.play(row)?;
        said = observe::merge("", said, again);
    }
    Ok(said)
}
