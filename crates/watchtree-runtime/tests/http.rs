//! The API's server and client over real sockets.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watchtree_api::{
    Answer, Api, ApiError, Ask, AskAnswer, AskVerb, Client, ClientError, Endpoint, ErrorCode, EventQuery, EventView,
    EventsResponse, ExplainResponse, Health, IncidentQuery, IncidentsResponse, TreeNode, TreeQuery, TreeResponse,
};
use watchtree_runtime::{Code, EventLog, HttpError, HttpServer, Serving};

/// A small daemon: what it answers shows what it was asked.
struct Small(EventLog);

impl Api for Small {
    fn tree(&self, query: TreeQuery) -> Answer<'_, TreeResponse> {
        Box::pin(async move {
            let subject = format!("depth {:?} filter {:?}", query.depth, query.filter);
            Ok(TreeResponse {
                tree: vec![TreeNode {
                    subject,
                    ..TreeNode::default()
                }],
                ..TreeResponse::default()
            })
        })
    }
    fn incidents(&self, query: IncidentQuery) -> Answer<'_, IncidentsResponse> {
        Box::pin(async move {
            Ok(IncidentsResponse {
                node: format!("all {}", query.all),
                ..Default::default()
            })
        })
    }
    fn events(&self, query: EventQuery) -> Answer<'_, EventsResponse> {
        Box::pin(async move { Ok(self.0.read(&query).await) })
    }
    fn explain(&self, subject: String) -> Answer<'_, ExplainResponse> {
        Box::pin(async move { Err(ApiError::new(ErrorCode::NotFound, format!("no subject {subject}")).cure("look")) })
    }
    fn ask(&self, ask: Ask) -> Answer<'_, AskAnswer> {
        Box::pin(async move {
            let detail = format!(
                "{} {} {:?} {}",
                ask.verb.as_str(),
                ask.subject,
                ask.lasts_ms,
                ask.asked_by
            );
            Ok(AskAnswer {
                done: true,
                detail,
                ..AskAnswer::default()
            })
        })
    }
    fn live(&self) -> Answer<'_, Health> {
        Box::pin(async move {
            Ok(Health {
                ok: true,
                ..Health::default()
            })
        })
    }
    fn ready(&self) -> Answer<'_, Health> {
        Box::pin(async move {
            Ok(Health {
                ok: false,
                detail: "settling".into(),
                ..Health::default()
            })
        })
    }
}

fn serve(socket: &Path) -> (Serving, EventLog) {
    let log = EventLog::new("small", "1");
    let server = HttpServer::bind(Some(socket), None, None).expect("the socket can be bound");
    (server.serve(Arc::new(Small(log.clone()))), log)
}

