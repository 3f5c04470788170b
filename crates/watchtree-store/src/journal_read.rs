//! Reads a journal file as far as it can be read: past sectors that fail, past damaged spans, past records of a newer version.
//!
//! Each payload carries the number of its file and its own place in it. So what is missing is counted, and a frame of an older
//! file, or of another place, that a broken file system shows is told from one that belongs here. Does not change the file.

use crate::journal_frame::{MAGIC, PAYLOAD_BYTES_MAX, Piece, Pieces, put};
use crate::journal_line::Line;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use watchtree_core::container::record::Recovered;

/// A longer journal is not read to its end, in bytes.
const READ_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// So much is asked for at once, and passed over where the disk cannot read it, in bytes.
const BLOCK_BYTES: usize = 4096;

/// The number of a file, and the place of the next frame in it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Place(pub(crate) u32, pub(crate) u64);

#[derive(Serialize)]
struct Placed<'a> {
    frame: Place,
    #[serde(flatten)]
    line: &'a Line,
}

/// What is read of a payload before its record, which may be of a newer version.
#[derive(Deserialize)]
struct JustPlace {
    frame: Option<Place>,
}

/// The frame of a line at that place.
pub(crate) fn frame(place: Place, line: &Line) -> io::Result<Vec<u8>> {
    let payload = serde_json::to_vec(&Placed { frame: place, line })?;
    let mut frame = Vec::with_capacity(payload.len() + 8);
    if put(&mut frame, &payload) {
        Ok(frame)
    } else {
        let limit = PAYLOAD_BYTES_MAX / 1024;
        Err(io::Error::other(format!("a record is longer than {limit} KiB")))
    }
}

/// What a journal file came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The records, applied in order.
    pub(crate) memory: Recovered,
    /// How many there were.
    pub(crate) records: u64,
    /// Records that this version does not know.
    pub(crate) unknown: u64,
    /// Where writing goes on; `None` where the file has to be written anew, without a loss if `damage` is none.
    pub(crate) next: Option<Place>,
    /// Bytes before a torn end.
    pub(crate) whole_bytes: u64,
    /// Bytes of a frame whose write was cut short.
    pub(crate) torn_bytes: u64,
    /// What is wrong with it.
    pub(crate) damage: Option<Damage>,
}

/// What of a journal cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Damage {
    /// It is another thing than a file of records; in words.
    Foreign(String),
    /// Some of its bytes.
    Spans {
        /// Records that are lost; `false` = at least so many.
        lost: (u64, bool),
        /// Damaged spans.
        spans: u64,
        /// Where the first one begins.
        first_byte: u64,
        /// Records that were read.
        read: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lost, is_exact, spans, first_byte, read) = match self {
            Self::Foreign(what) => return write!(f, "{what}: its records are lost"),
            Self::Spans {
                lost: (lost, is_exact),
                spans,
                first_byte,
                read,
            } => (*lost, *is_exact, *spans, *first_byte, *read),
        };
        let lost = match (lost, is_exact) {
            (0, _) => "no record is lost".to_owned(),
            (1, true) => "1 record is lost".to_owned(),
            (many, true) => format!("{many} records are lost"),
            (1, false) => "at least 1 of its records is lost".to_owned(),
            (some, false) => format!("at least {some} of its records are lost"),
        };
        write!(f, "damaged at byte {first_byte}")?;
        if 1 < spans {
            write!(f, " and {} more places", spans - 1)?;
        }
        write!(f, ": {lost}, {read} were read")
    }
}

/// Reads the journal at that path. One that is not there is empty.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn read(path: &Path) -> io::Result<Reading> {
    match path.metadata() {
        Ok(about) if about.is_dir() => return Ok(Reading::foreign("it is a folder".to_owned())),
        Ok(about) if !about.is_file() => return Ok(Reading::foreign("it is no file".to_owned())),
        Ok(_) | Err(_) => {}
    }
    // A pipe that was put in its place just now is not waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(Reading::default()),
        Err(error) => return Err(error.into()),
    };
    let contents = read_blocks(file.metadata()?.len(), |block, at| file.read_at(block, at));
    Ok(Reading::of(&contents))
}

