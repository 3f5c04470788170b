//! Programs and webhooks of real processes and sockets, over lives of a host.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use watchtree_core::subject::SubjectId;
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Level, State};

fn incident(subject: &str) -> Incident {
    Incident {
        id: 4,
        subject: SubjectId::new(subject).expect("a good subject"),
        state: State::GivenUp,
        level: Level::Certain,
        unconfirmed: false,
        why: "line\nbreak".to_owned(),
        root_cause: None,
        touched: 0,
        opened: Moment::ZERO,
        opened_wall: WallTime(7),
        closed_wall: None,
        closed_why: String::new(),
        evidence: Vec::new(),
        decisions: Vec::new(),
    }
}

fn config(folder: &Path, more: &str) -> HostConfig {
    let state = folder.display();
    let text = format!("name = \"h1\"\nstate_dir = \"{state}\"\n{more}");
    std::fs::create_dir_all(folder.join("host")).expect("a folder");
    watchtree_config::parse_host(&text).expect("a good configuration")
}

fn begin(config: &HostConfig, conditions: &Conditions) -> (Alerts, Found) {
    let events = EventLog::new("h1", "1".to_owned());
    Alerts::start(config, 1, conditions, events).expect("threads")
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program of these lines, as an entry of the configuration.
fn script(folder: &Path, lines: &str) -> String {
    let file = folder.join("page");
    std::fs::write(&file, format!("#!/bin/sh\n{lines}\n")).expect("written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("may be run");
    format!("[[hook]]\ncommand = [\"{}\", \"ops\"]\n", file.display())
}

#[test]
fn a_program_gets_the_message_and_its_gist_and_no_variable_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let lines = format!(
        "env | sort > {0}.new; cat >> {0}.new; echo \" $1\" >> {0}.new; mv {0}.new {0}",
        out.display()
    );
    let config = config(folder.path(), &script(folder.path(), &lines));
    let (mut alerts, _) = begin(&config, &Conditions::new());
    alerts.tell(&IncidentChange::Opened(incident("h1/docker/web")));
    until("the program ran", || out.exists());
    let told = std::fs::read_to_string(&out).expect("text");
    let variables: Vec<&str> = told.lines().filter(|line| line.starts_with("WATCHTREE_")).collect();
    assert_eq!(
        variables,
        [
            "WATCHTREE_CHANGE=opened",
            "WATCHTREE_STATE=given_up",
            "WATCHTREE_SUBJECT=h1/docker/web",
            "WATCHTREE_TEXT=h1/docker/web: incident 4 opened: GIVEN UP: line break",
        ]
    );
    assert!(!told.contains("CARGO"), "{told}");
    let body = told.lines().find(|line| line.starts_with('{')).expect("the message");
    assert!(body.contains("\"host\":\"h1\"") && body.ends_with(" ops"), "{body}");
    alerts.stop(Duration::from_secs(30));
}

#[test]
fn a_program_that_fails_or_hangs_is_tried_again_and_the_next_start_owes_what_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = folder.path().join("count");
    // It fails, then hangs, and would do so for ever.
    let lines = format!(
        "echo >> {0}; test $(wc -l < {0}) = 1 && {{ echo no pager >&2; exit 3; }}; exec sleep 60",
        count.display()
    );
    let hook = format!("{}deadline = \"300ms\"\n", script(folder.path(), &lines));
    let (config, conditions) = (config(folder.path(), &hook), Conditions::new());
    let (mut alerts, found) = begin(&config, &conditions);
    assert_eq!((found.open.len(), found.next), (0, 1));
    alerts.tell(&IncidentChange::Opened(incident("h1/docker/web")));
    let said = |words: &str| {
        until(words, || {
            conditions.degraded().iter().any(|(_, why)| why.contains(words))
        })
    };
    said("exit status: 3: no pager");
    said("not done within 0.3 s: killed");
    alerts.stop(Duration::ZERO);

    script(folder.path(), &format!("cat > {}", count.display()));
    let (mut alerts, found) = begin(&config, &conditions);
    let open: Vec<_> = found
        .open
        .iter()
        .map(|it| (it.subject.as_str(), it.state, it.id))
        .collect();
    assert_eq!((open, found.next), (vec![("h1/docker/web", State::GivenUp, 4)], 5));
    until("told", || conditions.degraded().is_empty());
    let told = std::fs::read_to_string(&count).expect("text");
    assert!(told.contains("h1-1-1") && told.contains("opened"), "{told}");
    assert_eq!(alerts.book().open_alerts().map(|open| open.len()), Some(1));
    alerts.tell(&IncidentChange::Closed(Incident {
        closed_wall: Some(WallTime(9)),
        ..incident("h1/docker/web")
    }));
    alerts.stop(Duration::from_secs(30));
    let (alerts, found) = begin(&config, &conditions);
    assert_eq!((found.open.len(), found.next), (0, 5));
    alerts.stop(Duration::ZERO);
}

#[test]
fn what_a_program_leaves_in_the_background_does_not_hold_it_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let hook = format!("{}deadline = \"5s\"\n", script(folder.path(), "sleep 20 & exit 0"));
    let (config, conditions) = (config(folder.path(), &hook), Conditions::new());
    let (mut alerts, _) = begin(&config, &conditions);
    alerts.tell(&IncidentChange::Opened(incident("h1/docker/web")));
    alerts.stop(Duration::from_secs(30));
    let book = std::fs::read_to_string(folder.path().join("host/alerts.json")).expect("text");
    assert!(book.contains("\"owed\":[]"), "{book}");
    assert!(conditions.degraded().is_empty(), "{:?}", conditions.degraded());
}

#[test]
fn a_webhook_is_posted_to_and_a_damaged_book_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = config(folder.path(), &format!("[[webhook]]\nurl = \"http://{address}/x\"\n"));
    let (file, conditions) = (folder.path().join("host/alerts.json"), Conditions::new());
    std::fs::write(&file, "{\"open\": [").expect("written");
    let (mut alerts, found) = begin(&config, &conditions);
    assert!(found.open.is_empty() && folder.path().join("host/alerts.json.damaged").exists());
    until("a good book takes its place", || conditions.degraded().is_empty());
    alerts.tell(&IncidentChange::Opened(incident("h1/docker/web")));
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).expect("a request");
        assert!(count != 0, "cut off");
        request.extend_from_slice(&bytes[..count]);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .expect("answered");
    let request = String::from_utf8(request).expect("text");
    assert!(
        request.starts_with("POST /x") && request.contains("\"change\":\"opened\""),
        "{request}"
    );
    alerts.stop(Duration::from_secs(30));
}
