//! Lives of the engine: when it answered, and between two of them when it was going down and when none was there.
//!
//! ```text
//!        an end here is its own, or a person's
//!  life 1 ──────────────┬───────────────┬──────────────────────┬────────────── life 2
//!                 asked to end     its stream ends        begins to answer
//!                 going_down_since silent_since           began
//!                       └─ no mark: the engine's ─┘└─ the engine's ─┘
//! ```
//!
//! An engine that is asked to end closes its API, then stops its containers, and marks none. One that was killed leaves them
//! alive: the next one stops what it finds, and marks it like a person's, before it answers. So nobody can have asked for an
//! end between two lives. Where this process did not watch when the one life ended, the signals that the new one remembers of
//! its own start tell when it began with that, and the newest ends tell when the old one was going down.
//!
//! Stamps are the engine's. Knows no container but by what is asked of it.

use super::io::{EngineEvent, EngineTime, EventAction};
use super::record::{EngineLife, Recovered};
use crate::id::BootId;
use crate::time::Duration;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How much earlier than our own stamp of the stream's end an end may be stamped that came with it.
const STAMP_SLACK: Duration = Duration::from_millis(200);
/// Where our own clock was set since, nothing is known but that an engine takes about so long from its end to its answer.
const AWAY_USUAL: Duration = Duration::from_secs(60);
/// A starting engine stops what it finds with the patience of a `/stop` (10 s) and ends it a little later.
const STOPPED_WITHIN: Duration = Duration::from_secs(12);
/// From the first end to the last of an engine that stops its containers: its own limit is 15 s.
const GOES_DOWN_WITHIN: Duration = Duration::from_secs(15);
/// What ends within so long ended together: a process that ends on a signal needs far less.
const SWEPT_WITHIN: Duration = Duration::from_millis(500);
/// So many at least that end together, and half of all that ended at the last, were taken along.
const SWEPT_MIN: usize = 3;
/// An engine that has answered for less than this remembers all events of its start.
const REMEMBERS_FOR: Duration = Duration::from_secs(60);

/// A life that has begun; what it remembers of its start is being taken in.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    began: EngineTime,
    /// What this process saw of the end of the life before.
    ending: Option<Ending>,
    /// The first stop or end that the engine tells of at its start; true for a signal.
    first_stop: Option<(EngineTime, bool)>,
}

/// The end of a life, as this process saw it.
#[derive(Clone, Copy, Debug)]
struct Ending {
    silent_since: EngineTime,
    going_down_since: EngineTime,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct EngineLives {
    boot_id: BootId,
    /// Oldest first; at most [`Recovered::ENGINE_LIVES_MAX`].
    lives: VecDeque<EngineLife>,
    /// This process has watched the newest life.
    is_watched: bool,
    /// Since when its stream has ended.
    silent_since: Option<EngineTime>,
    beginning: Option<Beginning>,
    /// When the life before the newest one took its containers along, as far as that is more than a guess.
    descent: Option<Descent>,
}

/// When a life took its containers along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Descent {
    /// This process saw it go since then.
    Watched(EngineTime),
    /// Nobody saw it, but most ended in one moment, the first of them then.
    Swept(EngineTime),
}

impl EngineLives {
    pub(crate) fn new(boot_id: BootId, remembered: Vec<EngineLife>) -> Self {
        Self {
            boot_id,
            lives: remembered.into(),
            is_watched: false,
            silent_since: None,
            beginning: None,
            descent: None,
        }
    }

    /// This process did not run for a while: it has not watched what went on.
    pub(crate) fn stood_still(&mut self) {
        self.is_watched = false;
    }

    /// The stream of a life that was watched has ended then.
    pub(crate) fn stream_ended(&mut self, at: EngineTime) {
        if self.is_watched {
            self.silent_since.get_or_insert(at);
        }
    }

    /// The stream is open, of a life that began then. `first_unanswered` = the earliest stop signal since whose arrival the
    /// engine has answered nothing. True for a new life, whose beginning is now to be told.
    pub(crate) fn opened(&mut self, began: EngineTime, first_unanswered: Option<EngineTime>) -> bool {
        if self.beginning.is_some_and(|it| it.began == began) {
            return true;
        }
        let silent_since = self.silent_since.take();
        let was_watched = core::mem::replace(&mut self.is_watched, true);
        if self.lives.back().is_some_and(|life| life.began == began) {
            self.beginning = None;
            return false;
        }
        let ending = silent_since.filter(|_| was_watched).map(|at| {
            // A clock that was set since our start makes our own stamp worth nothing.
            let is_plausible = at <= began;
            let silent_since = match is_plausible {
                true => at.minus(STAMP_SLACK),
                false => began.minus(AWAY_USUAL),
            };
            Ending {
                silent_since,
                going_down_since: first_unanswered.map_or(silent_since, |first| first.min(silent_since)),
            }
        });
        self.beginning = Some(Beginning {
            began,
            ending,
            first_stop: None,
        });
        true
    }

