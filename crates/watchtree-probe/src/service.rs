//! Does a service answer as it should? An HTTP request, or something sent over TCP, over sockets that the caller makes.
//!
//! Contract: one deadline for everything. A connect alone proves nothing, since the kernel accepts it for a process that is frozen:
//! only what the service itself sends counts. Refused, reset and closed are answers with no; what could not be tried (no socket, no
//! route, no port left) is no answer at all. At most 16 KiB are read. Does not know what an answer means, nor whose network it is in.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use watchtree_core::container::io::{Method, ProbeOutcome};

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Whoever hears of its own deadline so late did not run meanwhile: the answer may have been there in time.
const LATE: Duration = Duration::from_millis(50);

/// Asks at the first of these addresses at which somebody listens. `socket` makes one for an address; its error, in words, is that
/// of a probe that could not be run.
pub async fn ask<S, F>(method: &Method, addresses: &[IpAddr], within: Duration, socket: S) -> ProbeOutcome
where
    S: Fn(IpAddr) -> F,
    F: Future<Output = Result<TcpSocket, String>>,
{
    ask_and_tell(method, addresses, within, socket).await.0
}

/// As [`ask`], from another network than the service's own: nothing is known of one that cannot be reached from there, for it may
/// listen in its own network alone.
pub async fn ask_from_outside<S, F>(method: &Method, address: IpAddr, within: Duration, socket: S) -> ProbeOutcome
where
    S: Fn(IpAddr) -> F,
    F: Future<Output = Result<TcpSocket, String>>,
{
    match ask_and_tell(method, &[address], within, socket).await {
        (ProbeOutcome::Failed(why) | ProbeOutcome::TimedOut(why), false) => {
            ProbeOutcome::CannotRun(format!("{why}, from outside: it may listen in its own network alone"))
        }
        (outcome, _) => outcome,
    }
}

/// What came of it, and whether somebody took the connection.
async fn ask_and_tell<S, F>(method: &Method, addresses: &[IpAddr], within: Duration, socket: S) -> (ProbeOutcome, bool)
where
    S: Fn(IpAddr) -> F,
    F: Future<Output = Result<TcpSocket, String>>,
{
    let mut is_connected = false;
    let began = tokio::time::Instant::now();
    let asked = tokio::time::timeout(within, at_first(method, addresses, socket, &mut is_connected)).await;
    let millis = within.as_millis();
    let late = began.elapsed().saturating_sub(within);
    let outcome = match asked {
        Ok(outcome) => cut(outcome),
        Err(_) if LATE < late => {
            ProbeOutcome::CannotRun(format!("this watchdog was {} ms late itself", late.as_millis()))
        }
        Err(_) if is_connected => ProbeOutcome::TimedOut(format!("connected, but no answer within {millis} ms")),
        Err(_) => ProbeOutcome::TimedOut(format!("not connected within {millis} ms")),
    };
    (outcome, is_connected)
}

async fn at_first<S, F>(method: &Method, addresses: &[IpAddr], socket: S, is_connected: &mut bool) -> ProbeOutcome
where
    S: Fn(IpAddr) -> F,
    F: Future<Output = Result<TcpSocket, String>>,
{
    let port = match method {
        Method::Http { port, .. } | Method::Tcp { port, .. } => *port,
        Method::Exec { .. } => return ProbeOutcome::CannotRun("a command is not asked over a network".to_owned()),
    };
    let mut refused = ProbeOutcome::CannotRun("it has no address".to_owned());
    for ip in addresses {
        let to = SocketAddr::new(*ip, port);
        let made = match socket(*ip).await {
            Ok(made) => made,
            Err(why) => return ProbeOutcome::CannotRun(why),
        };
        match made.connect(to).await {
            Ok(stream) => {
                *is_connected = true;
                return said(method, stream, to).await;
            }
            Err(error) => refused = not_connected(to, &error),
        }
        if !matches!(refused, ProbeOutcome::Failed(_)) {
            return refused;
        }
    }
    refused
}

fn not_connected(to: SocketAddr, error: &Error) -> ProbeOutcome {
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeOutcome::Failed(format!("connection refused at {to}")),
        ErrorKind::ConnectionReset => ProbeOutcome::Failed(format!("connection reset at {to}")),
        ErrorKind::TimedOut => ProbeOutcome::TimedOut(format!("no answer from {to}")),
        _ => ProbeOutcome::CannotRun(format!("cannot connect to {to}: {error}")),
    }
}

