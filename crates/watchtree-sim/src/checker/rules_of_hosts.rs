//! Rules about what the manager shows of the hosts.
//!
//! `silence_is_seen`       a host that cannot be heard is not shown as OK for longer than the bound
//! `silence_is_judged`     nor as SUSPECT: it is AGENT LOST while its kernel answers, else UNREACHABLE
//! `no_false_suspicion`    nobody is suspected without a fault that explains it
//! `no_false_agent_lost`   a host that runs is not AGENT LOST for what its connection has still to retransmit
//! `stall_judges_nobody`   right after its own start or stall the manager judges nobody
//! `silence_is_no_death`   a host is never DOWN

use super::facts::{EXCUSED_FOR, HostFacts, ProcessFacts};
use super::reported::Broken;
use watchtree_core::time::{Duration, Moment};
use watchtree_core::verdict::State;

/// Missed freshness point (0.5 s + 1 s) and two rounds of looks (0.7 s each), with room for one beat's phase and one tick.
const SEEN_WITHIN: Duration = Duration::from_millis(4250);
/// After its own start or stall the manager waits for one healthy window and for hosts to return before that bound runs.
const MANAGER_SETTLES: Duration = Duration::from_secs(8);
/// A kernel that begins or ceases to answer is seen by the looks at a lost host: each 2 s after the one before it was over
/// (0.8 s), two in a row, and the one that was under way.
const JUDGED_AGAIN_WITHIN: Duration = Duration::from_millis(3 * 2800);
/// Right after its start or stall the manager judges nobody for that long.
const JUDGES_NOBODY_FOR: Duration = Duration::from_millis(1900);

/// The manager shows another state of a host.
pub(super) fn state_changed(
    host: &HostFacts,
    manager: &ProcessFacts,
    now: Moment,
    (from, to, why): (State, State, &str),
) -> Result<(), Broken> {
    let name = host.name();
    if to == State::Down {
        return Err(("silence_is_no_death", format!("{name} is DOWN: {why}")));
    }
    if !matches!(to, State::Suspect | State::AgentLost | State::Unreachable) {
        return Ok(());
    }
    let what = || format!("{name}: {} to {}: {why}", from.as_str(), to.as_str());
    let trouble = host.troubled.max(host.host.well_since);
    if host.silent_since.is_none() && EXCUSED_FOR < now.since(trouble) {
        return Err(("no_false_suspicion", what()));
    }
    let only_stalled = host.host.runs() && host.path_open && host.held_back;
    if host.strict && to == State::AgentLost && only_stalled {
        return Err(("no_false_agent_lost", what()));
    }
    if now.since(manager.well_since) < JUDGES_NOBODY_FOR {
        return Err(("stall_judges_nobody", what()));
    }
    Ok(())
}

/// A silent host: seen within the bound, and then judged by what its kernel says.
pub(super) fn check_silence(host: &HostFacts, manager: &ProcessFacts, now: Moment) -> Result<(), Broken> {
    let Some(silent_since) = host.silent_since else {
        return Ok(());
    };
    // A goodbye makes it unwatched.
    if !manager.runs() || now < host.goodbye_until {
        return Ok(());
    }
    // A frame proves when it was sent only against a prompter one: where a manager that has just started never got a
    // prompt one (its host's frames are held back since), it cannot tell old from new, and the bound runs that much later.
    let unknowable = host.heard.unknowable((manager.epoch, host.zero));
    let (thawed, gap) = manager.thawed;
    let slept = if silent_since < thawed { gap } else { Duration::ZERO };
    let from = silent_since.max(manager.well_since + MANAGER_SETTLES) + unknowable + slept;
    if now.since(from) <= SEEN_WITHIN {
        return Ok(());
    }
    let (name, silent, state) = (host.name(), now.since(silent_since), host.shown);
    if state == Some(State::Ok) {
        let why = format!("{name} is silent since {silent:?} and shown as OK");
        return Err(("silence_is_seen", why));
    }
    let (answers, since) = host.answers;
    let right = if answers { State::AgentLost } else { State::Unreachable };
    if state != Some(right) && JUDGED_AGAIN_WITHIN < now.since(since.max(from)) {
        let why = format!("{name} is silent since {silent:?} and shown as {state:?}, not {right:?}");
        return Err(("silence_is_judged", why));
    }
    Ok(())
}
