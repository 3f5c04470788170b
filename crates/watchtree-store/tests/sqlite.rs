//! The manager's store on a real disk: what was put is found again, and a full, missing or damaged disk ends nothing.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::id::{AgentEpoch, BootId, MachineId, NodeId, NodeIdentity, NodeName, Tier};
use watchtree_core::incident::Incident;
use watchtree_core::manager::io::KnownHost;
use watchtree_core::message::Capabilities;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind, Level, State};
use watchtree_store::sqlite::{ChangeId, Found, ManagerStore, Notification, NotificationId};

type Health = Receiver<Result<String, String>>;

fn open(path: &Path) -> (ManagerStore, Found, Health) {
    let (sender, health) = channel();
    let on_health = Box::new(move |state| sender.send(state).unwrap_or(()));
    let (store, found) = ManagerStore::open(path, 5_000_000, on_health, Box::new(|_| ()));
    (store, found, health)
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a good name")
}

fn subject(text: &str) -> SubjectId {
    SubjectId::new(text).expect("a good subject")
}

fn host(text: &str) -> KnownHost {
    let identity = NodeIdentity {
        name: name(text),
        tier: Tier::Host,
        node_id: NodeId([1; 16]),
        machine_id: MachineId([2; 16]),
        boot_id: BootId([0xfe; 16]),
        agent_epoch: AgentEpoch(7),
        version: "0.1.0".into(),
    };
    let look_at = vec!["10.0.0.1:22".into()];
    KnownHost {
        identity,
        capabilities: Capabilities(15),
        scope: subject(text),
        look_at,
        seen: WallTime(9),
        left: None,
    }
}

fn incident(id: u64, closed: bool) -> Incident {
    Incident {
        id,
        subject: subject("h1/@agent"),
        state: State::AgentLost,
        level: Level::Strong,
        unconfirmed: false,
        why: "its kernel answers, its agent does not".into(),
        root_cause: Some(subject("h1")),
        touched: 3,
        opened: Moment::from_millis(5),
        opened_wall: WallTime(6),
        closed_wall: closed.then_some(WallTime(7)),
        closed_why: if closed { "it beats again".into() } else { String::new() },
        evidence: vec![Evidence::new(
            EvidenceKind::KernelAnswers,
            Moment::from_millis(5),
            "tcp refused",
        )],
        decisions: vec![DecisionId {
            node: name("m"),
            epoch: 1,
            count: 2,
        }],
    }
}

fn decision(count: u64) -> Decision {
    Decision {
        id: DecisionId {
            node: name("h1.docker.watchdog"),
            epoch: 3,
            count,
        },
        at: Moment::from_millis(count),
        wall: WallTime(count),
        subject: subject("h1/docker/shop/web/1"),
        incarnation: Incarnation("abc@2026".into()),
        evidence: vec![Evidence::new(
            EvidenceKind::Exited,
            Moment::from_millis(1),
            "exit code 137",
        )],
        guards: vec![GuardAnswer {
            guard: Guard::Budget,
            verdict: GuardVerdict::Waived,
            detail: "4 of 5 left".into(),
        }],
        action: ActionKind::Start,
        budget_left: Some(4),
        outcome: Outcome::Verifying,
        why: "nobody stopped it".into(),
        result: String::new(),
    }
}

#[test]
fn what_was_put_is_found_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state/manager.db");
    let (store, found, health) = open(&path);
    assert_eq!(
        found,
        Found {
            next_incident: 1,
            ..Found::default()
        }
    );
    store.put_host(host("h1"));
    store.put_host(host("h2"));
    store.forget_host(name("h2"));
    store.put_incident(incident(1, true));
    store.put_incident(incident(2, false));
    store.put_decision(decision(1));
    store.put_decision(decision(2));
    let ended = Decision {
        outcome: Outcome::Succeeded,
        result: "it stays up".into(),
        ..decision(1)
    };
    store.put_decision(ended.clone());
    store.put_term(41);
    drop(store);

    let (store, found, _) = open(&path);
    assert_eq!(found.hosts, [host("h1")]);
    assert_eq!(found.incidents, [incident(2, false)]);
    let past = read(|answer| store.reader().incidents(None, 9, answer)).expect("read");
    assert_eq!(past.newest, [incident(1, true), incident(2, false)]);
    assert_eq!(found.decisions, [ended, decision(2)]);
    assert_eq!((found.next_incident, found.term, found.unreadable), (3, 41, 0));
    store.put_term(40);
    drop(store);
    assert_eq!(open(&path).1.term, 41, "a term never goes back");
    assert!(health.try_recv().is_err(), "nothing was wrong");
}

