//! Tries a mutant: builds the tests with it and runs them, the core's own first, then the simulator's.
//!
//! Contract: what does not compile says nothing of the tests. A test program may use three times the processor time that it
//! used without a mutant, and so much memory; a program that was ended for that has hung, unless one of its tests failed
//! before. Processor time, so that a busy machine changes no result. It does not know which mutants, nor the score.

use super::sample::Mutant;
use crate::{interrupt, sh};
use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Message;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The core's own tests, then those that drive it.
const STAGES: [(&str, Outcome); 2] = [("watchtree-core", Outcome::Core), ("watchtree-sim", Outcome::Simulator)];
/// Test programs that tell of the simulator's checker, not of the core.
const LEFT_OUT: [&str; 1] = ["planted"];
/// How many seeds each of the simulator's random tests may try.
const SEEDS: &str = "20";
/// Quick to build: the tests are short.
const CONFIG: [&str; 3] = [
    "profile.dev.debug=false",
    "profile.dev.package.watchtree-core.opt-level=0",
    "profile.dev.package.watchtree-sim.opt-level=0",
];
const CPU_TIMES: u64 = 3;
const CPU_SECONDS_MIN: u64 = 5;
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// So much of a program's output is read for failed tests.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// For a program that hangs without using the processor.
const WALL_TIMES: u64 = 20;
/// The kernel counts processor time in /proc by this.
const TICKS_PER_SECOND: u64 = 100;

/// What came of a mutant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// One of the core's own tests failed.
    Core,
    /// None of these, but one of the simulator's.
    Simulator,
    /// The tests did not end.
    Timeout,
    Survived,
    /// Does not compile.
    Unviable,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Core,
        Self::Simulator,
        Self::Timeout,
        Self::Survived,
        Self::Unviable,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Simulator => "simulator",
            Self::Timeout => "timeout",
            Self::Survived => "SURVIVED",
            Self::Unviable => "unviable",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// What a test program said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Passed,
    Failed,
    Hung,
}

/// A built test program.
struct Program {
    name: String,
    path: PathBuf,
    /// The folder of its package, where cargo would run it.
    folder: PathBuf,
}

/// The copy of the tree, and what its tests need without a mutant.
pub(super) struct Lab {
    tree: PathBuf,
    build: PathBuf,
    /// Processor seconds that a program may use, by its name.
    bounds: BTreeMap<String, u64>,
}