/// The bytes of a file; zeros where the disk fails.
struct Contents {
    bytes: Vec<u8>,
    /// Where it failed first, and how.
    failed: Option<(u64, io::Error)>,
    /// There is more of it than is read.
    is_longer: bool,
}

/// Reads block by block until the end; `expected_bytes` is the length, as far as it is known.
fn read_blocks(expected_bytes: u64, read_at: impl Fn(&mut [u8], u64) -> io::Result<usize>) -> Contents {
    let mut contents = Contents {
        bytes: Vec::new(),
        failed: None,
        is_longer: false,
    };
    let mut block = [0; BLOCK_BYTES];
    loop {
        let at = contents.bytes.len() as u64;
        if READ_BYTES_MAX <= at {
            contents.is_longer = at < expected_bytes;
            return contents;
        }
        match read_at(&mut block, at) {
            Ok(0) => return contents,
            Ok(count) => contents.bytes.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                contents.failed.get_or_insert((at, error));
                if expected_bytes <= at {
                    return contents;
                }
                let whole_block = BLOCK_BYTES as u64 - at % BLOCK_BYTES as u64;
                let skipped = usize::try_from(whole_block.min(expected_bytes - at)).unwrap_or(BLOCK_BYTES);
                contents.bytes.resize(contents.bytes.len() + skipped, 0);
            }
        }
    }
}

impl Reading {
    /// Of a file that could not be opened.
    pub(crate) fn unreadable(error: &io::Error) -> Self {
        Self::foreign(format!("it cannot be read: {error}"))
    }

    /// Remarks for the log on what costs nothing that was promised.
    pub(crate) fn notes(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let unknown = format!("{} records of {path} cannot be read by this version", self.unknown);
        let torn = format!("the last {} bytes of {path} were torn: cut off", self.torn_bytes);
        let notes = [(self.unknown, unknown), (self.torn_bytes, torn)];
        notes
            .into_iter()
            .filter(|(count, _)| *count != 0)
            .map(|(_, words)| words)
            .collect()
    }

    fn foreign(what: String) -> Self {
        Self {
            damage: Some(Damage::Foreign(what)),
            ..Self::default()
        }
    }

    fn of(contents: &Contents) -> Self {
        let text = contents.bytes.as_slice();
        if text == MAGIC {
            // As an older version began it.
            return Self::default();
        }
        if MAGIC.starts_with(text) && contents.failed.is_none() {
            return Self::foreign(format!("it ends after {} bytes", text.len()));
        }
        let body = text.strip_prefix(MAGIC);
        let mut spans = Spans::default();
        if body.is_none() {
            spans.found(0);
        }
        let mut frames = Vec::new();
        let (mut at_byte, mut torn_bytes) = (text.len() - body.map_or(text.len(), <[u8]>::len), 0);
        let mut ends_damaged = contents.is_longer;
        for piece in Pieces::new(body.unwrap_or(text)) {
            ends_damaged |= matches!(piece, Piece::Damaged(_));
            match piece {
                Piece::Whole(payload) | Piece::Mended(payload) => {
                    if matches!(piece, Piece::Mended(_)) {
                        spans.found(at_byte);
                    }
                    frames.push(Frame::new(at_byte, payload));
                    ends_damaged = contents.is_longer;
                }
                Piece::Damaged(_) => spans.of_records(at_byte),
                Piece::Torn(span) => torn_bytes = span.len(),
            }
            at_byte += piece.bytes();
        }
        if contents.is_longer {
            spans.of_records(text.len());
        }
        if frames.is_empty() {
            let what = match &contents.failed {
                Some((_, error)) => Some(error.to_string()),
                None => body.is_none().then(|| "it is no journal of this version".to_owned()),
            };
            if let Some(what) = what {
                return Self::foreign(what);
            }
        }
        let is_old = frames.iter().any(|frame| frame.place.is_none());
        let order = in_order(frames, &mut spans);
        let mut reading = Self {
            whole_bytes: (text.len() - torn_bytes) as u64,
            torn_bytes: torn_bytes as u64,
            ..Self::default()
        };
        order.frames.iter().for_each(|frame| reading.apply(frame.payload));
        let uncounted = match (is_old, ends_damaged) {
            (true, _) => spans.of_records,
            (false, true) => 1,
            (false, false) => 0,
        };
        if spans.count == 0 {
            reading.next = order.next.filter(|_| !is_old);
        } else {
            reading.damage = Some(Damage::Spans {
                lost: (order.missing + uncounted, uncounted == 0),
                spans: spans.count,
                first_byte: spans.first_byte as u64,
                read: reading.records + reading.unknown,
            });
        }
        reading
    }

