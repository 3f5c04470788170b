//! Reads and writes one whole message, part by part, within limits, without blocking.

use crate::config::Limits;
use crate::event::Refusal;
use zmq::{DONTWAIT, Error, Message, SNDMORE, Socket};

/// The parts of a message, or why they were thrown away.
pub(crate) type Body = Result<Vec<Vec<u8>>, Refusal>;

/// Reads one message as its first part, which carries the properties of its connection, and the body: all parts after the first
/// (a router, whose first part is the routing id) or all parts. `None` = nothing there.
pub(crate) fn receive(socket: &Socket, limits: &Limits, skip_first: bool) -> Option<(Message, Body)> {
    let first = uninterrupted(|| socket.recv_msg(DONTWAIT)).ok()?;
    let mut parts = Vec::with_capacity(3);
    let mut bytes = 0;
    let mut refusal = None;
    let mut more = first.get_more();
    if !skip_first {
        bytes = first.len();
        parts.push(first.to_vec());
    }
    while more {
        // Parts of one message arrive together: the rest is there.
        let Ok(part) = uninterrupted(|| socket.recv_msg(DONTWAIT)) else {
            break;
        };
        more = part.get_more();
        bytes += part.len();
        if parts.len() == limits.parts_max {
            refusal = Some(Refusal::BadParts);
        } else if refusal.is_none() && bytes <= limits.in_bytes_max {
            parts.push(part.to_vec());
        }
    }
    if limits.in_bytes_max < bytes {
        refusal = Some(refusal.unwrap_or(Refusal::TooLarge));
    } else if parts.is_empty() {
        refusal = Some(Refusal::BadParts);
    }
    Some((first, refusal.map_or(Ok(parts), Err)))
}

/// Sends one message whole or not at all. A router's first part is the routing id: it fails at that part or not at all.
pub(crate) fn send(socket: &Socket, routing_id: Option<&[u8]>, parts: Vec<Vec<u8>>) -> Result<(), Error> {
    if let Some(routing_id) = routing_id {
        uninterrupted(|| socket.send(routing_id, DONTWAIT | SNDMORE))?;
    }
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter().enumerate() {
        let flags = if index < last { DONTWAIT | SNDMORE } else { DONTWAIT };
        uninterrupted(|| socket.send(part, flags))?;
    }
    Ok(())
}

/// A signal must not tear a message apart: what it interrupted is done again, for every part.
fn uninterrupted<T>(mut action: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match action() {
            Err(Error::EINTR) => {}
            other => return other,
        }
    }
}

/// How long to wait in libzmq's poll, in whole milliseconds rounded up; -1 = until something happens.
pub(crate) fn poll_ms(due: Option<std::time::Instant>, now: std::time::Instant) -> i64 {
    due.map_or(-1, |due| {
        let wait = due.saturating_duration_since(now);
        i64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
    })
}
