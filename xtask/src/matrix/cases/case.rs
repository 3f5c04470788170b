//! What a case is, and the bounds that the cases have in common. It knows none of them.

use crate::matrix::testbed::Testbed;
use anyhow::Result;
use std::time::Duration;

/// A container that is to be healed is healed within that: a machine with little processor time plays several cases at once.
pub(super) const HEALED: Duration = Duration::from_secs(20);
/// One that is to be left alone is watched for so long.
pub(super) const LEFT: Duration = Duration::from_secs(8);

/// Who else may be played at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::matrix) enum Lane {
    /// Everybody.
    Free,
    /// Everybody, and it takes so long that it is begun first.
    Long,
    /// No other case with failing checks: many that are ill at once have one cause, and are treated so.
    Checks,
    /// Nobody: the engine or the watchdog is hurt.
    Alone,
}

/// One row of the table.
pub(in crate::matrix) struct Case {
    pub(in crate::matrix) name: &'static str,
    /// What happens, and what is right.
    pub(in crate::matrix) what: &'static str,
    pub(in crate::matrix) lane: Lane,
    /// Gives what was seen.
    pub(in crate::matrix) play: fn(&Testbed, &str) -> Result<String>,
}

/// For the table.
pub(super) fn took(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
