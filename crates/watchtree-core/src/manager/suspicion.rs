//! What is concluded of a host in rounds: a suspect before its verdict, and a lost host while it stays lost.
//!
//! ```text
//!   begin_round ──▶ results ──▶ end_round ── fewer than wanted ──▶ begin_round
//!                                  └──────── as many as wanted ──▶ the strongest result is the conclusion
//! ```
//!
//! Counts and compares; knows no clock, no host and no verdict's words.

use super::host_probe::{Silence, strongest};
use crate::message::Look;
use crate::verdict::State;
use alloc::vec::Vec;

/// Rounds of confirmation: each is a Ping on the link and a probe of the kernel.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspicion {
    rounds: u32,
    /// Nonce of the present round's probe; `None` = no round was begun.
    probe: Option<u64>,
    results: Vec<Look>,
}

impl Suspicion {
    pub(super) const fn begin_round(&mut self, nonce: u64) {
        self.probe = Some(nonce);
    }

    /// Takes a result; one of an older round is ignored.
    pub(super) fn take(&mut self, nonce: u64, result: Look) {
        if self.probe == Some(nonce) {
            self.results.push(result);
        }
    }

    /// The time of a round is over: the conclusion once `wanted` rounds have failed, with their number. A round that never
    /// began (it was put off by a stall of the manager) is no round.
    pub(super) fn end_round(&mut self, wanted: u32) -> Option<(Look, u32)> {
        self.rounds += u32::from(self.probe.is_some());
        (wanted.max(1) <= self.rounds).then(|| (strongest(&self.results), self.rounds))
    }
}

/// A lost host is probed again and again: its verdict follows what its kernel does.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    probe: Option<u64>,
    is_probing: bool,
    result: Option<Look>,
    silent_in_a_row: u32,
    /// How much silence the verdict rests on.
    basis: Silence,
    /// It is on record that no incident was opened of it.
    suppressed: bool,
}

impl Lost {
    /// Lost by this result.
    pub(super) fn by(result: &Look) -> Self {
        Self {
            basis: Silence::shown_by(result),
            ..Self::default()
        }
    }

    /// After a stall of the manager: what was being concluded begins anew, what was concluded stays.
    pub(super) fn restarted(&self) -> Self {
        Self {
            basis: self.basis,
            suppressed: self.suppressed,
            ..Self::default()
        }
    }

    /// True if no probe was under way: the next one is due.
    pub(super) const fn wants_probe(&self) -> bool {
        !self.is_probing
    }

    pub(super) const fn begin_probe(&mut self, nonce: u64) {
        self.is_probing = true;
        self.probe = Some(nonce);
    }

    /// Takes a result; one of an older probe is ignored.
    pub(super) fn take(&mut self, nonce: u64, result: Look) {
        if self.probe == Some(nonce) {
            self.result = Some(result);
        }
    }

    /// The time of a probe is over: its result, if the verdict must follow it. AGENT LOST becomes UNREACHABLE after
    /// `rounds` silent probes in a row; UNREACHABLE becomes AGENT LOST at the first answer, and stronger by a stronger silence.
    pub(super) fn end_probe(&mut self, state: State, rounds: u32) -> Option<Look> {
        self.is_probing = false;
        let result = self.result.take()?;
        let (answered, shown) = (matches!(result, Look::Answered(_)), Silence::shown_by(&result));
        if answered {
            self.silent_in_a_row = 0;
        } else if shown != Silence::Nothing {
            self.silent_in_a_row += 1;
        }
        let is_silent = shown != Silence::Nothing && rounds <= self.silent_in_a_row;
        let turns = if state == State::AgentLost {
            is_silent
        } else {
            answered || (is_silent && self.basis < shown)
        };
        turns.then_some(result)
    }

    /// Notes that no incident is opened of it; true the first time.
    pub(super) const fn suppress(&mut self) -> bool {
        !core::mem::replace(&mut self.suppressed, true)
    }
}

#[cfg(test)]
mod tests {
    //! Rounds, late results, and when a lost host's verdict turns.
    use super::*;
    use alloc::string::String;

    fn silent() -> Look {
        Look::Silent(String::new())
    }

    fn answered() -> Look {
        Look::Answered(String::new())
    }

    #[test]
    fn as_many_rounds_as_wanted_must_have_begun_and_failed() {
        let mut suspicion = Suspicion::default();
        assert_eq!(suspicion.end_round(2), None, "no round was begun");
        suspicion.begin_round(1);
        suspicion.take(1, answered());
        assert_eq!(suspicion.end_round(2), None);
        suspicion.begin_round(2);
        suspicion.take(1, silent());
        suspicion.take(2, silent());
        assert_eq!(suspicion.end_round(2), Some((answered(), 2)));
        let mut suspicion = Suspicion::default();
        suspicion.begin_round(1);
        suspicion.take(9, answered());
        let (nothing, rounds) = suspicion.end_round(0).unwrap();
        assert!(matches!(nothing, Look::NotPossible(_)) && rounds == 1, "{nothing:?}");
    }

    /// The last result of several probes in a row that turns the verdict.
    fn turns(mut lost: Lost, state: State, results: &[Look]) -> Vec<bool> {
        let probe = |(i, result): (usize, &Look)| {
            assert!(lost.wants_probe());
            lost.begin_probe(i as u64);
            assert!(!lost.wants_probe());
            lost.take(i as u64, result.clone());
            lost.end_probe(state, 2).is_some()
        };
        results.iter().enumerate().map(probe).collect()
    }

    #[test]
    fn agent_lost_turns_by_rounds_of_silence_in_a_row() {
        let none = Look::NotPossible(String::new());
        let results = [silent(), answered(), silent(), none, silent()];
        let expected = [false, false, false, false, true];
        assert_eq!(turns(Lost::by(&answered()), State::AgentLost, &results), expected);
    }

    #[test]
    fn unreachable_turns_by_an_answer_or_by_a_stronger_silence() {
        let part = Look::SilentInPart(String::new());
        let state = State::Unreachable;
        assert_eq!(turns(Lost::by(&silent()), state, &[silent(), silent()]), [false, false]);
        assert_eq!(turns(Lost::by(&part), state, &[silent(), silent()]), [false, true]);
        assert_eq!(turns(Lost::by(&silent()), state, &[answered()]), [true]);
    }

    #[test]
    fn a_stall_of_ours_takes_back_what_was_not_concluded_yet() {
        let mut lost = Lost::by(&silent());
        assert!(lost.suppress() && !lost.suppress());
        lost.begin_probe(1);
        lost.take(1, answered());
        let mut lost = lost.restarted();
        assert!(lost.wants_probe() && !lost.suppress());
        assert_eq!(lost.end_probe(State::Unreachable, 1), None);
        assert_eq!(turns(lost, State::Unreachable, &[silent(), silent()]), [false, false]);
    }
}
