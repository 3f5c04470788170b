//! What came of a case, and of an engine. It plays nothing.

use serde_json::Value;

/// What came of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// As it should be; what was seen, in a word or two.
    Ok(String),
    /// What was seen instead.
    Fail(String),
    /// Why it was not played.
    Skipped(String),
    /// The watchdog heals nothing there, and was seen to refuse; where the reason stands.
    Refused(&'static str),
}

/// One cell.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok(seen) if seen.is_empty() => f.write_str("ok"),
            Self::Ok(seen) => write!(f, "ok, {seen}"),
            Self::Fail(seen) => write!(f, "FAIL: {seen}"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
            Self::Refused(page) => write!(f, "refused ({page})"),
        }
    }
}

/// A case cannot be played here.
#[derive(Debug)]
pub(super) struct Skipped(pub(super) &'static str);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Skipped {}

/// One engine's results, in the order of the cases.
pub(super) struct Played {
    pub(super) engine: &'static str,
    pub(super) version: String,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) secs: u64,
    /// What Podman was seen to say; null for another engine.
    pub(super) podman: Value,
}
