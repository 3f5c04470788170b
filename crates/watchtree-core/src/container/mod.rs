//! The container role: heals the containers of one engine.

pub mod io;
pub mod record;