async fn said(method: &Method, stream: TcpStream, to: SocketAddr) -> ProbeOutcome {
    let said = match method {
        Method::Http {
            path,
            host,
            status,
            body,
            ..
        } => {
            let host = host.clone().unwrap_or_else(|| to.to_string());
            by_http(stream, (path, &host), *status, body.as_deref()).await
        }
        Method::Tcp { send, expect, .. } => by_tcp(stream, send, expect).await,
        Method::Exec { .. } => Err("a command is not asked over a network".to_owned()),
    };
    said.map_or_else(ProbeOutcome::Failed, |()| ProbeOutcome::Passed)
}

/// `Err` = it says no, in words.
async fn by_tcp(mut stream: TcpStream, send: &[u8], expect: &[u8]) -> Result<(), String> {
    let broke = |error: Error| format!("the connection broke: {error}");
    stream.write_all(send).await.map_err(broke)?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await.map_err(broke)? == 0 {
            return Err(match answer.is_empty() {
                true => "closed without an answer".to_owned(),
                false => format!(
                    "closed, and {:?} was not in its answer",
                    String::from_utf8_lossy(expect)
                ),
            });
        }
        if holds(&answer, expect) {
            return Ok(());
        }
        if ANSWER_BYTES_MAX <= answer.len() {
            return Err(format!("{:?} is not in its answer", String::from_utf8_lossy(expect)));
        }
    }
}

