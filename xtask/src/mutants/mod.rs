//! `cargo xtask mutants`: how many small changes of the core its tests notice (mutation testing).
//!
//! Contract: cargo-mutants lists the changes; seed and sample size choose the same ones of the same tree again, spread evenly
//! over all files. Each is tried in a copy of the tree, first with the core's own tests, then with the simulator's. What came of
//! it is kept in `target/mutants`, and a run that was stopped goes on from there. It is not part of the gate, and does not know
//! what a mutant means: a survivor is a question to a reader, and `known.rs` has the answers.

mod journal;
mod known;
mod report;
mod sample;
mod tree;
mod trial;

use crate::{interrupt, sh, victim};
use anyhow::{Context, Result};
use sample::{Mutant, PACKAGE, VERSION};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use trial::Outcome;

const PAGE: &str = "docs/mutants.md";

/// What is run, and whether its result becomes the one that the documents show.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: usize,
    pub(crate) sample: usize,
    pub(crate) record: bool,
}

/// Runs a sample and prints the score.
///
/// # Errors
/// The tool cannot be installed, the tests fail without a mutant, or the report cannot be written. Survivors are no error.
pub(crate) fn run(plan: Plan) -> Result<()> {
    interrupt::catch()?;
    let target = victim::target_dir()?;
    let tool = install(&target.join("tools"))?;
    let folder = target.join("mutants");
    let copy = folder.join("tree");
    tree::copy(&sh::root(), &copy)?;
    let all = sample::parse(&sh::read(base(&tool, &copy).args([
        "--list",
        "--json",
        "--package",
        PACKAGE,
    ]))?)?;
    known::all_exist(&all)?;
    let total = all.len();
    let chosen = sample::choose(all, plan.seed, plan.sample);
    outln!(
        "{total} mutants of {PACKAGE}, {} of them by seed {}",
        chosen.len(),
        plan.seed
    );
    let header = format!("{} seed {} sample {}", tree::revision()?, plan.seed, plan.sample);
    let results = try_all(&chosen, &folder, &header)?;
    let page = report::page(plan.seed, total, &results);
    let file = folder.join("report.md");
    std::fs::write(&file, &page).with_context(|| file.display().to_string())?;
    outln!("{page}\nwritten to {}", file.display());
    if plan.record {
        std::fs::write(sh::root().join(PAGE), &page).context(PAGE)?;
        outln!("and to {PAGE}");
    }
    Ok(())
}

/// What came of each mutant: what the journal has, and the others tried.
fn try_all<'a>(chosen: &'a [Mutant], folder: &Path, header: &str) -> Result<Vec<(&'a Mutant, Outcome)>> {
    let mut journal = journal::Journal::open(folder.join("journal.txt"), header)?;
    let mut lab = None;
    let (mut results, mut tried) = (Vec::new(), 0_u32);
    for (index, mutant) in chosen.iter().enumerate() {
        interrupt::check()?;
        let outcome = if let Some(known) = journal.outcome(&mutant.name) {
            known
        } else {
            if lab.is_none() {
                outln!("the tests without a mutant");
                lab = Some((trial::Lab::open(folder)?, Instant::now()));
            }
            let (lab, start) = lab.as_ref().context("opened above")?;
            let outcome = lab.try_one(mutant)?;
            journal.add(&mutant.name, outcome)?;
            tried += 1;
            let each = start.elapsed() / tried;
            let left = each * u32::try_from(chosen.len() - index - 1).unwrap_or(u32::MAX);
            outln!(
                "{}/{}  {:9} {}  (about {} min left)",
                index + 1,
                chosen.len(),
                outcome.word(),
                mutant.name,
                left.as_secs().div_ceil(60)
            );
            outcome
        };
        results.push((mutant, outcome));
    }
    Ok(results)
}

/// The tool of the pinned version, in a folder of its own.
fn install(root: &Path) -> Result<PathBuf> {
    let tool = root.join("bin").join("cargo-mutants");
    let there = sh::read(Command::new(&tool).args(["mutants", "--version"]));
    if !there.is_ok_and(|version| version.trim() == format!("cargo-mutants {VERSION}")) {
        outln!("installing cargo-mutants {VERSION} into {}", root.display());
        let mut command = sh::cargo();
        command.args(["install", "--locked", "--force", "cargo-mutants", "--version", VERSION]);
        sh::run(command.arg("--root").arg(root))?;
    }
    Ok(tool)
}

fn base(tool: &Path, tree: &Path) -> Command {
    let mut command = Command::new(tool);
    command.current_dir(tree).arg("mutants");
    command
}
