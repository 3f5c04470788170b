//! The conditions of a daemon: what is DEGRADED now, logged when it changes and not repeated.
//!
//! Contract: clones share one state. The effect executor reports; `/readyz` and the status API read. Does not know what a condition
//! causes.

use crate::clock::Clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use watchtree_core::conditions::same_but_numbers;
use watchtree_core::time::{Duration, Moment};

/// What is degraded now. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Conditions(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: BTreeMap<String, String>,
    logged: BTreeMap<String, Logged>,
}

/// The log's side of one topic.
#[derive(Debug, Default)]
struct Logged {
    /// The state that was last logged: `Some(why)` = degraded.
    state: Option<String>,
    at: Moment,
    /// Lines of the running minute, and how many more were not logged.
    lines: u32,
    hidden: u64,
}

impl Conditions {
    /// One topic logs at most this many lines a minute; more are counted and named with the next one.
    pub const LINES_PER_MINUTE_MAX: u32 = 6;
    /// More topics than this are not kept (each is a constant of the program: more is a defect). One that recovered makes
    /// room for another.
    pub const TOPICS_MAX: usize = 256;

    /// Nothing is degraded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the state of one topic and logs it if it is news: `Err(why)` = degraded, `Ok(words)` = well.
    /// Returns true if the state changed (also where the line was held back).
    pub fn report(&self, about: &str, state: &Result<String, String>) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.has_room_for(about) {
            return false;
        }
        let changed = match state {
            Ok(_) => inner.now.remove(about).is_some(),
            Err(why) => inner.now.insert(about.to_string(), why.clone()).as_ref() != Some(why),
        };
        let logged = inner.logged.entry(about.to_string()).or_default();
        match (logged.admit(Clock.now(), state.as_ref().err()), state) {
            (None, _) => {}
            (Some(0), Ok(words)) => tracing::info!(about, "recovered: {words}"),
            (Some(hidden), Ok(words)) => tracing::info!(about, hidden, "recovered: {words}"),
            (Some(0), Err(why)) => tracing::warn!(about, "DEGRADED: {why}"),
            (Some(hidden), Err(why)) => tracing::warn!(about, hidden, "DEGRADED: {why}"),
        }
        changed
    }

    /// Everything that is degraded now: (topic, why).
    pub fn degraded(&self) -> Vec<(String, String)> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .now
            .iter()
            .map(|(about, why)| (about.clone(), why.clone()))
            .collect()
    }
}

impl Inner {
    fn has_room_for(&mut self, about: &str) -> bool {
        if self.logged.len() < Conditions::TOPICS_MAX || self.logged.contains_key(about) {
            return true;
        }
        let well = self.logged.keys().find(|topic| !self.now.contains_key(*topic)).cloned();
        well.is_some_and(|topic| self.logged.remove(&topic).is_some())
    }
}

impl Logged {
    /// `Some(hidden lines before it)` if a line shall be written.
    fn admit(&mut self, now: Moment, state: Option<&String>) -> Option<u64> {
        // A figure that moves (`load 15.4`, `silent for 8 s`) is no news; other words are.
        let is_same = match (&self.state, state) {
            (None, None) => true,
            (Some(logged), Some(why)) => same_but_numbers(logged, why),
            _ => false,
        };
        if is_same {
            return None;
        }
        if Duration::from_secs(60) <= now.since(self.at) {
            (self.at, self.lines) = (now, 0);
        }
        if Conditions::LINES_PER_MINUTE_MAX <= self.lines {
            self.hidden += 1;
            return None;
        }
        self.lines += 1;
        self.state = state.cloned();
        Some(std::mem::take(&mut self.hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_moves_is_no_news() {
        let mut logged = Logged::default();
        let at = Moment::from_millis(100_000);
        assert_eq!(logged.admit(at, Some(&"load 15.4 on 2 processors".into())), Some(0));
        assert_eq!(logged.admit(at, Some(&"load 9 on 2 processors".into())), None);
        assert_eq!(logged.admit(at, Some(&"disk /dev/sda1 is full".into())), Some(0));
        assert_eq!(logged.admit(at, Some(&"disk /dev/sda2 is full".into())), Some(0));
    }

    #[test]
    fn only_news_is_logged_and_not_too_much_of_it() {
        let mut logged = Logged::default();
        let down = "no engine".to_string();
        let start = Moment::from_millis(100_000);
        assert_eq!(logged.admit(start, None), None, "being well at the start is no news");
        assert_eq!(logged.admit(start, Some(&down)), Some(0));
        assert_eq!(logged.admit(start, Some(&down)), None, "the same again is no news");
        for _ in 0..20 {
            logged.admit(start, None);
            logged.admit(start, Some(&down));
        }
        assert_eq!(logged.lines, Conditions::LINES_PER_MINUTE_MAX);
        let later = start + Duration::from_secs(61);
        logged
            .admit(later, None)
            .or_else(|| logged.admit(later, Some(&down)))
            .expect("a new minute, a new line");
    }

    #[test]
    fn what_is_degraded_can_be_asked() {
        let conditions = Conditions::new();
        assert!(conditions.report("engine", &Err("not reachable".into())));
        assert!(!conditions.report("engine", &Err("not reachable".into())));
        assert_eq!(
            conditions.degraded(),
            [("engine".to_string(), "not reachable".to_string())]
        );
        assert!(conditions.report("engine", &Ok("answers again".into())));
        assert!(conditions.degraded().is_empty());
    }

    #[test]
    fn topics_that_recovered_make_room() {
        let conditions = Conditions::new();
        let max = Conditions::TOPICS_MAX;
        for topic in 0..3 * max {
            let about = format!("topic {topic}");
            assert!(conditions.report(&about, &Err("ill".into())), "{about}");
            conditions.report(&about, &Ok("well".into()));
        }
        for topic in 0..2 * max {
            conditions.report(&format!("topic {topic}"), &Err("ill".into()));
        }
        assert_eq!(
            conditions.degraded().len(),
            max,
            "what is ill is never forgotten, nor more of it kept"
        );
    }
}
