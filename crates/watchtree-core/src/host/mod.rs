//! The host role: keeps the container-watchdogs of one machine alive, probes and repairs its engines, reports its health.
//!
//! ```text
//!   container-watchdog ──ipc──▶ Children ──▶ HostAgent ──▶ Uplink ──tcp──▶ manager
//!      (child process)                        │   ▲
//!              StartChild, SignalChild ◀──────┘   └──── pidfd, probes, figures
//! ```
//!
//! Passes reports, events and order results of its children up, and orders for them down, byte for byte. Needs no manager
//! for any of what it does to its children. Each piece has one owner:
//!
//! | file | owns |
//! |---|---|
//! | `child_process` | what the kernel and the link have shown of one child |
//! | `child_exit` | the classification of its exits (pure) |
//! | `child_subject` | its ping, guards and reboot, for the one supervisor |
//! | `engine_monitor` | the probes of one engine |
//! | `engine_subject` | its ping, guards and reboot |
//! | `engine_io` | the engine's part of the border |
//! | `watched_engine`, `children` | one engine with both; all of them, with their links |
//! | `host_health` | the machine's figures and remarks |
//! | `orders` | orders for this node, holds |
//! | `alerts` | what a person is called for by the host itself |
//! | `uplink`, `outbox` | the two ways out: reports to the manager; records, conditions, effects |
//! | `agent` | the wiring |
//!
//! Suspects itself first: after its start or a stall of its own no child is judged before a whole healthy window, in
//! which the backlog of their beats is taken by their slots.

mod agent;
mod alerts;
mod child_exit;
mod child_process;
mod child_subject;
mod children;
mod engine_io;
mod engine_monitor;
mod engine_subject;
mod host_health;
pub mod io;
mod orders;
mod outbox;
mod uplink;
mod watched_engine;

pub use agent::HostAgent;

#[cfg(test)]
mod tests;
