//! `watchtree`: the command line of the tree.

fn main() {}
