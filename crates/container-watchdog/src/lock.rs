//! One acting container-watchdog per engine: a lock on a name that only this engine of this machine has.
//!
//! The name is made of the engine's id and of its data folder: engines that were installed from one image share an id, and engines
//! in containers a folder.
//!
//! Contract: an observer needs no lock. Does not see processes in other network namespaces (in containers).

use watchtree_core::hash::{FNV1A_BASIS, fnv1a};
use watchtree_docker::EngineInfo;
use watchtree_os::{Lock, LockError};
use watchtree_runtime::{Code, Exit};

/// Held while this process may act.
#[derive(Debug)]
pub(crate) struct EngineLock {
    _lock: Lock,
}

impl EngineLock {
    /// Takes it at once or not at all.
    pub(crate) fn take(info: &EngineInfo) -> Result<Self, Exit> {
        match Lock::of_name(&name(info)) {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err(LockError::Taken { owner, .. }) => {
                let line = format!(
                    "another healer acts on this engine: {owner}; stop that one, or run this one with --observe"
                );
                Err(Exit::new(Code::Taken, line))
            }
            Err(error @ LockError::Io { .. }) => {
                let line = format!(
                    "cannot make sure that no other healer acts on this engine: {error}; allow this process Unix sockets, or \
                     run it with --observe"
                );
                Err(Exit::new(Code::NoRights, line))
            }
        }
    }
}

/// Podman has no id of its own: its data folder alone then.
fn name(info: &EngineInfo) -> String {
    let root = info.root.as_os_str().as_encoded_bytes();
    let hash = fnv1a(fnv1a(fnv1a(FNV1A_BASIS, info.id.as_bytes()), &[0]), root);
    format!("watchtree/engine/{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    fn engine(id: &str, root: &str) -> EngineInfo {
        EngineInfo {
            id: format!("{id} {}", std::process::id()),
            root: PathBuf::from(root),
            ..EngineInfo::default()
        }
    }

    #[test]
    fn a_second_healer_of_one_engine_is_told_who_holds_it() {
        let info = engine("TEST", "/var/lib/docker");
        let first = EngineLock::take(&info).expect("it is free");
        let exit = EngineLock::take(&info).expect_err("it is held");
        assert_eq!(exit.code, Code::Taken);
        let us = format!("pid {} (", std::process::id());
        assert!(
            exit.line.contains(&us) && exit.line.contains("--observe"),
            "{}",
            exit.line
        );
        drop(first);
        EngineLock::take(&info).expect("it is free again");
    }

    /// Two engines of one image have one id; two in containers have one folder; Podman has no id.
    #[test]
    fn an_engine_is_known_by_its_id_and_its_folder() {
        let engines = [
            engine("A", "/var/lib/docker"),
            engine("A", "/data/docker"),
            engine("B", "/var/lib/docker"),
            EngineInfo {
                root: PathBuf::from("/var/lib/containers"),
                ..EngineInfo::default()
            },
        ];
        let locks: Result<Vec<EngineLock>, Exit> = engines.iter().map(EngineLock::take).collect();
        assert_eq!(locks.expect("each has a name of its own").len(), engines.len());
    }

    /// Set in a process that this test starts as somebody else; names the engine.
    const AS_SOMEBODY_ENV: &str = "WATCHTREE_TEST_LOCK_ENGINE";

    /// The part of that process: says what became of its attempt and holds what it got until its input ends.
    #[test]
    fn somebody() {
        let Ok(id) = std::env::var(AS_SOMEBODY_ENV) else {
            return;
        };
        let lock = EngineLock::take(&EngineInfo {
            id,
            ..EngineInfo::default()
        });
        match &lock {
            Ok(_) => println!("GOT it"),
            Err(exit) => println!("GOT {:?} {}", exit.code, exit.line),
        }
        let _ = std::io::stdin().read_line(&mut String::new());
    }

    /// A process of that shell command, whose last word is this test; and what it said.
    fn start(program: &std::path::Path, id: &str, before: &str) -> (Child, String) {
        use std::io::BufRead;
        let script = format!(
            "{before} {} --exact lock::tests::somebody --nocapture",
            program.display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .env(AS_SOMEBODY_ENV, id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let lines = std::io::BufReader::new(child.stdout.as_mut().expect("a pipe")).lines();
        let said = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("GOT ")?.1.to_string()));
        (child, said.unwrap_or_else(|| format!("nothing was said by {before}")))
    }

    /// Another user, with no right that root has.
    const USER: &str = "exec setpriv --reuid 65534 --regid 65534 --clear-groups";
    /// As the unit runs it: root without root's power over files, in a mount namespace of its own.
    const UNIT: &str = "exec unshare --mount setpriv --bounding-set -dac_override";

    #[test]
    fn healers_of_two_users_exclude_each_other_whoever_comes_first() {
        if std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !status.contains("\nUid:\t0\t0")) {
            eprintln!("skipped: only root can become another user");
            return;
        }
        // The other user must reach this program.
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("it is ours");
        let program = folder.path().join("test");
        std::fs::copy(std::env::current_exe().expect("a path"), &program).expect("room for it");
        for (n, (first, second)) in [(UNIT, USER), (USER, UNIT), (USER, USER), (UNIT, UNIT)]
            .iter()
            .enumerate()
        {
            let id = format!("{} {n}", std::process::id());
            let (mut holder, said) = start(&program, &id, first);
            assert_eq!(said, "it", "{first}");
            let (mut other, said) = start(&program, &id, second);
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
