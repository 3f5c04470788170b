//! The one tokio driver of a core machine: clock, signals, sd_notify, tracing.
