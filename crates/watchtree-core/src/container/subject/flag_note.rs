//! That a signal which is no stop has set the engine's manual-stop flag, as it is written down: nobody else remembers it over a
//! restart of this watchdog. Does not know what the flag is asked for.

use crate::container::io::{ContainerId, EngineTime, Record};
use crate::container::observation::ContainerObservation;
use crate::subject::SubjectId;

/// The first such signal since the flag was clear: further ones tell nothing new.
#[derive(Clone, Debug, Default)]
pub(super) struct FlagNote(Option<(ContainerId, EngineTime)>);

impl FlagNote {
    /// As the journal held it.
    pub(super) fn restore(noted: Option<(ContainerId, EngineTime)>) -> Self {
        Self(noted)
    }

    /// Such a signal was sent. Returns what is to be written down.
    pub(super) fn set(&mut self, subject: &SubjectId, id: &ContainerId, by: (EngineTime, u32)) -> Option<Record> {
        if self.0.as_ref().is_some_and(|(known, _)| known == id) {
            return None;
        }
        self.0 = Some((id.clone(), by.0));
        let (subject, id, by) = (subject.clone(), id.clone(), Some(by));
        Some(Record::FlagSet { subject, id, by })
    }

    /// It runs: a start by hand since has cleared the flag. Returns what is to be written down.
    pub(super) fn runs(&mut self, subject: &SubjectId, it: &ContainerObservation) -> Option<Record> {
        let is_clear = |(id, at): &mut (ContainerId, EngineTime)| id != it.id() || *at < it.flag_cleared();
        self.0.take_if(is_clear)?;
        let (subject, id, by) = (subject.clone(), it.id().clone(), None);
        Some(Record::FlagSet { subject, id, by })
    }
}

#[cfg(test)]
mod tests {
    //! Written down once, and once more when it is over.
    use super::*;
    use crate::container::io::{ContainerView, RunState};
    use crate::fixture::subject;
    use crate::time::Moment;
    use alloc::string::ToString;

    #[test]
    fn a_signal_is_noted_until_a_start_by_hand() {
        let (web, id) = (subject("h/d/web"), "c1".to_string());
        let running = |started, restart_count| {
            let mut it = ContainerObservation::new("c1".to_string(), Moment::ZERO);
            it.absorb(
                Moment::ZERO,
                ContainerView {
                    run: RunState::Running,
                    started_at: EngineTime(started),
                    restart_count,
                    ..ContainerView::default()
                },
            );
            it
        };
        let mut note = FlagNote::default();
        assert_eq!(note.runs(&web, &running(5, 0)), None);
        assert!(note.set(&web, &id, (EngineTime(10), 1)).is_some());
        assert_eq!(note.set(&web, &id, (EngineTime(11), 1)), None, "it is noted");
        assert_eq!(note.runs(&web, &running(5, 0)), None, "sent since");
        assert_eq!(
            note.runs(&web, &running(20, 1)),
            None,
            "the engine's own restart clears nothing"
        );
        assert!(note.runs(&web, &running(20, 0)).is_some());
        assert!(note.set(&web, &id, (EngineTime(21), 1)).is_some());
    }
}
