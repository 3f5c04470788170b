//! The manager role: the tree of all hosts, incidents, orders.

pub mod io;
