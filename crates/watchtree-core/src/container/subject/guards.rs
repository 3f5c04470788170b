//! The guards of a container before a start, and before a stop that a start follows, in order: answers from what is known.
//! Those of budget, back-off and place are the supervisor's. Has no effects: where a guard needs a fresh inspection, it says so.

use super::around::Around;
use super::assess;
use super::first;
use super::present::PresentIncarnation;
use super::stable_run::STABLE_AFTER;
use super::stale::Stale;
use super::words::{enabled, what_failed, why_no_check};
use crate::container::health_check::HealthEvidence;
use crate::container::io::RestartPolicy;
use crate::container::namespace_away::NamespaceAway;
use crate::container::naming::runs_once;
use crate::container::policy::ContainerPolicy;
use crate::container::recreate::needs_recreate;
use crate::container::settings::HealMode;
use crate::decision::Guard;
use crate::supervisor::{Admission, Block, ExitClass, ExitRecord, GuardResult, Supervision};
use crate::time::{Duration, Moment, seconds};
use crate::verdict::State;
use alloc::format;
use alloc::string::ToString;

/// The engine's own restart policy gets this long for the first restart.
const ENGINE_FIRST: Duration = Duration::from_secs(2);
/// An inspection may get no answer: then it is asked for again.
const INSPECT_AGAIN: Duration = Duration::from_secs(5);

/// What the guards of one container ask.
pub(super) struct ContainerGuards<'a> {
    pub(super) now: Moment,
    pub(super) policy: &'a ContainerPolicy,
    pub(super) present: &'a PresentIncarnation,
    /// This container came up once.
    pub(super) had_stable_run: bool,
    pub(super) around: &'a Around<'a>,
    pub(super) supervision: &'a Supervision,
    /// The startup grace of the present incarnation.
    pub(super) grace: Duration,
    /// Until when a stop of ours may still be under way in the engine, though its repair is over.
    pub(super) stopping_until: Option<Moment>,
    /// It is well, and to be restarted after another.
    pub(super) stale: Option<&'a Stale>,
}

