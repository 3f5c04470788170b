//! What is played: the table of scenarios and what engines said to it, read from `tests/engine-truth/`. Knows no model.
//!
//! Any folder there is an engine (`VERSION[-live-restore]`), any file in it a row. A recording whose acts are not those of the
//! table is stale, and says so.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use watchtree_sim::state::engine::Version;

/// One line of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) line: String,
    pub(crate) verb: String,
    words: Vec<String>,
    settings: BTreeMap<String, String>,
}

impl Act {
    pub(crate) fn parse(line: &str) -> Self {
        let (settings, words): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.contains('='));
        let pairs = settings.iter().filter_map(|word| word.split_once('='));
        let mut words = words.into_iter().map(str::to_owned);
        Self {
            line: line.to_owned(),
            verb: words.next().unwrap_or_default(),
            words: words.collect(),
            settings: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }

    /// The word at that place after the verb.
    pub(crate) fn word(&self, place: usize) -> &str {
        let word = self.words.get(place);
        word.unwrap_or_else(|| panic!("`{}`: word {} is missing", self.line, place + 1))
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let number = |text: &str| {
            text.parse()
                .unwrap_or_else(|_| panic!("`{}`: {key} is no number", self.line))
        };
        self.setting(key).map(number)
    }
}

/// One row as one engine played it.
pub(crate) struct Recording {
    /// Name of the folder.
    pub(crate) engine: String,
    pub(crate) version: Version,
    pub(crate) live_restore: bool,
    pub(crate) row: String,
    pub(crate) said: Value,
}

impl Recording {
    pub(crate) fn steps(&self) -> &[Value] {
        self.said["steps"].as_array().map_or(&[], Vec::as_slice)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/engine-truth")
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}

fn version(engine: &str) -> Version {
    match engine {
        it if it.starts_with("20.10") => Version::V20_10,
        it if it.starts_with("26.1") => Version::V26_1,
        other => panic!("the model knows no engine {other}: give it a version of its own"),
    }
}

/// The lines of each row, definitions put in their places.
pub(crate) fn table() -> BTreeMap<String, Vec<String>> {
    let table = json(&folder().join("rows.json"));
    let rows = table["rows"].as_object().expect("a table of rows");
    let lines = |acts| {
        let mut lines = Vec::new();
        expand(&table["defs"], acts, &mut lines);
        lines
    };
    rows.iter().map(|(name, acts)| (name.clone(), lines(acts))).collect()
}

fn expand(defs: &Value, acts: &Value, lines: &mut Vec<String>) {
    for line in acts.as_array().expect("acts are a list") {
        let line = line.as_str().expect("an act is a line of words");
        match line.strip_prefix("use ") {
            Some(name) => expand(defs, &defs[name], lines),
            None => lines.push(line.to_owned()),
        }
    }
}

/// Everything that was recorded.
pub(crate) fn recordings() -> Vec<Recording> {
    let root = folder();
    let mut all = Vec::new();
    for engine in names(&root).into_iter().filter(|name| root.join(name).is_dir()) {
        for file in names(&root.join(&engine)) {
            let Some(row) = file.strip_suffix(".json") else {
                continue;
            };
            all.push(Recording {
                version: version(&engine),
                live_restore: engine.ends_with("-live-restore"),
                row: row.to_owned(),
                said: json(&root.join(&engine).join(&file)),
                engine: engine.clone(),
            });
        }
    }
    all
}
