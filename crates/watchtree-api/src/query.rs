//! The JSON types of requests: queries of the reads and the body of the writes, with their limits.

use crate::error::{ApiError, ErrorCode};
use crate::limits::{EVENTS_PER_ANSWER_MAX, HOLD_MS_MAX, WAIT_MS_MAX};
use serde::{Deserialize, Serialize};

/// Query of the tree.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TreeQuery {
    /// Levels below the tops to show; `None` = all. 0 = only the tops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// Shows only subjects whose path contains this text, or whose state is this word (`ill` = every state that is an
    /// incident), with their ancestors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// Query of the incidents.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IncidentQuery {
    /// Also the closed ones, newest last.
    pub all: bool,
    /// Most incidents; `None` = the server's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Query of the events.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventQuery {
    /// Only events with a greater cursor; `None` = the newest `limit` ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// If there is none yet, wait so long for the first (long poll); at most [`WAIT_MS_MAX`].
    pub wait_ms: u64,
    /// Most events; `None` = 100. At most [`EVENTS_PER_ANSWER_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only of this subject and everything below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl EventQuery {
    /// The limit that applies.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, EVENTS_PER_ANSWER_MAX)
    }

    /// The waiting time that applies, in milliseconds.
    pub fn wait_ms(&self) -> u64 {
        self.wait_ms.min(WAIT_MS_MAX)
    }
}

/// What a person may ask for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AskVerb {
    /// Keep repairs away.
    #[default]
    Hold,
    /// End a hold.
    Release,
    /// Forget the used-up budget and try again.
    Retry,
    /// Take a host that will not come back out of the tree; the manager does it.
    Forget,
}

impl AskVerb {
    /// Lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::Forget => "forget",
        }
    }
}

/// The body of a write. The verb is the path's; the one in the body is not read.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// What is asked.
    pub verb: AskVerb,
    /// About whom: `h1/docker/shop/web/1`.
    pub subject: String,
    /// How long a hold lasts; at most [`HOLD_MS_MAX`]. Must be there for a hold, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<u64>,
    /// About which life of it; empty = whichever.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub incarnation: String,
    /// Who asks, for the record. The server puts the user id that the kernel vouches for in front.
    pub asked_by: String,
}

impl Ask {
    /// Checks what can be checked without knowing the tree.
    ///
    /// # Errors
    /// `BadRequest` with the cure.
    pub fn check(&self) -> Result<(), ApiError> {
        let bad = |message: &str, cure: &str| Err(ApiError::new(ErrorCode::BadRequest, message).cure(cure));
        if self.subject.is_empty() {
            return bad("no subject is named", "give `subject`, as `watchtree tree` shows it");
        }
        match (self.verb, self.lasts_ms) {
            (AskVerb::Hold, None | Some(0)) => bad("a hold needs its length", "give `lasts_ms` above 0"),
            (AskVerb::Hold, Some(ms)) if HOLD_MS_MAX < ms => bad("the hold is too long", "at most 7 days (7d)"),
            (AskVerb::Release | AskVerb::Retry | AskVerb::Forget, Some(_)) => {
                bad("only a hold has a length", "leave `lasts_ms` out")
            }
            _ => Ok(()),
        }
    }
}

/// Reads a length of time as people write it: `90s`, `30m`, `2h`, `7d`, `1h30m`, `500ms`. Returns milliseconds.
///
/// # Errors
/// One line with the cure.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no length of time: write it as 90s, 30m, 2h, 1h30m or 7d");
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        total = number
            .checked_mul(unit_ms)
            .and_then(|ms| total.checked_add(ms))
            .ok_or_else(bad)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        assert_eq!(parse_duration_ms("30m"), Ok(1_800_000));
        assert_eq!(parse_duration_ms("1h30m"), Ok(5_400_000));
        assert_eq!(parse_duration_ms("500ms"), Ok(500));
        for bad in [
            "",
            "30",
            "m",
            "-1s",
            "1y",
            "1.5h",
            "99999999999999999999s",
            "18446744073709551615d",
            "5 m",
        ] {
            assert!(parse_duration_ms(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn a_hold_has_a_length_and_nothing_else_has() {
        let ask = |verb, lasts_ms| {
            Ask {
                verb,
                subject: "h1".into(),
                lasts_ms,
                ..Ask::default()
            }
            .check()
            .is_ok()
        };
        assert!(ask(AskVerb::Hold, Some(1)));
        assert!(!ask(AskVerb::Hold, None));
        assert!(!ask(AskVerb::Hold, Some(HOLD_MS_MAX + 1)));
        assert!(ask(AskVerb::Retry, None));
        assert!(!ask(AskVerb::Release, Some(5)));
    }
}
