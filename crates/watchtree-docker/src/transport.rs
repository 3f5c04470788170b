//! One HTTP request on one fresh unix connection, with the status line kept.
//!
//! bollard reports 304 like 204 and hides when the headers of a stream arrived; both matter here. So each call gets its
//! own handle with this transport, which records the status of the one response in a [`ResponseStatus`]. A connection per call is
//! what bollard does as well (0.4 ms measured), and leaves no stale connection behind. Knows nothing of the API.

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// bollard's own timeout ends before the body; ours is outside. This one is only to be never reached.
const NEVER_SECS: u64 = 365 * 24 * 3600;

/// The status line of the one response of a call.
#[derive(Debug, Default)]
pub(crate) struct ResponseStatus {
    code: AtomicU16,
    answered: Notify,
}

impl ResponseStatus {
    /// The HTTP status; 0 = no headers yet.
    pub(crate) fn status(&self) -> u16 {
        self.code.load(Ordering::Acquire)
    }

    /// Returns when the headers are there. For one waiter.
    pub(crate) async fn answered(&self) {
        self.answered.notified().await;
    }
}

/// A bollard handle for one call, and the status of its response.
pub(crate) fn handle(socket: &Path) -> Result<(Docker, Arc<ResponseStatus>), Error> {
    let status = Arc::new(ResponseStatus::default());
    let (recorded, socket): (_, Arc<PathBuf>) = (Arc::clone(&status), Arc::new(socket.to_owned()));
    let docker = Docker::connect_with_custom_transport(
        move |request: BollardRequest| send(Arc::clone(&socket), request, Arc::clone(&recorded)),
        Some("http://engine"),
        NEVER_SECS,
        API_DEFAULT_VERSION,
    )?;
    Ok((docker, status))
}

async fn send(
    socket: Arc<PathBuf>,
    request: BollardRequest,
    status: Arc<ResponseStatus>,
) -> Result<Response<Incoming>, Error> {
    let stream = UnixStream::connect(socket.as_path()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The connection lives as long as the request or the body is wanted, and ends with them.
    tokio::spawn(async move {
        // What a program in a container says comes over the connection itself.
        if let Err(error) = connection.with_upgrades().await {
            tracing::trace!(%error, "a connection to the engine ended");
        }
    });
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(HOST, HeaderValue::from_static("engine"));
    parts.uri = match parts.uri.path_and_query() {
        Some(path) => path.as_str().parse::<Uri>()?,
        None => Uri::from_static("/"),
    };
    let response = sender.send_request(Request::from_parts(parts, body)).await?;
    status.code.store(response.status().as_u16(), Ordering::Release);
    status.answered.notify_one();
    Ok(response)
}
