//! The framing of the journal file: a magic line, then frames of length, checksum and payload.
//!
//! ```text
//! "watchtree journal 1\n"  { length u32 LE | crc32 u32 LE | payload }*
//! ```
//!
//! Contract: a damaged span costs the frames whose bytes it holds and no other: after it, reading goes on at the next bytes that
//! are a whole frame. They are found for certain, since a payload is a JSON object on one line: it holds no byte below 0x20, and
//! each length has a zero byte, so that no frame can begin within a payload. Where only a length is damaged nothing is lost.
//! Does not know what a payload says.

/// First bytes of the file.
pub(crate) const MAGIC: &[u8] = b"watchtree journal 1\n";
/// Longest payload in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Bytes before a payload.
const HEAD_BYTES: usize = 8;

/// Appends one frame to `out`; false (and nothing is appended) if the payload is longer than [`PAYLOAD_BYTES_MAX`].
pub(crate) fn put(out: &mut Vec<u8>, payload: &[u8]) -> bool {
    let Some(length) = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= PAYLOAD_BYTES_MAX)
    else {
        return false;
    };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32(payload).to_le_bytes());
    out.extend_from_slice(payload);
    true
}

/// What the file consists of, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Piece<'a> {
    /// The payload of a whole frame.
    Whole(&'a [u8]),
    /// The payload of a frame whose length is damaged and whose payload is not.
    Mended(&'a [u8]),
    /// Bytes that are no frame, or more than one damaged frame.
    Damaged(&'a [u8]),
    /// At the very end, the beginning of a frame: its write was cut short.
    Torn(&'a [u8]),
}

impl Piece<'_> {
    /// How many bytes of the file it is.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Whole(payload) | Self::Mended(payload) => HEAD_BYTES + payload.len(),
            Self::Damaged(span) | Self::Torn(span) => span.len(),
        }
    }
}

/// Splits the file into its pieces. `rest` is the file without its magic line.
pub(crate) struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    /// `body` is the file without its magic line.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(payload) = whole(self.rest) {
            self.rest = &self.rest[HEAD_BYTES + payload.len()..];
            return Some(Piece::Whole(payload));
        }
        let is_frame = |at: &usize| whole(&self.rest[*at..]).is_some();
        let next = (1..self.rest.len()).find(is_frame).unwrap_or(self.rest.len());
        let (span, rest) = self.rest.split_at(next);
        self.rest = rest;
        Some(if let Some(payload) = without_its_length(span) {
            Piece::Mended(payload)
        } else if rest.is_empty() && is_torn(span) {
            Piece::Torn(span)
        } else {
            Piece::Damaged(span)
        })
    }
}

/// Length and checksum of a frame, and what follows them.
fn split_head(bytes: &[u8]) -> Option<(usize, u32, &[u8])> {
    let (head, after) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    Some((length, u32::from_le_bytes([c0, c1, c2, c3]), after))
}

/// The payload of the frame that the bytes begin with.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (length, checksum, after) = split_head(bytes)?;
    if PAYLOAD_BYTES_MAX < length {
        return None;
    }
    let payload = after.get(..length)?;
    is_payload(payload, checksum).then_some(payload)
}

/// The payload of a span that is one frame but for its length.
fn without_its_length(span: &[u8]) -> Option<&[u8]> {
    let (_, checksum, payload) = split_head(span)?;
    (payload.len() <= PAYLOAD_BYTES_MAX && is_payload(payload, checksum)).then_some(payload)
}

/// Zeros have the right checksum of an empty payload, and a search looks at each byte: the ends are looked at first.
fn is_payload(payload: &[u8], checksum: u32) -> bool {
    payload.starts_with(b"{") && payload.ends_with(b"}") && crc32(payload) == checksum
}

/// True if the bytes are shorter than the frame that they begin.
fn is_torn(bytes: &[u8]) -> bool {
    match split_head(bytes) {
        None => bytes.iter().any(|byte| *byte != 0),
        Some((length, _, after)) => after.len() < length && length <= PAYLOAD_BYTES_MAX && !after.contains(&0),
    }
}

