//! Every limit of the wire, by name. docs/protocol.md has the same table; a test holds the two together.
//!
//! They are chosen so that each legal message fits a frame: when a report is too large with all its evidence, `encode`
//! sheds the oldest evidence and cuts the longest words before it gives up.

pub use watchtree_core::id::NAME_BYTES_MAX;
pub use watchtree_core::subject::{SUBJECT_BYTES_MAX, SUBJECT_SEGMENTS_MAX};

use watchtree_core::message::{Header, Message, Report};
use watchtree_core::subject::Incarnation;
use watchtree_core::verdict::{Evidence, Verdict};

/// Part 1 of every frame: protocol and major version.
pub const MAGIC: &[u8; 3] = b"WT1";
/// Parts of a frame.
pub const PARTS: usize = 3;
/// Largest part 2.
pub const HEADER_BYTES_MAX: usize = 1024;
/// Largest part 3. With CURVE's 33 bytes it stays below a `ZMQ_MAXMSGSIZE` of 256 KiB, which counts per part.
pub const BODY_BYTES_MAX: usize = 240 * 1024;
/// Most fields at the top level of one message: what a hostile frame can make us allocate is bounded before it is.
pub const FIELDS_MAX: usize = 512;
/// Most hops.
pub const HOPS_MAX: u32 = Header::HOPS_MAX as u32;
/// Longest incarnation.
pub const INCARNATION_BYTES_MAX: usize = Incarnation::BYTES_MAX;
/// Longest text for people: why, detail, result, how.
pub const TEXT_BYTES_MAX: usize = Evidence::DETAIL_BYTES_MAX;
/// Longest remark.
pub const REMARK_BYTES_MAX: usize = 256;
/// Most remarks of one verdict.
pub const REMARKS_MAX: usize = Verdict::REMARKS_MAX;
/// Most evidence of one verdict or decision.
pub const EVIDENCE_MAX: usize = Evidence::COUNT_MAX;
/// Longest word (kind of evidence, guard, figure, reason, digest algorithm).
pub const WORD_BYTES_MAX: usize = 64;
/// Longest version of a program.
pub const VERSION_BYTES_MAX: usize = 128;
/// Longest address.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Most addresses in a Hello.
pub const LOOK_AT_MAX: usize = 4;
/// Most figures in a Beat.
pub const FIGURES_MAX: usize = 16;
/// Most verdicts in a Report or a Snapshot chunk.
pub const VERDICTS_MAX: usize = Report::VERDICTS_MAX;
/// Most subjects that are gone in a Report.
pub const GONE_MAX: usize = Report::GONE_MAX;
/// Chunks of a Snapshot are numbered below this.
pub const SNAPSHOT_CHUNKS_MAX: u32 = 4096;
/// Most decision records in an Events.
pub const DECISIONS_MAX: usize = Message::DECISIONS_MAX;
/// Most guards of one decision.
pub const GUARDS_MAX: usize = 24;
/// Largest encoded order.
pub const ORDER_BYTES_MAX: usize = 2048;
/// Longest name of who asked for an order.
pub const ASKED_BY_BYTES_MAX: usize = 128;
/// Digits of a key id.
pub const KEY_ID_BYTES: usize = 16;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Shortest interval a parent may ask for.
pub const BEAT_EVERY_US_MIN: u64 = 20_000;
/// Longest interval a parent may ask for.
pub const BEAT_EVERY_US_MAX: u64 = 60_000_000;
/// Longest look.
pub const LOOK_WITHIN_US_MAX: u64 = 60_000_000;
/// What a Goodbye without a usable reason or time is taken to ask for.
pub const BACK_WITHIN_US_DEFAULT: u64 = 30_000_000;
