//! The engine model against what real engines said: each row of `tests/engine-truth/` is played on the model, and every
//! answer, error text, event, inspect field and time must be as recorded, within the tolerance of `compare`.
//!
//! A row that the player cannot play is a failure.

mod beside;
mod compare;
mod compose;
mod known;
mod planted;
mod player;
mod rows;
mod settings;
mod words;

use compare::{Difference, compare};
use player::Player;
use rows::{Act, Recording};
use std::collections::BTreeMap;

fn differences(table: &BTreeMap<String, Vec<String>>, recording: &Recording) -> Vec<Difference> {
    let said: Vec<&str> = recording
        .steps()
        .iter()
        .filter_map(|step| step["act"].as_str())
        .collect();
    let lines = table.get(&recording.row).map(Vec::as_slice).unwrap_or_default();
    if said != lines {
        return vec![Difference {
            engine: recording.engine.clone(),
            row: recording.row.clone(),
            place: "the acts are not those of rows.json: record it anew".into(),
            recorded: said.join(", "),
            model: lines.join(", "),
        }];
    }
    let acts: Vec<Act> = said.into_iter().map(Act::parse).collect();
    let played = Player::new(recording).play(&acts);
    compare(recording, &acts, &played)
}

#[test]
fn the_model_says_what_engines_said() {
    let (table, recordings) = (rows::table(), rows::recordings());
    assert!(
        200 <= recordings.len(),
        "only {} recordings were found",
        recordings.len()
    );
    let found: Vec<Difference> = recordings.iter().flat_map(|it| differences(&table, it)).collect();
    let told = known::unknown(&found);
    assert!(told.is_empty(), "{} differences:\n{}", told.len(), told.join("\n"));
}

#[test]
fn a_planted_defect_turns_rows_red() {
    let recordings = rows::recordings();
    let planted = planted::PLANTED
        .iter()
        .map(|(name, spoil)| (name, planted::red(&recordings, *spoil)));
    let others = planted::OTHERS
        .iter()
        .map(|(name, other)| (name, planted::red_as_other(&recordings, *other)));
    let counts: Vec<String> = planted
        .chain(others)
        .map(|(name, red)| format!("{red:4} rows: {name}"))
        .collect();
    let unseen: Vec<&String> = counts.iter().filter(|it| it.starts_with("   0")).collect();
    println!("{}", counts.join("\n"));
    assert!(unseen.is_empty(), "no row sees: {unseen:?}");
}
