//! One acting healer per engine: a lock by the engine's id, in places that all users of this machine share.
//!
//! Root writes to `/run/watchtree`, members of the engine's group only to `/run/lock`; so every place that can be used is
//! locked, and one that is taken is enough to stay away. Only who may use the engine knows its id. An observer needs no
//! lock. Does not see healers in other mount namespaces (in containers).

use std::path::PathBuf;
use watchtree_docker::EngineInfo;
use watchtree_os::{LockError, LockFile};
use watchtree_runtime::{Code, Exit};

/// Held while this process may act.
#[derive(Debug)]
pub(crate) struct EngineLock {
    _files: Vec<LockFile>,
}

impl EngineLock {
    /// Takes it at once or not at all. `who` is written into the files for people to read.
    pub(crate) fn take(info: &EngineInfo, who: &str) -> Result<Self, Exit> {
        let owner = format!("pid {} {who}", std::process::id());
        let mut files = Vec::new();
        let mut trouble = String::from("no place to lock");
        for path in places(&file_name(info)) {
            match LockFile::take(&path, &owner) {
                Ok(file) => files.push(file),
                Err(LockError::Taken { path, owner }) => {
                    let line = format!(
                        "another healer acts on this engine: {} is held by {owner}; stop that one, or run this one with --observe",
                        path.display()
                    );
                    return Err(Exit::new(Code::Taken, line));
                }
                Err(error @ LockError::Io { .. }) => trouble = error.to_string(),
            }
        }
        if files.is_empty() {
            let line = format!(
                "cannot make sure that no other healer acts on this engine: {trouble}; make /run/lock writable"
            );
            return Err(Exit::new(Code::NoRights, line));
        }
        Ok(Self { _files: files })
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

fn places(name: &str) -> Vec<PathBuf> {
    let shared = PathBuf::from("/run/watchtree");
    // Made where this user may; the other places remain where not.
    let _ = std::fs::create_dir_all(&shared);
    let mut folders = vec![shared, PathBuf::from("/run/lock")];
    folders.extend(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    folders
        .into_iter()
        .filter(|folder| folder.is_dir())
        .map(|folder| folder.join(name))
        .collect()
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
            for path in places(&name) {
                let _ = std::fs::remove_file(path);
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
}
