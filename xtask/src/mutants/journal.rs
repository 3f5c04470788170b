//! What came of the mutants so far, on the disk, so that a run that was stopped goes on. A journal of another tree or another
//! sample is begun anew. It does not know what the names mean.

use super::trial::Outcome;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

pub(super) struct Journal {
    file: File,
    outcomes: BTreeMap<String, Outcome>,
}

impl Journal {
    /// Opens the journal, or begins it; `header` says of what it is.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(path: PathBuf, header: &str) -> Result<Self> {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let outcomes = read(&text, header);
        let context = || path.display().to_string();
        let mut file = File::create(&path).with_context(context)?;
        writeln!(file, "{header}").with_context(context)?;
        for (name, outcome) in &outcomes {
            writeln!(file, "{}\t{name}", outcome.word()).with_context(context)?;
        }
        Ok(Self { file, outcomes })
    }

    pub(super) fn outcome(&self, name: &str) -> Option<Outcome> {
        self.outcomes.get(name).copied()
    }

    /// Adds a line.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, name: &str, outcome: Outcome) -> Result<()> {
        writeln!(self.file, "{}\t{name}", outcome.word()).context("the journal of the mutants")
    }
}

/// The lines below this header; a line that was not finished is none.
fn read(text: &str, header: &str) -> BTreeMap<String, Outcome> {
    let Some(lines) = text.strip_prefix(header).and_then(|rest| rest.strip_prefix('\n')) else {
        return BTreeMap::new();
    };
    let whole = lines.rfind('\n').and_then(|end| lines.get(..end)).unwrap_or_default();
    let entry = |line: &str| {
        let (word, name) = line.split_once('\t')?;
        Some((name.to_owned(), Outcome::parse(word)?))
    };
    whole.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::Journal;
    use crate::mutants::trial::Outcome;

    #[test]
    fn a_run_goes_on_where_it_was_stopped_and_another_begins_anew() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("journal.txt");
        let open = |header| Journal::open(path.clone(), header).expect("opened");
        let mut first = open("one");
        first.add("a.rs:1:1: x", Outcome::Core).expect("written");
        first.add("a.rs:2:1: y", Outcome::Survived).expect("written");
        drop(first);
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, text + "timeout\ta.rs:3:").expect("written");
        let again = open("one");
        let of = |name| again.outcome(name);
        assert_eq!(
            (of("a.rs:1:1: x"), of("a.rs:2:1: y"), of("a.rs:3:")),
            (Some(Outcome::Core), Some(Outcome::Survived), None)
        );
        assert_eq!(open("two").outcome("a.rs:1:1: x"), None);
    }
}
