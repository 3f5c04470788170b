//! What the machine must have for a command, and how it gets there.
//!
//! Contract: as root on Debian what is missing is installed from the distribution; elsewhere one line names it and its
//! purpose. It does not know the commands that need it.

use crate::sh;
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program (or file) that must be there.
pub(crate) struct Prerequisite {
    /// Its name on the path, or an absolute path.
    program: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    /// What it is for, as the end of a sentence.
    why: &'static str,
}

const fn tool(program: &'static str, package: &'static str, why: &'static str) -> Prerequisite {
    Prerequisite { program, package, why }
}

/// For every build.
pub(crate) const BUILD: &[Prerequisite] = &[
    tool("cc", "gcc", "to build libsodium and SQLite"),
    tool("make", "make", "to build libsodium"),
    tool("c++", "g++", "to build libzmq"),
];

/// For `cargo xtask dist`.
pub(crate) const DIST: &[Prerequisite] = &[
    tool("cc", "gcc", "to build libsodium and SQLite"),
    tool("make", "make", "to build libsodium"),
    tool("c++", "g++", "to build libzmq"),
    tool("objdump", "binutils", "to read which libraries the programs need"),
    tool("sha256sum", "coreutils", "for the checksums"),
    tool("tar", "tar", "for the tarball"),
];

/// For `cargo xtask test`.
pub(crate) const TESTS: &[Prerequisite] = &[
    tool("cc", "gcc", "to build libsodium and SQLite"),
    tool("make", "make", "to build libsodium"),
    tool("c++", "g++", "to build libzmq"),
    tool("git", "git", "to list the project's files"),
    tool("python3", "python3", "for the foreign peer"),
    tool("ip", "iproute2", "for hosts in network namespaces"),
    tool("iptables", "iptables", "to cut networks"),
    tool("openssl", "openssl", "for the certificates of the https receiver"),
    tool("setpriv", "util-linux", "to try the rights of another user"),
    tool("systemd-analyze", "systemd", "to check the units"),
];

/// For `cargo xtask documents`, besides what the tarball needs.
pub(crate) const DOCUMENTS: &[Prerequisite] = &[
    tool("python3", "python3", "for the script that follows the documents"),
    tool("debootstrap", "debootstrap", "to make the image of a systemd host"),
];

/// Makes sure all are there.
///
/// # Errors
/// Something is missing and cannot be installed here: one line names it all.
pub(crate) fn satisfy(prerequisites: &[Prerequisite]) -> Result<()> {
    let mut missing: Vec<&Prerequisite> = prerequisites.iter().filter(|tool| !on_path(tool.program)).collect();
    let venv_missing = prerequisites.iter().any(|tool| tool.program == "python3") && !python_makes_venvs();
    let venv = tool("python3 -m venv", "python3-venv", "for the foreign peer");
    if venv_missing {
        missing.push(&venv);
    }
    if missing.is_empty() {
        return Ok(());
    }
    if can_install() {
        let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
        install(&packages, Recommended::Without)?;
        missing.retain(|tool| !tool.program.contains(' ') && !on_path(tool.program));
        if missing.is_empty() {
            return Ok(());
        }
    }
    let list: Vec<String> = missing
        .iter()
        .map(|tool| format!("`{}` {} (Debian: {})", tool.program, tool.why, tool.package))
        .collect();
    bail!("missing: {}", list.join(", "));
}

/// True where packages can be installed without asking anybody: root on Debian or its children.
pub(crate) fn can_install() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/etc/debian_version").exists() && on_path("apt-get")
}

/// Whether a package brings along what it recommends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recommended {
    /// Tools that are whole by themselves.
    Without,
    /// An engine is not: it recommends its command line, and what confines its containers.
    With,
}

/// Installs Debian packages, saying so.
///
/// # Errors
/// `apt-get` failed.
pub(crate) fn install(packages: &[&str], recommended: Recommended) -> Result<()> {
    eprintln!("installing from the distribution: {}", packages.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    sh::run(apt().args(["update", "-qq"]))?;
    let mut command = apt();
    command.args(["install", "-y", "-qq"]);
    if recommended == Recommended::Without {
        command.arg("--no-install-recommends");
    }
    sh::run(command.args(packages))
}

/// Where the system's own tools are: not on the path of a user of Debian, but there.
const SYSTEM: &[&str] = &["/usr/sbin", "/sbin"];

/// True if a program of that name can be started.
pub(crate) fn on_path(program: &str) -> bool {
    find(program).is_some()
}

/// Where a program is: on the path, or among the system's own tools.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    find_in(program, &std::env::var_os("PATH").unwrap_or_default(), SYSTEM)
}

fn find_in(program: &str, path: &OsStr, system: &[&str]) -> Option<PathBuf> {
    let executable = |path: &PathBuf| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
    // An absolute name stays what it is, whatever it is joined to.
    std::env::split_paths(path)
        .chain(system.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(executable)
}

fn python_makes_venvs() -> bool {
    sh::read(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{BUILD, DIST, TESTS, find_in};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn the_systems_own_tools_are_found_without_being_on_the_path() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let tool = dir.path().join("tool");
        std::fs::write(&tool, "").expect("written");
        let system = [dir.path().to_str().expect("a plain name")];
        assert_eq!(find_in("tool", "/usr/bin".as_ref(), &system), None, "it cannot be run");
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).expect("made a program");
        assert_eq!(find_in("tool", "/usr/bin".as_ref(), &[]), None);
        assert_eq!(find_in("tool", "/usr/bin".as_ref(), &system), Some(tool));
        assert_eq!(
            find_in("/bin/sh", "".as_ref(), &[]).as_deref(),
            Some(Path::new("/bin/sh"))
        );
    }

    /// libsodium builds by `./configure` and `make`, which no compiler's package brings.
    #[test]
    fn whatever_builds_the_daemons_needs_make() {
        for prerequisites in [BUILD, DIST, TESTS] {
            assert!(
                prerequisites
                    .iter()
                    .any(|tool| tool.program == "make" && tool.package == "make")
            );
        }
    }
}
