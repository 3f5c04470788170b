//! A reboot that was refused before it did anything, for a cause outside its subject: a mount that is away, a port that is taken,
//! a right that is missing. That is no failure of the subject: it has a back-off of its own and burns no budget. Knows no kind
//! of subject.

use super::admission::Block;
use crate::subject::Incarnation;
use crate::time::{Duration, Moment};
use crate::verdict::State;
use alloc::format;
use alloc::string::String;

/// Pauses after the first refusals in a row; the last one stays.
const PAUSES_SECS: [u64; 6] = [1, 2, 5, 10, 20, 30];

/// Why a reboot was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    why: String,
    needs_person: bool,
}

impl Refusal {
    /// The cause may pass by itself, in words: it is waited for.
    pub fn passing(why: impl Into<String>) -> Self {
        let why = why.into();
        Self {
            why,
            needs_person: false,
        }
    }

    /// No retry mends it, in words with the cure: a person is asked for, and it is tried as seldom as one at its limit.
    pub fn lasting(why: impl Into<String>) -> Self {
        Self {
            needs_person: true,
            ..Self::passing(why)
        }
    }

    /// Where no retry mends it, with what does, in words.
    #[must_use]
    pub fn mended_by(self, cure: impl FnOnce() -> String) -> Self {
        match self.needs_person {
            true => Self::lasting(format!("{}: {}", self.why, cure())),
            false => self,
        }
    }

    /// In words.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// The refusals in a row of one incarnation's reboot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RefusedTries {
    newest: Refusal,
    incarnation: Incarnation,
    count: usize,
    again: Moment,
}

impl RefusedTries {
    /// One more, or the first; `seldom` = the pause where no retry mends it.
    pub(super) fn one_more(
        before: Option<Self>,
        now: Moment,
        newest: Refusal,
        incarnation: Incarnation,
        seldom: Duration,
    ) -> Self {
        let before = before.filter(|it| it.incarnation == incarnation);
        let count = before.map_or(0, |it| it.count + 1);
        let pause = match newest.needs_person {
            true => seldom,
            false => Duration::from_secs(PAUSES_SECS[count.min(PAUSES_SECS.len() - 1)]),
        };
        Self {
            newest,
            incarnation,
            count,
            again: now + pause,
        }
    }

    /// Not before.
    pub(super) const fn again(&self) -> Moment {
        self.again
    }

    /// It is of that incarnation.
    pub(super) fn is_of(&self, incarnation: &Incarnation) -> bool {
        self.incarnation == *incarnation
    }

    /// The pause before the next try. The refusals themselves are recorded: it is news only where a person is asked for.
    pub(super) fn block(&self, now: Moment) -> Option<Block> {
        if self.again <= now {
            return None;
        }
        let why = &self.newest.why;
        Some(match self.newest.needs_person {
            true => Block::new(why, State::GivenUp).until(self.again).escalating(),
            false => {
                let longest = PAUSES_SECS[PAUSES_SECS.len() - 1];
                let why = format!("{why}; tried again every {longest} s or sooner");
                Block::new(why, State::Down).until(self.again).quietly()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    //! Pauses that grow to half a minute, anew for each incarnation.
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn pauses(refusal: &Refusal, lives: &[&str]) -> Vec<u64> {
        let (now, seldom) = (Moment::from_millis(1000), Duration::from_secs(600));
        let mut tries = None;
        let pause = |life: &&str| {
            let life = Incarnation(life.to_string());
            let next = RefusedTries::one_more(tries.take(), now, refusal.clone(), life, seldom);
            let pause = next.again().since(now).as_secs();
            tries = Some(next);
            pause
        };
        lives.iter().map(pause).collect()
    }

    #[test]
    fn pauses_grow_and_stay_short_enough_to_be_back_within_a_minute() {
        let away = Refusal::passing("the mount is away");
        assert_eq!(pauses(&away, &["1"; 8]), [1, 2, 5, 10, 20, 30, 30, 30]);
        assert_eq!(pauses(&away, &["1", "1", "2", "2"]), [1, 2, 1, 2]);
        assert_eq!(
            pauses(&Refusal::lasting("its network is gone"), &["1", "1"]),
            [600, 600]
        );
    }

    #[test]
    fn a_person_is_asked_for_only_where_no_retry_mends_it() {
        let of = |refusal: Refusal| {
            let (now, life) = (Moment::from_millis(1000), Incarnation::default());
            let tries = RefusedTries::one_more(None, now, refusal, life, Duration::from_secs(600));
            assert_eq!(tries.block(tries.again()), None);
            tries.block(now)
        };
        let passing = Block::new("away; tried again every 30 s or sooner", State::Down);
        let until = Moment::from_millis(2000);
        assert_eq!(of(Refusal::passing("away")), Some(passing.until(until).quietly()));
        let lasting = Block::new("gone", State::GivenUp).until(Moment::from_millis(601_000));
        assert_eq!(of(Refusal::lasting("gone")), Some(lasting.escalating()));
    }
}
