//! The copy of the tree in which mutants are tried, so that the reader's own files are never changed. It does not know mutants.

use crate::sh;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Copies what git knows, and what it does not ignore, as it stands in the folder.
///
/// # Errors
/// Git fails, or a file cannot be read or written.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).with_context(|| to.display().to_string())?;
    }
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let files = sh::read(Command::new("git").current_dir(from).args(list))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (source, copy) = (from.join(file), to.join(file));
        // A file that was removed and not committed is still in the list.
        if source.is_file() {
            let folder = copy.parent().context("a file lies in a folder")?;
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            std::fs::copy(&source, &copy).with_context(|| source.display().to_string())?;
        }
    }
    Ok(())
}

/// What stands in the tree: the commit, and the changes on top of it.
///
/// # Errors
/// Git fails.
pub(super) fn revision() -> Result<String> {
    let git = |words: &[&str]| sh::read(Command::new("git").current_dir(sh::root()).args(words));
    let (commit, changes) = (git(&["rev-parse", "--short", "HEAD"])?, git(&["diff", "HEAD"])?);
    let changes = changes
        .bytes()
        .fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    Ok(format!("{} {changes:x}", commit.trim()))
}
