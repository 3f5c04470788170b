//! An order as bytes: exactly those that are signed, and back.
//!
//! Contract: an order without a verb, or with an unknown one, is refused. Does not know keys or signatures.

use crate::convert::fields::{
    DecodeResult, array16, cut, incarnation_in, incarnation_out, name_in, subject_in, subject_out,
};
use crate::convert::fields::{text_in, us};
use crate::error::{DecodeError, EncodeError};
use crate::limits::{ASKED_BY_BYTES_MAX, ORDER_BYTES_MAX};
use crate::pb;
use crate::shape::shape_is_sane;
use prost::Message as _;
use watchtree_core::id::BootId;
use watchtree_core::order::{Order, Verb};
use watchtree_core::time::{Duration, Moment};

/// First field of every order: what is signed is an order and can be taken for nothing else.
pub const ORDER_PURPOSE: &str = "watchtree.link.v1.Order";

/// The bytes to sign, and to send exactly so.
///
/// # Errors
/// [`EncodeError`] if the subject or the incarnation is over its limit.
pub fn encode_order(order: &Order) -> Result<Vec<u8>, EncodeError> {
    let verb = match &order.verb {
        Verb::Hold { lasts } => pb::order::Verb::Hold(pb::Hold { lasts_us: us(*lasts) }),
        Verb::Release => pb::order::Verb::Release(pb::Release {}),
        Verb::Retry => pb::order::Verb::Retry(pb::Retry {}),
    };
    let bytes = pb::Order {
        purpose: ORDER_PURPOSE.to_owned(),
        id: order.id.to_vec(),
        target: order.target.as_str().to_owned(),
        subject: subject_out("subject", &order.subject)?,
        incarnation: incarnation_out(&order.incarnation)?,
        verb: Some(verb),
        term: order.term,
        boot_id: order.boot_id.0.to_vec(),
        expires_us: order.expires.as_micros(),
        asked_by: cut(&order.asked_by, ASKED_BY_BYTES_MAX),
    }
    .encode_to_vec();
    if ORDER_BYTES_MAX < bytes.len() {
        return Err(EncodeError::TooLarge {
            bytes: bytes.len(),
            limit: ORDER_BYTES_MAX,
        });
    }
    Ok(bytes)
}

/// Reads an order from exactly the bytes whose signature was checked. An order without a verb, or with one that this
/// version does not know, is refused: an order half understood must not be carried out.
///
/// # Errors
/// [`DecodeError`]: the target answers `OrderRefusal::Undecodable`.
pub fn decode_order(bytes: &[u8]) -> DecodeResult<Order> {
    if ORDER_BYTES_MAX < bytes.len() {
        return Err(DecodeError::TooLarge {
            part: "order",
            bytes: bytes.len(),
            limit: ORDER_BYTES_MAX,
        });
    }
    if !shape_is_sane(bytes) {
        return Err(DecodeError::BadBody);
    }
    let order = pb::Order::decode(bytes).map_err(|_| DecodeError::BadBody)?;
    if order.purpose != ORDER_PURPOSE {
        return Err(DecodeError::BadValue {
            field: "purpose",
            must: "must be watchtree.link.v1.Order",
        });
    }
    let verb = match order.verb {
        Some(pb::order::Verb::Hold(hold)) => Verb::Hold {
            lasts: Duration::from_micros(hold.lasts_us),
        },
        Some(pb::order::Verb::Release(_)) => Verb::Release,
        Some(pb::order::Verb::Retry(_)) => Verb::Retry,
        None => return Err(DecodeError::MissingField { field: "verb" }),
    };
    Ok(Order {
        id: array16("id", &order.id)?,
        target: name_in("target", &order.target)?,
        subject: subject_in("subject", &order.subject)?,
        incarnation: incarnation_in(order.incarnation)?,
        verb,
        term: order.term,
        boot_id: BootId(array16("boot_id", &order.boot_id)?),
        expires: Moment::from_micros(order.expires_us),
        asked_by: text_in("asked_by", order.asked_by, ASKED_BY_BYTES_MAX)?,
    })
}
