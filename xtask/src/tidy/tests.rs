//! Each check is shown a tree that breaks its rule, and one that does not: a check that cannot fail checks nothing.

use super::{CHECKS, Tree};
use std::fs;
use std::path::Path;
use std::process::Command;

const MEMBER: &str = "[package]\nname = \"NAME\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\nDEPS\n[lints]\nworkspace = true\n";
const ROOT: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n\n[workspace.dependencies]\nwatchtree-core = { path = \"crates/watchtree-core\" }\nwatchtree-store = { path = \"crates/watchtree-store\" }\nbollard = \"=0.21.1\"\nserde = \"1\"\n\n[workspace.lints]\n";
const CORE_LIB: &str = "//! The core.\n#![no_std]\n#![forbid(unsafe_code)]\n";

/// A sound little workspace, with `changes` (path, text) on top; gives the findings as `check: place`.
fn check(changes: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("Cargo.toml", ROOT);
    for name in ["watchtree-core", "watchtree-store", "watchtree-docker"] {
        let deps = if name == "watchtree-core" {
            ""
        } else {
            "watchtree-core.workspace = true\n"
        };
        write(
            &format!("crates/{name}/Cargo.toml"),
            &MEMBER.replace("NAME", name).replace("DEPS", deps),
        );
        write(&format!("crates/{name}/src/lib.rs"), "//! A crate.\n");
    }
    write("crates/watchtree-core/src/lib.rs", CORE_LIB);
    for (path, text) in changes {
        write(path, text);
    }
    found(dir.path())
}

fn found(root: &Path) -> Vec<String> {
    let git = Command::new("git")
        .current_dir(root)
        .args(["init", "--quiet"])
        .status()
        .expect("git runs");
    assert!(git.success());
    let tree = Tree::load(root).expect("the tree is read");
    let prefix = format!("{}/", root.canonicalize().expect("it is there").display());
    let mut all = Vec::new();
    for (name, check) in CHECKS {
        for finding in check(&tree).expect("the check runs") {
            all.push(format!("{name}: {}", finding.place.replace(&prefix, "")));
        }
    }
    all
}

fn member(name: &str, deps: &str) -> String {
    MEMBER.replace("NAME", name).replace("DEPS", deps)
}

#[test]
fn a_sound_tree_has_no_findings() {
    assert_eq!(check(&[]), Vec::<String>::new());
}

#[test]
fn an_edge_between_two_crates_of_one_layer_is_found() {
    let manifest = member("watchtree-docker", "watchtree-store.workspace = true\n");
    assert_eq!(
        check(&[("crates/watchtree-docker/Cargo.toml", &manifest)]),
        ["crate graph: crates/watchtree-docker/Cargo.toml"]
    );
}

#[test]
fn an_unknown_crate_is_found() {
    let manifest = member("watchtree-newcomer", "");
    assert_eq!(
        check(&[
            ("crates/newcomer/Cargo.toml", &manifest),
            ("crates/newcomer/src/lib.rs", "//! New.\n")
        ]),
        ["crate graph: crates/newcomer/Cargo.toml"]
    );
}

#[test]
fn an_outside_crate_away_from_its_home_is_found() {
    let manifest = member("watchtree-store", "bollard.workspace = true\n");
    assert_eq!(
        check(&[("crates/watchtree-store/Cargo.toml", &manifest)]),
        ["outside crates: crates/watchtree-store/Cargo.toml"]
    );
}

#[test]
fn any_outside_crate_in_the_core_is_found() {
    let manifest = member("watchtree-core", "serde.workspace = true\n");
    assert_eq!(
        check(&[("crates/watchtree-core/Cargo.toml", &manifest)]),
        ["outside crates: crates/watchtree-core/Cargo.toml"]
    );
}

#[test]
fn a_version_or_missing_lints_in_a_member_are_found() {
    let manifest = member("watchtree-store", "serde = \"1\"\n").replace("[lints]\nworkspace = true\n", "");
    assert_eq!(
        check(&[("crates/watchtree-store/Cargo.toml", &manifest)]),
        [
            "manifests: crates/watchtree-store/Cargo.toml:7",
            "manifests: crates/watchtree-store/Cargo.toml"
        ]
    );
}

#[test]
fn a_file_without_a_first_line_is_found() {
    assert_eq!(
        check(&[("crates/watchtree-store/src/lib.rs", "fn f() {}\n")]),
        ["first lines: crates/watchtree-store/src/lib.rs:1"]
    );
}

#[test]
fn a_file_of_501_lines_is_found_and_one_of_500_is_not() {
    let long = |lines: usize| format!("//! Long.\n{}", "// line\n".repeat(lines - 1));
    assert_eq!(
        check(&[("crates/watchtree-store/src/lib.rs", &long(500))]),
        Vec::<String>::new()
    );
    assert_eq!(
        check(&[("crates/watchtree-store/src/lib.rs", &long(501))]),
        ["file sizes: crates/watchtree-store/src/lib.rs"]
    );
}

#[test]
fn hosts_and_machine_paths_are_found() {
    let text = concat!("from crates", ".io\nin /wo", "rk/x\nin /ho", "me/x\nfine\n");
    assert_eq!(
        check(&[("notes.md", text)]),
        [
            "hosts and paths: notes.md:1",
            "hosts and paths: notes.md:2",
            "hosts and paths: notes.md:3"
        ]
    );
}

#[test]
fn trailing_space_and_a_missing_newline_are_found() {
    assert_eq!(
        check(&[("notes.md", "a \nb")]),
        ["trailing space: notes.md:1", "trailing space: notes.md"]
    );
}

#[test]
fn leftovers_are_found() {
    let text = format!("//! A crate.\nfn f() {{ {} }}\n", concat!("to", "do!()"));
    assert_eq!(
        check(&[("crates/watchtree-store/src/lib.rs", &text)]),
        ["leftovers: crates/watchtree-store/src/lib.rs:2"]
    );
}

#[test]
fn an_impure_core_is_found_but_not_its_tests() {
    let impure = "//! Reads a clock.\nfn now() { std::time::Instant::now(); }\n";
    assert_eq!(
        check(&[
            ("crates/watchtree-core/src/clock.rs", impure),
            ("crates/watchtree-core/src/tests/clock.rs", impure),
            ("crates/watchtree-store/src/lib.rs", impure),
        ]),
        ["pure core: crates/watchtree-core/src/clock.rs:2"]
    );
    assert_eq!(
        check(&[("crates/watchtree-core/src/lib.rs", "//! The core.\n#![no_std]\n")]),
        ["pure core: crates/watchtree-core/src/lib.rs"]
    );
}

#[test]
fn a_machine_without_a_picture_is_found() {
    let text = "//! A machine.\nimpl Machine for Lamp {}\n";
    assert_eq!(
        check(&[("crates/watchtree-core/src/lamp.rs", text)]),
        ["diagrams: crates/watchtree-core/src/lamp.rs:2"]
    );
    let drawn = "//! A machine: off ──press──▶ on.\nimpl Machine for Lamp {}\n";
    assert_eq!(
        check(&[("crates/watchtree-core/src/lamp.rs", drawn)]),
        Vec::<String>::new()
    );
}

#[test]
fn unsafe_code_away_from_its_home_is_found() {
    let text = concat!("//! A crate.\nfn f() { unsa", "fe { g() } }\n");
    assert_eq!(
        check(&[("crates/watchtree-store/src/lib.rs", text)]),
        ["unsafe: crates/watchtree-store/src/lib.rs:2"]
    );
}
