//! The project's text files and what a check says about them.
//!
//! Read once from the list that git gives; Rust files are parsed once, when a check first asks for their syntax. It
//! knows no rule.

use crate::sh;
use anyhow::{Context, Result as Outcome};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that breaks a rule: where, and what to do.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) place: String,
    pub(super) cure: String,
}

impl Finding {
    pub(super) fn new(place: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            cure: cure.into(),
        }
    }

    pub(super) fn at(path: &str, line_index: usize, cure: impl Into<String>) -> Self {
        Self::new(format!("{path}:{}", line_index + 1), cure)
    }
}

/// The text files of the project, read once.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    /// Path relative to the root, and text. Files that are not UTF-8 are left out.
    files: Vec<(String, String)>,
    /// The Rust files' syntax, parsed when first asked for.
    syntax: OnceCell<BTreeMap<String, Parsed>>,
}

/// The syntax of a Rust file, or the line and the reason why it has none.
pub(super) type Parsed = Result<syn::File, (usize, String)>;

impl Tree {
    /// Everything git knows or would add.
    pub(super) fn load(root: &Path) -> Outcome<Self> {
        let list = sh::read(Command::new("git").current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))
        .context("tidy reads the list of files from git")?;
        let mut paths: Vec<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            let full = root.join(path);
            if !full.is_file() || full.is_symlink() {
                continue; // deleted but not yet committed, or a link to another of them
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((path.to_owned(), text));
            }
        }
        Ok(Self {
            root: root.to_owned(),
            files,
            syntax: OnceCell::new(),
        })
    }

    /// A tree that lies in no folder.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            root: PathBuf::new(),
            files: files.iter().map(owned).collect(),
            syntax: OnceCell::new(),
        }
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file that parses.
    pub(super) fn syntax(&self) -> impl Iterator<Item = (&str, &syn::File)> {
        let parsed = self.parsed().iter();
        parsed.filter_map(|(path, file)| Some((path.as_str(), file.as_ref().ok()?)))
    }

    /// Every Rust file, by its path.
    pub(super) fn parsed(&self) -> &BTreeMap<String, Parsed> {
        self.syntax.get_or_init(|| {
            let parse = |text| syn::parse_file(text).map_err(|error| (error.span().start().line, error.to_string()));
            self.rust().map(|(path, text)| (path.to_owned(), parse(text))).collect()
        })
    }
}
