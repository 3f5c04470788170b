//! Golden bytes: what was written once is read for ever. A changed file here is a changed protocol.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p watchtree-wire` writes the files anew; look at the difference before keeping it.

use super::{kinds, samples};
use crate::{decode, decode_header, decode_order, encode, encode_order};
use std::fs;
use std::path::PathBuf;

fn file(word: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(format!("{word}.hex"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .map(|digit| char::from(digit).to_digit(16).expect("hex") as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The file's parts, one line of hex each; with `UPDATE_GOLDEN` set, writes it first.
fn golden(word: &str, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let path = file(word);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let lines: String = parts.iter().map(|part| hex(part) + "\n").collect();
        fs::write(&path, lines).expect("the golden file can be written");
    }
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with UPDATE_GOLDEN=1", path.display()));
    text.lines().map(unhex).collect()
}

#[test]
fn every_kind_has_its_golden_bytes_and_they_are_read_back() {
    for kind in kinds() {
        let envelope = samples::envelope(kind);
        let parts = encode(&envelope).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let word = kind.as_str_name().trim_start_matches("MESSAGE_KIND_").to_lowercase();
        let golden = golden(&word, &parts);
        assert_eq!(
            parts, golden,
            "{kind:?} is written differently than in golden/{word}.hex"
        );
        assert_eq!(decode(&golden).as_ref(), Ok(&envelope), "{kind:?} is read differently");
        let routing = decode_header(&golden).expect("a good header");
        assert_eq!((routing.header, routing.kind), (envelope.header, kind as i32));
    }
}

#[test]
fn the_signed_bytes_of_an_order_never_change() {
    let order = samples::order();
    let bytes = encode_order(&order).expect("within limits");
    let golden = golden("order_content", &[bytes]);
    assert_eq!(encode_order(&order).expect("within limits"), golden[0]);
    assert_eq!(decode_order(&golden[0]), Ok(order));
}
