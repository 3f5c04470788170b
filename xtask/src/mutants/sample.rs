//! Mutants: read from the tool's list, chosen by a seed, applied to a text. Pure: it does not know files, builds and tests.

use anyhow::{Context, Result};
use serde_json::Value;

/// The version whose mutants, and so whose scores, can be compared.
pub(super) const VERSION: &str = "27.1.0";
/// The package that is changed.
pub(super) const PACKAGE: &str = "watchtree-core";

/// A place in a text; both count from one, columns in characters.
type Place = (usize, usize);

/// One small change of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mutant {
    /// `FILE:LINE:COLUMN: CHANGE`; no two have the same.
    pub(super) name: String,
    pub(super) file: String,
    start: Place,
    /// Just behind the last character.
    end: Place,
    replacement: String,
}

impl Mutant {
    /// The changed text.
    ///
    /// # Errors
    /// The text has no such place.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        let place = |at| offset(text, at).with_context(|| format!("{} does not fit its file", self.name));
        let (start, end) = (place(self.start)?, place(self.end)?);
        let (before, after) = (text.get(..start), text.get(end..));
        let (before, after) = before.zip(after).context("both are borders of characters")?;
        Ok(format!("{before}{}{after}", self.replacement))
    }

    /// File and line.
    pub(super) fn place(&self) -> String {
        self.name.split(':').take(2).collect::<Vec<_>>().join(":")
    }

    /// What is changed.
    pub(super) fn change(&self) -> &str {
        self.name.splitn(4, ':').nth(3).unwrap_or(&self.name).trim()
    }

    /// File and change: holds while lines above it come and go.
    pub(super) fn key(&self) -> String {
        format!("{}: {}", self.file, self.change())
    }
}

/// Where a place begins, in bytes.
fn offset(text: &str, (line, column): Place) -> Option<usize> {
    let lines = text.split_inclusive('\n');
    let before: usize = lines.clone().take(line - 1).map(str::len).sum();
    let line = lines.clone().nth(line - 1)?;
    let within = line.char_indices().map(|(index, _)| index).chain([line.len()]);
    within.clone().nth(column - 1).map(|index| before + index)
}

/// Reads the list that the tool writes with `--list --json`.
///
/// # Errors
/// It is none.
pub(super) fn parse(json: &str) -> Result<Vec<Mutant>> {
    let list: Vec<Value> = serde_json::from_str(json).context("the list of mutants")?;
    list.iter()
        .map(|entry| read(entry).with_context(|| format!("in the list of mutants: {entry}")))
        .collect()
}

fn read(entry: &Value) -> Option<Mutant> {
    let word = |name: &str| entry.get(name)?.as_str().map(str::to_owned);
    let place = |name: &str| {
        let place = entry.get("span")?.get(name)?;
        let number = |name: &str| usize::try_from(place.get(name)?.as_u64()?).ok().filter(|it| 0 < *it);
        Some((number("line")?, number("column")?))
    };
    Some(Mutant {
        name: word("name")?,
        file: word("file")?,
        start: place("start")?,
        end: place("end")?,
        replacement: word("replacement")?,
    })
}

/// Every n-th, so that at least the sample's size is left; the seed says where to begin.
pub(super) fn choose(all: Vec<Mutant>, seed: usize, sample: usize) -> Vec<Mutant> {
    let step = (all.len() / sample.max(1)).max(1);
    all.into_iter().skip(seed % step).step_by(step).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Mutant, choose, parse};

    pub(in super::super) fn mutant(name: &str) -> Mutant {
        let file = name.split(':').next().unwrap_or_default().to_owned();
        Mutant {
            name: name.to_owned(),
            file,
            start: (1, 1),
            end: (1, 1),
            replacement: String::new(),
        }
    }

    #[test]
    fn a_mutant_changes_its_place_and_nothing_else() {
        let text = "fn a() {\n    \"ü\" + 1\n}\n";
        let cases = [
            ((2, 9), (2, 10), "-", "fn a() {\n    \"ü\" - 1\n}\n"),
            ((2, 5), (2, 12), "()", "fn a() {\n    ()\n}\n"),
            ((1, 9), (3, 1), "", "fn a() {}\n"),
        ];
        for (start, end, replacement, expected) in cases {
            let it = Mutant {
                start,
                end,
                replacement: replacement.to_owned(),
                ..mutant("a.rs:1:1: x")
            };
            assert_eq!(it.apply(text).expect("fits"), expected);
        }
        let outside = Mutant {
            end: (9, 1),
            ..mutant("a.rs:1:1: x")
        };
        assert!(outside.apply(text).is_err());
    }

    #[test]
    fn the_tool_s_list_is_read() {
        let json = r#"[{"name": "a.rs:2:9: replace + with - in T::f", "package": "p", "file": "a.rs", "replacement": "-",
            "span": {"start": {"line": 2, "column": 9}, "end": {"line": 2, "column": 10}}, "genre": "BinaryOperator"}]"#;
        let list = parse(json).expect("a list");
        let it = &list[0];
        assert_eq!((it.start, it.end, it.replacement.as_str()), ((2, 9), (2, 10), "-"));
        assert_eq!(
            (it.place().as_str(), it.change()),
            ("a.rs:2", "replace + with - in T::f")
        );
        assert_eq!(it.key(), "a.rs: replace + with - in T::f");
        let without = json.replace("replacement", "other");
        assert!(parse(&without).is_err());
    }

    #[test]
    fn a_sample_has_at_least_its_size_and_the_seed_chooses_it() {
        let names = |seed, sample| -> Vec<String> {
            let all = (0..100).map(|number| mutant(&number.to_string())).collect();
            choose(all, seed, sample).into_iter().map(|it| it.name).collect()
        };
        assert_eq!(names(1, 30).len(), 33);
        assert_eq!(names(1, 30)[..3], ["1", "4", "7"]);
        assert_eq!(names(4, 30), names(1, 30));
        assert_eq!(names(0, 30).len(), 34);
        assert_eq!(names(5, 200).len(), 100);
        assert_eq!(names(107, 0), ["7"]);
    }
}