    /// The stream is open, and the engine does not tell since when it answers. Its life is another one for certain only if
    /// nobody listened on its socket meanwhile (`was_refused`); then it is held to answer since `now`.
    pub(crate) fn opened_untold(
        &mut self,
        now: EngineTime,
        was_refused: bool,
        first_unanswered: Option<EngineTime>,
    ) -> bool {
        if was_refused && self.silent_since.is_some() {
            return self.opened(now, first_unanswered);
        }
        self.is_watched = true;
        self.silent_since = None;
        self.beginning.is_some()
    }

    /// An event that the engine remembers came: part of what it did at its start?
    pub(crate) fn saw(&mut self, event: &EngineEvent) {
        let is_signal = matches!(event.action, EventAction::Kill { .. });
        let is_stop = is_signal || matches!(event.action, EventAction::Die { .. } | EventAction::Stop);
        if let Some(it) = self.beginning.as_mut().filter(|it| is_stop && event.at <= it.began) {
            it.first_stop.get_or_insert((event.at, is_signal));
        }
    }

    /// What an engine remembers of the time before it answered it did itself. For events that it remembers, not for live
    /// ones: these may be stamped by a clock that was set back.
    pub(crate) fn is_its_own(&self, at: EngineTime) -> bool {
        let began = self.beginning.map(|it| it.began);
        let began = began.or(self.lives.back().map(|life| life.began));
        began.is_some_and(|began| at <= began)
    }

    /// When the newest life that is known began.
    pub(crate) fn newest(&self) -> Option<EngineTime> {
        self.lives.back().map(|life| life.began)
    }

    /// A new life has begun, and what it remembers is still being taken in.
    pub(crate) fn is_beginning(&self) -> bool {
        self.beginning.is_some()
    }

    /// The new life, if one has begun, once all it remembers was taken in: to be written down. `ends` = the ends of the
    /// containers that are down.
    pub(crate) fn begin(&mut self, now: EngineTime, ends: impl Iterator<Item = EngineTime>) -> Option<EngineLife> {
        let it = self.beginning.take()?;
        let life = EngineLife {
            began: it.began,
            boot_id: self.boot_id,
            silent_since: it.began,
            going_down_since: it.began,
        };
        self.descent = None;
        let life = match (it.ending, self.lives.back()) {
            (Some(ending), _) => {
                self.descent = Some(Descent::Watched(ending.going_down_since));
                EngineLife {
                    silent_since: ending.silent_since,
                    going_down_since: ending.going_down_since,
                    ..life
                }
            }
            // The first that was ever seen: nothing is known of any before it.
            (None, None) => life,
            (None, Some(before)) => {
                let silent_since = unwatched_silence(&it, now);
                let ends: Vec<EngineTime> = ends.filter(|end| before.began < *end && *end <= it.began).collect();
                self.descent = sweep(&ends).map(Descent::Swept);
                EngineLife {
                    silent_since,
                    going_down_since: unwatched_descent(it.began, &ends).min(silent_since),
                    ..life
                }
            }
        };
        if Recovered::ENGINE_LIVES_MAX <= self.lives.len() {
            self.lives.pop_front();
        }
        self.lives.push_back(life);
        Some(life)
    }

    /// No engine answered then.
    pub(crate) fn was_silent(&self, at: EngineTime) -> bool {
        self.lives
            .iter()
            .any(|it| it.silent_since <= at && at <= it.began && it.silent_since < it.began)
    }

    /// The engine or its machine was going down then, or none was there.
    pub(crate) fn was_going_down(&self, at: EngineTime) -> bool {
        self.lives
            .iter()
            .any(|it| it.going_down_since <= at && at <= it.began && it.going_down_since < it.began)
    }

    /// This process saw the engine or its machine go down, and that was then.
    pub(crate) fn was_seen_going_down(&self, at: EngineTime) -> bool {
        self.newest().is_some_and(|began| at <= began)
            && matches!(self.descent, Some(Descent::Watched(since)) if since <= at)
    }

