//! One acting container-watchdog per engine: a lock by the engine's id, in folders that all users of the machine share.
//!
//! No single folder can be written by every user: a unit may write to `/run/watchtree` only, a member of the engine's group to
//! `/run/lock` on some systems and to `/dev/shm` on all. But a user who may not make a file there can still lock an existing one.
//!
//! Contract: each process locks what it can and must hold at least one lock; a later process finds that file taken. A file that
//! exists and cannot be locked counts as taken. An observer needs no lock. Does not see processes in other mount namespaces (in
//! containers).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use watchtree_docker::EngineInfo;
use watchtree_os::{LockError, LockFile};
use watchtree_runtime::{Code, Exit};

/// Where lock files lie. Not in a folder that belongs to one user: no other one would look there.
const FOLDERS: [&str; 3] = [OWN_FOLDER, "/run/lock", "/dev/shm"];
/// The first of them is ours to make.
const OWN_FOLDER: &str = "/run/watchtree";

/// Held while this process may act.
#[derive(Debug)]
pub(crate) struct EngineLock {
    _files: Vec<LockFile>,
}

impl EngineLock {
    /// Takes it at once or not at all. `who` is written into the files for people to read.
    pub(crate) fn take(info: &EngineInfo, who: &str) -> Result<Self, Exit> {
        // Made where this user may; the other places remain where not.
        if std::fs::create_dir(OWN_FOLDER).is_ok() {
            // The umask may have closed it for the others. If it stays so, they name it and stay away.
            let _ = std::fs::set_permissions(OWN_FOLDER, PermissionsExt::from_mode(0o755));
        }
        Self::take_in(&FOLDERS.map(Path::new), info, who)
    }

    fn take_in(folders: &[&Path], info: &EngineInfo, who: &str) -> Result<Self, Exit> {
        let owner = format!("pid {} {who}", std::process::id());
        let name = file_name(info);
        let mut places: Vec<PathBuf> = folders.iter().map(|folder| folder.join(&name)).collect();
        let mut files = Vec::new();
        let mut trouble = String::new();
        // Twice: of two that start at once, and may make no file where the other one makes his, one at least must see
        // the other.
        for _ in 0..2 {
            let mut absent = Vec::new();
            for path in places {
                match LockFile::take(&path, &owner) {
                    Ok(file) => files.push(file),
                    Err(error) => {
                        trouble = absence(&path, error)?;
                        absent.push(path);
                    }
                }
            }
            places = absent;
        }
        if files.is_empty() {
            let line = format!(
                "cannot make sure that no other healer acts on this engine: {trouble}; make /run/lock writable, or run \
                 this one with --observe"
            );
            return Err(Exit::new(Code::NoRights, line));
        }
        Ok(Self { _files: files })
    }
}

/// Why there is no file at that place, so that nobody holds it; else the reason to stay away.
fn absence(path: &Path, error: LockError) -> Result<String, Exit> {
    match error {
        LockError::Taken { path, owner } => {
            let line = format!(
                "another healer acts on this engine: {} is held by {owner}; stop that one, or run this one with --observe",
                path.display()
            );
            Err(Exit::new(Code::Taken, line))
        }
        error @ LockError::Io { .. } => match path.symlink_metadata() {
            Err(none) if none.kind() == std::io::ErrorKind::NotFound => Ok(error.to_string()),
            _ => {
                let line = format!(
                    "cannot make sure that no other healer acts on this engine: {error}; if none runs, remove that \
                     file, else run this one with --observe"
                );
                Err(Exit::new(Code::NoRights, line))
            }
        },
    }
}

