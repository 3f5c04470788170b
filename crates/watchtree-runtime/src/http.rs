//! Serves the HTTP API: on a unix socket (0660, reads and writes) and, if configured, on loopback (reads only).
//!
//! Contract: a request never holds anything up but itself. One request per connection; a limit on connections for each
//! listener; a deadline on the header, the body, the answer and the connection as a whole. Every error is JSON with one
//! line and a cure. Two daemons never serve one socket: `PATH.lock` is held while one does, and a socket left behind by a
//! dead one is replaced.
//!
//! Knows no role: what is answered comes from the [`Api`] handed in.

mod routes;

use crate::exit::{Code, Exit};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use routes::{Access, PeerName, router};
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use watchtree_api::{Api, REQUEST_BYTES_MAX, WAIT_MS_MAX};

/// Most connections of one listener at one time; more wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 64;
/// Time for the request's header.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// Time for a whole connection, a slow reader included.
const CONNECTION_WITHIN: Duration = Duration::from_secs(60 + WAIT_MS_MAX / 1000);

/// Why the API cannot be served. Each is for a person to mend.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Another daemon serves there.
    #[error("{place} is in use by another process: stop it, or set another `{key}` in the configuration")]
    Taken {
        /// Path or address.
        place: String,
        /// The key of the configuration.
        key: &'static str,
    },
    /// Not a loopback address.
    #[error("{0} is not a loopback address: the API has no log-in, so use 127.0.0.1 or [::1], or a tunnel")]
    NotLoopback(SocketAddr),
    /// Something that is no socket stands there.
    #[error("{0} exists and is no socket: remove it or set another path in the configuration")]
    NoSocket(PathBuf),
    /// No such group in /etc/group.
    #[error("[http] socket_group: no group {0:?} in /etc/group: make it (groupadd) or leave the key out")]
    NoGroup(String),
    /// The system refused.
    #[error(
        "cannot listen on {place}: {source}; give this user the right to, or set another place in the configuration"
    )]
    Io {
        /// Path or address.
        place: String,
        /// The system's word.
        source: io::Error,
    },
}

impl HttpError {
    /// The exit code it stands for.
    pub fn code(&self) -> Code {
        match self {
            Self::Taken { .. } => Code::Taken,
            Self::NotLoopback(_) | Self::NoSocket(_) | Self::NoGroup(_) => Code::BadInput,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Code::NoRights,
                io::ErrorKind::AddrInUse => Code::Taken,
                io::ErrorKind::InvalidInput | io::ErrorKind::NotFound | io::ErrorKind::AddrNotAvailable => {
                    Code::BadInput
                }
                _ => Code::Failed,
            },
        }
    }
}

