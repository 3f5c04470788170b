//! The hands of the container role on one engine: bollard's answers as core observations, core calls as requests.
//!
//! The only crate that knows bollard. It decides nothing: [`Engine`] makes single calls, each with a deadline that covers
//! the body; [`Hands`] performs the effects of the container role and feeds the answers back as its inputs.
//! The environment of a container is never read out of an answer, and never leaves this crate.

mod convert;
mod engine;
mod error;
mod events;
mod hands;
mod mark;
mod timestamp;
mod transport;

pub use engine::{Engine, EngineInfo};
pub use error::SocketTrouble;
pub use events::{EVENT_QUEUE_EVENTS_MAX, EventStream, StreamItem};
pub use hands::Hands;