    fn apply(&mut self, payload: &[u8]) {
        let line = serde_json::from_slice::<Line>(payload).ok();
        if line.is_some_and(|line| line.apply_to(&mut self.memory)) {
            self.records += 1;
        } else {
            self.unknown += 1;
        }
    }
}

/// Where the file is damaged.
#[derive(Default)]
struct Spans {
    count: u64,
    first_byte: usize,
    /// Those that held records.
    of_records: u64,
}

impl Spans {
    fn found(&mut self, at_byte: usize) {
        self.first_byte = if self.count == 0 {
            at_byte
        } else {
            self.first_byte.min(at_byte)
        };
        self.count += 1;
    }

    fn of_records(&mut self, at_byte: usize) {
        self.found(at_byte);
        self.of_records += 1;
    }
}

/// A frame as it lies in the file.
#[derive(Clone, Copy)]
struct Frame<'a> {
    at_byte: usize,
    place: Option<Place>,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    fn new(at_byte: usize, payload: &'a [u8]) -> Self {
        let place = serde_json::from_slice::<JustPlace>(payload)
            .ok()
            .and_then(|it| it.frame);
        Self {
            at_byte,
            place,
            payload,
        }
    }
}

/// The frames of this file in their order.
struct Order<'a> {
    frames: Vec<Frame<'a>>,
    /// Places between them that no frame has.
    missing: u64,
    /// The place after the last one.
    next: Option<Place>,
}

