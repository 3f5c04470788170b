//! The pure core: every decision of Watchtree, without clock, socket, file, thread or log.
//!
//! Time is a number passed in, randomness a seed, collections are ordered; equal inputs give equal effects. The daemons
//! drive these machines with `watchtree-runtime`, the simulator drives the same ones with virtual time.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod backend;
pub mod conditions;
pub mod container;
mod deadlines;
pub mod decision;
mod detector;
mod explain;
#[cfg(test)]
mod fixture;
pub mod frontend;
pub mod hash;
mod holds;
pub mod host;
pub mod id;
pub mod incident;
pub mod machine;
pub mod manager;
pub mod message;
pub mod order;
mod order_inbox;
pub mod pressure;
pub mod random;
pub mod recorder;
mod report;
pub mod subject;
pub mod supervisor;
pub mod time;
mod tree;
pub mod verdict;
mod words;
