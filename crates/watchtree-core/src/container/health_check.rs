//! What a container's health check came to, run by run, and what the engine's word `unhealthy` is worth after it.
//!
//! An engine counts every run that does not end with 0 as a failure, also one that it could not start; and it writes
//! `unhealthy` whenever it stops checking (pause, commit, its own end), though no run has failed. So the word alone is no
//! evidence: the runs are. Pure; does not know when a container was inspected, nor what follows.
//!
//! | a run | came to |
//! |---|---|
//! | exit code 0 | passed |
//! | 126, 127 | cannot run: what a shell says of a program that it cannot execute or find |
//! | no exit code, "Health check exceeded timeout" | timed out |
//! | no exit code, other words | cannot run: the words are the engine's |
//! | another code, and nothing but a shell's complaint that it could not run something (`sh: curl: not found`) | cannot run |
//! | another code | failed |

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Exit code of a run that came to none.
const NO_EXIT_CODE: i64 = -1;
/// How an engine begins its words for a run that did not end in time.
const TIMED_OUT: &str = "Health check exceeded timeout";
/// So many runs that ended with a failure are enough among those that could not be run: the engine keeps five in all.
const FAILURES_ENOUGH: u32 = 3;
/// Longest words of one run that are passed on to people, in bytes.
const WORDS_BYTES_MAX: usize = 160;

/// One run of a health check.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CheckRun {
    /// When it ended, as the engine writes it: tells two runs apart.
    pub ended: String,
    /// Its exit code; -1 = it came to none.
    pub exit_code: i64,
    /// The beginning of its output, or the engine's words; at most [`CheckRun::OUTPUT_BYTES_MAX`].
    pub output: String,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckOutcome {
    /// The container is well.
    Passed,
    /// It ran, and says that the container is not well.
    Failed,
    /// It did not end in time.
    TimedOut,
    /// It could not be run: nothing is known of the container.
    CannotRun,
}

impl CheckRun {
    /// Most runs that are passed on: as many as an engine keeps.
    pub const COUNT_MAX: usize = 5;
    /// Longest output that is passed on, in bytes.
    pub const OUTPUT_BYTES_MAX: usize = 256;

    /// What it came to.
    pub fn outcome(&self) -> CheckOutcome {
        match self.exit_code {
            0 => CheckOutcome::Passed,
            126 | 127 => CheckOutcome::CannotRun,
            NO_EXIT_CODE if self.output.starts_with(TIMED_OUT) => CheckOutcome::TimedOut,
            NO_EXIT_CODE => CheckOutcome::CannotRun,
            _ if says_only_that_it_could_not_run(&self.output) => CheckOutcome::CannotRun,
            _ => CheckOutcome::Failed,
        }
    }

    /// `exit code 127: /bin/sh: curl: not found`
    pub fn words(&self) -> String {
        let lines: Vec<&str> = self.output.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
        let output = lines.join("; ");
        let end = (0..=WORDS_BYTES_MAX.min(output.len())).rev();
        let end = end.into_iter().find(|at| output.is_char_boundary(*at)).unwrap_or(0);
        match (self.exit_code, output.get(..end).unwrap_or_default()) {
            (NO_EXIT_CODE, "") => "the engine does not say why".to_string(),
            (NO_EXIT_CODE, words) => words.to_string(),
            (code, "") => format!("exit code {code}"),
            (code, words) => format!("exit code {code}: {words}"),
        }
    }
}

/// A check such as `curl … || exit 1` hides the shell's 127: its words are all that is left of it. Any other line is the word
/// of something that did run.
fn says_only_that_it_could_not_run(output: &str) -> bool {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(is_shells_complaint)
}

/// `/bin/sh: curl: not found`, `sh: 1: curl: not found`, `bash: line 1: curl: command not found`,
/// `/check.sh: line 3: /usr/bin/curl: Permission denied`, `sh: can't fork: Resource temporarily unavailable`
fn is_shells_complaint(line: &str) -> bool {
    let mut parts: Vec<&str> = line.split(": ").map(str::trim).collect();
    let (Some(what), true) = (parts.pop(), !parts.is_empty()) else {
        return false;
    };
    let who = parts.remove(0);
    let is_line = |part: &&str| part.trim_start_matches("line ").bytes().all(|it| it.is_ascii_digit());
    let has_line = parts.first().is_some_and(is_line);
    if has_line {
        parts.remove(0);
    }
    let of_fork = |part: &str| matches!(part, "fork" | "can't fork" | "cannot fork");
    if !who.contains(' ') && (parts.iter().any(|it| of_fork(it)) || of_fork(&what.to_ascii_lowercase())) {
        return true;
    }
    let [program] = parts.as_slice() else { return false };
    if program.contains(' ') {
        // `can't open /ready`: a file that a check looks for.
        return false;
    }
    let name = who.rsplit('/').next().unwrap_or(who).trim_start_matches('-');
    let is_shell = matches!(name, "sh" | "bash" | "ash" | "dash" | "ksh" | "busybox") || name.ends_with(".sh");
    match what {
        "command not found" => true,
        "not found" | "Permission denied" | "Exec format error" => is_shell || has_line,
        _ => false,
    }
}

/// What is known of a container by its health check.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum HealthEvidence {
    /// It has none.
    #[default]
    NoCheck,
    /// No run of this incarnation says anything yet.
    NotYet,
    /// The last one passed.
    Passing,
    /// So many in a row that it counts as ill.
    Failing,
    /// It cannot be run: nothing is known.
    CannotRun,
}

