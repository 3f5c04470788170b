//! Errors of the wire: why bytes were refused, and why a message could not be written.

use watchtree_core::id::NameError;

/// Why a frame (or an order) was not taken. [`DecodeError::reason`] is the word for counters; `Display` is that word and
/// what would have been accepted (`too_large: the body has …`): the `detail` of a `Refused` with reason `undecodable`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A frame is not three parts.
    #[error("bad_part_count: a frame has 3 parts (WT1, header, body), this one has {parts}")]
    PartCount {
        /// Parts it had.
        parts: usize,
    },
    /// Part 1 is not of this protocol at all.
    #[error("bad_magic: part 1 of a frame is WT1")]
    BadMagic,
    /// Part 1 names another major version.
    #[error("unsupported_version: major version {major:?} is not spoken here, only 1 (part 1 = WT1)")]
    UnsupportedVersion {
        /// The character after `WT`.
        major: char,
    },
    /// Part 2 or 3 is over its limit.
    #[error("too_large: the {part} has {bytes} bytes, at most {limit} are taken")]
    TooLarge {
        /// `header`, `body` or `order`.
        part: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Part 2 is no `Header`.
    #[error("bad_header: the header is no protobuf message watchtree.link.v1.Header")]
    BadHeader,
    /// Part 3 is not the message that the header names.
    #[error("bad_body: the body is no protobuf message of the kind that the header names")]
    BadBody,
    /// The header names a kind that this version does not know.
    #[error("unknown_kind: message kind {kind} is not known here, only 1 to {known}")]
    UnknownKind {
        /// The number.
        kind: i32,
        /// The highest that is known.
        known: i32,
    },
    /// A field is longer, larger or more often there than allowed.
    #[error("over_limit: {field}: at most {limit} are taken")]
    OverLimit {
        /// Its name in the proto file.
        field: &'static str,
        /// Of bytes, of entries, or of the value, as the table of limits says.
        limit: u64,
    },
    /// A name or a subject is none.
    #[error("bad_name: {field}: {error}")]
    BadName {
        /// Its name in the proto file.
        field: &'static str,
        /// What is wrong with it.
        error: NameError,
    },
    /// A field that must be there is not.
    #[error("missing_field: {field} is missing")]
    MissingField {
        /// Its name in the proto file.
        field: &'static str,
    },
    /// A field has a value that means nothing.
    #[error("bad_value: {field}: {must}")]
    BadValue {
        /// Its name in the proto file.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// Hello or Welcome names another node, boot or epoch than its header.
    #[error("identity_mismatch: name, boot_id and agent_epoch of the identity must equal the header's")]
    IdentityMismatch,
}

impl DecodeError {
    /// The snake_case word for counters, and the first of a `Refused`'s detail. A closed set: see docs/protocol.md, "Refusals".
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::PartCount { .. } => "bad_part_count",
            Self::BadMagic => "bad_magic",
            Self::UnsupportedVersion { .. } => "unsupported_version",
            Self::TooLarge { .. } => "too_large",
            Self::BadHeader => "bad_header",
            Self::BadBody => "bad_body",
            Self::UnknownKind { .. } => "unknown_kind",
            Self::OverLimit { .. } => "over_limit",
            Self::BadName { .. } => "bad_name",
            Self::MissingField { .. } => "missing_field",
            Self::BadValue { .. } => "bad_value",
            Self::IdentityMismatch => "identity_mismatch",
        }
    }

    /// All words [`DecodeError::reason`] can give, for tables and counters.
    pub const REASONS: [&'static str; 12] = [
        "bad_part_count",
        "bad_magic",
        "unsupported_version",
        "too_large",
        "bad_header",
        "bad_body",
        "unknown_kind",
        "over_limit",
        "bad_name",
        "missing_field",
        "bad_value",
        "identity_mismatch",
    ];
}

/// Why a message was not written: a limit was broken by our own side, and cutting would change the meaning.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// More entries, bytes or hops than allowed.
    #[error("{field} is over its limit of {limit}")]
    OverLimit {
        /// Its name in the proto file.
        field: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A value that the other side would refuse.
    #[error("{field}: {must}")]
    BadValue {
        /// Its name in the proto file.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// It does not fit a frame, even with evidence shed.
    #[error("the body has {bytes} bytes, at most {limit} fit a frame")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}
