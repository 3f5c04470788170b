//! How a container stands for those that depend on it: down, on its way, or well. Pure; knows no graph and no supervisor.

use super::health_check::HealthEvidence;
use super::io::Inodes;
use super::observation::{ContainerObservation, Status};
use crate::time::Moment;

/// See the module's text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// Nothing is known of it yet, or an inspection is about to tell.
    Unclear,
    /// It does not run; with what it ended last.
    Down {
        /// 0 where it never ran.
        exit_code: i64,
    },
    Paused,
    /// It runs, and its health check has not passed yet, or fails.
    Unwell,
    /// It runs, and nothing says that it is not well.
    Well,
}

impl Standing {
    pub(crate) fn of(it: &ContainerObservation) -> Self {
        match it.status() {
            _ if !it.is_current() => Self::Unclear,
            Status::Unknown => Self::Unclear,
            Status::Created | Status::Backoff | Status::Down | Status::Removing => Self::Down {
                exit_code: it.exit_code(),
            },
            // The kernel is faster than the engine: of many that end at once each is known to be down before the first is started.
            Status::Running | Status::Paused if is_ending(it) => Self::Unclear,
            Status::Paused => Self::Paused,
            Status::Running if it.is_being_inspected() => Self::Unclear,
            Status::Running => match it.health() {
                Some(HealthEvidence::NoCheck | HealthEvidence::Passing | HealthEvidence::CannotRun) => Self::Well,
                Some(HealthEvidence::NotYet | HealthEvidence::Failing) => Self::Unwell,
                None => Self::Unclear,
            },
        }
    }
}

/// The kernel says that the process which it is believed to run as has ended: the engine's word of it is still to come.
pub(crate) fn is_ending(it: &ContainerObservation) -> bool {
    it.view().is_some_and(|view| it.processes().has_ended(view.pid))
}

/// The namespaces of its present life, and since when they are known; `None` if it does not run, or they are not known.
pub(crate) fn namespaces(it: &ContainerObservation) -> Option<(&Inodes, Moment)> {
    let view = it
        .view()
        .filter(|_| it.is_current() && it.status() == Status::Running)?;
    it.processes().namespaces_of(view.pid)
}

#[cfg(test)]
mod tests {
    //! What it takes to be well, and that the kernel is believed before the engine.
    use super::*;
    use crate::container::io::{ContainerView, EngineTime, Health, RunState};

    fn seen(run: RunState, health: Health) -> ContainerObservation {
        let mut it = ContainerObservation::new("db".into(), Moment::ZERO);
        assert!(it.begin_inspection(Moment::ZERO));
        let view = ContainerView {
            id: "db".into(),
            run,
            pid: 7,
            exit_code: 3,
            health,
            started_at: EngineTime(1),
            started_at_text: "1".into(),
            ..ContainerView::default()
        };
        it.absorb(Moment::ZERO, view);
        it
    }

    #[test]
    fn one_with_a_check_is_well_when_that_has_passed() {
        for (run, health, expected) in [
            (RunState::Running, Health::None, Standing::Well),
            (RunState::Running, Health::Healthy, Standing::Well),
            (RunState::Running, Health::Starting, Standing::Unwell),
            (RunState::Paused, Health::None, Standing::Paused),
            (RunState::Created, Health::None, Standing::Down { exit_code: 3 }),
            (RunState::Restarting, Health::None, Standing::Down { exit_code: 3 }),
            (RunState::Exited, Health::None, Standing::Down { exit_code: 3 }),
        ] {
            assert_eq!(Standing::of(&seen(run, health)), expected, "{run:?} {health:?}");
        }
        let nothing = ContainerObservation::new("db".into(), Moment::ZERO);
        assert_eq!(Standing::of(&nothing), Standing::Unclear);
    }

    #[test]
    fn one_whose_process_has_ended_is_not_well_whatever_the_engine_says() {
        let mut it = seen(RunState::Running, Health::Healthy);
        it.processes_mut().ended(Moment::ZERO, 6);
        assert_eq!(Standing::of(&it), Standing::Well, "that was another process");
        it.processes_mut().ended(Moment::ZERO, 7);
        assert_eq!(Standing::of(&it), Standing::Unclear);
        it.processes_mut().held(Moment::ZERO, 7, Inodes::new());
        assert_eq!(Standing::of(&it), Standing::Well, "the number was given anew");
        assert!(it.begin_inspection(Moment::ZERO));
        assert_eq!(Standing::of(&it), Standing::Unclear, "an inspection is about to tell");
    }
}
