//! What the kernel allows this process. Decides nothing.

use rustix::process::{Resource, getrlimit};

/// How many files this process may have open.
pub fn open_files_max() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    soft.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}
