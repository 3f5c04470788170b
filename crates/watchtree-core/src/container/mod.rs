//! The container role: heals the containers of one engine.
//!
//! Level-triggered: every input only changes what is known (`facts`, `stream`, a subject's repair); then each subject
//! it touches is *reconciled* from what is known, whatever order things came in.
//!
//! ```text
//! input ─▶ facts, stream, repairs ─▶ touched subjects ─▶ reconcile ─▶ journal, engine call, verdict, decision record
//!                                                          ▲   │ down:      judge ─▶ guards ─▶ start
//!                                              wake-ups ───┘   │ unhealthy: guards ─▶ stop, look, start
//!                                                              │ in repair: next step
//! ```
//!
//! Files: `facts` (what is known of a container), `stream` and `doubt` (may events be trusted), `judge` (what follows),
//! `cause` (why is it down), `guards` (may we act), `begin`, `repair`, `steps` and `answers` (the act), `recover` (after a
//! restart), `orders` (holds and people), `tell` (verdicts and records), `agent` (this machine's inputs).

mod agent;
mod answers;
mod backoff;
mod begin;
mod cause;
mod continuity;
mod doubt;
mod facts;
mod observation;
mod words;
mod guards;
pub mod io;
mod judge;
pub mod labels;
mod observe;
mod orders;
pub mod record;
mod recover;
mod repair;
pub mod settings;
mod status;
mod steps;
mod stream;
mod subject;
mod tell;

pub use agent::ContainerAgent;
pub use settings::{ContainerSettings, HealMode};
pub use status::ContainerCounters;
