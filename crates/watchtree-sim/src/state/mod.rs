//! What is: engines and their containers, the clocks of machines, processes, disks, connections. Nothing here decides what
//! happens next, and nothing judges.

pub mod clock;
pub mod disk;
pub mod engine;
pub mod network;
pub mod process;