    /// It ended together with most of what the engine had, or after that, before its next life.
    pub(crate) fn was_swept(&self, at: EngineTime) -> bool {
        self.newest().is_some_and(|began| at <= began)
            && matches!(self.descent, Some(Descent::Swept(since)) if since <= at)
    }
}

/// Since when a life has been at its start, where nobody watched the one before end: since the first signal that it sent.
fn unwatched_silence(it: &Beginning, now: EngineTime) -> EngineTime {
    match it.first_stop {
        Some((at, true)) => at,
        // The signals before it are forgotten.
        Some((at, false)) => at.minus(STOPPED_WITHIN),
        None if now <= it.began.plus(REMEMBERS_FOR) => it.began,
        None => it.began.minus(STOPPED_WITHIN),
    }
}

/// Since when the life before was going down, by the ends since it began: where several ended at the last, that was it. One
/// that ended alone is not known to have been taken along, unless the new life followed at once.
fn unwatched_descent(began: EngineTime, ends: &[EngineTime]) -> EngineTime {
    let Some(newest) = ends.iter().max() else { return began };
    let since = newest.minus(GOES_DOWN_WITHIN);
    let many = 1 < ends.iter().filter(|end| since <= **end).count();
    match many || began <= newest.plus(AWAY_USUAL) {
        true => since,
        false => began,
    }
}

/// Since when an engine that nobody watched took its containers along: it asks all of them at once, and what ends soon ends together.
/// `None` = too few did for that.
fn sweep(ends: &[EngineTime]) -> Option<EngineTime> {
    let newest = ends.iter().max()?;
    let since = newest.minus(GOES_DOWN_WITHIN);
    let mut last: Vec<EngineTime> = ends.iter().copied().filter(|end| since <= *end).collect();
    last.sort_unstable();
    let together = |first: &EngineTime| {
        let until = first.plus(SWEPT_WITHIN);
        last.iter().filter(|end| first <= *end && **end <= until).count()
    };
    let is_sweep = |first: &&EngineTime| SWEPT_MIN.max(last.len().div_ceil(2)) <= together(first);
    last.iter().find(is_sweep).copied()
}

#[cfg(test)]
mod tests {
    //! Lives that were watched, and lives that were not.
    use super::*;
    use core::iter;

    fn at(secs: u64) -> EngineTime {
        EngineTime(secs * 1_000_000_000)
    }

    fn life(began: u64) -> EngineLife {
        EngineLife {
            began: at(began),
            boot_id: BootId::default(),
            silent_since: at(began),
            going_down_since: at(began),
        }
    }

    fn event(secs: u64, action: EventAction) -> EngineEvent {
        EngineEvent {
            at: at(secs),
            id: "c1".into(),
            name: "web".into(),
            compose: None,
            action,
        }
    }

    fn remembering(began: u64) -> EngineLives {
        EngineLives::new(BootId::default(), alloc::vec![life(began)])
    }

    #[test]
    fn nobody_asked_for_an_end_between_two_lives_that_were_watched() {
        let mut lives = remembering(100);
        assert!(!lives.opened(at(100), None), "the same as before");
        lives.stream_ended(at(500));
        lives.stream_ended(at(501));
        assert!(lives.opened(at(520), Some(at(495))) && lives.opened(at(520), None));
        assert!(lives.is_beginning() && lives.is_its_own(at(520)) && !lives.is_its_own(at(521)));
        let recorded = lives.begin(at(522), iter::empty()).expect("a life");
        assert_eq!((recorded.began, recorded.going_down_since), (at(520), at(495)));
        let silent = [499, 500, 520, 521].map(|secs| lives.was_silent(at(secs)));
        assert_eq!(silent, [false, true, true, false]);
        let down = [494, 495, 499, 520, 521].map(|secs| lives.was_going_down(at(secs)));
        assert_eq!(down, [false, true, true, true, false]);
        assert_eq!(lives.begin(at(523), iter::empty()), None, "once");
    }

