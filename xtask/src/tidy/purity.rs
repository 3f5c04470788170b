//! Checks on what code does: the core stays pure, machines are drawn.

use super::tree::{Finding, Tree};
use anyhow::Result;

const CORE: &str = "crates/watchtree-core/src/";

/// What the core must not name: the outside, the clock, anything whose order is chance, and logging.
const IMPURE: &[&str] = &[
    "std::",
    "extern crate std",
    "HashMap",
    "HashSet",
    "SystemTime",
    "Instant",
    "tracing::",
    "log::",
    "println!",
    "async fn",
    ".await",
];

/// The brain has no senses: `no_std`, no unsafe code, and none of [`IMPURE`] outside its tests.
pub(super) fn core(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with(CORE)) {
        if path == format!("{CORE}lib.rs") {
            for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
                if !text.lines().any(|line| line.trim() == attribute) {
                    found.push(Finding::new(path, format!("the core says `{attribute}`")));
                }
            }
        }
        if is_test(path) {
            continue;
        }
        for (index, line) in code(text) {
            if let Some(word) = IMPURE.iter().find(|word| has_word(line, word)) {
                found.push(Finding::at(
                    path,
                    index,
                    format!("`{word}` has no place in the core: pass in what it gives"),
                ));
            }
        }
    }
    Ok(found)
}

/// A file with a state machine opens with a picture of it.
pub(super) fn diagrams(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with(CORE) && !is_test(path)) {
        let Some((index, _)) = code(text).find(|(_, line)| line.contains("impl Machine for ")) else {
            continue;
        };
        let mut docs = text.lines().filter(|line| line.starts_with("//!"));
        if !docs.any(|line| line.contains("──") || line.contains("-->") || line.contains("```text")) {
            found.push(Finding::at(
                path,
                index,
                "draw the machine's states in the file's `//!`",
            ));
        }
    }
    Ok(found)
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Lines with their index, comments cut off, up to a `#[cfg(test)]` that opens a module in the file itself.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let end = (0..lines.len())
        .find(|&index| {
            lines[index].trim() == "#[cfg(test)]"
                && lines
                    .get(index + 1)
                    .is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'))
        })
        .unwrap_or(lines.len());
    lines
        .into_iter()
        .take(end)
        .enumerate()
        .map(|(index, line)| (index, line.split("//").next().unwrap_or(line)))
}

/// True where `word` does not continue a longer name to its left (`Instant` is not in `NotAnInstant`).
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let from_left = word.starts_with(char::is_alphanumeric) && continues(before);
        let to_right = word.ends_with(char::is_alphanumeric) && continues(after);
        !from_left && !to_right
    })
}
