//! Frames: three parts to an `Envelope` and back.
//!
//! Contract: every size is checked before anything is decoded. Does not know sockets.

use crate::convert::message::{body_in, body_out, kind_of};
use crate::convert::session::{header_in, header_out};
use crate::convert::truncation::TruncationLevel;
use crate::error::{DecodeError, EncodeError};
use crate::limits::{BODY_BYTES_MAX, HEADER_BYTES_MAX, MAGIC, PARTS};
use crate::pb;
use crate::shape::shape_is_sane;
use prost::Message as _;
use watchtree_core::backend::{BackendInput, Peer};
use watchtree_core::message::{Envelope, Header};

/// What a relay reads of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Routing {
    /// The header.
    pub header: Header,
    /// The kind's number; also one that this version does not know: a relay forwards it all the same.
    pub kind: i32,
}

/// Writes a frame.
///
/// # Errors
/// [`EncodeError`] if it breaks a limit where cutting would change the meaning.
pub fn encode(envelope: &Envelope) -> Result<Vec<Vec<u8>>, EncodeError> {
    let header = header_out(&envelope.header, kind_of(&envelope.message))?.encode_to_vec();
    let mut body = Vec::new();
    for level in TruncationLevel::ALL {
        body = body_out(&envelope.message, level)?;
        if body.len() <= BODY_BYTES_MAX {
            return Ok(vec![MAGIC.to_vec(), header, body]);
        }
    }
    Err(EncodeError::TooLarge {
        bytes: body.len(),
        limit: BODY_BYTES_MAX,
    })
}

/// Reads a frame.
///
/// # Errors
/// [`DecodeError`]: count it by its `reason()`, and answer `Refused` with [`seq_of`] the parts and its `Display`.
pub fn decode(parts: &[Vec<u8>]) -> Result<Envelope, DecodeError> {
    let Routing { header, kind } = decode_header(parts)?;
    let kind = match pb::MessageKind::try_from(kind) {
        Ok(pb::MessageKind::Unspecified) => return Err(DecodeError::MissingField { field: "kind" }),
        Ok(kind) => kind,
        Err(_) => {
            return Err(DecodeError::UnknownKind {
                kind,
                known: pb::MessageKind::Refused as i32,
            });
        }
    };
    let message = body_in(kind, &parts[2], &header)?;
    Ok(Envelope { header, message })
}

/// Reads a frame of a child as the input of the session with it.
pub fn received(peer: Peer, parts: &[Vec<u8>]) -> BackendInput {
    match decode(parts) {
        Ok(envelope) => BackendInput::Received { peer, envelope },
        Err(error) => BackendInput::Undecodable {
            peer,
            seq: seq_of(parts),
            why: error.to_string(),
        },
    }
}

/// Reads the header alone, and checks the sizes of all parts.
///
/// # Errors
/// [`DecodeError`] as for [`decode`], but never for what the body says.
pub fn decode_header(parts: &[Vec<u8>]) -> Result<Routing, DecodeError> {
    let [magic, header, body] = parts else {
        return Err(DecodeError::PartCount { parts: parts.len() });
    };
    const { assert!(PARTS == 3) };
    match magic.as_slice() {
        magic if magic == MAGIC => {}
        [b'W', b'T', major] => {
            return Err(DecodeError::UnsupportedVersion {
                major: char::from(*major),
            });
        }
        _ => return Err(DecodeError::BadMagic),
    }
    check_size("header", header, HEADER_BYTES_MAX)?;
    check_size("body", body, BODY_BYTES_MAX)?;
    if !shape_is_sane(header) {
        return Err(DecodeError::BadHeader);
    }
    let header = pb::Header::decode(header.as_slice()).map_err(|_| DecodeError::BadHeader)?;
    let kind = header.kind;
    Ok(Routing {
        header: header_in(header)?,
        kind,
    })
}

/// The `seq` of a frame that could not be read, for `Refused`; 0 if that cannot be read either.
pub fn seq_of(parts: &[Vec<u8>]) -> u64 {
    match parts {
        [magic, header, _] if magic == MAGIC && header.len() <= HEADER_BYTES_MAX => {
            pb::Header::decode(header.as_slice()).map_or(0, |header| header.seq)
        }
        _ => 0,
    }
}

fn check_size(part: &'static str, bytes: &[u8], limit: usize) -> Result<(), DecodeError> {
    if limit < bytes.len() {
        Err(DecodeError::TooLarge {
            part,
            bytes: bytes.len(),
            limit,
        })
    } else {
        Ok(())
    }
}
