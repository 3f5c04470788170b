//! A journal that is damaged, or is another thing, or was taken away: what is lost, what is said, what goes on.

use crate::records::{memory_of, open, record, write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watchtree_core::container::record::Recovered;
use watchtree_store::journal::Journal;

/// A folder with a journal of the records 0..count, where each one of them lies in the file, and its bytes.
struct Written {
    folder: tempfile::TempDir,
    text: Vec<u8>,
    /// Where the frames end; those of the first fold come first.
    ends: Vec<usize>,
    folded: usize,
    count: u64,
}

impl Written {
    fn new(count: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path());
        let folded = frame_ends(&bytes(folder.path())).len();
        (0..count).for_each(|n| write(&mut journal, n));
        drop(journal);
        let text = bytes(folder.path());
        let ends = frame_ends(&text);
        assert_eq!(ends.len(), folded + count as usize);
        Self {
            folder,
            text,
            ends,
            folded,
            count,
        }
    }

    /// What the records come to without those that have a byte from `from` to before `to`.
    fn memory_without(&self, from: usize, to: usize) -> Recovered {
        let hit = |end: usize, begin: usize| begin < to && from < end;
        let mut memory = Recovered::default();
        for n in 0..self.count {
            let place = self.folded + n as usize;
            if !hit(self.ends[place], self.ends[place - 1]) {
                memory.apply(&record(n));
            }
        }
        memory
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Opens that text; returns what was remembered and what is complained of. Everything is as new afterwards.
    fn read(&self, text: &[u8]) -> (Recovered, Option<String>) {
        std::fs::write(self.path(), text).expect("a file");
        let (mut journal, opened) = open(self.folder.path());
        let complaint = journal.complaint().map(str::to_owned);
        // And it can be written and read again.
        write(&mut journal, 1);
        drop(journal);
        let (journal, again) = open(self.folder.path());
        let mut expected = opened.memory.clone();
        expected.apply(&record(1));
        assert_eq!(again.memory, expected);
        assert_eq!(
            journal.complaint(),
            complaint.as_deref(),
            "it is said until a person has seen it"
        );
        drop(journal);
        for entry in std::fs::read_dir(self.folder.path()).expect("a folder") {
            std::fs::remove_file(entry.expect("an entry").path()).expect("a file");
        }
        (opened.memory, complaint)
    }
}

fn bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("journal")).expect("a journal")
}

/// As docs of the format say: a line, then length, checksum, payload.
fn frame_ends(text: &[u8]) -> Vec<usize> {
    let mut at = text.iter().position(|byte| *byte == b'\n').expect("a first line") + 1;
    let mut ends = Vec::new();
    while at < text.len() {
        let length = u32::from_le_bytes(text[at..at + 4].try_into().expect("four bytes"));
        at += 8 + length as usize;
        ends.push(at);
    }
    ends
}

/// The disk is tried once a second.
#[track_caller]
fn wait_until_well(journal: &mut Journal) {
    let until = Instant::now() + Duration::from_secs(10);
    while let Some(why) = journal.trouble() {
        assert!(Instant::now() < until, "{why}");
        std::thread::sleep(Duration::from_millis(20));
        journal.retry();
    }
}

fn lost(complaint: Option<&str>) -> &str {
    let words = complaint.expect("it is said");
    let (_, after) = words.split_once(": ").expect("a place");
    after.split(',').next().expect("a count")
}

#[test]
fn any_damaged_byte_costs_its_record_and_no_other() {
    let written = Written::new(24);
    let body = written.text.len() - written.ends[0];
    assert!(3000 < body, "{body}");
    // Every byte and bit is flipped in the tests of the reader; here it is also written on.
    for at in (0..written.text.len()).step_by(61) {
        let mut bad = written.text.clone();
        bad[at] ^= 1 << (at % 8);
        let (memory, complaint) = written.read(&bad);
        let expected = [written.memory_without(at, at + 1), memory_of(written.count)];
        assert!(expected.contains(&memory), "byte {at}: {complaint:?}");
        let words = lost(complaint.as_deref());
        let counts = [
            "no record is lost",
            "1 record is lost",
            "at least 1 of its records is lost",
        ];
        assert!(counts.contains(&words), "byte {at}: {words}");
    }
}

