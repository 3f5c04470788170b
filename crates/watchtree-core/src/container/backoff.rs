//! The engine's own back-off: what is said meanwhile, and whether a person ended it.
//!
//! `docker stop` during the back-off is one `stop` event, long after the end it belongs to; `docker kill` is no event at
//! all. Both leave the engine's mark, and the container as it was: exited, with its old end.

use super::agent::ContainerAgent;
use super::cause::Judged;
use super::facts::{Backoff, Facts, Mark};
use super::io::RunState;
use super::subject::{Cause, Subject};
use crate::time::Moment;
use crate::verdict::{Level, State};
use alloc::format;
use alloc::string::{String, ToString};

impl ContainerAgent {
    pub(crate) fn on_backoff(&self, now: Moment, subject: &mut Subject, facts: &Facts) {
        if let Some(why) = self.operator_in_backoff(facts) {
            let why = format!("stopped while the engine was about to restart it: {why}");
            return subject.say(now, State::Stopped, Level::Certain, why);
        }
        let exit = facts.exit_code();
        if subject.given_up.is_some() {
            let why = format!("exits again and again ({exit}); given up, the engine goes on restarting it");
            subject.say(now, State::GivenUp, Level::Certain, why);
        } else {
            let why = format!("exited ({exit}); the engine restarts it by its own policy");
            subject.say(now, State::Repairing, Level::Certain, why);
        }
        // Its start event, or the next list, goes on from here.
    }

    fn operator_in_backoff(&self, facts: &Facts) -> Option<String> {
        let ended = facts.ended();
        facts
            .stops
            .iter()
            .any(|(at, own)| !own && ended <= *at)
            .then(|| "a stop was carried out".to_string())
    }

    /// It was held to have crashed, and the engine was to restart it: it ended its back-off without a start. `None` = by
    /// nobody's wish.
    pub(crate) fn judge_backoff(&mut self, now: Moment, subject: &Subject, facts: &mut Facts) -> Option<Judged> {
        let death = subject.death.as_ref()?;
        let crashed = matches!(death.cause, Cause::Crash(_)) && !death.ours;
        let view = facts.view.as_ref()?;
        let down = matches!(view.run, RunState::Exited | RunState::Dead);
        // A start of the engine that failed leaves its error; a back-off that was ended leaves none.
        if !crashed || !down || subject.forced || !view.error.is_empty() {
            return None;
        }
        let died_at = facts.died_at.unwrap_or(now);
        match facts.backoff {
            // What the mark said of the end says nothing of the time after it.
            Backoff::Seen => (facts.backoff, facts.mark) = (Backoff::Ended, Mark::NotAsked),
            Backoff::None if self.may_have_missed_it(facts, died_at) => facts.backoff = Backoff::Ended,
            Backoff::None => return None,
            Backoff::Ended => {}
        }
        match self.judge_by_mark(now, facts, died_at, None) {
            Judged::Cause(Cause::Crash(_), ..) => None,
            Judged::Cause(Cause::CannotTell(_), mass, proof) => {
                let why = "the engine ended its back-off without a start, and its mark cannot be read";
                Some(Judged::Cause(Cause::CannotTell(why.to_string()), mass, proof))
            }
            judged => Some(judged),
        }
    }

    /// Nobody watched when it ended, and the engine was to restart it. A signal of another meaning (HUP) is known to call
    /// that off and to leave the same mark.
    fn may_have_missed_it(&self, facts: &Facts, died_at: Moment) -> bool {
        let unjudged = facts.mark == Mark::NotAsked;
        unjudged && facts.engine_restarts() && !self.stream.is_live(died_at) && !facts.has_other_signal()
    }
}
