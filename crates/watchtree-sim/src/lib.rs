//! The world of Watchtree's tests in one thread: a whole fleet from a seed, or one host with times that are the same in each
//! run.
//!
//! Three rooms that see each other one way. `state` is what is: engines, machines with their clocks, disks, processes,
//! connections. `scheduler` is what happens next: one queue of events from a seed, with the faults among them; it drives the
//! very machines of `watchtree-core` that run in the daemons, and writes a log of what was to be seen. `checker` is what must
//! hold: it reads that log and nothing else.
//!
//! A run is a pure function of its seed: faults for 80 virtual seconds, then calm, then the final rules. It ends at the first
//! broken rule, by name; and it counts the faults that really happened, so that a green run is known not to be an empty one.

pub mod checker;
pub mod log;
pub mod rng;
pub mod run;
pub mod scene;
pub mod scheduler;
pub mod script;
pub mod state;
pub(crate) mod story;
