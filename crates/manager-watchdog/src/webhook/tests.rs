//! Receivers that are down, stall, fail or say no, on real sockets, over lives of a manager.

use super::*;
use rustix::fd::OwnedFd;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;
use watchtree_core::incident::Incident;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Level, State};
use watchtree_notify::QUEUE_MAX;
use watchtree_store::sqlite::{Found, ManagerStore};

/// For receivers that are to be heard, also on a machine that stands still for a while.
const PATIENT: &str = "deadline = \"60s\"\n";

/// One life of a manager: its store and its webhooks.
struct Life {
    store: ManagerStore,
    hooks: Webhooks,
    conditions: Conditions,
}

impl Life {
    fn begin(folder: &Path, address: SocketAddr, more: &str) -> Self {
        let text = format!("[[webhook]]\nurl = \"http://{address}/hook\"\n{more}");
        let config = watchtree_config::parse_manager(&text).expect("a good configuration");
        let (store, found) = open(folder);
        store.put_term(found.term + 1);
        let conditions = Conditions::new();
        let start = Start {
            manager: "manager".into(),
            term: found.term + 1,
            outbox: store.outbox(),
            notifications: found.notifications,
            conditions: conditions.clone(),
        };
        let hooks = Webhooks::start(config.webhooks, start).expect("threads");
        Self {
            store,
            hooks,
            conditions,
        }
    }

    /// As the executor does it.
    fn report(&mut self, change: &str, event: &EventView) {
        let notifications = self.hooks.notifications(change, event);
        self.store.put_incident_with(incident(), notifications.clone());
        assert!(notifications.iter().all(|notification| self.hooks.send(notification)));
    }

    fn said(&self, words: &str) {
        until(words, || {
            self.conditions.degraded().iter().any(|(_, why)| why.contains(words))
        });
    }
}

fn open(folder: &Path) -> (ManagerStore, Found) {
    ManagerStore::open(
        &folder.join("manager.db"),
        1,
        Box::new(|state| assert_eq!(state, Ok(String::new()))),
        Box::new(|_| ()),
    )
}

fn incident() -> Incident {
    Incident {
        id: 1,
        subject: SubjectId::new("h1").expect("a good subject"),
        state: State::AgentLost,
        level: Level::Strong,
        unconfirmed: false,
        why: String::new(),
        root_cause: None,
        touched: 0,
        opened: Moment::ZERO,
        opened_wall: WallTime(0),
        closed_wall: None,
        closed_why: String::new(),
        evidence: Vec::new(),
        decisions: Vec::new(),
    }
}

fn event(text: &str) -> EventView {
    EventView {
        subject: "h1".to_string(),
        text: text.to_string(),
        ..EventView::default()
    }
}

/// A port where nobody listens yet and which is nobody else's meanwhile.
fn closed_port() -> (OwnedFd, SocketAddr) {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
    let socket = socket.expect("a socket");
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = rustix::net::getsockname(&socket).expect("an address");
    (socket, address.try_into().expect("of the internet"))
}

fn listen(port: OwnedFd) -> TcpListener {
    rustix::net::listen(&port, 16).expect("it can be listened at");
    port.into()
}

/// Takes one request; gives its body. `None` = it was broken off.
fn take(stream: &TcpStream) -> Option<serde_json::Value> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("json"))
}

fn answer(mut stream: &TcpStream, status: &str) -> std::io::Result<()> {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes())
}

