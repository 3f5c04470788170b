//! The machine: processes, files that must not be torn, locks, figures, and whether the machine goes down.
//!
//! The only crate with unsafe system calls. Linux only. Knows no engine, no protocol, no role; decides nothing.

pub mod build;
pub mod control_group;
pub mod figures;
pub mod identity;
pub mod limits;
pub mod lock;
pub mod memory;
pub mod network;
pub mod pressure;
pub mod process;
pub mod shutdown;
pub mod spawn;
pub mod systemd;

pub use lock::{Lock, LockError};
pub use network::{NetworkEntry, NoSocket};
pub use process::{Exit, Process, Signal};
pub use spawn::{Spawn, ends_with_us};
