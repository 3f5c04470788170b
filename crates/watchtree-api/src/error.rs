//! Errors of the API: one code, one line of text, one cure.

use crate::types::ApiVersion;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of error it is; decides the HTTP status and the command line's exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be understood (400).
    BadRequest,
    /// This listener answers reads only (403).
    ReadOnly,
    /// No such subject or path (404).
    NotFound,
    /// The path is right, the method is not (405).
    WrongMethod,
    /// A guard or the target refused (409).
    Refused,
    /// The request is too large (413).
    TooLarge,
    /// Too much at once; try again later (429).
    Busy,
    /// The daemon cannot answer now: it starts, stops, or its link is down (503).
    Unavailable,
    /// No answer in time (504).
    Deadline,
    /// A defect of the daemon (500). Also any code of a newer version.
    #[serde(other)]
    Internal,
}

impl ErrorCode {
    /// Its HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::ReadOnly => 403,
            Self::NotFound => 404,
            Self::WrongMethod => 405,
            Self::Refused => 409,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Unavailable => 503,
            Self::Deadline => 504,
            Self::Internal => 500,
        }
    }
}

/// An error as it travels, inside [`ErrorBody`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ApiError {
    /// What kind.
    pub code: ErrorCode,
    /// In words, one line.
    pub message: String,
    /// What to do about it; empty if nothing is known.
    #[serde(default)]
    pub cure: String,
}

impl ApiError {
    /// Makes one without a cure.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            cure: String::new(),
        }
    }

    /// Adds the cure.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.cure.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.cure)
        }
    }
}

impl std::error::Error for ApiError {}

/// The body of every answer that is no success.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// See [`crate::API_VERSION`].
    #[serde(rename = "apiVersion", default)]
    pub api_version: ApiVersion,
    /// What went wrong.
    pub error: ApiError,
}
