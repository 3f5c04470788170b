//! The container role: heals the containers of one engine.
//!
//! ```text
//! observe ──▶ classify ──▶ admit ──▶ repair ──▶ record ──▶ report
//! ```
//!
//! | file | what |
//! |---|---|
//! | `observation`, `inventory`, `continuity` | what is known of a container, who is who, may events be trusted |
//! | `dependencies`, `relatives`, `standing`, `namespace_away` | who depends on whom, and how they stand for each other |
//! | `engine_lives` | when the engine answered, and when it was going down or none was there |
//! | `health_check` | what the runs of a health check prove |
//! | `unsettled` | who is to be inspected again, as the last inspection left something open |
//! | `classifier`, `flag_evidence` | who or what ended a container; what the engine's manual-stop flag proves of it |
//! | `subject` | a container as a kind of subject for the one supervisor: ping, guards, reboot |
//! | `capture` | what is taken of a container before a restart destroys it |
//! | `repair`, `own_stop`, `recovery` | one repair, whose signals are whose meanwhile, how it goes on after a restart of ours |
//! | `engine_calls` | calls under way and their places |
//! | `fleet` | all containers with their supervisors: takes in, reconciles, hands out |
//! | `probes` | probes of our own: what is asked of a container that runs, when, and what the answers prove |
//! | `list_schedule`, `processes`, `backstop` | what is seen where no event tells it, and at which cost |
//! | `agent`, `lifecycle`, `outbox` | the wiring to parent, people and driver |
//!
//! Each file imports only those above it, but for `stamps`, `written`, `capture`, `record`, `health_check`, `probes`, `io`, `settings` and `labels`,
//! which all may use.

mod agent;
mod backstop;
mod capture;
pub mod classes;
mod classifier;
mod climate;
mod continuity;
mod denied_calls;
mod dependencies;
mod dependency_labels;
mod deployments;
mod engine_calls;
mod engine_lives;
mod flag_evidence;
mod fleet;
pub mod health_check;
mod inventory;
pub mod io;
pub mod labels;
mod lifecycle;
mod list_schedule;
mod namespace_away;
pub mod namespaces;
mod naming;
mod never_started;
mod observation;
mod orders;
mod outbox;
pub mod overrides;
mod own_state;
mod own_stop;
pub mod policy;
pub mod probes;
mod processes;
pub mod record;
mod recovery;
mod recreate;
mod refused_call;
mod relatives;
mod repair;
pub mod settings;
mod shim;
mod stamps;
mod standing;
mod status;
mod subject;
mod succession;
mod unsettled;
mod words;
mod written;

pub use agent::ContainerAgent;
pub use settings::{ContainerSettings, HealMode};
pub use status::ContainerCounters;
