//! Calls that are not let through to the engine, a condition of our access to it: whose calls were denied and have not gone through
//! since. Knows no repair.

use super::io::{EngineError, Performed};
use super::refused_call;
use crate::subject::SubjectId;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};

/// See the module's text. As many as there are subjects at the most.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeniedCalls(BTreeSet<SubjectId>);

impl DeniedCalls {
    /// A call of that subject was answered. Returns the condition, where the answer tells of it.
    pub(crate) fn answered(
        &mut self,
        caller: Option<&SubjectId>,
        result: &Result<Performed, EngineError>,
    ) -> Option<Result<String, String>> {
        let caller = caller?;
        match result {
            Err(error @ EngineError::Refused { .. }) => match refused_call::denied(error) {
                Some(why) => {
                    self.0.insert(caller.clone());
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
        let was_last = self.0.remove(subject) && self.0.is_empty();
        was_last.then(|| Ok("calls go through to the engine".to_string()))
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
        let mut denied = DeniedCalls::default();
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
    }
}