/// CRC-32 as in zip and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes
        .iter()
        .fold(!0_u32, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0_u32; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                0xEDB8_8320 ^ (value >> 1)
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    //! Every byte flipped, cut, zeroed, left out or doubled.
    use super::*;

    const PAYLOADS: [&[u8]; 4] = [
        br#"{"is":"one"}"#,
        br#"{"is":"two","with":"\u0000\u0001"}"#,
        br#"{}"#,
        br#"{"is":"four, the longest of them all"}"#,
    ];

    /// The frames of [`PAYLOADS`], and where each ends.
    fn file() -> (Vec<u8>, Vec<usize>) {
        let mut text = Vec::new();
        let ends = PAYLOADS.map(|payload| {
            assert!(put(&mut text, payload));
            text.len()
        });
        (text, ends.to_vec())
    }

    /// The payloads that can be read.
    fn read(text: &[u8]) -> Vec<&[u8]> {
        let payload = |piece| match piece {
            Piece::Whole(payload) | Piece::Mended(payload) => Some(payload),
            Piece::Damaged(_) | Piece::Torn(_) => None,
        };
        Pieces::new(text).filter_map(payload).collect()
    }

    fn without(lost: usize) -> Vec<&'static [u8]> {
        let kept = PAYLOADS.iter().enumerate().filter(|(n, _)| *n != lost);
        kept.map(|(_, payload)| *payload).collect()
    }

    fn frame_of(ends: &[usize], at: usize) -> usize {
        ends.partition_point(|end| *end <= at)
    }

    #[test]
    fn crc_of_the_standard_check_string() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_flipped_bit_costs_its_own_frame_at_most() {
        let (text, ends) = file();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bad = text.clone();
                bad[at] ^= 1 << bit;
                let begin = frame_of(&ends, at).checked_sub(1).map_or(0, |n| ends[n]);
                if at < begin + 4 {
                    assert_eq!(read(&bad), PAYLOADS, "a length, byte {at}, bit {bit}");
                    let mended = Pieces::new(&bad).filter(|piece| matches!(piece, Piece::Mended(_)));
                    assert_eq!(mended.count(), 1, "byte {at}, bit {bit}");
                } else {
                    assert_eq!(read(&bad), without(frame_of(&ends, at)), "byte {at}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn zeros_and_bytes_that_are_left_out_cost_the_frames_they_are_of() {
        let (text, ends) = file();
        for from in 0..text.len() {
            for to in from + 1..=text.len() {
                let (mut zeroed, mut cut) = (text.clone(), text.clone());
                zeroed[from..to].fill(0);
                cut.drain(from..to);
                let hurt = frame_of(&ends, from)..=frame_of(&ends, to - 1);
                for bad in [zeroed, cut] {
                    let read = read(&bad);
                    for (n, payload) in PAYLOADS.iter().enumerate() {
                        assert!(hurt.contains(&n) || read.contains(payload), "{from}..{to}: {n} is lost");
                    }
                    assert!(read.iter().all(|it| PAYLOADS.contains(it)), "{from}..{to}: {read:?}");
                    assert!(read.is_sorted_by_key(|it| PAYLOADS.iter().position(|known| known == it)));
                }
            }
        }
    }

    #[test]
    fn whatever_is_put_between_frames_costs_none() {
        let (text, ends) = file();
        let noise = [
            &b"\0\0\0\0\0\0\0\0\0\0"[..],
            b"\x10\0\0\0",
            b"\x0c\0\0\0ABCD{",
            b"\xff\xff\xff\xff",
            b"words",
            &text[5..17],
        ];
        for noise in noise {
            for end in [0].into_iter().chain(ends.clone()) {
                let bad = [&text[..end], noise, &text[end..]].concat();
                assert_eq!(read(&bad), PAYLOADS, "{noise:?} at {end}");
            }
        }
    }

    #[test]
    fn a_cut_end_is_torn_and_other_damage_is_not() {
        let (text, ends) = file();
        for end in 0..=text.len() {
            let pieces: Vec<Piece<'_>> = Pieces::new(&text[..end]).collect();
            let frames = frame_of(&ends, end);
            let is_whole = end == 0 || ends.contains(&end);
            assert_eq!(pieces.len(), frames + usize::from(!is_whole), "cut at {end}");
            assert_eq!(
                matches!(pieces.last(), Some(Piece::Torn(_))),
                !is_whole,
                "cut at {end}: {pieces:?}"
            );
        }
        for tail in [&[0; 3][..], &[0; 300], b"\x0c\0\0\0ABCD\0\0", &[0xff; 9]] {
            let pieces: Vec<Piece<'_>> = Pieces::new(tail).collect();
            assert_eq!(pieces, [Piece::Damaged(tail)]);
        }
    }

    #[test]
    fn a_payload_over_the_limit_is_refused() {
        let mut out = Vec::new();
        assert!(!put(&mut out, &vec![0; PAYLOAD_BYTES_MAX + 1]));
        assert!(out.is_empty());
    }
}
