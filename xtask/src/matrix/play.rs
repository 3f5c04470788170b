//! Plays the cases on one engine: those that hurt nobody else several at a time, the others one after the other.

use super::cases::{Case, Lane};
use super::engines::{Column, Engine};
use super::testbed::Testbed;
use super::{Matrix, Outcome, Played, Skipped};
use crate::engine_truth::rig;
use crate::{interrupt, leftovers};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// So many cases of the free lane are played at a time, and one of the checks' lane beside them.
const PARALLEL: usize = 4;

/// One column of the table.
///
/// # Errors
/// The engine or the watchdog cannot be started, or a person wants us to end.
pub(super) fn column(
    how: &Matrix,
    column: &Column,
    cases: &[Case],
    root: Option<&Path>,
    programs: &Path,
) -> Result<Played> {
    let began = Instant::now();
    let all = |outcome: Outcome| Played {
        engine: column.name,
        version: "not played".to_owned(),
        outcomes: vec![outcome; cases.len()],
        secs: 0,
    };
    let kind = match column.engine.kind(root) {
        Ok(kind) => kind,
        Err(why) => {
            errln!("{}: skipped: {why}", column.name);
            return Ok(all(Outcome::Skipped(why)));
        }
    };
    if column.engine == Engine::Podman {
        return Ok(all(Outcome::Skipped("not yet".to_owned())));
    }
    let dir = leftovers::folder("matrix")?;
    let testbed = Testbed::up(dir.path(), kind, programs)
        .with_context(|| format!("the engine said last: {:#?}", rig::last_words(dir.path())))?;
    let version = testbed.version()?;
    errln!("{}: {version}, {} cases", column.name, cases.len());
    let outcomes = play_all(&testbed, column.name, cases);
    if let Some(keep) = &how.keep {
        testbed.keep(&keep.join(column.name))?;
    }
    Ok(Played {
        engine: column.name,
        version,
        outcomes: outcomes?,
        secs: began.elapsed().as_secs(),
    })
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
    let (free, checks, alone) = (of(Lane::Free), of(Lane::Checks), of(Lane::Alone));
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
    if let Err(error) = testbed.clear(case.name) {
        errln!("{column} {}: while cleaning up: {error:#}", case.name);
    }
    errln!(
        "{column} {}: {} ({} s)",
        case.name,
        super::table::words(&outcome),
        began.elapsed().as_secs()
    );
    outcome
}
