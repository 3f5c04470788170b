//! Checks the shape of protobuf bytes before they are decoded, so that a small frame cannot make us allocate much.

use crate::limits::FIELDS_MAX;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

/// True if the bytes are a row of at most [`FIELDS_MAX`] protobuf fields. Two bytes of an empty sub-message become a
/// struct of some hundred: without this look a frame could make us allocate a hundred times its size.
pub(crate) fn shape_is_sane(mut bytes: &[u8]) -> bool {
    let mut fields = 0;
    while !bytes.is_empty() {
        fields += 1;
        if FIELDS_MAX < fields {
            return false;
        }
        let Ok((tag, wire_type)) = decode_key(&mut bytes) else {
            return false;
        };
        // Groups are older than proto3, and nobody may send one.
        if matches!(wire_type, WireType::StartGroup | WireType::EndGroup) {
            return false;
        }
        if skip_field(wire_type, tag, &mut bytes, DecodeContext::default()).is_err() {
            return false;
        }
    }
    true
}
