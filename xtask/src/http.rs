//! A plain HTTP/1.1 client over a unix socket: one request per connection, one deadline for all of it.
//!
//! It is written out here so that times measured with it include no connection pool, no runtime and no client library, and
//! so that recorded answers are the engine's own bytes. It does not know what is asked, nor of whom.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest answer that is taken, in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }

    /// Itself, if the status is 2xx or 304; else an error with the server's words.
    pub(crate) fn ok(self, what: &str) -> Result<Self> {
        if (200..300).contains(&self.status) || self.status == 304 {
            return Ok(self);
        }
        bail!(
            "{what}: status {}: {}",
            self.status,
            String::from_utf8_lossy(&self.body).trim()
        )
    }
}

/// Asks and reads the whole answer within the deadline.
///
/// # Errors
/// No connection, no answer in time, or one that is not HTTP.
pub(crate) fn ask(socket: &Path, method: &str, path: &str, body: &[u8], within: Duration) -> Result<Answer> {
    let kind = if body.first() == Some(&b'{') {
        "application/json"
    } else {
        "application/octet-stream"
    };
    let (head, mut reader) = open(socket, method, path, kind, body, within)?;
    let status = head.status;
    let mut body = Vec::new();
    if status != 204 && status != 304 {
        read_body(&head, &mut reader, &mut body)?;
    }
    Ok(Answer { status, body })
}

/// An answer's status line and the headers that matter here.
pub(crate) struct Head {
    pub(crate) status: u16,
    length: Option<u64>,
    chunked: bool,
}

/// The rest of an answer, under the deadline of the request.
pub(crate) type Rest = BufReader<Timed>;

/// A socket whose reads end at a deadline.
pub(crate) struct Timed {
    wire: UnixStream,
    end: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        self.wire.set_read_timeout(Some(left))?;
        self.wire.read(buffer)
    }
}

/// Sends a request and reads the answer's head; the body is the caller's to read.
///
/// # Errors
/// As [`ask`].
pub(crate) fn open(
    socket: &Path,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
    within: Duration,
) -> Result<(Head, Rest)> {
    let end = Instant::now() + within;
    let mut wire = UnixStream::connect(socket)?;
    wire.set_write_timeout(Some(within))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    wire.write_all(head.as_bytes())?;
    wire.write_all(body)?;
    let mut reader = BufReader::new(Timed { wire, end });
    let head = read_head(&mut reader)?;
    Ok((head, reader))
}

fn read_head(reader: &mut Rest) -> Result<Head> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.trim().parse().ok());
    let status = status.with_context(|| format!("not an HTTP answer: {line:?}"))?;
    let mut head = Head {
        status,
        length: None,
        chunked: false,
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.trim().parse().ok(),
            "transfer-encoding" => head.chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => (),
        }
    }
}

fn read_body(head: &Head, reader: &mut Rest, body: &mut Vec<u8>) -> Result<()> {
    if head.chunked {
        while let Some(chunk) = read_chunk(reader)? {
            body.extend_from_slice(&chunk);
            if BODY_BYTES_MAX < body.len() as u64 {
                bail!("the answer is longer than {BODY_BYTES_MAX} bytes");
            }
        }
        return Ok(());
    }
    let length = head.length.unwrap_or(BODY_BYTES_MAX);
    reader.take(length.min(BODY_BYTES_MAX)).read_to_end(body)?;
    if head.length.is_some_and(|length| length != body.len() as u64) {
        bail!("the answer was cut off");
    }
    Ok(())
}

/// One chunk of a chunked body; `None` at its end.
///
/// # Errors
/// Cut off, not in time, or not a chunk.
pub(crate) fn read_chunk(reader: &mut Rest) -> Result<Option<Vec<u8>>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        bail!("the stream ended");
    }
    let size = line.trim().split(';').next().unwrap_or_default();
    let size = u64::from_str_radix(size, 16).with_context(|| format!("not a chunk: {line:?}"))?;
    let mut chunk = Vec::new();
    reader.take(size.min(BODY_BYTES_MAX)).read_to_end(&mut chunk)?;
    let mut end = [0; 2];
    reader.read_exact(&mut end)?;
    Ok((size != 0).then_some(chunk))
}