impl ContainerGuards<'_> {
    /// Asks the guards before a start. True if a fresh inspection is wanted.
    pub(super) fn before_start(&self, admission: &mut Admission) -> bool {
        let (supervision, waiver) = (self.supervision, self.supervision.waiver());
        let Some(exit) = supervision.exit() else { return false };
        admission.ask(Guard::OperatorIntent, || supervision.guard_exit(Guard::OperatorIntent));
        admission.ask(Guard::MeantToRun, || supervision.guard_exit(Guard::MeantToRun));
        admission.ask(Guard::Enabled, || match exit.is_own_stop() {
            true => GuardResult::pass("what we stopped, we start"),
            false => enabled(self.policy.heals_crash(self.around.settings.heal), State::Down),
        });
        // What we stopped, we start.
        if !exit.is_own_stop() {
            let is_failure = exit.class() == ExitClass::Crash;
            admission.ask_unless_waived(Guard::MeantToRun, waiver, || self.is_service(is_failure));
        }
        admission.ask_unless_waived(Guard::KnownCause, exit.asked_by(), || {
            supervision.guard_exit(Guard::KnownCause)
        });
        first::ask(self.now, self.around, supervision, admission);
        let wants_inspection = self.ask_engine_first(admission);
        self.ask_common(admission, State::Stopped);
        wants_inspection
    }

    /// Asks the guards before a stop of what runs. True if a fresh inspection is wanted.
    pub(super) fn before_stop(&self, admission: &mut Admission) -> bool {
        let (now, around) = (self.now, self.around);
        let health = around.observation.health();
        admission.ask(Guard::KnownCause, || match health {
            _ if self.stale.is_some() => GuardResult::pass(self.stale.map_or("", Stale::cause)),
            // Whatever its check came to: there is nothing left to check.
            _ if assess::is_phantom(now, around.observation) => {
                GuardResult::pass("the kernel shows the end of its process")
            }
            // Not even for a person who asks for a retry: nobody knows that it is ill.
            Some(HealthEvidence::CannotRun) => {
                let why = why_no_check(around.observation);
                Block::new(why, State::Degraded).keyed("its check cannot be run").into()
            }
            _ => GuardResult::pass(format!("{} ran and failed", what_failed(around.observation))),
        });
        let heals = self.policy.heals_unhealthy(around.settings.heal);
        admission.ask(Guard::Enabled, || enabled(heals, State::Unhealthy));
        // What a stop would end, no start brings back: not even where a person asked for a retry.
        admission.ask(Guard::MeantToRun, || {
            match around.observation.view().and_then(runs_once) {
                Some(why) => Block::new(why, State::Unhealthy).into(),
                None => GuardResult::pass("it is meant to be kept up"),
            }
        });
        admission.ask_unless_waived(Guard::MeantToRun, self.supervision.waiver(), || self.is_service(false));
        let continuity = around.continuity;
        let is_old = !continuity.is_live(now) && !around.observation.was_inspected_since(continuity.whole_since());
        let gap = continuity.gap_until();
        let wants_inspection = admission.is_open() && gap.is_none() && is_old;
        admission.ask(Guard::KnownCause, || {
            let block = |why: &str, until| Block::new(why, State::Unhealthy).until(until).quietly().into();
            match gap {
                Some(until) => block("waits until the event stream is whole again", until),
                None if is_old => block("old news: inspecting whether it is still so", now + INSPECT_AGAIN),
                None => GuardResult::pass("it was seen to be so just now"),
            }
        });
        admission.ask(Guard::KnownCause, || self.startable());
        self.ask_being_stopped(admission);
        admission.ask(Guard::InFlight, || match self.stopping_until {
            Some(until) if now < until => {
                let why = "an earlier stop of ours may still be under way in the engine";
                Block::new(why, State::GivenUp).until(until).into()
            }
            _ => GuardResult::pass("no stop of ours is under way"),
        });
        admission.ask_unless_waived(Guard::Grace, self.supervision.waiver(), || {
            if self.stale.is_some() {
                return GuardResult::Skip("it has not failed".to_string());
            }
            let until = self.present.since() + self.grace;
            if now < until {
                let why = format!("inside its grace of {} after the start", seconds(self.grace));
                return Block::new(why, State::Unhealthy).until(until).keyed("").into();
            }
            GuardResult::pass("its grace is over")
        });
        admission.ask_unless_waived(Guard::Grace, self.supervision.waiver(), || {
            let (Some((wanted, source)), Some(since)) = (self.policy.unhealthy_for(), self.present.ill_since()) else {
                return GuardResult::pass("nothing says to wait");
            };
            let until = since + *wanted;
            if now < until {
                let why = format!(
                    "to be unhealthy for {} before anything is done ({source})",
                    seconds(*wanted)
                );
                return Block::new(why, State::Unhealthy).until(until).keyed("").into();
            }
            GuardResult::pass("it was unhealthy for long enough")
        });
        self.ask_common(admission, State::Unhealthy);
        wants_inspection
    }

    /// Could it be started again, once it is stopped?
    fn startable(&self) -> GuardResult {
        let why = match &self.around.away {
            None | Some(NamespaceAway::Renewed { .. }) => {
                return GuardResult::pass("nothing is known that would refuse its start");
            }
            Some(NamespaceAway::Down(namespace, owner)) => {
                let what = namespace.as_str();
                format!("it joins the {what} of {owner}, which does not run: stopped, it could not be started again")
            }
            Some(NamespaceAway::Gone(namespace)) => {
                let (what, cure) = (namespace.as_str(), needs_recreate(self.around.observation.view()));
                format!("the container whose {what} it joins was removed or made anew: {cure}")
            }
        };
        Block::new(why, State::Unhealthy).into()
    }

    /// Where all containers are healed: is it a service, and nothing that somebody began and waits for? Whoever labelled it
    /// or gave it a restart policy has said so. `is_failure`: it ended, by its own fault.
    fn is_service(&self, is_failure: bool) -> GuardResult {
        let Some(view) = self.around.observation.view() else {
            return GuardResult::Skip("it was not inspected yet".to_string());
        };
        if self.around.settings.heal != HealMode::All || self.policy.is_wanted() {
            return GuardResult::pass("it is labelled");
        }
        if view.restart_policy != RestartPolicy::No {
            return GuardResult::pass("it has a restart policy");
        }
        if view.terminal {
            let why = "it has a terminal and no restart policy: left to whoever began it";
            return Block::new(why, State::Stopped).into();
        }
        if is_failure && !self.had_stable_run {
            let why = format!(
                "it was never seen to run for {} and has no restart policy: taken for a job, or for a mistake in its making; \
                 label watchtree.enable=true heals it all the same",
                seconds(STABLE_AFTER)
            );
            return Block::new(why, State::Down).into();
        }
        GuardResult::pass("it came up, and nothing says that it is a job")
    }

    /// A container with a restart policy gets its first restart from the engine. True if a fresh inspection is wanted.
    fn ask_engine_first(&self, admission: &mut Admission) -> bool {
        let (now, waiver, it) = (self.now, self.supervision.waiver(), &*self.around.observation);
        let until = self.supervision.exit().map_or(now, ExitRecord::at) + ENGINE_FIRST;
        let is_due = until <= now;
        let is_outdated = is_due && !it.was_inspected_since(until);
        let restarts = it.engine_restarts();
        let wants_inspection = admission.is_open() && restarts && is_outdated && waiver.is_none();
        admission.ask_unless_waived(Guard::EngineFirst, waiver, || {
            let wait = Block::new("the engine's own restart policy goes first", State::Repairing).quietly();
            match (restarts, is_due, is_outdated) {
                (false, ..) => GuardResult::pass("the engine will not restart it"),
                (true, false, _) => wait.until(until).into(),
                (true, true, true) => wait.until(now + INSPECT_AGAIN).into(),
                (true, true, false) => {
                    GuardResult::pass("the engine has a restart policy for it and did not act on it")
                }
            }
        });
        wants_inspection
    }

    /// Is somebody stopping it just now? A stop of ours would cut theirs short. A retry that was asked for since waives what goes beyond the ordinary time of a
    /// stop, and no more.
    fn ask_being_stopped(&self, admission: &mut Admission) {
        let (now, it, signal_at) = (self.now, &*self.around.observation, self.present.signal_at());
        let ordinary = it.stop_terms().ordinary();
        let patience = if it.has_foreign_signal() {
            it.stop_terms().patience()
        } else {
            ordinary
        };
        let waiver = self.supervision.waiver();
        let is_ordinary = signal_at.is_some_and(|at| now < at + ordinary);
        let until = signal_at.map(|at| match waiver {
            Some(_) if is_ordinary => at + ordinary,
            _ => at + patience,
        });
        let waiver = waiver.filter(|_| !is_ordinary);
        admission.ask_unless_waived(Guard::OperatorIntent, waiver, || match until {
            Some(until) if now < until => {
                let why = "somebody sent it a stop signal, and it may be ending as it should";
                Block::new(why, State::Unhealthy).until(until).into()
            }
            _ => GuardResult::pass("nobody is stopping it"),
        });
    }

    /// Guards of every action on it: is anything else in the way? `shown` where it is somebody else's by now.
    fn ask_common(&self, admission: &mut Admission, shown: State) {
        let around = self.around;
        admission.ask_unless_waived(Guard::Deploy, self.supervision.waiver(), || match &around.replaced {
            Some((name, until)) => {
                let why = format!("its name {name} was given to another container: left to whoever deploys");
                Block::new(why, shown).until(until.unwrap_or(Moment::FAR_FUTURE)).into()
            }
            None => GuardResult::pass("no other container has its name"),
        });
        admission.ask(Guard::Deploy, || match around.deploy_until.max(around.named_until) {
            Some(until) => Block::new("its service, or its name, is being deployed", State::Repairing)
                .until(until)
                .into(),
            None => GuardResult::pass("no deployment of its service was seen"),
        });
        admission.ask(Guard::Hold, || match &around.hold {
            Some((by, until)) => {
                let why = format!("held for {} more (hold on {by})", seconds(*until - self.now));
                Block::new(why, State::Down).until(*until).keyed("").into()
            }
            None => GuardResult::pass("not held"),
        });
        admission.ask(Guard::InFlight, || {
            if around.is_busy {
                let why = "an earlier call of ours may still be under way in the engine";
                return Block::new(why, State::GivenUp).into();
            }
            GuardResult::pass("no call of ours is under way")
        });
    }
}

