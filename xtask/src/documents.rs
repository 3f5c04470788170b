//! `cargo xtask documents`: the commands of docs/one-host.md and docs/two-hosts.md, run on machines with systemd, from
//! the tarball that `cargo xtask dist` makes. The script is tests/documents/run.py.

use crate::{dist, prerequisites, sh, victim};
use anyhow::Result;
use std::process::Command;

/// Runs both documents, or those that are named.
///
/// # Errors
/// A command of a document failed, or what should follow from it did not.
pub(crate) fn run(only: &[String]) -> Result<()> {
    prerequisites::satisfy(prerequisites::DOCUMENTS)?;
    let tarball = dist::make()?;
    let victim = victim::build()?;
    let script = sh::root().join("tests/documents/run.py");
    sh::run(Command::new("python3").arg(script).arg(tarball).arg(victim).args(only))
}
