//! `cargo xtask mutants`: how many small changes of the core its tests notice (mutation testing by cargo-mutants).
//!
//! Contract: seed and sample size choose the same mutants of the same tree again, spread evenly over all files. The core's own
//! tests are tried first; what they miss is tried once more with the simulator's. The report lies in `target/mutants`. It
//! is not part of the gate, and does not know what a mutant means: a survivor is a question to a reader.

use crate::{sh, victim};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version whose mutants, and so whose scores, can be compared.
const VERSION: &str = "27.1.0";
const PACKAGE: &str = "watchtree-core";
/// The package whose tests drive the core as well.
const SIMULATOR: &str = "watchtree-sim";

/// Runs a sample and prints the score.
///
/// # Errors
/// The tool cannot be installed, the tests fail without a mutant, or the report cannot be written. Survivors are no error.
pub(crate) fn run(seed: usize, sample: usize) -> Result<()> {
    let target = victim::target_dir()?;
    let tool = install(&target.join("tools"))?;
    let folder = target.join("mutants");
    let all = sh::read(base(&tool).args(["--list", "--package", PACKAGE]))?
        .lines()
        .count();
    let shard = shard(all, seed, sample);
    println!("{all} mutants of {PACKAGE}, shard {shard}: the core's own tests");
    let own = folder.join("own");
    let mut command = base(&tool);
    command.args(["--package", PACKAGE, "--shard", &shard, "--sharding", "round-robin"]);
    let mut score = Score::read(&try_all(command, &own)?)?;
    let caught_alone = score.caught.len();
    if !score.missed.is_empty() {
        println!("{} of them missed: with the simulator's tests", score.missed.len());
        let mut command = base(&tool);
        command.args(["--package", PACKAGE, "--test-package", SIMULATOR]);
        for name in &score.missed {
            command.arg("--re").arg(format!("^{}$", escape(name)));
        }
        let with_simulator = Score::read(&try_all(command, &folder.join("simulator"))?)?;
        score.missed = with_simulator.missed;
        score.caught.extend(with_simulator.caught);
    }
    let report = report(&shard, &score, caught_alone);
    let file = folder.join("report.txt");
    std::fs::write(&file, &report).with_context(|| file.display().to_string())?;
    print!("{report}");
    println!("written to {}", file.display());
    Ok(())
}

/// The tool of the pinned version, in a folder of its own.
fn install(root: &Path) -> Result<PathBuf> {
    let tool = root.join("bin").join("cargo-mutants");
    let there = sh::read(Command::new(&tool).args(["mutants", "--version"]));
    if !there.is_ok_and(|version| version.trim() == format!("cargo-mutants {VERSION}")) {
        println!("installing cargo-mutants {VERSION} into {}", root.display());
        let mut command = sh::cargo();
        command.args(["install", "--locked", "--force", "cargo-mutants", "--version", VERSION]);
        sh::run(command.arg("--root").arg(root))?;
    }
    Ok(tool)
}

fn base(tool: &Path) -> Command {
    let mut command = Command::new(tool);
    command.current_dir(sh::root()).arg("mutants");
    command
}

/// One shard of as many as leave the sample's size in each; the seed says which.
fn shard(all: usize, seed: usize, sample: usize) -> String {
    let shards = (all / sample.max(1)).max(1);
    format!("{}/{shards}", seed % shards)
}

/// Tries the mutants of a command; gives the folder with what came of each.
fn try_all(mut command: Command, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    command
        .args(["--colors", "never", "--no-times", "--output"])
        .arg(folder);
    let line = sh::line(&command);
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start `{line}`"))?;
    match status.code() {
        // All caught; some missed; some timed out.
        Some(0 | 2 | 3) => Ok(folder.join("mutants.out")),
        _ => bail!("`{line}` failed ({status})"),
    }
}

/// What came of the mutants, by their names.
#[derive(Debug, Default, Eq, PartialEq)]
struct Score {
    /// A test failed, or hung.
    caught: Vec<String>,
    missed: Vec<String>,
    /// Does not compile, and says nothing of the tests.
    unviable: Vec<String>,
}

impl Score {
    fn read(folder: &Path) -> Result<Self> {
        let names = |file: &str| -> Result<Vec<String>> {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        Ok(Self {
            caught: [names("caught.txt")?, names("timeout.txt")?].concat(),
            missed: names("missed.txt")?,
            unviable: names("unviable.txt")?,
        })
    }

    fn viable(&self) -> usize {
        self.caught.len() + self.missed.len()
    }
}

fn report(shard: &str, score: &Score, caught_alone: usize) -> String {
    let viable = score.viable();
    let per_cent = |count: usize| (count * 1000 / viable.max(1)) as f64 / 10.0;
    let mut text = format!(
        "{PACKAGE}, shard {shard} (round-robin), cargo-mutants {VERSION}\n\
         {viable} viable, {} do not compile\n\
         caught by the core's own tests: {caught_alone} ({} %)\n\
         caught by them or the simulator's: {} ({} %)\n\
         survivors: {}\n",
        score.unviable.len(),
        per_cent(caught_alone),
        score.caught.len(),
        per_cent(score.caught.len()),
        score.missed.len()
    );
    for name in &score.missed {
        text.push_str(&format!("  {name}\n"));
    }
    text
}

/// A regular expression that matches just this text.
fn escape(text: &str) -> String {
    let escaped = |c: char| {
        let special = c.is_ascii_punctuation() && !"_/:,;<>=!%&@'\"`~".contains(c);
        if special { format!("\\{c}") } else { c.to_string() }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::{Score, escape, report, shard};

    #[test]
    fn a_shard_has_at_least_the_sample_and_the_seed_chooses_it() {
        assert_eq!(shard(3354, 0, 150), "0/22");
        assert_eq!(shard(3354, 23, 150), "1/22");
        assert_eq!(shard(100, 7, 150), "0/1");
        assert_eq!(shard(100, 7, 0), "7/100");
    }

    #[test]
    fn hung_tests_have_caught_and_what_does_not_compile_counts_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let files = [
            ("caught.txt", "a\nb\n"),
            ("timeout.txt", "c\n"),
            ("missed.txt", "d\n"),
            ("unviable.txt", "e\n"),
        ];
        for (file, text) in files {
            std::fs::write(dir.path().join(file), text).expect("written");
        }
        let score = Score::read(dir.path()).expect("read");
        assert_eq!((score.caught.len(), score.viable()), (3, 4));
        let text = report("1/2", &score, 2);
        assert!(
            text.contains("own tests: 2 (50 %)") && text.contains("simulator's: 3 (75 %)"),
            "{text}"
        );
        assert!(text.ends_with("survivors: 1\n  d\n"), "{text}");
    }

    #[test]
    fn a_name_is_matched_as_it_stands() {
        assert_eq!(
            escape("a/b.rs:1:2: replace f -> [u8; 4] with |x| Some(-1) + *y"),
            r"a/b\.rs:1:2: replace f \-> \[u8; 4\] with \|x\| Some\(\-1\) \+ \*y"
        );
    }
}
