//! `repaired_or_escalated`: nothing that failed is forgotten. It runs again, or is given up for a reason, within a bound that
//! follows from its policy.
//!
//! The bound runs from the failure, and anew from the end of each fault of that host that keeps its watchdog from seeing
//! or acting: the watchdog was dead or frozen, its event stream broke, its call is still under way in the engine.

use super::facts::{ContainerFacts, HostFacts};
use super::reported::Broken;
use super::rules_of_dependants::WAITS_MAX;
use std::collections::BTreeMap;
use watchtree_core::container::io::RunState;
use watchtree_core::supervisor::RestartPolicy;
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// How long a hung container's health check takes to say so, at the most: two runs of one second, each after one second,
/// and what is left of the run before.
const HANG_SEEN_AFTER: Duration = Duration::from_secs(5);
/// Checks that could not be run, and time out now, tell of a hang when the engine's log holds nothing else: five runs, and
/// the list that finds them.
const CHECKS_TELL: Duration = Duration::from_secs(5 * 3 + 10);
/// An end whose event is lost is seen by the next list; then late events are waited for, and the engine's flag is asked.
const SEEN_BY_LIST: Duration = Duration::from_secs(5 + 2 + 1);
/// A container with a restart policy is left to the engine first.
const ENGINE_FIRST: Duration = Duration::from_secs(2);
/// What was renamed may be on its way to be replaced.
const DEPLOY_QUIET: Duration = Duration::from_secs(30);
/// What a start takes in the engine, with the calls and inspects around it.
const START: Duration = Duration::from_secs(1);
/// What a stop of a hung container takes.
const STOP: Duration = Duration::from_secs(11);
/// A stop whose answer was lost gets its timeout and 5 s to show.
const SHOWS: Duration = Duration::from_secs(10 + 5);
/// How long a call may take before its caller must say that it does not come back: the start's deadline, and a stop's.
const CALL: Duration = Duration::from_secs(31);
/// How long after an end the manual-stop flag is asked for.
const FLAG_NEEDED: Duration = Duration::from_secs(10);

/// A container that is not well, as the rule sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
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

impl Trouble {
    fn new(c: &ContainerFacts) -> Self {
        Self {
            since: c.now.changed.max(c.up_asked),
            failed: c.now.changed.max(c.up_asked),
            life: c.now.life,
            given_up: false,
            well: None,
        }
    }
}

/// The containers of one host that are not well, by their place.
pub(super) type Troubles = BTreeMap<usize, Trouble>;

/// Every quarter of a second.
pub(super) fn check(host: &HostFacts, troubles: &mut Troubles, now: Moment) -> Result<(), Broken> {
    // A machine that goes down, or is down, is left alone.
    if host.going_down.is_some() || !host.powered {
        return Ok(());
    }
    host.containers
        .iter()
        .try_for_each(|(place, c)| check_one(host, troubles, now, (*place, c)))
}

fn check_one(
    host: &HostFacts,
    troubles: &mut Troubles,
    now: Moment,
    (place, c): (usize, &ContainerFacts),
) -> Result<(), Broken> {
    let policy = RestartPolicy::default();
    let given_up = host.held(&host.subject(place)) == Some(State::GivenUp);
    let before = troubles.get(&place).copied();
    if given_up && !before.is_some_and(|it| it.given_up) {
        check_given_up(host, now, place)?;
    }
    let left_alone = c.now.removed || c.stopped_by_person || c.now.run == RunState::Paused;
    let excused = left_alone || c.now.run == RunState::Created || waits_for_owner(host, now, c);
    if excused || c.unseen {
        troubles.remove(&place);
        return Ok(());
    }
    let failed = !c.runs() || c.now.hung;
    let Some(mut trouble) = before.or_else(|| (failed || given_up).then(|| Trouble::new(c))) else {
        return Ok(());
    };
    if failed && (trouble.life != c.now.life || trouble.well.is_some()) {
        (trouble.life, trouble.failed) = (c.now.life, c.now.changed);
    }
    trouble.well = if failed { None } else { trouble.well.or(Some(now)) };
    if given_up || !host.child.runs() {
        trouble.since = now;
    }
    trouble.given_up = given_up;
    let proven = trouble.well.is_some_and(|well| policy.verify < now.since(well));
    if proven && !given_up {
        troubles.remove(&place);
        return Ok(());
    }
    troubles.insert(place, trouble);
    match !given_up && host.child.runs() {
        true => check_bound(host, now, place, trouble),
        false => Ok(()),
    }
}

