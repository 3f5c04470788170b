//! Each check is shown a tree that breaks its rule, and one that does not: a check that cannot fail checks nothing.

mod syntax;

use super::CHECKS;
use super::tree::Tree;
use std::fs;
use std::path::Path;
use std::process::Command;

const MEMBER: &str = "[package]\nname = \"NAME\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\nDEPS\n[lints]\nworkspace = true\n";
const ROOT: &str =
    "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n\n[workspace.lints]\n\n[workspace.dependencies]\n";
/// The workspace's dependencies, of which each tree has those that a crate takes.
const DEPENDENCIES: [&str; 5] = [
    "watchtree-core = { path = \"crates/watchtree-core\" }\n",
    "watchtree-store = { path = \"crates/watchtree-store\" }\n",
    "bollard = \"=0.21.1\"\n",
    "rusqlite = \"1\"\n",
    "serde = \"1\"\n",
];
/// Every crate's sources name all of them.
const USES: &str = "//! Uses.\nuse {bollard, rusqlite, serde, watchtree_core, watchtree_store};\n";
const CORE_LIB: &str = "//! The core.\n#![no_std]\n#![forbid(unsafe_code)]\n";

/// A sound little workspace, with `changes` (path, text) on top; gives the findings as `check: place`.
fn check(changes: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    let mut manifests = String::new();
    for name in ["watchtree-core", "watchtree-store", "watchtree-docker"] {
        let path = format!("crates/{name}/Cargo.toml");
        let changed = changes.iter().find(|(other, _)| *other == path);
        let manifest = changed.map_or_else(|| member(name, ""), |(_, text)| (*text).to_owned());
        write(&path, &manifest);
        write(&format!("crates/{name}/src/lib.rs"), "//! A crate.\n");
        write(&format!("crates/{name}/src/uses.rs"), USES);
        manifests.push_str(&manifest);
    }
    let taken = |line: &&&str| manifests.contains(&format!("\n{}", line.split(' ').next().unwrap_or_default()));
    let root: String = DEPENDENCIES.iter().filter(taken).copied().collect();
    write("Cargo.toml", &format!("{ROOT}{root}"));
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

/// A manifest with what that crate is there for, and `deps`.
fn member(name: &str, deps: &str) -> String {
    let own = match name {
        "watchtree-docker" => "bollard.workspace = true\nwatchtree-core.workspace = true\n",
        "watchtree-store" => "rusqlite.workspace = true\nwatchtree-core.workspace = true\n",
        _ => "",
    };
    MEMBER.replace("NAME", name).replace("DEPS", &format!("{own}{deps}"))
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
            "manifests: crates/watchtree-store/Cargo.toml:9",
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
fn a_permission_that_nobody_needs_is_found() {
    let manifest = member("watchtree-docker", "").replace("watchtree-core.workspace = true\n", "");
    assert_eq!(
        check(&[("crates/watchtree-docker/Cargo.toml", &manifest)]),
        ["stale permissions: xtask/src/tidy/graph.rs"]
    );
    let manifest = member("watchtree-docker", "").replace("bollard.workspace = true\n", "");
    assert_eq!(
        check(&[("crates/watchtree-docker/Cargo.toml", &manifest)]),
        ["stale permissions: xtask/src/tidy/graph.rs"]
    );
}

/// Rows about crates that are gone are found by the real tree alone: the little ones have few crates.
#[test]
fn every_row_is_about_a_crate_that_is_there() {
    let tree = Tree::load(&crate::sh::root()).expect("the tree is read");
    for name in super::graph::named() {
        let manifest = format!("name = \"{name}\"");
        let there = |(path, text): (&str, &str)| path.ends_with("/Cargo.toml") && text.contains(&manifest);
        assert!(
            tree.all().any(there),
            "{name} is gone: take it from xtask/src/tidy/graph.rs"
        );
    }
}

#[test]
fn a_dependency_that_no_source_names_is_found() {
    assert_eq!(
        check(&[("crates/watchtree-store/src/uses.rs", "//! Uses.\nuse watchtree_core;\n")]),
        ["unused: crates/watchtree-store/Cargo.toml"]
    );
    let root = format!("{ROOT}{}libc = \"1\"\n", DEPENDENCIES.concat());
    assert_eq!(
        check(&[("Cargo.toml", &root)]),
        ["unused: Cargo.toml:9", "unused: Cargo.toml:12", "unused: Cargo.toml:13"]
    );
}

#[test]
fn an_opening_without_words_is_found_in_every_language() {
    assert_eq!(
        check(&[
            ("crates/watchtree-store/src/lib.rs", "//!\n//! Late.\n"),
            ("proto/a.proto", "syntax = \"proto3\";\n"),
            ("proto/b.proto", "// Frames.\n"),
            ("tests/a.py", "import os\n"),
            ("tests/b.py", "#!/usr/bin/env python3\n\"\"\"A peer.\"\"\"\n"),
        ]),
        [
            "first lines: crates/watchtree-store/src/lib.rs:1",
            "first lines: proto/a.proto:1",
            "first lines: tests/a.py:1"
        ]
    );
}

#[test]
fn a_folder_of_one_machine_is_found_without_its_slash() {
    let text = concat!(
        "cd /wo",
        "rk\nin /ro",
        "ot.\ndocs/ho",
        "me\n/ho",
        "mepage\n/sys/ro",
        "ot\n"
    );
    assert_eq!(
        check(&[("notes.md", text)]),
        ["hosts and paths: notes.md:1", "hosts and paths: notes.md:2"]
    );
}
