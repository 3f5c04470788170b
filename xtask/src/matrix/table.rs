//! The results in words: the table for people and for docs/matrix.md, what Podman says for docs/podman.md, and both as data.
//! It plays nothing; a test holds the documents against the data.

use super::cases::Case;
use super::outcome::Played;
use crate::{figures, machine, sh};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The data that both documents are made from.
const DATA: &str = "docs/benchmarks/matrix.json";

/// A document, the mark in it, and how the text between the marks is made.
type Part = (&'static str, &'static str, fn(&Value) -> String);

const PARTS: [Part; 2] = [
    ("docs/matrix.md", "matrix", matrix),
    ("docs/podman.md", "podman", podman),
];

/// All results as data; `built`: whether the programs were built from this tree.
pub(super) fn data(cases: &[Case], played: &[Played], built: bool) -> Value {
    let column = |it: &Played| {
        let cells: Vec<String> = it.outcomes.iter().map(ToString::to_string).collect();
        json!({ "engine": it.engine, "version": it.version, "seconds": it.secs, "cells": cells })
    };
    let (day, kernel) = machine::day_and_kernel();
    let case = |it: &Case| json!({ "name": it.name, "what": it.what });
    json!({
        "commit": machine::commit(built),
        "day": day,
        "kernel": kernel,
        "cases": cases.iter().map(case).collect::<Vec<_>>(),
        "engines": played.iter().map(column).collect::<Vec<_>>(),
        "podman": played.iter().map(|it| &it.podman).find(|it| !it.is_null()),
    })
}

/// Writes the data and both documents.
///
/// # Errors
/// They cannot be written, or a document has no marks.
pub(super) fn publish(data: &Value) -> Result<()> {
    std::fs::write(sh::root().join(DATA), serde_json::to_string_pretty(data)? + "\n").context(DATA)?;
    for (document, text) in documents(data)? {
        std::fs::write(sh::root().join(document), text).with_context(|| document.to_owned())?;
    }
    Ok(())
}

/// The documents as they must be by the data.
fn documents(data: &Value) -> Result<Vec<(&'static str, String)>> {
    let page = |(document, mark, text): Part| {
        let page = std::fs::read_to_string(sh::root().join(document)).with_context(|| document.to_owned())?;
        let page = figures::insert(&page, mark, &text(data)).with_context(|| document.to_owned())?;
        Ok((document, page))
    };
    PARTS.into_iter().map(page).collect()
}

fn list<'a>(data: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    data[key].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn text<'a>(data: &'a Value, key: &str) -> &'a str {
    data[key].as_str().unwrap_or_default()
}

/// From what the programs were built.
fn built(data: &Value) -> String {
    match text(data, "commit") {
        given if given.contains(' ') => given.to_owned(),
        commit => format!("commit {commit}"),
    }
}

fn cell(words: &str) -> String {
    words.replace('|', "\\|").replace('\n', " ")
}

/// Rows are cases, columns engines.
pub(super) fn table(data: &Value) -> String {
    let mut page = String::from("| case |");
    list(data, "engines").for_each(|it| page.push_str(&format!(" {} |", text(it, "engine"))));
    page.push_str("\n|---|");
    list(data, "engines").for_each(|_| page.push_str("---|"));
    for (at, case) in list(data, "cases").enumerate() {
        page.push_str(&format!("\n| {} |", text(case, "name")));
        for column in list(data, "engines") {
            page.push_str(&format!(
                " {} |",
                cell(column["cells"][at].as_str().unwrap_or_default())
            ));
        }
    }
    page
}

fn matrix(data: &Value) -> String {
    let version = |it: &Value| format!("{}: {} ({} s)", text(it, "engine"), text(it, "version"), it["seconds"]);
    let versions: Vec<String> = list(data, "engines").map(version).collect();
    let cases = list(data, "cases").map(|it| format!("\n| {} | {} |", text(it, "name"), cell(text(it, "what"))));
    format!(
        "{}, kernel {}, {}. {}.\n\n{}\n\n| case | what happens, and what is right |\n|---|---|{}",
        text(data, "day"),
        text(data, "kernel"),
        built(data),
        versions.join("; "),
        table(data),
        cases.collect::<String>(),
    )
}

fn podman(data: &Value) -> String {
    let flag = |seen: &Value| match seen["stopped_by_user"].as_bool() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    };
    let version = list(data, "engines").find(|it| it["engine"] == "podman");
    let mut page = format!(
        "Podman {}, {}, {}.\n\n| what happened | state, exit code | events, docker-compatible | events, its own | \
         `StoppedByUser` | the same after its service was away: events replayed | `StoppedByUser` |\n|---|---|---|---|---|---|---|",
        version.map_or("", |it| text(it, "version")),
        text(data, "day"),
        built(data),
    );
    for row in list(&data["podman"], "rows") {
        let (seen, away) = (&row["seen"], &row["away"]);
        let cells = [
            text(row, "words"),
            text(seen, "state"),
            text(seen, "docker_events"),
            text(seen, "own_events"),
            flag(seen),
            text(away, "own_events"),
            flag(away),
        ];
        page.push_str(&format!("\n| {} |", cells.map(cell).join(" | ")));
    }
    let cut = &data["podman"]["power_cut"];
    let of = |key: &str| format!("{}, `StoppedByUser` {}", text(&cut[key], "state"), flag(&cut[key]));
    page.push_str(&format!(
        "\n\nAfter a power cut: one that ran is {}; one that a person had stopped is {}.",
        of("ran"),
        of("stopped")
    ));
    page
}

#[cfg(test)]
mod tests {
    use super::{DATA, documents, table};
    use crate::sh;
    use serde_json::json;

    #[test]
    fn a_row_is_a_case_and_a_column_an_engine() {
        let data = json!({
            "cases": [{ "name": "crash" }, { "name": "stop" }],
            "engines": [
                { "engine": "20.10", "cells": ["ok, 0.5 s", "FAIL: a | b\nc"] },
                { "engine": "podman", "cells": ["refused (docs/podman.md)", "refused (docs/podman.md)"] },
            ],
        });
        let wanted = "| case | 20.10 | podman |\n|---|---|---|\n| crash | ok, 0.5 s | refused (docs/podman.md) |\n\
                      | stop | FAIL: a \\| b c | refused (docs/podman.md) |";
        assert_eq!(table(&data), wanted);
    }

    #[test]
    fn the_documents_say_what_was_seen() {
        let read = |file: &str| std::fs::read_to_string(sh::root().join(file)).expect("it is there");
        let data = serde_json::from_str(&read(DATA)).expect("data");
        for (document, wanted) in documents(&data).expect("both have their marks") {
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                std::fs::write(sh::root().join(document), &wanted).expect("written");
            }
            assert!(
                read(document) == wanted,
                "{document} says other than {DATA}: UPDATE_EXPECT=1 writes it anew"
            );
        }
    }
}
