//! Nothing that failed is forgotten: it runs again, or is given up for a reason, within a bound that follows from its policy.
//!
//! The bound runs from the failure, and anew from the end of each fault of that host that keeps its watchdog from seeing
//! or acting: the watchdog was dead or frozen, its event stream broke, its call is still under way in the engine.

use crate::engine::{Container, HANG_SEEN_AFTER};
use crate::world::World;
use watchtree_core::container::io::RunState;
use watchtree_core::restart::RestartPolicy;
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// An end whose event is lost is seen by the next list; then late events are waited for, and the engine's mark is asked.
const SEEN_BY_LIST: Duration = Duration::from_secs(5 + 2 + 1);
/// A container with a restart policy is left to the engine first.
const ENGINE_FIRST: Duration = Duration::from_secs(2);
/// What a start takes in the engine, with the calls and looks around it.
const START: Duration = Duration::from_secs(1);
/// What a stop of a hung container takes.
const STOP: Duration = Duration::from_secs(11);
/// A stop whose answer was lost gets its timeout and 5 s to show.
const SHOWS: Duration = Duration::from_secs(10 + 5);
/// How long a call may take before its caller must say that it does not come back: the start's deadline, and a stop's.
const CALL: Duration = Duration::from_secs(31);

/// A container that is not well, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// Since when it has not been well for long enough to count as repaired.
    since: Moment,
    /// Since when it has failed in its present life.
    failed: Moment,
    /// The life that is about.
    life: u64,
    /// When it was seen to be given up.
    given_up: bool,
    /// It runs, and well, since then.
    well: Option<Moment>,
}

impl World {
    /// Every quarter of a second.
    pub fn check_repairs(&mut self) {
        for h in 0..self.hosts.len() {
            // A machine that goes down is left alone.
            if self.hosts[h].going_down.is_some() {
                continue;
            }
            for c in 0..self.hosts[h].engine.containers.len() {
                self.check_repair(h, c);
            }
        }
    }

    fn check_repair(&mut self, h: usize, c: usize) {
        let (now, policy) = (self.now, RestartPolicy::default());
        let subject = self.subject(h, c);
        let given_up = self.held(h, &subject) == Some(State::GivenUp);
        let before = self.hosts[h].trouble.get(&c).copied();
        if given_up && !before.is_some_and(|it| it.given_up) {
            self.check_given_up(h, c);
        }
        let container = &self.hosts[h].engine.containers[c];
        let runs = container.view.run == RunState::Running;
        if container.removed || container.stopped_by_operator {
            self.hosts[h].trouble.remove(&c);
            return;
        }
        let failed = !runs || container.hung;
        let Some(mut trouble) = before.or_else(|| (failed || given_up).then(|| Trouble::new(container))) else {
            return;
        };
        if failed && (trouble.life != container.life || trouble.well.is_some()) {
            (trouble.life, trouble.failed) = (container.life, container.changed);
        }
        trouble.well = if failed { None } else { trouble.well.or(Some(now)) };
        if given_up || !self.hosts[h].child.runs() {
            trouble.since = now;
        }
        trouble.given_up = given_up;
        let proven = trouble.well.is_some_and(|well| policy.verify < now.since(well));
        if proven && !given_up {
            self.hosts[h].trouble.remove(&c);
            return;
        }
        self.hosts[h].trouble.insert(c, trouble);
        if !given_up && self.hosts[h].child.runs() {
            self.check_bound(h, c, trouble);
        }
    }

    fn check_bound(&mut self, h: usize, c: usize, trouble: Trouble) {
        let (now, policy) = (self.now, RestartPolicy::default());
        let (host, container) = (&self.hosts[h], &self.hosts[h].engine.containers[c]);
        let (called, open) = host.book.call_of(&container.view.id);
        // While the engine is at a call, it does not show the container. Who waits for the answer must say so at the call's
        // deadline; who lost it with its connection or its life learns what became of it when the engine is done.
        let waits = |by: (u64, u64)| by.0 == host.child.epoch && host.calls.contains(&by);
        if open && (now.since(called) <= CALL || !host.book.under_way(&container.view.id).any(waits)) {
            return;
        }
        let lost = host
            .book
            .lost_at(&container.view.id)
            .map_or(Moment::ZERO, |at| at + SHOWS);
        let held = host.book.held_until(&self.subject(h, c)).unwrap_or(Moment::ZERO);
        let excused = [called, lost, held, container.policy_due, host.excused(now)];
        let excused = excused.into_iter().max().expect("five moments");
        let restart = SEEN_BY_LIST + ENGINE_FIRST + START;
        let mut from = trouble.failed.max(excused);
        let mut bound = policy.delay(policy.budget) + restart;
        if container.hung {
            // What it began with: a grace may be longer than the window.
            let charges = host.book.charged(container.born, &self.subject(h, c), policy.window);
            let grace = container.born + policy.grace(Duration::ZERO, charges);
            from = (trouble.failed + HANG_SEEN_AFTER).max(grace).max(excused);
            bound += STOP;
        }
        if trouble.well.is_none() && from + bound < now {
            return self.forgotten(h, c, "it failed", trouble.failed);
        }
        let loop_bound = policy.bound_until_given_up(policy.verify, restart);
        if !container.hung && trouble.since.max(excused) + loop_bound < now {
            self.forgotten(h, c, "it fails again and again", trouble.since);
        }
    }

    fn forgotten(&mut self, h: usize, c: usize, what: &str, since: Moment) {
        let subject = self.subject(h, c);
        let (held, why) = (self.held(h, &subject), self.held_why(h, &subject));
        let why = format!("{subject}: {what} since {since}, and is neither repaired nor given up: {held:?} ({why})");
        self.breaks("repaired_or_escalated", why);
    }

    /// A container is given up only for a reason: its budget or its host's is used up, the engine keeps a call of ours, or
    /// nothing can tell why it ended.
    fn check_given_up(&mut self, h: usize, c: usize) {
        let (now, policy, subject) = (self.now, RestartPolicy::default(), self.subject(h, c));
        let (host, container) = (&self.hosts[h], &self.hosts[h].engine.containers[c]);
        let by_engine = container
            .policy_starts
            .iter()
            .filter(|at| now.since(**at) < policy.window)
            .count() as u32;
        let used = host.book.begun_within(now, &subject, policy.window) + by_engine;
        let kept = host.book.keeps_a_call(now, &container.view.id);
        let host_is_used_up = host.book.host_is_used_up(now);
        if policy.budget <= used || kept || host_is_used_up {
            return;
        }
        let why = self.held_why(h, &subject);
        self.breaks(
            "repaired_or_escalated",
            format!("{subject} is given up after {used} restarts: {why}"),
        );
    }
}

impl Trouble {
    fn new(container: &Container) -> Self {
        Self {
            since: container.changed,
            failed: container.changed,
            life: container.life,
            given_up: false,
            well: None,
        }
    }
}
