//! What the kernel knows of a container, by its control group: whether it has processes, and which one is its init. It asks
//! no engine.

use crate::process::Process;

/// Numbers of the processes of a container.
fn processes(group: &str, id: &str) -> Vec<i32> {
    // Control groups of the first version have a tree for each controller.
    let roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];
    let read = |root: &str| std::fs::read_to_string(format!("{root}/{group}/{id}/cgroup.procs")).ok();
    let text = roots.into_iter().find_map(read).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// True if it has processes.
pub(super) fn is_alive(group: &str, id: &str) -> bool {
    !id.is_empty() && !processes(group, id).is_empty()
}

/// Its init, held; `None` if it has none.
pub(super) fn init(group: &str, id: &str) -> Option<Process> {
    if id.is_empty() {
        return None;
    }
    let found = processes(group, id).into_iter().find(|pid| is_init(*pid))?;
    // Held first and then looked at once more: what is held cannot become another.
    let process = Process::open(found).ok()?;
    (processes(group, id).contains(&found) && is_init(found)).then_some(process)
}

/// The first of its innermost process namespace.
fn is_init(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().last()) == Some("1")
}
