//! What is believed of a subject and shown of it, and since when. The only writer of that state.
//!
//! Does not know who is told; a role makes its verdict from it.

use crate::time::Moment;
use crate::verdict::{Evidence, Level, State};
use alloc::string::String;
use alloc::vec::Vec;

/// What is shown of a subject. Certain, unless said otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    state: State,
    level: Level,
    why: String,
    evidence: Vec<Evidence>,
}

impl Shown {
    /// That state, with one line in words.
    pub fn new(state: State, why: impl Into<String>) -> Self {
        Self {
            state,
            level: Level::Certain,
            why: why.into(),
            evidence: Vec::new(),
        }
    }

    /// Sure to that degree only.
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The facts it rests on, the newest last.
    pub fn evidence(self, evidence: Vec<Evidence>) -> Self {
        Self { evidence, ..self }
    }

    /// The same facts and words under another state.
    pub fn with_state(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// In words.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// What is shown now, and since when its state is this.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReportedState {
    shown: Option<Shown>,
    since: Moment,
}

impl ReportedState {
    /// Shows something else.
    pub fn set(&mut self, now: Moment, mut shown: Shown) {
        shown.evidence.truncate(Evidence::COUNT_MAX);
        if self.state() != shown.state {
            self.since = now;
        }
        self.shown = Some(shown);
    }

    /// The state; unknown while nothing was ever shown.
    pub fn state(&self) -> State {
        self.shown.as_ref().map_or(State::Unknown, |it| it.state)
    }

    /// How sure.
    pub fn level(&self) -> Level {
        self.shown.as_ref().map_or(Level::None, |it| it.level)
    }

    /// In words; empty while nothing was ever shown.
    pub fn why(&self) -> &str {
        self.shown.as_ref().map_or("", |it| &it.why)
    }

    /// The facts.
    pub fn evidence(&self) -> &[Evidence] {
        self.shown.as_ref().map_or(&[], |it| &it.evidence)
    }

    /// Since when the state is this.
    pub const fn since(&self) -> Moment {
        self.since
    }
}

#[cfg(test)]
mod tests {
    //! Since when.
    use super::*;

    #[test]
    fn since_is_the_change_of_the_state_and_not_of_the_words() {
        let mut reported = ReportedState::default();
        assert_eq!((reported.state(), reported.why()), (State::Unknown, ""));
        reported.set(Moment::from_millis(5), Shown::new(State::Down, "exited (1)"));
        reported.set(Moment::from_millis(9), Shown::new(State::Down, "exited (1): held"));
        assert_eq!(
            (reported.since(), reported.why()),
            (Moment::from_millis(5), "exited (1): held")
        );
    }
}
