//! The kind of a message and its body, in both directions: one match arm per kind.

use super::fields::{DecodeResult, EncodeResult, check_count, cut, health_in, health_out, text_in, within};
use super::truncation::TruncationLevel;
use super::{decision, order_frame, session, verdict};
use crate::error::DecodeError;
use crate::limits::{DECISIONS_MAX, TEXT_BYTES_MAX, WORD_BYTES_MAX};
use crate::pb::{self, MessageKind};
use crate::shape::shape_is_sane;
use prost::Message as _;
use watchtree_core::message::{Header, Message};

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
pub(crate) fn body_out(message: &Message, level: TruncationLevel) -> EncodeResult<Vec<u8>> {
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
        Message::Report(report) => verdict::report_out(report, level)?.encode_to_vec(),
        Message::ReportAck { number } => pb::ReportAck { number: *number }.encode_to_vec(),
        Message::Events { decisions, dropped } => {
            check_count("decisions", decisions.len(), DECISIONS_MAX)?;
            let decisions = decisions
                .iter()
                .map(|d| decision::decision_out(d, level))
                .collect::<EncodeResult<_>>()?;
            pb::Events {
                decisions,
                dropped: *dropped,
            }
            .encode_to_vec()
        }
        Message::Order(order) => order_frame::signed_out(order)?.encode_to_vec(),
        Message::OrderResult(answer) => order_frame::answer_out(answer).encode_to_vec(),
        Message::SnapshotRequest => pb::SnapshotRequest {}.encode_to_vec(),
        Message::Snapshot {
            scope,
            chunk,
            last,
            verdicts,
            digest,
        } => verdict::snapshot_out(scope, *chunk, *last, verdicts, digest, level)?.encode_to_vec(),
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
        MessageKind::Order => Message::Order(order_frame::signed_in(read(bytes)?)?),
        MessageKind::OrderResult => Message::OrderResult(order_frame::answer_in(read(bytes)?)?),
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
