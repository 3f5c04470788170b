//! The crate graph as data: which workspace crate may use which, and where each outside technology lives.
//!
//! `cargo metadata` tells what is; these tables tell what may be. Kinds (normal, dev, build) are not told apart: a
//! wall that a test may climb is no wall.

use super::purity::has_word;
use super::tree::{Finding, Tree};
use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::collections::BTreeMap;
use std::path::Path;

/// Which workspace crates a workspace crate may use. Layer 0 uses nothing; layer 1 the core; layer 2 never one another
/// (what they share is handed in by a binary); binaries never binaries.
const EDGES: &[(&str, &[&str])] = &[
    // L0
    ("watchtree-core", &[]),
    // L1
    ("watchtree-api", &[]),
    ("watchtree-config", &["watchtree-core"]),
    ("watchtree-keys", &[]),
    ("watchtree-wire", &["watchtree-core"]),
    // L2
    ("libzmq-curve-sys", &[]),
    ("watchtree-docker", &["watchtree-core"]),
    (
        "watchtree-link",
        &["libzmq-curve-sys", "watchtree-core", "watchtree-keys"],
    ),
    ("watchtree-notify", &[]),
    ("watchtree-os", &["watchtree-core"]),
    ("watchtree-probe", &["watchtree-core"]),
    ("watchtree-runtime", &["watchtree-api", "watchtree-core"]),
    ("watchtree-store", &["watchtree-core"]),
    // the second driver of the machines
    ("watchtree-sim", &["watchtree-core"]),
    // binaries
    (
        "container-watchdog",
        &[
            "watchtree-api",
            "watchtree-config",
            "watchtree-core",
            "watchtree-docker",
            "watchtree-keys",
            "watchtree-link",
            "watchtree-os",
            "watchtree-probe",
            "watchtree-runtime",
            "watchtree-store",
            "watchtree-wire",
        ],
    ),
    (
        "host-watchdog",
        &[
            "watchtree-api",
            "watchtree-config",
            "watchtree-core",
            "watchtree-docker",
            "watchtree-keys",
            "watchtree-link",
            "watchtree-notify",
            "watchtree-os",
            "watchtree-runtime",
            "watchtree-wire",
        ],
    ),
    (
        "manager-watchdog",
        &[
            "watchtree-api",
            "watchtree-config",
            "watchtree-core",
            "watchtree-keys",
            "watchtree-link",
            "watchtree-notify",
            "watchtree-os",
            "watchtree-probe",
            "watchtree-runtime",
            "watchtree-store",
            "watchtree-wire",
        ],
    ),
    (
        "watchtree-cli",
        &["watchtree-api", "watchtree-config", "watchtree-keys", "watchtree-os"],
    ),
    // outside the product: they look at it from outside; the tests also drive single adapters, and ask the API
    (
        "watchtree-e2e",
        &["watchtree-api", "watchtree-core", "watchtree-docker", "watchtree-os"],
    ),
    ("watchtree-victim", &[]),
    ("xtask", &[]),
];

/// Each outside technology lives in these crates and in no other. A crate that is not listed here is free.
const HOMES: &[(&str, &[&str])] = &[
    ("zmq", &["watchtree-link"]),
    ("zmq-sys", &["libzmq-curve-sys", "watchtree-link"]),
    ("zeromq-src", &["libzmq-curve-sys"]),
    ("libsodium-sys-stable", &["libzmq-curve-sys", "watchtree-keys"]),
    ("ed25519-dalek", &["watchtree-keys"]),
    ("bollard", &["watchtree-docker"]),
    ("prost", &["watchtree-wire"]),
    ("prost-build", &["watchtree-wire"]),
    ("protox", &["watchtree-wire"]),
    ("rusqlite", &["watchtree-store"]),
    ("toml", &["watchtree-config"]),
    ("axum", &["watchtree-runtime"]),
    ("sd-notify", &["watchtree-runtime"]),
    ("tracing-subscriber", &["watchtree-runtime"]),
    ("ureq", &["watchtree-notify"]),
    ("jiff", &["watchtree-cli"]),
    ("cargo_metadata", &["xtask"]),
    ("proc-macro2", &["xtask"]),
    ("syn", &["xtask"]),
    ("libc", &["libzmq-curve-sys", "watchtree-victim"]),
    // libraries have errors of their own; binaries and tools put words around them
    ("anyhow", TOOLS),
    ("clap", TOOLS),
];

const TOOLS: &[&str] = &[
    "container-watchdog",
    "host-watchdog",
    "manager-watchdog",
    "watchtree-cli",
    "watchtree-e2e",
    "xtask",
];

fn metadata(tree: &Tree) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.manifest_path(tree.root.join("Cargo.toml")).no_deps();
    command.exec().context("cargo metadata")
}

/// Workspace edges against [`EDGES`].
pub(super) fn edges(tree: &Tree) -> Result<Vec<Finding>> {
    let metadata = metadata(tree)?;
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let members: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            found.push(Finding::new(
                package.manifest_path.as_str(),
                format!(
                    "crate `{}` is not in EDGES of xtask/src/tidy/graph.rs: add it, saying what wall it is",
                    package.name
                ),
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if members.contains(&name) && !allowed.contains(&name) {
                found.push(Finding::new(
                    package.manifest_path.as_str(),
                    format!(
                        "`{}` must not use `{name}`: hand what is needed in from a binary",
                        package.name
                    ),
                ));
            }
        }
    }
    Ok(found)
}

