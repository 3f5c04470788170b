//! A pass-through between container-watchdog and the engine's socket, which measures the watchdog's own share.
//!
//! Contract: it changes no byte, and notes two moments per container: when the bytes of its `die` came out of the engine,
//! and when the request to start it came out of the watchdog. Their difference is measured outside the watchdog's process,
//! and includes the proxy's own writing. It does not know HTTP beyond those two marks.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much of a stream is kept to find a note that two reads cut apart, in bytes.
const TAIL_BYTES_MAX: usize = 4096;

/// The moments of one container.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    died: Option<Instant>,
    start_asked: Option<Instant>,
}

/// The notes so far.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<BTreeMap<String, Moments>>>);

impl Notes {
    fn note(&self, id: &str, set: impl Fn(&mut Moments)) {
        set(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id.to_owned())
            .or_default());
    }

    /// From the bytes of its `die` to the request to start it; `None` if one was not seen.
    pub(crate) fn share(&self, id: &str) -> Option<Duration> {
        let moments = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id)?;
        moments.start_asked?.checked_duration_since(moments.died?)
    }
}

/// Listens at `path` until the process ends, and passes everything on to `engine`.
///
/// # Errors
/// The socket cannot be made.
pub(crate) fn start(path: &Path, engine: &Path) -> Result<Notes> {
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    let notes = Notes::default();
    let kept = notes.clone();
    let engine = engine.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // An engine that cannot be reached looks to the client as it is: a closed connection.
            let Ok(server) = UnixStream::connect(&engine) else {
                continue;
            };
            let (Ok(client_in), Ok(server_in)) = (client.try_clone(), server.try_clone()) else {
                continue;
            };
            let (asks, answers) = (kept.clone(), kept.clone());
            std::thread::spawn(move || pass(client_in, server, |bytes, at| asks.find_start(bytes, at)));
            std::thread::spawn(move || pass(server_in, client, |bytes, at| answers.find_die(bytes, at)));
        }
    });
    Ok(notes)
}

fn pass(mut from: UnixStream, mut to: UnixStream, inspect: impl Fn(&[u8], Instant)) {
    let mut buffer = vec![0; 64 * 1024];
    let mut tail: Vec<u8> = Vec::new();
    while let Ok(count) = from.read(&mut buffer) {
        let at = Instant::now();
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
        tail.extend_from_slice(&buffer[..count]);
        inspect(&tail, at);
        let keep_from = tail.len().saturating_sub(TAIL_BYTES_MAX);
        tail.drain(..keep_from);
    }
    // Either side may have closed already; then there is nothing left to close.
    let _closed_already = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
}

impl Notes {
    fn find_start(&self, bytes: &[u8], at: Instant) {
        for id in ids_after(bytes, b"/containers/") {
            let path = [b"/containers/", id.as_bytes(), b"/start"].concat();
            if find(bytes, &path).is_some() {
                self.note(&id, |moments| _ = moments.start_asked.get_or_insert(at));
            }
        }
    }

    fn find_die(&self, bytes: &[u8], at: Instant) {
        for id in ids_after(bytes, br#""Action":"die","Actor":{"ID":""#) {
            self.note(&id, |moments| _ = moments.died.get_or_insert(at));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The 64 hex digits after each place of `mark`.
fn ids_after(mut bytes: &[u8], mark: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    while let Some(at) = find(bytes, mark) {
        bytes = &bytes[at + mark.len()..];
        if let Some(id) = bytes.get(..64)
            && id.iter().all(u8::is_ascii_hexdigit)
        {
            ids.push(String::from_utf8_lossy(id).into_owned());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::{Notes, TAIL_BYTES_MAX, pass};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn notes_are_found_also_where_a_read_cuts_them_and_bytes_pass_unchanged() {
        let id = "0123456789abcdef".repeat(4);
        let event = format!(r#"{{"Type":"container","Action":"die","Actor":{{"ID":"{id}","Attributes":{{}}}}}}"#);
        let notes = Notes::default();
        let (mut engine, engine_side) = UnixStream::pair().expect("a pair");
        let (client_side, mut client) = UnixStream::pair().expect("a pair");
        let kept = notes.clone();
        let passing = std::thread::spawn(move || pass(engine_side, client_side, |bytes, at| kept.find_die(bytes, at)));
        let text = "x".repeat(2 * TAIL_BYTES_MAX) + &event;
        let cut = text.len() - 90;
        for piece in [&text[..cut], &text[cut..]] {
            engine.write_all(piece.as_bytes()).expect("written");
        }
        drop(engine);
        let mut passed = String::new();
        client.read_to_string(&mut passed).expect("read");
        passing.join().expect("it ended");
        assert_eq!(passed, text);
        assert!(notes.share(&id).is_none(), "no request yet");
        notes.find_start(
            format!("POST /v1.41/containers/{id}/start HTTP/1.1\r\n").as_bytes(),
            std::time::Instant::now(),
        );
        assert!(notes.share(&id).is_some());
    }
}
