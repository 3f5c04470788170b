//! The journal against what happens to it: kill -9 at any moment, torn tails, folding, a full disk, a second writer.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::{Desired, Record, RepairStep};
use watchtree_core::decision::{ActionKind, Decision, DecisionId, Guard, GuardAnswer, GuardVerdict, Outcome};
use watchtree_core::id::{BootId, NodeName};
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::time::{Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind};
use watchtree_store::journal::{Journal, JournalError};

const BOOT: BootId = BootId([7; 16]);

fn subject(n: u64) -> SubjectId {
    SubjectId::new(&format!("h1/docker/c{n}")).expect("a subject")
}

/// One of every kind of record, in turn.
fn record(n: u64) -> Record {
    let (subject, id, at, wall) = (subject(n % 7), format!("{n:064x}"), Moment::from_millis(n), WallTime(n));
    let incarnation = Incarnation(format!("life {n}"));
    match n % 12 {
        0 => Record::LastEvent {
            at: EngineTime(n),
            id,
            action: "die".to_owned(),
        },
        1 => Record::Desired {
            subject,
            id,
            incarnation,
            desired: Desired::Running,
        },
        2 => Record::Charged {
            subject,
            at,
            boot_id: BOOT,
            wall,
            mass: n.is_multiple_of(24),
        },
        3 => Record::StopSeen {
            subject,
            id,
            at: EngineTime(n),
            signal: 15,
        },
        4 => Record::Cleared { subject },
        5 | 6 => Record::Repair {
            subject,
            id,
            incarnation,
            step: if n.is_multiple_of(2) {
                RepairStep::StartPosted
            } else {
                RepairStep::Ended
            },
            last_event: EngineTime(n),
            at,
            boot_id: BOOT,
            stop_timeout_secs: 3,
        },
        7 => Record::GivenUp {
            subject,
            at,
            boot_id: BOOT,
            wall,
        },
        8 => Record::Held {
            subject,
            until: at,
            boot_id: BOOT,
            until_wall: wall,
        },
        9 => Record::Ordered {
            id: [n as u8; 16],
            done: true,
            detail: "held".to_owned(),
        },
        10 => Record::Decided(decision(n)),
        _ if n.is_multiple_of(5) => Record::Gone { subject },
        _ => Record::Released { subject },
    }
}

fn decision(n: u64) -> Decision {
    Decision {
        id: DecisionId {
            node: NodeName::new("h1.docker.watchdog").expect("a name"),
            epoch: 1,
            count: n,
        },
        at: Moment::from_millis(n),
        wall: WallTime(n),
        subject: subject(n % 7),
        incarnation: Incarnation("x".to_owned()),
        evidence: vec![Evidence::new(
            EvidenceKind::Exited,
            Moment::from_millis(n),
            "exit code 137 \"ä\"\n",
        )],
        guards: vec![GuardAnswer {
            guard: Guard::Budget,
            verdict: GuardVerdict::Waived,
            detail: "5 left".to_owned(),
        }],
        action: ActionKind::Start,
        budget_left: Some(4),
        outcome: Outcome::UnderWay,
        why: "it crashed".to_owned(),
        result: String::new(),
    }
}

/// What the records 0..count come to.
fn memory_of(count: u64) -> watchtree_core::container::record::Recovered {
    let mut memory = watchtree_core::container::record::Recovered::default();
    (0..count).for_each(|n| memory.apply(&record(n)));
    memory
}

#[test]
fn every_kind_of_record_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut journal, opened) = Journal::open(folder.path()).expect("a journal");
    assert_eq!((opened.memory, opened.notes.len()), (memory_of(0), 0));
    (0..200).for_each(|n| journal.append(&record(n)).expect("written"));
    drop(journal);
    let (_, opened) = Journal::open(folder.path()).expect("a journal");
    assert_eq!(opened.memory, memory_of(200));
    assert_eq!(opened.notes, Vec::<String>::new());
}

#[test]
fn a_fold_comes_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..5_u64 {
        let (mut journal, opened) = Journal::open_with(folder.path(), 4000).expect("a journal");
        assert_eq!(opened.memory, memory_of(round * 500), "round {round}");
        (round * 500..(round + 1) * 500).for_each(|n| journal.append(&record(n)).expect("written"));
        assert!(journal.sync(Duration::from_secs(10)));
    }
    let size = std::fs::metadata(folder.path().join("journal"))
        .expect("a journal")
        .len();
    assert!(size < 200_000, "2500 records are {size} bytes after folding");
}

