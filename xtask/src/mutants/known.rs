//! What a reader found out about mutants that no test fails for. Contract: an entry names a mutant that exists, by its file and
//! change; a loop counts as caught where it times out, a survivor stays one and has its reason beside it.

use super::sample::Mutant;
use anyhow::{Result, bail};

/// Hangs because the change takes the end from a loop: no test can fail sooner.
const LOOPS: &[&str] = &[];

/// Survivors: the mutant, and why no test is to notice it.
const SURVIVORS: &[(&str, &str)] = &[
    (
        "crates/watchtree-core/src/backend.rs: replace | with ^ in welcome",
        "each capability has a bit of its own",
    ),
    (
        "crates/watchtree-core/src/detector.rs: replace < with <= in difference",
        "a difference of 0 fits, and the sign is not asked for",
    ),
];

/// True for a mutant that must hang.
pub(super) fn is_loop(mutant: &Mutant) -> bool {
    LOOPS.contains(&mutant.key().as_str())
}

/// Why no test is to notice it.
pub(super) fn reason(mutant: &Mutant) -> Option<&'static str> {
    let key = mutant.key();
    SURVIVORS
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, reason)| *reason)
}

/// Each entry is about a mutant that can come.
///
/// # Errors
/// One is not: the code has changed.
pub(super) fn all_exist(all: &[Mutant]) -> Result<()> {
    let entries = LOOPS.iter().chain(SURVIVORS.iter().map(|(name, _)| name));
    missing(entries.copied(), all)
}

fn missing<'a>(mut entries: impl Iterator<Item = &'a str>, all: &[Mutant]) -> Result<()> {
    let keys: std::collections::BTreeSet<String> = all.iter().map(Mutant::key).collect();
    match entries.find(|name| !keys.contains(*name)) {
        Some(name) => bail!("known.rs tells of a mutant that is not there: {name}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::missing;
    use crate::mutants::sample::tests::mutant;

    #[test]
    fn an_entry_about_no_mutant_is_an_error() {
        let all = [mutant("a.rs:7:1: delete ! in f")];
        assert!(missing(["a.rs: delete ! in f"].into_iter(), &all).is_ok());
        let error = missing(["a.rs: delete ! in g"].into_iter(), &all).expect_err("unknown");
        assert!(error.to_string().ends_with("not there: a.rs: delete ! in g"), "{error}");
    }
}
