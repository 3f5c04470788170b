//! The cases: each sets up containers, does what a person or a fault does, and says what was seen, or what was wrong.

mod around;
mod case;
mod checks;
mod compose;
mod ends;
mod engine;
mod group;
mod watchdog;

pub(super) use case::{Case, Lane};

/// All of them, in the order of the table.
pub(super) fn all() -> Vec<Case> {
    let parts = [
        ends::CASES,
        checks::CASES,
        around::CASES,
        group::CASES,
        compose::CASES,
        watchdog::CASES,
        engine::CASES,
    ];
    parts.into_iter().flat_map(|cases| cases().into_iter()).collect()
}