#[test]
fn a_notification_is_kept_with_its_incident_until_it_is_settled() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("manager.db");
    let notification = |term, count, receiver: &str| Notification {
        id: NotificationId {
            change: ChangeId { term, count },
            receiver: receiver.into(),
        },
        body: format!("{term} {count} {receiver}"),
    };
    let (store, _, _) = open(&path);
    store.put_incident_with(
        incident(1, false),
        vec![notification(9, 1, "a"), notification(9, 1, "b")],
    );
    store.put_incident_with(incident(1, true), vec![notification(9, 10, "a")]);
    store.put_incident_with(incident(2, false), vec![notification(10, 1, "a")]);
    store.outbox().settled(notification(9, 1, "a").id);
    drop(store);

    let (store, found, _) = open(&path);
    let waiting = [
        notification(9, 1, "b"),
        notification(9, 10, "a"),
        notification(10, 1, "a"),
    ];
    assert_eq!(found.notifications, waiting, "oldest first");
    let outbox = store.outbox();
    found
        .notifications
        .into_iter()
        .for_each(|notification| outbox.settled(notification.id));
    drop(store);
    assert_eq!(open(&path).1.notifications, []);
}

/// The answer to one question.
fn read<T: Send + 'static>(ask: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> T {
    let (sender, answer) = channel();
    ask(Box::new(move |found| sender.send(found).unwrap_or(())));
    answer.recv_timeout(Duration::from_secs(5)).expect("an answer")
}

#[test]
fn what_memory_no_longer_holds_is_read_from_disk_the_newest_and_how_many_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _, _) = open(&dir.path().join("manager.db"));
    for count in 1..=300 {
        store.put_decision(decision(count));
    }
    let other = Decision {
        subject: subject("h1/docker/other"),
        ..decision(301)
    };
    store.put_decision(other);
    for id in 1..=50 {
        store.put_incident(incident(id, true));
    }
    store.put_incident(incident(51, false));
    let reader = store.reader();
    let web = subject("h1/docker/shop/web/1");
    let past = read(|answer| reader.decisions_of(web, 100, answer)).expect("read");
    assert_eq!((past.newest.len(), past.omitted), (100, 200));
    assert_eq!((&past.newest[0], &past.newest[99]), (&decision(201), &decision(300)));
    let past = read(|answer| reader.decisions_of(subject("h9"), 100, answer)).expect("read");
    assert_eq!((past.newest.len(), past.omitted), (0, 0));
    let past = read(|answer| reader.incidents(None, 2, answer)).expect("read");
    assert_eq!(
        (past.newest, past.omitted),
        (vec![incident(50, true), incident(51, false)], 49)
    );
    let past = read(|answer| reader.incidents(Some(subject("h1")), 2, answer)).expect("read");
    assert_eq!((past.newest.len(), past.omitted), (0, 0));
}

#[test]
fn a_question_to_a_disk_that_cannot_be_read_is_answered_with_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let blocked = dir.path().join("state");
    std::fs::write(&blocked, "a file where the folder should be").expect("written");
    let (store, _, _) = open(&blocked.join("manager.db"));
    let reader = store.reader();
    let failed = read(|answer| reader.incidents(None, 2, answer)).expect_err("no disk");
    assert!(failed.to_string().contains("cannot make"), "{failed}");
}

#[test]
fn a_damaged_file_is_set_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("manager.db");
    std::fs::write(&path, "this is no database, whatever its name says".repeat(100)).expect("written");
    let (store, _, health) = open(&path);
    assert!(health.recv().expect("told").expect_err("ill").contains("set aside"));
    store.put_host(host("h1"));
    assert!(store.flush(Duration::from_secs(5)));
    drop(store);
    assert_eq!(open(&path).1.hosts.len(), 1);
    assert!(dir.path().join("manager.db.corrupt").exists());
}

#[test]
fn a_file_that_is_damaged_behind_its_first_page_is_set_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("manager.db");
    let (store, _, _) = open(&path);
    store.put_host(host("h1"));
    store.put_incident(incident(1, false));
    drop(store);
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, &bytes).expect("damaged");
    let (store, found, health) = open(&path);
    assert!(health.recv().expect("told").expect_err("ill").contains("set aside"));
    assert_eq!(found.hosts, []);
    store.put_host(host("h2"));
    assert!(store.flush(Duration::from_secs(30)));
    drop(store);
    assert_eq!(open(&path).1.hosts, [host("h2")]);
    assert_eq!(
        std::fs::read(dir.path().join("manager.db.corrupt")).expect("kept"),
        bytes
    );
}

