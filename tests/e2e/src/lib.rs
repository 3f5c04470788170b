//! Tests against a real engine, fake engines, and foreign ZeroMQ peers; starts the real daemons.

pub mod fake_engine;
pub mod healer;
pub mod host_support;
pub mod manager_support;
pub mod one_container;
pub mod programs;
pub mod real_engine;
pub mod stopwatch;
