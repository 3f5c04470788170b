//! Calls that the engine refuses for a cause that is no container's: a filter before its socket, a disk that is full. A condition of this
//! watchdog: whose calls were refused for it and have not gone through since. Knows no repair.

use super::io::{EngineError, Performed};
use super::refused_call;
use crate::subject::SubjectId;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

/// Of one cause; see the module's text.
#[derive(Clone, Debug)]
pub(crate) struct DeniedCalls {
    /// What the condition is about.
    about: &'static str,
    /// The cause in words, if that answer is of it.
    reads: fn(&EngineError) -> Option<String>,
    /// What is said when it is over.
    over: &'static str,
    /// As many as there are subjects at the most.
    subjects: BTreeSet<SubjectId>,
}

impl DeniedCalls {
    /// Both causes that are known.
    pub(crate) fn all() -> [Self; 2] {
        let of = |about, reads, over| Self {
            about,
            reads,
            over,
            subjects: BTreeSet::new(),
        };
        [
            of("access", refused_call::denied, "calls go through to the engine"),
            of("disk", refused_call::disk_full, "the engine has room on its disk again"),
        ]
    }

    /// What the condition is about.
    pub(crate) fn about(&self) -> &'static str {
        self.about
    }

    /// A call of that subject was answered. Returns the condition, where the answer tells of it.
    pub(crate) fn answered(
        &mut self,
        caller: Option<&SubjectId>,
        result: &Result<Performed, EngineError>,
    ) -> Option<Result<String, String>> {
        let caller = caller?;
        match result {
            Err(error @ EngineError::Refused { .. }) => match (self.reads)(error) {
                Some(why) => {
                    self.subjects.insert(caller.clone());
                    Some(Err(why))
                }
                None => self.let_through(caller),
            },
            Ok(_) | Err(EngineError::NotFound) => self.let_through(caller),
            Err(EngineError::Deadline | EngineError::Unreachable(_) | EngineError::BadAnswer(_)) => None,
        }
    }

    /// Its calls go through, or it wants none any more. Returns the condition, if nobody else is denied.
    pub(crate) fn let_through(&mut self, subject: &SubjectId) -> Option<Result<String, String>> {
        let was_last = self.subjects.remove(subject) && self.subjects.is_empty();
        was_last.then(|| Ok(self.over.to_string()))
    }
}

#[cfg(test)]
mod tests {
    //! Bad while one is denied, and not for ever.
    use super::*;
    use crate::fixture::subject;

    #[test]
    fn it_is_bad_until_the_last_that_was_denied_goes_through_or_is_gone() {
        let [a, b] = [subject("h/d/a"), subject("h/d/b")];
        let status = |status| {
            Err(EngineError::Refused {
                status,
                message: String::new(),
            })
        };
        let [mut denied, mut full] = DeniedCalls::all();
        assert_eq!(denied.answered(Some(&a), &status(500)), None);
        for it in [&a, &b] {
            assert!(matches!(denied.answered(Some(it), &status(403)), Some(Err(_))));
        }
        assert_eq!(
            denied.answered(Some(&a), &Err(EngineError::Deadline)),
            None,
            "nobody knows"
        );
        assert_eq!(denied.answered(Some(&a), &status(500)), None, "b is left");
        assert!(matches!(denied.let_through(&b), Some(Ok(_))));
        assert_eq!(denied.let_through(&b), None);
        let no_space = Err(EngineError::Refused {
            status: 500,
            message: "mkdir /x: no space left on device".into(),
        });
        assert!(matches!(full.answered(Some(&a), &no_space), Some(Err(_))));
        assert_eq!((full.about(), denied.answered(Some(&a), &no_space)), ("disk", None));
        assert!(matches!(full.answered(Some(&a), &Ok(Performed::Done)), Some(Ok(_))));
    }
}