    #[test]
    fn an_engine_that_was_always_there_took_nothing_along() {
        let mut lives = remembering(100);
        lives.opened(at(100), None);
        lives.stream_ended(at(500));
        assert!(!lives.opened(at(100), None));
        assert_eq!(lives.begin(at(502), [at(500)].into_iter()), None);
        assert!(!lives.was_silent(at(500)) && !lives.was_going_down(at(500)));
        let mut first = EngineLives::new(BootId::default(), Vec::new());
        assert!(first.opened(at(100), None) && first.begin(at(102), [at(99)].into_iter()).is_some());
        assert!(
            !first.was_silent(at(99)) && !first.was_silent(at(100)),
            "nothing is known of before"
        );
    }

    #[test]
    fn a_new_engine_that_nobody_saw_begin_tells_by_its_first_signal_since_when_it_stopped_what_it_found() {
        let kill = EventAction::Kill { signal: 15 };
        let die = EventAction::Die { exit_code: 1 };
        let cases = [
            (Some(kill), 530, [false, true, true]),
            (Some(die), 530, [true, true, true]),
            (None, 530, [false, false, false]),
            (None, 5000, [true, true, true]),
        ];
        for (first, now, expected) in cases {
            let mut lives = remembering(100);
            assert!(lives.opened(at(520), None));
            if let Some(first) = first.clone() {
                lives.saw(&event(515, first));
                lives.saw(&event(516, EventAction::Stop));
                lives.saw(&event(521, EventAction::Stop));
            }
            lives.begin(at(now), iter::empty());
            assert_eq!(
                [512, 515, 519].map(|secs| lives.was_silent(at(secs))),
                expected,
                "{first:?} {now}"
            );
        }
    }

    #[test]
    fn ends_together_before_a_new_life_were_taken_along_and_one_alone_long_before_was_not() {
        let down = |ends: &[u64]| {
            let mut lives = remembering(100);
            lives.opened(at(1000), None);
            lives.begin(at(1002), ends.iter().map(|secs| at(*secs)));
            [300, 490, 500].map(|secs| lives.was_going_down(at(secs)))
        };
        assert_eq!(down(&[50, 300, 490, 500]), [false, true, true]);
        assert_eq!(down(&[300, 500]), [false, false, false], "alone");
        assert_eq!(down(&[]), [false, false, false]);
        let mut lives = remembering(100);
        lives.opened(at(530), None);
        lives.begin(at(532), [at(500)].into_iter());
        assert!(lives.was_going_down(at(500)), "the new one followed at once");
    }

    #[test]
    fn where_the_engine_does_not_tell_a_refused_connection_does() {
        let mut lives = remembering(100);
        lives.opened_untold(at(400), true, None);
        assert!(!lives.is_beginning(), "nothing was watched");
        lives.stream_ended(at(500));
        assert!(
            !lives.opened_untold(at(501), false, None),
            "cut, and open again at once"
        );
        lives.stream_ended(at(600));
        assert!(lives.opened_untold(at(620), true, None) && lives.begin(at(622), iter::empty()).is_some());
        assert!(lives.was_silent(at(610)) && !lives.was_silent(at(550)));
    }

    #[test]
    fn what_ends_together_was_swept_and_what_ended_before_was_not() {
        let millis = |all: &[u64]| all.iter().map(|it| EngineTime(*it * 1_000_000)).collect::<Vec<_>>();
        let of = |all: &[u64]| sweep(&millis(all)).map(|it| it.0 / 1_000_000);
        assert_eq!(of(&[4000, 6000, 6100, 6400, 9000]), Some(6000));
        assert_eq!(of(&[6000, 6100]), None, "two");
        assert_eq!(of(&[1000, 2000, 3000, 4000, 6000, 6100, 6200]), None, "fewer than half");
        assert_eq!(of(&[100, 20_000, 20_100, 20_200]), Some(20_000), "long before");
        let mut lives = remembering(1);
        lives.opened(at(30), None);
        let ends = millis(&[4000, 20_000, 20_100, 20_200]);
        assert!(lives.begin(at(32), ends.into_iter()).is_some());
        let swept = [4, 19, 20, 30, 31].map(|secs| lives.was_swept(at(secs)));
        assert_eq!(swept, [false, false, true, true, false]);
        assert!(!lives.was_seen_going_down(at(20)));
    }

    #[test]
    fn who_stood_still_has_watched_nothing() {
        let mut lives = remembering(100);
        lives.opened(at(100), None);
        lives.stood_still();
        lives.stream_ended(at(530));
        assert!(lives.opened(at(520), None));
        let recorded = lives.begin(at(532), iter::empty()).expect("a life");
        assert_eq!((recorded.silent_since, recorded.going_down_since), (at(520), at(520)));
    }
}
