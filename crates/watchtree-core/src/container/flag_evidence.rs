//! What the engine's manual-stop flag proves of an end that was not seen whole. Pure; knows no container.
//!
//! Every signal that goes through the engine sets the flag, whatever it means (HUP to reload, USR1 to reopen a log), and only a
//! start by hand clears it. So a flag that is not set proves that nobody stopped it, and one that is set proves a stop only
//! while nothing else is known to have set it; then the exit code is all that is left to go by.
//!
//! ```text
//! flag      set before by     anything may be unseen                  only stops that take long (it ended politely)
//! not set   –                 crash                                   crash
//! set       nobody known      as by a stop ─▶ stopped, else unclear   stopped
//! set       another signal    politely ─▶ unclear, else crash         crash
//! unknown   –                 unclear                                 crash
//! ```
//!
//! *Politely* is with an exit code of 0, or of a stop signal that is not KILL; *as by a stop* is that or SIGKILL's.

/// How much of what could have led to an end was not seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unseen {
    Nothing,
    /// Only stops that took longer than an ordinary one.
    SlowStops,
    Anything,
}

/// How a process ended, by its exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EndedBy {
    /// Without a failure, or by a stop signal.
    Politeness,
    Sigkill,
    Failure,
}

/// What follows; why, in words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FlagProof {
    Stopped(&'static str),
    Crashed(&'static str),
    Unclear(&'static str),
}

/// `flag` as it was read; `None` = it cannot be. `set_before` = a signal that was no stop is known to have set it.
pub(crate) fn weigh(flag: Option<bool>, set_before: bool, unseen: Unseen, ended: EndedBy) -> FlagProof {
    use FlagProof::{Crashed, Stopped, Unclear};
    let slow_only = unseen != Unseen::Anything;
    match (flag, set_before) {
        (Some(false), _) => Crashed("events may be missing, but the engine's manual-stop flag is not set"),
        (None, _) | (Some(true), true) if slow_only => {
            Crashed("no stop signal was seen within the time of an ordinary stop")
        }
        (None, _) => Unclear("events are missing and the manual-stop flag cannot be read"),
        (Some(true), false) if !slow_only && ended == EndedBy::Failure => {
            Unclear("the engine's manual-stop flag is set, which every signal does, and its exit code is no stop's")
        }
        (Some(true), false) => Stopped("the engine's manual-stop flag is set"),
        (Some(true), true) if ended == EndedBy::Politeness => Unclear(
            "a signal that was no stop had set the engine's manual-stop flag before, and it ended as if stopped",
        ),
        (Some(true), true) => Crashed("a signal that was no stop had set the engine's manual-stop flag before"),
    }
}

#[cfg(test)]
mod tests {
    //! The table.
    use super::*;

    #[test]
    fn a_flag_that_another_signal_has_set_proves_no_stop() {
        let row = |flag, set_before, unseen| {
            [EndedBy::Politeness, EndedBy::Sigkill, EndedBy::Failure].map(|ended| {
                match weigh(flag, set_before, unseen, ended) {
                    FlagProof::Stopped(_) => 's',
                    FlagProof::Crashed(_) => 'c',
                    FlagProof::Unclear(_) => '?',
                }
            })
        };
        let (anything, slow) = (Unseen::Anything, Unseen::SlowStops);
        assert_eq!(row(Some(false), false, anything), ['c', 'c', 'c']);
        assert_eq!(row(Some(false), true, slow), ['c', 'c', 'c']);
        assert_eq!(row(Some(true), false, anything), ['s', 's', '?']);
        assert_eq!(row(Some(true), false, slow), ['s', 's', 's']);
        assert_eq!(row(Some(true), true, anything), ['?', 'c', 'c']);
        assert_eq!(row(Some(true), true, slow), ['c', 'c', 'c']);
        assert_eq!(row(None, false, anything), ['?', '?', '?']);
        assert_eq!(row(None, true, slow), ['c', 'c', 'c']);
    }
}
