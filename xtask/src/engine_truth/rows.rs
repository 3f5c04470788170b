//! The table of scenarios, read from `tests/engine-truth/rows.json`: names and acts, no engine.
//!
//! An act is a line of words: `VERB WHO WORD… KEY=VALUE…`. A definition is a list of acts that `use NAME` puts in its place.

use crate::sh;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// One scenario.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) acts: Vec<Act>,
}

impl Row {
    /// True if it ends or starts the engine itself.
    pub(super) fn needs_own_engine(&self) -> bool {
        self.acts.iter().any(|act| act.verb == "engine")
    }
}

/// One line of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Act {
    pub(super) line: String,
    pub(super) verb: String,
    words: Vec<String>,
    settings: BTreeMap<String, String>,
}

impl Act {
    fn parse(line: &str) -> Result<Self> {
        let (settings, words): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.contains('='));
        let (verb, words) = words
            .split_first()
            .with_context(|| format!("an act without a verb: {line:?}"))?;
        let pairs = settings.iter().filter_map(|word| word.split_once('='));
        Ok(Self {
            line: line.to_owned(),
            verb: (*verb).to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            settings: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        })
    }

    /// The word at that place after the verb.
    pub(super) fn word(&self, place: usize) -> Result<&str> {
        let word = self.words.get(place).map(String::as_str);
        word.with_context(|| format!("`{}`: word {} is missing", self.line, place + 1))
    }

    /// All words after the verb.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// A setting, if it is given.
    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// A setting that is a number.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>> {
        let parsed = self.setting(key).map(str::parse).transpose();
        parsed.with_context(|| format!("`{}`: {key} is no number", self.line))
    }
}

/// The rows of this workspace's table.
pub(super) fn load() -> Result<Vec<Row>> {
    let path = sh::root().join("tests/engine-truth/rows.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let table: Value = serde_json::from_str(text)?;
    let rows = table["rows"].as_object().context("`rows` is missing")?;
    rows.iter()
        .map(|(name, acts)| {
            let acts = expand(&table["defs"], acts).with_context(|| format!("row {name}"))?;
            let name = name.clone();
            Ok(Row { name, acts })
        })
        .collect()
}

fn expand(defs: &Value, acts: &Value) -> Result<Vec<Act>> {
    let mut all = Vec::new();
    for line in acts.as_array().context("acts are a list")? {
        let act = Act::parse(line.as_str().context("an act is a line of words")?)?;
        if act.verb == "use" {
            let name = act.word(0)?;
            match defs.get(name) {
                Some(acts) => all.extend(expand(defs, acts)?),
                None => bail!("`{name}` is not in `defs`"),
            }
        } else {
            all.push(act);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{load, parse};

    #[test]
    fn a_definition_is_put_in_its_place() {
        let text = r#"{"defs": {"up": ["create a policy=no", "start a"]}, "rows": {"r": ["use up", "stop a t=0"]}}"#;
        let rows = parse(text).expect("a table");
        let lines: Vec<&str> = rows[0].acts.iter().map(|act| act.line.as_str()).collect();
        assert_eq!(lines, ["create a policy=no", "start a", "stop a t=0"]);
        assert_eq!(rows[0].acts[2].number("t").expect("a number"), Some(0));
        assert!(parse(r#"{"rows": {"r": ["use nothing"]}}"#).is_err());
    }

    #[test]
    fn the_table_of_this_workspace_is_read() {
        assert!(40 <= load().expect("the table").len());
    }
}