/// Takes what comes from now on: says 503 to the first and 204 to all others. One that was broken off comes again.
fn serve(listener: TcpListener) -> mpsc::Receiver<serde_json::Value> {
    let (sender, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        let mut status = "503 Service Unavailable";
        for stream in listener.incoming().flatten() {
            if let Some(body) = take(&stream) {
                // Who has given up meanwhile asks again.
                let _ = answer(&stream, status);
                let _ = sender.send(body);
                status = "204 No Content";
            }
        }
    });
    bodies
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_receiver_that_is_down_stalls_or_fails_gets_each_change_in_order_at_last() {
    let (port, address) = closed_port();
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "deadline = \"1s\"\n");
    life.report("opened", &event("first"));
    life.report("closed", &event("second"));
    life.said("tried again");
    assert!(
        !life.conditions.degraded()[0].1.contains("hook\""),
        "the url may be a secret"
    );

    let listener = listen(port);
    // It accepts and never answers: the deadline ends that.
    let (stalled, _) = listener.accept().expect("a connection");
    let bodies = serve(listener);
    let mut told = Vec::new();
    while told.last() != Some(&("h1: second".into(), "closed".into(), "manager-1-2".into())) {
        let body = bodies.recv_timeout(Duration::from_secs(30)).expect("another attempt");
        assert_eq!(body["apiVersion"], API_VERSION);
        told.push((body["text"].clone(), body["change"].clone(), body["id"].clone()));
    }
    // An id names a change, not an attempt; the first took two at least.
    assert_eq!(told[0], told[1]);
    told.dedup();
    assert_eq!(told[0], ("h1: first".into(), "opened".into(), "manager-1-1".into()));
    assert_eq!(told.len(), 2);
    until("in order again", || life.conditions.degraded().is_empty());
    drop(stalled);
    life.hooks.stop(Duration::from_secs(30));
    drop(life.store);
    assert_eq!(open(folder.path()).1.notifications, [], "nothing is owed");
}

#[test]
fn what_was_not_delivered_is_at_the_next_start_under_the_same_name() {
    let (port, address) = closed_port();
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, PATIENT);
    life.report("opened", &event("first"));
    life.said("tried again");
    life.hooks.stop(Duration::ZERO);
    drop(life.store);

    let mut life = Life::begin(folder.path(), address, PATIENT);
    life.report("closed", &event("second"));
    let listener = listen(port);
    let mut ids = Vec::new();
    for text in ["first", "second"] {
        let (stream, _) = listener.accept().expect("a connection");
        let body = take(&stream).expect("a whole request");
        assert_eq!(body["text"], format!("h1: {text}"));
        ids.push(body["id"].clone());
        answer(&stream, "200 OK").expect("answered");
    }
    assert_eq!(ids, ["manager-1-1", "manager-2-1"]);
    life.hooks.stop(Duration::from_secs(30));
    drop(life.store);
    assert_eq!(open(folder.path()).1.notifications, []);
}

#[test]
fn a_no_is_not_asked_again_and_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), listener.local_addr().expect("an address"), PATIENT);
    life.report("opened", &event("first"));
    let (stream, _) = listener.accept().expect("a connection");
    take(&stream).expect("a whole request");
    answer(&stream, "404 Not Found").expect("answered");
    life.said("404; 1 changes were not delivered");
    life.report("closed", &event("second"));
    let (stream, _) = listener.accept().expect("the next change");
    assert_eq!(take(&stream).expect("a whole request")["text"], "h1: second");
    answer(&stream, "200 OK").expect("answered");
    life.hooks.stop(Duration::from_secs(1));
}

#[test]
fn attempts_end_only_where_a_limit_is_configured() {
    let (_port, address) = closed_port();
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "retries = 1\n");
    life.report("opened", &event("first"));
    life.said("1 changes were not delivered");
    life.hooks.stop(Duration::ZERO);
}

#[test]
fn a_full_queue_drops_the_oldest_says_so_and_never_waits() {
    let (_port, address) = closed_port();
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "");
    let began = Instant::now();
    for number in 0..2 * QUEUE_MAX {
        life.report("opened", &event(&number.to_string()));
    }
    // One pause for each would come to minutes.
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(life.hooks.receivers.waiting(0), QUEUE_MAX);
    life.said("256 changes were not delivered so far");
    life.hooks.stop(Duration::ZERO);
    drop(life.store);
    assert_eq!(open(folder.path()).1.notifications.len(), QUEUE_MAX);
}
