//! The host role: keeps the container-watchdogs of one machine alive, probes its engines, reports its health.

pub mod io;
