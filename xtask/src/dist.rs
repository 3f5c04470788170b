//! `cargo xtask dist`: one tarball with everything that is installed, and the C library it needs, by measure.

use crate::{fleet, needs, sh};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 4] = ["container-watchdog", "host-watchdog", "manager-watchdog", "watchtree"];
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "SECURITY.md",
];

/// Makes `dist/watchtree-VERSION-ARCH-linux-gnu.tar.gz` and its checksum beside it; gives its path.
///
/// # Errors
/// The build, a missing file, or a tool failed.
pub(crate) fn make() -> Result<PathBuf> {
    needs::satisfy(needs::DIST)?;
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
    copy_folder(&root.join("deploy/systemd"), &tree.join("systemd"))?;
    copy_folder(&root.join("deploy/samples"), &tree.join("samples"))?;
    copy_folder(&root.join("docs"), &tree.join("docs"))?;
    for document in DOCUMENTS {
        copy(&root.join(document), &tree.join(document))?;
    }
    let glibc = glibc_needed(&programs)?;
    let needs = format!(
        "Linux {}, glibc {glibc} or newer (the highest symbol version that the programs use), and no other library.\n",
        std::env::consts::ARCH
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

/// The highest `GLIBC_x.y` among the dynamic symbols of the programs; also refuses a library nobody expects.
fn glibc_needed(programs: &Path) -> Result<String> {
    let mut highest = (0, 0);
    for program in PROGRAMS {
        let text = sh::read(Command::new("objdump").arg("-p").arg(programs.join(program)))?;
        for library in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("NEEDED"))
            .map(str::trim)
        {
            let expected = [
                "libc.so",
                "libm.so",
                "libgcc_s.so",
                "libstdc++.so",
                "ld-linux",
                "libpthread.so",
                "libdl.so",
                "librt.so",
            ];
            if !expected.iter().any(|name| library.starts_with(name)) {
                bail!("{program} needs {library}, which nobody promised to be there");
            }
        }
        highest = highest.max(highest_glibc(&text));
    }
    if highest == (0, 0) {
        bail!("the programs name no version of glibc: objdump's output was not understood");
    }
    Ok(format!("{}.{}", highest.0, highest.1))
}

fn highest_glibc(text: &str) -> (u32, u32) {
    let versions = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("GLIBC_"))
        .filter_map(|version| {
            let mut parts = version.split('.').map(|part| part.parse::<u32>());
            Some((parts.next()?.ok()?, parts.next()?.ok()?))
        });
    versions.max().unwrap_or((0, 0))
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
    use super::highest_glibc;

    #[test]
    fn versions_are_compared_as_numbers() {
        let text = "0x0d696919 0x00 05 GLIBC_2.9\n 0x06969194 0x00 02 GLIBC_2.34\n 0x09691a75 0x00 03 GLIBC_2.2.5\n";
        assert_eq!(highest_glibc(text), (2, 34));
        assert_eq!(highest_glibc(""), (0, 0));
    }
}
