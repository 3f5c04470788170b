//! One container engine: bollard's answers as core observations, core calls as requests.
//!
//! The only crate that knows bollard. It decides nothing: [`Engine`] makes single calls, each with a deadline that covers
//! the body; [`EngineExecutor`] makes them for the container role and returns the answers as its inputs.
//! The environment of a container is never read out of an answer, and never leaves this crate.

mod address;
mod convert;
mod engine;
mod error;
mod events;
mod exec;
mod executor;
mod labels;
mod logs;
mod manual_stop;
mod namespaces;
mod timestamp;
mod transport;

pub use engine::{Engine, EngineInfo};
pub use error::SocketTrouble;
pub use events::{EVENT_QUEUE_EVENTS_MAX, EventStream, StreamItem};
pub use exec::{ExecEnd, ExecProcess, exec, exec_process};
pub use executor::EngineExecutor;
pub use logs::{LastLines, last_lines};