#[test]
fn a_damaged_middle_costs_the_records_whose_bytes_it_holds() {
    let written = Written::new(24);
    for (at, length) in [(30, 10), (500, 40), (700, 600), (1500, 1), (1900, 900)] {
        let (from, to) = (at, at + length);
        let hurt = written.ends.partition_point(|end| *end < to) - written.ends.partition_point(|end| *end <= from) + 1;
        let (mut zeros, mut cut) = (written.text.clone(), written.text.clone());
        zeros[from..to].fill(0);
        cut.drain(from..to);
        for bad in [zeros, cut] {
            let (memory, complaint) = written.read(&bad);
            assert_eq!(memory, written.memory_without(from, to), "{from}..{to}");
            let expected = if hurt == 1 {
                "1 record is lost".to_owned()
            } else {
                format!("{hurt} records are lost")
            };
            assert_eq!(lost(complaint.as_deref()), expected, "{from}..{to}: {complaint:?}");
        }
    }
}

#[test]
fn a_whole_frame_that_is_missing_is_missed() {
    let written = Written::new(12);
    let (from, to) = (written.ends[4], written.ends[5]);
    let mut bad = written.text.clone();
    bad.drain(from..to);
    let (memory, complaint) = written.read(&bad);
    assert_eq!(memory, written.memory_without(from, to));
    assert_eq!(lost(complaint.as_deref()), "1 record is lost");
}

/// As a file system shows them after it lost its power: blocks of other files, blocks of this one in other places.
#[test]
fn frames_that_do_not_belong_there_are_left_out() {
    let (written, older) = (Written::new(24), Written::new(24));
    for at in 0..written.ends.len() {
        let end = written.ends[at];
        let foreign = &older.text[older.ends[3]..older.ends[9]];
        let early = &written.text[written.ends[14]..written.ends[17]];
        for noise in [foreign, early] {
            let bad = [&written.text[..end], noise, &written.text[end..]].concat();
            let (memory, complaint) = written.read(&bad);
            assert_eq!(memory, memory_of(24), "at {end}");
            if !(13..18).contains(&at) || noise == foreign {
                assert_eq!(lost(complaint.as_deref()), "no record is lost", "at {end}");
            }
        }
    }
}

#[test]
fn whatever_is_in_its_place_is_kept_and_named() {
    type Put = fn(&Path);
    let put: [(&str, Put); 5] = [
        ("it is no journal of this version", |path| {
            std::fs::write(path, "something else entirely").expect("a file");
        }),
        ("it ends after 9 bytes", |path| {
            std::fs::write(path, "watchtree").expect("a file")
        }),
        ("it ends after 0 bytes", |path| {
            std::fs::write(path, "").expect("a file")
        }),
        ("it is a folder", |path| {
            std::fs::create_dir_all(path.join("sub")).expect("a folder")
        }),
        ("it is no file", |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.expect("mkfifo runs").success());
        }),
    ];
    for (words, put) in put {
        let folder = tempfile::tempdir().expect("a folder");
        put(&folder.path().join("journal"));
        let (mut journal, opened) = open(folder.path());
        assert_eq!(opened.memory, Recovered::default());
        let complaint = journal.complaint().expect("it is said");
        assert!(
            complaint.starts_with(&format!("{words}: its records are lost")),
            "{complaint}"
        );
        write(&mut journal, 1);
        drop(journal);
        let (mut journal, opened) = open(folder.path());
        let mut expected = Recovered::default();
        expected.apply(&record(1));
        assert_eq!(opened.memory, expected);
        assert!(journal.complaint().is_some(), "until a person has seen it");
        let kept = folder.path().join("journal.damaged");
        std::fs::rename(&kept, folder.path().join("elsewhere")).expect("it is kept");
        journal.retry();
        assert_eq!(journal.complaint(), None);
    }
}

