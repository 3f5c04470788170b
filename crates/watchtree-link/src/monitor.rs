//! The socket monitor: what libzmq reports about connections.
//!
//! Contract: the receiving side has no high-water mark and is drained in every pass, because libzmq's I/O thread blocks on a full
//! one, and the whole socket with it. Events are parsed here and unknown ones skipped (the binding would panic). Does not judge.

#![expect(unsafe_code, reason = "libzmq is C, and the binding has no call for this")]

use crate::error::LinkError;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use zmq::{Context, DONTWAIT, Socket, SocketType};

/// Most events taken in one pass: the rest waits for the next one, so that frames get their turn.
const EVENTS_PER_PASS_MAX: usize = 10_000;

/// What happened to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MonitorEvent {
    /// The transport is connected; the handshake begins.
    Connected,
    /// An attempt to connect has failed.
    ConnectFailed,
    /// The next attempt is scheduled.
    Retrying,
    HandshakeDone,
    /// With the ZAP status: 300, 400 or 500.
    HandshakeRefused(u32),
    /// With what was no handshake; the connection ends and, on the connecting side, is not tried again.
    HandshakeBroken,
    /// Closed or timed out before the handshake was done.
    HandshakeCut,
    /// A connection came in, on this file descriptor.
    Accepted(i32),
    /// With the file descriptor; frames of that connection may still be unread.
    Gone(i32),
    AcceptFailed,
}

pub(crate) struct Monitor {
    pair: Socket,
}

/// What a dealer needs to know.
pub(crate) const DEALER_EVENTS: u32 = zmq_sys::ZMQ_EVENT_CONNECTED
    | zmq_sys::ZMQ_EVENT_CLOSED
    | zmq_sys::ZMQ_EVENT_CONNECT_RETRIED
    | zmq_sys::ZMQ_EVENT_DISCONNECTED
    | HANDSHAKES;
/// What a router needs to know.
pub(crate) const ROUTER_EVENTS: u32 =
    zmq_sys::ZMQ_EVENT_ACCEPTED | zmq_sys::ZMQ_EVENT_ACCEPT_FAILED | zmq_sys::ZMQ_EVENT_DISCONNECTED | HANDSHAKES;
const HANDSHAKES: u32 = zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;

impl Monitor {
    /// Watches a socket; before its first bind or connect.
    pub(crate) fn of(context: &Context, socket: &Socket, events: u32) -> Result<Self, LinkError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let endpoint = format!("inproc://wt-monitor-{}", NUMBER.fetch_add(1, Relaxed));
        let failed = LinkError::zmq("watch a socket");
        let make = || {
            socket.monitor(&endpoint, events as i32)?;
            let pair = context.socket(SocketType::PAIR)?;
            pair.set_rcvhwm(0)?;
            pair.set_linger(0)?;
            pair.connect(&endpoint)?;
            Ok(Self { pair })
        };
        make().map_err(failed)
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.pair
    }

    /// Takes what has come, without blocking.
    pub(crate) fn drain(&self) -> Vec<MonitorEvent> {
        let mut seen = Vec::new();
        for _ in 0..EVENTS_PER_PASS_MAX {
            let Ok(first) = self.pair.recv_msg(DONTWAIT) else { break };
            // The second part is the address of our own side: of no use. Parts of a message arrive together.
            let mut more = first.get_more();
            while more {
                more = self.pair.recv_msg(DONTWAIT).is_ok_and(|part| part.get_more());
            }
            seen.extend(parse(&first));
        }
        seen
    }

    /// Ends the watching; before the socket is closed.
    pub(crate) fn stop(self, socket: &mut Socket) {
        // SAFETY: a live socket of this thread; a null endpoint means "stop".
        let result = unsafe { zmq_sys::zmq_socket_monitor(socket.as_mut_ptr(), std::ptr::null(), 0 as c_int) };
        if result != 0 {
            tracing::debug!("link: the monitor did not stop; it ends with its socket");
        }
    }
}

/// 16 bits of event and 32 bits of value, in the machine's order.
fn parse(bytes: &[u8]) -> Option<MonitorEvent> {
    let (event, rest) = bytes.split_first_chunk::<2>()?;
    let value = u32::from_ne_bytes(*rest.first_chunk::<4>()?);
    match u32::from(u16::from_ne_bytes(*event)) {
        zmq_sys::ZMQ_EVENT_CONNECTED => Some(MonitorEvent::Connected),
        zmq_sys::ZMQ_EVENT_CLOSED => Some(MonitorEvent::ConnectFailed),
        zmq_sys::ZMQ_EVENT_CONNECT_RETRIED => Some(MonitorEvent::Retrying),
        zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED => Some(MonitorEvent::HandshakeDone),
        zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_AUTH => Some(MonitorEvent::HandshakeRefused(value)),
        zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL => Some(MonitorEvent::HandshakeBroken),
        zmq_sys::ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL => Some(MonitorEvent::HandshakeCut),
        zmq_sys::ZMQ_EVENT_ACCEPTED => Some(MonitorEvent::Accepted(value as i32)),
        zmq_sys::ZMQ_EVENT_DISCONNECTED => Some(MonitorEvent::Gone(value as i32)),
        zmq_sys::ZMQ_EVENT_ACCEPT_FAILED => Some(MonitorEvent::AcceptFailed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_short_events_are_skipped() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0, 2, 1]), None);
        assert_eq!(parse(&[0xff, 0xff, 0, 0, 0, 0]), None);
        let mut gone = 512_u16.to_ne_bytes().to_vec();
        gone.extend(17_u32.to_ne_bytes());
        assert_eq!(parse(&gone), Some(MonitorEvent::Gone(17)));
    }
}
