//! The cases: each sets up containers, does what a person or a fault does, and says what was seen, or what was wrong.

mod around;
mod checks;
mod compose;
mod ends;
mod engine;
mod group;
mod watchdog;

use super::testbed::Testbed;
use anyhow::Result;
use std::time::Duration;

/// A container that is to be healed is healed within that: a machine with little processor time plays several cases at once.
const HEALED: Duration = Duration::from_secs(20);
/// One that is to be left alone is watched for so long.
const LEFT: Duration = Duration::from_secs(8);

/// Who else may be played at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lane {
    /// Everybody.
    Free,
    /// No other case with failing checks: many that are ill at once have one cause, and are treated so.
    Checks,
    /// Nobody: the engine or the watchdog is hurt.
    Alone,
}

/// One row of the table.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What happens, and what is right.
    pub(super) what: &'static str,
    pub(super) lane: Lane,
    /// Gives what was seen.
    pub(super) play: fn(&Testbed, &str) -> Result<String>,
}

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

/// For the table.
fn took(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
