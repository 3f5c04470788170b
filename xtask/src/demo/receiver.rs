//! The demo's own webhook receiver: what a person's alerting would get.
//!
//! Contract: it answers 200 to every POST and keeps it with the time of its arrival. It does not know what alerts mean.

use anyhow::{Context, Result};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest body that is taken, in bytes.
const BODY_BYTES_MAX: u64 = 1024 * 1024;
/// A client that stalls is let go after this.
const STALL_MAX: Duration = Duration::from_secs(5);

/// One POST.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) at: Instant,
    pub(crate) body: Value,
}

/// Listens on loopback until the process ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// No port could be had.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("a port for the webhook receiver")?;
        let address = listener.local_addr()?;
        let posts = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    // A request that cannot be read is no alert; its sender hears of it and tries again.
                    if let Ok(post) = receive(&stream) {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(post);
                        let _sender_may_be_gone =
                            (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    }
                });
            }
        });
        Ok(Self { address, posts })
    }

    /// The address to post to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// All that came, oldest first.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first POST since `start` for which `is` holds.
    pub(crate) fn first(&self, start: Instant, is: impl Fn(&Value) -> bool) -> Option<Post> {
        self.posts().into_iter().find(|post| start <= post.at && is(&post.body))
    }
}

fn receive(stream: &TcpStream) -> Result<Post> {
    stream.set_read_timeout(Some(STALL_MAX))?;
    stream.set_write_timeout(Some(STALL_MAX))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0_u64;
    loop {
        let mut line = String::new();
        if (&mut reader).take(16 * 1024).read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = Vec::new();
    (&mut reader).take(length.min(BODY_BYTES_MAX)).read_to_end(&mut body)?;
    Ok(Post {
        at: Instant::now(),
        body: serde_json::from_slice(&body)?,
    })
}
