//! What the newest answers of one probe prove. Pure; knows no container and no time but that of the answers.
//!
//! ```text
//!              passed × success threshold
//!   unknown ─────────────────────────────▶ passing
//!      │                                    │   ▲ passed × success threshold
//!      │ failed × failure threshold         ▼   │
//!      ├───────────────────────────────▶ failing
//!      │ could not be run × failure threshold
//!      └───────────────────────────────▶ cannot be run     (from everywhere; left by the other two)
//! ```
//!
//! A run that could not be is no failure. One that took too long proves nothing beside one that could not be run: whoever is in
//! trouble is slow as well. One that answered with no does.

use super::spec::{ProbeOutcome, Timing};
use crate::time::Moment;
use alloc::string::String;

/// What is known by one probe.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum ProbeState {
    /// No answer proves anything yet.
    #[default]
    Unknown,
    Passing,
    Failing {
        since: Moment,
        /// What the newest failure says.
        words: String,
    },
    /// It cannot be run: nothing is known.
    CannotRun {
        /// Why.
        words: String,
    },
}

/// See the module's text. Counters are of the present row, and end at their threshold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streak {
    passes: u32,
    /// It answered with no.
    refusals: u32,
    timeouts: u32,
    unrun: u32,
    state: ProbeState,
}

impl Streak {
    pub(crate) fn state(&self) -> &ProbeState {
        &self.state
    }

    /// How many failures in a row there are.
    pub(crate) fn failures(&self) -> u32 {
        self.refusals.saturating_add(self.timeouts)
    }

    /// A run came to that. True if what is known has changed in kind.
    pub(crate) fn take(&mut self, now: Moment, outcome: ProbeOutcome, timing: &Timing) -> bool {
        let count = |counter: &mut u32| *counter = counter.saturating_add(1);
        let words = match outcome {
            ProbeOutcome::Passed => {
                let passes = self.passes.saturating_add(1).min(timing.success_threshold);
                let state = core::mem::take(&mut self.state);
                *self = Self {
                    passes,
                    state,
                    ..Self::default()
                };
                return passes == timing.success_threshold && self.becomes(ProbeState::Passing);
            }
            ProbeOutcome::Failed(words) => {
                count(&mut self.refusals);
                self.unrun = 0;
                words
            }
            ProbeOutcome::TimedOut(words) => {
                count(&mut self.timeouts);
                words
            }
            ProbeOutcome::CannotRun(words) => {
                count(&mut self.unrun);
                self.timeouts = 0;
                let is_proven = timing.failure_threshold <= self.unrun;
                return is_proven && self.becomes(ProbeState::CannotRun { words });
            }
        };
        self.passes = 0;
        if self.failures() < timing.failure_threshold {
            return false;
        }
        self.unrun = 0;
        let since = match self.state {
            ProbeState::Failing { since, .. } => since,
            _ => now,
        };
        self.becomes(ProbeState::Failing { since, words })
    }

    fn becomes(&mut self, state: ProbeState) -> bool {
        let is_other = core::mem::discriminant(&self.state) != core::mem::discriminant(&state);
        self.state = state;
        is_other
    }
}

#[cfg(test)]
mod tests {
    //! Rows of answers, and what is known after each.
    use super::*;
    use crate::container::probes::spec::Method;
    use alloc::string::ToString;

    fn timing(failures: u32, successes: u32) -> Timing {
        let exec = Method::Exec {
            argv: Default::default(),
        };
        Timing {
            failure_threshold: failures,
            success_threshold: successes,
            ..Timing::of(&exec, None)
        }
    }

    /// `.` passed, `f` failed, `t` timed out, `c` could not be run. One letter of the state after each.
    fn states(row: &str, failures: u32, successes: u32) -> String {
        let mut streak = Streak::default();
        let after = |(at, letter): (usize, char)| {
            let words = letter.to_string();
            let outcome = match letter {
                '.' => ProbeOutcome::Passed,
                'f' => ProbeOutcome::Failed(words),
                't' => ProbeOutcome::TimedOut(words),
                _ => ProbeOutcome::CannotRun(words),
            };
            let before = core::mem::discriminant(streak.state());
            let changed = streak.take(Moment::from_millis(at as u64), outcome, &timing(failures, successes));
            assert_eq!(
                changed,
                before != core::mem::discriminant(streak.state()),
                "{row} at {at}"
            );
            match streak.state() {
                ProbeState::Unknown => '?',
                ProbeState::Passing => '.',
                ProbeState::Failing { .. } => 'F',
                ProbeState::CannotRun { .. } => 'C',
            }
        };
        row.chars().enumerate().map(after).collect()
    }

    #[test]
    fn thresholds_are_of_a_row() {
        assert_eq!(states("ff.fff.f", 3, 1), "??...F..");
        assert_eq!(states("fft.", 3, 1), "??F.");
        assert_eq!(states("..f..fff..f...", 3, 3), "???????FFFFFF.");
        assert_eq!(states("t", 1, 1), "F");
    }

    #[test]
    fn what_could_not_be_run_is_no_failure_and_hides_what_only_took_too_long() {
        assert_eq!(states("cc", 3, 1), "??");
        assert_eq!(states(".cccc.", 3, 1), "...CC.");
        assert_eq!(states("tctctctttt", 3, 1), "?????CCCFF");
        assert_eq!(states("fcfcf", 3, 1), "????F", "it answered with no, three times");
        assert_eq!(
            states("fffccc", 3, 1),
            "??FFFC",
            "what it was before is not known any more"
        );
        assert_eq!(states("cccfff", 3, 1), "??CCCF");
    }

    #[test]
    fn a_failure_is_as_old_as_its_first_and_says_what_the_newest_says() {
        let mut streak = Streak::default();
        for (at, words) in [(1, "a"), (2, "b"), (3, "c")] {
            let outcome = ProbeOutcome::Failed(words.to_string());
            streak.take(Moment::from_millis(at), outcome, &timing(2, 1));
        }
        let (since, words) = (Moment::from_millis(2), "c".to_string());
        assert_eq!(streak.state(), &ProbeState::Failing { since, words });
        assert_eq!(streak.failures(), 3);
    }
}