/// What the newest runs of a streak of failures prove. `retries` = how many make the container ill. One that took too long proves
/// nothing beside one that could not be run: an engine in trouble is slow as well.
pub(super) fn of_streak(runs: &[CheckRun], streak: u32, retries: u32) -> HealthEvidence {
    // The status alone: it was written when the engine stopped checking.
    if streak < retries.max(1) || runs.is_empty() {
        return HealthEvidence::NotYet;
    }
    let count = |wanted| runs.iter().filter(|run| run.outcome() == wanted).count();
    let failures = u32::try_from(count(CheckOutcome::Failed)).unwrap_or(u32::MAX);
    if count(CheckOutcome::CannotRun) != 0 && failures < retries.clamp(1, FAILURES_ENOUGH) {
        return HealthEvidence::CannotRun;
    }
    HealthEvidence::Failing
}

#[cfg(test)]
mod tests {
    //! Each way in which a check ends, in the words of the engines and shells that were seen.
    use super::*;

    fn run(exit_code: i64, output: &str) -> CheckRun {
        CheckRun {
            exit_code,
            output: output.to_string(),
            ..CheckRun::default()
        }
    }

    #[test]
    fn a_run_that_could_not_be_is_no_failure() {
        for (code, output) in [
            (127, "/bin/sh: wget: not found\n"),
            (127, ""),
            (126, "/bin/sh: /etc: Permission denied\n"),
            (
                -1,
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/nothing\": stat /nothing: no such file or directory: unknown",
            ),
            (-1, "context deadline exceeded"),
            (-1, "timed out starting health check for container 5f1c"),
            (-1, ""),
            (1, "/bin/sh: curl: not found\n"),
            (1, "sh: 1: curl: not found\n"),
            (1, "bash: line 1: curl: command not found\n"),
            (1, "/usr/bin/check: line 12: jq: command not found\n"),
            (1, "/check.sh: 3: curl: not found\nsh: wget: not found\n"),
            (2, "/bin/sh: can't fork: Resource temporarily unavailable\n"),
            (2, "sh: 0: Cannot fork\n"),
            (254, "bash: fork: retry: Resource temporarily unavailable\n"),
        ] {
            assert_eq!(run(code, output).outcome(), CheckOutcome::CannotRun, "{code} {output}");
        }
    }

    #[test]
    fn what_ran_and_said_no_is_a_failure() {
        for (code, output) in [
            (1, ""),
            (22, "curl: (22) The requested URL returned error: 404 Not Found"),
            (
                1,
                "wget: can't connect to remote host (127.0.0.1): Connection refused\n",
            ),
            (
                1,
                "sh: curl: not found\nwget: can't connect to remote host: Connection refused\n",
            ),
            (1, "redis: key: not found\n"),
            (1, "cat: /ready: No such file or directory\n"),
            (2, "/bin/sh: can't open /ready: no such file\n"),
            (
                2,
                "psql: FATAL: could not fork new process for connection: Resource temporarily unavailable",
            ),
            (137, ""),
            (-2, "?"),
        ] {
            assert_eq!(run(code, output).outcome(), CheckOutcome::Failed, "{code} {output}");
        }
        let late = [
            "Health check exceeded timeout (1s)",
            "Health check exceeded timeout (30s): partial",
        ];
        assert!(late.iter().all(|it| run(-1, it).outcome() == CheckOutcome::TimedOut));
        assert_eq!(run(0, "sh: curl: not found").outcome(), CheckOutcome::Passed);
    }

    #[test]
    fn words_are_one_line_and_bounded() {
        assert_eq!(
            run(127, "sh: a: not found\n\n x\n").words(),
            "exit code 127: sh: a: not found; x"
        );
        assert_eq!(run(1, "").words(), "exit code 1");
        assert_eq!(run(-1, "\n").words(), "the engine does not say why");
        assert_eq!(
            run(1, &"ä".repeat(500)).words().len(),
            "exit code 1: ".len() + WORDS_BYTES_MAX
        );
    }

    #[test]
    fn a_streak_counts_for_what_its_runs_came_to() {
        let (no, late, none) = (run(1, ""), run(-1, TIMED_OUT), run(127, ""));
        let of = |runs: &[&CheckRun], streak, retries| {
            let runs: Vec<CheckRun> = runs.iter().map(|it| (*it).clone()).collect();
            of_streak(&runs, streak, retries)
        };
        assert_eq!(of(&[&no, &no], 2, 2), HealthEvidence::Failing);
        assert_eq!(of(&[&late, &no], 9, 2), HealthEvidence::Failing);
        assert_eq!(of(&[&no], 1, 3), HealthEvidence::NotYet, "the monitor was closed");
        assert_eq!(of(&[], 0, 0), HealthEvidence::NotYet);
        assert_eq!(of(&[&none, &none], 2, 2), HealthEvidence::CannotRun);
        assert_eq!(of(&[&no, &none, &none], 3, 3), HealthEvidence::CannotRun, "one failure");
        assert_eq!(
            of(&[&none, &late, &late, &late, &late], 9, 2),
            HealthEvidence::CannotRun
        );
        assert_eq!(of(&[&no, &none, &no, &none], 4, 2), HealthEvidence::Failing);
        assert_eq!(of(&[&no, &none, &no, &none, &no], 40, 30), HealthEvidence::Failing);
        assert_eq!(of(&[&late; 5], 9, 2), HealthEvidence::Failing, "it runs again");
    }
}
