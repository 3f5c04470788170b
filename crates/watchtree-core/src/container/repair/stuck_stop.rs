//! A stop of ours that has not ended its container though its time is over: why not, and what frees it.
//!
//! ```text
//!   posted ── its time and some more ──▶ looked at ── shim stopped ──▶ looked at again ── still so ──▶ shim killed
//!                                          ▲    └──── anything else ────┐
//!                                          └──────── after a pause ─────┘
//! ```
//!
//! The engine reaches a container by its shim. One that is stopped passes no signal on, and holds every call for that container
//! for ever; once it is killed, the kernel ends the container with it, and the engine sees the end. Nothing else is ever killed
//! here: what waits in the kernel cannot be, and whatever else may be wrong is no evidence against the shim. Knows no call.

use super::step::Act;
use crate::container::observation::ContainerObservation;
use crate::container::shim::{ShimSeen, TaskState};
use crate::time::{Duration, Moment};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A stop takes that much longer than its time where all is well.
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// A shim must be seen stopped twice, so far apart.
const STOPPED_FOR: Duration = Duration::from_secs(1);
/// Else it is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) struct StuckStop {
    /// When it was last looked at.
    asked: Option<Moment>,
    /// Since when its shim is seen to be stopped.
    stopped_since: Option<Moment>,
    killed: Option<u32>,
    in_kernel: bool,
}

impl StuckStop {
    /// A stop is not over. `posted` and its time; one of before a restart of ours is posted at no known moment, and whatever it had
    /// for time is over. Returns when to be asked again.
    pub(super) fn watch(
        &mut self,
        now: Moment,
        (posted, timeout): (Option<Moment>, Duration),
        it: &ContainerObservation,
        acts: &mut Vec<Act>,
    ) -> Option<Moment> {
        let due = posted.unwrap_or(Moment::ZERO) + timeout;
        let init = it.view().map_or(0, |view| view.pid);
        self.advance(now, due, (init, it.processes().shim()), acts)
    }

    /// A stop that should be over at `due` is not. `init` = its process; `seen` = the newest look, and when it came. Returns when to be asked again.
    fn advance(
        &mut self,
        now: Moment,
        due: Moment,
        (init, seen): (u32, Option<(Moment, ShimSeen)>),
        acts: &mut Vec<Act>,
    ) -> Option<Moment> {
        if self.killed.is_some() {
            return None;
        }
        let due = due + LOOK_AFTER;
        let Some(asked) = self.asked else {
            return Some(self.look((now, due), init, acts));
        };
        let Some((at, seen)) = seen.filter(|(at, _)| asked <= *at) else {
            return Some(self.look((now, asked + LOOK_AGAIN), init, acts));
        };
        self.in_kernel = seen.init == TaskState::InKernel;
        match seen.shim {
            Some((shim, TaskState::Stopped)) => {
                let since = *self.stopped_since.get_or_insert(at);
                if STOPPED_FOR <= at.since(since) {
                    self.killed = Some(shim);
                    acts.push(Act::KillShim(shim));
                    return None;
                }
                Some(self.look((now, at + STOPPED_FOR), init, acts))
            }
            _ => {
                self.stopped_since = None;
                Some(self.look((now, at + LOOK_AGAIN), init, acts))
            }
        }
    }

    /// Looks at `at` the earliest; returns when to be asked again.
    fn look(&mut self, (now, at): (Moment, Moment), init: u32, acts: &mut Vec<Act>) -> Moment {
        if now < at {
            return at;
        }
        self.asked = Some(now);
        acts.push(Act::LookAtShim(init));
        now + LOOK_AGAIN
    }

    /// The end that follows is our doing.
    pub(super) fn has_killed(&self) -> bool {
        self.killed.is_some()
    }

    /// What was found, in words, where that is more than that there is no answer.
    pub(super) fn words(&self) -> Option<String> {
        match self.killed {
            Some(shim) => Some(format!("its shim, process {shim}, was stopped, and held every call: killed")),
            None => self.in_kernel.then(|| {
                String::from("its process waits in the kernel, for a disk or a network share, and cannot be killed before that answers")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    //! When it is looked, and what is killed.
    use super::*;
    use alloc::vec;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Asks at each of these moments; an answer to a look comes at once. What was done when.
    fn play(states: &[(u64, TaskState)]) -> Vec<(u64, Act)> {
        let (mut it, mut seen, mut done) = (StuckStop::default(), None, Vec::new());
        for (now, state) in states {
            let mut acts = Vec::new();
            it.advance(at(*now), at(1000), (5, seen), &mut acts);
            if acts.contains(&Act::LookAtShim(5)) {
                let shim = Some((7, *state));
                seen = Some((
                    at(*now),
                    ShimSeen {
                        shim,
                        init: TaskState::Works,
                    },
                ));
                it.advance(at(*now), at(1000), (5, seen), &mut acts);
            }
            done.extend(acts.into_iter().map(|act| (*now, act)));
        }
        done
    }

    #[test]
    fn a_shim_that_stays_stopped_is_killed_once() {
        let stopped = |now| (now, TaskState::Stopped);
        let look = |now| (now, Act::LookAtShim(5));
        assert_eq!(
            play(&[2999, 3000, 3500, 4000, 9000].map(stopped)),
            [look(3000), look(4000), (4000, Act::KillShim(7))]
        );
    }

    #[test]
    fn nothing_else_is_killed() {
        for state in [TaskState::Works, TaskState::InKernel, TaskState::Gone] {
            let done = play(&[
                (3000, state),
                (4000, state),
                (8000, state),
                (13_000, TaskState::Stopped),
                (13_500, state),
            ]);
            assert_eq!(
                done,
                vec![
                    (3000, Act::LookAtShim(5)),
                    (8000, Act::LookAtShim(5)),
                    (13_000, Act::LookAtShim(5))
                ],
                "{state:?}"
            );
        }
        let mut it = StuckStop {
            asked: Some(at(3000)),
            ..StuckStop::default()
        };
        let mut acts = Vec::new();
        let unseen = ShimSeen {
            shim: None,
            init: TaskState::InKernel,
        };
        assert_eq!(
            it.advance(at(3001), at(1000), (5, Some((at(3001), unseen))), &mut acts),
            Some(at(8001))
        );
        assert!(acts.is_empty() && it.words().is_some_and(|words| words.contains("in the kernel")));
    }

    #[test]
    fn an_answer_of_before_the_look_counts_for_nothing_and_a_lost_one_is_asked_for_again() {
        let mut it = StuckStop {
            asked: Some(at(3000)),
            ..StuckStop::default()
        };
        let mut acts = Vec::new();
        let stopped = ShimSeen {
            shim: Some((7, TaskState::Stopped)),
            init: TaskState::Works,
        };
        assert_eq!(
            it.advance(at(3500), at(1000), (5, Some((at(2999), stopped))), &mut acts),
            Some(at(8000))
        );
        assert!(acts.is_empty());
        it.advance(at(8000), at(1000), (5, None), &mut acts);
        assert_eq!(acts, [Act::LookAtShim(5)]);
    }
}