#[test]
fn so_many_are_kept_and_no_folder_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    for n in 0..6 {
        std::fs::write(&path, format!("other {n}")).expect("a file");
        drop(open(folder.path()));
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("plain"))
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "journal",
            "journal.damaged",
            "journal.damaged-2",
            "journal.damaged-3",
            "journal.damaged-4"
        ]
    );
    assert_eq!(
        std::fs::read(folder.path().join("journal.damaged")).expect("kept"),
        b"other 0"
    );
    assert_eq!(
        std::fs::read(folder.path().join("journal.damaged-4")).expect("kept"),
        b"other 5"
    );
    std::fs::remove_file(folder.path().join("journal.damaged-4")).expect("kept");
    std::fs::create_dir(folder.path().join("journal.damaged-4")).expect("room");
    std::fs::write(&path, "one more").expect("a file");
    let (journal, _) = open(folder.path());
    assert!(
        journal.trouble().is_some_and(|why| why.contains("remove them")),
        "{:?}",
        journal.trouble()
    );
}

#[test]
fn a_journal_that_is_taken_away_later_is_written_anew() {
    let take: [fn(&Path); 4] = [
        |path| std::fs::remove_file(path).expect("a file"),
        |path| std::fs::rename(path, path.with_extension("elsewhere")).expect("a file"),
        |path| {
            std::fs::remove_file(path).expect("a file");
            std::fs::create_dir(path).expect("room");
        },
        |path| std::fs::remove_dir_all(path.parent().expect("its folder")).expect("a folder"),
    ];
    for take in take {
        let top = tempfile::tempdir().expect("a folder");
        let folder = top.path().join("state");
        let (mut journal, _) = open(&folder);
        (0..5).for_each(|n| write(&mut journal, n));
        take(&folder.join("journal"));
        journal.append(&record(5));
        let said = journal.trouble().expect("it is said").to_owned();
        assert!(said.contains("removed or replaced"), "{said}");
        wait_until_well(&mut journal);
        write(&mut journal, 6);
        drop(journal);
        assert_eq!(open(&folder).1.memory, memory_of(7));
    }
}

/// What is where the successor of a fold is written is no reason to stop folding.
#[test]
fn a_folder_in_the_place_of_the_successor_is_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("journal.new")).expect("room");
    let (mut journal, _) = open(folder.path());
    write(&mut journal, 0);
    drop(journal);
    assert_eq!(open(folder.path()).1.memory, memory_of(1));
}

/// The damage of one that could not be kept at the start, for a full disk, is not written over later.
#[test]
fn what_was_damaged_on_a_disk_that_refuses_is_kept_when_it_does_not() {
    let written = Written::new(12);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(written.path())
        .expect("a file");
    file.write_all_at(b"????", (written.ends[3] + 20) as u64)
        .expect("damage");
    let damaged = bytes(written.folder.path());
    // Folders fill every place where it could be kept.
    let places = ["damaged", "damaged-2", "damaged-3", "damaged-4"].map(|it| written.path().with_extension(it));
    places
        .iter()
        .for_each(|place| std::fs::create_dir(place).expect("room"));
    let (mut journal, opened) = open(written.folder.path());
    assert_eq!(
        opened.memory,
        written.memory_without(written.ends[3], written.ends[3] + 24)
    );
    assert!(journal.trouble().is_some());
    journal.append(&record(1));
    assert_eq!(bytes(written.folder.path()), damaged);
    places
        .iter()
        .for_each(|place| std::fs::remove_dir(place).expect("a folder"));
    wait_until_well(&mut journal);
    assert!(
        journal
            .complaint()
            .is_some_and(|words| words.contains("1 record is lost"))
    );
    assert_eq!(std::fs::read(&places[0]).expect("kept"), damaged);
}
