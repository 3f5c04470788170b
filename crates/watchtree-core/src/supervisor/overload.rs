//! Whether the machine is overloaded: asked for every five seconds, and at once when a subject turns ill, which waits for the answer.
//!
//! ```text
//!          ┌────────── 5 s ───────────┐
//!          ▼                          │
//!   due ── asked ── told ──▶ known for 15 s
//!    ▲       └── not told within 250 ms: nobody waits for it any longer
//!    └── one turned ill
//! ```
//!
//! Counts time only. Does not know what makes a machine overloaded, nor what follows from it.

use crate::time::{Duration, Moment};
use alloc::string::String;

/// It is read so often: what a check of a second makes of an overload is known after two or three of them.
const EVERY: Duration = Duration::from_secs(5);
/// What is older says nothing.
const FRESH: Duration = Duration::from_secs(15);
/// Three small files of a kernel are read in far less; longer no repair waits for them.
const WITHIN: Duration = Duration::from_millis(250);

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Overload {
    asked: Option<Moment>,
    /// One turned ill since it was asked for.
    is_wanted: bool,
    told: Option<(Moment, Option<String>)>,
}

impl Overload {
    /// One has turned ill.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// When it is to be asked for.
    pub(super) fn due(&self) -> Moment {
        let regular = self.asked.map(|asked| asked + EVERY);
        regular.filter(|_| !self.is_wanted).unwrap_or(Moment::ZERO)
    }

    pub(super) fn ask(&mut self, now: Moment) {
        (self.asked, self.is_wanted) = (Some(now), false);
    }

    /// The answer: why the machine is overloaded, or that it is not.
    pub(super) fn take(&mut self, now: Moment, why: Option<String>) {
        self.told = Some((now, why));
    }

    /// Why the machine is overloaded; `None` = it is not, or nothing fresh is known.
    pub(super) fn why(&self, now: Moment) -> Option<&str> {
        let (_, why) = self.told.as_ref().filter(|(at, _)| now.since(*at) < FRESH)?;
        why.as_deref()
    }

    /// Until when a decision waits for the answer; `None` = it is there, or is waited for no longer.
    pub(super) fn awaited_until(&self, now: Moment) -> Option<Moment> {
        if self.is_wanted {
            return Some(now + WITHIN);
        }
        let answered = self.told.as_ref().map(|(at, _)| *at);
        let open = self.asked.filter(|asked| answered < Some(*asked))?;
        Some(open + WITHIN).filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    //! When it is asked for, how long it is waited for, and when it is old.
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn it_is_asked_for_every_five_seconds_and_at_once_when_one_turns_ill() {
        let mut it = Overload::default();
        assert_eq!((it.due(), it.awaited_until(at(7))), (at(0), None));
        it.ask(at(7));
        it.take(at(8), None);
        assert_eq!((it.due(), it.awaited_until(at(8))), (at(5007), None));
        it.want();
        assert_eq!((it.due(), it.awaited_until(at(900))), (at(0), Some(at(1150))));
        it.ask(at(900));
        assert_eq!((it.due(), it.awaited_until(at(1149))), (at(5900), Some(at(1150))));
        assert_eq!(it.awaited_until(at(1150)), None, "nobody waits for what does not come");
        it.take(at(1149), None);
        assert_eq!(it.awaited_until(at(1149)), None);
    }

    #[test]
    fn it_is_known_for_fifteen_seconds() {
        let mut it = Overload::default();
        it.take(at(300), Some("busy".into()));
        assert_eq!((it.why(at(15_299)), it.why(at(15_300))), (Some("busy"), None));
        it.take(at(400), None);
        assert_eq!(it.why(at(400)), None);
    }
}
