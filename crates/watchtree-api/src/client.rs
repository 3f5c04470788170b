//! The client of the API, over a unix socket or loopback http, one connection per request.
//!
//! Contract: each request has one deadline that covers connecting, sending and the whole body; an answer has a size limit.

use crate::error::{ApiError, ErrorBody, ErrorCode};
use crate::limits::ANSWER_BYTES_MAX;
use crate::path;
use crate::query::{Ask, AskVerb, EventQuery, IncidentQuery, TreeQuery};
use crate::types::{AskAnswer, EventsResponse, ExplainResponse, Health, IncidentsResponse, TreeResponse};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Where a daemon listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// http on loopback (reads only).
    Tcp(SocketAddr),
}

impl Endpoint {
    /// Reads `/run/watchtree/manager.sock`, `unix:PATH`, `127.0.0.1:7480` or `http://127.0.0.1:7480`.
    ///
    /// # Errors
    /// One line with the cure.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        if text.starts_with('/') || text.starts_with('.') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let address = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        address.parse().map(Self::Tcp).map_err(|_| {
            format!("{text:?} is neither a path of a unix socket nor IP:PORT: write /run/watchtree/manager.sock or http://127.0.0.1:PORT")
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "http://{address}"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("nobody answers at {endpoint}: {source}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// The system's word.
        source: io::Error,
    },
    /// The socket is there but this user may not use it.
    #[error("no rights on {endpoint}: join its group or use sudo")]
    NoRights {
        /// Where.
        endpoint: Endpoint,
    },
    /// Not answered in time, the body included.
    #[error("no answer from {endpoint} within {} ms", deadline.as_millis())]
    Deadline {
        /// Where.
        endpoint: Endpoint,
        /// The time that was given.
        deadline: Duration,
    },
    /// The answer is longer than [`ANSWER_BYTES_MAX`].
    #[error("the answer of {endpoint} is longer than {ANSWER_BYTES_MAX} bytes: ask for less (depth, filter, limit)")]
    TooLarge {
        /// Where.
        endpoint: Endpoint,
    },
    /// The answer is none of this API.
    #[error("the answer of {endpoint} cannot be read: {why}")]
    BadAnswer {
        /// Where.
        endpoint: Endpoint,
        /// In words.
        why: String,
    },
    /// The daemon said no.
    #[error("{0}")]
    Api(#[from] ApiError),
}

/// A client of one daemon. Cheap to make and to clone; keeps no connection.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    deadline: Duration,
}

impl Client {
    /// For the daemon at `endpoint`; `deadline` covers each whole request.
    pub fn new(endpoint: Endpoint, deadline: Duration) -> Self {
        Self { endpoint, deadline }
    }

    /// For a unix socket, with 10 s per request.
    pub fn unix(path: &Path) -> Self {
        Self::new(Endpoint::Unix(path.to_path_buf()), Duration::from_secs(10))
    }

    /// Where it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// See [`crate::Api::tree`].
    ///
    /// # Errors
    /// [`ClientError`], as for all that follow.
    pub async fn tree(&self, query: &TreeQuery) -> Result<TreeResponse, ClientError> {
        let pairs = [
            ("depth", query.depth.map(|depth| depth.to_string())),
            ("filter", query.filter.clone()),
        ];
        self.get(&with_query(path::TREE, &pairs)).await
    }

    /// See [`crate::Api::incidents`].
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn incidents(&self, query: &IncidentQuery) -> Result<IncidentsResponse, ClientError> {
        let pairs = [
            ("all", query.all.then(|| "true".to_string())),
            ("limit", query.limit.map(|n| n.to_string())),
        ];
        self.get(&with_query(path::INCIDENTS, &pairs)).await
    }

