//! Signed orders and their answers as messages, in both directions. The order itself is opaque bytes here: see `order`.

use super::fields::{DecodeResult, EncodeResult, array16, check_count, cut, text_in, within};
use crate::error::{DecodeError, EncodeError};
use crate::limits::{KEY_ID_BYTES, ORDER_BYTES_MAX, SIGNATURE_BYTES, TEXT_BYTES_MAX, WORD_BYTES_MAX};
use crate::pb;
use watchtree_core::order::{OrderAnswer, OrderRefusal, SignedOrder};

pub(super) fn signed_out(order: &SignedOrder) -> EncodeResult<pb::SignedOrder> {
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

pub(super) fn signed_in(order: pb::SignedOrder) -> DecodeResult<SignedOrder> {
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

pub(super) fn answer_out(answer: &OrderAnswer) -> pb::OrderResult {
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
pub(super) fn answer_in(answer: pb::OrderResult) -> DecodeResult<OrderAnswer> {
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
