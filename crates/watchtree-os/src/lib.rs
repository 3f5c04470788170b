//! pidfd, procfs, child processes, flock: the only crate with unsafe system calls.
