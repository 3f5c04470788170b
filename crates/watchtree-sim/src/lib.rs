//! x
pub mod log;
pub mod rng;
pub mod scene;
pub mod scheduler;
pub mod state;
