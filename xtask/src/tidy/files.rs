//! Checks on the text of files: first lines, sizes, hosts and paths, trailing space, leftovers.

use super::tree::{Finding, Tree};
use anyhow::Result;

/// A source file is one room with one purpose.
const LINES_MAX: usize = 500;
/// An exception may grow so far, no further.
const EXCEPTION_LINES_MAX: usize = 800;
/// Files that are one thing and long. Each is named here with its reason, and must still need it.
const LONG: &[&str] = &[
    // Every message of the one package, and its limits beside them.
    "proto/watchtree/link/v1/link.proto",
];

/// Languages in which files open with what they are: the end of their names, and how that opening begins.
const SOURCES: &[(&str, &str)] = &[(".rs", "//! "), (".proto", "// "), (".py", "\"\"\"")];

fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str)> {
    tree.all().filter_map(|(path, text)| {
        let (_, opening) = SOURCES.iter().find(|(end, _)| path.ends_with(end))?;
        Some((path, text, *opening))
    })
}

/// Every source file opens with what it is.
pub(super) fn first_lines(tree: &Tree) -> Result<Vec<Finding>> {
    let opens = |text: &str, opening: &str| {
        // A script's first line says who runs it.
        let line = text.lines().find(|line| !line.starts_with("#!/"));
        let words = line.and_then(|line| line.strip_prefix(opening));
        words.is_some_and(|words| words.contains(char::is_alphabetic))
    };
    Ok(sources(tree)
        .filter(|(_, text, opening)| !opens(text, opening))
        .map(|(path, _, opening)| {
            let cure = format!("open with `{opening}…`: what it is, its contract, what it does not know");
            Finding::at(path, 0, cure)
        })
        .collect())
}

/// No file beyond its limit, no exception beyond its need.
pub(super) fn sizes(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text, _) in sources(tree) {
        let lines = text.lines().count();
        let limit = if LONG.contains(&path) {
            EXCEPTION_LINES_MAX
        } else {
            LINES_MAX
        };
        if limit < lines {
            found.push(Finding::new(
                path,
                format!("{lines} lines, at most {limit}: split it by purpose"),
            ));
        }
    }
    for path in LONG {
        let short = sources(tree).any(|(other, text, _)| other == *path && text.lines().count() <= LINES_MAX);
        if short {
            found.push(Finding::new(
                *path,
                "no longer over the limit: take it from LONG in xtask/src/tidy/files.rs",
            ));
        }
    }
    Ok(found)
}

/// Hosts of package registries (a mirror is the machine's choice) and paths of one machine. In pieces, so that this
/// file does not find itself.
const FOREIGN: &[(&str, &str)] = &[
    (concat!("crates", ".io"), "name no registry host"),
    (concat!("pypi", ".org"), "name no registry host"),
    (concat!("pythonhosted", ".org"), "name no registry host"),
    (concat!("registry.npm", "js"), "name no registry host"),
    (concat!("proxy.", "golang.org"), "name no registry host"),
    (
        concat!("deb.", "debian.org"),
        "take the mirror from the machine's own sources",
    ),
    (
        concat!("archive.", "ubuntu.com"),
        "take the mirror from the machine's own sources",
    ),
    (concat!("docker", ".io/"), "name no registry host"),
    (concat!("index.", "docker"), "name no registry host"),
    (concat!("registry-1.", "docker"), "name no registry host"),
    (concat!("hub.", "docker.com"), "name no registry host"),
    (concat!("gcr", ".io"), "name no registry host"),
    (concat!("registry.", "k8s.io"), "name no registry host"),
    (concat!("mcr.", "microsoft.com"), "name no registry host"),
    (concat!("static.", "rust-lang.org"), "name no registry host"),
    (concat!("rubygems", ".org"), "name no registry host"),
    (concat!("repo.", "maven"), "name no registry host"),
    (
        concat!("security.", "debian.org"),
        "take the mirror from the machine's own sources",
    ),
    (
        concat!("security.", "ubuntu.com"),
        "take the mirror from the machine's own sources",
    ),
    (concat!("quay", ".io"), "name no registry host"),
    (concat!("ghcr", ".io"), "name no registry host"),
    (concat!("/wo", "rk/"), "name no path of one machine"),
    (concat!("/fa", "rm/"), "name no path of one machine"),
    (concat!("/ho", "me/"), "name no path of one machine"),
    (concat!("/ro", "ot/"), "name no path of one machine"),
    (concat!("/Us", "ers/"), "name no path of one machine"),
];

/// See [`FOREIGN`]. `Cargo.lock` names the registry by its nature.
pub(super) fn hosts_and_paths(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree.all().filter(|(path, _)| *path != "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            for (word, cure) in FOREIGN {
                // A folder is named also without the slash at its end.
                let folder = word.strip_suffix('/').filter(|folder| folder.starts_with('/'));
                if line.contains(word) || folder.is_some_and(|folder| names_folder(line, folder)) {
                    found.push(Finding::at(path, index, format!("`{word}`: {cure}")));
                }
            }
        }
    }
    Ok(found)
}

/// True where `folder` is a path of its own, and no part of another.
fn names_folder(line: &str, folder: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "._-~*}>)".contains(c);
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(|c| c.is_alphanumeric() || "_-".contains(c))
    })
}

/// No space at the end of a line, a newline at the end of a file. Golden bytes and licences stay as they are.
pub(super) fn trailing_space(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text) in tree
        .all()
        .filter(|(path, _)| !path.starts_with("LICENSE") && !path.contains("golden"))
    {
        for (index, line) in text.lines().enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                found.push(Finding::at(path, index, "space at the end of the line"));
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            found.push(Finding::new(path, "no newline at the end"));
        }
    }
    Ok(found)
}

/// Words of unfinished work, in pieces for the same reason as above.
const LEFTOVERS: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("d", "bg!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// What is here is finished; what is not is not here.
pub(super) fn leftovers(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (path, text, _) in sources(tree) {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
                found.push(Finding::at(path, index, format!("`{word}`: finish it, or take it out")));
            }
        }
    }
    Ok(found)
}
