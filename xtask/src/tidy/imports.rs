//! Checks on the module graph: no circle of files, a type's `impl` in one place.
//!
//! Contract: a file uses another if a path in it leads to an item that the other defines, through any number of
//! re-exports; neither `mod x;` nor `pub use` is a use by itself, and no more is `use super::*` beyond the names that are taken by it. Every crate root
//! is looked at by itself: a package's library, its programs, each file of its `tests`. It knows no types: a method that
//! is called on a value is seen only by the import of its type.

use super::modules::{Crate, ImplBlock, Use};
use super::tree::{Finding, Tree};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The file with a role's own functions: wiring, and no more.
const ROLE_LINES_MAX: usize = 350;

fn crates(tree: &Tree) -> Vec<Crate<'_>> {
    let files: BTreeMap<&str, &syn::File> = tree.syntax().collect();
    let packages: BTreeSet<&str> = tree
        .all()
        .filter_map(|(path, _)| path.strip_suffix("Cargo.toml"))
        .collect();
    let roots = files.keys().filter(|path| is_root(path, &packages));
    roots.filter_map(|root| Crate::load(root, &files)).collect()
}

/// True for the files from which cargo builds a crate.
fn is_root(path: &str, packages: &BTreeSet<&str>) -> bool {
    let inside = packages.iter().filter_map(|package| path.strip_prefix(package));
    inside.into_iter().any(|path| {
        let parts: Vec<&str> = path.split('/').collect();
        matches!(
            parts.as_slice(),
            ["build.rs"]
                | ["src", "lib.rs" | "main.rs"]
                | ["src", "bin", _]
                | ["tests" | "benches" | "examples", _]
                | [_, "bin" | "tests", _, "main.rs"]
        )
    })
}

/// The first path by which a file uses another.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Use<'a>>>;

/// No two files of a crate use each other, over any number of steps.
pub(super) fn cycles(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = BTreeMap::new();
    for unit in crates(tree) {
        let mut edges = Edges::new();
        for other in unit.uses() {
            let to = edges.entry(other.from).or_default();
            if to.get(other.to).is_none_or(|known| other.line < known.line) {
                to.insert(other.to, other);
            }
        }
        for circle in circles(&unit.files(), &edges) {
            found.insert(circle.clone(), finding(&circle, &edges));
        }
    }
    Ok(found.into_values().collect())
}

/// The largest sets of files that all reach each other.
fn circles<'a>(files: &BTreeSet<&'a str>, edges: &Edges<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = files.iter().map(|file| (*file, reach(file, edges))).collect();
    let mutual = |file: &&'a str| {
        let back = reached[file].iter().filter(|other| reached[*other].contains(file));
        back.copied().collect::<BTreeSet<&str>>()
    };
    files.iter().map(mutual).filter(|circle| !circle.is_empty()).collect()
}

/// What a file uses over one step or more.
fn reach<'a>(from: &str, edges: &Edges<'a>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in edges.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}

fn finding(circle: &BTreeSet<&str>, edges: &Edges<'_>) -> Finding {
    let shortest = circle.iter().filter_map(|file| round_trip(file, edges));
    let shortest = shortest.min_by_key(Vec::len).unwrap_or_default();
    let mut chain: Vec<String> = shortest
        .iter()
        .map(|step| format!("{}:{} (`{}`)", step.from, step.line, step.path))
        .collect();
    chain.extend(shortest.first().map(|step| step.from.to_owned()));
    let mut cure = format!("{} files use each other: {}", circle.len(), chain.join(" -> "));
    let on_chain: BTreeSet<&str> = shortest.iter().map(|step| step.from).collect();
    let others: Vec<&str> = circle.difference(&on_chain).copied().collect();
    if !others.is_empty() {
        cure.push_str(&format!("; in the same circle: {}", others.join(", ")));
    }
    cure.push_str(". Move what both need into a file below them, or pass it in");
    let place = shortest.first().map(|step| format!("{}:{}", step.from, step.line));
    Finding::new(place.unwrap_or_default(), cure)
}

/// The shortest way from a file back to itself.
fn round_trip<'e, 'a>(file: &'a str, edges: &'e Edges<'a>) -> Option<Vec<&'e Use<'a>>> {
    let mut came: BTreeMap<&str, &Use<'_>> = BTreeMap::new();
    let mut open = VecDeque::from([file]);
    while !came.contains_key(file) {
        let from = open.pop_front()?;
        for (to, step) in edges.get(from).into_iter().flatten() {
            came.entry(to).or_insert_with(|| {
                open.push_back(to);
                step
            });
        }
    }
    let mut way = vec![came[file]];
    while way.last().is_some_and(|step| step.from != file) {
        way.push(came[way.last()?.from]);
    }
    way.reverse();
    Some(way)
}

/// True for a type that runs as a role: it is a machine, and no toy of a test.
fn is_role(block: &ImplBlock<'_>) -> bool {
    !block.test && block.of_trait.as_deref() == Some("Machine")
}

/// A type's own functions stand in one file: beyond it, its fields are its own.
pub(super) fn scattered(tree: &Tree) -> Result<Vec<Finding>> {
    let mut found = BTreeMap::new();
    for unit in crates(tree) {
        let mut types: BTreeMap<(&str, String), BTreeMap<&str, usize>> = BTreeMap::new();
        for block in unit.impls() {
            if block.of_trait.is_none() || is_role(&block) {
                let places = types.entry((block.type_file, block.type_name)).or_default();
                places.entry(block.file).or_insert(block.line);
            }
        }
        for ((_, name), places) in types.into_iter().filter(|(_, places)| 1 < places.len()) {
            let all: Vec<String> = places.iter().map(|(file, line)| format!("{file}:{line}")).collect();
            let cure = format!(
                "`impl {name}` stands in {} files ({}): give the other parts types of their own",
                all.len(),
                all.join(", ")
            );
            found.insert(cure.clone(), Finding::new(all[0].clone(), cure));
        }
    }
    Ok(found.into_values().collect())
}

/// A role is wiring: short enough to be read at once.
pub(super) fn role_sizes(tree: &Tree) -> Result<Vec<Finding>> {
    let texts: BTreeMap<&str, &str> = tree.rust().collect();
    let mut found = Vec::new();
    for unit in crates(tree) {
        let impls = unit.impls();
        let roles: BTreeSet<(&str, &str)> = impls
            .iter()
            .filter(|block| is_role(block))
            .map(|block| (block.type_file, block.type_name.as_str()))
            .collect();
        let mut files: BTreeMap<&str, &str> = BTreeMap::new();
        for block in impls.iter().filter(|block| block.of_trait.is_none() || is_role(block)) {
            if roles.contains(&(block.type_file, block.type_name.as_str())) {
                files.insert(block.file, &block.type_name);
            }
        }
        for (file, name) in files {
            let lines = texts[file].lines().count();
            if ROLE_LINES_MAX < lines {
                found.push(Finding::new(
                    file,
                    format!("{lines} lines with `impl {name}`, at most {ROLE_LINES_MAX}: a role is wiring, its rules are types of their own"),
                ));
            }
        }
    }
    Ok(found)
}
