//! Tests against a real engine, fake engines, and foreign ZeroMQ peers; starts the real daemons.

pub mod fake_engine;
