//! What is: engines and their containers, machines with their clocks, disks, processes, the network. Nothing here decides what
//! happens next, and nothing judges.

pub mod engine;
