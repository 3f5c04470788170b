//! Tests of the wire: golden bytes, both ways, hostile bytes, limits, newer versions, and that the document agrees.

mod document;
mod golden;
mod hostile;
mod limits;
mod newer;
mod samples;

use crate::pb::MessageKind;

/// Every kind there is, in the order of their numbers. By number, so that a new one cannot be left out.
fn kinds() -> impl Iterator<Item = MessageKind> {
    (1..1000).map_while(|number| MessageKind::try_from(number).ok())
}
