//! Receivers that are down, stall, fail or say no, on real sockets, over lives of a manager.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use watchtree_core::incident::Incident;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Level, State};
use watchtree_store::sqlite::{Found, ManagerStore};

/// One life of a manager: its store and its webhooks.
struct Life {
    store: ManagerStore,
    hooks: Webhooks,
    conditions: Conditions,
}

impl Life {
    fn begin(folder: &Path, address: SocketAddr, more: &str) -> Self {
        let text = format!("[[webhook]]\nurl = \"http://{address}/hook\"\ndeadline = \"300ms\"\n{more}");
        let config = watchtree_config::parse_manager(&text).expect("a good configuration");
        let (store, found) = open(folder);
        store.put_term(found.term + 1);
        let conditions = Conditions::new();
        let start = Start {
            manager: "manager".into(),
            term: found.term + 1,
            outbox: store.outbox(),
            letters: found.letters,
            conditions: conditions.clone(),
        };
        let hooks = Webhooks::start(config.webhooks, start).expect("threads");
        Self {
            store,
            hooks,
            conditions,
        }
    }

    /// As the performer does it.
    fn tell(&mut self, change: &str, event: &EventView) {
        let letters = self.hooks.letters(change, event);
        self.store.put_told(incident(), letters.clone());
        assert!(letters.iter().all(|letter| self.hooks.send(letter)));
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
        text: text.to_string(),
        ..EventView::default()
    }
}

/// Takes one request; gives its body.
fn take(stream: &TcpStream) -> serde_json::Value {
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    serde_json::from_slice(&body).expect("json")
}

fn answer(mut stream: &TcpStream, status: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).expect("answered");
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_receiver_that_is_down_stalls_or_fails_gets_each_change_in_order_at_last() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "");
    life.tell("opened", &event("first"));
    life.tell("closed", &event("second"));
    life.said("tried again");
    assert!(
        !life.conditions.degraded()[0].1.contains("hook\""),
        "the url may be a secret"
    );

    let listener = TcpListener::bind(address).expect("the port is still free");
    // It accepts and never answers: the deadline ends that.
    let (stalled, _) = listener.accept().expect("a connection");
    let (failing, _) = listener.accept().expect("another attempt");
    let first = take(&failing);
    assert_eq!(first["text"], "first");
    answer(&failing, "503 Service Unavailable");
    for (text, change) in [("first", "opened"), ("second", "closed")] {
        let (stream, _) = listener.accept().expect("a connection");
        let body = take(&stream);
        assert_eq!((&body["text"], &body["change"]), (&text.into(), &change.into()));
        assert_eq!(body["apiVersion"], API_VERSION);
        assert_eq!(
            body["id"] == first["id"],
            text == "first",
            "an id names a change, not an attempt"
        );
        answer(&stream, "204 No Content");
    }
    until("in order again", || life.conditions.degraded().is_empty());
    drop(stalled);
    life.hooks.stop(Duration::from_secs(1));
    drop(life.store);
    assert_eq!(open(folder.path()).1.letters, [], "nothing is owed");
}

#[test]
fn what_was_not_delivered_is_at_the_next_start_under_the_same_name() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "");
    life.tell("opened", &event("first"));
    life.said("tried again");
    life.hooks.stop(Duration::ZERO);
    drop(life.store);

    let mut life = Life::begin(folder.path(), address, "");
    life.tell("closed", &event("second"));
    let listener = TcpListener::bind(address).expect("the port is still free");
    let mut ids = Vec::new();
    for text in ["first", "second"] {
        let (stream, _) = listener.accept().expect("a connection");
        let body = take(&stream);
        assert_eq!(body["text"], text);
        ids.push(body["id"].clone());
        answer(&stream, "200 OK");
    }
    assert_eq!(ids, ["manager-1-1", "manager-2-1"]);
    life.hooks.stop(Duration::from_secs(5));
    drop(life.store);
    assert_eq!(open(folder.path()).1.letters, []);
}

#[test]
fn a_no_is_not_asked_again_and_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), listener.local_addr().expect("an address"), "");
    life.tell("opened", &event("first"));
    let (stream, _) = listener.accept().expect("a connection");
    take(&stream);
    answer(&stream, "404 Not Found");
    life.said("404; 1 changes were not delivered");
    life.tell("closed", &event("second"));
    let (stream, _) = listener.accept().expect("the next change");
    assert_eq!(take(&stream)["text"], "second");
    answer(&stream, "200 OK");
    life.hooks.stop(Duration::from_secs(1));
}

#[test]
fn attempts_end_only_where_a_limit_is_configured() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "retries = 1\n");
    life.tell("opened", &event("first"));
    life.said("1 changes were not delivered");
    life.hooks.stop(Duration::ZERO);

    let mut tries = Tries::default();
    let id = |count| LetterId {
        change: ChangeId { term: 1, count },
        receiver: String::new(),
    };
    let pauses: Vec<Duration> = (0..2000).map(|_| tries.failed(&id(1))).collect();
    assert_eq!(pauses[..2], [PAUSE_MIN, 2 * PAUSE_MIN]);
    assert!(pauses[7..].iter().all(|pause| *pause == PAUSE_MAX));
    assert_eq!(tries.failed(&id(2)), PAUSE_MAX, "it is the receiver that is ill");
}

#[test]
fn a_full_queue_drops_the_oldest_says_so_and_never_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path(), address, "");
    let began = Instant::now();
    for number in 0..2 * QUEUE_MAX {
        life.tell("opened", &event(&number.to_string()));
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(life.hooks.hooks[0].lock().queue.len(), QUEUE_MAX);
    life.said("256 changes were not delivered so far");
    life.hooks.stop(Duration::ZERO);
    drop(life.store);
    assert_eq!(open(folder.path()).1.letters.len(), QUEUE_MAX);
}