/// Sends bytes as they are, gives back everything until the server closes.
fn raw(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("listening");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    stream.write_all(bytes).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered and closed");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_writes_over_a_unix_socket() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("run/manager.sock");
    let (serving, log) = serve(&socket);
    let mode = std::fs::metadata(&socket).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    let client = Client::unix(&socket);

    let tree = client
        .tree(&TreeQuery {
            depth: Some(2),
            filter: Some("a b&c".into()),
        })
        .await
        .expect("a tree");
    assert_eq!(tree.tree[0].subject, r#"depth Some(2) filter Some("a b&c")"#);
    assert_eq!(tree.api_version.0, "watchtree/v1");
    let incidents = client
        .incidents(&IncidentQuery { all: true, limit: None })
        .await
        .expect("incidents");
    assert_eq!(incidents.node, "all true");
    let ask = Ask {
        verb: AskVerb::Hold,
        subject: "h1".into(),
        lasts_ms: Some(5),
        asked_by: "me".into(),
        ..Ask::default()
    };
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(
        client.ask(&ask).await.expect("done").detail,
        format!("hold h1 Some(5) uid {uid} (me)")
    );
    match client.explain("h9").await {
        Err(ClientError::Api(error)) => assert_eq!(error.to_string(), "no subject h9; look"),
        other => panic!("{other:?}"),
    }
    assert!(client.live().await.expect("live").ok);
    let ready = client.ready().await.expect("an answer");
    assert!(!ready.ok);
    assert_eq!(ready.detail, "settling");

    let waiting = tokio::spawn({
        let client = client.clone();
        async move {
            client
                .events(&EventQuery {
                    since: Some(0),
                    wait_ms: 5000,
                    ..EventQuery::default()
                })
                .await
        }
    });
    log.push(EventView::default());
    assert_eq!(waiting.await.expect("no panic").expect("events").next, 1);

    serving.shut_down().await;
    assert!(matches!(client.live().await, Err(ClientError::Unreachable { .. })));
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_one_clear_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("m.sock");
    let (_serving, _log) = serve(&socket);
    let check = |request: &str, status: &str, words: &str| {
        let answer = raw(&socket, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        assert!(answer.contains(words), "{request}: {answer}");
        assert!(answer.contains("apiVersion"), "{request}: {answer}");
    };
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    check("GET /api/v1/tree?depth=x HTTP/1.1\r\nhost: x\r\n\r\n", "400", "depth");
    check("GET /api/v2/tree HTTP/1.1\r\nhost: x\r\n\r\n", "404", "no such path");
    check("DELETE /api/v1/tree HTTP/1.1\r\nhost: x\r\n\r\n", "405", "GET");
    check("GET /api/v1/explain HTTP/1.1\r\nhost: x\r\n\r\n", "400", "subject");
    check(&post("/api/v1/hold", "{"), "400", "no request of this API");
    check(&post("/api/v1/hold", r#"{"subject":"h1"}"#), "400", "lasts_ms");
    check(
        &post("/api/v1/release", r#"{"subject":"h1","lasts_ms":5}"#),
        "400",
        "only a hold",
    );
    check(
        &post("/api/v1/retry", &" ".repeat(watchtree_api::REQUEST_BYTES_MAX + 1)),
        "413",
        "at most",
    );
    check("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n", "503", "settling");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_peers_are_let_go_and_hold_nobody_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("m.sock");
    let (_serving, _log) = serve(&socket);
    let silent: Vec<UnixStream> = (0..32)
        .map(|_| UnixStream::connect(&socket).expect("listening"))
        .collect();
    let began = Instant::now();
    let client = Client::unix(&socket);
    assert!(client.live().await.expect("others are served meanwhile").ok);
    // Later the silent ones are let go.
    assert!(began.elapsed() < Duration::from_secs(5));
    let stalled_body = tokio::task::spawn_blocking({
        let socket = socket.clone();
        move || {
            raw(
                &socket,
                b"POST /api/v1/hold HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
            )
        }
    });
    let answer = stalled_body.await.expect("no panic");
    assert!(answer.contains("deadline"), "{answer}");
    for mut stream in silent {
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a timeout");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("closed by the server");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("m.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket that nobody serves"));
    let (serving, _log) = serve(&socket);
    match HttpServer::bind(Some(&socket), None, None) {
        Err(error @ HttpError::Taken { .. }) => assert_eq!(error.code(), Code::Taken),
        other => panic!("{other:?}"),
    }
    assert!(Client::unix(&socket).live().await.expect("the first still serves").ok);
    drop(serving);
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").expect("written");
    assert!(matches!(
        HttpServer::bind(Some(&file), Some("root"), None),
        Err(HttpError::NoSocket(_))
    ));
    match HttpServer::bind(Some(&file), Some("no-such-group"), None) {
        Err(error @ HttpError::NoGroup(_)) => assert_eq!(error.code(), Code::BadInput),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_answers_reads_only() {
    let log = EventLog::new("small", "1");
    let server = HttpServer::bind(None, None, Some(([127, 0, 0, 1], 0).into())).expect("bound");
    let address = server.loopback_addr().expect("an address");
    match HttpServer::bind(None, None, Some(address)) {
        Err(error @ HttpError::Taken { .. }) => assert_eq!(error.code(), Code::Taken),
        other => panic!("{other:?}"),
    }
    match HttpServer::bind(None, None, Some(([0, 0, 0, 0], 0).into())) {
        Err(error @ HttpError::NotLoopback(_)) => assert_eq!(error.code(), Code::BadInput),
        other => panic!("{other:?}"),
    }
    let _serving = server.serve(Arc::new(Small(log)));
    let client = Client::new(Endpoint::Tcp(address), Duration::from_secs(5));
    assert!(client.tree(&TreeQuery::default()).await.is_ok());
    let ask = Ask {
        verb: AskVerb::Retry,
        subject: "h1".into(),
        ..Ask::default()
    };
    assert_eq!(
        client.ask(&ask).await.expect_err("refused").code(),
        Some(ErrorCode::ReadOnly)
    );

    let rebound = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).expect("listening");
        stream
            .write_all(b"GET /api/v1/tree HTTP/1.1\r\nhost: evil.example\r\n\r\n")
            .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    });
    assert!(rebound.await.expect("no panic").starts_with("HTTP/1.1 403"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_gives_up_on_a_stalled_answer() {
    let dir = tempfile::tempdir().expect("a folder");
    let socket = dir.path().join("m.sock");
    let listener = tokio::net::UnixListener::bind(&socket).expect("bound");
    let stalling = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        // The request first: an answer to nothing is another error.
        let mut request = [0; 1024];
        tokio::io::AsyncReadExt::read(&mut stream, &mut request)
            .await
            .expect("a request");
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
        // On a machine that stood still the client has given up already.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, head).await;
        stream
    });
    let client = Client::new(Endpoint::Unix(socket), Duration::from_millis(300));
    let began = Instant::now();
    assert!(matches!(client.live().await, Err(ClientError::Deadline { .. })));
    // The answer never ends: without a deadline this would not either.
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(stalling.await.expect("no panic"));
}
