//! manager-watchdog: see ARCHITECTURE.md.

fn main() {}