/// Leaves out frames of other files and those that are there twice. Those without a place, of an older version, stay where
/// they are.
fn in_order<'a>(frames: Vec<Frame<'a>>, spans: &mut Spans) -> Order<'a> {
    let mut files = BTreeMap::<u32, u64>::new();
    let places = frames.iter().filter_map(|frame| frame.place);
    places.for_each(|Place(file, _)| *files.entry(file).or_default() += 1);
    let file = files.iter().max_by_key(|(_, frames)| **frames).map(|(file, _)| *file);
    let (mut kept, mut expected) = (Vec::<(u64, Frame<'a>)>::new(), 0);
    for frame in frames {
        match frame.place {
            Some(Place(of, _)) if Some(of) != file => spans.found(frame.at_byte),
            Some(Place(_, count)) => {
                if count < expected {
                    spans.found(frame.at_byte);
                }
                expected = expected.max(count.saturating_add(1));
                kept.push((count, frame));
            }
            None => kept.push((expected.saturating_sub(1), frame)),
        }
    }
    kept.sort_by_key(|(count, _)| *count);
    kept.dedup_by_key(|(_, frame)| frame.place.map_or((false, frame.at_byte as u64), |it| (true, it.1)));
    let numbered = kept.iter().filter(|(_, frame)| frame.place.is_some()).count() as u64;
    let missing = file.map_or(0, |_| expected - numbered);
    if missing != 0 && spans.count == 0 {
        // Whole frames were taken out.
        let after = (0..).zip(&kept).find(|(place, (count, _))| place < count);
        spans.found(after.map_or(0, |(_, (_, frame))| frame.at_byte));
    }
    Order {
        frames: kept.into_iter().map(|(_, frame)| frame).collect(),
        missing,
        next: file.map(|file| Place(file, expected)),
    }
}

#[cfg(test)]
mod tests {
    //! Bits that flip, disks that fail.
    use super::*;
    use watchtree_core::container::record::{Desired, Record};
    use watchtree_core::subject::{Incarnation, SubjectId};

    /// A file whose blocks with these numbers cannot be read.
    fn read_with_bad_blocks(text: &[u8], bad: &[usize]) -> Contents {
        read_blocks(text.len() as u64, |block, at| {
            let at = usize::try_from(at).expect("a short file");
            if bad.contains(&(at / BLOCK_BYTES)) {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
            }
            let end = text
                .len()
                .min(at + block.len())
                .min((at / BLOCK_BYTES + 1) * BLOCK_BYTES);
            let bytes = &text[at..end];
            block[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    /// A file of lines that differ, and where each begins.
    fn file(count: u64) -> (Vec<u8>, Vec<usize>) {
        let mut text = MAGIC.to_vec();
        let lines = (0..count).map(|count| {
            let begin = text.len();
            let subject = format!("h1/docker/c{count}");
            let desired = Line::of(&Record::Desired {
                subject: SubjectId::new(&subject).expect("a subject"),
                id: "ä".repeat(usize::try_from(count).expect("few")),
                incarnation: Incarnation(String::new()),
                desired: Desired::Running,
            });
            text.extend(frame(Place(7, count), &desired).expect("a short one"));
            begin
        });
        let begins = lines.collect();
        (text, begins)
    }

    #[test]
    fn every_bit_of_every_byte_may_flip() {
        let (text, begins) = file(6);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone();
                bytes[at] ^= 1 << bit;
                let contents = Contents {
                    bytes,
                    failed: None,
                    is_longer: false,
                };
                let reading = Reading::of(&contents);
                // Those of the first line and of a length cost nothing.
                let hurt = begins.partition_point(|begin| *begin <= at);
                let lost = u64::from(hurt != 0 && begins[hurt - 1] + 4 <= at);
                assert_eq!(reading.records, 6 - lost, "byte {at}, bit {bit}");
                let subjects = reading.memory.subjects.keys().map(|it| it.as_str());
                assert!(
                    lost == 0 || !subjects.into_iter().any(|it| it == format!("h1/docker/c{}", hurt - 1)),
                    "byte {at}, bit {bit}"
                );
                let damage = reading.damage.expect("it is seen").to_string();
                let words = match (lost, hurt) {
                    (0, _) => ": no record is lost, 6 were read",
                    (_, 6) => ": at least 1 of its records is lost, 5 were read",
                    _ => ": 1 record is lost, 5 were read",
                };
                assert!(damage.ends_with(words), "byte {at}, bit {bit}: {damage}");
            }
        }
    }

    #[test]
    fn what_lies_around_a_bad_block_is_read() {
        let mut text = MAGIC.to_vec();
        let mut begins = Vec::new();
        for count in 0..200 {
            let line = Line::Released {
                subject: format!("h1/docker/{}", "x".repeat(60)),
            };
            begins.push(text.len());
            text.extend(frame(Place(7, count), &line).expect("a short one"));
        }
        assert!(6 * BLOCK_BYTES < text.len());
        for bad in [&[1][..], &[0], &[2, 4], &[6], &[0, 1, 2, 3, 4, 5, 6]] {
            let is_hit = |n: &usize| {
                let end = begins.get(n + 1).copied().unwrap_or(text.len());
                (begins[*n] / BLOCK_BYTES..=(end - 1) / BLOCK_BYTES).any(|block| bad.contains(&block))
            };
            let hit = (0..200).filter(is_hit).count() as u64;
            let reading = Reading::of(&read_with_bad_blocks(&text, bad));
            assert_eq!(reading.records, 200 - hit, "{bad:?}");
            let words = reading.damage.expect("it is damaged").to_string();
            if hit == 200 {
                assert!(words.contains("os error 5"), "{words}");
            } else if !bad.contains(&6) {
                assert!(words.contains(&format!(": {hit} records are lost")), "{bad:?}: {words}");
            }
        }
        let whole = Reading::of(&read_with_bad_blocks(&text, &[]));
        assert_eq!(
            (whole.records, whole.damage, whole.next),
            (200, None, Some(Place(7, 200)))
        );
    }
}
