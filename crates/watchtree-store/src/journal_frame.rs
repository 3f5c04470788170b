//! The framing of the journal file: a magic line, then frames of length, checksum and payload.
//!
//! ```text
//! "watchtree journal 1\n"  { length u32 LE | crc32 u32 LE | payload }*
//! ```
//!
//! Contract: reading stops at a frame that is short or has a wrong checksum. After kill -9 only the last frame can be such a
//! frame, because each is appended by one `write`. Does not know the payload.

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

/// Splits frames off the front of `rest`; ends at the first that is not whole.
pub(crate) struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// `body` is the file without its magic line.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What was not taken: empty after a clean end.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (head, after) = self.rest.split_first_chunk::<HEAD_BYTES>()?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if PAYLOAD_BYTES_MAX < length {
            return None;
        }
        let (payload, rest) = after.split_at_checked(length)?;
        if crc32(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return None;
        }
        self.rest = rest;
        Some(payload)
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
    use super::*;

    #[test]
    fn crc_of_the_standard_check_string() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn every_torn_tail_leaves_the_whole_frames() {
        let mut whole = Vec::new();
        assert!(put(&mut whole, b"one") && put(&mut whole, b"") && put(&mut whole, b"three"));
        let starts = [0, 11, 19, whole.len()];
        for end in 0..=whole.len() {
            let mut frames = Frames::new(&whole[..end]);
            let taken = frames.by_ref().count();
            let expected = starts.iter().filter(|start| **start != 0 && **start <= end).count();
            assert_eq!(taken, expected, "cut at {end}");
            assert_eq!(frames.rest().len(), end - starts[taken], "cut at {end}");
        }
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut whole = Vec::new();
        assert!(put(&mut whole, b"payload"));
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 4;
            assert_eq!(Frames::new(&bad).next(), None, "byte {at}");
        }
    }

    #[test]
    fn a_payload_over_the_limit_is_refused() {
        let mut out = Vec::new();
        assert!(!put(&mut out, &vec![0; PAYLOAD_BYTES_MAX + 1]));
        assert!(out.is_empty());
    }
}