impl From<HttpError> for Exit {
    fn from(error: HttpError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Listeners that are bound and not served yet. Bind early, so that a daemon fails before it does anything else.
#[derive(Debug)]
pub struct HttpServer {
    unix: Option<(UnixListener, SocketGuard)>,
    loopback: Option<TcpListener>,
}

impl HttpServer {
    /// Binds. Must run inside a tokio runtime. The socket's folder is made (0755) if it is missing; `group` may use the
    /// socket besides the daemon's own user.
    ///
    /// # Errors
    /// [`HttpError`]
    pub fn bind(unix: Option<&Path>, group: Option<&str>, loopback: Option<SocketAddr>) -> Result<Self, HttpError> {
        let loopback = loopback.map(bind_loopback).transpose()?;
        let unix = unix.map(|socket| bind_unix(socket, group)).transpose()?;
        Ok(Self { unix, loopback })
    }

    /// The loopback address it listens on (with the real port, if port 0 was asked for).
    pub fn loopback_addr(&self) -> Option<SocketAddr> {
        self.loopback.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until the returned handle is dropped or [`Serving::shut_down`] is called.
    pub fn serve(self, api: Arc<dyn Api>) -> Serving {
        let mut tasks = JoinSet::new();
        let mut guard = None;
        if let Some((listener, socket)) = self.unix {
            guard = Some(socket);
            tasks.spawn(serve_listener(listener, router(Arc::clone(&api), Access::All)));
        }
        if let Some(listener) = self.loopback {
            tasks.spawn(serve_listener(listener, router(api, Access::ReadsOnly)));
        }
        Serving { tasks, _guard: guard }
    }
}

/// Listeners being served. Dropping it closes them and removes the socket.
#[derive(Debug)]
pub struct Serving {
    tasks: JoinSet<()>,
    _guard: Option<SocketGuard>,
}

impl Serving {
    /// Closes the listeners and every open connection.
    pub async fn shut_down(mut self) {
        self.tasks.shutdown().await;
    }
}

// === binding ===

fn bind_loopback(address: SocketAddr) -> Result<TcpListener, HttpError> {
    if !address.ip().is_loopback() {
        return Err(HttpError::NotLoopback(address));
    }
    let place = address.to_string();
    let listen = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listen().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => HttpError::Taken {
            place,
            key: "[http] listen",
        },
        _ => HttpError::Io { place, source },
    })
}

/// Holds the lock beside the socket, and removes the socket at the end.
#[derive(Debug)]
struct SocketGuard {
    socket: PathBuf,
    _lock: OwnedFd,
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        // A socket that somebody removed already needs no removing; any other failure leaves a stale one, which the next
        // start replaces.
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn bind_unix(socket: &Path, group: Option<&str>) -> Result<(UnixListener, SocketGuard), HttpError> {
    let gid = group.map(group_id).transpose()?;
    let failed = |source: io::Error| HttpError::Io {
        place: socket.display().to_string(),
        source,
    };
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let lock = lock_beside(socket)?;
    match std::fs::symlink_metadata(socket) {
        Ok(meta) if !meta.file_type().is_socket() => return Err(HttpError::NoSocket(socket.to_path_buf())),
        Ok(_) | Err(_) => {}
    }
    // Bound under another name, given its mode, then renamed: nobody can connect before the mode is right, and an old
    // socket is replaced in one step.
    let fresh = with_suffix(socket, ".new");
    match std::fs::remove_file(&fresh) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    if let Some(gid) = gid {
        std::os::unix::fs::chown(&fresh, None, Some(gid)).map_err(failed)?;
    }
    std::fs::rename(&fresh, socket).map_err(failed)?;
    Ok((
        listener,
        SocketGuard {
            socket: socket.to_path_buf(),
            _lock: lock,
        },
    ))
}

/// Read from the file itself: a static program resolves no other source of groups.
fn group_id(name: &str) -> Result<u32, HttpError> {
    let place = "/etc/group".to_string();
    let groups = std::fs::read_to_string(&place).map_err(|source| HttpError::Io { place, source })?;
    let id_of = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    };
    groups
        .lines()
        .find_map(id_of)
        .ok_or_else(|| HttpError::NoGroup(name.to_string()))
}

fn lock_beside(socket: &Path) -> Result<OwnedFd, HttpError> {
    let path = with_suffix(socket, ".lock");
    let place = || socket.display().to_string();
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)).map_err(|errno| HttpError::Io {
        place: path.display().to_string(),
        source: errno.into(),
    })?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(HttpError::Taken {
            place: place(),
            key: "run_dir",
        }),
        Err(errno) => Err(HttpError::Io {
            place: place(),
            source: errno.into(),
        }),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

// === accepting ===

/// A listener whose connections name their peer.
trait Listen: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept_one(&self) -> impl Future<Output = io::Result<(Self::Stream, PeerName)>> + Send;
}

impl Listen for UnixListener {
    type Stream = tokio::net::UnixStream;
    async fn accept_one(&self) -> io::Result<(Self::Stream, PeerName)> {
        let (stream, _) = self.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, PeerName(format!("uid {uid}"))))
    }
}

impl Listen for TcpListener {
    type Stream = tokio::net::TcpStream;
    async fn accept_one(&self) -> io::Result<(Self::Stream, PeerName)> {
        let (stream, address) = self.accept().await?;
        Ok((stream, PeerName(address.ip().to_string())))
    }
}

/// Accepts for ever; a failed accept (out of file descriptors) is waited out, never fatal.
async fn serve_listener<L: Listen>(listener: L, router: Router) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept_one().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "api connection not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone().layer(axum::Extension(peer)));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_WITHIN)
            .keep_alive(false)
            .max_buf_size(REQUEST_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            // A connection that breaks is the peer's affair: it has no answer, and nothing here changed by it.
            let _ = tokio::time::timeout(CONNECTION_WITHIN, connection).await;
            drop(permit);
        });
    }
}
