//! Builds the victim as one static file. It does not know images and containers.

use crate::sh;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// The target whose C library can be linked statically here.
fn target() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("x86_64-unknown-linux-gnu"),
        "aarch64" => Ok("aarch64-unknown-linux-gnu"),
        other => bail!("the victim is built for x86_64 and aarch64, not for {other}"),
    }
}

/// Where cargo puts what it builds.
///
/// # Errors
/// `cargo metadata` failed.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(sh::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    Ok(metadata.target_directory.into_std_path_buf())
}

/// Builds it; gives the path of the file.
///
/// # Errors
/// The build failed.
pub(crate) fn build() -> Result<PathBuf> {
    let target = target()?;
    sh::run(
        sh::cargo()
            .args([
                "build",
                "--locked",
                "--quiet",
                "--release",
                "--package",
                "watchtree-victim",
                "--target",
                target,
            ])
            .env("RUSTFLAGS", "-C target-feature=+crt-static"),
    )?;
    Ok(target_dir()?.join(target).join("release").join("watchtree-victim"))
}
