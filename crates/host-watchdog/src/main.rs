//! host-watchdog: see ARCHITECTURE.md.

fn main() {}
