//! 100,000 mutated frames from one seed: nothing panics, and what is taken is written and read back the same.

use super::{kinds, samples};
use crate::{decode, decode_header, decode_order, encode, encode_order, seq_of};

/// xorshift64*: equal seeds, equal mutations.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// One to four changes, each of a kind that finds another sort of fault.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            4 => {
                let from = random.below(other.len());
                let piece = &other[from..other.len().min(from + random.below(40))];
                bytes.splice(at..at, piece.iter().copied());
            }
            5 if !bytes.is_empty() => {
                let end = (at + random.below(20)).min(bytes.len());
                bytes.drain(at..end);
            }
            // The longest varint: what is behind it is read as a length, a count or a moment of any size.
            _ => drop(bytes.splice(at..at, [0xff; 9].into_iter().chain([0x01]))),
        }
    }
}

#[test]
fn mutated_frames_neither_panic_nor_change_on_a_second_trip() {
    let frames: Vec<_> = kinds()
        .map(|kind| encode(&samples::envelope(kind)).expect("within limits"))
        .collect();
    let mut random = Random(0x5eed_0fa0_fe11);
    let (mut taken, mut refused) = (0_u32, std::collections::BTreeMap::new());
    for case in 0..100_000 {
        let mut parts = frames[random.below(frames.len())].clone();
        let other = frames[random.below(frames.len())].concat();
        // Mostly the body: a mutated header hides what is behind it.
        let part = [0, 1, 2, 2, 2, 2][random.below(6)];
        mutate(&mut random, &mut parts[part], &other);
        if random.below(200) == 0 {
            parts.truncate(random.below(3));
        }
        seq_of(&parts);
        drop(decode_header(&parts));
        match decode(&parts) {
            Ok(envelope) => {
                taken += 1;
                let again = encode(&envelope).unwrap_or_else(|error| panic!("case {case}: {error}: {envelope:?}"));
                assert_eq!(decode(&again), Ok(envelope), "case {case}");
            }
            Err(error) => *refused.entry(error.reason()).or_insert(0_u32) += 1,
        }
    }
    // The mutations did reach what they are meant to reach.
    assert!(5_000 < taken, "only {taken} were taken");
    for word in crate::DecodeError::REASONS {
        // Nothing above makes a part of more than 240 KiB; limits.rs does.
        assert!(
            word == "too_large" || refused.contains_key(word),
            "{word} never came: {refused:?}"
        );
    }
}

#[test]
fn mutated_orders_neither_panic_nor_change_on_a_second_trip() {
    let good = encode_order(&samples::order()).expect("within limits");
    let mut random = Random(0xc0_ffee);
    let mut taken = 0;
    for case in 0..20_000 {
        let mut bytes = good.clone();
        mutate(&mut random, &mut bytes, &good);
        if let Ok(order) = decode_order(&bytes) {
            taken += 1;
            let again = encode_order(&order).unwrap_or_else(|error| panic!("case {case}: {error}: {order:?}"));
            assert_eq!(decode_order(&again), Ok(order), "case {case}");
        }
    }
    assert!(100 < taken, "only {taken} were taken");
}

#[test]
fn noise_is_refused() {
    let mut random = Random(42);
    for _ in 0..20_000 {
        let parts: Vec<Vec<u8>> = (0..random.below(6))
            .map(|_| (0..random.below(64)).map(|_| random.next() as u8).collect())
            .collect();
        assert!(decode(&parts).is_err());
    }
}
