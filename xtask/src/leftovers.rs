//! Removes what a killed run of demo or bench left behind: its daemons, containers, image and folder. The next run does it.
//!
//! Contract: only what certainly belongs to a process that has ended is removed; of folders only this user's, and of
//! processes only daemons whose configuration lies in such a folder. It does not know what the runs did.

use crate::engine::Engine;
use crate::owner::Owner;
use crate::process::Process;
use anyhow::{Context, Result};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the file in a run's folder that says whose it is.
const OWNER_FILE: &str = "owner";
/// Names of the folders of runs begin so.
const FOLDERS: [&str; 4] = ["wt-demo-", "wt-bench-", "wt-torture-", "wt-matrix-"];
/// How long a daemon may take to end in order.
const END: Duration = Duration::from_secs(15);

/// A folder for a run's files, with its owner's name on it; removed when dropped.
///
/// # Errors
/// It cannot be made.
pub(crate) fn folder(what: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix(&format!("wt-{what}-")).tempdir()?;
    std::fs::write(folder.path().join(OWNER_FILE), Owner::me()?.to_string()).context("the folder's owner")?;
    Ok(folder)
}

/// Takes away what dead runs left. What cannot be taken away is said, and hinders nobody here.
pub(crate) fn sweep(engine: &Engine, report: &dyn Fn(&str)) {
    for swept in [sweep_folders(report), sweep_engine(engine, report)] {
        if let Err(error) = swept {
            report(&format!("what an earlier run left cannot be removed: {error:#}"));
        }
    }
}

fn is_dead(owner: &str) -> Result<bool> {
    match Owner::parse(owner) {
        Some(owner) => Ok(!owner.may_live()?),
        None => Ok(false),
    }
}

/// Takes away the folders of dead runs, and ends the daemons in them.
///
/// # Errors
/// Something cannot be taken away.
pub(crate) fn sweep_folders(report: &dyn Fn(&str)) -> Result<()> {
    let all = std::env::temp_dir();
    for entry in std::fs::read_dir(&all).with_context(|| all.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !FOLDERS.iter().any(|prefix| name.starts_with(prefix)) || !is_mine(&path) {
            continue;
        }
        // Without a readable owner it is nobody's that we know.
        let Ok(owner) = std::fs::read_to_string(path.join(OWNER_FILE)) else {
            continue;
        };
        if is_dead(&owner)? {
            let ended = end_daemons(&path)?;
            std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
            report(&format!(
                "a run was killed before: ended {ended} daemons and removed its folder {}",
                path.display()
            ));
        }
    }
    Ok(())
}

/// A real folder of this user.
fn is_mine(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw())
}

fn sweep_engine(engine: &Engine, report: &dyn Fn(&str)) -> Result<()> {
    let (mut containers, mut images) = (0, 0);
    for (id, owner) in engine.owned_containers()? {
        if is_dead(&owner)? {
            engine.remove(&id)?;
            containers += 1;
        }
    }
    for (id, owner) in engine.owned_images()? {
        if is_dead(&owner)? {
            engine.remove_image(&id)?;
            images += 1;
        }
    }
    if 0 < containers + images {
        report(&format!(
            "a run was killed before: removed {containers} containers and {images} images of it"
        ));
    }
    Ok(())
}

/// Ends the daemons whose configuration lies in the folder, host-watchdog before its child, which it would revive;
/// gives how many there were.
fn end_daemons(folder: &Path) -> Result<usize> {
    let mut ended = 0;
    for round in [&["host-watchdog", "manager-watchdog"][..], DAEMONS] {
        let found = daemons_of(folder, round)?;
        ended += found.len();
        for process in &found {
            // Thawed first: a frozen process does not end in order.
            process.signal(Signal::CONT)?;
            process.signal(Signal::TERM)?;
        }
        let start = Instant::now();
        for process in &found {
            while !process.has_ended() {
                if END < start.elapsed() {
                    process.signal(Signal::KILL)?;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    Ok(ended)
}

const DAEMONS: &[&str] = &["host-watchdog", "manager-watchdog", "container-watchdog"];

/// Living daemons of those names with a configuration in that folder.
fn daemons_of(folder: &Path, names: &[&str]) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if !is_daemon_of(pid, folder, names) {
            continue;
        }
        // Held first and then looked at once more: what is held cannot become another.
        let Ok(process) = Process::open(pid) else { continue };
        if is_daemon_of(pid, folder, names) && !process.has_ended() {
            found.push(process);
        }
    }
    Ok(found)
}

fn is_daemon_of(pid: i32, folder: &Path, names: &[&str]) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
        return false; // it has ended meanwhile
    };
    let words: Vec<&OsStr> = line.split(|&byte| byte == 0).map(OsStr::from_bytes).collect();
    let program = PathBuf::from(words[0]);
    let is_named = program
        .file_name()
        .is_some_and(|program| names.iter().any(|name| program == *name));
    is_named
        && words
            .windows(2)
            .any(|pair| pair[0] == "--config" && Path::new(pair[1]).parent() == Some(folder))
}

#[cfg(test)]
mod tests {
    use super::{DAEMONS, OWNER_FILE, Owner, daemons_of, end_daemons, folder};
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    /// Others see its arguments only some time after it was started, so it says a line first.
    fn daemon(name: &str, folder: &Path) -> Child {
        let mut command = Command::new("sh");
        command.arg0(format!("/somewhere/{name}"));
        // More than one command, so that the shell stays and does not become the last.
        command.args(["-c", "echo here; read line; true", "sh", "--config"]);
        let mut child = command
            .arg(folder.join("host.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = [0; 5];
        let says = child.stdout.as_mut().expect("a pipe");
        says.read_exact(&mut line).expect("it says a line");
        assert_eq!(&line, b"here\n");
        child
    }

    #[test]
    fn only_daemons_of_that_folder_are_ended_also_frozen_ones() {
        let (mine, other) = (folder("test").expect("made"), folder("test").expect("made"));
        let owner = std::fs::read_to_string(mine.path().join(OWNER_FILE)).expect("it is there");
        assert_eq!(Owner::parse(&owner), Owner::me().ok());
        let mut host = daemon("host-watchdog", mine.path());
        let mut child = daemon("container-watchdog", mine.path());
        let mut stranger = daemon("editor", mine.path());
        let mut neighbour = daemon("host-watchdog", other.path());
        let stop = Command::new("kill").args(["-STOP", &host.id().to_string()]).status();
        assert!(stop.expect("kill runs").success());

        assert_eq!(end_daemons(mine.path()).expect("they can be ended"), 2);
        assert!(daemons_of(mine.path(), DAEMONS).expect("read").is_empty());
        for gone in [&mut host, &mut child] {
            assert!(!gone.wait().expect("it has ended").success());
        }
        for left in [&mut stranger, &mut neighbour] {
            assert_eq!(left.try_wait().expect("it can be asked"), None);
            left.kill().expect("ended");
            left.wait().expect("fetched");
        }
    }
}
