//! `cargo xtask tidy`: the rules that no compiler holds.
//!
//! Each check is a function from the tree to findings; it knows neither git nor the terminal, so that the tests can
//! show it a tree that breaks the rule. A finding names the place and the cure. To allow something new, change the
//! table that forbids it (`graph.rs`, `files.rs`) in a commit of its own, and say why there. What broke a rule before the rule
//! was made is in `owed.rs`.

mod files;
mod graph;
mod imports;
mod modules;
mod owed;
mod purity;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

use crate::sh;
use anyhow::{Result, bail};
use tree::{Finding, Tree};

type Check = fn(&Tree) -> Result<Vec<Finding>>;

const CHECKS: &[(&str, Check)] = &[
    ("crate graph", graph::edges),
    ("outside crates", graph::outside),
    ("stale permissions", graph::stale),
    ("unused", graph::unused),
    ("manifests", graph::manifests),
    ("first lines", files::first_lines),
    ("file sizes", files::sizes),
    ("hosts and paths", files::hosts_and_paths),
    ("trailing space", files::trailing_space),
    ("leftovers", files::leftovers),
    ("pure core", purity::core),
    ("diagrams", purity::diagrams),
    ("syntax", shape::parses),
    ("import cycles", imports::cycles),
    ("scattered impl", imports::scattered),
    ("role sizes", imports::role_sizes),
    ("arguments", shape::arguments),
    ("effects", shape::effects),
];

fn findings(tree: &Tree) -> Result<Vec<(&'static str, Finding)>> {
    let mut all = Vec::new();
    for (name, check) in CHECKS {
        all.extend(check(tree)?.into_iter().map(|finding| (*name, finding)));
    }
    Ok(all)
}

/// Runs every check on this workspace.
///
/// # Errors
/// Something was found (all of it is printed), or a check could not run.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::load(&sh::root())?;
    let found = owed::settle(findings(&tree)?);
    for (check, finding) in &found {
        eprintln!("{}: [{check}] {}", finding.place, finding.cure);
    }
    if !found.is_empty() {
        bail!("tidy: {} found", found.len());
    }
    println!(
        "tidy: {} checks, {} files, nothing found",
        CHECKS.len(),
        tree.all().count()
    );
    Ok(())
}
