//! The types generated from `proto/`. They are private to this crate.
#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/watchtree.link.v1.rs"));
