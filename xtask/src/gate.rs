//! `cargo xtask test`: the whole gate. A CI runner calls this and nothing else.
//!
//! Every step runs, also after one that failed (except those that need its product), so that one run tells all. It
//! reads no stdin and asks nothing; what it cannot install it names in one line.

use crate::prepare::{self, May};
use crate::{prerequisites, sh, tidy, torture, victim};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
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
    log.step("prerequisites", || prerequisites::satisfy(prerequisites::TESTS));
    let mut engine = String::new();
    log.step("engine", || await_engine().map(|found| engine = found));
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
    let mut counts = None;
    let mut not_run = BTreeMap::new();
    if built {
        log.step("nextest", || nextest(&mut counts));
        log.step("skips", || not_run_here().map(|found| not_run = found));
        match torture::missing() {
            Some(why) if std::env::var_os("CI").is_none() => _ = not_run.insert(why, vec!["torture".to_owned()]),
            _ => _ = log.step("torture", || torture::for_the_gate(victim::target_dir()?.join("debug"))),
        }
    }

    eprintln!();
    for (name, took, failure) in &log.steps {
        eprintln!(
            "{name:<13} {:>7.1} s  {}",
            took.as_secs_f64(),
            failure.as_deref().map_or("ok", |_| "FAILED")
        );
    }
    let total: Duration = log.steps.iter().map(|(_, took, _)| *took).sum();
    eprintln!("total         {:>7.1} s", total.as_secs_f64());
    if !engine.is_empty() {
        eprintln!("engine: {engine}");
    }
    for (why, tests) in &not_run {
        eprintln!("not run: {} tests: {why}", tests.len());
    }
    let not_run: u32 = not_run
        .values()
        .map(|tests| u32::try_from(tests.len()).unwrap_or(u32::MAX))
        .sum();
    match counts {
        Some(counts) => println!("{}", counts.line(not_run)),
        None => println!("no tests were run"),
    }
    let failed = log.failed();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The engine of the tests, asked for in the same way as demo and bench do. One that is installed is started; where CI
/// is set one is also installed, and there must be one.
fn await_engine() -> Result<String> {
    let ci = std::env::var_os("CI").is_some();
    let may = if ci { May::Install } else { May::Start };
    let engine = match prepare::engine(may, &|text| eprintln!("{text}")) {
        Ok(engine) => engine,
        Err(why) if ci => return Err(why),
        Err(why) => {
            eprintln!("{why:#}");
            return Ok(format!("none ({why:#})"));
        }
    };
    if !prerequisites::on_path("docker") {
        bail!("missing: the command `docker`, by which the tests drive the engine (Debian: docker-cli, or docker.io)");
    }
    Ok(engine.socket().display().to_string())
}

/// Where nextest writes, per profile, what every test said.
fn junit() -> Result<PathBuf> {
    let profile = if std::env::var_os("CI").is_some() {
        "ci"
    } else {
        "default"
    };
    Ok(victim::target_dir()?.join("nextest").join(profile).join("junit.xml"))
}

/// Tests that found that they cannot run on this machine, by reason. They say so in a line and end; to nextest that is
/// passed, and to whoever reads the closing line it must not be.
fn not_run_here() -> Result<BTreeMap<String, Vec<String>>> {
    let path = junit()?;
    let report = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(skips(&report))
}

/// From a JUnit report: why tests were not run, and which.
fn skips(report: &str) -> BTreeMap<String, Vec<String>> {
    const WORD: &str = "skipped: ";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in report.split("<testcase ").skip(1) {
        let at = case
            .match_indices(WORD)
            .map(|(at, _)| at)
            .find(|at| case[..*at].ends_with(['>', '\n']));
        let Some(at) = at else { continue };
        let why = case[at + WORD.len()..].split(['\n', '<']).next().unwrap_or_default();
        let name = case.split('"').nth(1).unwrap_or_default();
        found.entry(why.trim().to_owned()).or_default().push(name.to_owned());
    }
    found
}

/// Runs all tests, shows their output as it comes, and keeps the figures of their closing line.
fn nextest(summary: &mut Option<Counts>) -> Result<()> {
    // What an earlier run said is not of this one.
    match std::fs::remove_file(junit()?) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).context("the report"),
        _ => (),
    }
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
            *summary = Some(counts);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// How many tests did what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Counts {
    /// The gate's closing line. Tests that could not run here count as skipped, and not as passed.
    fn line(self, not_run: u32) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed.saturating_sub(not_run),
            self.failed,
            self.skipped + not_run
        )
    }
}

/// From `Summary [ 1.2s] 10 tests run: 9 passed (1 slow), 1 failed, 2 skipped` the figures.
fn counts(line: &str) -> Option<Counts> {
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
    Some(Counts {
        passed: count("passed"),
        failed: count("failed") + count("timed") + count("errored"),
        skipped: count("skipped"),
    })
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
    use super::{Counts, counts, skips};

    #[test]
    fn the_closing_line_is_read_with_and_without_colour() {
        let of = |passed, failed, skipped| {
            Some(Counts {
                passed,
                failed,
                skipped,
            })
        };
        let plain = "     Summary [   0.012s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(counts(plain), of(9, 3, 3));
        let coloured = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.0s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m passed, \u{1b}[1m0\u{1b}[0m skipped";
        assert_eq!(counts(coloured), of(2, 0, 0));
        assert_eq!(counts("PASS [ 0.1s] some test"), None);
    }

    /// As nextest writes it.
    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run">
    <testsuite name="watchtree-e2e::healer_heals" tests="3">
        <testcase name="a_crash_is_healed" classname="watchtree-e2e::healer_heals" time="0.1">
            <system-out>running 1 test</system-out>
            <system-err>skipped: there is no engine here
</system-err>
        </testcase>
        <testcase name="a_hang_is_healed" classname="watchtree-e2e::healer_heals" time="0.1">
            <system-err>first line
skipped: there is no engine here</system-err>
        </testcase>
        <testcase name="ran" classname="watchtree-e2e::healer_heals" time="0.1">
            <system-err>a file was skipped: it is bad</system-err>
        </testcase>
        <testcase name="namespaces" classname="watchtree-e2e::netns" time="0.1">
            <system-err>skipped: needs root</system-err>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn a_test_that_could_not_run_has_not_passed() {
        let found = skips(REPORT);
        assert_eq!(
            found["there is no engine here"],
            ["a_crash_is_healed", "a_hang_is_healed"]
        );
        assert_eq!(found["needs root"], ["namespaces"]);
        assert_eq!(found.len(), 2);
        let all = Counts {
            passed: 4,
            failed: 0,
            skipped: 0,
        };
        assert_eq!(all.line(3), "1 passed, 0 failed, 3 skipped");
    }
}
