//! The journal against what happens to it: kill -9 at any moment, torn tails, folding, a full disk, a second writer, damage.

mod damage;
mod records;

use records::{memory_of, open, record, write};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watchtree_core::container::io::EngineTime;
use watchtree_core::container::record::Record;
use watchtree_store::journal::{Journal, JournalError};

#[test]
fn every_kind_of_record_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut journal, opened) = open(folder.path());
    assert_eq!((opened.memory, opened.notes.len()), (memory_of(0), 0));
    (0..200).for_each(|n| write(&mut journal, n));
    drop(journal);
    let (_, opened) = open(folder.path());
    assert_eq!(opened.memory, memory_of(200));
    assert_eq!(opened.notes, Vec::<String>::new());
}

#[test]
fn a_fold_comes_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..5_u64 {
        let (mut journal, opened) = Journal::open_with(folder.path(), 4000).expect("a journal");
        assert_eq!(opened.memory, memory_of(round * 500), "round {round}");
        (round * 500..(round + 1) * 500).for_each(|n| write(&mut journal, n));
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
    let (mut journal, _) = open(folder.path());
    (0..20).for_each(|n| write(&mut journal, n));
    drop(journal);
    let whole = std::fs::read(&path).expect("the file");
    for cut in 1..60 {
        std::fs::write(&path, &whole[..whole.len() - cut]).expect("a torn file");
        let (mut journal, opened) = open(folder.path());
        assert_eq!(opened.memory, memory_of(19), "cut {cut}");
        assert!(opened.notes[0].contains("torn"), "{:?}", opened.notes);
        write(&mut journal, 19);
        drop(journal);
        let (_, opened) = open(folder.path());
        assert_eq!((opened.memory, opened.notes.len()), (memory_of(20), 0), "cut {cut}");
    }
}

#[test]
fn two_writers_exclude_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    assert!(matches!(Journal::open(folder.path()), Err(JournalError::Taken(_))));
    drop(journal);
    open(folder.path());
}

/// A real full disk where a small tmpfs can be mounted (root), which is where CI and the machines of developers differ.
#[test]
fn a_full_disk_is_trouble_until_there_is_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(unmount) = Unmount::small_tmpfs(folder.path()) else {
        return;
    };
    let (mut journal, _) = open(&folder.path().join("state"));
    write(&mut journal, 0);
    let filler = folder.path().join("filler");
    // Fills to the last page; the error is what is wanted.
    assert!(std::fs::write(&filler, vec![0; 65_536]).is_err());
    let mut written = 1;
    let error = loop {
        journal.append(&record(written));
        written += 1;
        if let Some(error) = journal.complaint() {
            break error.to_owned();
        }
        assert!(written < 1000, "the disk never got full");
    };
    assert!(error.contains("No space left"), "{error}");
    journal.append(&record(written));
    assert!(journal.trouble().is_some());
    written += 1;
    let left = std::fs::read_dir(folder.path().join("state")).expect("a folder");
    assert_eq!(left.count(), 1, "no half-written successor takes the last space");
    std::fs::remove_file(&filler).expect("space again");
    let began = Instant::now();
    while journal.complaint().is_some() {
        journal.retry();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", journal.trouble());
        std::thread::sleep(Duration::from_millis(50));
    }
    write(&mut journal, written);
    drop(journal);
    let (journal, opened) = open(&folder.path().join("state"));
    assert_eq!(opened.memory, memory_of(written + 1));
    drop(journal);
    drop(unmount);
}

/// What was there is known, what comes is kept in memory, and both are on the disk when it can be written.
#[test]
fn a_read_only_disk_is_read_and_is_written_when_it_can_be() {
    for is_damaged in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(_unmount) = Unmount::small_tmpfs(folder.path()) else {
            return;
        };
        let state = folder.path().join("state");
        let (mut journal, _) = open(&state);
        (0..10).for_each(|n| write(&mut journal, n));
        drop(journal);
        if is_damaged {
            let path = state.join("journal");
            let mut text = std::fs::read(&path).expect("a journal");
            *text.last_mut().expect("a record") ^= 1;
            std::fs::write(&path, text).expect("a journal");
        }
        assert!(mount(&["-o", "remount,ro"], folder.path()));
        let (mut journal, opened) = open(&state);
        assert_eq!(opened.memory, memory_of(if is_damaged { 9 } else { 10 }));
        assert!(
            journal.trouble().is_some_and(|why| why.contains("Read-only")),
            "{:?}",
            journal.trouble()
        );
        (if is_damaged { 9 } else { 10 }..12).for_each(|n| journal.append(&record(n)));
        assert!(journal.trouble().is_some());
        assert!(mount(&["-o", "remount,rw"], folder.path()));
        let began = Instant::now();
        while let Some(why) = journal.trouble() {
            assert!(began.elapsed() < Duration::from_secs(10), "{why}");
            std::thread::sleep(Duration::from_millis(50));
            journal.retry();
        }
        assert_eq!(journal.complaint().is_some(), is_damaged, "{:?}", journal.complaint());
        drop(journal);
        assert_eq!(open(&state).1.memory, memory_of(12));
    }
}

struct Unmount<'a>(&'a Path);

impl<'a> Unmount<'a> {
    /// `None` without the rights to mount one, which CI has.
    fn small_tmpfs(folder: &'a Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=64k", "wt-journal-test"];
        if mount(&options, folder) {
            return Some(Self(folder));
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and there are no rights to mount a tmpfs"
        );
        eprintln!("skipped: no rights to mount a tmpfs here");
        None
    }
}

fn mount(options: &[&str], folder: &Path) -> bool {
    let mut command = Command::new("mount");
    let status = command.args(options).arg(folder).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

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
        journal.append(&Record::LastEvent {
            at: EngineTime(n),
            id: "x".repeat(64),
            action: "die".to_owned(),
        });
        write(&mut journal, n);
        println!("\n{n}");
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
