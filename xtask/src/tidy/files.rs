//! Checks on the text of files: first lines, sizes, hosts and paths, trailing space, leftovers.

use super::{Finding, Tree};
use anyhow::Result;

/// A source file is one room with one purpose.
const LINES_MAX: usize = 500;
/// An exception may grow so far, no further.
const EXCEPTION_LINES_MAX: usize = 800;
/// Tests that are one long table of cases. Each is named here, and must still need it.
const LONG_TESTS: &[&str] = &[];

/// Every source file opens with what it is.
pub(super) fn first_lines(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(tree
        .rust()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| {
            Finding::at(
                path,
                0,
                "open with `//!`: what it is, its contract, what it does not know",
            )
        })
        .collect())
}

/// No file beyond its limit, no exception beyond its need.
pub(super) fn sizes(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        let lines = text.lines().count();
        let limit = if LONG_TESTS.contains(&path) {
            EXCEPTION_LINES_MAX
        } else {
            LINES_MAX
        };
        if limit < lines {
            found.push(Finding::new(
                path,
                format!("{lines} lines, at most {limit}: split it by purpose"),
            ));
        }
    }
    for path in LONG_TESTS {
        let long = tree
            .rust()
            .any(|(other, text)| other == *path && LINES_MAX < text.lines().count());
        if !long {
            found.push(Finding::new(
                *path,
                "no longer over the limit: take it from LONG_TESTS in xtask/src/tidy/files.rs",
            ));
        }
    }
    Ok(found)
}

/// Hosts of package registries (a mirror is the machine's choice) and paths of one machine. In pieces, so that this
/// file does not find itself.
const FOREIGN: &[(&str, &str)] = &[
    (concat!("crates", ".io"), "name no registry host"),
    (concat!("pypi", ".org"), "name no registry host"),
    (concat!("pythonhosted", ".org"), "name no registry host"),
    (concat!("registry.npm", "js"), "name no registry host"),
    (concat!("proxy.", "golang.org"), "name no registry host"),
    (
        concat!("deb.", "debian.org"),
        "take the mirror from the machine's own sources",
    ),
    (
        concat!("archive.", "ubuntu.com"),
        "take the mirror from the machine's own sources",
    ),
    (concat!("docker", ".io/"), "name no registry host"),
    (concat!("quay", ".io"), "name no registry host"),
    (concat!("ghcr", ".io"), "name no registry host"),
    (concat!("/wo", "rk/"), "name no path of one machine"),
    (concat!("/fa", "rm/"), "name no path of one machine"),
    (concat!("/ho", "me/"), "name no path of one machine"),
    (concat!("/ro", "ot/"), "name no path of one machine"),
    (concat!("/Us", "ers/"), "name no path of one machine"),
];

/// See [`FOREIGN`]. `Cargo.lock` names the registry by its nature.
pub(super) fn hosts_and_paths(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.all().filter(|(path, _)| *path != "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            for (word, cure) in FOREIGN {
                if line.contains(word) {
                    found.push(Finding::at(path, index, format!("`{word}`: {cure}")));
                }
            }
        }
    }
    Ok(found)
}

/// No space at the end of a line, a newline at the end of a file. Golden bytes and licences stay as they are.
pub(super) fn trailing_space(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree
        .all()
        .filter(|(path, _)| !path.starts_with("LICENSE") && !path.contains("golden"))
    {
        for (index, line) in text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                found.push(Finding::at(path, index, "space at the end of the line"));
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            found.push(Finding::new(path, "no newline at the end"));
        }
    }
    Ok(found)
}

/// Words of unfinished work, in pieces for the same reason as above.
const LEFTOVERS: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("d", "bg!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// What is here is finished; what is not is not here.
pub(super) fn leftovers(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.rust() {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
                found.push(Finding::at(path, index, format!("`{word}`: finish it, or take it out")));
            }
        }
    }
    Ok(found)
}