#[cfg(test)]
mod tests {
    //! Which guard blocks, and when an inspection is wanted.
    use super::*;
    use crate::container::continuity::EventContinuity;
    use crate::container::engine_lives::EngineLives;
    use crate::container::io::{ContainerView, EngineEvent, EngineTime, EventAction, RunState, Ticket};
    use crate::container::observation::ContainerObservation;
    use crate::container::settings::ContainerSettings;
    use crate::fixture::{identity, subject};
    use crate::id::Tier;

    const SETTLE: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    /// One that the engine restarts by its policy, inspected at 3 s; events are whole since 2 s.
    struct Case {
        settings: ContainerSettings,
        policy: ContainerPolicy,
        observation: ContainerObservation,
        continuity: EventContinuity,
        present: PresentIncarnation,
        supervision: Supervision,
        stopping_until: Option<Moment>,
    }

    impl Case {
        fn new(run: RunState) -> Self {
            let mut settings = ContainerSettings::new(identity("c", Tier::Container, 1), subject("h/d"));
            settings.heal = HealMode::All;
            let mut continuity = EventContinuity::new(at(0), None, SETTLE);
            continuity.opened(at(0));
            assert!(continuity.settle(at(2000)).is_some());
            let mut observation = ContainerObservation::new("c1".to_string(), at(0));
            observation.absorb(
                at(3000),
                ContainerView {
                    run,
                    started_at: EngineTime(1),
                    started_at_text: "1".to_string(),
                    restart_policy: RestartPolicy::Always,
                    stop_signal: 15,
                    ..ContainerView::default()
                },
            );
            Self {
                policy: ContainerPolicy::of(observation.view().unwrap(), &settings),
                settings,
                observation,
                continuity,
                present: PresentIncarnation::default(),
                supervision: Supervision::default(),
                stopping_until: None,
            }
        }

