//! The crate graph as data: which workspace crate may use which, and where each outside technology lives.
//!
//! `cargo metadata` tells what is; these tables tell what may be. Kinds (normal, dev, build) are not told apart: a
//! wall that a test may climb is no wall.

use super::{Finding, Tree};
use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};
use std::collections::BTreeMap;

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
    ("watchtree-os", &["watchtree-core"]),
    ("watchtree-probe", &["watchtree-core"]),
    ("watchtree-runtime", &["watchtree-api", "watchtree-core"]),
    ("watchtree-store", &["watchtree-core"]),
    // the second driver of the machines
    ("watchtree-sim", &["watchtree-core"]),
    // binaries
    ("container-watchdog", DAEMON_OF_AN_ENGINE),
    ("host-watchdog", DAEMON_OF_AN_ENGINE),
    (
        "manager-watchdog",
        &[
            "watchtree-api",
            "watchtree-config",
            "watchtree-core",
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

const DAEMON_OF_AN_ENGINE: &[&str] = &[
    "watchtree-api",
    "watchtree-config",
    "watchtree-core",
    "watchtree-docker",
    "watchtree-keys",
    "watchtree-link",
    "watchtree-os",
    "watchtree-runtime",
    "watchtree-store",
    "watchtree-wire",
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
    ("ureq", &["manager-watchdog"]),
    ("jiff", &["watchtree-cli"]),
    ("cargo_metadata", &["xtask"]),
    (
        "libc",
        &[
            "libzmq-curve-sys",
            "watchtree-keys",
            "watchtree-link",
            "watchtree-os",
            "watchtree-victim",
        ],
    ),
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

/// Outside crates the core may use: only in its tests.
const CORE_OUTSIDE: &[&str] = &["expect-test"];

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
            if user == "watchtree-core" && !CORE_OUTSIDE.contains(&name) {
                found.push(Finding::new(
                    package.manifest_path.as_str(),
                    format!("the core uses no outside crate: `{name}` belongs to an edge"),
                ));
            }
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
