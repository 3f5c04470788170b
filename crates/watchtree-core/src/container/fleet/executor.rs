//! Lets one container's supervisor take a step, and carries out what it wants: with the settings, the places among the
//! engine's calls, the budget of all together, the deadlines and the ledger. Does not know which containers there are.

use super::engine_view::Seen;
use super::ledger::{Ledger, Queue};
use super::probing;
use super::watched::{Answered, Stepped, Watched};
use super::watchlist::Watchlist;
use crate::container::climate::Climate;
use crate::container::denied_calls::DeniedCalls;
use crate::container::engine_calls::{EngineCalls, Lane};
use crate::container::io::{CallAnswer, Captured, EngineError, Recovered, Ticket};
use crate::container::observation::ContainerObservation;
use crate::container::outbox::Outbox;
use crate::container::probes::prober::Prober;
use crate::container::record::{OpenRepair, RepairStep};
use crate::container::repair::Repair;
use crate::container::settings::ContainerSettings;
use crate::container::subject::{Around, Command};
use crate::deadlines::Deadlines;
use crate::random::mix;
use crate::recorder::Draft;
use crate::subject::SubjectId;
use crate::supervisor::{FleetBudget, Ill, Outbreaks, Place, Places, Terms};
use crate::time::Moment;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// See the module's text.
pub(super) struct Executor {
    settings: ContainerSettings,
    calls: EngineCalls,
    budget: FleetBudget,
    deadlines: Deadlines<SubjectId>,
    ledger: Ledger,
    denied: [DeniedCalls; 2],
    prober: Prober,
}

/// True if the events since the last one are wanted again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(super) struct Replay(pub(super) bool);

impl Executor {
    pub(super) fn new(settings: ContainerSettings) -> Self {
        let fleet_policy = settings.fleet_policy;
        let mut budget = FleetBudget::new(fleet_policy);
        budget.outbreaks_mut().expect_load();
        Self {
            calls: EngineCalls::new(fleet_policy.parallel),
            budget,
            deadlines: Deadlines::default(),
            ledger: Ledger::new(&settings),
            denied: DeniedCalls::all(),
            prober: Prober::new(settings.seed),
            settings,
        }
    }

    /// Takes over what the journal held of all together.
    pub(super) fn restore(&mut self, now: Moment, recovered: Recovered) {
        for charge in recovered.host_charges {
            self.budget.record_restart(self.settings.moment_before(now, charge));
        }
        self.ledger.restore(recovered.decisions);
    }

    pub(super) fn settings(&self) -> &ContainerSettings {
        &self.settings
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// An event came, for the first time or not.
    pub(super) fn count_event(&mut self, is_fresh: bool) {
        self.ledger.count_event(is_fresh);
    }

    /// Makes a record.
    pub(super) fn record(&mut self, now: Moment, draft: Draft, out: &mut Outbox) {
        self.ledger.record(now, draft, out);
    }

    /// The subject is looked at now: what it waited for is asked anew.
    pub(super) fn take_up(&mut self, sid: &SubjectId) {
        self.deadlines.disarm(sid);
        self.calls.unqueue(sid);
    }

    /// The subject is no more.
    pub(super) fn forget(&mut self, now: Moment, sid: &SubjectId) {
        self.calls.forget(sid);
        self.prober.forget(sid);
        self.budget.outbreaks_mut().forget(now, sid);
    }

    /// Who is ill, and whether many are at once.
    pub(super) fn outbreaks(&self) -> &Outbreaks {
        self.budget.outbreaks()
    }

    /// The same, to be told of what the list shows.
    pub(super) fn outbreaks_mut(&mut self) -> &mut Outbreaks {
        self.budget.outbreaks_mut()
    }

    pub(super) fn prober_mut(&mut self) -> &mut Prober {
        &mut self.prober
    }

    /// It is to be looked at then at the latest.
    pub(super) fn wake(&mut self, sid: &SubjectId, at: Moment) {
        self.deadlines.arm(sid.clone(), at);
    }

    /// A subject that is to be looked at now.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<SubjectId> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let outbreaks = self.outbreaks().next_deadline();
        let all = [self.deadlines.next(), self.prober.next_deadline(), outbreaks];
        all.into_iter().flatten().min()
    }

    /// Calls that are or may be under way.
    pub(super) fn open_calls(&self) -> Vec<Ticket> {
        self.calls.tickets()
    }

    pub(super) fn has_place(&self, lane: Lane) -> bool {
        self.calls.has_place(lane)
    }

    /// Who waits for a place and since when, while there is one.
    pub(super) fn take_queue(&mut self) -> Vec<(SubjectId, Lane, Moment)> {
        self.calls.take_queue()
    }

