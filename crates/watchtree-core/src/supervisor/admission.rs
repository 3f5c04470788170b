//! May a reboot begin? Asks the guards in order and keeps every answer.
//!
//! The first guard that blocks ends the asking: those after it are recorded as not asked. A guard that a person has set
//! aside is asked all the same, and recorded as waived by that person where it would have blocked. Pure: a guard is a
//! function of what is known; nothing is done here.

use crate::decision::{ActionKind, Guard, GuardAnswer, GuardVerdict};
use crate::time::Moment;
use crate::verdict::State;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What one guard says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GuardResult {
    /// No objection, in words.
    Pass(String),
    /// It stops the action.
    Block(Block),
    /// It has nothing to say here, in words: why it was not asked.
    Skip(String),
}

impl GuardResult {
    /// No objection.
    pub fn pass(words: impl Into<String>) -> Self {
        Self::Pass(words.into())
    }
}

/// Why a guard stops an action, what is shown meanwhile, and when to ask again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    words: String,
    key: Option<String>,
    shown: State,
    again: Option<Moment>,
    is_recorded: bool,
    escalates: bool,
}

impl Block {
    /// Stops the action; the subject is shown as `shown`. Asked again when something changes.
    pub fn new(words: impl Into<String>, shown: State) -> Self {
        Self {
            words: words.into(),
            key: None,
            shown,
            again: None,
            is_recorded: true,
            escalates: false,
        }
    }

    /// Asked again then at the latest.
    pub fn until(self, again: Moment) -> Self {
        let again = (again != Moment::FAR_FUTURE).then_some(again);
        Self { again, ..self }
    }

    /// A delay that is part of the policy: no decision of its own, so no record.
    pub fn quietly(self) -> Self {
        Self {
            is_recorded: false,
            ..self
        }
    }

    /// A person is asked for.
    pub fn escalating(self) -> Self {
        Self {
            escalates: true,
            ..self
        }
    }

    /// The words change with every look (they name a time): this tells two reasons of one guard apart instead.
    pub fn keyed(self, key: impl Into<String>) -> Self {
        let key = Some(key.into());
        Self { key, ..self }
    }
}

impl From<Block> for GuardResult {
    fn from(block: Block) -> Self {
        Self::Block(block)
    }
}

/// The guards asked so far, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Admission {
    answers: Vec<GuardAnswer>,
    blocked: Option<(Guard, Block)>,
}

impl Admission {
    /// Asks the next guard, unless one before it has blocked.
    pub fn ask(&mut self, guard: Guard, answer: impl FnOnce() -> GuardResult) {
        self.ask_unless_waived(guard, None, answer);
    }

    /// As [`Self::ask`]; a block is set aside where a person (`waiver`: who) asked for the action all the same.
    pub fn ask_unless_waived(&mut self, guard: Guard, waiver: Option<&str>, answer: impl FnOnce() -> GuardResult) {
        if let Some((by, _)) = &self.blocked {
            let words = format!("{} came first", by.as_str());
            return self
                .answers
                .push(GuardAnswer::new(guard, GuardVerdict::NotAsked, words));
        }
        let (verdict, words) = match (answer(), waiver) {
            (GuardResult::Pass(words), _) => (GuardVerdict::Passed, words),
            (GuardResult::Skip(words), _) => (GuardVerdict::NotAsked, words),
            (GuardResult::Block(block), Some(who)) => {
                (GuardVerdict::Waived, format!("{}; waived by {who}", block.words))
            }
            (GuardResult::Block(block), None) => {
                let words = block.words.clone();
                self.blocked = Some((guard, block));
                (GuardVerdict::Blocked, words)
            }
        };
        self.answers.push(GuardAnswer::new(guard, verdict, words));
    }

    /// True while no guard has blocked.
    pub const fn is_open(&self) -> bool {
        self.blocked.is_none()
    }

    /// Every answer, if the action may begin.
    ///
    /// # Errors
    /// The guard that blocked.
    pub fn finish(self) -> Result<Vec<GuardAnswer>, Blocked> {
        match self.blocked {
            None => Ok(self.answers),
            Some((guard, block)) => Err(Blocked {
                guard,
                block,
                answers: self.answers,
            }),
        }
    }
}

/// An action that may not begin now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blocked {
    guard: Guard,
    block: Block,
    answers: Vec<GuardAnswer>,
}

impl Blocked {
    /// The guard that blocked.
    pub const fn guard(&self) -> Guard {
        self.guard
    }

    /// Why, in words.
    pub fn words(&self) -> &str {
        &self.block.words
    }

    /// What the subject is shown as meanwhile.
    pub const fn shown(&self) -> State {
        self.block.shown
    }

    /// When to ask again.
    pub const fn again(&self) -> Option<Moment> {
        self.block.again
    }

    /// False for a delay that is part of the policy.
    pub const fn is_recorded(&self) -> bool {
        self.block.is_recorded
    }

    /// What is recorded as done.
    pub const fn action(&self) -> ActionKind {
        if self.block.escalates {
            ActionKind::Escalate
        } else {
            ActionKind::None
        }
    }

    /// Tells two reasons of one guard apart.
    pub fn key(&self) -> &str {
        self.block.key.as_deref().unwrap_or(&self.block.words)
    }

    /// Every guard with its answer.
    pub fn into_answers(self) -> Vec<GuardAnswer> {
        self.answers
    }
}

#[cfg(test)]
mod tests {
    //! Order, waivers, what was not asked.
    use super::*;
    use alloc::vec;

    fn verdicts(answers: &[GuardAnswer]) -> Vec<(Guard, GuardVerdict)> {
        answers.iter().map(|it| (it.guard, it.verdict)).collect()
    }

    #[test]
    fn what_comes_after_a_block_is_not_asked() {
        let mut admission = Admission::default();
        admission.ask(Guard::Enabled, || GuardResult::pass("healing is on"));
        admission.ask(Guard::Hold, || Block::new("held for 3 s", State::Down).keyed("").into());
        admission.ask(Guard::Budget, || unreachable!("a guard before it has blocked"));
        assert!(!admission.is_open());
        let blocked = admission.finish().unwrap_err();
        assert_eq!(
            (blocked.guard(), blocked.words(), blocked.key()),
            (Guard::Hold, "held for 3 s", "")
        );
        assert_eq!((blocked.shown(), blocked.action()), (State::Down, ActionKind::None));
        let expected = vec![
            (Guard::Enabled, GuardVerdict::Passed),
            (Guard::Hold, GuardVerdict::Blocked),
            (Guard::Budget, GuardVerdict::NotAsked),
        ];
        assert_eq!(verdicts(&blocked.into_answers()), expected);
    }

    #[test]
    fn a_waived_guard_is_asked_and_says_who_set_it_aside() {
        let mut admission = Admission::default();
        let grace = || Block::new("inside its grace of 5 s", State::Unhealthy).into();
        admission.ask_unless_waived(Guard::Grace, Some("ann"), grace);
        admission.ask_unless_waived(Guard::Backoff, Some("ann"), || GuardResult::pass("the delay is over"));
        admission.ask(Guard::EngineFirst, || {
            GuardResult::Skip("it has no restart policy".into())
        });
        let answers = admission.finish().unwrap();
        let expected = vec![
            (Guard::Grace, GuardVerdict::Waived),
            (Guard::Backoff, GuardVerdict::Passed),
            (Guard::EngineFirst, GuardVerdict::NotAsked),
        ];
        assert_eq!(verdicts(&answers), expected);
        assert_eq!(answers[0].detail, "inside its grace of 5 s; waived by ann");
    }
}
