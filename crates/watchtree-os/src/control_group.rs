//! The control groups of a process, of either version: its processes, its memory and its pids. What cannot be read is left out. Reads only;
//! never arguments, never an environment. Call it from a blocking task. Decides nothing.

use crate::process;
use std::io;
use std::path::{Path, PathBuf};
use watchtree_core::container::io::Usage;

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";
/// From here on a limit of the first version means none: the kernel rounds the largest number down to whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// The groups of one process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControlGroups {
    root: PathBuf,
    /// A line each, as `/proc` lists them.
    lines: String,
}

/// Memory of a group.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryFigures {
    /// In bytes.
    pub usage: Usage,
    /// How often it was at its limit since it was made.
    pub at_limit: u64,
}

impl ControlGroups {
    /// Those of a process.
    ///
    /// # Errors
    /// It has ended, or cannot be looked at.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self::at(Path::new(ROOT), process::control_groups(pid)?))
    }

    fn at(root: &Path, lines: String) -> Self {
        let root = root.to_owned();
        Self { root, lines }
    }

    /// The folder of a controller, of whichever version has it.
    fn folder(&self, controller: &str) -> Option<(PathBuf, bool)> {
        let mut second = None;
        for line in self.lines.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (names, path) = (fields.next()?, fields.next()?);
            // A path that leads out of what is mounted here leads nowhere.
            if path.split('/').any(|part| part == "..") {
                continue;
            }
            let path = path.trim_start_matches('/');
            if names.split(',').any(|name| name == controller) {
                return Some((self.root.join(names).join(path), false));
            }
            if names.is_empty() {
                second = Some((self.root.join(path), true));
            }
        }
        second
    }

    /// Memory, and how often it was at its limit.
    pub fn memory(&self) -> Option<MemoryFigures> {
        let (folder, is_second) = self.folder("memory")?;
        let [current, max] = match is_second {
            true => ["memory.current", "memory.max"],
            false => ["memory.usage_in_bytes", "memory.limit_in_bytes"],
        };
        let usage = Usage {
            current: number(&folder, current)?,
            max: number(&folder, max).filter(|max| *max < NO_LIMIT),
        };
        let at_limit = match is_second {
            true => std::fs::read_to_string(folder.join("memory.events"))
                .ok()
                .and_then(|it| event(&it, "max")),
            false => number(&folder, "memory.failcnt"),
        };
        let at_limit = at_limit.unwrap_or(0);
        Some(MemoryFigures { usage, at_limit })
    }

    /// Processes and threads together.
    pub fn pids(&self) -> Option<Usage> {
        let (folder, _) = self.folder("pids")?;
        Some(Usage {
            current: number(&folder, "pids.current")?,
            max: number(&folder, "pids.max"),
        })
    }

    /// The numbers of its processes; at most `count`.
    pub fn processes(&self, count: usize) -> Vec<u32> {
        let folder = self.folder("pids").or_else(|| self.folder("memory"));
        let text = folder.and_then(|(folder, _)| std::fs::read_to_string(folder.join("cgroup.procs")).ok());
        let text = text.unwrap_or_default();
        text.lines()
            .filter_map(|line| line.trim().parse().ok())
            .take(count)
            .collect()
    }
}

/// A file with a number; `max` is none.
fn number(folder: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
}

/// `low 0\nhigh 0\nmax 12\n…`
fn event(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(it, _)| *it == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    //! Both versions, in a folder of ours.
    use super::*;

    fn groups(files: &[(&str, &str)], lines: &str) -> (tempfile::TempDir, ControlGroups) {
        let root = tempfile::tempdir().expect("a folder");
        for (file, text) in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let groups = ControlGroups::at(root.path(), lines.to_owned());
        (root, groups)
    }

    #[test]
    fn the_first_version() {
        let files = [
            ("memory/docker/c1/memory.usage_in_bytes", "1048576\n"),
            ("memory/docker/c1/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/c1/memory.failcnt", "3\n"),
            ("pids/docker/c1/pids.current", "64\n"),
            ("pids/docker/c1/pids.max", "64\n"),
            ("pids/docker/c1/cgroup.procs", "7\n8\n9\n"),
        ];
        let (_root, it) = groups(
            &files,
            "9:name=systemd:/x\n8:pids:/docker/c1\n4:memory:/docker/c1\n0::/\n",
        );
        let usage = Usage {
            current: 1 << 20,
            max: None,
        };
        assert_eq!(it.memory(), Some(MemoryFigures { usage, at_limit: 3 }));
        assert!(it.pids().is_some_and(Usage::is_exhausted));
        assert_eq!(it.processes(2), [7, 8]);
    }

    #[test]
    fn the_second_version() {
        let files = [
            ("system.slice/c1/memory.current", "4096\n"),
            ("system.slice/c1/memory.max", "8192\n"),
            (
                "system.slice/c1/memory.events",
                "low 0\nhigh 2\nmax 12\noom 1\noom_kill 1\n",
            ),
            ("system.slice/c1/pids.current", "3\n"),
            ("system.slice/c1/pids.max", "max\n"),
            ("system.slice/c1/cgroup.procs", "7\n"),
        ];
        let (_root, it) = groups(&files, "0::/system.slice/c1\n");
        let usage = |current, max| Usage { current, max };
        let memory = MemoryFigures {
            usage: usage(4096, Some(8192)),
            at_limit: 12,
        };
        assert_eq!(it.memory(), Some(memory));
        assert_eq!((it.pids(), it.processes(32)), (Some(usage(3, None)), vec![7]));
    }

    #[test]
    fn what_is_not_shown_here_is_left_out() {
        for lines in ["", "0::/../../elsewhere\n", "8:pids:/gone\n", "nonsense"] {
            let (_root, it) = groups(&[("pids.current", "1")], lines);
            assert_eq!(
                (it.memory(), it.pids(), it.processes(8)),
                (None, None, vec![]),
                "{lines}"
            );
        }
    }
}
