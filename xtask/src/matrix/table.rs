//! The results in words: the table for people and for docs/matrix.md, and JSON. It plays nothing.

use super::cases::Case;
use super::{Matrix, Outcome, Played};
use anyhow::Result;
use serde_json::{Value, json};

/// One cell.
pub(super) fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(seen) if seen.is_empty() => "ok".to_owned(),
        Outcome::Ok(seen) => format!("ok, {seen}"),
        Outcome::Fail(seen) => format!("FAIL: {seen}"),
        Outcome::Skipped(why) => format!("skipped: {why}"),
    }
}

/// All results as data.
fn data(cases: &[Case], played: &[Played]) -> Value {
    let column = |it: &Played| {
        let cells = cases.iter().zip(&it.outcomes);
        let cells: serde_json::Map<_, _> = cells
            .map(|(case, it)| (case.name.to_owned(), words(it).into()))
            .collect();
        json!({ "engine": it.engine, "version": it.version, "seconds": it.secs, "cases": cells })
    };
    json!({ "engines": played.iter().map(column).collect::<Vec<_>>() })
}

/// Prints, and writes where that is wanted.
///
/// # Errors
/// The document cannot be written.
pub(super) fn publish(how: &Matrix, cases: &[Case], played: &[Played]) -> Result<()> {
    let data = data(cases, played);
    match how.json {
        true => outln!("{}", serde_json::to_string_pretty(&data)?),
        false => outln!("{}", table(cases, played)),
    }
    Ok(())
}

/// Rows are cases, columns engines.
fn table(cases: &[Case], played: &[Played]) -> String {
    let mut text = String::from("| case |");
    played.iter().for_each(|it| text.push_str(&format!(" {} |", it.engine)));
    text.push_str("\n|---|");
    played.iter().for_each(|_| text.push_str("---|"));
    for (at, case) in cases.iter().enumerate() {
        text.push_str(&format!("\n| {} |", case.name));
        for column in played {
            text.push_str(&format!(" {} |", words(&column.outcomes[at]).replace('|', "\\|")));
        }
    }
    text
}