    /// It waits for a place since then.
    pub(super) fn wait(&mut self, sid: SubjectId, lane: Lane, since: Moment) {
        self.calls.wait(sid, lane, since);
    }

    fn place(&self, lane: Lane) -> Place {
        Place {
            is_free: self.calls.has_place_beside_queue(lane),
            under_way: self.calls.in_time(lane),
            long_wait: self.settings.start_deadline,
        }
    }

    /// Its supervisor takes a step.
    pub(super) fn step(
        &mut self,
        now: Moment,
        (sid, watched): (&SubjectId, &mut Watched),
        seen: Seen<'_>,
        climate: Climate<'_>,
        out: &mut Outbox,
    ) -> Replay {
        if climate.is_leaving && watched.repair().is_some_and(|it| it.overruled().is_some()) {
            // By a person, or by the engine of a machine that goes down: the journal keeps it open for the successor.
            return Replay(false);
        }
        self.follow(now, (sid, watched), seen.observation, climate);
        let policy = watched.policy(&self.settings);
        let places = Places {
            start: self.place(Lane::Starts),
            stop: self.place(Lane::Stops),
        };
        let around = Around {
            settings: &self.settings,
            observation: &mut *seen.observation,
            continuity: seen.continuity,
            lives: seen.lives,
            policy,
            deploy_until: seen.deploy_until,
            named_until: seen.named_until,
            replaced: seen.replaced,
            hold: climate.holds.on(sid).map(|(by, until)| (by.clone(), until)),
            away: seen.away,
            parents: seen.parents,
            is_leaving: climate.is_leaving,
            is_busy: self.calls.is_busy(sid),
            ticket: self.calls.next_ticket(),
        };
        let name = sid.as_str().bytes();
        let terms = Terms {
            policy,
            fleet: &mut self.budget,
            places,
            seed: name.fold(self.settings.seed, |seed, byte| mix(seed ^ u64::from(byte))),
        };
        let mut queue = Queue::new();
        let stepped = watched.step(now, around, terms, &mut self.ledger.outputs(&mut queue));
        let Stepped {
            wake,
            queued,
            engine_restarts,
        } = stepped;
        if let Some(at) = wake {
            self.wake(sid, at);
        }
        self.calls
            .reserve(sid, watched.repair().is_some_and(Repair::is_capturing));
        // What the step has found out of it may be another reason to probe it, or not to.
        self.follow(now, (sid, watched), seen.observation, climate);
        if watched.is_well() {
            self.wants_no_call(sid, out);
        }
        if let Some((ill, since)) = queued {
            let lane = match ill {
                Ill::Down => Lane::Starts,
                Ill::Running => Lane::Stops,
            };
            self.wait(sid.clone(), lane, since);
        }
        self.ledger.count_engine_restarts(engine_restarts);
        self.apply(now, sid, queue, out)
    }

    /// Probes it as it is now, and passes on what is proven.
    fn follow(
        &mut self,
        now: Moment,
        (sid, watched): (&SubjectId, &Watched),
        it: &mut ContainerObservation,
        climate: Climate<'_>,
    ) {
        let target = probing::target(watched, it, climate.is_leaving);
        let proven = self.prober.follow(now, sid, target);
        it.set_probes(proven);
    }

    /// Whether its calls are let through is no matter any more.
    fn wants_no_call(&mut self, sid: &SubjectId, out: &mut Outbox) {
        for denied in &mut self.denied {
            if let Some(state) = denied.let_through(sid) {
                out.condition(denied.about(), state);
            }
        }
    }

    fn apply(&mut self, now: Moment, sid: &SubjectId, queue: Queue, out: &mut Outbox) -> Replay {
        let (settings, calls) = (&self.settings, &mut self.calls);
        Replay(self.ledger.apply(now, sid, queue, settings, calls, out))
    }

    /// Its container was removed, and has no successor yet.
    pub(super) fn without_container(
        &mut self,
        now: Moment,
        (sid, watched): (&SubjectId, &mut Watched),
        out: &mut Outbox,
    ) -> Replay {
        self.prober.forget(sid);
        self.calls.reserve(sid, false);
        let mut queue = Queue::new();
        watched.without_container(now, &self.settings, &mut self.ledger.outputs(&mut queue));
        self.wants_no_call(sid, out);
        self.apply(now, sid, queue, out)
    }

