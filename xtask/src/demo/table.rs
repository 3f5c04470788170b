//! The demo's result: one row per fault, with its bound and what was measured from outside. It does not know how.

use super::ui::{Tone, Ui};
use serde_json::{Value, json};
use std::time::Duration;

/// One fault and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) fault: String,
    /// What is promised, in words.
    pub(crate) bound: String,
    /// When the product first showed outside that it knows.
    pub(crate) seen: Option<Duration>,
    /// When it was well again (or a person was told), seen from outside; a word where nothing is to be repaired.
    pub(crate) repaired: Repaired,
    /// Why the row failed; `None` = it held.
    pub(crate) failure: Option<String>,
}

/// See [`Row::repaired`].
#[derive(Clone, Debug)]
pub(crate) enum Repaired {
    After(Duration),
    /// `left alone`, `nothing restarted`
    Word(String),
    Never,
}

impl Repaired {
    fn words(&self) -> String {
        match self {
            Self::After(after) => time(Some(*after)),
            Self::Word(word) => word.clone(),
            Self::Never => "-".to_owned(),
        }
    }
}

/// For the documents: what the table says.
pub(crate) fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "fault": row.fault,
            "bound": row.bound,
            "seen": time(row.seen),
            "repaired": row.repaired.words(),
        })
    };
    rows.iter().map(row).collect()
}

fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.3} s", time.as_secs_f64()))
}

/// Prints the table; true if every row held.
pub(crate) fn print(ui: &Ui, rows: &[Row]) -> bool {
    let head = ["fault", "bound", "seen after", "repaired after", "verdict"].map(str::to_owned);
    let mut cells = vec![head];
    for row in rows {
        let repaired = row.repaired.words();
        let verdict = if row.failure.is_none() { "ok" } else { "FAILED" };
        cells.push([
            row.fault.clone(),
            row.bound.clone(),
            time(row.seen),
            repaired,
            verdict.to_owned(),
        ]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3), width(4)];
    ui.heading("What was done, what was promised, what happened");
    for (index, row) in cells.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate().take(4) {
            line.push_str(&format!("{cell:<width$}  ", width = widths[column]));
        }
        let tone = match row[4].as_str() {
            "ok" => Tone::Good,
            "FAILED" => Tone::Bad,
            _ => Tone::Plain,
        };
        outln!("{line}{}", ui.paint(tone, &row[4]));
        if index == 0 {
            outln!("{}", "-".repeat(widths.iter().sum::<usize>() + 8));
        }
    }
    for row in rows {
        if let Some(why) = &row.failure {
            outln!("{}", ui.paint(Tone::Bad, &format!("{}: {why}", row.fault)));
        }
    }
    rows.iter().all(|row| row.failure.is_none())
}