async fn by_http(
    stream: TcpStream,
    (path, host): (&str, &str),
    (least, most): (u16, u16),
    text: Option<&str>,
) -> Result<(), String> {
    let no_http = |error: hyper::Error| format!("no HTTP answer: {error}");
    let mut http = http1::Builder::new();
    let (mut sender, connection) = http
        .max_buf_size(ANSWER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(no_http)?;
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("watchtree-probe/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(no_http)?;
        let status = response.status().as_u16();
        let body = read(response).await.map_err(no_http)?;
        if !(least..=most).contains(&status) {
            return Err(format!("status {status}"));
        }
        match text {
            Some(text) if !holds(&body, text.as_bytes()) => {
                Err(format!("status {status}, but its body lacks {text:?}"))
            }
            _ => Ok(()),
        }
    };
    tokio::pin!(answer);
    // The connection moves the answer along, and may end before all of it is taken.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}

/// The body, or its beginning.
async fn read(response: Response<Incoming>) -> Result<Vec<u8>, hyper::Error> {
    let (mut body, mut read) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            let room = ANSWER_BYTES_MAX - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
        if ANSWER_BYTES_MAX <= read.len() {
            break;
        }
    }
    Ok(read)
}

fn holds(answer: &[u8], text: &[u8]) -> bool {
    text.is_empty() || answer.windows(text.len()).any(|part| part == text)
}

/// Words are bounded, whatever a service puts into its answer.
fn cut(outcome: ProbeOutcome) -> ProbeOutcome {
    let cut = |words: String| {
        let end = (0..=ProbeOutcome::WORDS_BYTES_MAX.min(words.len())).rev();
        let end = end.into_iter().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        words[..end].to_owned()
    };
    match outcome {
        ProbeOutcome::Passed => ProbeOutcome::Passed,
        ProbeOutcome::Failed(words) => ProbeOutcome::Failed(cut(words)),
        ProbeOutcome::TimedOut(words) => ProbeOutcome::TimedOut(cut(words)),
        ProbeOutcome::CannotRun(words) => ProbeOutcome::CannotRun(cut(words)),
    }
}

#[cfg(test)]
mod tests {
    //! Services that answer, refuse, close, and say nothing.
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(200);
    /// Where an answer comes, also on a machine that stood still for a while.
    const SOON: Duration = Duration::from_secs(20);

    /// A service that reads something, says that, and closes. Its port.
    async fn service(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            }
        });
        port
    }

    fn http(port: u16, body: Option<&str>) -> Method {
        Method::Http {
            port,
            path: "/healthz".to_owned(),
            host: None,
            status: Method::STATUS,
            body: body.map(str::to_owned),
        }
    }

    fn tcp(port: u16, expect: &str) -> Method {
        Method::Tcp {
            port,
            send: b"PING\r\n".to_vec(),
            expect: expect.as_bytes().to_vec(),
        }
    }

    async fn at(method: &Method, within: Duration) -> ProbeOutcome {
        let socket = async |_| TcpSocket::new_v4().map_err(|error| error.to_string());
        ask(method, &[IpAddr::V4(Ipv4Addr::LOCALHOST)], within, socket).await
    }

    fn failed(words: &str) -> ProbeOutcome {
        ProbeOutcome::Failed(words.to_owned())
    }

    #[tokio::test]
    async fn from_outside_only_whoever_takes_the_connection_proves_anything() {
        let outside = async |method: &Method, within| {
            let socket = async |_| TcpSocket::new_v4().map_err(|error| error.to_string());
            ask_from_outside(method, IpAddr::V4(Ipv4Addr::LOCALHOST), within, socket).await
        };
        let bad = service(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(outside(&http(bad, None), SOON).await, failed("status 503"));
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = silent.local_addr().expect("an address").port();
        assert!(matches!(
            outside(&http(port, None), SHORT).await,
            ProbeOutcome::TimedOut(_)
        ));
        drop(silent);
        assert!(matches!(
            outside(&http(port, None), SOON).await,
            ProbeOutcome::CannotRun(_)
        ));
        assert!(matches!(at(&http(port, None), SOON).await, ProbeOutcome::Failed(_)));
    }

    #[tokio::test]
    async fn status_and_body_decide() {
        let good = service(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall fine\n").await;
        assert_eq!(at(&http(good, None), SOON).await, ProbeOutcome::Passed);
        assert_eq!(at(&http(good, Some("fine")), SOON).await, ProbeOutcome::Passed);
        let lacks = failed("status 200, but its body lacks \"well\"");
        assert_eq!(at(&http(good, Some("well")), SOON).await, lacks);
        let bad = service(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(at(&http(bad, None), SOON).await, failed("status 503"));
        let chunked =
            service(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfi \r\n4\r\nne\r\n\r\n0\r\n\r\n").await;
        assert_eq!(at(&http(chunked, Some("fi ne")), SOON).await, ProbeOutcome::Passed);
        let old = service(b"HTTP/1.0 200 OK\r\n\r\nuntil its end").await;
        assert_eq!(at(&http(old, Some("end")), SOON).await, ProbeOutcome::Passed);
        for other in [&b"220 smtp\r\n"[..], b""] {
            let port = service(other).await;
            let outcome = at(&http(port, None), SOON).await;
            assert!(
                matches!(&outcome, ProbeOutcome::Failed(why) if why.starts_with("no HTTP answer")),
                "{outcome:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_answer_over_tcp_must_come_and_hold_what_is_expected() {
        let redis = service(b"+PONG\r\n").await;
        assert_eq!(at(&tcp(redis, "+PONG"), SOON).await, ProbeOutcome::Passed);
        assert_eq!(at(&tcp(redis, ""), SOON).await, ProbeOutcome::Passed);
        let other = failed("closed, and \"+OK\" was not in its answer");
        assert_eq!(at(&tcp(redis, "+OK"), SOON).await, other);
        let silent = service(b"").await;
        assert_eq!(at(&tcp(silent, ""), SOON).await, failed("closed without an answer"));
    }

    #[tokio::test]
    async fn a_frozen_process_is_connected_to_and_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let silence = ProbeOutcome::TimedOut("connected, but no answer within 200 ms".to_owned());
        assert_eq!(at(&tcp(port, ""), SHORT).await, silence);
        assert_eq!(at(&http(port, None), SHORT).await, silence);
        drop(listener);
        let refused = failed(&format!("connection refused at 127.0.0.1:{port}"));
        assert_eq!(at(&tcp(port, ""), SOON).await, refused);
    }

    #[tokio::test]
    async fn whoever_stood_still_knows_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let method = tcp(port, "");
        let asked = at(&method, SHORT);
        // Everything on this thread stands still, the probe as well.
        let stands = async {
            tokio::task::yield_now().await;
            std::thread::sleep(SHORT + LATE * 2);
        };
        let (outcome, ()) = tokio::join!(asked, stands);
        assert!(
            matches!(&outcome, ProbeOutcome::CannotRun(why) if why.contains("late itself")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn the_next_address_is_asked_where_nobody_listens() {
        let port = service(b"+PONG\r\n").await;
        let addresses = [Ipv4Addr::new(127, 9, 9, 9), Ipv4Addr::LOCALHOST].map(IpAddr::V4);
        let socket = async |_| TcpSocket::new_v4().map_err(|error| error.to_string());
        assert_eq!(
            ask(&tcp(port, ""), &addresses, SOON, socket).await,
            ProbeOutcome::Passed
        );
    }

    #[tokio::test]
    async fn what_could_not_be_tried_is_no_failure() {
        let none = async |_| Err("no socket".to_owned());
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let outcome = ask(&tcp(1, ""), &loopback, SOON, none).await;
        assert_eq!(outcome, ProbeOutcome::CannotRun("no socket".to_owned()));
        let outcome = ask(&tcp(1, ""), &[], SOON, none).await;
        assert_eq!(outcome, ProbeOutcome::CannotRun("it has no address".to_owned()));
        // A socket of the other family cannot connect there.
        let other = async |_| TcpSocket::new_v6().map_err(|error| error.to_string());
        let outcome = ask(&tcp(1, ""), &loopback, SOON, other).await;
        assert!(matches!(outcome, ProbeOutcome::CannotRun(_)), "{outcome:?}");
    }
}