        /// The guard that blocks, and whether an inspection is wanted.
        fn asked(&mut self, now: Moment, is_down: bool, is_busy: bool) -> (Option<Guard>, bool) {
            let around = Around {
                settings: &self.settings,
                observation: &mut self.observation,
                continuity: &self.continuity,
                lives: &EngineLives::new(crate::id::BootId::default(), alloc::vec::Vec::new()),
                policy: self.settings.policy,
                deploy_until: None,
                named_until: None,
                replaced: None,
                hold: None,
                away: None,
                parents: crate::container::relatives::Parents::default(),
                is_leaving: false,
                is_busy,
                ticket: Ticket(1),
            };
            let guards = ContainerGuards {
                now,
                policy: &self.policy,
                present: &self.present,
                had_stable_run: false,
                around: &around,
                supervision: &self.supervision,
                grace: Duration::ZERO,
                stopping_until: self.stopping_until,
                stale: None,
            };
            let mut admission = Admission::default();
            let wants_inspection = match is_down {
                true => guards.before_start(&mut admission),
                false => guards.before_stop(&mut admission),
            };
            (admission.finish().err().map(|it| it.guard()), wants_inspection)
        }
    }

    #[test]
    fn the_engine_goes_first_and_is_inspected_before_it_is_held_to_have_done_nothing() {
        let mut case = Case::new(RunState::Exited);
        let life = case.observation.incarnation();
        let exit = ExitRecord::new(life, ExitClass::Crash, at(2500), "exited (1)", "nobody stopped it");
        case.supervision.set_exit(exit);
        assert_eq!(case.asked(at(4499), true, false), (Some(Guard::EngineFirst), false));
        assert_eq!(case.asked(at(4500), true, false), (Some(Guard::EngineFirst), true));
        case.observation.begin_inspection(at(4500));
        let view = case.observation.view().unwrap().clone();
        case.observation.absorb(at(4501), view);
        assert_eq!(case.asked(at(4502), true, false), (None, false));
        assert_eq!(case.asked(at(4502), true, true), (Some(Guard::InFlight), false));
    }

    #[test]
    fn what_somebody_is_stopping_is_not_stopped_by_us() {
        let mut case = Case::new(RunState::Running);
        assert_eq!(case.asked(at(3000), false, false), (None, false));
        let kill = EngineEvent {
            at: EngineTime(2),
            id: "c1".to_string(),
            name: "web".to_string(),
            compose: None,
            action: EventAction::Kill { signal: 15 },
        };
        assert!(case.observation.take(at(3000), &kill, true));
        case.present.saw_signal(at(3000));
        let intent = (Some(Guard::OperatorIntent), false);
        assert_eq!(case.asked(at(602_999), false, false), intent, "it may have any time");
        assert_eq!(case.asked(at(603_000), false, false), (None, false));
    }

    #[test]
    fn a_stop_of_ours_that_lingers_is_not_followed_by_another() {
        let mut case = Case::new(RunState::Running);
        case.stopping_until = Some(at(4000));
        assert_eq!(case.asked(at(3999), false, false), (Some(Guard::InFlight), false));
        assert_eq!(case.asked(at(4000), false, false), (None, false));
    }

    #[test]
    fn what_was_seen_before_a_gap_is_inspected_before_a_stop() {
        let mut case = Case::new(RunState::Running);
        case.continuity.broke(at(4000), false);
        assert_eq!(case.asked(at(4000), false, false), (Some(Guard::KnownCause), false));
        case.continuity.opened(at(4000));
        assert!(case.continuity.settle(at(6000)).is_some());
        assert_eq!(case.asked(at(6000), false, false), (Some(Guard::KnownCause), true));
    }
}
