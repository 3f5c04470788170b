//! The programs under test: where they lie, how they are built otherwise than the gate does, and the keys they make.
//!
//! Knows cargo and its folders, and nothing of engines and daemons.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs beside this test: `cargo build` must have made them.
///
/// # Errors
/// It has not.
pub fn program(name: &str) -> Result<PathBuf> {
    let program = target_folder()?.join(profile()?).join(name);
    ensure!(
        program.is_file(),
        "{} is missing: run cargo build first",
        program.display()
    );
    Ok(program)
}

/// Cargo's target folder: a test lies in TARGET/PROFILE/deps.
fn target_folder() -> Result<PathBuf> {
    let test = std::env::current_exe().context("where is this test?")?;
    let is_test = test
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "deps");
    let folder = test.ancestors().nth(3).filter(|_| is_test);
    folder
        .map(Path::to_path_buf)
        .context("a test lies in target/PROFILE/deps")
}

fn profile() -> Result<PathBuf> {
    let test = std::env::current_exe().context("where is this test?")?;
    let name = test.ancestors().nth(2).and_then(Path::file_name);
    name.map(PathBuf::from).context("a test lies in target/PROFILE/deps")
}

/// Builds container-watchdog with fault points, keeps a copy, and puts the plain build back in its place.
///
/// # Errors
/// It cannot be built.
pub fn faulty_container_watchdog() -> Result<PathBuf> {
    // Named as the gate names it: any other choice of packages or programs means other features of the dependencies, and
    // most of them would be built anew.
    let build = |more: &[&str]| {
        let mut command = cargo(&["build", "--quiet", "--workspace", "--bins"])?;
        run(command.args(more))
    };
    let plain = program("container-watchdog")?;
    let faulty = plain.with_file_name("container-watchdog-with-fault-points");
    build(&["--features", "container-watchdog/fault-points"])?;
    std::fs::remove_file(&faulty).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    std::fs::copy(&plain, &faulty)?;
    build(&[])?;
    Ok(faulty)
}

/// Builds the victim as one static file: its image holds nothing else.
///
/// # Errors
/// It cannot be built.
pub fn victim() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = cargo(&["build", "--quiet", "--release", "--package", "watchtree-victim"])?;
    command.args(["--target", &target]);
    run(command.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    Ok(target_folder()?.join(target).join("release").join("watchtree-victim"))
}

fn cargo(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).arg("--target-dir").arg(target_folder()?);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    Ok(command)
}

/// Makes keys in `folder`: kind (`curve`, `order`) and name.
///
/// # Errors
/// The program is missing, or refuses.
pub fn make_keys(folder: &Path, keys: &[(&str, &str)]) -> Result<()> {
    for (kind, name) in keys {
        let file = folder.join(format!("{name}.key"));
        run(Command::new(program("watchtree")?).args(["key", "gen", kind]).arg(file))?;
    }
    Ok(())
}

/// Runs a command that must succeed; what it wrote is in the error.
///
/// # Errors
/// It cannot be started, or it failed.
pub fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(())
}