    /// Goes on with a repair that was under way when the last process of this daemon ended.
    pub(super) fn resume(
        &mut self,
        now: Moment,
        (sid, watched): (&SubjectId, &mut Watched),
        open: &OpenRepair,
        it: &mut ContainerObservation,
        out: &mut Outbox,
    ) -> Replay {
        match open.step {
            RepairStep::LeftDown => watched.left_down(now, open, it),
            RepairStep::StopLingers => watched.linger(open, it, &self.settings),
            _ => return self.go_on(now, (sid, watched), open, it, out),
        }
        Replay(false)
    }

    fn go_on(
        &mut self,
        now: Moment,
        (sid, watched): (&SubjectId, &mut Watched),
        open: &OpenRepair,
        it: &mut ContainerObservation,
        out: &mut Outbox,
    ) -> Replay {
        let decision = match self.ledger.open_repair_of(sid) {
            Some(known) => known.clone(),
            None => {
                let draft = watched.resumption(now, open, &self.settings);
                self.ledger.record(now, draft, out)
            }
        };
        let mut queue = Queue::new();
        let mut outputs = self.ledger.outputs(&mut queue);
        watched.resume(now, (open, decision), it, &self.settings, &mut outputs);
        self.apply(now, sid, queue, out)
    }

    /// A person wants tries of these, which are within the subject that was named: what is done, or why nothing is.
    pub(super) fn retry<'w>(
        &mut self,
        now: Moment,
        those: impl Iterator<Item = (&'w SubjectId, &'w mut Watched)>,
        (named, by): (&SubjectId, &str),
        out: &mut Outbox,
    ) -> Result<String, String> {
        let (mut count, mut unseen, mut not_ours) = (0_usize, 0_usize, None);
        for (sid, watched) in those {
            match watched.may_be_retried(self.settings.heal) {
                Some(Ok(())) if sid != named && watched.ended_unseen() => unseen += 1,
                Some(Ok(())) => {
                    let mut queue = Queue::new();
                    watched.retry(by, &mut self.ledger.outputs(&mut queue));
                    // The budget is given back: nothing that the events are needed for.
                    let Replay(_) = self.apply(now, sid, queue, out);
                    count += 1;
                }
                Some(Err(why)) => not_ours = Some(why),
                None => {}
            }
        }
        let tried = format!("the budget of {count} subject(s) was given back; trying now");
        let by_name = format!("{unseen} that ended unseen, perhaps by a person, can only be tried by name");
        match (count, unseen, not_ours) {
            (0, _, Some(why)) => Err(why),
            (0, 0, None) => Err("nothing here waits for a retry".to_string()),
            (0, _, None) => Err(by_name),
            (_, 0, _) => Ok(tried),
            _ => Ok(format!("{tried}; {by_name}")),
        }
    }

    /// Whose call it is, while it is or may be under way.
    pub(super) fn subject_of(&self, ticket: Ticket) -> Option<&SubjectId> {
        self.calls.subject_of(ticket)
    }

    /// The engine is gone that had the calls, and each of them with it if its repair says so.
    pub(super) fn engine_went(&mut self, now: Moment, all: &mut Watchlist) {
        for ticket in self.open_calls() {
            let subject = self.calls.subject_of(ticket);
            let watched = subject.and_then(|sid| all.get_mut(sid));
            if watched.is_some_and(|watched| watched.engine_went(now)) {
                self.calls.close(ticket);
            }
        }
    }

    /// What was asked for then was captured of that one.
    pub(super) fn captured(
        &mut self,
        now: Moment,
        (sid, watched): (&SubjectId, &mut Watched),
        (asked, captured): (Moment, &Captured),
        out: &mut Outbox,
    ) {
        let mut queue = Queue::new();
        watched.captured(now, asked, captured, &mut self.ledger.outputs(&mut queue));
        let Replay(_) = self.apply(now, sid, queue, out);
    }

    /// The engine answered a call, or did not within its deadline; `watched` = whose it was, if it is still there. Returns
    /// what is to be done next.
    pub(super) fn answered(
        &mut self,
        now: Moment,
        ticket: Ticket,
        result: CallAnswer,
        watched: Option<&mut Watched>,
        out: &mut Outbox,
    ) -> Vec<Command> {
        let caller = self.calls.subject_of(ticket);
        for denied in &mut self.denied {
            if let Some(state) = denied.answered(caller, &result) {
                out.condition(denied.about(), state);
            }
        }
        if result == Err(EngineError::Deadline) {
            self.calls.lose(ticket);
        } else {
            self.calls.close(ticket);
        }
        let answered = watched.and_then(|it| it.answered(now, ticket, result, &self.settings));
        let Some(Answered { commands, lost }) = answered else {
            return Vec::new();
        };
        if let Some(draft) = lost {
            self.record(now, draft, out);
        }
        commands
    }
}