#[test]
fn a_newer_file_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("manager.db");
    drop(open(&path));
    let connection = rusqlite::Connection::open(&path).expect("opened");
    connection.pragma_update(None, "user_version", 99).expect("set");
    drop(connection);
    let before = std::fs::read(&path).expect("readable");
    let (store, found, health) = open(&path);
    assert!(health.recv().expect("told").expect_err("ill").contains("newer version"));
    assert_eq!(found.next_incident, 5_000_000);
    store.put_host(host("h1"));
    drop(store);
    assert_eq!(std::fs::read(&path).expect("readable"), before);
}

#[test]
fn a_missing_folder_is_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let blocked = dir.path().join("state");
    std::fs::write(&blocked, "a file where the folder should be").expect("written");
    let path = blocked.join("manager.db");
    let (store, _, health) = open(&path);
    assert!(health.recv().expect("told").is_err());
    store.put_incident(incident(5_000_000, false));
    std::fs::remove_file(&blocked).expect("removed");
    let recovered = health.recv_timeout(Duration::from_secs(10)).expect("told");
    assert!(recovered.expect("well").contains("written again"));
    drop(store);
    assert_eq!(open(&path).1.incidents.len(), 1);
}

#[test]
fn what_could_not_be_read_at_the_start_is_told_once_it_can_be() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("manager.db");
    let (store, _, _) = open(&path);
    store.put_host(host("h1"));
    store.put_host(host("h2"));
    store.put_incident(incident(1, false));
    drop(store);
    let other = rusqlite::Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let (sender, late) = channel();
    let on_found = Box::new(move |found| sender.send(found).unwrap_or(()));
    let (store, found) = ManagerStore::open(&path, 5_000_000, Box::new(|_| ()), on_found);
    assert_eq!((found.hosts.len(), found.incidents.len()), (0, 0), "it is locked");
    store.put_host(host("h3"));
    store.put_incident(incident(5_000_000, false));
    store.forget_host(name("h2"));
    drop(other);
    let found = late.recv_timeout(Duration::from_secs(60)).expect("told");
    assert_eq!(
        (found.hosts, found.incidents),
        (vec![host("h1")], vec![incident(1, false)])
    );
    drop(store);
    assert!(late.recv().is_err(), "told once");
    let found = open(&path).1;
    assert_eq!((found.hosts, found.incidents.len()), (vec![host("h1"), host("h3")], 2));
}

/// A small file system of its own; unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"])
            .arg(dir.path())
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        assert!(
            mounted || std::env::var_os("CI").is_none(),
            "CI must be able to mount a tmpfs"
        );
        mounted.then_some(Self(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_once_outlived_and_recovered_from() {
    let Some(tmpfs) = Tmpfs::mount() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and there are no rights to mount a tmpfs"
        );
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    };
    let path = tmpfs.0.path().join("manager.db");
    let (store, _, health) = open(&path);
    store.put_host(host("h1"));
    assert!(store.flush(Duration::from_secs(5)));
    let filler = tmpfs.0.path().join("filler");
    std::fs::write(&filler, vec![0; 400 * 1024])
        .or_else(|_| std::fs::metadata(&filler).map(drop))
        .expect("filled");
    for count in 0..2000 {
        store.put_decision(decision(count));
    }
    let told = health
        .recv_timeout(Duration::from_secs(10))
        .expect("told")
        .expect_err("ill");
    assert!(told.contains("in memory"), "{told}");
    for count in 0..10_000 {
        store.put_decision(decision(count));
    }
    std::fs::remove_file(&filler).expect("removed");
    // 4096 records do not fit into 512 KiB either: make the disk large.
    let remount = Command::new("mount")
        .args(["-o", "remount,size=64m"])
        .arg(tmpfs.0.path())
        .status();
    assert!(remount.is_ok_and(|status| status.success()));
    let told = health
        .recv_timeout(Duration::from_secs(10))
        .expect("told")
        .expect("well again");
    assert!(told.contains("records were lost"), "{told}");
    assert!(store.flush(Duration::from_secs(5)));
    drop(store);
    let (_, found, _) = open(&path);
    assert_eq!(found.hosts.len(), 1);
    assert_eq!(found.decisions.last().expect("the newest").id.count, 9999);
}
