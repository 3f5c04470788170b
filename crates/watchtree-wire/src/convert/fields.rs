//! The fields that many messages share, in both directions: texts, names, subjects, incarnations, counts, durations.
//!
//! Contract: a text for people is cut to its limit on the way out; a name or a count over its limit is an error in both
//! directions. Knows no message.

use crate::error::{DecodeError, EncodeError};
use crate::limits::{INCARNATION_BYTES_MAX, SUBJECT_BYTES_MAX};
use watchtree_core::id::NodeName;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::Duration;
use watchtree_core::verdict::ObserverHealth;

pub(crate) type DecodeResult<T> = Result<T, DecodeError>;
pub(crate) type EncodeResult<T> = Result<T, EncodeError>;

/// The text, cut to at most `limit` bytes at a character's border.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0);
    text[..end].to_owned()
}

/// Microseconds; what does not fit 64 bits (584,000 years) is the most that does.
pub(crate) fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn check_count(field: &'static str, count: usize, limit: usize) -> EncodeResult<()> {
    if limit < count {
        Err(EncodeError::OverLimit {
            field,
            limit: limit as u64,
        })
    } else {
        Ok(())
    }
}

pub(crate) fn within(field: &'static str, count: usize, limit: usize) -> DecodeResult<()> {
    if limit < count {
        Err(DecodeError::OverLimit {
            field,
            limit: limit as u64,
        })
    } else {
        Ok(())
    }
}

pub(crate) fn text_in(field: &'static str, text: String, limit: usize) -> DecodeResult<String> {
    within(field, text.len(), limit)?;
    Ok(text)
}

pub(crate) fn array16(field: &'static str, bytes: &[u8]) -> DecodeResult<[u8; 16]> {
    bytes.try_into().map_err(|_| DecodeError::BadValue {
        field,
        must: "must be 16 bytes",
    })
}

pub(crate) fn name_in(field: &'static str, text: &str) -> DecodeResult<NodeName> {
    NodeName::new(text).map_err(|error| DecodeError::BadName { field, error })
}

pub(crate) fn subject_in(field: &'static str, text: &str) -> DecodeResult<SubjectId> {
    SubjectId::new(text).map_err(|error| DecodeError::BadName { field, error })
}

/// `SubjectId::child` may have grown a path over the limit: the other side would refuse it.
pub(crate) fn subject_out(field: &'static str, subject: &SubjectId) -> EncodeResult<String> {
    if SubjectId::new(subject.as_str()).is_err() {
        return Err(EncodeError::OverLimit {
            field,
            limit: SUBJECT_BYTES_MAX as u64,
        });
    }
    Ok(subject.as_str().to_owned())
}

pub(crate) fn incarnation_in(text: String) -> DecodeResult<Incarnation> {
    Ok(Incarnation(text_in("incarnation", text, INCARNATION_BYTES_MAX)?))
}

pub(crate) fn incarnation_out(incarnation: &Incarnation) -> EncodeResult<String> {
    check_count("incarnation", incarnation.0.len(), INCARNATION_BYTES_MAX)?;
    Ok(incarnation.0.clone())
}

pub(crate) fn health_out(health: ObserverHealth) -> u32 {
    health.0.min(ObserverHealth::MAX).into()
}

/// Worse than the worst is the worst.
pub(crate) fn health_in(health: u32) -> ObserverHealth {
    ObserverHealth(
        u8::try_from(health)
            .unwrap_or(ObserverHealth::MAX)
            .min(ObserverHealth::MAX),
    )
}
