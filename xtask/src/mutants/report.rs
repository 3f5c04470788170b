//! The page of a score. Pure; does not know how it was measured.

use super::known;
use super::sample::{Mutant, PACKAGE, VERSION};
use super::trial::Outcome;

type Results<'a> = [(&'a Mutant, Outcome)];

/// The whole page.
pub(super) fn page(seed: usize, total: usize, results: &Results<'_>) -> String {
    let count = |outcome| results.iter().filter(|(_, it)| *it == outcome).count();
    let is_loop = |(mutant, outcome): &&(&Mutant, Outcome)| *outcome == Outcome::Timeout && known::is_loop(mutant);
    let loops = results.iter().filter(is_loop).count();
    let viable = results.len() - count(Outcome::Unviable);
    let caught = count(Outcome::Core) + count(Outcome::Simulator) + loops;
    let rows = [
        ("mutants in all", total.to_string()),
        ("seed", seed.to_string()),
        ("sample", results.len().to_string()),
        ("do not compile", count(Outcome::Unviable).to_string()),
        ("viable", viable.to_string()),
        ("caught by the core's own tests", share(count(Outcome::Core), viable)),
        (
            "caught by the simulator's alone",
            share(count(Outcome::Simulator), viable),
        ),
        ("hang, as they must", loops.to_string()),
        (
            "hang, and are not caught",
            (count(Outcome::Timeout) - loops).to_string(),
        ),
        ("survive", count(Outcome::Survived).to_string()),
        ("**score**", format!("**{}**", share(caught, viable))),
    ];
    let mut text = format!(
        "# Mutation score\n\n\
         Written by `cargo xtask mutants --seed {seed} --record`: small changes of `{PACKAGE}`, as cargo-mutants {VERSION} lists\n\
         them, and how many of a sample the tests notice. A change that no test fails for is a missing test, or has its reason.\n\n\
         | | |\n|---|---:|\n"
    );
    for (name, value) in rows {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    text.push_str(&table("What survives", results, |it| it.1 == Outcome::Survived));
    text.push_str(&table("What hangs", results, |it| it.1 == Outcome::Timeout));
    text
}

/// Mutants of one kind; nothing if there is none.
fn table(title: &str, results: &Results<'_>, of: impl Fn(&(&Mutant, Outcome)) -> bool) -> String {
    let mut text = String::new();
    for (mutant, outcome) in results.iter().filter(|it| of(it)) {
        let reason = match outcome {
            Outcome::Timeout if known::is_loop(mutant) => "takes the end from a loop",
            _ => known::reason(mutant).unwrap_or("not looked at yet"),
        };
        let change = mutant.change().replace('|', "\\|");
        text.push_str(&format!("| {} | `{change}` | {reason} |\n", mutant.place()));
    }
    if !text.is_empty() {
        text.insert_str(0, &format!("\n## {title}\n\n| where | change | why |\n|---|---|---|\n"));
    }
    text
}

fn share(count: usize, all: usize) -> String {
    let per_mille = count * 1000 / all.max(1);
    format!("{count} ({}.{} %)", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::mutants::sample::tests::mutant;
    use crate::mutants::trial::Outcome;

    #[test]
    fn only_a_listed_loop_is_caught_by_hanging_and_what_does_not_compile_counts_not() {
        let mutants = ["a", "b", "c", "d", "e"].map(|name| mutant(&format!("{name}.rs:3:1: replace || with && in f")));
        let outcomes = [
            Outcome::Core,
            Outcome::Simulator,
            Outcome::Timeout,
            Outcome::Survived,
            Outcome::Unviable,
        ];
        let results: Vec<_> = mutants.iter().zip(outcomes).collect();
        let text = page(7, 99, &results);
        for line in [
            "| mutants in all | 99 |",
            "| seed | 7 |",
            "| sample | 5 |",
            "| do not compile | 1 |",
            "| viable | 4 |",
            "| caught by the core's own tests | 1 (25.0 %) |",
            "| caught by the simulator's alone | 1 (25.0 %) |",
            "| hang, as they must | 0 |",
            "| hang, and are not caught | 1 |",
            "| survive | 1 |",
            "| **score** | **2 (50.0 %)** |",
            "## What survives",
            "| d.rs:3 | `replace \\|\\| with && in f` | not looked at yet |",
            "## What hangs",
            "| c.rs:3 | `replace \\|\\| with && in f` | not looked at yet |",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(!page(7, 99, &results[..2]).contains("## What"));
    }
}