    /// See [`crate::Api::events`]. The deadline is longer by the query's waiting time.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn events(&self, query: &EventQuery) -> Result<EventsResponse, ClientError> {
        let pairs = [
            ("since", query.since.map(|cursor| cursor.to_string())),
            ("wait_ms", (0 < query.wait_ms).then(|| query.wait_ms().to_string())),
            ("limit", query.limit.map(|n| n.to_string())),
            ("subject", query.subject.clone()),
        ];
        let patient = Self {
            deadline: self.deadline + Duration::from_millis(query.wait_ms()),
            ..self.clone()
        };
        patient.get(&with_query(path::EVENTS, &pairs)).await
    }

    /// See [`crate::Api::explain`].
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn explain(&self, subject: &str) -> Result<ExplainResponse, ClientError> {
        self.get(&with_query(path::EXPLAIN, &[("subject", Some(subject.to_string()))]))
            .await
    }

    /// See [`crate::Api::ask`].
    ///
    /// # Errors
    /// [`ClientError`]; a refusal by the target is an `Ok` answer with `done` false.
    pub async fn ask(&self, ask: &Ask) -> Result<AskAnswer, ClientError> {
        let path = match ask.verb {
            AskVerb::Hold => path::HOLD,
            AskVerb::Release => path::RELEASE,
            AskVerb::Retry => path::RETRY,
            AskVerb::Forget => path::FORGET,
        };
        let body = serde_json::to_vec(ask).map_err(|error| self.bad_answer(error.to_string()))?;
        let (status, bytes) = self.exchange(Method::POST, path, body).await?;
        self.decode(status, &bytes)
    }

    /// `/livez`
    ///
    /// # Errors
    /// [`ClientError`]; "not live" is an `Ok` answer with `ok` false.
    pub async fn live(&self) -> Result<Health, ClientError> {
        self.health(path::LIVEZ).await
    }

    /// `/readyz`
    ///
    /// # Errors
    /// [`ClientError`]; "not ready" is an `Ok` answer with `ok` false.
    pub async fn ready(&self) -> Result<Health, ClientError> {
        self.health(path::READYZ).await
    }

    async fn health(&self, path: &str) -> Result<Health, ClientError> {
        let (status, bytes) = self.exchange(Method::GET, path, Vec::new()).await?;
        // "Not live" comes as 503 with a Health; any other refusal comes as an error of this API.
        if status == StatusCode::SERVICE_UNAVAILABLE && serde_json::from_slice::<ErrorBody>(&bytes).is_err() {
            return self.decode(StatusCode::OK, &bytes);
        }
        self.decode(status, &bytes)
    }

    async fn get<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, ClientError> {
        let (status, bytes) = self.exchange(Method::GET, path_and_query, Vec::new()).await?;
        self.decode(status, &bytes)
    }

    fn decode<T: DeserializeOwned>(&self, status: StatusCode, bytes: &[u8]) -> Result<T, ClientError> {
        if status.is_success() {
            return serde_json::from_slice(bytes).map_err(|error| self.bad_answer(error.to_string()));
        }
        match serde_json::from_slice::<ErrorBody>(bytes) {
            Ok(body) => Err(ClientError::Api(body.error)),
            Err(_) => Err(self.bad_answer(format!("status {status} without an error of this API"))),
        }
    }

    fn bad_answer(&self, why: String) -> ClientError {
        ClientError::BadAnswer {
            endpoint: self.endpoint.clone(),
            why,
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), ClientError> {
        match tokio::time::timeout(self.deadline, self.exchange_patiently(method, path, body)).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Deadline {
                endpoint: self.endpoint.clone(),
                deadline: self.deadline,
            }),
        }
    }

    async fn exchange_patiently(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        match &self.endpoint {
            Endpoint::Unix(socket) => {
                let stream = UnixStream::connect(socket)
                    .await
                    .map_err(|error| self.connect_error(error))?;
                self.over(stream, "localhost".into(), method, path, body).await
            }
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address)
                    .await
                    .map_err(|error| self.connect_error(error))?;
                self.over(stream, address.to_string(), method, path, body).await
            }
        }
    }

    fn connect_error(&self, source: io::Error) -> ClientError {
        let endpoint = self.endpoint.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NoRights { endpoint },
            _ => ClientError::Unreachable { endpoint, source },
        }
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        host: String,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let broken = |error: hyper::Error| self.bad_answer(error.to_string());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.bad_answer(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        ClientError::TooLarge {
                            endpoint: self.endpoint.clone(),
                        }
                    } else {
                        self.bad_answer(error.to_string())
                    }
                })?;
            Ok((status, body.to_bytes()))
        };
        // The connection is driven beside the exchange, not in a task of its own: when the deadline drops this future,
        // the connection is closed with it.
        tokio::pin!(connection, exchange);
        let mut connection_over = false;
        loop {
            tokio::select! {
                result = &mut exchange => return result,
                // What it ends with reaches the exchange as its own error.
                _ = &mut connection, if !connection_over => connection_over = true,
            }
        }
    }
}

impl ClientError {
    /// The code of an error that the daemon itself sent.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Api(error) => Some(error.code),
            _ => None,
        }
    }
}

/// Joins a path and those pairs that have a value.
fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_string();
    for (name, value) in pairs {
        if let Some(value) = value {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(name);
            text.push('=');
            text.push_str(&percent_encode(value));
        }
    }
    text
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_people_write_them() {
        assert_eq!(Endpoint::parse("/run/x.sock"), Ok(Endpoint::Unix("/run/x.sock".into())));
        assert_eq!(Endpoint::parse("unix:x.sock"), Ok(Endpoint::Unix("x.sock".into())));
        assert_eq!(
            Endpoint::parse("http://127.0.0.1:80/"),
            Ok(Endpoint::Tcp(([127, 0, 0, 1], 80).into()))
        );
        assert_eq!(
            Endpoint::parse("[::1]:80").map(|e| e.to_string()),
            Ok("http://[::1]:80".into())
        );
        assert!(Endpoint::parse("manager").is_err());
    }

    #[test]
    fn a_query_is_encoded() {
        let path = with_query(
            "/p",
            &[("a", None), ("b", Some("x y&z".into())), ("c", Some("h1/d".into()))],
        );
        assert_eq!(path, "/p?b=x%20y%26z&c=h1/d");
    }
}
