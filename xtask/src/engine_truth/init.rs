//! Finds the init of a container among this machine's processes, also where its engine lives in process namespaces of its
//! own and counts its processes otherwise. It asks no engine.

use crate::process::Process;
use anyhow::{Context, Result};
use std::path::Path;

/// The process, held.
///
/// # Errors
/// There is none on this machine.
pub(crate) fn of(id: &str) -> Result<Process> {
    for entry in std::fs::read_dir("/proc").context("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(pid) = pid.filter(|_| is(&path, id)) else {
            continue;
        };
        // Held first and then looked at once more: what is held cannot become another.
        let process = Process::open(pid)?;
        if is(&path, id) {
            return Ok(process);
        }
    }
    anyhow::bail!("no process of this machine is the init of container {id}")
}

fn is(process: &Path, id: &str) -> bool {
    let read = |file: &str| std::fs::read_to_string(process.join(file)).unwrap_or_default();
    is_init(&read("cgroup"), &read("status"), id)
}

/// In a control group named after the container, and the first of its innermost process namespace.
fn is_init(cgroup: &str, status: &str, id: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let innermost = numbers.and_then(|numbers| numbers.split_whitespace().last());
    !id.is_empty() && cgroup.contains(id) && innermost == Some("1")
}

#[cfg(test)]
mod tests {
    use super::is_init;

    #[test]
    fn an_init_is_the_first_of_the_namespaces_of_that_container() {
        let id = "ab".repeat(32);
        let cgroup = format!("12:memory:/engine-truth-x/{id}\n0::/\n");
        assert!(is_init(&cgroup, "Name:\tvictim\nNSpid:\t4711\t93\t1\n", &id));
        assert!(!is_init(&cgroup, "NSpid:\t4712\t94\t17\n", &id), "an exec in it");
        assert!(!is_init("0::/system.slice\n", "NSpid:\t1\n", &id), "another's init");
        assert!(!is_init(&cgroup, "", &id));
        assert!(!is_init(&cgroup, "NSpid:\t1\n", ""), "of no container");
    }
}
