//! A fake engine on a unix socket, for what a real one does rarely: torn streams, stalls, odd answers, lost events.
//!
//! Speaks just enough HTTP/1.1: one request per connection, no bodies. What is answered is up to the closure it is made
//! with; every request is noted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A request without its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// `GET`, `POST`
    pub method: String,
    /// `/containers/json`
    pub path: String,
    /// What follows the `?`, percent-decoded.
    pub query: String,
}

/// How a request is answered.
#[derive(Debug)]
pub enum Reply {
    /// Status and body, well formed.
    Full(u16, String),
    /// Nothing, for ever; not even a status line.
    StallHeaders,
    /// 200, this much of a longer body, and then nothing for ever.
    StallBody(String),
    /// 200 and these pieces; then the end.
    Pieces(Vec<String>, End),
    /// 200 and whatever is sent here, until the sender is gone; then a clean end.
    Live(mpsc::UnboundedReceiver<String>),
    /// This reply after a while.
    Late(Duration, Box<Reply>),
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// A last chunk, as it should be.
    Eof,
    /// The connection breaks in the middle of the body.
    Cut,
    /// It stays open and silent.
    Hold,
}

/// The engine; ends when dropped.
#[derive(Debug)]
pub struct FakeEngine {
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FakeEngine {
    /// Listens in a folder of its own. `answer` is asked once per request.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("wt-fake-engine-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join("engine.sock"))?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicUsize::new(0));
        let (noted, counted, answer) = (Arc::clone(&requests), Arc::clone(&ended), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, counted, answer) = (Arc::clone(&noted), Arc::clone(&counted), Arc::clone(&answer));
                tokio::spawn(async move {
                    // A connection that the client drops ends with an error, which is the client's affair.
                    serve(stream, &noted, &*answer).await.ok();
                    counted.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Ok(Self {
            folder,
            requests,
            ended,
            task,
        })
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// A folder that may be told to a client as the engine's data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections have ended.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// How often it was asked that.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.method == method && request.path == path)
            .count()
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: UnixStream,
    noted: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> anyhow::Result<()> {
    let request = read_request(&mut stream).await?;
    noted
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    let mut reply = answer(&request);
    while let Reply::Late(after, later) = reply {
        tokio::time::sleep(after).await;
        reply = *later;
    }
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    match reply {
        Reply::Full(status, body) => {
            // 204 and 304 have no body, and a length would be a lie.
            let head = if matches!(status, 204 | 304) {
                format!("HTTP/1.1 {status} X\r\n\r\n")
            } else {
                format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
            };
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
        }
        Reply::StallHeaders => wait_for_hang_up(&mut stream).await,
        Reply::StallBody(part) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{part}", part.len() + 100);
            stream.write_all(head.as_bytes()).await?;
            wait_for_hang_up(&mut stream).await;
        }
        Reply::Pieces(pieces, end) => {
            stream.write_all(chunked.as_bytes()).await?;
            for piece in pieces {
                write_chunk(&mut stream, &piece).await?;
            }
            match end {
                End::Eof => stream.write_all(b"0\r\n\r\n").await?,
                // Announces more than it sends.
                End::Cut => stream.write_all(b"ff\r\n{").await?,
                End::Hold => wait_for_hang_up(&mut stream).await,
            }
        }
        Reply::Live(mut pieces) => {
            stream.write_all(chunked.as_bytes()).await?;
            loop {
                let mut byte = [0];
                tokio::select! {
                    piece = pieces.recv() => match piece {
                        Some(piece) => write_chunk(&mut stream, &piece).await?,
                        None => break stream.write_all(b"0\r\n\r\n").await?,
                    },
                    _ = stream.read(&mut byte) => break,
                }
            }
        }
        Reply::Late(..) => {}
    }
    Ok(())
}

async fn write_chunk(stream: &mut UnixStream, piece: &str) -> std::io::Result<()> {
    stream
        .write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())
        .await
}

async fn wait_for_hang_up(stream: &mut UnixStream) {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|count| count != 0) {}
}

async fn read_request(stream: &mut UnixStream) -> anyhow::Result<Request> {
    let mut text = Vec::new();
    while !text.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut more = [0; 4096];
        let count = stream.read(&mut more).await?;
        anyhow::ensure!(count != 0 && text.len() < 65_536, "no whole request");
        text.extend_from_slice(&more[..count]);
    }
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: percent_decoded(query),
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