/// Outside crates against [`HOMES`], and the core's emptiness.
pub(super) fn outside(tree: &Tree) -> Result<Vec<Finding>> {
    let metadata = metadata(tree)?;
    let homes: BTreeMap<&str, &[&str]> = HOMES.iter().copied().collect();
    let mut found = Vec::new();
    for package in &metadata.packages {
        let user = package.name.as_str();
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| dependency.path.is_none())
        {
            let name = dependency.name.as_str();
            if homes.get(name).is_some_and(|homes| !homes.contains(&user)) {
                found.push(Finding::new(
                    package.manifest_path.as_str(),
                    format!(
                        "`{name}` belongs to {}; `{user}` must go through it",
                        homes[name].join(", ")
                    ),
                ));
            }
            if user == "watchtree-core" {
                found.push(Finding::new(
                    package.manifest_path.as_str(),
                    format!("the core uses no outside crate: `{name}` belongs to an edge"),
                ));
            }
        }
    }
    Ok(found)
}

/// Every workspace crate that the tables name.
#[cfg(test)]
pub(super) fn named() -> impl Iterator<Item = &'static str> {
    let edges = EDGES
        .iter()
        .flat_map(|(user, allowed)| allowed.iter().chain(std::iter::once(user)));
    edges.chain(HOMES.iter().flat_map(|(_, homes)| homes.iter())).copied()
}

/// What [`EDGES`] and [`HOMES`] allow and nobody uses: a permission that is not needed is a hole in a wall.
pub(super) fn stale(tree: &Tree) -> Result<Vec<Finding>> {
    let metadata = metadata(tree)?;
    let place = "xtask/src/tidy/graph.rs";
    let mut found = Vec::new();
    for package in &metadata.packages {
        let user = package.name.as_str();
        let uses = |name: &str| package.dependencies.iter().any(|dependency| dependency.name == name);
        let edges = EDGES.iter().filter(|(of, _)| *of == user);
        for name in edges.flat_map(|(_, allowed)| *allowed).filter(|name| !uses(name)) {
            found.push(Finding::new(
                place,
                format!("`{user}` does not use `{name}`: take it from EDGES"),
            ));
        }
        // The tools share one list, and not all of them need all of it.
        let homes = HOMES
            .iter()
            .filter(|(_, homes)| *homes != TOOLS && homes.contains(&user));
        for (name, _) in homes.filter(|(name, _)| !uses(name)) {
            found.push(Finding::new(
                place,
                format!("`{user}` does not use `{name}`: take it from HOMES"),
            ));
        }
    }
    Ok(found)
}

/// Crates whose library has another name than they have.
const LIBRARIES: &[(&str, &str)] = &[("libsodium-sys-stable", "libsodium_sys")];

/// Dependencies that no source of their crate names, and those of the workspace that no crate takes.
pub(super) fn unused(tree: &Tree) -> Result<Vec<Finding>> {
    let metadata = metadata(tree)?;
    let mut found = Vec::new();
    for package in &metadata.packages {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().unwrap_or(manifest);
        let folder = folder.strip_prefix(tree.root.canonicalize()?).unwrap_or(folder);
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let library = LIBRARIES.iter().find(|(of, _)| of == name);
            let library = library.map_or_else(|| name.replace('-', "_"), |(_, library)| (*library).to_owned());
            let mut sources = tree.rust().filter(|(path, _)| Path::new(path).starts_with(folder));
            if !sources.any(|(_, text)| text.lines().any(|line| has_word(line, &library))) {
                found.push(Finding::new(
                    package.manifest_path.as_str(),
                    format!("no source of `{}` names `{library}`: take out `{name}`", package.name),
                ));
            }
        }
    }
    let root = tree.all().find(|(path, _)| *path == "Cargo.toml");
    let mut section = "";
    for (index, line) in root.map(|(_, text)| text.lines().enumerate()).into_iter().flatten() {
        if line.starts_with('[') {
            section = line;
        }
        let Some((name, _)) = line.split_once(" = ").filter(|_| section == "[workspace.dependencies]") else {
            continue;
        };
        let taken = |package: &Package| package.dependencies.iter().any(|dependency| dependency.name == name);
        if !metadata.packages.iter().any(taken) {
            found.push(Finding::at(
                "Cargo.toml",
                index,
                format!("no crate takes `{name}`: take it out"),
            ));
        }
    }
    Ok(found)
}

/// A member takes each dependency's version, and its lints, from the workspace.
pub(super) fn manifests(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.all().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        let mut section = "";
        let mut lints = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                section = line;
            } else if section.contains("dependencies") && line.contains('=') && !line.starts_with('#') {
                if !line.contains("workspace = true") {
                    found.push(Finding::at(
                        path,
                        index,
                        "say `workspace = true`; the version stands in the root Cargo.toml",
                    ));
                }
            } else if section == "[lints]" && line == "workspace = true" {
                lints = true;
            }
        }
        if !lints {
            found.push(Finding::new(path, "add `[lints]` with `workspace = true`"));
        }
    }
    Ok(found)
}
