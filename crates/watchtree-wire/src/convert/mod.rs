//! Core types to generated types and back. One pair of functions per type: `..._out` and `..._in`.
//!
//! Contract: `in` of `out` is the same value, but for texts over their limit and for what [`Thrift`] shed.

mod decision;
mod session;
mod verdict;

use crate::error::{DecodeError, EncodeError};
use crate::frame::shape_is_sane;
use crate::limits::{
    DECISIONS_MAX, INCARNATION_BYTES_MAX, KEY_ID_BYTES, ORDER_BYTES_MAX, SIGNATURE_BYTES, TEXT_BYTES_MAX,
    WORD_BYTES_MAX,
};
use crate::pb::{self, MessageKind};
use prost::Message as _;
use watchtree_core::id::NodeName;
use watchtree_core::message::{Header, Message};
use watchtree_core::order::{OrderAnswer, OrderRefusal, SignedOrder};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::Duration;
use watchtree_core::verdict::ObserverHealth;

pub(crate) use session::{header_in, header_out};

pub(crate) type DecodeResult<T> = Result<T, DecodeError>;
pub(crate) type EncodeResult<T> = Result<T, EncodeError>;

/// How much of the evidence and of the words a message keeps. A report that is too large for a frame is better sent
/// with less evidence than not at all: it would be repeated for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thrift {
    /// Pieces of evidence, the newest.
    pub(crate) evidence: usize,
    /// Bytes of each detail.
    pub(crate) detail_bytes: usize,
    /// Remarks, the first.
    pub(crate) remarks: usize,
}

