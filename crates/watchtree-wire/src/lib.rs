//! The edge between the core's messages and the bytes of `watchtree.link.v1`.
//!
//! A frame is three parts: `WT1`, an encoded `Header`, the encoded message that the header's kind names. [`encode`] and
//! [`decode`] convert between parts and the core's [`Envelope`](watchtree_core::message::Envelope) and hold every limit
//! of [`limits`]; [`decode_header`] is all that a relay needs; [`encode_order`] gives the exact bytes that are signed.
//! `proto/watchtree/link/v1/link.proto` is the shape, docs/protocol.md the meaning.
//!
//! Contract: no input makes a function here panic. A field that is not known is skipped, an enum value or a word that
//! is not known becomes the value that causes least. Texts for people are cut to their limit on the way out; whatever
//! would change meaning by being cut is an error instead.
//!
//! It does not know sockets, who is allowed to say what, or whether a sequence number is fresh: link and core do.
#![forbid(unsafe_code)]

mod convert;
mod error;
mod frame;
pub mod limits;
mod order;
mod pb;
mod shape;

pub use error::{DecodeError, EncodeError};
pub use frame::{Routing, decode, decode_header, encode, received, seq_of};
pub use order::{ORDER_PURPOSE, decode_order, encode_order};

#[cfg(test)]
mod tests;