impl Lab {
    /// Builds and runs all tests without a mutant.
    ///
    /// # Errors
    /// They fail.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let (tree, build) = (folder.join("tree"), folder.join("build"));
        let mut lab = Self {
            tree,
            build,
            bounds: BTreeMap::new(),
        };
        for (package, _) in STAGES {
            let programs = lab
                .programs(package)?
                .context("the tests do not compile without a mutant")?;
            for program in programs {
                let before = processor_seconds()?;
                let verdict = play(&program, 600)?;
                ensure!(
                    verdict == Verdict::Passed,
                    "{package}, {}: {verdict:?} without a mutant",
                    program.name
                );
                let used = processor_seconds()? - before;
                lab.bounds.insert(program.name, bound(used));
            }
        }
        Ok(lab)
    }

    /// Tries one; the tree is as it was when this returns.
    ///
    /// # Errors
    /// A program cannot be started, a file cannot be changed, or a person wants an end.
    pub(super) fn try_one(&self, mutant: &Mutant) -> Result<Outcome> {
        let path = self.tree.join(&mutant.file);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        std::fs::write(&path, mutant.apply(&text)?).with_context(|| path.display().to_string())?;
        let outcome = self.test();
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        outcome
    }

    fn test(&self) -> Result<Outcome> {
        for (package, caught) in STAGES {
            let Some(programs) = self.programs(package)? else {
                return Ok(Outcome::Unviable);
            };
            for program in &programs {
                let bound = self.bounds.get(&program.name);
                match play(program, *bound.context("a program that was not there before")?)? {
                    Verdict::Passed => {}
                    Verdict::Failed => return Ok(caught),
                    Verdict::Hung => return Ok(Outcome::Timeout),
                }
            }
        }
        Ok(Outcome::Survived)
    }

    /// The test programs of a package; none if it does not compile.
    fn programs(&self, package: &str) -> Result<Option<Vec<Program>>> {
        let mut command = sh::cargo();
        command.current_dir(&self.tree);
        command.args([
            "test",
            "--no-run",
            "--quiet",
            "--locked",
            "--lib",
            "--tests",
            "--package",
            package,
        ]);
        for setting in CONFIG {
            command.args(["--config", setting]);
        }
        command
            .args(["--message-format", "json", "--target-dir"])
            .arg(&self.build);
        let line = sh::line(&command);
        let output = command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start `{line}`"))?;
        let mut programs = Vec::new();
        let mut says_why = false;
        for message in Message::parse_stream(output.stdout.as_slice()) {
            match message.with_context(|| format!("of `{line}`"))? {
                Message::CompilerArtifact(artifact) => {
                    let Some(path) = artifact.executable else { continue };
                    let folder = artifact.manifest_path.parent().context("a manifest lies in a folder")?;
                    programs.push(Program {
                        name: format!("{package} {}", artifact.target.name),
                        path: path.into(),
                        folder: folder.into(),
                    });
                }
                Message::CompilerMessage(it) => {
                    says_why |= it.message.level == cargo_metadata::diagnostic::DiagnosticLevel::Error;
                }
                _ => {}
            }
        }
        if output.status.success() {
            programs.retain(|program| LEFT_OUT.iter().all(|name| !program.name.ends_with(name)));
            ensure!(!programs.is_empty(), "`{line}` made no test program");
            return Ok(Some(programs));
        }
        if says_why {
            return Ok(None);
        }
        bail!(
            "`{line}` failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The processor seconds that a test program may use, by what it used.
fn bound(used: u64) -> u64 {
    // What was used is counted in whole seconds.
    (CPU_TIMES * (used + 1)).max(CPU_SECONDS_MIN)
}

/// The processor seconds of all our children that have ended.
fn processor_seconds() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    children_ticks(&stat)
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .context("/proc/self/stat has changed")
}

/// The 16th and the 17th field; the second is a name in parentheses, which may hold anything.
fn children_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(13).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

/// Runs a test program that may use so many processor seconds.
fn play(program: &Program, seconds: u64) -> Result<Verdict> {
    let context = || program.path.display().to_string();
    let mut command = Command::new(&program.path);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder);
    command.env("WATCHTREE_SEEDS_MAX", SEEDS);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().with_context(context)?;
    let pid = Pid::from_child(&child);
    for (resource, most) in [(Resource::Cpu, seconds), (Resource::As, MEMORY_BYTES_MAX)] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // It may have ended already.
        let _ = prlimit(Some(pid), resource, limit);
    }
    // Read beside it: a full pipe would stop it.
    let mut stdout = child.stdout.take().context("its output is piped")?;
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        let _ = stdout.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut output);
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        String::from_utf8_lossy(&output).into_owned()
    });
    let within = Duration::from_secs(seconds * WALL_TIMES);
    let ended = interrupt::wait(&program.name, start, within, Duration::from_millis(10), || {
        Ok(child.try_wait()?)
    });
    if ended.is_err() {
        // A person wants an end, or it does not use its time.
        let _ = child.kill();
        child.wait().with_context(context)?;
        interrupt::check()?;
    }
    let output = reader.join().unwrap_or_default();
    Ok(verdict(ended.ok().and_then(|(status, _)| status.code()), &output))
}

/// What an end says; a program that was ended by a signal has no code.
fn verdict(code: Option<i32>, output: &str) -> Verdict {
    let has_failed = output.lines().any(|line| line.ends_with("... FAILED"));
    match code {
        Some(0) => Verdict::Passed,
        Some(_) => Verdict::Failed,
        None if has_failed => Verdict::Failed,
        None => Verdict::Hung,
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Program, Verdict, bound, children_ticks, play, verdict};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_that_was_ended_has_hung_unless_a_test_failed_before() {
        let failed = "test a ... ok\ntest b ... FAILED\n";
        let cases = [
            (Some(0), "", Verdict::Passed),
            (Some(101), failed, Verdict::Failed),
            (None, failed, Verdict::Failed),
            (None, "test a ... ok\n", Verdict::Hung),
        ];
        for (code, output, expected) in cases {
            assert_eq!(verdict(code, output), expected, "{code:?} {output}");
        }
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_by_its_processor_time() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let play_script = |text: &str| {
            let path = dir.path().join("script");
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("made executable");
            let name = "a script".into();
            let folder = dir.path().into();
            play(&Program { name, path, folder }, 1).expect("started")
        };
        assert_eq!(play_script("exit 0"), Verdict::Passed);
        assert_eq!(play_script("exit 101"), Verdict::Failed);
        assert_eq!(play_script("while :; do :; done"), Verdict::Hung);
        assert_eq!(
            play_script("echo 'test a ... FAILED'; while :; do :; done"),
            Verdict::Failed
        );
    }

    #[test]
    fn a_bound_is_three_times_what_was_used_and_never_too_short_to_measure() {
        assert_eq!((bound(0), bound(1), bound(9)), (5, 6, 30));
    }

    #[test]
    fn the_time_of_ended_children_is_read_behind_any_name() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 130 40 20 0";
        assert_eq!(children_ticks(stat), Some(170));
        assert_eq!(children_ticks("42 (a"), None);
    }

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.word()), Some(outcome));
        }
    }
}
