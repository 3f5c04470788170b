//! `cargo xtask dist`: one tarball with everything that is installed, and a file that names the C library it needs.
//!
//! Contract: which shared libraries the programs need is read from the programs, and an unexpected one fails the run. It does
//! not know how the tarball is installed.

use crate::{fleet, prerequisites, sh};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 4] = ["container-watchdog", "host-watchdog", "manager-watchdog", "watchtree"];
const DOCUMENTS: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "SECURITY.md",
];

/// Makes `dist/watchtree-VERSION-ARCH-linux-gnu.tar.gz` and its checksum beside it; gives its path.
///
/// # Errors
/// The build, a missing file, or a tool failed.
pub(crate) fn make() -> Result<PathBuf> {
    prerequisites::satisfy(prerequisites::DIST)?;
    let programs = fleet::build()?;
    let root = sh::root();
    let dist = root.join("dist");
    let name = format!("watchtree-{}-{}-linux-gnu", version()?, std::env::consts::ARCH);
    let tree = dist.join(&name);
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot replace {}", tree.display()))?;
    }
    for program in PROGRAMS {
        copy(&programs.join(program), &tree.join("bin").join(program))?;
    }
    // Where they lie in the repository, so that the documents' links hold.
    for folder in ["deploy", "docs"] {
        copy_folder(&root.join(folder), &tree.join(folder))?;
    }
    for document in DOCUMENTS {
        copy(&root.join(document), &tree.join(document))?;
    }
    hold_links(&tree)?;
    let needs = format!(
        "Linux {} with {}\n",
        std::env::consts::ARCH,
        libraries_needed(&programs)?
    );
    fs::write(tree.join("NEEDS"), &needs)?;
    write_checksums(&tree)?;
    let tarball = dist.join(format!("{name}.tar.gz"));
    // Sorted, owned by root, dated by the last commit: the same tree gives the same bytes.
    let date = sh::read(
        Command::new("git")
            .current_dir(&root)
            .args(["log", "-1", "--format=%ct"]),
    )?;
    let mut tar = Command::new("tar");
    tar.current_dir(&dist)
        .args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime=@{}", date.trim()))
        .args(["--use-compress-program", "gzip -9n", "--file"]);
    sh::run(tar.arg(&tarball).arg(&name))?;
    let sum = sh::read(
        Command::new("sha256sum")
            .current_dir(&dist)
            .arg(format!("{name}.tar.gz")),
    )?;
    fs::write(dist.join(format!("{name}.tar.gz.sha256")), &sum)?;
    let size = fs::metadata(&tarball)?.len();
    println!(
        "{} ({:.1} MB)\nneeds {needs}{}",
        tarball.display(),
        size as f64 / 1e6,
        sum.trim()
    );
    Ok(tarball)
}

fn version() -> Result<String> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(sh::root().join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "watchtree-cli");
    Ok(package.context("the workspace has watchtree-cli")?.version.to_string())
}

/// The libraries that the programs are linked to, and the versions of their symbols, as a sentence; refuses a library
/// that nobody expects.
fn libraries_needed(programs: &Path) -> Result<String> {
    let expected = ["libc.so", "libm.so", "libgcc_s.so", "libstdc++.so", "ld-linux"];
    let mut text = String::new();
    for program in PROGRAMS {
        let headers = sh::read(Command::new("objdump").arg("-p").arg(programs.join(program)))?;
        for library in needed(&headers) {
            if !expected.iter().any(|name| library.starts_with(name)) {
                bail!("{program} needs {library}, which nobody promised to be there");
            }
        }
        text.push_str(&headers);
    }
    let glibc = highest(&text, "GLIBC_").context("no version of glibc in objdump's output")?;
    let mut sentence = format!("glibc {glibc} or newer");
    if needed(&text).any(|library| library.starts_with("libstdc++")) {
        let stdcxx = highest(&text, "GLIBCXX_").context("no version of libstdc++ in objdump's output")?;
        sentence.push_str(&format!(", libstdc++ with GLIBCXX_{stdcxx} or newer, libgcc_s"));
    }
    sentence.push_str("; no other library. By the highest symbol versions that the programs use.");
    Ok(sentence)
}

fn needed(headers: &str) -> impl Iterator<Item = &str> {
    headers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"))
        .map(str::trim)
}

/// The highest version behind that prefix, compared as numbers.
fn highest(text: &str, prefix: &str) -> Option<String> {
    let versions = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(prefix))
        .filter_map(|version| {
            let parts: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
            parts.ok()
        });
    let highest = versions.max()?;
    Some(highest.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
}

/// Refuses a document that points to a file which is not there.
fn hold_links(tree: &Path) -> Result<()> {
    let mut files = Vec::new();
    list(tree, &mut files)?;
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "md"))
    {
        let text = fs::read_to_string(file)?;
        let folder = file.parent().context("a file lies in a folder")?;
        if let Some(dead) = links(&text).find(|link| !folder.join(link).exists()) {
            bail!("{}: {dead} is not there", file.display());
        }
    }
    Ok(())
}

/// The relative targets of a document's links, without their anchors.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

fn write_checksums(tree: &Path) -> Result<()> {
    let mut files = Vec::new();
    list(tree, &mut files)?;
    files.sort();
    let names = files
        .iter()
        .map(|file| file.strip_prefix(tree).map(Path::to_owned))
        .collect::<Result<Vec<_>, _>>()?;
    let sums = sh::read(Command::new("sha256sum").current_dir(tree).args(names))?;
    fs::write(tree.join("SHA256SUMS"), sums).context("SHA256SUMS")
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let mut files = Vec::new();
    list(from, &mut files)?;
    files
        .iter()
        .try_for_each(|file| copy(file, &to.join(file.strip_prefix(from)?)))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {}", from.display()))
}

#[cfg(test)]
mod tests {
    use super::{highest, links};

    #[test]
    fn only_relative_links_are_looked_at() {
        let text = "[a](docs/a.md) [b](https://example.org/b) [c](#c) [d](../d.md#part)";
        assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md", "../d.md"]);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let text = "0x0d696919 0x00 05 GLIBC_2.9\n 0x06969194 0x00 02 GLIBC_2.34\n 0x09691a75 0x00 03 GLIBC_2.2.5\n";
        assert_eq!(highest(text, "GLIBC_").as_deref(), Some("2.34"));
        assert_eq!(highest("GLIBC_PRIVATE", "GLIBC_"), None);
    }
}