impl Thrift {
    /// From everything to what fits in every case (a test fills every field to its limit).
    pub(crate) const STEPS: [Self; 3] = [
        Self {
            evidence: crate::limits::EVIDENCE_MAX,
            detail_bytes: TEXT_BYTES_MAX,
            remarks: crate::limits::REMARKS_MAX,
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

/// Which number a message goes by.
pub(crate) const fn kind_of(message: &Message) -> MessageKind {
    match message {
        Message::Hello(_) => MessageKind::Hello,
        Message::Welcome(_) => MessageKind::Welcome,
        Message::ReHello { .. } => MessageKind::ReHello,
        Message::Beat(_) => MessageKind::Beat,
        Message::BeatAck(_) => MessageKind::BeatAck,
        Message::Ping { .. } => MessageKind::Ping,
        Message::Pong { .. } => MessageKind::Pong,
        Message::Report(_) => MessageKind::Report,
        Message::ReportAck { .. } => MessageKind::ReportAck,
        Message::Events { .. } => MessageKind::Events,
        Message::Order(_) => MessageKind::Order,
        Message::OrderResult(_) => MessageKind::OrderResult,
        Message::SnapshotRequest => MessageKind::SnapshotRequest,
        Message::Snapshot { .. } => MessageKind::Snapshot,
        Message::Goodbye(_) => MessageKind::Goodbye,
        Message::ProbeRequest { .. } => MessageKind::ProbeRequest,
        Message::ProbeResult { .. } => MessageKind::ProbeResult,
        Message::Refused { .. } => MessageKind::Refused,
    }
}

/// Part 3.
pub(crate) fn body_out(message: &Message, thrift: Thrift) -> EncodeResult<Vec<u8>> {
    Ok(match message {
        Message::Hello(hello) => session::hello_out(hello)?.encode_to_vec(),
        Message::Welcome(welcome) => session::welcome_out(welcome)?.encode_to_vec(),
        Message::ReHello { why } => pb::ReHello {
            why: cut(why, TEXT_BYTES_MAX),
        }
        .encode_to_vec(),
        Message::Beat(beat) => session::beat_out(beat)?.encode_to_vec(),
        Message::BeatAck(ack) => session::beat_ack_out(ack).encode_to_vec(),
        Message::Ping { nonce } => pb::Ping { nonce: *nonce }.encode_to_vec(),
        Message::Pong { nonce, health } => pb::Pong {
            nonce: *nonce,
            health: health_out(*health),
        }
        .encode_to_vec(),
        Message::Report(report) => verdict::report_out(report, thrift)?.encode_to_vec(),
        Message::ReportAck { number } => pb::ReportAck { number: *number }.encode_to_vec(),
        Message::Events { decisions, dropped } => {
            check_count("decisions", decisions.len(), DECISIONS_MAX)?;
            let decisions = decisions
                .iter()
                .map(|d| decision::decision_out(d, thrift))
                .collect::<EncodeResult<_>>()?;
            pb::Events {
                decisions,
                dropped: *dropped,
            }
            .encode_to_vec()
        }
        Message::Order(order) => signed_out(order)?.encode_to_vec(),
        Message::OrderResult(answer) => answer_out(answer).encode_to_vec(),
        Message::SnapshotRequest => pb::SnapshotRequest {}.encode_to_vec(),
        Message::Snapshot {
            scope,
            chunk,
            last,
            verdicts,
            digest,
        } => verdict::snapshot_out(scope, *chunk, *last, verdicts, digest, thrift)?.encode_to_vec(),
        Message::Goodbye(goodbye) => session::goodbye_out(*goodbye).encode_to_vec(),
        Message::ProbeRequest {
            nonce,
            target,
            address,
            within,
        } => session::probe_request_out(*nonce, target, address, *within)?.encode_to_vec(),
        Message::ProbeResult {
            nonce,
            target,
            look,
            health,
        } => session::probe_result_out(*nonce, target, look, *health).encode_to_vec(),
        Message::Refused { seq, reason, detail } => {
            let (reason, detail) = (cut(reason, WORD_BYTES_MAX), cut(detail, TEXT_BYTES_MAX));
            pb::Refused {
                seq: *seq,
                reason,
                detail,
            }
            .encode_to_vec()
        }
    })
}

/// Reads part 3 as the message that `kind` names.
pub(crate) fn body_in(kind: MessageKind, bytes: &[u8], header: &Header) -> DecodeResult<Message> {
    if !shape_is_sane(bytes) {
        return Err(DecodeError::BadBody);
    }
    Ok(match kind {
        MessageKind::Unspecified => return Err(DecodeError::MissingField { field: "kind" }),
        MessageKind::Hello => Message::Hello(session::hello_in(read(bytes)?, header)?),
        MessageKind::Welcome => Message::Welcome(session::welcome_in(read(bytes)?, header)?),
        MessageKind::ReHello => Message::ReHello {
            why: text_in("why", read::<pb::ReHello>(bytes)?.why, TEXT_BYTES_MAX)?,
        },
        MessageKind::Beat => Message::Beat(session::beat_in(read(bytes)?)?),
        MessageKind::BeatAck => Message::BeatAck(session::beat_ack_in(&read(bytes)?)),
        MessageKind::Ping => Message::Ping {
            nonce: read::<pb::Ping>(bytes)?.nonce,
        },
        MessageKind::Pong => {
            let pong: pb::Pong = read(bytes)?;
            Message::Pong {
                nonce: pong.nonce,
                health: health_in(pong.health),
            }
        }
        MessageKind::Report => Message::Report(verdict::report_in(read(bytes)?)?),
        MessageKind::ReportAck => Message::ReportAck {
            number: read::<pb::ReportAck>(bytes)?.number,
        },
        MessageKind::Events => {
            let events: pb::Events = read(bytes)?;
            within("decisions", events.decisions.len(), DECISIONS_MAX)?;
            let decisions = events
                .decisions
                .into_iter()
                .map(decision::decision_in)
                .collect::<DecodeResult<_>>()?;
            Message::Events {
                decisions,
                dropped: events.dropped,
            }
        }
        MessageKind::Order => Message::Order(signed_in(read(bytes)?)?),
        MessageKind::OrderResult => Message::OrderResult(answer_in(read(bytes)?)?),
        MessageKind::SnapshotRequest => {
            read::<pb::SnapshotRequest>(bytes)?;
            Message::SnapshotRequest
        }
        MessageKind::Snapshot => verdict::snapshot_in(read(bytes)?)?,
        MessageKind::Goodbye => Message::Goodbye(session::goodbye_in(&read(bytes)?)),
        MessageKind::ProbeRequest => session::probe_request_in(read(bytes)?)?,
        MessageKind::ProbeResult => session::probe_result_in(read(bytes)?)?,
        MessageKind::Refused => {
            let refused: pb::Refused = read(bytes)?;
            Message::Refused {
                seq: refused.seq,
                reason: text_in("reason", refused.reason, WORD_BYTES_MAX)?,
                detail: text_in("detail", refused.detail, TEXT_BYTES_MAX)?,
            }
        }
    })
}

fn read<T: prost::Message + Default>(bytes: &[u8]) -> DecodeResult<T> {
    T::decode(bytes).map_err(|_| DecodeError::BadBody)
}

// --- orders as they travel -----------------------------------------------------------------------------------------

fn signed_out(order: &SignedOrder) -> EncodeResult<pb::SignedOrder> {
    check_count("order", order.bytes.len(), ORDER_BYTES_MAX)?;
    if !is_key_id(&order.key_id) {
        return Err(EncodeError::BadValue {
            field: "key_id",
            must: KEY_ID_MUST,
        });
    }
    if order.signature.len() != SIGNATURE_BYTES {
        return Err(EncodeError::BadValue {
            field: "signature",
            must: SIGNATURE_MUST,
        });
    }
    Ok(pb::SignedOrder {
        order: order.bytes.clone(),
        key_id: order.key_id.clone(),
        signature: order.signature.clone(),
    })
}

fn signed_in(order: pb::SignedOrder) -> DecodeResult<SignedOrder> {
    within("order", order.order.len(), ORDER_BYTES_MAX)?;
    if !is_key_id(&order.key_id) {
        return Err(DecodeError::BadValue {
            field: "key_id",
            must: KEY_ID_MUST,
        });
    }
    if order.signature.len() != SIGNATURE_BYTES {
        return Err(DecodeError::BadValue {
            field: "signature",
            must: SIGNATURE_MUST,
        });
    }
    Ok(SignedOrder {
        bytes: order.order,
        key_id: order.key_id,
        signature: order.signature,
    })
}

const KEY_ID_MUST: &str = "must be 16 lower-case hex digits";
const SIGNATURE_MUST: &str = "must be 64 bytes";

fn is_key_id(text: &str) -> bool {
    text.len() == KEY_ID_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn answer_out(answer: &OrderAnswer) -> pb::OrderResult {
    let (outcome, refusal) = match answer.result {
        Ok(()) => (pb::OrderOutcome::CarriedOut, String::new()),
        Err(refusal) => (pb::OrderOutcome::Refused, refusal.as_str().to_owned()),
    };
    let detail = cut(&answer.detail, TEXT_BYTES_MAX);
    pb::OrderResult {
        id: answer.id.to_vec(),
        outcome: outcome.into(),
        refusal,
        detail,
    }
}

/// What is not clearly "carried out" was not.
fn answer_in(answer: pb::OrderResult) -> DecodeResult<OrderAnswer> {
    let id = array16("id", &answer.id)?;
    let outcome = answer.outcome();
    let word = text_in("refusal", answer.refusal, WORD_BYTES_MAX)?;
    let mut detail = text_in("detail", answer.detail, TEXT_BYTES_MAX)?;
    let result = match (outcome, OrderRefusal::from_word(&word)) {
        (pb::OrderOutcome::CarriedOut, _) => Ok(()),
        (_, Some(refusal)) => Err(refusal),
        (_, None) => {
            detail = cut(&format!("refused as {word:?}: {detail}"), TEXT_BYTES_MAX);
            Err(OrderRefusal::NotApplicable)
        }
    };
    Ok(OrderAnswer { id, result, detail })
}

// --- small things that all share -------------------------------------------------------------------------------------

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

fn check_count(field: &'static str, count: usize, limit: usize) -> EncodeResult<()> {
    if limit < count {
        Err(EncodeError::OverLimit {
            field,
            limit: limit as u64,
        })
    } else {
        Ok(())
    }
}

fn within(field: &'static str, count: usize, limit: usize) -> DecodeResult<()> {
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
            limit: crate::limits::SUBJECT_BYTES_MAX as u64,
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

fn health_out(health: ObserverHealth) -> u32 {
    health.0.min(ObserverHealth::MAX).into()
}

/// Worse than the worst is the worst.
fn health_in(health: u32) -> ObserverHealth {
    ObserverHealth(
        u8::try_from(health)
            .unwrap_or(ObserverHealth::MAX)
            .min(ObserverHealth::MAX),
    )
}
