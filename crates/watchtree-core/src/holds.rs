//! Holds: a person's wish that a subject and everything below it be left alone for a while. The same in every role.
//!
//! A hold always ends by itself. It is in force on its own subject and on all below; where several are, the one that
//! ends last counts. Does not know what is held off by it, nor who is told.

use crate::order::Verb;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// Why a hold was not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HoldError {
    /// It would last for no time, or for longer than [`Verb::HOLD_MAX`].
    Length,
    /// [`Holds::COUNT_MAX`] are in force.
    TooMany,
}

impl fmt::Display for HoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(
                f,
                "a hold lasts between 1 s and {} days",
                Verb::HOLD_MAX.as_secs() / 86_400
            ),
            Self::TooMany => write!(f, "there are {} holds already", Holds::COUNT_MAX),
        }
    }
}

impl core::error::Error for HoldError {}

/// The holds in force.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Holds {
    until: BTreeMap<SubjectId, Moment>,
}

impl Holds {
    /// Most holds at one time.
    pub(crate) const COUNT_MAX: usize = 256;

    /// Sets a hold from now on; one that the subject has already is replaced. Returns its end.
    ///
    /// # Errors
    /// See [`HoldError`]; nothing has changed then.
    pub(crate) fn hold(&mut self, now: Moment, subject: &SubjectId, lasts: Duration) -> Result<Moment, HoldError> {
        if lasts.is_zero() || Verb::HOLD_MAX < lasts {
            return Err(HoldError::Length);
        }
        if Self::COUNT_MAX <= self.until.len() && !self.until.contains_key(subject) {
            return Err(HoldError::TooMany);
        }
        self.until.insert(subject.clone(), now + lasts);
        Ok(now + lasts)
    }

    /// Takes up a hold of before a restart.
    pub(crate) fn restore(&mut self, subject: SubjectId, until: Moment) {
        if self.until.len() < Self::COUNT_MAX {
            self.until.insert(subject, until);
        }
    }

    /// Ends the holds on the subject and below. Returns whose they were.
    pub(crate) fn release(&mut self, subject: &SubjectId) -> Vec<SubjectId> {
        self.take(|held, _| held.is_within(subject))
    }

    /// Ends the holds whose time is over. Returns whose they were.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<SubjectId> {
        self.take(|_, until| until <= now)
    }

    /// The hold that keeps repairs away from the subject: on which subject it lies, and its end.
    pub(crate) fn on(&self, subject: &SubjectId) -> Option<(&SubjectId, Moment)> {
        let holds = self.until.iter().filter(|(held, _)| subject.is_within(held));
        holds
            .max_by_key(|(_, until)| **until)
            .map(|(held, until)| (held, *until))
    }

    /// Every hold, and its end.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SubjectId, Moment)> {
        self.until.iter().map(|(held, until)| (held, *until))
    }

    /// When the next hold ends.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.until.values().min().copied()
    }

    fn take(&mut self, is_over: impl Fn(&SubjectId, Moment) -> bool) -> Vec<SubjectId> {
        let over: Vec<SubjectId> = self
            .until
            .iter()
            .filter(|(held, until)| is_over(held, **until))
            .map(|(held, _)| held.clone())
            .collect();
        for held in &over {
            self.until.remove(held);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    //! Reach, ends, limits.
    use super::*;
    use alloc::format;

    fn id(path: &str) -> SubjectId {
        SubjectId::new(path).unwrap()
    }

    #[test]
    fn it_reaches_down_and_the_last_end_counts() {
        let now = Moment::from_millis(0);
        let mut holds = Holds::default();
        assert_eq!(
            holds.hold(now, &id("h/d"), Duration::from_secs(9)),
            Ok(Moment::from_millis(9000))
        );
        assert!(holds.hold(now, &id("h/d/web"), Duration::from_secs(5)).is_ok());
        assert_eq!(holds.on(&id("h/d/web")), Some((&id("h/d"), Moment::from_millis(9000))));
        assert_eq!(holds.on(&id("h")), None);
        assert_eq!(holds.next_deadline(), Some(Moment::from_millis(5000)));
        assert_eq!(holds.expire(Moment::from_millis(5000)), [id("h/d/web")]);
        assert_eq!(holds.release(&id("h")), [id("h/d")]);
        assert_eq!(holds.on(&id("h/d")), None);
    }

    #[test]
    fn it_has_limits() {
        let (now, second) = (Moment::ZERO, Duration::from_secs(1));
        let mut holds = Holds::default();
        assert_eq!(holds.hold(now, &id("h"), Duration::ZERO), Err(HoldError::Length));
        assert_eq!(
            holds.hold(now, &id("h"), Verb::HOLD_MAX + second),
            Err(HoldError::Length)
        );
        for i in 0..Holds::COUNT_MAX {
            assert!(holds.hold(now, &id(&format!("h/{i}")), second).is_ok());
        }
        assert_eq!(holds.hold(now, &id("h/more"), second), Err(HoldError::TooMany));
        assert!(holds.hold(now, &id("h/7"), second).is_ok(), "it replaces one");
    }

    #[test]
    fn the_longest_one_is_taken_and_what_is_refused_is_said() {
        let mut holds = Holds::default();
        assert!(holds.hold(Moment::ZERO, &id("h"), Verb::HOLD_MAX).is_ok());
        assert_eq!(Verb::HOLD_MAX.as_secs(), 604_800);
        assert_eq!(format!("{}", HoldError::Length), "a hold lasts between 1 s and 7 days");
        assert_eq!(format!("{}", HoldError::TooMany), "there are 256 holds already");
    }

    #[test]
    fn holds_of_before_a_restart_are_taken_up_as_far_as_there_is_room() {
        let mut holds = Holds::default();
        for i in 0..=Holds::COUNT_MAX as u64 {
            holds.restore(id(&format!("h/{i}")), Moment::from_millis(i));
        }
        assert_eq!(holds.iter().count(), Holds::COUNT_MAX);
        assert_eq!(holds.on(&id("h/255")), Some((&id("h/255"), Moment::from_millis(255))));
        assert_eq!(holds.on(&id("h/256")), None);
    }
}
