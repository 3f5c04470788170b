//! Errors in a configuration, each as one line with place and cure.

use crate::keys::Key;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a configuration. Prints as `FILE:LINE:COLUMN: what; cure`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// Which file, once known.
    pub file: Option<PathBuf>,
    /// Line and column, from 1; `None` where the whole file is meant.
    pub place: Option<(usize, usize)>,
    /// What is wrong and how to mend it, on one line.
    pub what: String,
    /// True where rights are missing (exit code 6) and not the content is wrong (exit code 2).
    pub no_rights: bool,
}

impl ConfigError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let what = what.into().replace('\n', " ");
        Self {
            file: None,
            place: None,
            what,
            no_rights: false,
        }
    }

    /// At the place of that byte range of the text.
    pub(crate) fn at(mut self, text: &str, span: Option<Range<usize>>) -> Self {
        self.place = span.map(|span| line_and_column(text, span.start));
        self
    }

    /// Finds the place of a mistake that only several values together show: its text begins with `[table] key:`,
    /// `[[table]]` or `key:`. Where the file does not name the key (its default is the mistake) the table is the place.
    pub(crate) fn find_in(mut self, text: &str) -> Self {
        let head = self.what.split(':').next().unwrap_or_default();
        let (table, key) = match head.split_once("] ") {
            Some((table, key)) => (format!("{table}]"), key),
            None if head.starts_with('[') => (head.to_string(), ""),
            None => (String::new(), head),
        };
        let mut inside = table.is_empty();
        for (number, line) in text.lines().enumerate() {
            let bare = line.trim_start();
            if bare.starts_with('[') {
                inside = bare.trim_end() == table;
                if inside {
                    self.place = Some((number + 1, 1));
                }
            } else if inside
                && bare
                    .strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with('='))
            {
                self.place = Some((number + 1, 1 + line.len() - bare.len()));
                break;
            }
        }
        self
    }

    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_path_buf());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        let gap = if self.file.is_some() || self.place.is_some() {
            " "
        } else {
            ""
        };
        write!(f, "{gap}{}", self.what)
    }
}

pub(crate) fn of_io(file: &Path, error: &io::Error) -> ConfigError {
    let (cure, no_rights) = match error.kind() {
        io::ErrorKind::NotFound => ("no such file; make it, or name the right one", false),
        io::ErrorKind::PermissionDenied => ("no right to read it; run as root or as the daemon's user", true),
        io::ErrorKind::InvalidData => ("it is not UTF-8 text", false),
        io::ErrorKind::IsADirectory => ("it is a directory; name the file in it", false),
        _ => ("it cannot be read", false),
    };
    let what = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory => cure.to_string(),
        _ => format!("{cure} ({error})"),
    };
    ConfigError {
        no_rights,
        ..ConfigError::new(what).in_file(file)
    }
}

/// Turns the parser's error into ours: its place, and a cure for a wrong key.
pub(crate) fn of_toml(text: &str, error: &toml::de::Error, keys: &[Key]) -> ConfigError {
    let message = error.message();
    let what = unknown_key(message, keys)
        .or_else(|| missing_key(message))
        .unwrap_or_else(|| in_plain_words(message));
    ConfigError::new(what).at(text, error.span())
}

/// `unknown field `beet`, expected one of `beat`, `margin`` → `unknown key `beet`; did you mean `beat`?`
fn unknown_key(message: &str, keys: &[Key]) -> Option<String> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut words = rest.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    let allowed: Vec<&str> = words.collect();
    if let Some(near) = nearest(wrong, &allowed) {
        return Some(format!("unknown key `{wrong}`; did you mean `{near}`?"));
    }
    if let Some(key) = keys.iter().find(|key| key.name == wrong && !key.table.is_empty()) {
        return Some(format!(
            "key `{wrong}` does not belong here; it belongs under {}",
            key.table
        ));
    }
    Some(format!(
        "unknown key `{wrong}`; the keys here are {}",
        allowed.join(", ")
    ))
}

/// What the parser says it expected, without the names of its types.
fn in_plain_words(message: &str) -> String {
    const TYPES: [(&str, &str); 3] = [
        (", expected u8", ", expected a whole number from 0 to 255"),
        (", expected u32", ", expected a whole number from 0 on, without quotes"),
        (
            ", expected a sequence",
            ", expected a list: values in [ ], or tables under [[ ]]",
        ),
    ];
    let plain = TYPES.iter().find_map(|(end, words)| {
        let head = message.strip_suffix(end)?;
        Some(format!("{head}{words}"))
    });
    plain.unwrap_or_else(|| message.to_string())
}

fn missing_key(message: &str) -> Option<String> {
    let name = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    Some(format!("key `{name}` is missing; add it"))
}

/// The candidate that is closest, if it is close at all (a third of the letters may differ).
fn nearest<'a>(wrong: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let best = candidates.iter().map(|word| (distance(wrong, word), *word)).min()?;
    (best.0 <= wrong.len().max(best.1.len()).div_ceil(3)).then_some(best.1)
}

/// Edits (insert, delete, replace) between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("beat", "beat"), 0);
        assert_eq!(distance("beet", "beat"), 1);
        assert_eq!(distance("", "beat"), 4);
        assert_eq!(nearest("sockt", &["socket", "name"]), Some("socket"));
        assert_eq!(nearest("colour", &["socket", "name"]), None);
    }
}
