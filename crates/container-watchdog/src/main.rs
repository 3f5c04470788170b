//! container-watchdog: see ARCHITECTURE.md.

fn main() {}
