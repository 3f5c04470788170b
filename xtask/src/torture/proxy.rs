//! A pass-through between the watchdog and its engine that notes each request which could change something, and its answer.
//!
//! Contract: no byte is changed; the socket listens while the engine's does, and refuses while that refuses, so that the
//! watchdog sees the engine as it is. It does not know whether a request is right.

use super::notes::{Call, Tape, What};
use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How soon the socket follows the engine's, and a connection is taken.
const FOLLOWS: Duration = Duration::from_millis(2);
/// How often the engine's socket is tried, in turns of [`FOLLOWS`].
const TRY_EVERY: u32 = 10;

static TICKET: AtomicU64 = AtomicU64::new(1);

/// Serves `path` until the process ends.
///
/// # Errors
/// No thread can be had.
pub(super) fn start(path: &Path, engine: &Path, tape: &Tape) -> Result<()> {
    let (path, engine, tape) = (path.to_owned(), engine.to_owned(), tape.clone());
    std::thread::Builder::new()
        .name("proxy".to_owned())
        .spawn(move || follow(&path, &engine, &tape))
        .context("a thread")
        .map(drop)
}

fn follow(path: &PathBuf, engine: &PathBuf, tape: &Tape) {
    let mut listener: Option<UnixListener> = None;
    for turn in 0_u32.. {
        if turn.is_multiple_of(TRY_EVERY) {
            match UnixStream::connect(engine) {
                Ok(_) if listener.is_none() => listener = bind(path),
                Ok(_) => {}
                Err(error) => {
                    listener = None;
                    // A daemon that ended in order takes its socket away; one that was killed leaves it.
                    if error.kind() == ErrorKind::NotFound {
                        let _gone = std::fs::remove_file(path);
                    }
                }
            }
        }
        while let Some(Ok((client, _))) = listener.as_ref().map(UnixListener::accept) {
            let (engine, tape) = (engine.clone(), tape.clone());
            std::thread::spawn(move || attend(client, &engine, &tape));
        }
        std::thread::sleep(FOLLOWS);
    }
}

fn bind(path: &Path) -> Option<UnixListener> {
    let _gone = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).ok()?;
    listener.set_nonblocking(true).ok()?;
    Some(listener)
}

fn attend(client: UnixStream, engine: &Path, tape: &Tape) {
    let _blocks = client.set_nonblocking(false);
    let Ok(server) = UnixStream::connect(engine) else {
        return;
    };
    let (Ok(client_in), Ok(server_in)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let (sent, heard) = std::sync::mpsc::channel::<(String, u64)>();
    let asks = tape.clone();
    std::thread::spawn(move || {
        pass(client_in, server, |bytes| {
            if let Some((id, call)) = request(bytes) {
                let ticket = TICKET.fetch_add(1, Ordering::Relaxed);
                asks.note(&id, What::Posted(call, ticket));
                let _other_side = sent.send((id, ticket));
            }
        });
    });
    let mut open = None;
    pass(server_in, client, |bytes| {
        open = heard.try_recv().ok().or(open.take());
        if let Some((id, ticket)) = open.take_if(|_| bytes.starts_with(b"HTTP/")) {
            tape.note(&id, What::Replied(ticket, status(bytes)));
        }
    });
    // Its request may have come after the last answer.
    for (id, ticket) in open.into_iter().chain(heard.try_iter()) {
        tape.note(&id, What::Replied(ticket, None));
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, mut inspect: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        inspect(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Either side may have closed already; then there is nothing left to close.
    let _closed_already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// The container and the call of a request that could change something. One request comes in one piece.
fn request(bytes: &[u8]) -> Option<(String, Call)> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    if !["POST", "DELETE", "PUT"].contains(&method) {
        return None;
    }
    let path = path.split('?').next()?;
    let rest = path.split_once("/containers/").map_or("", |(_, rest)| rest);
    let (id, verb) = rest.split_once('/').unwrap_or((rest, ""));
    let call = match (method, verb) {
        ("POST", "start") => Call::Start,
        ("POST", "stop") => Call::Stop,
        ("POST", "restart") => Call::Restart,
        ("POST", "kill") => Call::Kill,
        _ => Call::Other,
    };
    Some((id.to_owned(), call))
}

fn status(bytes: &[u8]) -> Option<u16> {
    let line = bytes.get(..bytes.len().min(32))?;
    let text = String::from_utf8_lossy(line);
    text.split(' ').nth(1)?.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    //! What counts as a request that could change something.
    use super::{Call, request, status};

    #[test]
    fn requests_that_change_something_are_found_with_their_container() {
        let of = |line: &str| request(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(of("GET /containers/json?all=1"), None);
        assert_eq!(
            of("POST /containers/ab12/start"),
            Some(("ab12".to_owned(), Call::Start))
        );
        assert_eq!(
            of("POST /v1.41/containers/ab12/stop?t=10"),
            Some(("ab12".to_owned(), Call::Stop))
        );
        assert_eq!(of("DELETE /containers/ab12"), Some(("ab12".to_owned(), Call::Other)));
        assert_eq!(of("POST /containers/ab12/exec"), Some(("ab12".to_owned(), Call::Other)));
        assert_eq!(status(b"HTTP/1.1 304 Not Modified\r\n"), Some(304));
        assert_eq!(status(b"HT"), None);
    }
}