#[test]
fn a_torn_tail_is_cut_off_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let (mut journal, _) = Journal::open(folder.path()).expect("a journal");
    (0..20).for_each(|n| journal.append(&record(n)).expect("written"));
    drop(journal);
    let whole = std::fs::read(&path).expect("the file");
    for cut in 1..60 {
        std::fs::write(&path, &whole[..whole.len() - cut]).expect("a torn file");
        let (mut journal, opened) = Journal::open(folder.path()).expect("a journal");
        assert_eq!(opened.memory, memory_of(19), "cut {cut}");
        assert!(opened.notes[0].contains("torn"), "{:?}", opened.notes);
        journal.append(&record(19)).expect("written");
        drop(journal);
        let (_, opened) = Journal::open(folder.path()).expect("a journal");
        assert_eq!((opened.memory, opened.notes.len()), (memory_of(20), 0), "cut {cut}");
    }
}

#[test]
fn a_foreign_file_is_set_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("journal"), "something else entirely").expect("a file");
    let (mut journal, opened) = Journal::open(folder.path()).expect("a journal");
    assert!(opened.notes[0].contains("begun anew"), "{:?}", opened.notes);
    journal.append(&record(0)).expect("written");
    assert!(folder.path().join("journal.unreadable").exists());
}

#[test]
fn two_writers_exclude_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(folder.path()).expect("a journal");
    assert!(matches!(Journal::open(folder.path()), Err(JournalError::Taken(_))));
    drop(journal);
    Journal::open(folder.path()).expect("free again");
}

/// A real full disk where a small tmpfs can be mounted (root), which is where CI and the machines of developers differ.
#[test]
fn a_full_disk_is_trouble_until_there_is_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "wt-journal-test"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and there are no rights to mount a tmpfs"
        );
        eprintln!("skipped: no rights to mount a tmpfs here");
        return;
    }
    let unmount = Unmount(folder.path());
    let (mut journal, _) = Journal::open(&folder.path().join("state")).expect("a journal");
    journal.append(&record(0)).expect("written");
    let filler = folder.path().join("filler");
    // Fills to the last page; the error is what is wanted.
    assert!(std::fs::write(&filler, vec![0; 65_536]).is_err());
    let mut written = 1;
    let error = loop {
        let result = journal.append(&record(written));
        written += 1;
        if let Err(error) = result {
            break error;
        }
        assert!(written < 1000, "the disk never got full");
    };
    assert!(error.contains("No space left"), "{error}");
    assert!(journal.append(&record(written)).is_err());
    written += 1;
    std::fs::remove_file(&filler).expect("space again");
    let began = Instant::now();
    while journal.retry().is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", journal.trouble());
        std::thread::sleep(Duration::from_millis(50));
    }
    journal.append(&record(written)).expect("written");
    drop(journal);
    let (journal, opened) = Journal::open(&folder.path().join("state")).expect("a journal");
    assert_eq!(opened.memory, memory_of(written + 1));
    drop(journal);
    drop(unmount);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

const WRITER_ENV: &str = "WATCHTREE_TEST_JOURNAL_WRITER";

/// Not a test of its own: the process that the next one kills. Prints the number of each record *after* it was appended.
#[test]
fn writer_process() {
    let Some(folder) = std::env::var_os(WRITER_ENV) else {
        return;
    };
    let (mut journal, opened) = Journal::open_with(Path::new(&folder), 20_000).expect("a journal");
    let first = opened.memory.last_event.map_or(0, |(at, _, _)| at.0 + 1);
    for n in first..first + 1_000_000 {
        journal
            .append(&Record::LastEvent {
                at: EngineTime(n),
                id: "x".repeat(64),
                action: "die".to_owned(),
            })
            .expect("written");
        journal
            .append(&record(n))
            .map_or_else(|error| panic!("{error}"), |()| println!("\n{n}"));
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut expected_from = 0;
    for round in 0..60_u64 {
        let mut writer = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "writer_process", "--nocapture"])
            .env(WRITER_ENV, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the writer");
        let mut lines = BufReader::new(writer.stdout.take().expect("its output"))
            .lines()
            .map_while(Result::ok);
        let first = lines
            .by_ref()
            .find_map(|line| line.parse::<u64>().ok())
            .expect("a first number");
        std::thread::sleep(Duration::from_micros(round * 700));
        writer.kill().expect("killed");
        // What it still printed before it died was appended before that.
        let last = lines
            .filter_map(|line| line.parse::<u64>().ok())
            .last()
            .unwrap_or(first);
        writer.wait().expect("reaped");
        assert!(expected_from <= first, "round {round} went back");
        let (_, opened) = Journal::open_with(folder.path(), 20_000).expect("a journal");
        let read = opened.memory.last_event.map_or(0, |(at, _, _)| at.0);
        assert!(
            (last..=last + 1).contains(&read),
            "round {round}: {last} was acknowledged, {read} was read"
        );
        expected_from = read + 1;
    }
}
