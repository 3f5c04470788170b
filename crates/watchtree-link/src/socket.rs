//! The options of our sockets, and the end of a context.
//!
//! Contract: every socket has a bounded LINGER, high-water marks and a largest message from its creation on. Only `tcp://` and
//! `ipc://` are ever given to libzmq.

#![expect(unsafe_code, reason = "libzmq is C, and the binding has no call for this")]

use crate::config::Limits;
use crate::error::LinkError;
use crate::monitor::Monitor;
use crate::zap::{DOMAIN, Zap};
use std::ffi::c_int;
use std::sync::mpsc::channel;
use std::time::Duration;
use watchtree_keys::{CurveKeys, CurvePublic};
use zmq::{Context, Error, Socket, SocketType};

const ZAP_ENFORCE_DOMAIN: c_int = 93;
/// Messages that libzmq queues per peer.
const SEND_MESSAGES_MAX: i32 = 100;
const RECEIVE_MESSAGES_MAX: i32 = 1000;
/// CURVE adds some bytes to each part; a frame only a little over our limit should be dropped and counted, not end the connection.
const MESSAGE_SLACK_BYTES: usize = 64 * 1024;
/// How long libzmq may take beyond the linger.
const END_SLACK: Duration = Duration::from_millis(500);

pub(crate) fn context(io_threads: u8) -> Result<Context, LinkError> {
    crate::library::check()?;
    libzmq_curve_sys::seed_rand();
    let context = Context::new();
    context
        .set_io_threads(i32::from(io_threads.clamp(1, 4)))
        .map_err(LinkError::zmq("set the number of I/O threads"))?;
    Ok(context)
}

fn common(context: &Context, kind: SocketType, limits: &Limits) -> Result<Socket, Error> {
    let socket = context.socket(kind)?;
    socket.set_linger(0)?;
    socket.set_sndhwm(SEND_MESSAGES_MAX)?;
    socket.set_rcvhwm(RECEIVE_MESSAGES_MAX)?;
    let bytes = limits.in_bytes_max.saturating_add(MESSAGE_SLACK_BYTES);
    socket.set_maxmsgsize(i64::try_from(bytes).unwrap_or(i64::MAX))?;
    Ok(socket)
}

/// The network's own signs of life: they free descriptors and find dead ways, they judge nobody.
fn network(socket: &Socket, heartbeat_ms: i32, timeout_ms: i32) -> Result<(), Error> {
    socket.set_heartbeat_ivl(heartbeat_ms)?;
    socket.set_heartbeat_timeout(timeout_ms)?;
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(60)?;
    socket.set_tcp_keepalive_intvl(15)?;
    socket.set_tcp_keepalive_cnt(4)
}

/// A ROUTER, not yet bound. With keys for tcp, without for ipc. With `ipv6` an address `*` means both families.
pub(crate) fn router(
    context: &Context,
    limits: &Limits,
    keys: Option<&CurveKeys>,
    ipv6: bool,
) -> Result<Socket, LinkError> {
    let make = || {
        let mut socket = common(context, SocketType::ROUTER, limits)?;
        socket.set_router_mandatory(true)?;
        socket.set_router_handover(false)?;
        socket.set_backlog(4096)?;
        socket.set_handshake_ivl(30_000)?;
        socket.set_zap_domain(DOMAIN)?;
        set_int(&mut socket, ZAP_ENFORCE_DOMAIN, 1)?;
        if let Some(keys) = keys {
            network(&socket, 20_000, 60_000)?;
            socket.set_ipv6(ipv6)?;
            socket.set_curve_server(true)?;
            socket.set_curve_secretkey(keys.secret_bytes())?;
        }
        Ok(socket)
    };
    make().map_err(LinkError::zmq("make the router's socket"))
}

/// A DEALER, not yet connected. With keys (ours, the parent's) for tcp, without for ipc. The wait before an attempt to
/// reconnect is random between `reconnect` and twice that: libzmq draws it anew each time as long as no maximum is set.
/// Without IMMEDIATE: with it libzmq throws away what had come but was not read when a connection ends. That nothing old is sent
/// over a new connection is the dealer's part: it makes the socket anew.
/// `ipv6` only for a literal IPv6 address: libzmq tries a name's first address alone, and for `localhost` that would be `::1`.
pub(crate) fn dealer(
    context: &Context,
    limits: &Limits,
    keys: Option<(&CurveKeys, &CurvePublic)>,
    reconnect: Duration,
    ipv6: bool,
) -> Result<Socket, LinkError> {
    let make = || {
        let socket = common(context, SocketType::DEALER, limits)?;
        socket.set_connect_timeout(5000)?;
        socket.set_handshake_ivl(10_000)?;
        socket.set_reconnect_ivl(i32::try_from(reconnect.as_millis()).unwrap_or(i32::MAX).max(1))?;
        if let Some((own, server)) = keys {
            network(&socket, 5000, 15_000)?;
            socket.set_ipv6(ipv6)?;
            socket.set_curve_serverkey(&server.0)?;
            socket.set_curve_publickey(&own.public().0)?;
            socket.set_curve_secretkey(own.secret_bytes())?;
        }
        Ok(socket)
    };
    make().map_err(LinkError::zmq("make the dealer's socket"))
}

fn set_int(socket: &mut Socket, option: c_int, value: c_int) -> Result<(), Error> {
    // SAFETY: a live socket of this thread; the option takes one integer, whose address and size are given.
    let result = unsafe {
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            option,
            std::ptr::from_ref(&value).cast(),
            size_of::<c_int>(),
        )
    };
    if result == 0 {
        return Ok(());
    }
    // SAFETY: reads this thread's error number.
    let errno = unsafe { zmq_sys::zmq_errno() };
    Err(Error::from_raw(errno))
}

/// Closes everything in the order libzmq needs, and waits for it at most `linger` and a little more. `keep` (a lock) is held until libzmq
/// has really ended: it removes the socket's file as the last thing. Gives whether it ended in time.
pub(crate) fn end<K: Send + 'static>(
    context: Context,
    data: Option<(Socket, Monitor)>,
    zap: Option<Zap>,
    linger: Duration,
    keep: K,
) -> bool {
    if let Some((mut socket, monitor)) = data {
        if let Err(error) = socket.set_linger(i32::try_from(linger.as_millis()).unwrap_or(0)) {
            tracing::debug!(%error, "link: cannot set the linger; frames in flight are dropped");
        }
        monitor.stop(&mut socket);
        drop(socket);
    }
    drop(zap);
    let (done, ended) = channel();
    let end = move || {
        drop(context);
        drop(keep);
        // The other side may have stopped waiting.
        let _ = done.send(());
    };
    // Dropping the last clone of the context blocks until all its sockets are closed and lingered.
    if let Err(error) = std::thread::Builder::new().name("wt-link-end".into()).spawn(end) {
        tracing::warn!(%error, "link: no thread to end libzmq in");
        return false;
    }
    let clean = ended.recv_timeout(linger + END_SLACK).is_ok();
    if !clean {
        tracing::warn!("link: libzmq did not end in time; its threads are left behind");
    }
    clean
}
