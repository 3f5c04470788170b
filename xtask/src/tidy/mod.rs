//! `cargo xtask tidy`: the rules that no compiler holds.
//!
//! Each check is a function from the tree to findings; it knows neither git nor the terminal, so that the tests can
//! show it a tree that breaks the rule. A finding names the place and the cure. To allow something new, change the
//! table that forbids it (`graph.rs`, `files.rs`) in a commit of its own, and say why there.

mod files;
mod graph;
mod purity;
#[cfg(test)]
mod tests;

use crate::sh;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that breaks a rule: where, and what to do.
#[derive(Debug)]
pub(crate) struct Finding {
    place: String,
    cure: String,
}

impl Finding {
    fn new(place: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            cure: cure.into(),
        }
    }

    fn at(path: &str, line_index: usize, cure: impl Into<String>) -> Self {
        Self::new(format!("{path}:{}", line_index + 1), cure)
    }
}

/// The text files of the project, read once.
pub(crate) struct Tree {
    root: PathBuf,
    /// Path relative to the root, and text. Files that are not UTF-8 are left out.
    files: Vec<(String, String)>,
}

impl Tree {
    /// Everything git knows or would add.
    fn load(root: &Path) -> Result<Self> {
        let list = sh::read(Command::new("git").current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))
        .context("tidy reads the list of files from git")?;
        let mut paths: Vec<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            let full = root.join(path);
            if !full.is_file() || full.is_symlink() {
                continue; // deleted but not yet committed, or a link to another of them
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((path.to_owned(), text));
            }
        }
        Ok(Self {
            root: root.to_owned(),
            files,
        })
    }

    fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(path, _)| path.ends_with(".rs"))
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

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
    let found = findings(&tree)?;
    for (check, finding) in &found {
        eprintln!("{}: [{check}] {}", finding.place, finding.cure);
    }
    if !found.is_empty() {
        bail!("tidy: {} found", found.len());
    }
    println!(
        "tidy: {} checks, {} files, nothing found",
        CHECKS.len(),
        tree.files.len()
    );
    Ok(())
}
