//! docs/protocol.md names every limit with its value, every kind, and every reason of a refusal.

use super::kinds;
use crate::{DecodeError, limits};
use std::fs;
use watchtree_core::order::OrderRefusal;
use watchtree_core::verdict::EvidenceKind;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

macro_rules! limits {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), limits::$name as u64)),*] };
}

#[test]
fn names_every_limit_with_its_value() {
    let document = document();
    let limits = limits![
        PARTS,
        HEADER_BYTES_MAX,
        BODY_BYTES_MAX,
        FIELDS_MAX,
        HOPS_MAX,
        NAME_BYTES_MAX,
        SUBJECT_BYTES_MAX,
        SUBJECT_SEGMENTS_MAX,
        INCARNATION_BYTES_MAX,
        TEXT_BYTES_MAX,
        REMARK_BYTES_MAX,
        REMARKS_MAX,
        EVIDENCE_MAX,
        WORD_BYTES_MAX,
        VERSION_BYTES_MAX,
        ADDRESS_BYTES_MAX,
        LOOK_AT_MAX,
        FIGURES_MAX,
        VERDICTS_MAX,
        GONE_MAX,
        SNAPSHOT_CHUNKS_MAX,
        DECISIONS_MAX,
        GUARDS_MAX,
        ORDER_BYTES_MAX,
        ASKED_BY_BYTES_MAX,
        KEY_ID_BYTES,
        SIGNATURE_BYTES,
        BEAT_EVERY_US_MIN,
        BEAT_EVERY_US_MAX,
        LOOK_WITHIN_US_MAX,
        BACK_WITHIN_US_DEFAULT,
    ];
    for (name, value) in limits {
        let row = format!("| `{name}` | {value} |");
        assert!(document.contains(&row), "docs/protocol.md lacks the row {row}");
    }
}

#[test]
fn names_every_kind_and_every_word() {
    let document = document();
    for kind in kinds() {
        let row = format!(
            "| {} | `{}` |",
            kind as i32,
            kind.as_str_name().trim_start_matches("MESSAGE_KIND_")
        );
        assert!(document.contains(&row), "docs/protocol.md lacks the row {row}");
    }
    let refusals = OrderRefusal::ALL.into_iter().map(OrderRefusal::as_str);
    let evidence = EvidenceKind::ALL.into_iter().map(EvidenceKind::as_str);
    for word in DecodeError::REASONS.into_iter().chain(refusals).chain(evidence) {
        assert!(
            document.contains(&format!("`{word}`")),
            "docs/protocol.md lacks the word {word}"
        );
    }
}

const PROTO: &str = include_str!("../../../../proto/watchtree/link/v1/link.proto");

/// The table of fields as link.proto has it: one line per message or enum.
fn fields() -> String {
    let mut lines = String::new();
    let mut values: Vec<String> = Vec::new();
    let mut enumeration = false;
    for line in PROTO.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let words: Vec<&str> = line.trim_end_matches([';', '{', '}']).split_whitespace().collect();
        match words.as_slice() {
            ["enum" | "message", name] => {
                lines += &format!("- `{name}`: ");
                enumeration = words[0] == "enum";
                if line.ends_with('}') {
                    lines += "no fields\n";
                }
            }
            ["oneof", _] => values.push("one of (".to_owned()),
            [value, "=", number] if enumeration => values.push(format!("{number} {value}")),
            [kind, name, "=", number] => values.push(format!("{number} `{name}` {kind}")),
            ["repeated", kind, name, "=", number] => values.push(format!("{number} `{name}` {kind}[]")),
            ["optional", kind, name, "=", number] => values.push(format!("{number} `{name}` {kind}?")),
            [] if line == "}"
                && values
                    .iter()
                    .filter(|value| *value == "one of (" || *value == ")")
                    .count()
                    % 2
                    == 1 =>
            {
                values.push(")".to_owned());
            }
            [] if line == "}" => {
                lines += &values.join(", ").replace("(, ", "(").replace(", )", ")");
                lines += "\n";
                values.clear();
            }
            _ => {}
        }
    }
    lines
}

#[test]
fn has_the_fields_of_the_proto_file() {
    let document = document();
    let (begin, end) = (
        "<!-- fields: written by a test from link.proto -->\n",
        "<!-- end of fields -->",
    );
    let (before, rest) = document.split_once(begin).expect("the mark is there");
    let (written, after) = rest.split_once(end).expect("the mark is there");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
        fs::write(path, [before, begin, "\n", &fields(), "\n", end, after].concat())
            .expect("the document can be written");
    } else {
        assert_eq!(written.trim(), fields().trim(), "write it with UPDATE_GOLDEN=1");
    }
}
