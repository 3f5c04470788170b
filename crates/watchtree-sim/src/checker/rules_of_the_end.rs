//! What must be true when the faults are over since long.
//!
//! `converges`             the manager believes the truth
//! `repaired_or_escalated` what failed runs again, or is given up
//! `operator_wins`         what a person stopped is down
//! `person_is_called`      a person was told what stays ill, and the end of it

use super::facts::HostFacts;
use super::reported::Broken;
use super::rules_of_repair::waits_for_owner;
use watchtree_core::container::io::RunState;
use watchtree_core::time::Moment;
use watchtree_core::verdict::State;

/// At the end.
pub(super) fn check(host: &HostFacts, now: Moment) -> Result<(), Broken> {
    for place in host.containers.keys() {
        check_container(host, now, *place)?;
    }
    match host.shown {
        Some(State::Ok) => Ok(()),
        state => Err(("converges", format!("{} is well and shown as {state:?}", host.name()))),
    }
}

fn check_container(host: &HostFacts, now: Moment, place: usize) -> Result<(), Broken> {
    let (c, subject) = (&host.containers[&place], host.subject(place));
    let (here, there) = (host.held(&subject), host.below.get(&subject).copied());
    let believed = format!("here {here:?} ({}), at the manager {there:?}", host.held_why(&subject));
    let broken = |rule: &'static str, what: &str| Err((rule, format!("{subject} {what}: {believed}")));
    if c.now.removed {
        let replaced = host.containers.iter();
        let mut replaced = replaced.filter(|(other, it)| **other != place && !it.now.removed);
        let replaced = replaced.any(|(_, it)| it.now.name == c.now.name);
        return match (here.is_some() || there.is_some()) && !replaced {
            true => broken("converges", "is removed"),
            false => Ok(()),
        };
    }
    let (runs, hung) = (c.runs(), c.now.hung);
    let (stopped, blind) = (c.stopped_by_person, host.is_blind(place));
    let waits = waits_for_owner(host, now, c);
    if here != there {
        return broken("converges", "is seen otherwise above");
    }
    let (must_be, may_be) = match here {
        Some(State::GivenUp | State::Down) => (true, true),
        Some(State::Ok | State::Stopped | State::Finished | State::Degraded) | None => (false, false),
        _ => (false, true),
    };
    let is_told = host.alerted.contains(&subject);
    if (must_be && !is_told) || (is_told && !may_be) {
        return broken("person_is_called", "is not what a person was told");
    }
    if matches!(c.now.run, RunState::Created | RunState::Paused) || waits {
        return Ok(());
    }
    // What compose has set aside is in no tree.
    if c.unseen || c.now.name.starts_with(&format!("{:.12}_", c.now.id)) {
        return Ok(());
    }
    if !runs && !stopped && here != Some(State::GivenUp) {
        return broken("repaired_or_escalated", "is down");
    }
    if runs && hung && here != Some(State::GivenUp) {
        return broken("repaired_or_escalated", "hangs");
    }
    let cannot_tell = here == Some(State::GivenUp) && c.stop_asked <= host.flag_unreadable_until;
    if !runs && stopped && !cannot_tell && !matches!(here, Some(State::Stopped | State::Finished)) && !blind {
        return broken("converges", "was stopped by a person");
    }
    if runs && stopped && !blind {
        return broken("operator_wins", "was stopped by a person and runs");
    }
    if runs && !hung && !stopped && !matches!(here, Some(State::Ok | State::GivenUp)) {
        return broken("converges", "runs and is well");
    }
    Ok(())
}
