//! `cargo xtask test`: the whole gate. A CI runner calls this and nothing else.
//!
//! Every step runs, also after one that failed (except those that need its product), so that one run tells all. It
//! reads no stdin and asks nothing; what it cannot install it names in one line.

use crate::{needs, sh, tidy, victim};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What the steps gave so far.
#[derive(Default)]
struct Log {
    steps: Vec<(&'static str, Duration, Option<String>)>,
}

impl Log {
    fn step(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) -> bool {
        eprintln!("== {name}");
        let start = Instant::now();
        let failure = run().err().map(|error| format!("{error:#}"));
        let took = start.elapsed();
        match &failure {
            None => eprintln!("== {name}: ok, {:.1} s", took.as_secs_f64()),
            Some(why) => eprintln!("== {name}: FAILED, {:.1} s: {why}", took.as_secs_f64()),
        }
        let ok = failure.is_none();
        self.steps.push((name, took, failure));
        ok
    }

    fn failed(&self) -> Vec<&'static str> {
        self.steps
            .iter()
            .filter(|(.., failure)| failure.is_some())
            .map(|(name, ..)| *name)
            .collect()
    }
}

/// Runs the gate.
///
/// # Errors
/// At least one step failed; each was printed where it happened.
pub(crate) fn run() -> Result<()> {
    let mut log = Log::default();
    log.step("needs", || needs::satisfy(needs::TESTS));
    log.step("fmt", || sh::run(sh::cargo().args(["fmt", "--all", "--check"])));
    log.step("tidy", tidy::run);
    log.step("clippy", || {
        sh::run(sh::cargo().args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    log.step("doc", || {
        sh::run(
            sh::cargo()
                .args(["doc", "--locked", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    // The tests that start real daemons find them beside their own executable; nextest alone would not build them.
    let built = log.step("build", || {
        sh::run(sh::cargo().args(["build", "--locked", "--workspace", "--bins"]))?;
        victim::build().map(drop)
    });
    let mut summary = String::from("no tests were run");
    if built {
        log.step("nextest", || nextest(&mut summary));
    }

    eprintln!();
    for (name, took, failure) in &log.steps {
        eprintln!(
            "{name:<8} {:>7.1} s  {}",
            took.as_secs_f64(),
            failure.as_deref().map_or("ok", |_| "FAILED")
        );
    }
    let total: Duration = log.steps.iter().map(|(_, took, _)| *took).sum();
    eprintln!("total    {:>7.1} s", total.as_secs_f64());
    println!("{summary}");
    let failed = log.failed();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs all tests, shows their output as it comes, and keeps their closing line.
fn nextest(summary: &mut String) -> Result<()> {
    if sh::read(sh::cargo().args(["nextest", "--version"])).is_err() {
        eprintln!("cargo-nextest is missing: installing it");
        sh::run(sh::cargo().args(["install", "--locked", "cargo-nextest"]))?;
    }
    let colour = if std::io::stderr().is_terminal() {
        "always"
    } else {
        "never"
    };
    let mut command = sh::cargo();
    command.args([
        "nextest",
        "run",
        "--locked",
        "--workspace",
        "--no-fail-fast",
        "--color",
        colour,
    ]);
    if std::env::var_os("CI").is_some() {
        command.args(["--profile", "ci"]);
    }
    let line = sh::line(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stderr.take().context("its output is a pipe")?;
    let mut stderr = std::io::stderr().lock();
    for text in BufReader::new(output).split(b'\n') {
        let text = text.context("its output can be read")?;
        stderr.write_all(&text)?;
        stderr.write_all(b"\n")?;
        if let Some(counts) = counts(&String::from_utf8_lossy(&text)) {
            *summary = counts;
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// From `Summary [ 1.2s] 10 tests run: 9 passed (1 slow), 1 failed, 2 skipped` the closing line `9 passed, 1 failed`.
fn counts(line: &str) -> Option<String> {
    let plain = strip_colour(line);
    let (_, rest) = plain.trim().strip_prefix("Summary")?.split_once("run: ")?;
    let count = |word: &str| -> u32 {
        let words: Vec<&str> = rest
            .split([' ', ',', '(', ')'])
            .filter(|word| !word.is_empty())
            .collect();
        let at = words.windows(2).filter(|pair| pair[1] == word);
        at.filter_map(|pair| pair[0].parse::<u32>().ok()).sum()
    };
    let failed = count("failed") + count("timed") + count("errored");
    Some(format!(
        "{} passed, {failed} failed, {} skipped",
        count("passed"),
        count("skipped")
    ))
}

fn strip_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut in_code = false;
    for c in line.chars() {
        match (in_code, c) {
            (false, '\u{1b}') => in_code = true,
            (false, c) => plain.push(c),
            (true, c) => in_code = !c.is_ascii_alphabetic(),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_closing_line_is_read_with_and_without_colour() {
        let plain = "     Summary [   0.012s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(counts(plain).as_deref(), Some("9 passed, 3 failed, 3 skipped"));
        let coloured = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.0s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m passed, \u{1b}[1m0\u{1b}[0m skipped";
        assert_eq!(counts(coloured).as_deref(), Some("2 passed, 0 failed, 0 skipped"));
        assert_eq!(counts("PASS [ 0.1s] some test"), None);
    }
}