/// Podman has no id of its own: its data folder then.
fn file_name(info: &EngineInfo) -> String {
    let root = info.root.display().to_string();
    let text = if info.id.is_empty() { &root } else { &info.id };
    let clean: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(120)
        .collect();
    format!("engine-{clean}.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_healer_of_one_engine_is_told_who_holds_it() {
        let info = EngineInfo {
            id: format!("TEST:{}", std::process::id()),
            ..EngineInfo::default()
        };
        let first = EngineLock::take(&info, "h1.docker.watchdog").expect("it is free");
        let exit = EngineLock::take(&info, "h2.docker.watchdog").expect_err("it is held");
        assert_eq!(exit.code, Code::Taken);
        assert!(
            exit.line.contains("h1.docker.watchdog") && exit.line.contains("--observe"),
            "{}",
            exit.line
        );
        let other = EngineInfo {
            id: format!("OTHER:{}", std::process::id()),
            ..EngineInfo::default()
        };
        EngineLock::take(&other, "h1.docker.watchdog").expect("another engine is another lock");
        drop(first);
        EngineLock::take(&info, "h2.docker.watchdog").expect("it is free again");
        for name in [file_name(&info), file_name(&other)] {
            for folder in FOLDERS {
                let _ = std::fs::remove_file(Path::new(folder).join(&name));
            }
        }
    }

    #[test]
    fn an_engine_without_an_id_is_known_by_its_folder() {
        let info = EngineInfo {
            root: PathBuf::from("/var/lib/containers"),
            ..EngineInfo::default()
        };
        assert_eq!(file_name(&info), "engine--var-lib-containers.lock");
    }

    /// Set in a process that this test starts as somebody else; names the folders.
    const AS_SOMEBODY_ENV: &str = "WATCHTREE_TEST_LOCK_FOLDERS";

    /// The part of that process: says what became of its attempt and holds what it got until its input ends.
    #[test]
    fn somebody() {
        let Some(folders) = std::env::var_os(AS_SOMEBODY_ENV) else {
            return;
        };
        let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        let lock = EngineLock::take_in(&folders, &EngineInfo::default(), "somebody");
        match &lock {
            Ok(_) => println!("GOT it"),
            Err(exit) => println!("GOT {:?} {}", exit.code, exit.line),
        }
        let _ = std::io::stdin().read_line(&mut String::new());
    }

    /// Folders as a machine has them: of root, of everybody, of everybody.
    struct Machine {
        top: tempfile::TempDir,
        folders: [PathBuf; 3],
    }

    impl Machine {
        /// `shared`: everybody may write to the second folder.
        fn new(shared: bool) -> Self {
            let top = tempfile::tempdir().expect("a folder");
            let modes = [0o755, if shared { 0o1777 } else { 0o755 }, 0o1777];
            let folders = ["own", "lock", "shm"].map(|name| top.path().join(name));
            std::fs::set_permissions(top.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
            for (folder, mode) in folders.iter().zip(modes) {
                std::fs::create_dir(folder).expect("room for a folder");
                std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)).expect("it is ours");
            }
            // The other user must reach this program.
            std::fs::copy(std::env::current_exe().expect("a path"), top.path().join("test")).expect("room for it");
            Self { top, folders }
        }

        /// A process of that shell command, whose last word is this test; and what it said.
        fn somebody(&self, before: &str) -> (std::process::Child, String) {
            use std::io::BufRead;
            let [own, lock, _] = self.folders.each_ref().map(|folder| folder.display());
            let test = self.top.path().join("test");
            let script = format!(
                "own={own} lock={lock}; umask 077; {before} {} --exact lock::tests::somebody --nocapture",
                test.display()
            );
            let mut child = std::process::Command::new("sh")
                .args(["-c", &script])
                .env(AS_SOMEBODY_ENV, std::env::join_paths(&self.folders).expect("no colons"))
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("a shell");
            let lines = std::io::BufReader::new(child.stdout.as_mut().expect("a pipe")).lines();
            let said = lines
                .map_while(Result::ok)
                .find_map(|line| Some(line.split_once("GOT ")?.1.to_string()));
            (child, said.unwrap_or_else(|| format!("nothing was said by {before}")))
        }
    }

    /// Another user, with no right that root has.
    const USER: &str = "exec setpriv --reuid 65534 --regid 65534 --clear-groups";
    /// As the unit runs it: root without root's power over files, and all but its own folder read-only.
    const UNIT: &str = "exec unshare --mount sh -c 'for f in \"$0\" \"$1\"; do mount --bind \"$f\" \"$f\"; \
        mount -o remount,bind,ro \"$f\"; done; shift; exec setpriv --bounding-set -dac_override \"$@\"' $lock $own/../shm";

    #[test]
    fn healers_of_two_users_exclude_each_other_whoever_comes_first() {
        if std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !status.contains("\nUid:\t0\t0")) {
            eprintln!("skipped: only root can become another user");
            return;
        }
        for shared in [true, false] {
            for (first, second) in [(UNIT, USER), (USER, UNIT), (USER, USER), (UNIT, UNIT)] {
                let machine = Machine::new(shared);
                let (mut holder, said) = machine.somebody(first);
                assert_eq!(said, "it", "{first}");
                let (mut other, said) = machine.somebody(second);
                assert!(
                    said.starts_with("Taken another healer acts"),
                    "{first}, then {second}: {said}"
                );
                for child in [&mut holder, &mut other] {
                    drop(child.stdin.take());
                    child.wait().expect("it ends");
                }
            }
        }
    }

    #[test]
    fn a_place_that_is_there_and_cannot_be_locked_counts_as_taken() {
        let machine = Machine::new(true);
        let folders = machine.folders.each_ref().map(PathBuf::as_path);
        std::fs::create_dir(machine.folders[0].join(file_name(&EngineInfo::default()))).expect("room for a folder");
        let exit = EngineLock::take_in(&folders, &EngineInfo::default(), "h1").expect_err("it cannot be locked");
        assert_eq!(exit.code, Code::NoRights);
        assert!(exit.line.contains("/own/engine-"), "{}", exit.line);
    }

    #[test]
    fn without_any_place_nobody_acts() {
        let exit = EngineLock::take_in(&[Path::new("/no/such/folder")], &EngineInfo::default(), "h1");
        assert_eq!(exit.expect_err("there is no place").code, Code::NoRights);
    }
}