/// It joins a namespace of one that does not run, or has not for long.
pub(super) fn waits_for_owner(host: &HostFacts, now: Moment, c: &ContainerFacts) -> bool {
    c.now.joins.values().any(|owner| {
        let Some(owner) = host.find(owner).map(|place| &host.containers[&place]) else {
            return true;
        };
        !owner.runs() || owner.now.hung || now.since(owner.now.changed) < SEEN_BY_LIST
    })
}

fn check_bound(host: &HostFacts, now: Moment, place: usize, trouble: Trouble) -> Result<(), Broken> {
    let policy = RestartPolicy::default();
    let (c, subject) = (&host.containers[&place], host.subject(place));
    let (called, open) = host.reported.call_of(&c.now.id);
    // While the engine is at a call, it does not show the container. Who waits for the answer must say so at the call's
    // deadline; who lost it with its connection or its life learns what became of it when the engine is done.
    if open && (now.since(called) <= CALL || !host.reported.is_waited_for(&c.now.id, host.child.epoch)) {
        return Ok(());
    }
    let lost = host.reported.lost_at(&c.now.id).map_or(Moment::ZERO, |at| at + SHOWS);
    let held = host.reported.held_until(&subject).unwrap_or(Moment::ZERO);
    let renamed = c.renamed.map_or(Moment::ZERO, |at| at + DEPLOY_QUIET);
    let excused = [called, lost, held, renamed, c.now.policy_due, host.excused(now)];
    let excused = excused.into_iter().max().expect("six moments");
    let restart = SEEN_BY_LIST + ENGINE_FIRST + START;
    let mut from = trouble.failed.max(excused);
    let mut bound = policy.delay(policy.allowance.budget) + restart;
    if c.now.hung {
        // What it began with: a grace may be longer than the window.
        let charges = host.reported.charged(c.now.born, &subject, policy.allowance.window);
        let grace = c.now.born + policy.grace(Duration::ZERO, charges);
        let told = host.checks_fail_until;
        let told = (told + CHECKS_TELL).max(trouble.failed + HANG_SEEN_AFTER);
        from = told.max(grace).max(excused);
        bound += STOP;
    }
    if !c.now.depends_on.is_empty() {
        bound += WAITS_MAX;
    }
    if trouble.well.is_none() && from + bound < now {
        return forgotten(host, place, "it failed", trouble.failed);
    }
    let mut loop_bound = policy.bound_until_limit(policy.verify, restart);
    if !c.now.depends_on.is_empty() {
        loop_bound += WAITS_MAX * policy.allowance.budget;
    }
    if !c.now.hung && trouble.since.max(excused) + loop_bound < now {
        return forgotten(host, place, "it fails again and again", trouble.since);
    }
    Ok(())
}

fn forgotten(host: &HostFacts, place: usize, what: &str, since: Moment) -> Result<(), Broken> {
    let subject = host.subject(place);
    let (held, why) = (host.held(&subject), host.held_why(&subject));
    let why = format!("{subject}: {what} since {since}, and is neither repaired nor given up: {held:?} ({why})");
    Err(("repaired_or_escalated", why))
}

/// A container is given up only for a reason: its budget or its host's is used up, the engine keeps a call of ours, it joins
/// one that is no more, or nothing can tell why it ended: the flag cannot be read, or another signal has set it, or a stop of ours
/// of which no record is left.
fn check_given_up(host: &HostFacts, now: Moment, place: usize) -> Result<(), Broken> {
    let (policy, subject) = (RestartPolicy::default(), host.subject(place));
    let c = &host.containers[&place];
    let budget = match c.runs() {
        true => policy.for_stop().allowance.budget,
        false => policy.allowance.budget,
    };
    let lately = |at: &&Moment| now.since(**at) < policy.allowance.window;
    let by_engine = c.engine_starts.iter().filter(lately).count() as u32;
    let used = host.reported.begun_within(now, &subject, policy.allowance.window) + by_engine;
    let flag_tells_nothing = c.flagged || c.now.changed < host.flag_unreadable_until + FLAG_NEEDED;
    let cannot_tell = flag_tells_nothing || c.unrecorded_stop;
    let excused = host.reported.keeps_a_call(now, &c.now.id)
        || host.reported.host_is_used_up(now)
        || waits_for_owner(host, now, c)
        || cannot_tell
        || c.now.removed;
    if budget <= used || excused {
        return Ok(());
    }
    let why = host.held_why(&subject);
    Err((
        "repaired_or_escalated",
        format!("{subject} is given up after {used} restarts: {why}"),
    ))
}
