//! What is wrong with a watchdog itself, by what it is about: the only writer of conditions, in every role.
//!
//! A condition is news when it turns bad, turns good again, or is bad in other words. Numbers among the words change with
//! every probe; they alone are no news, but a name that differs in a digit is another name. Does not know who is told.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// One change of one condition, for the log and for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConditionChange {
    /// What it is about: `journal`, `engine`, `child docker`.
    pub about: String,
    /// In words: `Err` = bad.
    pub state: Result<String, String>,
}

/// The conditions that are bad now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conditions {
    bad: BTreeMap<String, String>,
}

impl Conditions {
    /// Most conditions at one time; further ones are still news, but are not kept.
    pub const COUNT_MAX: usize = 1024;

    /// Takes what is true now; returns it if it is news.
    pub fn set(&mut self, about: &str, state: Result<String, String>) -> Option<ConditionChange> {
        let is_news = match (&state, self.bad.get(about)) {
            (Ok(_), old) => old.is_some(),
            (Err(new), Some(old)) => !same_but_numbers(old, new),
            (Err(_), None) => true,
        };
        match &state {
            Ok(_) => {
                self.bad.remove(about);
            }
            Err(why) if self.bad.len() < Self::COUNT_MAX || self.bad.contains_key(about) => {
                self.bad.insert(about.to_string(), why.clone());
            }
            Err(_) => {}
        }
        is_news.then(|| ConditionChange {
            about: about.to_string(),
            state,
        })
    }

    /// True while it is bad.
    pub fn is_bad(&self, about: &str) -> bool {
        self.bad.contains_key(about)
    }

    /// What is bad, by what it is about, in words.
    pub fn bad(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bad.iter().map(|(about, why)| (about.as_str(), why.as_str()))
    }
}

/// True if two texts differ in numbers at most. A number stands alone, with a unit or without (`5 %`, `1.5 s`, `12ms`); the
/// digits of a name (`db2`, `web-1`, `10.0.0.7:22`) tell it from others.
pub fn same_but_numbers(one: &str, other: &str) -> bool {
    let words = str::split_whitespace;
    words(one).map(around_number).eq(words(other).map(around_number))
}

/// What stands before and after the number of a word; the whole word if it is a name.
fn around_number(word: &str) -> (&str, &str) {
    let start = word.find(char::is_alphanumeric).unwrap_or(word.len());
    let (before, rest) = word.split_at(start);
    let digits = |text: &str| text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(rest);
    let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
    let after = &rest[whole + if fraction == 0 { 0 } else { fraction + 1 }..];
    if whole == 0 || after.contains(|it: char| it.is_ascii_digit()) {
        return (word, "");
    }
    (before, after)
}

#[cfg(test)]
mod tests {
    //! What is news.
    use super::*;

    #[test]
    fn only_a_change_is_news() {
        let mut conditions = Conditions::default();
        let mut is_news = |state: Result<&str, &str>| {
            let state = state.map(ToString::to_string).map_err(ToString::to_string);
            conditions.set("disk", state).is_some()
        };
        assert!(!is_news(Ok("fine")), "it was never bad");
        assert!(is_news(Err("5 % are free")));
        assert!(!is_news(Err("4 % are free")), "numbers change with every look");
        assert!(is_news(Err("it cannot be read")));
        assert!(is_news(Ok("fine again")));
        assert!(!is_news(Ok("fine")));
    }

    #[test]
    fn a_number_is_no_news_and_a_name_is() {
        let same = [
            ("5 % are free", "95.5 % are free"),
            ("silent for 12ms", "silent for 1.5ms"),
            ("exited (137, again)", "exited (1, again)"),
            ("before 1012.345: so", "before 7: so"),
            ("the 5.", "the 12."),
        ];
        let other = [
            ("child db1 hangs", "child db2 hangs"),
            ("shop-web-1 hangs", "shop-web-2 hangs"),
            ("h1/docker/app/1", "h1/docker/app/2"),
            ("10.0.0.1 is silent", "10.0.0.2 is silent"),
            ("10.0:22 is silent", "10.0:23 is silent"),
            ("build 29.1.3", "build 29.1.4"),
            ("5s", "s"),
            ("5 s", "5 h"),
            ("5s", "5h"),
            ("(5 s", "5 s"),
            ("5", "5 again"),
            ("5 s", "many s"),
            ("5.", "5.5"),
        ];
        for (one, two) in same {
            assert!(same_but_numbers(one, two), "{one} | {two}");
        }
        for (one, two) in other {
            assert!(!same_but_numbers(one, two), "{one} | {two}");
        }
    }

    #[test]
    fn they_are_bounded() {
        let mut conditions = Conditions::default();
        for i in 0..Conditions::COUNT_MAX + 10 {
            assert!(conditions.set(&alloc::format!("c{i}"), Err(String::new())).is_some());
        }
        assert_eq!(conditions.bad().count(), Conditions::COUNT_MAX);
        assert!(conditions.is_bad("c0") && !conditions.is_bad("c1030"));
    }
}
