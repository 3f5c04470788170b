//! The guards of a container before a start, and before a stop that a start follows, in order. Each is a pure answer from
//! what is known. Those of budget, back-off and place are the supervisor's.

use super::*;

impl ContainerSubject {
    /// Guards of every action on it: is anything else in the way?
    pub(super) fn ask_common(around: &Around<'_>, now: Moment, admission: &mut Admission) {
        admission.ask(Guard::Observer, || {
            if around.is_leaving {
                let why = "this watchdog is about to stop; its successor goes on";
                return Block::new(why, State::Repairing).quietly().into();
            }
            GuardResult::pass("this watchdog goes on")
        });
        admission.ask(Guard::Deploy, || match around.deploy_until {
            Some(until) => Block::new("its compose service is being deployed", State::Repairing)
                .until(until)
                .into(),
            None => GuardResult::pass("no deployment of its service was seen"),
        });
        admission.ask(Guard::Hold, || match &around.hold {
            Some((by, until)) => {
                let why = format!("held for {} more (hold on {by})", seconds(*until - now));
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

    pub(super) fn guards_before_start(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        let Some(exit) = supervision.exit() else { return };
        let waiver = supervision.waiver();
        admission.ask(Guard::OperatorIntent, || supervision.guard_exit(Guard::OperatorIntent));
        admission.ask(Guard::MeantToRun, || supervision.guard_exit(Guard::MeantToRun));
        admission.ask(Guard::Enabled, || {
            enabled(self.labels.heals_crash(around.settings.heal), State::Down)
        });
        if exit.class().wants_restart() {
            admission.ask_unless_waived(Guard::KnownCause, waiver, || supervision.guard_exit(Guard::KnownCause));
        } else {
            let asked_by = exit.asked_by();
            admission.ask_unless_waived(Guard::KnownCause, asked_by, || {
                supervision.guard_exit(Guard::KnownCause)
            });
            if let Some(why) = exit.unrecoverable() {
                let block = || Block::new(why, State::GivenUp).into();
                admission.ask_unless_waived(Guard::KnownCause, waiver, block);
            }
        }
        if let Some(owner) = &around.network_away {
            let why = format!("it joins the network of {owner}, which does not run: waits for it");
            admission.ask_unless_waived(Guard::KnownCause, waiver, || Block::new(why, State::Down).into());
        }
        self.ask_engine_first(now, around, supervision, admission, out);
        Self::ask_common(around, now, admission);
    }

    /// A container with a restart policy gets its first restart from the engine.
    pub(super) fn ask_engine_first(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        let (waiver, it) = (supervision.waiver(), &*around.observation);
        let until = supervision.exit().map_or(now, ExitRecord::at) + ENGINE_FIRST;
        let is_due = until <= now;
        let is_outdated = is_due && !it.was_inspected_since(until);
        let restarts = it.engine_restarts();
        let inspects = admission.is_open() && restarts && is_outdated && waiver.is_none();
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
        if inspects {
            Self::inspect(around, now, out);
        }
    }

    pub(super) fn guards_before_stop(
        &self,
        now: Moment,
        around: &mut Around<'_>,
        supervision: &Supervision,
        admission: &mut Admission,
        out: &mut Out<'_>,
    ) {
        let waiver = supervision.waiver();
        let heals = self.labels.heals_unhealthy(around.settings.heal);
        admission.ask(Guard::Enabled, || enabled(heals, State::Unhealthy));
        // What a stop would end, no start brings back: not even where a person asked for a retry.
        admission.ask(Guard::MeantToRun, || {
            match around.observation.view().and_then(runs_once) {
                Some(why) => Block::new(why, State::Unhealthy).into(),
                None => GuardResult::pass("it is meant to be kept up"),
            }
        });
        let continuity = around.continuity;
        let is_old = !continuity.is_live(now) && !around.observation.was_inspected_since(continuity.whole_since());
        let gap = continuity.gap_until();
        let inspects = admission.is_open() && gap.is_none() && is_old;
        admission.ask(Guard::KnownCause, || {
            let block = |why: &str, until| Block::new(why, State::Unhealthy).until(until).quietly().into();
            match gap {
                Some(until) => block("waits until the event stream is whole again", until),
                None if is_old => block("old news: inspecting whether it is still so", now + INSPECT_AGAIN),
                None => GuardResult::pass("it was seen to be so just now"),
            }
        });
        if inspects {
            Self::inspect(around, now, out);
        }
        self.ask_being_stopped(now, around.observation, waiver, admission);
        let grace = self.grace(around, supervision);
        admission.ask_unless_waived(Guard::Grace, waiver, || {
            let until = self.life_since + grace;
            if now < until {
                let why = format!("inside its grace of {} after the start", seconds(grace));
                return Block::new(why, State::Unhealthy).until(until).keyed("").into();
            }
            GuardResult::pass("its grace is over")
        });
        Self::ask_common(around, now, admission);
    }

    /// Is somebody stopping it just now? A retry that was asked for since waives what goes beyond the ordinary time of a
    /// stop, and no more.
    pub(super) fn ask_being_stopped(
        &self,
        now: Moment,
        it: &ContainerObservation,
        waiver: Option<&str>,
        admission: &mut Admission,
    ) {
        let ordinary = it.stop_window();
        let patience = if it.has_foreign_signal() {
            ordinary.max(STOP_PATIENCE)
        } else {
            ordinary
        };
        let is_ordinary = self.signal_at.is_some_and(|at| now < at + ordinary);
        let until = self.signal_at.map(|at| match waiver {
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
}
