//! Plays the cases on one engine: those that hurt nobody else several at a time, the others one after the other.

use super::cases::{Case, Lane};
use super::container::clear;
use super::engines::{Column, Engine};
use super::outcome::{Outcome, Played, Skipped};
use super::podman;
use super::testbed::{Sabotage, Testbed};
use crate::engine_truth::rig;
use crate::engine_truth::rig::Kind;
use crate::{interrupt, leftovers};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// So many cases of the free lane are played at a time, and one of the checks' lane beside them.
const PARALLEL: usize = 4;
/// Where it stands why Podman is not healed.
const PODMAN_PAGE: &str = "docs/podman.md";

/// What the columns have in common.
pub(super) struct Setting<'a> {
    /// The folder of another distribution.
    pub(super) root: Option<&'a Path>,
    /// Where the watchdog and `watchtree` lie.
    pub(super) programs: &'a Path,
    /// Where logs are kept.
    pub(super) keep: Option<&'a Path>,
    pub(super) sabotage: Option<Sabotage>,
}

/// One column of the table.
///
/// # Errors
/// The engine or the watchdog cannot be started, or a person wants us to end.
pub(super) fn column(setting: &Setting<'_>, column: &Column, cases: &[Case]) -> Result<Played> {
    let began = Instant::now();
    let mut played = Played {
        engine: column.name,
        version: "not played".to_owned(),
        outcomes: Vec::new(),
        secs: 0,
        podman: Value::Null,
    };
    match (column.engine.kind(setting.root), column.engine) {
        (Err(why), _) => {
            errln!("{}: skipped: {why}", column.name);
            played.outcomes = vec![Outcome::Skipped(why); cases.len()];
        }
        (Ok(kind), Engine::Podman) => {
            let dir = leftovers::folder("matrix")?;
            let seen = podman::see(setting.programs, dir.path(), kind)
                .with_context(|| format!("Podman said last: {:#?}", rig::last_words(dir.path())))?;
            let outcome = match seen.refusal {
                Ok(_) => Outcome::Refused(PODMAN_PAGE),
                Err(why) => Outcome::Fail(why),
            };
            played.outcomes = vec![outcome; cases.len()];
            (played.version, played.podman) = (seen.version, seen.rows);
        }
        (Ok(kind), Engine::Here { .. } | Engine::Root { .. }) => docker(setting, kind, cases, &mut played)?,
    }
    played.secs = began.elapsed().as_secs();
    Ok(played)
}

fn docker(setting: &Setting<'_>, kind: Kind, cases: &[Case], played: &mut Played) -> Result<()> {
    let dir = leftovers::folder("matrix")?;
    let testbed = Testbed::up(dir.path(), kind, setting.programs, setting.sabotage)
        .with_context(|| format!("the engine said last: {:#?}", rig::last_words(dir.path())))?;
    played.version = testbed.version()?;
    errln!("{}: {}, {} cases", played.engine, played.version, cases.len());
    let outcomes = play_all(&testbed, played.engine, cases);
    if let Some(keep) = setting.keep {
        testbed.keep(&keep.join(played.engine))?;
    }
    played.outcomes = outcomes?;
    Ok(())
}

fn play_all(testbed: &Testbed, column: &str, cases: &[Case]) -> Result<Vec<Outcome>> {
    let done: Vec<Mutex<Option<Outcome>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let of = |lane: Lane| -> Vec<usize> { (0..cases.len()).filter(|at| cases[*at].lane == lane).collect() };
    let work = |queue: &[usize], next: &AtomicUsize| {
        while let Some(&at) = queue.get(next.fetch_add(1, Ordering::SeqCst)) {
            if interrupt::check().is_err() {
                return;
            }
            let outcome = play(testbed, column, &cases[at]);
            *done[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        }
    };
    let free = [of(Lane::Long), of(Lane::Free)].concat();
    let (checks, alone) = (of(Lane::Checks), of(Lane::Alone));
    let (next_free, next_check, next_alone) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| work(&checks, &next_check));
        for _ in 0..PARALLEL {
            scope.spawn(|| work(&free, &next_free));
        }
    });
    work(&alone, &next_alone);
    interrupt::check()?;
    let outcome = |it: Mutex<Option<Outcome>>| it.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missing = || Outcome::Fail("it was not played to its end".to_owned());
    Ok(done.into_iter().map(|it| outcome(it).unwrap_or_else(missing)).collect())
}

fn play(testbed: &Testbed, column: &str, case: &Case) -> Outcome {
    let began = Instant::now();
    let played = (case.play)(testbed, case.name);
    let outcome = match played {
        Ok(seen) => Outcome::Ok(seen),
        Err(error) if error.is::<Skipped>() => Outcome::Skipped(error.to_string()),
        Err(error) => Outcome::Fail(format!("{error:#}")),
    };
    if let Err(error) = clear(testbed, case.name) {
        errln!("{column} {}: while cleaning up: {error:#}", case.name);
    }
    errln!("{column} {}: {outcome} ({} s)", case.name, began.elapsed().as_secs());
    outcome
}
