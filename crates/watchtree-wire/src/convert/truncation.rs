//! How much evidence and text of a message is kept so that it fits a frame.

use crate::limits::{EVIDENCE_MAX, REMARKS_MAX, TEXT_BYTES_MAX};

/// How much of the evidence and of the words a message keeps. A report that is too large for a frame is better sent
/// with less evidence than not at all: it would be repeated for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TruncationLevel {
    /// Pieces of evidence, the newest.
    pub(crate) evidence: usize,
    /// Bytes of each detail.
    pub(crate) detail_bytes: usize,
    /// Remarks, the first.
    pub(crate) remarks: usize,
}

impl TruncationLevel {
    /// From everything to what fits in every case (a test fills every field to its limit).
    pub(crate) const ALL: [Self; 3] = [
        Self {
            evidence: EVIDENCE_MAX,
            detail_bytes: TEXT_BYTES_MAX,
            remarks: REMARKS_MAX,
        },
        Self {
            evidence: 4,
            detail_bytes: 256,
            remarks: 4,
        },
        Self {
            evidence: 1,
            detail_bytes: 128,
            remarks: 2,
        },
    ];
}
